/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_map Map and reduce
 * @brief One task over many items, lazily, in order or not.
 *
 * Items are pulled from a source only when the window has room, so that an
 * endless source works and memory stays bounded. Several items travel together
 * as a chunk; one bad item costs one item, and a worker process that dies costs those of its
 * chunk that had not ended.
 *
 * **Thread safety.** One thread at a time uses an iterator.
 * **Ownership.** The caller owns the iterator; a delivered item is the caller's.
 * @{
 */
#ifndef HOCKET_MAP_H
#define HOCKET_MAP_H

#include <hocket/executor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One item of input, filled in by a source. */
typedef struct hk_map_input {
    const void *data; /**< Copied at once; or a reference, if size is #HK_BY_REF. */
    size_t size;      /**< Bytes. */
    hk_drop_fn *drop; /**< For a reference: releases it once, right after its item ended. */
} hk_map_input;

/**
 * Gives the next item. Called by the thread that reads the map, never
 * concurrently with itself. It may cancel its map, and even destroy it; hk_map_next() of that
 * map gives HK_ESTATE in it.
 *
 * @param state       As given to hk_map().
 * @param[out] input  All zero before.
 * @return HK_OK with an item, HK_EDONE at the end, any other status to fail: what was pulled
 *         before is still delivered, then hk_map_next() returns that status once.
 */
typedef hk_status hk_source_fn(void *state, hk_map_input *input);

/** An array as a source: pass hk_array_source_next and a pointer to this. */
typedef struct hk_array_source {
    const void *items; /**< count elements of stride bytes. */
    size_t count;      /**< How many. */
    size_t stride;     /**< Bytes of one. */
    size_t next;       /**< Starts at 0. */
} hk_array_source;

/**
 * The source function for an array.
 *
 * @param state  A hk_array_source.
 * @param input  Receives the next element.
 * @return HK_OK, HK_EDONE, or HK_EINVAL for a NULL.
 */
HK_API hk_status hk_array_source_next(void *state, hk_map_input *input);

/** How a map runs; NULL or all zero means defaults. */
typedef struct hk_map_options {
    size_t size;          /**< sizeof this struct, or 0. */
    size_t window;        /**< Most chunks in flight, undelivered ones included; 0: 2 x workers. At
                               most 2^20. */
    size_t chunk;         /**< Items that travel together; 0: chosen from the measured time of an
                               item, 200 to 500 us a chunk. At most 2^20. */
    size_t count;         /**< Items in all, if known: keeps chunks fair at the end. */
    bool unordered;       /**< Deliver as they finish. */
    hk_duration timeout;  /**< Run limit of an item; 0: none. With it chunks are of one item unless
                               chunk says otherwise; in a larger chunk it is judged when the item
                               returns. */
    hk_duration limit;    /**< For the whole map, from the call; 0: none. */
    hk_priority priority; /**< Lane. */
    hk_cancel_token *token; /**< Cancels what is in flight. Borrowed; kept as long as needed. */
    const char *label;      /**< Copied; shown in errors. */
} hk_map_options;

/** One result. */
typedef struct hk_map_item {
    uint64_t index;        /**< Its place in the source, from 0. */
    hk_status status;      /**< HK_OK, or why this item has no value. */
    const void *data;      /**< The value, aligned for any type of that size; NULL for no bytes. */
    size_t size;           /**< Its bytes or #HK_BY_REF. */
    const hk_error *error; /**< For a failure its details. */
    void *owner;           /**< Private: what hk_map_item_drop() releases. */
} hk_map_item;

/** Opaque. */
typedef struct hk_map_iterator hk_map_iterator;

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_map_at(const hk_site *site, hk_executor *executor,
                                         const hk_task *task, hk_source_fn *source, void *state,
                                         const hk_map_options *options, hk_map_iterator **out);
/** @endcond */

/**
 * Begin to map a task over a source: hk_map(hk_executor *executor, const hk_task
 * *task, hk_source_fn *source, void *state, const hk_map_options *options,
 * hk_map_iterator **out). Work starts here, up to the window.
 *
 * @param executor  Borrowed; must outlive the iterator's last hk_map_next().
 * @param task      Sees one item as its input.
 * @param source    Gives the items.
 * @param state     For the source; must live until the source has ended or failed, or the map was
 *                  cancelled or destroyed.
 * @param options   NULL for defaults.
 * @param out       Receives the iterator, ended by hk_map_destroy().
 * @return HK_OK; or, before anything ran: HK_EINVAL, HK_ENOMEM, HK_EFORKED, and what hk_submit()
 *         gives for the first chunk (HK_ECLOSED, HK_EINIT, HK_EBROKEN, HK_ECANCELED, HK_EFULL,
 *         HK_ESYS, HK_EDEADLK, HK_ENOTASK, HK_ESTATE). What is wrong with the source and its items
 *         hk_map_next() tells.
 */
#define hk_map(executor, task, source, state, options, out)                                        \
    hk_map_at(HK_SITE, (executor), (task), (source), (state), (options), (out))

/**
 * Wait for the next result and pull more from the source.
 *
 * @param iterator   Borrowed.
 * @param timeout    0 polls; #HK_FOREVER waits without limit.
 * @param[out] item  A result, to be ended with hk_map_item_drop(); a failed item is a result too.
 * @retval HK_OK
 * @retval HK_EDONE      Nothing is left; so for ever.
 * @retval HK_ETIMEDOUT  None within @p timeout: call again. Or the limit of the whole map ran out:
 *                       once, the rest is cancelled, then comes HK_EDONE.
 * @retval HK_EDEADLK    This wait could never end.
 * @retval HK_ENOMEM     Inside a task: no memory to find out whether it could end. Or, once, none
 *                       for the next items: see below. Either way call again.
 * @retval HK_EINVAL     A pointer is NULL or @p timeout negative.
 * @retval HK_ESTATE     Called by its own source, or by a task that a call of it runs.
 * @retval HK_EFORKED    It belongs to the parent process.
 * @return or, once, after what was pulled before: why there are no more items. The status of a
 *         source that failed or of a submit that was refused; HK_EPORTABLE for an item by reference
 *         where that cannot be, HK_ETOOBIG for one over the executor's max_payload, HK_ENOMEM.
 */
HK_API HK_MUST_CHECK hk_status hk_map_next(hk_map_iterator *iterator, hk_duration timeout,
                                           hk_map_item *item);

/**
 * Release a result.
 *
 * @param item  Emptied; NULL is allowed.
 */
HK_API void hk_map_item_drop(hk_map_item *item);

/**
 * Cancel what is queued, ask items under way to stop (hk_should_stop()), drop unread results,
 * wait for nothing; hk_map_next() gives HK_EDONE from now on.
 *
 * @param iterator  Borrowed.
 * @retval HK_OK
 * @retval HK_EINVAL   NULL.
 */
HK_API hk_status hk_map_cancel(hk_map_iterator *iterator);

/**
 * hk_map_cancel(), and release the iterator. Items under way are asked to stop and not waited
 * for: what they refer to stays in use until their drop functions were called. To know that
 * nothing is under way, read the map to HK_EDONE before.
 *
 * @param iterator  Taken; NULL is allowed.
 */
HK_API void hk_map_destroy(hk_map_iterator *iterator);

/**
 * Takes one result into an accumulator. Runs in the caller's thread, one at a
 * time, in the map's order.
 *
 * @param accumulator  As given.
 * @param item         Borrowed; a failed item comes with its status.
 * @return HK_OK to go on; anything else ends the map with that status.
 */
typedef hk_status hk_reduce_fn(void *accumulator, const hk_map_item *item);

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_map_reduce_at(const hk_site *site, hk_executor *executor,
                                                const hk_task *task, hk_source_fn *source,
                                                void *state, hk_reduce_fn *reduce,
                                                void *accumulator, const hk_map_options *options);
/** @endcond */

/**
 * Map and reduce, start to end: hk_map_reduce(hk_executor *executor, const
 * hk_task *task, hk_source_fn *source, void *state, hk_reduce_fn *reduce, void
 * *accumulator, const hk_map_options *options).
 *
 * @param executor     Borrowed.
 * @param task         Sees one item as its input.
 * @param source       Gives the items.
 * @param state        For the source.
 * @param reduce       Takes the results.
 * @param accumulator  For @p reduce.
 * @param options      As in hk_map().
 * @return HK_OK when every item was reduced; the status of @p reduce, of the source, or of
 *         hk_map() and hk_map_next().
 */
#define hk_map_reduce(executor, task, source, state, reduce, accumulator, options)                 \
    hk_map_reduce_at(HK_SITE, (executor), (task), (source), (state), (reduce), (accumulator),      \
                     (options))

#ifdef __cplusplus
}
#endif

/** @} */
#endif
