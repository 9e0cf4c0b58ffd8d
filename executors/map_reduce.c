/* SPDX-License-Identifier: MIT */
#include "executors/map_chunk.h"

/* References of a chunk's items that were reduced, given back together with the last of them:
 * one by one they would be the dearest part of a small item's way. */
struct kept {
    struct hki_chunk *chunk;
    unsigned count;
};

static void give_back(struct kept *kept)
{
    if (kept->count != 0) {
        hki_chunk_unref(kept->chunk, kept->count);
        kept->count = 0;
    }
}

static void end_item(struct kept *kept, hk_map_item *item)
{
    /* Items of a chunk come one after the other. */
    kept->chunk = hki_map_item_empty(item);
    kept->count++;
    if (kept->chunk->delivered == kept->chunk->count) {
        give_back(kept); /* Its memory may be what the next one waits for. */
    }
}

hk_status hk_map_reduce_at(const hk_site *site, hk_executor *executor, const hk_task *task,
                           hk_source_fn *source, void *state, hk_reduce_fn *reduce,
                           void *accumulator, const hk_map_options *options)
{
    struct kept kept = {NULL, 0};
    hk_map_iterator *it;
    hk_map_item item;
    hk_status status;
    hk_status reduced = HK_OK;

    if (reduce == NULL) {
        return HK_EINVAL;
    }
    if ((status = hk_map_at(site, executor, task, source, state, options, &it)) != HK_OK) {
        return status;
    }
    while (reduced == HK_OK && (status = hk_map_next(it, HK_FOREVER, &item)) == HK_OK) {
        reduced = reduce(accumulator, &item);
        end_item(&kept, &item);
    }
    give_back(&kept);
    hk_map_destroy(it);
    if (reduced != HK_OK) {
        return reduced; /* Whatever it is: also HK_EDONE. */
    }
    return status == HK_EDONE ? HK_OK : status;
}
