/* SPDX-License-Identifier: MIT */
/*
 * boost::asio::thread_pool: posted, and with futures.
 */
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include "bench/hocket_bench/peer.h"
#include "bench/peers/std_future.h"

namespace
{

typedef boost::asio::thread_pool pool_type;

void *start(unsigned workers)
{
    return new pool_type(workers);
}

void stop(void *arg)
{
    pool_type *pool = static_cast<pool_type *>(arg);

    pool->join();
    delete pool;
}

void post(void *pool, struct slot *slot)
{
    boost::asio::post(*static_cast<pool_type *>(pool), [slot] { slot_run(slot); });
}

void submit(void *pool, enum work_kind kind, uint64_t number, void *future)
{
    work_body *body = work_bodies[kind];

    std_future_keep(future, boost::asio::post(
                                *static_cast<pool_type *>(pool),
                                boost::asio::use_future([body, number] { return body(number); })));
}

const struct peer asio_post = {
    .name = "asio-post",
    .start = start,
    .stop = stop,
    .post = post,
};

const struct peer asio_future = {
    .name = "asio-future",
    .future_size = sizeof(std_future),
    .start = start,
    .stop = stop,
    .submit = submit,
    .result = std_future_result,
};

} // namespace

const char *const peer_program_name = "peer-asio";
const struct peer *const peers[] = {&asio_post, &asio_future, nullptr};
