/* SPDX-License-Identifier: MIT */
/* The part of base/os.h that is about CPUs and what they share, as Linux tells in /sys. */
#include <fcntl.h>
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

/* All of a small file, ended with a zero. */
static bool read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;

    if (fd < 0) {
        return false;
    }
    got = read(fd, text, size - 1);
    close(fd);
    if (got <= 0) {
        return false;
    }
    text[got] = '\0';
    return true;
}

bool hki_os_cpu_cache_list(unsigned cpu, char *text, size_t size)
{
    char path[96];

    /* The last level has the highest index. */
    for (int index = 5; index >= 0; index--) {
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cache/index%d/shared_cpu_list",
                 cpu, index);
        if (read_file(path, text, size)) {
            return true;
        }
    }
    return false;
}

bool hki_os_cpu_package_list(unsigned cpu, char *text, size_t size)
{
    char path[96];

    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/package_cpus_list", cpu);
    if (read_file(path, text, size)) {
        return true;
    }
    /* Its name until Linux 5.3. */
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/core_siblings_list", cpu);
    return read_file(path, text, size);
}
