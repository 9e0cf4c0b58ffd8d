/* SPDX-License-Identifier: MIT */
#include "base/topology.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"

enum { LIST_MAX = 4096, NONE = UINT16_MAX };

/* Numbers all CPUs of a list; false if it is no list. */
static bool number_list(const char *list, unsigned cpus, uint16_t *group_of, uint16_t group)
{
    for (const char *at = list; *at != '\0' && *at != '\n';) {
        char *end;
        unsigned long first = strtoul(at, &end, 10);
        unsigned long last = first;

        if (end == at) {
            return false;
        }
        if (*end == '-') {
            at = end + 1;
            last = strtoul(at, &end, 10);
            if (end == at) {
                return false;
            }
        }
        for (unsigned long cpu = first; cpu <= last && cpu < cpus; cpu++) {
            group_of[cpu] = group;
        }
        at = *end == ',' ? end + 1 : end;
        if (*end != ',' && *end != '\0' && *end != '\n') {
            return false;
        }
    }
    return true;
}

/* How many groups there are; 0 if it cannot be told. What is not there, such as a CPU that is
 * switched off, is of none. */
static unsigned number_all(unsigned cpus, hki_siblings_fn *siblings, void *arg,
                           enum hki_distance what, uint16_t *group_of)
{
    unsigned groups = 0;
    char list[LIST_MAX];

    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        group_of[cpu] = NONE;
    }
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        if (group_of[cpu] != NONE || !siblings(arg, cpu, what, list, sizeof(list))) {
            continue;
        }
        if (!number_list(list, cpus, group_of, (uint16_t)groups) || group_of[cpu] != groups) {
            return 0;
        }
        groups++;
    }
    return groups;
}

void hki_topology_make(struct hki_topology *topology, unsigned cpus, hki_siblings_fn *siblings,
                       void *arg)
{
    cpus = cpus < HKI_CPUS_KNOWN ? cpus : HKI_CPUS_KNOWN;
    memset(topology, 0, sizeof(*topology));
    topology->caches = number_all(cpus, siblings, arg, HKI_SAME_CACHE, topology->cache_of);
    if (topology->caches == 0 ||
        number_all(cpus, siblings, arg, HKI_SAME_PACKAGE, topology->package_of) == 0) {
        memset(topology, 0, sizeof(*topology));
        topology->caches = 1;
    }
}

static struct hki_topology here;

static bool ask_system(void *arg, unsigned cpu, enum hki_distance what, char *text, size_t size)
{
    (void)arg;
    return what == HKI_SAME_CACHE ? hki_os_cpu_cache_list(cpu, text, size)
                                  : hki_os_cpu_package_list(cpu, text, size);
}

static void read_here(void)
{
    hki_topology_make(&here, hki_os_cpu_highest() + 1, ask_system, NULL);
}

const struct hki_topology *hki_topology_here(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, read_here);
    return &here;
}
