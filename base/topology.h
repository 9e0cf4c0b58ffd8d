/* SPDX-License-Identifier: MIT */
/*
 * Which CPUs are near each other: those that share a last-level cache, those of one package
 * (where memory is as near), and the rest.
 */
#ifndef HOCKET_BASE_TOPOLOGY_H
#define HOCKET_BASE_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HKI_CPUS_KNOWN = 1024 }; /* Those with higher numbers count as far from all. */

enum hki_distance { HKI_SAME_CACHE, HKI_SAME_PACKAGE, HKI_ELSEWHERE, HKI_DISTANCES };

struct hki_topology {
    unsigned caches; /* 1: all are equally near, or nothing is known. */
    uint16_t cache_of[HKI_CPUS_KNOWN];
    uint16_t package_of[HKI_CPUS_KNOWN];
};

/* Writes the CPUs that share it with this one, as the kernel lists them: "0-3,8-11". False: it
 * is not known, or there is no such CPU. */
typedef bool hki_siblings_fn(void *arg, unsigned cpu, enum hki_distance what, char *text,
                             size_t size);

/* Asks for the first CPU of each cache and package. If one is not known all are one. */
void hki_topology_make(struct hki_topology *topology, unsigned cpus, hki_siblings_fn *siblings,
                       void *arg);

/* This machine's, read by the first who asks. */
const struct hki_topology *hki_topology_here(void);

static inline enum hki_distance hki_topology_distance(const struct hki_topology *topology,
                                                      unsigned one, unsigned other)
{
    if (one >= HKI_CPUS_KNOWN || other >= HKI_CPUS_KNOWN) {
        return HKI_ELSEWHERE;
    }
    return topology->cache_of[one] == topology->cache_of[other]       ? HKI_SAME_CACHE
           : topology->package_of[one] == topology->package_of[other] ? HKI_SAME_PACKAGE
                                                                      : HKI_ELSEWHERE;
}

#endif
