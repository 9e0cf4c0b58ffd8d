/* SPDX-License-Identifier: MIT */
/* The part of base/os.h that is about CPUs and what they share, as Linux tells in /sys. */
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/os.h"

unsigned hki_os_cpu_here(void)
{
    int cpu = sched_getcpu();

    return cpu < 0 ? 0 : (unsigned)cpu;
}

unsigned hki_os_cpu_highest(void)
{
    long count = sysconf(_SC_NPROCESSORS_CONF);

    return count < 1 ? 0 : (unsigned)count - 1;
}

bool hki_os_cpu_cache_list(unsigned cpu, char *text, size_t size)
{
    char path[96];

    /* The last level has the highest index. */
    for (int index = 5; index >= 0; index--) {
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cache/index%d/shared_cpu_list",
                 cpu, index);
        if (hki_os_read_text(path, text, size)) {
            return true;
        }
    }
    return false;
}

bool hki_os_cpu_package_list(unsigned cpu, char *text, size_t size)
{
    char path[96];

    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/package_cpus_list", cpu);
    if (hki_os_read_text(path, text, size)) {
        return true;
    }
    /* Its name until Linux 5.3. */
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/core_siblings_list", cpu);
    return hki_os_read_text(path, text, size);
}
