/* SPDX-License-Identifier: MIT */
/*
 * oneTBB: task_group, where the submitter is one of the threads and works while it waits,
 * and enqueue, which knows neither a group nor a future.
 */
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include "bench/hocket_bench/peer.h"

namespace
{

namespace tbb = oneapi::tbb;

struct pool {
    tbb::global_control limit;
    tbb::task_arena arena;
    tbb::task_group group;

    pool(unsigned workers, unsigned reserved)
        : limit(tbb::global_control::max_allowed_parallelism, workers + 1),
          arena(static_cast<int>(workers), reserved)
    {
        arena.initialize();
    }
};

void *start_group(unsigned workers)
{
    return new pool(workers, 1);
}

void *start_enqueue(unsigned workers)
{
    return new pool(workers, 0);
}

void stop(void *arg)
{
    delete static_cast<pool *>(arg);
}

void enclose(void *arg, void (*work)(void *arg), void *work_arg)
{
    static_cast<pool *>(arg)->arena.execute([=] { work(work_arg); });
}

void post_group(void *arg, struct slot *slot)
{
    static_cast<pool *>(arg)->group.run([slot] { slot_answer(slot); });
}

void join_group(void *arg)
{
    static_cast<pool *>(arg)->group.wait();
}

void post_enqueue(void *arg, struct slot *slot)
{
    static_cast<pool *>(arg)->arena.enqueue([slot] { slot_run(slot); });
}

uint64_t fork_both(void *arg, uint64_t n)
{
    uint64_t one = 0, other = 0;
    tbb::task_group group;

    if (n < 2) {
        return n;
    }
    group.run([&] { one = fork_both(arg, n - 1); });
    group.run([&] { other = fork_both(arg, n - 2); });
    group.wait();
    return one + other;
}

uint64_t fork_one(void *arg, uint64_t n)
{
    uint64_t one = 0, other = 0;
    tbb::task_group group;

    if (n < 2) {
        return n;
    }
    group.run([&] { one = fork_one(arg, n - 1); });
    other = fork_one(arg, n - 2);
    group.wait();
    return one + other;
}

void range(void *arg, uint64_t *answers, uint64_t n)
{
    static_cast<pool *>(arg)->arena.execute([=] {
        tbb::parallel_for(tbb::blocked_range<uint64_t>(0, n),
                          [=](const tbb::blocked_range<uint64_t> &piece) {
                              for (uint64_t i = piece.begin(); i != piece.end(); i++) {
                                  answers[i] = work_trivial(i);
                              }
                          });
    });
}

const struct peer tbb_group = {
    .name = "tbb-group",
    .start = start_group,
    .stop = stop,
    .post = post_group,
    .enclose = enclose,
    .join = join_group,
    .fork_both = fork_both,
    .fork_one = fork_one,
    .range = range,
};

const struct peer tbb_enqueue = {
    .name = "tbb-enqueue",
    .start = start_enqueue,
    .stop = stop,
    .post = post_enqueue,
};

} // namespace

const char *const peer_program_name = "peer-tbb";
const struct peer *const peers[] = {&tbb_group, &tbb_enqueue, nullptr};
