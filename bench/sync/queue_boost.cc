/* SPDX-License-Identifier: MIT */
/*
 * boost::lockfree::queue of a fixed size. It does not block, so whoever cannot go on
 * yields, and burns the CPU.
 */
#include <boost/lockfree/queue.hpp>
#include <sched.h>

#include "bench/harness/harness.h"
#include "bench/sync/queue_peer.h"

namespace
{

typedef boost::lockfree::queue<uint64_t, boost::lockfree::fixed_sized<true>> queue_type;

void *create(size_t capacity)
{
    return new queue_type(capacity);
}

void destroy(void *queue)
{
    delete static_cast<queue_type *>(queue);
}

inline bool queue_put(queue_type *queue, uint64_t item)
{
    while (!queue->bounded_push(item)) {
        if (bench_is_late()) {
            return false;
        }
        sched_yield();
    }
    return true;
}

inline bool queue_take(queue_type *queue, uint64_t *item)
{
    while (!queue->pop(*item)) {
        if (bench_is_late()) {
            return false;
        }
        sched_yield();
    }
    return true;
}

#include "bench/sync/queue_loops.h"

} // namespace

extern "C" const struct queue_peer queue_boost = {create, destroy, queue_produce, queue_consume};
