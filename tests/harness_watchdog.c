/* SPDX-License-Identifier: MIT */
/*
 * A time limit for each test, by alarm(): no thread of ours that the tests would
 * have to ignore. When it strikes, the name of the test and the stack of every
 * thread are printed, and the program aborts.
 *
 * Each thread prints its own stack in a signal handler, one after another: the
 * thread that saw the alarm signals them in turn and waits a moment for each.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/sanitizers.h"
#include "tests/harness.h"
#include "tests/harness_impl.h"

enum { LIMIT_SECONDS = 60, FRAMES_MAX = 64, STACK_WAIT_NS = 1000000000 };

static char running[256] = "no test";
static atomic_uint stacks_printed;

int64_t hkt_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

unsigned hkt_watchdog_seconds(void)
{
    const char *text = getenv("HOCKET_TEST_LIMIT");
    unsigned long limit = text != NULL ? strtoul(text, NULL, 10) : LIMIT_SECONDS;

    return (limit >= 1 && limit <= 3600 ? (unsigned)limit : LIMIT_SECONDS) * hkt_slowness();
}

/* Not stdio: the thread that the alarm interrupted may hold its lock. */
static void say(const char *text)
{
    /* Nothing can be done about a standard error that is gone. */
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));

    (void)ignored;
}

static int stack_signal(void)
{
    return SIGRTMIN + 6;
}

/* Says in which functions and lines of this program the frames are, through
 * addr2line: libc knows no names of static functions. Without that program the
 * plain addresses, printed before, must do. */
static void print_lines(void *const *frames, int count)
{
    char offsets[FRAMES_MAX][20];
    char program[64]; /* Of this process: in the child, /proc/self would be addr2line. */
    char *arguments[FRAMES_MAX + 4] = {(char *)"addr2line", (char *)"-fpise", program};
    struct link_map *ours = NULL;
    struct link_map *map;
    Dl_info info;
    pid_t child;
    int used = 3;

    snprintf(program, sizeof(program), "/proc/%d/exe", (int)getpid());
    dladdr1((void *)(uintptr_t)print_lines, &info, (void **)&ours, RTLD_DL_LINKMAP);
    for (int i = 0; i < count; i++) {
        if (dladdr1(frames[i], &info, (void **)&map, RTLD_DL_LINKMAP) != 0 && map == ours) {
            /* One back: the call, not what follows it. */
            snprintf(offsets[i], sizeof(offsets[i]), "%#lx",
                     (unsigned long)((uintptr_t)frames[i] - map->l_addr - 1));
            arguments[used++] = offsets[i];
        }
    }
    arguments[used] = NULL;
    child = fork();
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execvp(arguments[0], arguments);
        _exit(1);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
}

static void print_stack(int signal_number)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    int saved_errno = errno;

    (void)signal_number;
    say("--- a thread:\n");
    backtrace_symbols_fd(frames, count, STDERR_FILENO);
    print_lines(frames, count);
    atomic_fetch_add(&stacks_printed, 1);
    errno = saved_errno;
}

static void print_stack_of(pid_t thread)
{
    unsigned before = atomic_load(&stacks_printed);
    int64_t limit_ns = hkt_now_ns() + STACK_WAIT_NS;

    if (syscall(SYS_tgkill, getpid(), thread, stack_signal()) != 0) {
        return;
    }
    while (atomic_load(&stacks_printed) == before && hkt_now_ns() < limit_ns) {
        sched_yield();
    }
}

_Noreturn void hkt_die(const char *why, const char *name)
{
    static atomic_bool is_dying;
    DIR *threads;

    if (atomic_exchange(&is_dying, true)) {
        for (;;) {
            pause(); /* Another thread is at it; it will want our stack. */
        }
    }
    say("\n\nhung or broken test: ");
    say(running);
    say("\n");
    say(why);
    say(": ");
    say(name);
    say("\n");
    print_stack(0);
    /* opendir() allocates: if the interrupted thread is inside malloc this may
     * hang, and ctest's own limit ends it; the first stack has been printed. */
    threads = opendir("/proc/self/task");
    for (struct dirent *entry; threads != NULL && (entry = readdir(threads)) != NULL;) {
        pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

        if (thread > 0 && thread != gettid()) {
            print_stack_of(thread);
        }
    }
    abort();
}

static void on_alarm(int signal_number)
{
    (void)signal_number;
    hkt_die("the test took longer than its limit; HOCKET_TEST_SLOW=N multiplies it", "watchdog");
}

/* ThreadSanitizer runs a handler only when the thread calls into the C library
 * again, which a hung one does not: there the alarm keeps its default, death. */
static bool handlers_run_late(void)
{
    return HKI_THREAD_SANITIZER;
}

void hkt_watchdog_install(void)
{
    struct sigaction action = {0};
    void *frame;

    /* The first call loads a library; inside a handler that could deadlock. */
    (void)backtrace(&frame, 1);
    sigemptyset(&action.sa_mask);
    action.sa_handler = print_stack;
    sigaction(stack_signal(), &action, NULL);
    if (!handlers_run_late()) {
        action.sa_handler = on_alarm;
        sigaction(SIGALRM, &action, NULL);
    }
}

void hkt_watchdog_start(const char *suite, const char *test)
{
    snprintf(running, sizeof(running), "%s/%s", suite, test);
    alarm(hkt_watchdog_seconds());
}

void hkt_watchdog_stop(void)
{
    alarm(0);
}
