/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_ring Rings
 * @brief A bounded queue without a lock: the fastest way from thread to thread.
 *
 * A ring holds up to a fixed number of `void *` items, first in, first out, in an array that
 * many threads put into and get from at once. Its calls are those of hk_queue, with the same
 * names and statuses. It has no other order, no growth and no select; its memory is taken at
 * creation, so a put never fails for lack of it.
 *
 * **Order.** Items leave in the order in which their puts took their places. Of two puts or gets
 * that overlap in time either may be first, and a put or get that is held up in between may
 * hide later items, or room, for that long.
 *
 * **Thread safety.** Any thread, any call; hk_ring_destroy() when every other call has returned.
 * What a thread wrote before a put, the thread that gets the item sees.
 * **Ownership.** An item that was put belongs to the ring until it is got; on any other status
 * than HK_OK it is still the caller's.
 * **Fork.** In a forked child every call on a ring of the parent gives HK_EFORKED.
 * **Cost.** A put or get that need not wait is one compare-and-swap and no system call.
 * @{
 */
#ifndef HOCKET_RING_H
#define HOCKET_RING_H

#include <hocket/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. */
typedef struct hk_ring hk_ring;

/** How a ring is made. */
typedef struct hk_ring_options {
    size_t size;           /**< sizeof this struct, or 0. */
    size_t capacity;       /**< Most items it holds; rounded up to a power of two. 0: 1024. */
    const char *name;      /**< For reports; copied, cut to 31 bytes. NULL: none. */
    hk_item_drop_fn *drop; /**< For each item left at hk_ring_destroy(); NULL: forget them. */
    void *drop_arg;        /**< For drop. */
} hk_ring_options;

/**
 * Make an empty ring.
 *
 * @param options   Borrowed for the call; NULL for defaults.
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  @p out is NULL, or the capacity beyond any memory.
 *
 * Cost: 16 bytes for each item of its capacity.
 */
HK_API HK_MUST_CHECK hk_status hk_ring_create(const hk_ring_options *options, hk_ring **out);

/**
 * Release a ring. What is left in it is handed to drop, each item once, oldest first.
 *
 * Every other call must have returned. In particular the put of an item is not over when the
 * item can be got.
 *
 * @param ring  Taken on HK_OK; NULL is allowed.
 * @retval HK_OK
 * @retval HK_ESTATE   Threads wait in a call; nothing happened.
 * @retval HK_EFORKED  It belongs to the parent process. Nothing is released or dropped.
 */
HK_API hk_status hk_ring_destroy(hk_ring *ring);

/**
 * Put one item.
 *
 * @param ring     Borrowed.
 * @param item     Passes to the ring on HK_OK.
 * @param timeout  How long to wait for room; 0 tries.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT  No room.
 * @retval HK_ECLOSED    Closed before or meanwhile.
 * @retval HK_EDEADLK    The bound getters can never make room.
 * @retval HK_ENOMEM     With bound threads or inside a task: no memory to find out whether the wait
 *                       could end.
 * @retval HK_EINVAL     @p ring is NULL or @p timeout negative.
 * @retval HK_EFORKED    The ring belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_ring_put(hk_ring *ring, void *item, hk_duration timeout);

/**
 * Put many items, in the order of the array. As many as fit are put at once, next to each other;
 * the rest as room comes.
 *
 * @param ring      Borrowed.
 * @param items     @p count items; the first @p put of them pass to the ring.
 * @param count     May be 0.
 * @param timeout   For all of them together; 0 puts what fits.
 * @param[out] put  How many were put, whatever the status; 0 with HK_EINVAL and HK_EFORKED.
 * @retval HK_OK     All of them.
 * @return else as hk_ring_put(), which holds for the rest; HK_EINVAL also if @p count is beyond any
 *         memory.
 */
HK_API HK_MUST_CHECK hk_status hk_ring_put_many(hk_ring *ring, void *const *items, size_t count,
                                                hk_duration timeout, size_t *put);

/**
 * Get the oldest item.
 *
 * @param ring       Borrowed.
 * @param timeout    How long to wait for one; 0 tries.
 * @param[out] item  The caller's from now on; unchanged unless HK_OK.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT  None there.
 * @retval HK_EDONE    Closed, and nothing left.
 * @retval HK_EDEADLK    The bound putters can never put.
 * @retval HK_ENOMEM     With bound threads or inside a task: no memory to find out whether the wait
 *                       could end.
 * @retval HK_EINVAL     A pointer is NULL or @p timeout negative.
 * @retval HK_EFORKED    The ring belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_ring_get(hk_ring *ring, hk_duration timeout, void **item);

/**
 * Get several items at once: waits for the first one only.
 *
 * @param ring        Borrowed.
 * @param timeout     How long to wait for the first one; 0 tries.
 * @param[out] items  Room for @p max items.
 * @param max         Not 0.
 * @param[out] taken  How many; 0 unless HK_OK, then at least 1.
 * @return as hk_ring_get(); HK_EINVAL also if @p max is 0, or beyond any memory.
 */
HK_API HK_MUST_CHECK hk_status hk_ring_get_many(hk_ring *ring, hk_duration timeout, void **items,
                                                size_t max, size_t *taken);

/**
 * Refuse further puts. Who waits for room gets HK_ECLOSED; getters get what is left first.
 *
 * @param ring  Borrowed; may be closed already.
 * @retval HK_OK
 * @retval HK_EINVAL   @p ring is NULL.
 * @retval HK_EFORKED  The ring belongs to the parent process.
 */
HK_API hk_status hk_ring_close(hk_ring *ring);

/**
 * Tell that items which were got are also done with: what hk_ring_join() waits for.
 *
 * @param ring   Borrowed.
 * @param count  How many items, for whole batches; 0 does nothing.
 * @retval HK_OK
 * @retval HK_ESTATE   More than were put and are not done; nothing happened.
 * @retval HK_EINVAL   @p ring is NULL.
 * @retval HK_EFORKED  The ring belongs to the parent process.
 *
 * Cost: one compare-and-swap.
 */
HK_API hk_status hk_ring_task_done(hk_ring *ring, size_t count);

/**
 * Wait until every item that was put is done with. Being so once is enough, unless a put is under
 * way in that very moment: that one may be waited for too.
 *
 * @param ring     Borrowed.
 * @param timeout  0 asks.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT  Some are not done.
 * @retval HK_EDEADLK    The bound getters can never be done.
 * @retval HK_ENOMEM     With bound threads or inside a task: no memory to find out whether the wait
 *                       could end.
 * @retval HK_EINVAL     @p ring is NULL or @p timeout negative.
 * @retval HK_EFORKED    The ring belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_ring_join(hk_ring *ring, hk_duration timeout);

/**
 * How many items it holds, those that are being put or got included.
 *
 * @param ring  Borrowed.
 * @return the count, which may be old when it arrives; 0 for NULL, and in a forked child.
 */
HK_API size_t hk_ring_length(const hk_ring *ring);

/**
 * How many items it can hold.
 *
 * @param ring  Borrowed.
 * @return a power of two; 0 for NULL.
 */
HK_API size_t hk_ring_capacity(const hk_ring *ring);

/**
 * A descriptor that is readable while hk_ring_get() would not wait: an item is there, or the ring
 * is closed and empty. Belongs to the ring: poll it, do not read or close it.
 *
 * @param ring     Borrowed.
 * @param[out] fd  An eventfd.
 * @retval HK_OK
 * @retval HK_ESYS     No descriptor to be had; errno tells.
 * @retval HK_EINVAL   A pointer is NULL.
 * @retval HK_EFORKED  The ring belongs to the parent process.
 *
 * Cost: from now on a lock in each put and get, and a system call whenever the ring becomes
 * empty, or is no longer.
 */
HK_API HK_MUST_CHECK hk_status hk_ring_fd(hk_ring *ring, int *fd);

/**
 * Declare the calling thread as one who will put or get; see hk_queue_bind().
 *
 * @param ring   Borrowed.
 * @param sides  #HK_QUEUE_PUTTER, #HK_QUEUE_GETTER, or both joined by |.
 * @retval HK_OK       Also if it was bound before.
 * @retval HK_ENOMEM   Nothing has changed.
 * @retval HK_EINVAL   @p ring is NULL, or @p sides no side.
 * @retval HK_EFORKED  The ring belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_ring_bind(hk_ring *ring, unsigned sides);

/**
 * Take back what hk_ring_bind() declared.
 *
 * @param ring   Borrowed.
 * @param sides  Those to take back.
 * @retval HK_OK
 * @retval HK_ESTATE   The calling thread is not bound to one of them; nothing has changed.
 * @retval HK_EINVAL   @p ring is NULL, or @p sides no side.
 * @retval HK_EFORKED  The ring belongs to the parent process.
 */
HK_API hk_status hk_ring_unbind(hk_ring *ring, unsigned sides);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
