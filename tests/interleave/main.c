/* SPDX-License-Identifier: MIT */
/*
 * Tries every run of the scenarios, within their bounds: first on a machine without
 * fault, where all must pass; then with the faults that each must notice.
 *
 * Usage: interleave [--trace] [SCENARIO...]
 *
 *   --trace  print the operations of each run that failed
 */
#include <stdio.h>
#include <string.h>

#include "tests/interleave/choices.h"
#include "tests/interleave/scenario.h"

static const char *const fault_names[HKT_FAULTS] = {
    "", "no barrier", "adding 0 is a load", "sleeps blindly", "wakes one", "wakes nobody"};

static unsigned thread_count(const struct hkt_scenario *scenario)
{
    unsigned count = 0;

    while (count < HKT_THREADS_MAX && scenario->threads[count] != NULL) {
        count++;
    }
    return count;
}

static bool wants_trace;

static const char *try_one(const struct hkt_scenario *scenario)
{
    const char *failure;

    scenario->set_up();
    failure = hkt_machine_run(scenario->threads, thread_count(scenario));
    scenario->tear_down();
    return failure;
}

/* All runs, or up to the first that fails: what failed, or NULL. */
static const char *try_all(const struct hkt_scenario *scenario, enum hkt_fault fault,
                           unsigned long *runs)
{
    const char *failure;

    hkt_machine = (struct hkt_machine){scenario->bounds, fault, scenario->has_barrier, false};
    hkt_choices_reset();
    *runs = 0;
    do {
        failure = try_one(scenario);
        ++*runs;
    } while (failure == NULL && hkt_choices_next());
    return failure;
}

/* True if it went as it must. */
static bool examine(const struct hkt_scenario *scenario, enum hkt_fault fault)
{
    unsigned long runs;
    const char *failure = try_all(scenario, fault, &runs);
    bool right = (failure == NULL) == (fault == HKT_FAULTLESS);

    printf("%-22s %-20s %9lu runs: %s%s\n", scenario->name, fault_names[fault], runs,
           failure == NULL ? "all pass" : failure, right ? "" : "  <== WRONG");
    if (failure != NULL && wants_trace) {
        hkt_machine.trace = true;
        hkt_choices_repeat();
        (void)try_one(scenario);
    }
    fflush(stdout);
    return right;
}

static bool is_wanted(const char *name, char **names, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return count == 0;
}

int main(int argc, char **argv)
{
    const struct hkt_scenario *lists[] = {hkt_queue_scenarios, hkt_ring_scenarios,
                                          hkt_word_scenarios};
    int first = argc > 1 && strcmp(argv[1], "--trace") == 0 ? 2 : 1;
    unsigned examined = 0;
    unsigned wrong = 0;

    wants_trace = first == 2;
    for (size_t list = 0; list < sizeof(lists) / sizeof(lists[0]); list++) {
        for (const struct hkt_scenario *at = lists[list]; at->name != NULL; at++) {
            if (!is_wanted(at->name, argv + first, argc - first)) {
                continue;
            }
            for (unsigned fault = 0; fault < HKT_FAULTS; fault++) {
                if (fault == HKT_FAULTLESS || (at->faults & HKT_FAULT(fault)) != 0) {
                    examined++;
                    wrong += examine(at, (enum hkt_fault)fault) ? 0 : 1;
                }
            }
        }
    }
    printf("interleave: %u searches, %u went wrong\n", examined, wrong);
    return wrong == 0 && examined != 0 ? 0 : 1;
}
