/* SPDX-License-Identifier: MIT */
/* Waiting until all that was put into a ring is done with. */
#include "sync/ring_impl.h"

/* All was done at one moment, when so many tickets had been taken. */
static void note_settled(hk_ring *ring, uint64_t tickets)
{
    uint64_t known = atomic_load(&ring->settled);

    while (known < tickets && !atomic_compare_exchange_weak(&ring->settled, &known, tickets)) {
    }
}

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
        note_settled(ring, done + count);
        hki_eventcount_wake_all(&ring->end);
    }
    return HK_OK;
}

/*
 * What a joiner waits for: a moment since it came in which all was done. Such a moment is
 * told of by the tickets taken then, and only later; told with fewer than it found, it was
 * before.
 */
struct wish {
    hk_ring *ring;
    uint64_t tickets; /* When it came. */
};

/* All is done, or was since, even if more has been put by now. */
static bool is_granted(const struct wish *wish)
{
    hk_ring *ring = wish->ring;
    /* In this order: read the other way round, they may never have been equal. */
    uint64_t done = atomic_load(&ring->done);
    uint64_t tickets = hki_cells_tickets(&ring->cells);

    return done == tickets || atomic_load(&ring->settled) >= wish->tickets;
}

static hk_status attempt(hk_ring *ring, void *state)
{
    (void)ring;
    return is_granted(state) ? HK_OK : HK_ETIMEDOUT;
}

static enum hki_wait_kind look(void *object, size_t *count)
{
    const struct wish *wish = object;

    return is_granted(wish) ? HKI_WAIT_MOVES
                            : hki_parties_look(&wish->ring->sides.getters, HKI_WAIT_ANY, count);
}

static struct hki_wait_node next(void *object, size_t i)
{
    return hki_parties_next(&((const struct wish *)object)->ring->sides.getters, i);
}

static void describe(void *object, char *text, size_t size)
{
    hki_ring_describe("all of", ((const struct wish *)object)->ring, text, size);
}

static const struct hki_wait_ops ops = {
    .look = look, .next = next, .describe = describe, .verb = "held up by"};

static bool is_more(hk_ring *ring)
{
    (void)ring;
    return false; /* All joiners are woken. */
}

hk_status hk_ring_join(hk_ring *ring, hk_duration timeout)
{
    hk_status status = hki_ring_usable(ring, timeout);
    struct hki_ring_wait wait;
    struct wish wish = {.ring = ring};

    if (status != HK_OK) {
        return status;
    }
    wish.tickets = hki_cells_tickets(&ring->cells);
    status = attempt(ring, &wish);
    if (status != HK_ETIMEDOUT || timeout == 0) {
        return status;
    }
    wait =
        (struct hki_ring_wait){&ring->end, {&ops, &wish}, &ring->sides.getters, attempt, is_more};
    return hki_ring_wait(ring, &wait, &wish, timeout);
}
