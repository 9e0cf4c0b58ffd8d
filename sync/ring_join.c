/* SPDX-License-Identifier: MIT */
/* Waiting until all that was put into a ring is done with. */
#include "sync/ring_impl.h"

hk_status hk_ring_task_done(hk_ring *ring, size_t count)
{
    hk_status status = hki_ring_usable(ring, 0);
    uint64_t done;

    if (status != HK_OK || count == 0) {
        return status;
    }
    done = atomic_load(&ring->done);
    do {
        if (count > hki_cells_tickets(&ring->cells) - done) {
            return HK_ESTATE;
        }
    } while (!atomic_compare_exchange_weak(&ring->done, &done, done + count));
    if (done + count == hki_cells_tickets(&ring->cells)) {
        atomic_fetch_add(&ring->rounds, 1);
        hki_eventcount_wake_all(&ring->end);
    }
    return HK_OK;
}

/* What a joiner waits for. */
struct wish {
    uint64_t rounds; /* When it came. */
};

static hk_status attempt(hk_ring *ring, void *state)
{
    const struct wish *wish = state;

    return atomic_load(&ring->rounds) != wish->rounds ||
                   atomic_load(&ring->done) == hki_cells_tickets(&ring->cells)
               ? HK_OK
               : HK_ETIMEDOUT;
}

static bool is_more(hk_ring *ring)
{
    (void)ring;
    return false; /* All joiners are woken. */
}

hk_status hk_ring_join(hk_ring *ring, hk_duration timeout)
{
    hk_status status = hki_ring_usable(ring, timeout);
    struct hki_ring_wait wait;
    struct wish wish;

    if (status != HK_OK) {
        return status;
    }
    wish.rounds = atomic_load(&ring->rounds);
    status = attempt(ring, &wish);
    if (status != HK_ETIMEDOUT || timeout == 0) {
        return status;
    }
    wait = (struct hki_ring_wait){&ring->end, &hki_ring_joiner_ops, attempt, is_more};
    return hki_ring_wait(ring, &wait, &wish, timeout);
}
