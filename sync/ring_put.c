/* SPDX-License-Identifier: MIT */
/* Putting into a ring. */
#include "base/array.h"
#include "sync/ring_impl.h"

/* What is to be put, and how far it has come. */
struct offer {
    void *const *items;
    size_t count;
    size_t put;
};

/* HK_ETIMEDOUT: there was no room. In line, so that one item is no loop. */
static inline __attribute__((always_inline)) hk_status put_some(hk_ring *ring, void *const *items,
                                                                size_t count, size_t *put)
{
    enum hki_cells_result result = hki_cells_put(&ring->cells, items, count, put);

    if (__builtin_expect(result != HKI_CELLS_DONE, 0)) {
        return result == HKI_CELLS_NOT_NOW ? HK_ETIMEDOUT : HK_ECLOSED;
    }
    hki_eventcount_notify(&ring->items);
    hki_ring_changed(ring);
    return HK_OK;
}

/* HK_ETIMEDOUT: there was no room for all. */
static hk_status put_what_fits(hk_ring *ring, struct offer *offer)
{
    size_t put = 0;
    hk_status status = put_some(ring, offer->items + offer->put, offer->count - offer->put, &put);

    offer->put += put;
    return status == HK_OK && offer->put != offer->count ? HK_ETIMEDOUT : status;
}

static hk_status attempt(hk_ring *ring, void *state)
{
    return put_what_fits(ring, state);
}

static bool is_more_room(hk_ring *ring)
{
    return hki_cells_can_put(&ring->cells);
}

static hk_status wait_and_put(hk_ring *ring, struct offer *offer, hk_duration timeout)
{
    struct hki_ring_wait wait = {
        &ring->room, {&hki_ring_putter_ops, ring}, &ring->sides.getters, attempt, is_more_room};

    return hki_ring_wait(ring, &wait, offer, timeout);
}

/* The item comes by value: so it stays in a register until somebody has to wait. */
__attribute__((noinline)) static hk_status wait_and_put_one(hk_ring *ring, void *item,
                                                            hk_duration timeout)
{
    struct offer offer = {&item, 1, 0};

    return wait_and_put(ring, &offer, timeout);
}

hk_status hk_ring_put(hk_ring *ring, void *item, hk_duration timeout)
{
    hk_status status = hki_ring_usable(ring, timeout);
    size_t put;

    if (status != HK_OK) {
        return status;
    }
    status = put_some(ring, &item, 1, &put);
    if (__builtin_expect(status == HK_ETIMEDOUT && timeout != 0, 0)) {
        return wait_and_put_one(ring, item, timeout);
    }
    return status;
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
    if (items == NULL || !hki_array_exists(count, sizeof(*items))) {
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
