/* SPDX-License-Identifier: MIT */
/*
 * A place where callbacks can be run. Futures know no executors; an executor
 * begins with this record, so that a pointer to it can be used as a place.
 */
#ifndef HOCKET_FUTURES_PLACE_H
#define HOCKET_FUTURES_PLACE_H

#include <hocket/future.h>

#include "sync/wait_node.h"

struct hki_place {
    /* Runs fn(arg) once, sometime, on a thread of the place. On any status but
     * HK_OK it never will. */
    hk_status (*post)(struct hki_place *place, void (*fn)(void *arg), void *arg);
    /* Whether its threads are of this process; a place elsewhere takes no functions. */
    bool is_here;
    /* How what was posted, and has not begun, can move: see sync/wait_node.h. */
    enum hki_wait_kind (*look)(struct hki_place *place, size_t *count);
    struct hki_wait_node (*next)(struct hki_place *place, size_t i);
};

/* HK_OK, or HK_EPORTABLE; NULL stands for the thread that ends the future. */
static inline hk_status hki_place_check(const hk_executor *executor)
{
    const struct hki_place *place = (const struct hki_place *)(const void *)executor;

    return place == NULL || place->is_here ? HK_OK : HK_EPORTABLE;
}

static inline hk_status hki_place_post(hk_executor *executor, void (*fn)(void *arg), void *arg)
{
    struct hki_place *place = (struct hki_place *)(void *)executor;

    return place->post(place, fn, arg);
}

#endif
