/* SPDX-License-Identifier: MIT */
#include <hocket/map.h>

hk_status hk_map_reduce_at(hk_executor *executor, const hk_site *site, const hk_task *task,
                           hk_source_fn *source, void *state, hk_reduce_fn *reduce,
                           void *accumulator, const hk_map_options *options)
{
    hk_map_iterator *it;
    hk_map_item item;
    hk_status status;

    if (reduce == NULL) {
        return HK_EINVAL;
    }
    if ((status = hk_map_at(executor, site, task, source, state, options, &it)) != HK_OK) {
        return status;
    }
    while ((status = hk_map_next(it, HK_FOREVER, &item)) == HK_OK) {
        status = reduce(accumulator, &item);
        hk_map_item_drop(&item);
        if (status != HK_OK) {
            hk_map_close(it);
            return status; /* Whatever it is: also HK_EDONE. */
        }
    }
    hk_map_close(it);
    return status == HK_EDONE ? HK_OK : status;
}
