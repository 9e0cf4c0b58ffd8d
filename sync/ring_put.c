/* SPDX-License-Identifier: MIT */
/* Putting into a ring. */
#include "sync/ring_impl.h"

/* What is to be put, and how far it has come. */
struct offer {
    void *const *items;
    size_t count;
    size_t put;
};

/* HK_ETIMEDOUT: there was no room for all. */
static inline hk_status put_what_fits(hk_ring *ring, struct offer *offer)
{
    size_t done = 0;
    enum hki_cells_result result =
        hki_cells_put(&ring->cells, offer->items + offer->put, offer->count - offer->put, &done);

    if (result != HKI_CELLS_DONE) {
        return result == HKI_CELLS_NOT_NOW ? HK_ETIMEDOUT : HK_ECLOSED;
    }
    hki_eventcount_notify(&ring->items);
    hki_ring_changed(ring);
    offer->put += done;
    return offer->put == offer->count ? HK_OK : HK_ETIMEDOUT;
}

static hk_status attempt(hk_ring *ring, void *state)
{
    return put_what_fits(ring, state);
}

static bool is_more_room(hk_ring *ring)
{
    return hki_cells_can_put(&ring->cells);
}

__attribute__((noinline)) static hk_status wait_and_put(hk_ring *ring, struct offer *offer,
                                                        hk_duration timeout)
{
    struct hki_ring_wait wait = {&ring->room, {&hki_ring_putter_ops, ring}, attempt, is_more_room};

    return hki_ring_wait(ring, &wait, offer, timeout);
}

hk_status hk_ring_put(hk_ring *ring, void *item, hk_duration timeout)
{
    struct offer offer = {&item, 1, 0};
    hk_status status = hki_ring_usable(ring, timeout);

    if (status != HK_OK) {
        return status;
    }
    status = put_what_fits(ring, &offer);
    return status != HK_ETIMEDOUT || timeout == 0 ? status : wait_and_put(ring, &offer, timeout);
}

hk_status hk_ring_put_many(hk_ring *ring, void *const *items, size_t count, hk_duration timeout,
                           size_t *put)
{
    struct offer offer = {items, count, 0};
    hk_status status = hki_ring_usable(ring, timeout);

    if (put == NULL) {
        return HK_EINVAL;
    }
    *put = 0;
    if (status != HK_OK || count == 0) {
        return status;
    }
    if (items == NULL) {
        return HK_EINVAL;
    }
    do { /* What fits may be in two pieces, when a slow getter is passed by others. */
        size_t before = offer.put;

        status = put_what_fits(ring, &offer);
        if (offer.put == before) {
            break;
        }
    } while (status == HK_ETIMEDOUT);
    if (status == HK_ETIMEDOUT && timeout != 0) {
        status = wait_and_put(ring, &offer, timeout);
    }
    *put = offer.put;
    return status;
}
