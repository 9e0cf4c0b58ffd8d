/* SPDX-License-Identifier: MIT */
/*
 * The contract with the operating system: all that the library asks of Linux
 * beyond ISO C and POSIX threads. The files base/os_linux*.c keep it, and are the only ones that
 * may hold a platform's #if.
 */
#ifndef HOCKET_BASE_OS_H
#define HOCKET_BASE_OS_H

#include <pthread.h>
#include <stdatomic.h>
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

/* The CPU that the calling thread runs on at this moment. */
unsigned hki_os_cpu_here(void);

/* All of a small file, ended with a zero; false: there is none, or it is empty. */
bool hki_os_read_text(const char *path, char *text, size_t size);

/* The highest number of a CPU that this machine may have. */
unsigned hki_os_cpu_highest(void);

/* The CPUs that share the last-level cache, or the package, with this one, as "0-3,8-11". False:
 * not known. */
bool hki_os_cpu_cache_list(unsigned cpu, char *text, size_t size);
bool hki_os_cpu_package_list(unsigned cpu, char *text, size_t size);

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

/* A timerfd of CLOCK_MONOTONIC: close-on-exec, non-blocking, unset. -1 with errno on
 * failure. */
int hki_os_timer_create(void);

/* Makes it readable from a moment on, which may have passed; 0: unreadable until it is set
 * again. */
void hki_os_timer_set(int fd, int64_t when_ns);

void hki_os_close(int fd);

/* A moment on the processor, for who looks again and again. */
void hki_os_pause(void);

/* Lets another thread have the processor, if one waits for it. */
void hki_os_yield(void);

/* Waits until the kernel has let go of a thread that was joined: for a moment after that it still
 * counts as one. */
void hki_os_thread_await_gone(int id);

/* Writes what is buffered for the standard output, if there is anything. */
void hki_os_flush_output(void);

/* Sleeps while *word holds expected, until somebody wakes it; may also return
 * without a cause. False: the deadline (HKI_NEVER: none) has passed. The word may be
 * gone when a woken sleeper returns: it is not read again. */
bool hki_os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);

/* The same in the kernel, also for a thread of a world (see base/world.h), whose other sleeps
 * the world decides about. */
bool hki_os_futex_sleep(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);

/* Wakes up to count of those who sleep on the word, which may be freed memory by
 * now; returns how many it woke. */
unsigned hki_os_futex_wake(_Atomic(uint32_t) *word, unsigned count);

/* The same for words that several processes share. False: the deadline has passed. */
bool hki_os_futex_wait_shared(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);
unsigned hki_os_futex_wake_shared(_Atomic(uint32_t) *word, unsigned count);

/* A word to sleep on; shared: with other processes. */
struct hki_os_wait_word {
    _Atomic(uint32_t) *word;
    uint32_t expected;
    bool shared;
};

/* Sleeps while each of up to 128 words holds what is expected of it, until one is woken or the
 * deadline has passed; may also return without a cause. False: this kernel cannot. */
bool hki_os_futex_wait_any(const struct hki_os_wait_word *words, unsigned count,
                           int64_t deadline_ns);

/* Whether a locked operation of a thread, on whatever object, keeps what is before it before what
 * is after it, stores before loads as well. C promises that of fences alone, which the thread
 * sanitizer does not know; x86 has no weaker ones (Intel's manual, volume 3, 9.2.3.9). */
bool hki_os_locked_is_fence(void);

/* Makes every running thread of this process pass a full memory barrier, so that
 * the other side of a store-load race may do with a compiler barrier. False if the
 * kernel cannot: then both sides need seq_cst. The answer never changes. */
bool hki_os_barrier_ready(void);
void hki_os_barrier(void);

/* The calls on the caller's stack, innermost first; returns how many. Never
 * allocates but for the very first time in a process. */
size_t hki_os_backtrace(void **frames, size_t max);

/* Where a signal struck, from the handler's third argument; NULL if that is not known. */
void *hki_os_signal_place(const void *context);

/* The calls on the stack that a signal interrupted, of two or more: the innermost is where the
 * signal struck. For handlers, once hki_os_backtrace() has run; on a broken stack it may end
 * the process. */
size_t hki_os_backtrace_of_signal(const void *context, void **frames, size_t max);

/* "program(function+0x12) [0x55...]", as far as it is known. Never allocates. */
void hki_os_frame_text(const void *frame, char *text, size_t size);

/* The name that the kernel shows for the calling thread; "" if unknown. */
void hki_os_thread_own_name(char *text, size_t size);

/* The share of blame that this process bears when memory runs out, up to 1000, by a descriptor
 * that it keeps; a child is born with its parent's. -1 with errno. */
int hki_os_oom_blame_open(void);
/* Raises it by so much; *before: what it was. False: it is as it was. */
bool hki_os_oom_blame_raise(int fd, int more, int *before);
void hki_os_oom_blame_set(int fd, int blame);

/* Bytes that this process keeps resident and shares with no other by intent, by a descriptor that
 * it opened before: it may not be allowed to open one by then. -1, and 0: unknown. */
int hki_os_private_bytes_open(void);
uint64_t hki_os_private_bytes(int fd);

/* Writes all of it, again after interruptions. False with errno on failure. */
bool hki_os_write(int fd, const void *bytes, size_t size);

/* A file in memory of so many bytes: close-on-exec, sparse, to be sealed. -1 with errno on
 * failure; a limit on the size of files is EFBIG, and raises no signal. */
int hki_os_memfd_create(const char *name, uint64_t bytes);

/* Allocates a range of it, so that no access there fails later. False with errno on failure. */
bool hki_os_memfd_allocate(int fd, uint64_t at, uint64_t bytes);

/* Forbids every change of its size, and further seals. False with errno on failure. */
bool hki_os_memfd_seal(int fd);

/* Forbids every change of its bytes as well. False with errno: EBUSY while somebody has it mapped
 * to write. */
bool hki_os_memfd_freeze(int fd);

/* Whether it is a file in memory that has, and will always have, so many bytes. */
bool hki_os_memfd_sealed(int fd, uint64_t bytes);

/* Whether, besides, all of them are there already, and none will ever change. */
bool hki_os_memfd_frozen(int fd, uint64_t bytes);

/* The same file once more, for reading alone. -1 with errno: also where there is no /proc. */
int hki_os_open_again_to_read(int fd);

/* Asks for huge pages behind a range; a kernel without them does nothing. */
void hki_os_advise_huge(void *memory, size_t bytes);

/* Frees the memory behind whole pages of a shared mapping, which read as zero then. False:
 * the kernel refuses, and they are as they were. */
bool hki_os_memory_discard(void *pages, size_t bytes);

/* What the process's allocator has handed out and keeps resident, for
 * allocators without a counter of their own. */
void hki_os_heap(uint64_t *allocated, uint64_t *resident);

/* --- Processes --- */

/* Threads of this process, but for a sanitizer's own; 0 if it cannot be told. */
unsigned hki_os_thread_count(void);

/* A descriptor, close-on-exec and non-blocking, that is readable when a child has ended;
 * blocks SIGCHLD for the calling thread. -1 with errno on failure. */
int hki_os_child_events_create(void);

/* Makes it unreadable until the next one. */
void hki_os_child_events_drain(int fd);

/* Children of descendants that die become children of this process. False if the kernel
 * cannot. */
bool hki_os_adopt_orphans(void);

/* Kills this process when the thread that forked it ends: who asks for it must look
 * afterwards whether its parent is still there. */
void hki_os_die_with_parent(void);

/* Calls visit for each child of the calling thread; how many there are. 0 where the kernel does
 * not say. Visit may signal them, but not reap them, which others could be missed for. */
size_t hki_os_each_child(void (*visit)(int process));

/* --- Filters of system calls --- */

enum { HKI_OS_FILTER_MAX = 1024 };

/* One step of a program for the kernel's filter, as it wants it. */
struct hki_os_filter_step {
    uint16_t code;
    uint8_t jump_true;
    uint8_t jump_false;
    uint32_t value;
};

/* Neither this process nor those it starts can get more privileges by an exec. False: the kernel
 * cannot. */
bool hki_os_give_up_privileges(void);

/* Whether this kernel has filters. False with errno. */
bool hki_os_filter_available(void);

/* Whether there are programs for a sandbox as well: for this kind of processor. */
bool hki_os_sandbox_available(void);

/* Whether the kernel would take it as a program. */
bool hki_os_filter_sound(const struct hki_os_filter_step *steps, size_t count);

/* From now on, for all threads of the process and for good; after hki_os_give_up_privileges().
 * False with errno. */
bool hki_os_filter_install(const struct hki_os_filter_step *steps, size_t count);

enum hki_os_sandbox { HKI_OS_SANDBOX_NONE, HKI_OS_SANDBOX_READ_FILES, HKI_OS_SANDBOX_COMPUTE };

/* Writes the program of a sandbox for the calling process; how many steps. is_last: no other one
 * is to be installed after it. 0 with errno: there is none for this machine. */
size_t hki_os_sandbox_build(enum hki_os_sandbox sandbox, bool is_last,
                            struct hki_os_filter_step steps[HKI_OS_FILTER_MAX]);

/* The system call that a filter has answered with a signal, from the second argument of its
 * handler; -1: it was something else. */
int hki_os_signal_call(const void *info);

/* NULL: it is not known. */
const char *hki_os_call_name(int number);

/* Closes every descriptor from `first` on but those that are kept: in ascending order. */
void hki_os_close_others(int first, const int *kept, size_t count);

#endif
