/* SPDX-License-Identifier: MIT */
/*
 * Calls to the system that fail when a test wants them to, and clocks that are watched.
 *
 * The linker (--wrap, see hkt_os_suite() in tests/CMakeLists.txt) leads what the library calls
 * to this fixture; libc and the sanitizers below it see no difference, and the library that
 * ships has nothing of it. The counters are shared by all processes of a test: the nth call
 * is the nth of the application, its zygote and its workers together.
 */
#ifndef HOCKET_TESTS_OS_FIXTURE_H
#define HOCKET_TESTS_OS_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every call that may fail for want of something, with what it may want. */
#define HKT_OS_CALLS(X)                                                                            \
    X(pthread_create)                                                                              \
    X(pthread_key_create)                                                                          \
    X(pthread_setspecific)                                                                         \
    X(pthread_getattr_np)                                                                          \
    X(pthread_setaffinity_np)                                                                      \
    X(sched_getaffinity)                                                                           \
    X(fork)                                                                                        \
    X(mmap)                                                                                        \
    X(mprotect)                                                                                    \
    X(madvise)                                                                                     \
    X(memfd_create)                                                                                \
    X(ftruncate)                                                                                   \
    X(fallocate)                                                                                   \
    X(fcntl)                                                                                       \
    X(eventfd)                                                                                     \
    X(timerfd_create)                                                                              \
    X(signalfd)                                                                                    \
    X(pipe2)                                                                                       \
    X(socketpair)                                                                                  \
    X(sendmsg)                                                                                     \
    X(recvmsg)                                                                                     \
    X(poll)                                                                                        \
    X(ppoll)                                                                                       \
    X(open)                                                                                        \
    X(opendir)                                                                                     \
    X(prctl)                                                                                       \
    X(sigaltstack)                                                                                 \
    X(setpgid)                                                                                     \
    X(pread)                                                                                       \
    X(pwrite)                                                                                      \
    X(putenv)                                                                                      \
    X(malloc)                                                                                      \
    X(aligned_alloc)                                                                               \
    X(syscall)

enum hkt_os_call {
#define HKT_OS_NUMBER_(name) HKT_OS_##name,
    HKT_OS_CALLS(HKT_OS_NUMBER_)
#undef HKT_OS_NUMBER_
        HKT_OS_CALL_COUNT
};

const char *hkt_os_call_name(enum hkt_os_call call);

/* Before any other: makes what the processes share. */
void hkt_os_prepare(void);

/* The nth call of it from now on fails with this errno, once or, if it lasts, ever after. */
void hkt_os_fail(enum hkt_os_call call, int error, long nth, bool lasts);

/* Nothing fails any more. How many calls failed. */
long hkt_os_relent(void);

/* How many calls of it there were since hkt_os_fail() or hkt_os_count_anew(). */
long hkt_os_count(enum hkt_os_call call);
void hkt_os_count_anew(void);

/* "function+0x12 of process 7": where the last one failed; "" for nowhere. */
void hkt_os_place(char *text, size_t size);

/* --- Clocks --- */

/* Uses of any clock that can be set (CLOCK_REALTIME, or a timed wait by it), in any process; and
 * of CLOCK_MONOTONIC. */
long hkt_os_settable_clocks(void);
long hkt_os_monotonic_clocks(void);

#endif
