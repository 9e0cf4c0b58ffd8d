/* SPDX-License-Identifier: MIT */
/* Getting out of a ring. */
#include "base/array.h"
#include "sync/ring_impl.h"

/* What is wanted, and how much there was. */
struct wish {
    void **items;
    size_t max;
    size_t taken;
};

/* HK_ETIMEDOUT: nothing there. In line, so that one item is no loop. */
static inline __attribute__((always_inline)) hk_status take_some(hk_ring *ring, void **items,
                                                                 size_t max, size_t *taken)
{
    enum hki_cells_result result = hki_cells_take(&ring->cells, items, max, taken);

    if (__builtin_expect(result != HKI_CELLS_DONE, 0)) {
        return result == HKI_CELLS_NOT_NOW ? HK_ETIMEDOUT : HK_EDONE;
    }
    hki_eventcount_notify(&ring->room);
    hki_ring_changed(ring);
    return HK_OK;
}

static hk_status attempt(hk_ring *ring, void *state)
{
    struct wish *wish = state;

    return take_some(ring, wish->items, wish->max, &wish->taken);
}

static bool is_more(hk_ring *ring)
{
    return hki_cells_can_take(&ring->cells);
}

__attribute__((noinline)) static hk_status wait_and_take(hk_ring *ring, struct wish *wish,
                                                         hk_duration timeout)
{
    struct hki_ring_wait wait = {
        &ring->items, {&hki_ring_getter_ops, ring}, &ring->sides.putters, attempt, is_more};

    return hki_ring_wait(ring, &wait, wish, timeout);
}

hk_status hk_ring_get(hk_ring *ring, hk_duration timeout, void **item)
{
    hk_status status = hki_ring_usable(ring, timeout);
    size_t taken;

    if (item == NULL) {
        return HK_EINVAL;
    }
    if (status != HK_OK) {
        return status;
    }
    status = take_some(ring, item, 1, &taken);
    if (__builtin_expect(status == HK_ETIMEDOUT && timeout != 0, 0)) {
        return wait_and_take(ring, &(struct wish){item, 1, 0}, timeout);
    }
    return status;
}

hk_status hk_ring_get_many(hk_ring *ring, hk_duration timeout, void **items, size_t max,
                           size_t *taken)
{
    struct wish wish = {items, max, 0};
    hk_status status = hki_ring_usable(ring, timeout);

    if (taken == NULL) {
        return HK_EINVAL;
    }
    *taken = 0;
    if (items == NULL || max == 0 || !hki_array_exists(max, sizeof(*items))) {
        return HK_EINVAL;
    }
    if (status != HK_OK) {
        return status;
    }
    status = attempt(ring, &wish);
    if (status == HK_ETIMEDOUT && timeout != 0) {
        status = wait_and_take(ring, &wish, timeout);
    }
    *taken = wish.taken;
    return status;
}
