/* SPDX-License-Identifier: MIT */
#include "sync/contention.h"

#include <hocket/lock.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* A line is found by hashing its site; a place is claimed once and never given up, so
 * reading needs no lock. */
enum { PLACES = 1024, PLACES_BITS = 10 };

enum { UNNAMED, BEING_NAMED, NAMED };

struct place {
    _Atomic(const hk_site *) site;
    atomic_int naming;
    char name[HK_LOCK_NAME_BYTES]; /* A copy: the lock's own goes with the lock. */
    atomic_uint_fast64_t waits;
    atomic_int_fast64_t waited_ns;
    atomic_int_fast64_t longest_ns;
};

static struct place places[PLACES];

static struct place *place_of(const hk_site *site)
{
    uint64_t mixed = (uint64_t)(uintptr_t)site * UINT64_C(0x9E3779B97F4A7C15);
    size_t at = (size_t)(mixed >> (64 - PLACES_BITS));

    for (size_t tried = 0; tried < PLACES; tried++, at = (at + 1) % PLACES) {
        const hk_site *found = atomic_load(&places[at].site);

        if (found == site ||
            (found == NULL &&
             (atomic_compare_exchange_strong(&places[at].site, &found, site) || found == site))) {
            return &places[at];
        }
    }
    return NULL;
}

/* The first name stays. */
static void take_name(struct place *place, const char *name)
{
    int naming = UNNAMED;

    if (name != NULL && atomic_load(&place->naming) == UNNAMED &&
        atomic_compare_exchange_strong(&place->naming, &naming, BEING_NAMED)) {
        snprintf(place->name, sizeof(place->name), "%s", name);
        atomic_store(&place->naming, NAMED);
    }
}

void hki_contention_add(const hk_site *site, const char *name, int64_t waited_ns)
{
    struct place *place = place_of(site);
    int_fast64_t longest;

    if (place == NULL) {
        return;
    }
    take_name(place, name);
    atomic_fetch_add(&place->waits, 1);
    atomic_fetch_add(&place->waited_ns, waited_ns);
    longest = atomic_load(&place->longest_ns);
    while (longest < waited_ns &&
           !atomic_compare_exchange_weak(&place->longest_ns, &longest, waited_ns)) {
    }
}

/* Keeps lines[0..count) sorted, the longest first, and at most max of them. */
static size_t insert(hk_lock_contention *lines, size_t count, size_t max,
                     const hk_lock_contention *line)
{
    size_t at = count;

    while (at > 0 && lines[at - 1].waited_ns < line->waited_ns) {
        at--;
    }
    if (at == max) {
        return count;
    }
    count = count < max ? count + 1 : max;
    memmove(&lines[at + 1], &lines[at], (count - at - 1) * sizeof(*lines));
    lines[at] = *line;
    return count;
}

size_t hk_lock_contentions(hk_lock_contention *lines, size_t max)
{
    size_t count = 0;

    for (size_t i = 0; lines != NULL && max != 0 && i < PLACES; i++) {
        hk_lock_contention line = {
            .site = atomic_load(&places[i].site),
            .name = atomic_load(&places[i].naming) == NAMED ? places[i].name : NULL,
            .waits = atomic_load(&places[i].waits),
            .waited_ns = atomic_load(&places[i].waited_ns),
            .longest_ns = atomic_load(&places[i].longest_ns),
        };

        if (line.site != NULL && line.waits != 0) {
            count = insert(lines, count, max, &line);
        }
    }
    return count;
}
