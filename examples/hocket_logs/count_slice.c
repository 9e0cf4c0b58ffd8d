/* SPDX-License-Identifier: MIT */
#include "count_slice.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "unit.h"

static _Atomic uint64_t own_live_bytes;
static _Atomic uint64_t *live_bytes = &own_live_bytes;

void count_slice_share_live_bytes(void)
{
    void *shared =
        mmap(NULL, sizeof(*live_bytes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared != MAP_FAILED) {
        live_bytes = shared;
    }
}

uint64_t count_slice_live_bytes(void)
{
    /* relaxed: a number to be shown, nothing is reached through it. */
    return atomic_load_explicit(live_bytes, memory_order_relaxed);
}

struct watched_call {
    hk_call *call;
    uint64_t done, total;
    struct fate fate;
};

/* Dies, and takes back what it has shown: all of it will be read again. */
static void strike(const struct watched_call *watched)
{
    /* relaxed: a number to be shown, nothing is reached through it. */
    (void)atomic_fetch_sub_explicit(live_bytes, watched->done, memory_order_relaxed);
    chaos_strike();
}

static bool should_stop(void *arg, size_t bytes_read)
{
    struct watched_call *watched = arg;

    watched->done += bytes_read;
    hk_progress(watched->call, watched->done, watched->total);
    /* relaxed: a number to be shown, nothing is reached through it. */
    (void)atomic_fetch_add_explicit(live_bytes, bytes_read, memory_order_relaxed);
    if (watched->fate.moment == CHAOS_AMID && watched->done >= watched->fate.bytes) {
        strike(watched);
    }
    return hk_should_stop(watched->call);
}

static hk_status return_packed(hk_call *call, const struct outcome *outcome,
                               const struct tally *tally)
{
    struct packer packer = {.data = NULL};
    hk_status status;
    void *out;

    outcome_pack(&packer, outcome);
    tally_pack(&packer, tally);
    status = hk_return_reserve(call, packer.used, &out);
    if (status != HK_OK) {
        return status;
    }
    packer = (struct packer){.data = out, .size = packer.used};
    outcome_pack(&packer, outcome);
    tally_pack(&packer, tally);
    return HK_OK;
}

/* Idempotent: it only reads, so it may run again when a worker was lost.
 *
 * Asked to stop, it returns what it has counted so far instead of ending
 * CANCELLED: whoever presses Ctrl-C wants to see the part that was done. */
HK_TASK_FLAGS(count_slice, HK_TASK_IDEMPOTENT)
{
    struct unpacker unpacker = {in, in_size, false};
    struct watched_call watched = {.call = call};
    struct outcome outcome;
    struct input input;
    struct tally tally;
    struct unit unit;
    hk_status status;

    if (!unit_unpack(&unpacker, &unit)) {
        return hk_fail(call, 1, "%zu bytes of input are no unit of work", in_size);
    }
    watched.total = unit.length;
    watched.fate = chaos_fate(&unit.job.chaos, unit.number, unit.length, hk_call_attempt(call));
    if (watched.fate.moment == CHAOS_BEFORE) {
        strike(&watched);
    }
    tally_init(&tally);
    unit_count(&unit, (struct input_watch){should_stop, &watched}, &input, &tally, &outcome);
    status = return_packed(call, &outcome, &tally);
    tally_fini(&tally);
    if (watched.fate.moment != CHAOS_NEVER) {
        strike(&watched);
    }
    return status;
}
