/* SPDX-License-Identifier: MIT */
/*
 * The tracepoint of the system call futex, on request filtered for the operations that wake.
 */
#include "bench/harness/futex_counter.h"

#include <linux/futex.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int counter = -1;
static unsigned opens;
static uint64_t count_before;

static long tracepoint_number(void)
{
    static const char *const paths[] = {
        "/sys/kernel/tracing/events/syscalls/sys_enter_futex/id",
        "/sys/kernel/debug/tracing/events/syscalls/sys_enter_futex/id",
    };
    long number = -1;

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && number < 0; i++) {
        FILE *file = fopen(paths[i], "re");

        if (file != NULL) {
            if (fscanf(file, "%ld", &number) != 1) {
                number = -1;
            }
            fclose(file);
        }
    }
    return number;
}

static bool count_only_wakes(int fd)
{
    char filter[128];

    snprintf(filter, sizeof(filter), "op == %d || op == %d || op == %d || op == %d", FUTEX_WAKE,
             FUTEX_WAKE | FUTEX_PRIVATE_FLAG, FUTEX_WAKE_OP, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG);
    return ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter) == 0;
}

static int open_counter(enum futex_count what)
{
    struct perf_event_attr attributes;
    long number = tracepoint_number();
    int fd;

    if (number < 0) {
        return -1;
    }
    memset(&attributes, 0, sizeof(attributes));
    attributes.type = PERF_TYPE_TRACEPOINT;
    attributes.size = sizeof(attributes);
    attributes.config = (uint64_t)number;
    attributes.inherit = 1;
    attributes.disabled = 1;
    fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    if (what == FUTEX_COUNT_WAKES && !count_only_wakes(fd)) {
        close(fd);
        return -1;
    }
    return fd;
}

static uint64_t count_now(void)
{
    uint64_t count = 0;

    return read(counter, &count, sizeof(count)) == (ssize_t)sizeof(count) ? count : 0;
}

void futex_counter_open(enum futex_count what)
{
    if (opens++ == 0) {
        counter = open_counter(what);
    }
}

void futex_counter_close(void)
{
    if (--opens == 0 && counter >= 0) {
        close(counter);
        counter = -1;
    }
}

bool futex_counter_is_allowed(void)
{
    int fd = counter >= 0 ? -1 : open_counter(FUTEX_COUNT_ALL);

    if (fd >= 0) {
        close(fd);
    }
    return counter >= 0 || fd >= 0;
}

bool futex_counter_begin(void)
{
    if (counter < 0 || ioctl(counter, PERF_EVENT_IOC_ENABLE, 0) != 0) {
        return false;
    }
    count_before = count_now();
    return true;
}

uint64_t futex_counter_end(void)
{
    ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
    return count_now() - count_before;
}
