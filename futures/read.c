/* SPDX-License-Identifier: MIT */
/* Reading a future: wait, result, take, error, and its descriptor. */
#include <hocket/future.h>

#include <string.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/time.h"
#include "futures/future_impl.h"
#include "futures/wait_impl.h"

hk_status hk_future_wait(hk_future *future, hk_duration timeout)
{
    if (future == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    if (hki_future_ended(future) || (timeout == HK_FOREVER && hki_wait_claim(future))) {
        return HK_OK;
    }
    return hki_wait(&future, 1, HK_ALL_COMPLETED, timeout == 0 ? 0 : hki_deadline(timeout),
                    timeout == 0);
}

/* What an ended future says to a reader. */
static hk_status outcome(hk_future *future)
{
    unsigned state = hki_future_state(future);

    switch (hki_phase(state)) {
    case HKI_DONE:
        return (state & HKI_TAKEN) != 0 ? HK_ESTATE : HK_OK;
    case HKI_FAILED:
        hki_future_observe(future);
        return future->body.error->shown.status;
    default:
        return HK_ECANCELED;
    }
}

hk_status hk_future_result(hk_future *future, hk_duration timeout, const void **value, size_t *size)
{
    hk_status status = hk_future_wait(future, timeout);
    struct hki_value shown;

    if (status != HK_OK || (status = outcome(future)) != HK_OK) {
        return status;
    }
    shown = hki_future_value(future);
    if (value != NULL) {
        *value = shown.data;
    }
    if (size != NULL) {
        *size = shown.size;
    }
    return HK_OK;
}

/* A small value lives in the future: it needs a block to leave it. */
static hk_status move_out(hk_future *future, hk_value *out)
{
    struct hki_value value = hki_future_value(future);
    const struct hki_future_rest *rest = hki_future_rest(future);
    bool is_inside = value.data == future->body.bytes ||
                     (rest != NULL && value.data == (const void *)rest->small);
    void *block = NULL;

    if (is_inside && value.size != 0) {
        if ((block = hki_block_alloc(value.size)) == NULL) {
            return HK_ENOMEM;
        }
        memcpy(block, value.data, value.size);
    }
    if (!hki_future_set_flag(future, HKI_TAKEN, HKI_TAKEN | HKI_SHARED)) {
        hki_block_free(block);
        return HK_ESTATE;
    }
    /* The record stays as it is, for those who read it at this moment (I2). */
    *out = block != NULL ? (hk_value){block, value.size, hki_block_free, block}
                         : (hk_value){value.data, value.size, value.drop, value.owner};
    return HK_OK;
}

hk_status hk_future_take(hk_future *future, hk_duration timeout, hk_value *value)
{
    hk_status status;

    if (value == NULL) {
        return HK_EINVAL;
    }
    if ((status = hk_future_wait(future, timeout)) != HK_OK ||
        (status = outcome(future)) != HK_OK) {
        return status;
    }
    return move_out(future, value);
}

hk_status hk_future_error(hk_future *future, hk_duration timeout, const hk_error **error)
{
    hk_status status;

    if (error == NULL) {
        return HK_EINVAL;
    }
    if ((status = hk_future_wait(future, timeout)) != HK_OK) {
        return status;
    }
    switch (hki_phase(hki_future_state(future))) {
    case HKI_DONE:
        *error = NULL;
        return HK_OK;
    case HKI_FAILED:
        hki_future_observe(future);
        *error = &future->body.error->shown;
        return HK_OK;
    default:
        return HK_ECANCELED;
    }
}

static void fire_fd(struct hki_watch *watch, unsigned phase)
{
    struct hki_future_rest *rest = HKI_CONTAINER(watch, struct hki_future_rest, fd_watch);

    (void)phase;
    hki_os_event_signal(atomic_load(&rest->fd));
}

hk_status hk_future_fd(hk_future *future, int *fd)
{
    struct hki_future_rest *rest;
    hk_status status;
    int known;
    int mine;

    if (future == NULL || fd == NULL) {
        return HK_EINVAL;
    }
    if ((status = hki_future_usable(future)) != HK_OK) {
        return status;
    }
    if ((rest = hki_future_need_rest(future)) == NULL) {
        return HK_ENOMEM;
    }
    if ((known = atomic_load(&rest->fd)) < 0) {
        if ((mine = hki_os_event_create()) < 0) {
            return HK_ESYS;
        }
        if (atomic_compare_exchange_strong(&rest->fd, &known, mine)) {
            known = mine;
            rest->fd_watch.fire = fire_fd;
            if (hki_future_watch(future, &rest->fd_watch) == HKI_WATCH_ENDED) {
                hki_os_event_signal(mine);
            }
        } else {
            hki_os_close(mine); /* Somebody else was first; known is theirs. */
        }
    }
    *fd = known;
    return HK_OK;
}
