/* SPDX-License-Identifier: MIT */
/*
 * Hocket's parallel for.
 */
#include "bench/hocket_bench/peer_hocket.h"

static hk_status answer_some(hk_range *range, size_t begin, size_t end, void *context)
{
    uint64_t *answers = context;

    (void)range;
    for (size_t i = begin; i < end; i++) {
        answers[i] = work_trivial(i);
    }
    return HK_OK;
}

void hocket_range(void *pool, uint64_t *answers, uint64_t n)
{
    hk_range range;

    hocket_must(hk_parallel_for(&range, pool, 0, n, answer_some, answers, NULL), "hk_parallel_for");
}
