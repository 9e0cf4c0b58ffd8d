/* SPDX-License-Identifier: MIT */
#include "tests/schedule/round.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizers.h"
#include "tests/schedule/heap.h"

enum { SECONDS_MAX = 20 };

static struct hkt_report *report;
static const struct hkt_scenario *running;

void hkt_rounds_prepare(char **argv)
{
    int now = personality(0xffffffff);

    if (now >= 0 && (now & ADDR_NO_RANDOMIZE) == 0 &&
        personality((unsigned)now | ADDR_NO_RANDOMIZE) >= 0) {
        execv("/proc/self/exe", argv);
    }
    hkt_heap_reserve();
    report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) {
        abort();
    }
}

/* Threads that hand a turn to each other do so fastest on one processor. */
static void stay_here(void)
{
    cpu_set_t mask;

    CPU_ZERO(&mask);
    CPU_SET((size_t)sched_getcpu(), &mask);
    (void)sched_setaffinity(0, sizeof(mask), &mask);
}

/* The process is broken anyhow: what it can still tell is worth more than a handler's rules.
 * NOLINTBEGIN(bugprone-signal-handler) */
static void die(int number)
{
    hkt_fail(number == SIGALRM ? "a thread goes on for ever by itself" : "the signal %s",
             strsignal(number));
}
/* NOLINTEND(bugprone-signal-handler) */

static void quiet(hk_log_level level, const char *line, void *arg)
{
    (void)level;
    if (*(const bool *)arg) {
        fprintf(stderr, "    %s\n", line);
    }
}

__attribute__((noreturn)) static void run_in_child(struct hkt_setup setup)
{
    static const int deaths[] = {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    size_t count = sizeof(deaths) / sizeof(deaths[0]);

#if HKI_ADDRESS_SANITIZER
    count = 2; /* The rest is the sanitizer's. */
#endif
    for (size_t i = 0; i < count; i++) {
        signal(deaths[i], die); /* NOLINT(bugprone-signal-handler) */
    }
    alarm(SECONDS_MAX);
    stay_here();
    hk_on_log(quiet, &setup.trace);
    hkt_heap_begin();
    hkt_machine_run(&setup, report, running->run);
    hkt_heap_check();
    _exit(0);
}

const struct hkt_report *hkt_round(const struct hkt_scenario *scenario, struct hkt_setup setup)
{
    pid_t child;
    int status = 0;

    memset(report, 0, sizeof(*report));
    running = scenario;
    setup.timeless = scenario->timeless;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        run_in_child(setup);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        snprintf(report->failure, sizeof(report->failure), "there is no process for the round");
    } else if (report->failure[0] == '\0' && (status != 0 || !report->ended)) {
        snprintf(report->failure, sizeof(report->failure), "the process died, with status %d",
                 status);
    }
    return report;
}
