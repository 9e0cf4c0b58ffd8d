/* SPDX-License-Identifier: MIT */
/* The part of base/os.h that is about processes, kept by Linux. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"
#include "base/sanitizers.h"
#include "base/time.h"

unsigned hki_os_thread_count(void)
{
    DIR *dir = opendir("/proc/self/task");
    unsigned count = 0;

    if (dir == NULL) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
#if HKI_THREAD_SANITIZER
    /* It starts a thread of its own before the program's second one, and in every child
     * of a process with one thread. */
    count -= count > 1;
#endif
    return count;
}

void hki_os_thread_await_gone(int id)
{
    enum { LOOKS_MOST = 100000 }; /* Another thread may have its number by now. */
    int error = errno;

    for (unsigned looks = 0; looks < LOOKS_MOST && syscall(SYS_tgkill, getpid(), id, 0) == 0;
         looks++) {
        hki_os_yield();
    }
    errno = error;
}

int hki_os_child_events_create(void)
{
    sigset_t ended;

    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &ended, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &ended, SFD_CLOEXEC | SFD_NONBLOCK);
}

void hki_os_child_events_drain(int fd)
{
    struct signalfd_siginfo event;
    ssize_t got;

    /* One: a signal that is pending already is not counted again. */
    do {
        got = read(fd, &event, sizeof(event));
    } while (got < 0 && errno == EINTR);
}

int hki_os_open_again_to_read(int fd)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool hki_os_adopt_orphans(void)
{
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

void hki_os_die_with_parent(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

int hki_os_oom_blame_open(void)
{
    return open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
}

static bool write_blame(int fd, int blame)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", blame);

    return pwrite(fd, text, (size_t)length, 0) == length;
}

bool hki_os_oom_blame_raise(int fd, int more, int *before)
{
    enum { MOST = 1000 };
    char text[16];
    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

    if (got <= 0) {
        return false;
    }
    text[got] = '\0';
    *before = (int)strtol(text, NULL, 10);
    return write_blame(fd, *before + more > MOST ? MOST : *before + more);
}

void hki_os_oom_blame_set(int fd, int blame)
{
    (void)write_blame(fd, blame);
}

/* The file is a line of numbers, which may be longer than any buffer: a number may lie
 * across two reads. */
size_t hki_os_each_child(void (*visit)(int process))
{
    char path[64];
    char text[512];
    size_t count = 0;
    int number = 0;
    ssize_t got;
    int fd;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", hki_os_thread_id());
    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        return 0;
    }
    while ((got = read(fd, text, sizeof(text))) > 0 || (got < 0 && errno == EINTR)) {
        for (ssize_t i = 0; i < got; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                number = number * 10 + (text[i] - '0');
            } else if (number != 0) {
                visit(number);
                count++;
                number = 0;
            }
        }
    }
    close(fd);
    return count;
}

static bool close_range_of(int first, int last)
{
#ifdef SYS_close_range
    return first > last || syscall(SYS_close_range, (unsigned)first, (unsigned)last, 0U) == 0;
#else
    return first > last;
#endif
}

static bool is_kept(int fd, const int *kept, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (kept[i] == fd) {
            return true;
        }
    }
    return false;
}

/* For kernels without close_range(): those that there are, or all that there could be. */
static void close_each(int first, const int *kept, size_t count)
{
    DIR *dir = opendir("/proc/self/fd");

    if (dir == NULL) {
        for (int fd = first; fd < sysconf(_SC_OPEN_MAX); fd++) {
            if (!is_kept(fd, kept, count)) {
                close(fd);
            }
        }
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] != '.' && fd >= first && fd != dirfd(dir) &&
            !is_kept(fd, kept, count)) {
            close(fd);
        }
    }
    closedir(dir);
}

void hki_os_close_others(int first, const int *kept, size_t count)
{
    int from = first;

    for (size_t i = 0; i < count; i++) {
        if (kept[i] < from) {
            continue;
        }
        if (!close_range_of(from, kept[i] - 1)) {
            close_each(first, kept, count);
            return;
        }
        from = kept[i] + 1;
    }
    if (!close_range_of(from, INT_MAX)) {
        close_each(first, kept, count);
    }
}

/* --- sleeping on words that several processes share --- */

bool hki_os_futex_wait_shared(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    struct timespec deadline = hki_timespec(deadline_ns);

    return syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected,
                   deadline_ns == HKI_NEVER ? NULL : &deadline, NULL,
                   FUTEX_BITSET_MATCH_ANY) == 0 ||
           errno != ETIMEDOUT;
}

unsigned hki_os_futex_wake_shared(_Atomic(uint32_t) *word, unsigned count)
{
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);

    return woken > 0 ? (unsigned)woken : 0;
}

enum { WAIT_WORDS_MAX = 128, WAIT_WORD_32 = 2, WAIT_WORD_PRIVATE = 128 };

/* As in linux/futex.h, from Linux 5.16 on. */
struct wait_word {
    uint64_t expected;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

bool hki_os_futex_wait_any(const struct hki_os_wait_word *words, unsigned count,
                           int64_t deadline_ns)
{
    enum { SYS_FUTEX_WAITV = 449 };
    struct timespec deadline = hki_timespec(deadline_ns);
    struct wait_word list[WAIT_WORDS_MAX] = {{0}};

    if (count > WAIT_WORDS_MAX) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        list[i].expected = words[i].expected;
        list[i].address = (uint64_t)(uintptr_t)words[i].word;
        list[i].flags = WAIT_WORD_32 | (words[i].shared ? 0 : WAIT_WORD_PRIVATE);
    }
    return syscall(SYS_FUTEX_WAITV, list, count, 0, deadline_ns == HKI_NEVER ? NULL : &deadline,
                   CLOCK_MONOTONIC) >= 0 ||
           (errno != ENOSYS && errno != EPERM && errno != EINVAL);
}

/* Not by a flush alone: that takes a lock, which a task may have kept. */
void hki_os_flush_output(void)
{
    if (__fpending(stdout) != 0) {
        (void)fflush(stdout);
    }
}
