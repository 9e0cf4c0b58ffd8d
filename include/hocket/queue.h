/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_queue Queues
 * @brief Items handed from thread to thread: bounded or not, in four orders.
 *
 * A queue holds `void *` items, which it never looks into; NULL is an item like any
 * other. hocket/ring.h has a faster queue of a fixed size with the same calls.
 *
 * **Waiting.** Every call that can wait takes a duration: 0 tries, #HK_FOREVER waits
 * without limit. A wait wakes exactly one thread that can go on; nobody spins.
 * **Closing.** hk_queue_close() refuses putters from then on; getters drain what is
 * there and then get HK_EDONE. In a thread that gets from one queue and puts into the next the
 * one is the end of its work, and HK_ECLOSED from the put says that who comes after it has given
 * up: then it closes and drains its own source, or those before it wait on.
 * **Impossible waits.** Anybody may put into a queue, so a getter of an empty one waits
 * for nobody in particular. Threads that declare themselves with hk_queue_bind() are
 * those it waits for; then a wait that can never end gives HK_EDEADLK.
 *
 * **Thread safety.** Any thread, any call, at any time; only hk_queue_destroy() must be
 * the last. What a thread wrote before a put, the thread that gets the item sees.
 * **Ownership.** An item that was put belongs to the queue until it is got; on any other
 * status than HK_OK it is still the caller's.
 * **Fork.** In a forked child every call on a queue of the parent gives HK_EFORKED.
 * **Cost.** A put or get that need not wait is one lock and one unlock; see
 * hk_queue_put_many() and hk_queue_get_many() for what is cheaper by far.
 * @{
 */
#ifndef HOCKET_QUEUE_H
#define HOCKET_QUEUE_H

#include <stddef.h>

#include <hocket/status.h>
#include <hocket/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Opaque. */
typedef struct hk_queue hk_queue;

/** Which item a getter gets. */
typedef enum hk_queue_order {
    HK_QUEUE_FIFO = 0,     /**< The one that has waited longest. */
    HK_QUEUE_LIFO = 1,     /**< The newest. */
    HK_QUEUE_PRIORITY = 2, /**< The one of the highest priority; of equals the oldest. */
    HK_QUEUE_DELAY = 3     /**< The one that has been due longest; none before it is due. */
} hk_queue_order;

/** What a thread declares itself for, see hk_queue_bind(). May be combined by |. */
typedef enum hk_queue_side {
    HK_QUEUE_PUTTER = 1, /**< It will put. */
    HK_QUEUE_GETTER = 2  /**< It will get, and call task_done if anybody joins. */
} hk_queue_side;

/** Receives an item that nobody got. */
typedef void hk_item_drop_fn(void *item, void *arg);

/** How a queue is made; all zero means defaults. */
typedef struct hk_queue_options {
    size_t size;           /**< sizeof this struct, or 0. */
    hk_queue_order order;  /**< Default: first in, first out. */
    size_t capacity;       /**< Most items it holds, exactly; 0: no limit. */
    const char *name;      /**< For reports; copied, cut to 31 bytes. NULL: none. */
    hk_item_drop_fn *drop; /**< For each item left at hk_queue_destroy(); NULL: forget them. */
    void *drop_arg;        /**< For drop. */
} hk_queue_options;

/**
 * Make an empty queue.
 *
 * @param options   Borrowed for the call; NULL for defaults.
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  @p out is NULL, the order is unknown, or the capacity beyond any memory.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_create(const hk_queue_options *options, hk_queue **out);

/**
 * Release a queue. What is left in it is handed to drop, each item once, in the order in
 * which it would have been got (a delay queue's without waiting).
 *
 * A thread that got the last item may destroy the queue while the putter is still on its
 * way out of hk_queue_put(). A new call must not begin any more.
 *
 * @param queue  Taken on HK_OK; NULL is allowed.
 * @retval HK_OK
 * @retval HK_ESTATE   Threads wait in a call, or are on their way out of one in which they waited;
 *                     nothing happened. Close it, let them leave, and try again.
 * @retval HK_EFORKED  It belongs to the parent process. Nothing is released or dropped: the copy
 *                     goes with this process.
 */
HK_API hk_status hk_queue_destroy(hk_queue *queue);

/**
 * Put one item; with priority 0 into a priority queue, due at once into a delay queue.
 *
 * @param queue    Borrowed.
 * @param item     Passes to the queue on HK_OK.
 * @param timeout  How long to wait for room; 0 tries.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT  No room.
 * @retval HK_ECLOSED    Closed before or meanwhile.
 * @retval HK_EDEADLK    The bound getters can never make room.
 * @retval HK_ENOMEM     No memory to store it; or, with bound threads or inside a task, to find out
 *                       whether the wait could end.
 * @retval HK_EINVAL     @p queue is NULL or @p timeout negative.
 * @retval HK_EFORKED    The queue belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_put(hk_queue *queue, void *item, hk_duration timeout);

/**
 * Put one item into a #HK_QUEUE_PRIORITY queue.
 *
 * @param queue     Borrowed.
 * @param item      Passes to the queue on HK_OK.
 * @param priority  Higher ones come first; any number.
 * @param timeout   How long to wait for room; 0 tries.
 * @return as hk_queue_put(); HK_EINVAL also for a queue of another order.
 *
 * Cost: grows with the logarithm of the length.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_put_priority(hk_queue *queue, void *item, int priority,
                                                     hk_duration timeout);

/**
 * Put one item into a #HK_QUEUE_DELAY queue. It counts for length and capacity at once and can
 * be got when its delay is over. Closing the queue does not shorten it.
 *
 * @param queue    Borrowed.
 * @param item     Passes to the queue on HK_OK.
 * @param delay    From the call; not negative, and not #HK_FOREVER.
 * @param timeout  How long to wait for room; 0 tries.
 * @return as hk_queue_put(); HK_EINVAL also for a queue of another order.
 *
 * Cost: grows with the logarithm of the length; reads the clock.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_put_delayed(hk_queue *queue, void *item, hk_duration delay,
                                                    hk_duration timeout);

/**
 * Put many items, in the order of the array, each as hk_queue_put() would. As many as fit are
 * put at once; the rest as room comes, and others may put in between.
 *
 * @param queue     Borrowed.
 * @param items     @p count items; the first @p put of them pass to the queue.
 * @param count     May be 0.
 * @param timeout   For all of them together; 0 puts what fits.
 * @param[out] put  How many were put, whatever the status; 0 with HK_EINVAL and HK_EFORKED.
 * @retval HK_OK         All of them.
 * @return else as hk_queue_put(), which holds for the rest; HK_EINVAL also if @p count is beyond
 * any memory.
 *
 * Cost: in batches of 32 about a fifth of single puts.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_put_many(hk_queue *queue, void *const *items, size_t count,
                                                 hk_duration timeout, size_t *put);

/**
 * Get the next item.
 *
 * @param queue      Borrowed.
 * @param timeout    How long to wait for one; 0 tries.
 * @param[out] item  The caller's from now on; unchanged unless HK_OK.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT  None there, or none due.
 * @retval HK_EDONE    Closed, and nothing left.
 * @retval HK_EDEADLK    The bound putters can never put.
 * @retval HK_ENOMEM     With bound threads or inside a task: no memory to find out whether the wait
 *                       could end.
 * @retval HK_EINVAL     A pointer is NULL or @p timeout negative.
 * @retval HK_EFORKED    The queue belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_get(hk_queue *queue, hk_duration timeout, void **item);

/**
 * Get several items at once: waits for the first one only.
 *
 * @param queue       Borrowed.
 * @param timeout     How long to wait for the first one; 0 tries.
 * @param[out] items  Room for @p max items.
 * @param max         Not 0.
 * @param[out] taken  How many; 0 unless HK_OK, then at least 1.
 * @return as hk_queue_get(); HK_EINVAL also if @p max is 0, or beyond any memory.
 *
 * Cost: in batches of 32 about a fifth of single gets.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_get_many(hk_queue *queue, hk_duration timeout, void **items,
                                                 size_t max, size_t *taken);

/**
 * Refuse further puts. Who waits for room gets HK_ECLOSED; getters get what is left first.
 *
 * @param queue  Borrowed; may be closed already.
 * @retval HK_OK
 * @retval HK_EINVAL   @p queue is NULL.
 * @retval HK_EFORKED  The queue belongs to the parent process.
 */
HK_API hk_status hk_queue_close(hk_queue *queue);

/**
 * Tell that items which were got are also done with: what hk_queue_join() waits for.
 *
 * @param queue  Borrowed.
 * @param count  How many items, for whole batches; 0 does nothing.
 * @retval HK_OK
 * @retval HK_ESTATE   More than were put and are not done; nothing happened.
 * @retval HK_EINVAL   @p queue is NULL.
 * @retval HK_EFORKED  The queue belongs to the parent process.
 */
HK_API hk_status hk_queue_task_done(hk_queue *queue, size_t count);

/**
 * Wait until every item that was put is done with.
 *
 * Being so once is enough: a put that follows at once does not keep a joiner. A close neither
 * ends nor loses one.
 *
 * @param queue    Borrowed.
 * @param timeout  0 asks.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT  Some are not done.
 * @retval HK_EDEADLK    The bound getters can never be done.
 * @retval HK_ENOMEM     With bound threads or inside a task: no memory to find out whether the wait
 *                       could end.
 * @retval HK_EINVAL     @p queue is NULL or @p timeout negative.
 * @retval HK_EFORKED    The queue belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_join(hk_queue *queue, hk_duration timeout);

/**
 * How many items it holds.
 *
 * @param queue  Borrowed.
 * @return the count, which may be old when it arrives; 0 for NULL, and in a forked child.
 */
HK_API size_t hk_queue_length(const hk_queue *queue);

/**
 * How many items it can hold.
 *
 * @param queue  Borrowed.
 * @return as it was asked for; 0: no limit, or NULL.
 */
HK_API size_t hk_queue_capacity(const hk_queue *queue);

/**
 * A descriptor that is readable while hk_queue_get() would not wait: an item is there and due,
 * or the queue is closed and empty. Belongs to the queue: poll it, do not read or close it.
 *
 * @param queue    Borrowed.
 * @param[out] fd  An eventfd; of a delay queue a timerfd.
 * @retval HK_OK
 * @retval HK_ESYS     No descriptor to be had; errno tells.
 * @retval HK_EINVAL   A pointer is NULL.
 * @retval HK_EFORKED  The queue belongs to the parent process.
 *
 * Cost: from now on a system call whenever the queue becomes empty, or is no longer.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_fd(hk_queue *queue, int *fd);

/**
 * Declare the calling thread as one who will put or get.
 *
 * Then those who wait for an item wait for the bound putters, those who wait for room or join
 * for the bound getters, and a wait that none of them can ever end gives HK_EDEADLK. A side on
 * which nobody is bound is as before: anybody might come. So it is again when the last bound one
 * has left: who then waits for ever is not told, and who leaves closes the queue. Inside a task it
 * holds until the task ends, else until hk_queue_unbind(), which a thread must call before it ends.
 *
 * @param queue  Borrowed.
 * @param sides  #HK_QUEUE_PUTTER, #HK_QUEUE_GETTER, or both joined by |.
 * @retval HK_OK       Also if it was bound before.
 * @retval HK_ENOMEM   Nothing has changed.
 * @retval HK_EINVAL   @p queue is NULL, or @p sides no side.
 * @retval HK_EFORKED  The queue belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_bind(hk_queue *queue, unsigned sides);

/**
 * Take back what hk_queue_bind() declared.
 *
 * @param queue  Borrowed.
 * @param sides  Those to take back.
 * @retval HK_OK
 * @retval HK_ESTATE   The calling thread is not bound to one of them; nothing has changed.
 * @retval HK_EINVAL   @p queue is NULL, or @p sides no side.
 * @retval HK_EFORKED  The queue belongs to the parent process.
 */
HK_API hk_status hk_queue_unbind(hk_queue *queue, unsigned sides);

/**
 * Wait until one of several queues has an item, or is closed and empty: until hk_queue_get() on
 * it would not wait. Another thread may get that item first.
 *
 * Calls of one thread look at the queues in turn, so that none is forgotten.
 *
 * @param queues      @p count borrowed queues. NULL entries are passed over, so that one which is
 *                    closed can be struck out.
 * @param count       At least one that is not NULL.
 * @param timeout     0 asks.
 * @param[out] which  Its place in @p queues; unchanged unless HK_OK.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT
 * @retval HK_EDEADLK    None of the bound putters of any can ever put.
 * @retval HK_ENOMEM     More than 16 queues, and no memory to wait for them; or as hk_queue_get().
 * @retval HK_EINVAL     A pointer is NULL, there is no queue, @p timeout is negative, or @p count
 *                       beyond any memory.
 * @retval HK_EFORKED    A queue belongs to the parent process.
 */
HK_API HK_MUST_CHECK hk_status hk_queue_select(hk_queue *const *queues, size_t count,
                                               hk_duration timeout, size_t *which);

/**
 * Get an item from one of several queues: the wait of hk_queue_select() and the get in one, which
 * no other getter comes between.
 *
 * @param queues      As for hk_queue_select().
 * @param count       As for hk_queue_select().
 * @param timeout     0 tries.
 * @param[out] item   The caller's from now on; unchanged unless HK_OK.
 * @param[out] which  Where it came from; may be NULL.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT
 * @retval HK_EDONE    All of them are closed and empty.
 * @return else as hk_queue_select().
 */
HK_API HK_MUST_CHECK hk_status hk_queue_get_any(hk_queue *const *queues, size_t count,
                                                hk_duration timeout, void **item, size_t *which);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
