/* SPDX-License-Identifier: MIT */
#include "chaos.h"

#include <hocket/hocket.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { HALF = 32 };

/* Any number from another one, the same one each time. */
static uint64_t scatter(uint64_t number)
{
    /* Odd numbers without a pattern; a product only spreads upwards, so it is folded. */
    number *= UINT64_C(0xd1342543de82ef95);
    number ^= number >> HALF;
    number *= UINT64_C(0xaf251af3b0f025b5);
    return number ^ number >> HALF;
}

void chaos_init(struct chaos *chaos, uint64_t period)
{
    chaos->period = period;
    chaos->seed = scatter((uint64_t)hk_now_ns() ^ (uint64_t)getpid() << HALF);
}

struct fate chaos_fate(const struct chaos *chaos, uint64_t unit_number, uint64_t unit_length,
                       unsigned attempt)
{
    static const enum chaos_moment moments[] = {CHAOS_BEFORE, CHAOS_AMID, CHAOS_AFTER};
    uint64_t drawn = scatter(scatter(chaos->seed + unit_number) + attempt);

    /* Units in a row are spread evenly over the period: so a long run is surely hit. */
    if (chaos->period == 0 || attempt >= CHAOS_ATTEMPTS ||
        (chaos->seed % chaos->period + unit_number) % chaos->period != 0) {
        return (struct fate){.moment = CHAOS_NEVER};
    }
    if (attempt > 1 && drawn % 2 == 0) {
        return (struct fate){.moment = CHAOS_NEVER}; /* Half of those tried again get through. */
    }
    drawn /= 2;
    return (struct fate){
        .moment = moments[drawn % 3],
        .bytes = unit_length == 0 ? 0 : drawn / 3 % unit_length,
    };
}

_Noreturn void chaos_strike(void)
{
    (void)raise(SIGKILL);
    _exit(EXIT_FAILURE); /* Not reached. */
}

void chaos_pack(struct packer *packer, const struct chaos *chaos)
{
    pack_number(packer, chaos->period);
    pack_number(packer, chaos->seed);
}

void chaos_unpack(struct unpacker *unpacker, struct chaos *chaos)
{
    chaos->period = unpack_number(unpacker);
    chaos->seed = unpack_number(unpacker);
}
