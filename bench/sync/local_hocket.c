/* SPDX-License-Identifier: MIT */
/*
 * hk_local; and hk_local_fold, which also counts threads that have ended.
 */
#include <hocket/local.h>

#include "bench/harness/harness.h"
#include "bench/sync/local_peer.h"

static hk_local *locals[LOCALS_MAX];
static size_t local_count;

static hk_status make(void *arg, void **object)
{
    (void)arg;
    *object = local_make();
    return HK_OK;
}

static void fold(void *total, const void *object)
{
    *(uint64_t *)total += ((const struct local_object *)object)->counter;
}

static void begin(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (hk_local_create(make, local_drop, NULL, &locals[i]) != HK_OK) {
            bench_die("hk_local_create");
        }
    }
    local_count = count;
}

/* Of ended threads. */
static uint64_t retired;

static void begin_fold(size_t count)
{
    begin(count);
    retired = 0;
    if (hk_local_retire(locals[0], fold, &retired) != HK_OK) {
        bench_die("hk_local_retire");
    }
}

static void end(void)
{
    for (size_t i = 0; i < local_count; i++) {
        if (hk_local_destroy(locals[i]) != HK_OK) {
            bench_die("hk_local_destroy");
        }
    }
}

static inline struct local_object *local_get(size_t place)
{
    return hk_local_get(locals[place]);
}

#include "bench/sync/local_loops.h"

static void add_one(void *object, void *total)
{
    fold(total, object);
}

static uint64_t add_up(void)
{
    uint64_t sum = 0;

    if (hk_local_each(locals[0], add_one, &sum) != HK_OK) {
        bench_die("hk_local_each");
    }
    return sum;
}

static uint64_t add_up_fold(void)
{
    uint64_t sum = 0;

    if (hk_local_fold(locals[0], &sum) != HK_OK) {
        bench_die("hk_local_fold");
    }
    return sum;
}

const struct local_peer local_hocket = {begin, end, local_count_up, local_touch, NULL, add_up};
const struct local_peer local_hocket_fold = {begin_fold,  end,  local_count_up,
                                             local_touch, NULL, add_up_fold};
