/* SPDX-License-Identifier: MIT */
/* How the calls of a ring sleep, and what the wait-for graph sees of them. */
#include <stdio.h>

#include "base/os.h"
#include "sync/block.h"
#include "sync/ring_impl.h"

/* In a wait that has begun. */
static hk_status attempt(hk_ring *ring, const struct hki_ring_wait *wait, void *state,
                         struct hki_agent *agent)
{
    hk_status status;

    hki_block_attempt_begin(agent);
    status = wait->attempt(ring, state);
    hki_block_attempt_end(agent, status != HK_ETIMEDOUT);
    return status;
}

static hk_status sleep_and_attempt(hk_ring *ring, const struct hki_ring_wait *wait, void *state,
                                   struct hki_agent *agent, int64_t deadline_ns)
{
    hk_status status = HK_ETIMEDOUT;
    hk_status refusal = HK_OK;
    unsigned count = 0;
    bool in_time = true;

    while (status == HK_ETIMEDOUT && refusal == HK_OK && in_time) {
        uint32_t key = hki_eventcount_enter(wait->eventcount);
        bool looks = hki_block_is_looked_at(agent) && hki_parties_any(wait->others);

        if (looks) {
            hki_eventcount_want_all(wait->eventcount);
        }
        status = attempt(ring, wait, state, agent);
        if (status == HK_ETIMEDOUT && looks) {
            refusal = hki_block_look_again(agent, wait->node, false);
        }
        if (status == HK_ETIMEDOUT && refusal == HK_OK) {
            int64_t until_ns = looks ? hki_block_until(agent, deadline_ns, &count) : deadline_ns;

            in_time =
                hki_eventcount_sleep(wait->eventcount, key, until_ns) || until_ns != deadline_ns;
        }
        hki_eventcount_leave(wait->eventcount);
        if (status == HK_ETIMEDOUT) {
            status = attempt(ring, wait, state, agent);
        }
    }
    /* A wake meant for a sibling may have been spent on this thread. */
    if (wait->is_more(ring)) {
        hki_eventcount_wake(wait->eventcount);
    }
    return status == HK_ETIMEDOUT && refusal != HK_OK ? refusal : status;
}

hk_status hki_ring_wait(hk_ring *ring, const struct hki_ring_wait *wait, void *state,
                        hk_duration timeout)
{
    struct hki_agent *agent = hki_agent_self();
    int64_t deadline_ns = hki_deadline(timeout);
    hk_status status;

    atomic_fetch_add(&ring->inside, 1);
    status = hki_block_begin(agent, wait->node, deadline_ns != HKI_NEVER);
    if (status == HK_OK) {
        status = sleep_and_attempt(ring, wait, state, agent, deadline_ns);
        hki_block_end(agent);
    }
    atomic_fetch_sub(&ring->inside, 1);
    return status;
}

static enum hki_wait_kind look_for_item(void *object, size_t *count)
{
    hk_ring *ring = object;

    if (hki_cells_closed(&ring->cells) || hki_cells_can_take(&ring->cells)) {
        return HKI_WAIT_MOVES;
    }
    return hki_parties_look(&ring->sides.putters, HKI_WAIT_ANY, count);
}

static enum hki_wait_kind look_for_room(void *object, size_t *count)
{
    hk_ring *ring = object;

    if (hki_cells_can_put(&ring->cells)) {
        return HKI_WAIT_MOVES;
    }
    return hki_parties_look(&ring->sides.getters, HKI_WAIT_ANY, count);
}

static struct hki_wait_node next_putter(void *object, size_t i)
{
    const hk_ring *ring = object;

    return hki_parties_next(&ring->sides.putters, i);
}

static struct hki_wait_node next_getter(void *object, size_t i)
{
    const hk_ring *ring = object;

    return hki_parties_next(&ring->sides.getters, i);
}

void hki_ring_describe(const char *what, const hk_ring *ring, char *text, size_t size)
{
    bool named = ring->name[0] != '\0';

    snprintf(text, size, "%s ring %p%s%s%s", what, (const void *)ring, named ? " (" : "",
             ring->name, named ? ")" : "");
}

static void describe_item(void *object, char *text, size_t size)
{
    hki_ring_describe("an item of", object, text, size);
}

static void describe_room(void *object, char *text, size_t size)
{
    hki_ring_describe("room in", object, text, size);
}

const struct hki_wait_ops hki_ring_getter_ops = {
    .look = look_for_item, .next = next_putter, .describe = describe_item, .verb = "to be put by"};
const struct hki_wait_ops hki_ring_putter_ops = {
    .look = look_for_room, .next = next_getter, .describe = describe_room, .verb = "to be made by"};
