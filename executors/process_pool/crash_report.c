/* SPDX-License-Identifier: MIT */
#include "executors/process_pool/crash_report.h"

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fork.h"
#include "base/os.h"

/* Walking a stack takes some kilobytes, the kernel's own frame with wide registers more. */
enum { STACK_BYTES = 128 * 1024 };

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP, SIGXCPU};

enum { SIGNALS = sizeof(signals) / sizeof(signals[0]) };

/* Where this process writes its report: nowhere as long as it is the zygote, which has the
 * handlers for its workers to inherit. */
static struct hki_crash *volatile report;
static volatile uint32_t process; /* Whose report it is; 0: nobody's. */

/* Inherited like what they tell of; but the zygote of a worker starts with no handlers. */
static bool has_stack;
static bool is_prepared;

static volatile sig_atomic_t reporting;

/* For the others si_addr means something else, or nothing. */
static bool has_address(const siginfo_t *info)
{
    return info->si_code > 0 && (info->si_signo == SIGSEGV || info->si_signo == SIGBUS ||
                                 info->si_signo == SIGFPE || info->si_signo == SIGILL);
}

static void write_report(const siginfo_t *info, const void *context)
{
    struct hki_crash *crash = report;
    size_t frames;

    crash->signal = info->si_signo;
    crash->code = info->si_code;
    crash->call = hki_os_signal_call(info);
    crash->address = has_address(info) ? (uint64_t)(uintptr_t)info->si_addr : 0;
    crash->frame[0] = hki_os_signal_place(context);
    atomic_store(&crash->frames, 1);
    atomic_store(&crash->said, 1);
    /* Last: on a broken stack the walk may end the process. */
    frames = hki_os_backtrace_of_signal(context, crash->frame, HKI_FRAMES_MAX);
    atomic_store(&crash->frames, (uint32_t)frames);
}

static void crashed(int signal, siginfo_t *info, void *context)
{
    /* A child of the task has this handler too, and this memory, but not this death. */
    if (reporting == 0 && hki_fork_generation() == process) {
        reporting = 1;
        write_report(info, context);
    }
    /* The handler is gone already (SA_RESETHAND), and the signal is held back until this one
     * returns: then it ends the process, where and as it was interrupted. */
    (void)raise(signal);
}

static bool install_stack(void)
{
    size_t guard = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory = mmap(NULL, guard + STACK_BYTES, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    stack_t stack = {.ss_size = STACK_BYTES};

    if (memory == MAP_FAILED) {
        return false;
    }
    (void)mprotect(memory, guard, PROT_NONE);
    stack.ss_sp = memory + guard;
    if (sigaltstack(&stack, NULL) != 0) {
        (void)munmap(memory, guard + STACK_BYTES);
        return false;
    }
    return true;
}

bool hki_crash_report_prepare(void)
{
    void *warm_up[1];

    /* The first walk of a process loads what later ones need. */
    (void)hki_os_backtrace(warm_up, 1);
    is_prepared = false;
    if (!has_stack && !install_stack()) {
        return false;
    }
    has_stack = true;
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
        struct sigaction before;

        action.sa_sigaction = crashed;
        (void)sigfillset(&action.sa_mask);
        if (sigaction(signals[i], NULL, &before) == 0 && (before.sa_flags & SA_SIGINFO) == 0 &&
            before.sa_handler == SIG_DFL) {
            (void)sigaction(signals[i], &action, NULL);
        }
    }
    is_prepared = true;
    return true;
}

bool hki_crash_report_install(struct hki_crash *crash)
{
    report = crash;
    process = hki_fork_generation(); /* From here on a crash is told. */
    return is_prepared || hki_crash_report_prepare();
}
