/* SPDX-License-Identifier: MIT */
/*
 * apr_threadkey.
 */
#include <apr_general.h>
#include <apr_thread_proc.h>

#include "bench/harness/harness.h"
#include "bench/sync/local_peer.h"

static apr_pool_t *pool;
static apr_threadkey_t *keys[LOCALS_MAX];
static size_t key_count;

static void begin(size_t count)
{
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        bench_die("apr_pool_create");
    }
    for (size_t i = 0; i < count; i++) {
        if (apr_threadkey_private_create(&keys[i], local_drop, pool) != APR_SUCCESS) {
            bench_die("apr_threadkey_private_create");
        }
    }
    key_count = count;
}

static void end(void)
{
    for (size_t i = 0; i < key_count; i++) {
        void *object = NULL;

        apr_threadkey_private_get(&object, keys[i]);
        local_drop(object);
        apr_threadkey_private_delete(keys[i]);
    }
    apr_pool_destroy(pool);
    apr_terminate();
}

static inline struct local_object *local_get(size_t place)
{
    void *object = NULL;

    if (apr_threadkey_private_get(&object, keys[place]) != APR_SUCCESS) {
        bench_die("apr_threadkey_private_get");
    }
    if (object == NULL) {
        object = local_make();
        if (apr_threadkey_private_set(object, keys[place]) != APR_SUCCESS) {
            bench_die("apr_threadkey_private_set");
        }
    }
    return object;
}

#include "bench/sync/local_loops.h"

const struct local_peer local_apr = {begin, end, local_count_up, local_touch, NULL, NULL};
