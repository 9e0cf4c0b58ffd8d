/* SPDX-License-Identifier: MIT */
#include "tests/os_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"

/* One for all processes of the test. Nothing here may call what is led here. */
struct shared {
    _Atomic(int) call; /* Which one fails; HKT_OS_CALL_COUNT: none. */
    _Atomic(int) error;
    _Atomic(bool) lasts;
    _Atomic(long) to_go;
    _Atomic(long) failed;
    _Atomic(long) counts[HKT_OS_CALL_COUNT];
    _Atomic(void *) place;
    _Atomic(int) process;
    _Atomic(long) settable;
    _Atomic(long) monotonic;
};

static struct shared *shared;

/* Before a call that failed. */
static _Thread_local int errno_before;

/* Written in every line of the table below: what the linker calls the true one. */
#define LED(result, name, parameters, arguments, refusal)                                          \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;                                                               \
    result __wrap_##name parameters                                                                \
    {                                                                                              \
        if (fails(HKT_OS_##name, __builtin_return_address(0))) {                                   \
            return refusal;                                                                        \
        }                                                                                          \
        return __real_##name arguments;                                                            \
    }

const char *hkt_os_call_name(enum hkt_os_call call)
{
    static const char *const names[] = {
#define HKT_OS_NAME_(name) #name,
        HKT_OS_CALLS(HKT_OS_NAME_)
#undef HKT_OS_NAME_
    };

    return call < HKT_OS_CALL_COUNT ? names[call] : "nothing";
}

/* Whether this one has to; errno is set then. */
static bool fails(enum hkt_os_call call, void *caller)
{
    long before;

    if (shared == NULL) {
        return false;
    }
    atomic_fetch_add(&shared->counts[call], 1);
    if (atomic_load(&shared->call) != (int)call) {
        return false;
    }
    before = atomic_fetch_sub(&shared->to_go, 1);
    if (before > 1 || (before < 1 && !atomic_load(&shared->lasts))) {
        return false;
    }
    atomic_fetch_add(&shared->failed, 1);
    atomic_store(&shared->place, caller);
    atomic_store(&shared->process, (int)getpid());
    errno_before = errno;
    errno = atomic_load(&shared->error);
    return true;
}

/* Some return their error, and say nothing of it in errno. */
static int returned(void)
{
    int error = errno;

    errno = errno_before;
    return error;
}

LED(int, pthread_create,
    (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg),
    (thread, attributes, run, arg), returned())
LED(int, pthread_key_create, (pthread_key_t * key, void (*drop)(void *)), (key, drop), returned())
LED(int, pthread_setspecific, (pthread_key_t key, const void *value), (key, value), returned())
LED(int, pthread_getattr_np, (pthread_t thread, pthread_attr_t *attributes), (thread, attributes),
    returned())
LED(int, pthread_setaffinity_np, (pthread_t thread, size_t size, const cpu_set_t *set),
    (thread, size, set), returned())
LED(int, sched_getaffinity, (pid_t process, size_t size, cpu_set_t *set), (process, size, set), -1)
LED(pid_t, fork, (void), (), -1)
LED(void *, mmap, (void *address, size_t size, int access, int flags, int fd, off_t at),
    (address, size, access, flags, fd, at), MAP_FAILED)
LED(int, mprotect, (void *address, size_t size, int access), (address, size, access), -1)
LED(int, madvise, (void *address, size_t size, int advice), (address, size, advice), -1)
LED(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1)
LED(int, ftruncate, (int fd, off_t size), (fd, size), -1)
LED(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size), -1)
LED(int, eventfd, (unsigned count, int flags), (count, flags), -1)
LED(int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags), -1)
LED(int, pipe2, (int fds[2], int flags), (fds, flags), -1)
LED(int, socketpair, (int domain, int type, int protocol, int fds[2]),
    (domain, type, protocol, fds), -1)
LED(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), -1)
LED(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), -1)
LED(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout), -1)
LED(int, ppoll,
    (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),
    (fds, count, timeout, mask), -1)
LED(DIR *, opendir, (const char *path), (path), NULL)
LED(int, sigaltstack, (const stack_t *stack, stack_t *old), (stack, old), -1)
LED(int, setpgid, (pid_t process, pid_t group), (process, group), -1)
LED(ssize_t, pread, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at), -1)
LED(ssize_t, pwrite, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at), -1)
LED(int, putenv, (char *text), (text), -1)
LED(void *, malloc, (size_t size), (size), NULL)
LED(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size), NULL)

/* --- Those with further arguments, of which there is one at most --- */

#define LED_MORE(name, first, second)                                                              \
    int __real_##name(first, second, ...);                                                         \
    int __wrap_##name(first, second, ...);                                                         \
    int __wrap_##name(first, second, ...)

LED_MORE(open, const char *path, int flags)
{
    va_list arguments;
    int mode;

    if (fails(HKT_OS_open, __builtin_return_address(0))) {
        return -1;
    }
    va_start(arguments, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
    va_end(arguments);
    return __real_open(path, flags, mode);
}

LED_MORE(fcntl, int fd, int command)
{
    va_list arguments;
    long argument;

    if (fails(HKT_OS_fcntl, __builtin_return_address(0))) {
        return -1;
    }
    va_start(arguments, command);
    argument = command == F_GET_SEALS || command == F_GETFL || command == F_GETFD
                   ? 0
                   : va_arg(arguments, long);
    va_end(arguments);
    return __real_fcntl(fd, command, argument);
}

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);

int __wrap_prctl(int option, ...)
{
    va_list arguments;
    unsigned long more[4];

    if (fails(HKT_OS_prctl, __builtin_return_address(0))) {
        return -1;
    }
    va_start(arguments, option);
    for (int i = 0; i < 4; i++) {
        more[i] = va_arg(arguments, unsigned long);
    }
    va_end(arguments);
    return __real_prctl(option, more[0], more[1], more[2], more[3]);
}

/* --- Clocks, and the calls that have no function of their own --- */

static void see_clock(clockid_t clock)
{
    if (shared != NULL) {
        atomic_fetch_add(clock == CLOCK_MONOTONIC ? &shared->monotonic : &shared->settable, 1);
    }
}

int __real_timerfd_create(clockid_t clock, int flags);
int __wrap_timerfd_create(clockid_t clock, int flags);

int __wrap_timerfd_create(clockid_t clock, int flags)
{
    see_clock(clock);
    return fails(HKT_OS_timerfd_create, __builtin_return_address(0))
               ? -1
               : __real_timerfd_create(clock, flags);
}

/* A sleep until a moment goes by CLOCK_MONOTONIC; to_go is counted for those that want
 * something of the system, not for sleeping and waking. */
static bool wants_something(long number, const long *more)
{
    enum { SYS_FUTEX_WAITV = 449 };

    if (number == SYS_futex) {
        if ((more[1] & FUTEX_CLOCK_REALTIME) != 0) {
            see_clock(CLOCK_REALTIME);
        }
        return false;
    }
    if (number == SYS_FUTEX_WAITV) {
        see_clock((clockid_t)more[4]);
        return true;
    }
    return number != SYS_gettid;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* The kernel's calls have six arguments at most; what was not passed is not looked at. */
long __wrap_syscall(long number, ...)
{
    va_list arguments;
    long more[6];

    va_start(arguments, number);
    for (int i = 0; i < 6; i++) {
        more[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    if (wants_something(number, more) && fails(HKT_OS_syscall, __builtin_return_address(0))) {
        return -1;
    }
    return __real_syscall(number, more[0], more[1], more[2], more[3], more[4], more[5]);
}

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    see_clock(clock);
    return __real_clock_gettime(clock, now);
}

/* --- What tests ask --- */

void hkt_os_prepare(void)
{
    if (shared == NULL) {
        shared = __real_mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED) {
            abort();
        }
        atomic_store(&shared->call, HKT_OS_CALL_COUNT);
    }
}

void hkt_os_fail(enum hkt_os_call call, int error, long nth, bool lasts)
{
    atomic_store(&shared->call, HKT_OS_CALL_COUNT);
    atomic_store(&shared->error, error);
    atomic_store(&shared->lasts, lasts);
    atomic_store(&shared->to_go, nth);
    atomic_store(&shared->failed, 0);
    atomic_store(&shared->place, NULL);
    hkt_os_count_anew();
    atomic_store(&shared->call, (int)call);
}

long hkt_os_relent(void)
{
    atomic_store(&shared->call, HKT_OS_CALL_COUNT);
    return atomic_load(&shared->failed);
}

long hkt_os_count(enum hkt_os_call call)
{
    return atomic_load(&shared->counts[call]);
}

void hkt_os_count_anew(void)
{
    for (int i = 0; i < HKT_OS_CALL_COUNT; i++) {
        atomic_store(&shared->counts[i], 0);
    }
}

void hkt_os_place(char *text, size_t size)
{
    char frame[200];
    void *place = atomic_load(&shared->place);

    text[0] = '\0';
    if (place != NULL) {
        hki_os_frame_text(place, frame, sizeof(frame));
        snprintf(text, size, "%s of process %d", frame, atomic_load(&shared->process));
    }
}

long hkt_os_settable_clocks(void)
{
    return atomic_load(&shared->settable);
}

long hkt_os_monotonic_clocks(void)
{
    return atomic_load(&shared->monotonic);
}
