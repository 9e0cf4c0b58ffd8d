/* SPDX-License-Identifier: MIT */
/*
 * The contract with the operating system: all that the library asks of Linux
 * beyond ISO C and POSIX threads. base/os_linux.c keeps it, and is the only
 * file that may hold a platform's #if.
 */
#ifndef HOCKET_BASE_OS_H
#define HOCKET_BASE_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CPUs this process may keep busy: the affinity mask, cut by the cgroup's CPU
 * quota (rounded up). At least 1. Reads files: not for hot paths. */
unsigned hki_os_cpu_count(void);

/* Names the calling thread for debuggers and ps; the kernel keeps 15 bytes. */
void hki_os_thread_name(const char *name);

/* Pins the calling thread to some CPUs. False if the kernel refuses. */
bool hki_os_thread_affinity(const int *cpus, size_t count);

/* Whether the kernel would let this process run on the CPU. */
bool hki_os_cpu_usable(int cpu);

/* Lowest address of the calling thread's stack; NULL if it cannot be told. */
char *hki_os_stack_low(void);

/* Number of the calling thread, as in /proc. */
int hki_os_thread_id(void);

/* An eventfd: close-on-exec, non-blocking, at zero. -1 with errno on failure. */
int hki_os_event_create(void);

/* Makes it readable; idempotent. */
void hki_os_event_signal(int fd);

/* Makes it unreadable again; idempotent. */
void hki_os_event_drain(int fd);

void hki_os_close(int fd);

/* What the process's allocator has handed out and keeps resident, for
 * allocators without a counter of their own. */
void hki_os_heap(uint64_t *allocated, uint64_t *resident);

#endif
