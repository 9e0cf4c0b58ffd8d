/* SPDX-License-Identifier: MIT */
/* The contract of base/os.h, kept by Linux and glibc. */
#include "base/os.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/no_cancel.h"
#include "base/sanitizers.h"
#include "base/time.h"
#include "base/world.h"

enum { SANITIZER_SLEEP_NS = 20 * 1000 * 1000 };

enum { CPU_MASK_BITS = 8192 }; /* The kernel's own limit is CONFIG_NR_CPUS <= 8192. */

static unsigned affinity_count(void)
{
    cpu_set_t *mask = CPU_ALLOC(CPU_MASK_BITS);
    size_t size = CPU_ALLOC_SIZE(CPU_MASK_BITS);
    long online;
    int count = 0;

    if (mask != NULL) {
        CPU_ZERO_S(size, mask);
        if (sched_getaffinity(0, size, mask) == 0) {
            count = CPU_COUNT_S(size, mask);
        }
        CPU_FREE(mask);
    }
    if (count > 0) {
        return (unsigned)count;
    }
    online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

bool hki_os_read_text(const char *path, char *text, size_t size)
{
    HKI_NO_CANCEL;
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

/* CPUs worth of time in one cpu.max file ("max 100000" or "150000 100000"). */
static unsigned quota_in(const char *folder)
{
    char path[PATH_MAX];
    char text[64];
    char *rest = NULL;
    unsigned long long quota;
    unsigned long long period;

    if (snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", folder) >= (int)sizeof(path) ||
        !hki_os_read_text(path, text, sizeof(text)) || strncmp(text, "max", 3) == 0) {
        return UINT_MAX;
    }
    quota = strtoull(text, &rest, 10);
    period = strtoull(rest, NULL, 10);
    if (quota == 0 || period == 0) {
        return UINT_MAX;
    }
    return (unsigned)((quota + period - 1) / period);
}

/* The tightest quota from this process's cgroup (version 2) up to the root:
 * each level limits what is below it. */
static unsigned quota_count(void)
{
    char text[PATH_MAX];
    char *folder;
    char *end;
    unsigned least = UINT_MAX;

    if (!hki_os_read_text("/proc/self/cgroup", text, sizeof(text)) ||
        (folder = strstr(text, "0::/")) == NULL) {
        return UINT_MAX;
    }
    folder += 3;
    if ((end = strchr(folder, '\n')) != NULL) {
        *end = '\0';
    }
    for (;;) {
        unsigned quota = quota_in(folder);

        least = quota < least ? quota : least;
        end = strrchr(folder, '/');
        if (end == NULL) {
            return least;
        }
        *end = '\0';
        if (folder[0] == '\0') {
            unsigned top = quota_in("");

            return top < least ? top : least;
        }
    }
}

unsigned hki_os_cpu_count(void)
{
    unsigned count = affinity_count();
    unsigned quota = quota_count();

    return quota < count ? quota : count;
}

void hki_os_thread_name(const char *name)
{
    char cut[16];
    size_t length = 0;

    /* Not by snprintf(), which costs a new process five pages. */
    for (; length < sizeof(cut) - 1 && name[length] != '\0'; length++) {
        cut[length] = name[length];
    }
    cut[length] = '\0';
    pthread_setname_np(pthread_self(), cut);
}

bool hki_os_thread_affinity(const int *cpus, size_t count)
{
    cpu_set_t *mask = CPU_ALLOC(CPU_MASK_BITS);
    size_t size = CPU_ALLOC_SIZE(CPU_MASK_BITS);
    bool set;

    if (mask == NULL) {
        return false;
    }
    CPU_ZERO_S(size, mask);
    for (size_t i = 0; i < count; i++) {
        CPU_SET_S((size_t)cpus[i], size, mask);
    }
    set = pthread_setaffinity_np(pthread_self(), size, mask) == 0;
    CPU_FREE(mask);
    return set;
}

bool hki_os_cpu_usable(int cpu)
{
    cpu_set_t *mask;
    size_t size = CPU_ALLOC_SIZE(CPU_MASK_BITS);
    bool usable;

    if (cpu < 0 || cpu >= CPU_MASK_BITS || (mask = CPU_ALLOC(CPU_MASK_BITS)) == NULL) {
        return false;
    }
    CPU_ZERO_S(size, mask);
    usable = sched_getaffinity(0, size, mask) == 0 && CPU_ISSET_S((size_t)cpu, size, mask);
    CPU_FREE(mask);
    return usable;
}

char *hki_os_stack_low(void)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;

    if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return NULL;
    }
    if (pthread_attr_getstack(&attributes, &low, &size) != 0) {
        low = NULL;
    }
    pthread_attr_destroy(&attributes);
    return low;
}

int hki_os_thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

int hki_os_event_create(void)
{
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void hki_os_event_signal(int fd)
{
    uint64_t one = 1;
    ssize_t wrote;
    HKI_NO_CANCEL;

    do {
        wrote = write(fd, &one, sizeof(one));
    } while (wrote < 0 && errno == EINTR);
    /* EAGAIN: the counter is at its end, so it is readable all the same. */
}

void hki_os_event_drain(int fd)
{
    uint64_t count;
    ssize_t got;
    HKI_NO_CANCEL;

    do {
        got = read(fd, &count, sizeof(count));
    } while (got < 0 && errno == EINTR);
}

int hki_os_timer_create(void)
{
    return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
}

void hki_os_timer_set(int fd, int64_t when_ns)
{
    struct itimerspec when = {.it_value = hki_timespec(when_ns)};

    (void)timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void hki_os_close(int fd)
{
    HKI_NO_CANCEL;

    close(fd);
}

void hki_os_heap(uint64_t *allocated, uint64_t *resident)
{
    struct mallinfo2 info = mallinfo2();

    *allocated = (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
    *resident = (uint64_t)info.arena + (uint64_t)info.hblkhd;
}

void hki_os_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void hki_os_yield(void)
{
    (void)sched_yield();
}

static bool sleep_on_word(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    struct timespec deadline = hki_timespec(deadline_ns);

    /* FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC. */
    return syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                   deadline_ns == HKI_NEVER ? NULL : &deadline, NULL,
                   FUTEX_BITSET_MATCH_ANY) == 0 ||
           errno != ETIMEDOUT;
}

bool hki_os_futex_sleep(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
#if HKI_THREAD_SANITIZER
    /* ThreadSanitizer runs a signal handler only when the thread next calls a function
     * that it knows, and a system call is none: so come up for air now and then. */
    int64_t soon_ns = hki_system_now_ns() + SANITIZER_SLEEP_NS;

    if (soon_ns < deadline_ns) {
        (void)sleep_on_word(word, expected, soon_ns);
        return true;
    }
#endif
    return sleep_on_word(word, expected, deadline_ns);
}

bool hki_os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    struct hki_world *world = hki_world_self();

    return world == NULL ? hki_os_futex_sleep(word, expected, deadline_ns)
                         : world->sleep(world, word, expected, deadline_ns);
}

unsigned hki_os_futex_wake(_Atomic(uint32_t) *word, unsigned count)
{
    int error = errno; /* Signal handlers wake, too; and the word may be gone by now. */
    long woken = syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);

    errno = error;
    return woken > 0 ? (unsigned)woken : 0;
}

/* Written by the constructor alone. */
static bool barrier_ready;

__attribute__((constructor)) static void register_barrier(void)
{
    barrier_ready = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool hki_os_locked_is_fence(void)
{
#if defined(__x86_64__)
    return true;
#else
    return false;
#endif
}

bool hki_os_barrier_ready(void)
{
    return barrier_ready;
}

void hki_os_barrier(void)
{
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

size_t hki_os_backtrace(void **frames, size_t max)
{
    int count = backtrace(frames, max > INT_MAX ? INT_MAX : (int)max);

    return count > 0 ? (size_t)count : 0;
}

void *hki_os_signal_place(const void *context)
{
    const ucontext_t *interrupted = context;

    (void)interrupted;
#if defined(__x86_64__)
    return (void *)interrupted->uc_mcontext.gregs[REG_RIP]; /* NOLINT(performance-no-int-to-ptr) */
#elif defined(__aarch64__)
    return (void *)interrupted->uc_mcontext.pc;       /* NOLINT(performance-no-int-to-ptr) */
#else
    return NULL;
#endif
}

/* Where a call came from that has just jumped. */
static void *return_address(const void *context)
{
    const ucontext_t *interrupted = context;

    (void)interrupted;
#if defined(__x86_64__)
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return *(void **)interrupted->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (void *)interrupted->uc_mcontext.regs[30]; /* NOLINT(performance-no-int-to-ptr) */
#else
    return NULL;
#endif
}

size_t hki_os_backtrace_of_signal(const void *context, void **frames, size_t max)
{
    /* The handler's own calls, and the kernel's return from it, come first. */
    enum { OWN_MAX = 8, ALL_MAX = 64 };
    void *all[ALL_MAX];
    void *at = hki_os_signal_place(context);
    Dl_info found;
    size_t count;
    size_t first = 0;
    size_t used = 0;

    if (max < 2) {
        return 0;
    }
    if (at != NULL && dladdr(at, &found) == 0) {
        /* It jumped to where no code is: nothing tells how to go on from there. */
        frames[0] = at;
        frames[1] = return_address(context);
        return 2;
    }
    count = hki_os_backtrace(all, max + OWN_MAX < ALL_MAX ? max + OWN_MAX : ALL_MAX);
    while (first < count && all[first] != at) {
        first++;
    }
    if (first == count) {
        first = 0; /* The walk did not come so far. */
        frames[used++] = at;
    }
    while (first < count && used < max) {
        frames[used++] = all[first++];
    }
    return used;
}

void hki_os_frame_text(const void *frame, char *text, size_t size)
{
    Dl_info found;

    if (dladdr(frame, &found) == 0) {
        snprintf(text, size, "[%p]", frame);
    } else if (found.dli_sname == NULL) {
        /* What addr2line takes: the place within the file. */
        snprintf(text, size, "%s(+0x%tx) [%p]", found.dli_fname,
                 (const char *)frame - (const char *)found.dli_fbase, frame);
    } else {
        snprintf(text, size, "%s(%s+0x%tx) [%p]", found.dli_fname, found.dli_sname,
                 (const char *)frame - (const char *)found.dli_saddr, frame);
    }
}

void hki_os_thread_own_name(char *text, size_t size)
{
    if (pthread_getname_np(pthread_self(), text, size) != 0) {
        text[0] = '\0';
    }
}

int hki_os_private_bytes_open(void)
{
    return open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

uint64_t hki_os_private_bytes(int fd)
{
    char text[128];
    char *rest = NULL;
    unsigned long long resident;
    unsigned long long shared;
    /* Pages: size, resident, shared ... */
    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

    if (got <= 0) {
        return 0;
    }
    text[got] = '\0';
    (void)strtoull(text, &rest, 10);
    resident = strtoull(rest, &rest, 10);
    shared = strtoull(rest, &rest, 10);
    return resident > shared ? (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

bool hki_os_write(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    HKI_NO_CANCEL;

    while (size > 0) {
        ssize_t wrote = write(fd, at, size);

        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        if (wrote > 0) {
            at += wrote;
            size -= (size_t)wrote;
        }
    }
    return true;
}

bool hki_os_memory_discard(void *pages, size_t bytes)
{
    return madvise(pages, bytes, MADV_REMOVE) == 0;
}

void hki_os_advise_huge(void *memory, size_t bytes)
{
    int before = errno;

    (void)madvise(memory, bytes, MADV_HUGEPAGE);
    errno = before;
}
