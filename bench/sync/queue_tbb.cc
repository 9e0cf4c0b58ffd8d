/* SPDX-License-Identifier: MIT */
/*
 * tbb::concurrent_bounded_queue.
 */
#include <oneapi/tbb/concurrent_queue.h>

#include "bench/harness/harness.h"
#include "bench/sync/queue_peer.h"

namespace
{

typedef oneapi::tbb::concurrent_bounded_queue<uint64_t> queue_type;

void *create(size_t capacity)
{
    queue_type *queue = new queue_type;

    queue->set_capacity(static_cast<queue_type::size_type>(capacity));
    return queue;
}

void destroy(void *queue)
{
    delete static_cast<queue_type *>(queue);
}

inline bool queue_put(queue_type *queue, uint64_t item)
{
    queue->push(item);
    return true;
}

inline bool queue_take(queue_type *queue, uint64_t *item)
{
    queue->pop(*item);
    return true;
}

#include "bench/sync/queue_loops.h"

} // namespace

extern "C" const struct queue_peer queue_tbb = {create, destroy, queue_produce, queue_consume};
