/* SPDX-License-Identifier: MIT */
/*
 * Tries many schedules of small programs that use the whole library, each drawn from a seed; see
 * the text below, machine.h and chance.h.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/schedule/round.h"

enum { FAULT_ROUNDS = 10000, REPEATED_SEEDS = 10 };

static const char usage[] =
    "Usage: schedule_fuzz [OPTION]...\n"
    "Tries schedules of small programs that use the whole library. The same seed is the\n"
    "same schedule.\n"
    "\n"
    "  --seed N           begin with this seed (1)\n"
    "  --rounds N         so many seeds of each scenario (200)\n"
    "  --seconds S        instead: as many as fit\n"
    "  --scenario NAME    only this one; may be given several times\n"
    "  --strategy NAME    pct (priorities that change at a few random steps), random (a\n"
    "                     random walk), or both, one seed after the other (both)\n"
    "  --depth D          of pct: one more than the changes (3)\n"
    "  --fault NAME       make the library or its machine go wrong\n"
    "  --faults           each fault must be found by each scenario that names it\n"
    "  --repeats          the same seed must be the same schedule\n"
    "  --trace            print each step\n"
    "  --list             print the scenarios and their faults\n"
    "  --help             this text\n"
    "\n"
    "It ends with 1 when a round failed, and prints the command that repeats it.\n";

static const char *const fault_names[HKT_FAULTS] = {
    [HKT_FAULTLESS] = "none",
    [HKT_LOSES_WAKES] = "loses-wakes",
    [HKT_SLEEPS_BLINDLY] = "sleeps-blindly",
    [HKT_OPEN_MUTEXES] = "open-mutexes",
    [HKT_FORGETS_LATE] = "forgets-late",
    [HKT_FORGETS_JOINS] = "forgets-joins",
    [HKT_FORGETS_ALERTS] = "forgets-alerts",
    [HKT_FREES_TOO_SOON] = "frees-too-soon",
    [HKT_DISARMS_NOTHING] = "disarms-nothing",
};

enum { WANTED_MAX = 64, SCENARIOS_MAX = 128 };

static struct {
    uint64_t seed;
    unsigned long rounds;
    double seconds; /* 0: rounds count. */
    bool pct;
    bool random;
    unsigned depth;
    enum hkt_fault fault;
    bool trace;
    const char *wanted[WANTED_MAX];
    unsigned wanted_count;
} options = {1, 200, 0, true, true, 3, HKT_FAULTLESS, false, {NULL}, 0};

static const struct hkt_scenario *scenarios[SCENARIOS_MAX];
static unsigned scenario_count;
static unsigned long tried;

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static void gather(void)
{
    const struct hkt_scenario *lists[] = {
        hkt_future_scenarios,   hkt_chain_scenarios, hkt_pool_scenarios, hkt_change_scenarios,
        hkt_shutdown_scenarios, hkt_time_scenarios,  hkt_sync_scenarios, hkt_meeting_scenarios,
        hkt_task_scenarios,     hkt_range_scenarios};

    for (size_t list = 0; list < sizeof(lists) / sizeof(lists[0]); list++) {
        for (const struct hkt_scenario *at = lists[list]; at->name != NULL; at++) {
            bool is_wanted = options.wanted_count == 0;

            for (unsigned i = 0; i < options.wanted_count; i++) {
                is_wanted = is_wanted || strcmp(at->name, options.wanted[i]) == 0;
            }
            if (is_wanted && scenario_count < SCENARIOS_MAX) {
                scenarios[scenario_count++] = at;
            }
        }
    }
}

/* --- rounds --- */

static struct hkt_setup setup_for(uint64_t seed)
{
    bool walks = options.random && (!options.pct || seed % 2 == 0);

    return (struct hkt_setup){.seed = seed,
                              .strategy = walks ? HKT_RANDOM_WALK : HKT_PRIORITIES,
                              .depth = options.depth,
                              .fault = options.fault,
                              .trace = options.trace};
}

static void show(const struct hkt_scenario *scenario, const struct hkt_setup *setup,
                 const struct hkt_report *report)
{
    printf("%s: seed %llu fails after %llu steps: %s\n", scenario->name,
           (unsigned long long)setup->seed, (unsigned long long)report->steps, report->failure);
    printf("  again: schedule_fuzz --scenario %s --seed %llu --rounds 1 --strategy %s --depth %u",
           scenario->name, (unsigned long long)setup->seed,
           setup->strategy == HKT_PRIORITIES ? "pct" : "random", setup->depth);
    if (setup->fault != HKT_FAULTLESS) {
        printf(" --fault %s", fault_names[setup->fault]);
    }
    printf(" --trace\n");
    fflush(stdout);
}

/* False: it failed, and was shown. */
static bool try(const struct hkt_scenario *scenario, uint64_t seed)
{
    struct hkt_setup setup = setup_for(seed);
    const struct hkt_report *report = hkt_round(scenario, setup);

    tried++;
    if (report->failure[0] != '\0') {
        show(scenario, &setup, report);
        return false;
    }
    return true;
}

/* Every scenario, one seed after the other; those that failed are left out from then on. */
static unsigned try_all(void)
{
    double end = now() + options.seconds;
    bool failed[SCENARIOS_MAX] = {false};
    unsigned failures = 0;

    for (uint64_t i = 0; options.seconds > 0 ? now() < end : i < options.rounds; i++) {
        for (unsigned at = 0; at < scenario_count; at++) {
            if (!failed[at] && !try(scenarios[at], options.seed + i)) {
                failed[at] = true;
                failures++;
            }
        }
        if (failures == scenario_count) {
            break;
        }
    }
    printf("schedule_fuzz: %lu rounds of %u scenarios, %u failed\n", tried, scenario_count,
           failures);
    return failures;
}

/* --- the fuzzer itself --- */

/* How many rounds it takes to find the fault; 0: it was not. */
static unsigned long rounds_to_find(const struct hkt_scenario *scenario, enum hkt_fault fault)
{
    for (unsigned long i = 0; i < FAULT_ROUNDS; i++) {
        struct hkt_setup setup = setup_for(options.seed + i);

        setup.fault = fault;
        if (hkt_round(scenario, setup)->failure[0] != '\0') {
            return i + 1;
        }
    }
    return 0;
}

static unsigned find_faults(void)
{
    unsigned missed = 0;
    unsigned searched = 0;

    for (unsigned at = 0; at < scenario_count; at++) {
        for (unsigned fault = 1; fault < HKT_FAULTS; fault++) {
            if ((scenarios[at]->faults & HKT_FAULT(fault)) != 0) {
                unsigned long rounds = rounds_to_find(scenarios[at], (enum hkt_fault)fault);

                searched++;
                missed += rounds == 0 ? 1 : 0;
                printf("%-24s %-16s %s %lu\n", scenarios[at]->name, fault_names[fault],
                       rounds == 0 ? "NOT FOUND" : "found in round", rounds);
                fflush(stdout);
            }
        }
    }
    printf("schedule_fuzz: %u faults, %u not found\n", searched, missed);
    return missed;
}

static unsigned repeat(void)
{
    unsigned different = 0;

    for (unsigned at = 0; at < scenario_count; at++) {
        for (uint64_t i = 0; i < REPEATED_SEEDS; i++) {
            struct hkt_setup setup = setup_for(options.seed + i);
            struct hkt_report first = *hkt_round(scenarios[at], setup);
            const struct hkt_report *second = hkt_round(scenarios[at], setup);

            if (first.hash != second->hash || first.steps != second->steps) {
                different++;
                printf("%s: seed %llu is two schedules, of %llu and %llu steps\n",
                       scenarios[at]->name, (unsigned long long)setup.seed,
                       (unsigned long long)first.steps, (unsigned long long)second->steps);
            }
        }
    }
    printf("schedule_fuzz: %u schedules tried twice, %u were different\n",
           scenario_count * REPEATED_SEEDS, different);
    return different;
}

static void list(void)
{
    for (unsigned at = 0; at < scenario_count; at++) {
        printf("%s", scenarios[at]->name);
        for (unsigned fault = 1; fault < HKT_FAULTS; fault++) {
            if ((scenarios[at]->faults & HKT_FAULT(fault)) != 0) {
                printf(" %s", fault_names[fault]);
            }
        }
        printf("\n");
    }
}

/* --- the command line --- */

enum choice {
    SEED = 1,
    ROUNDS,
    SECONDS,
    SCENARIO,
    STRATEGY,
    DEPTH,
    FAULT,
    FAULTS,
    REPEATS,
    TRACE,
    LIST,
    HELP
};

static bool read_number(const char *text, uint64_t *number)
{
    char *end;

    *number = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool read_strategy(const char *text)
{
    options.pct = strcmp(text, "pct") == 0 || strcmp(text, "both") == 0;
    options.random = strcmp(text, "random") == 0 || strcmp(text, "both") == 0;
    return options.pct || options.random;
}

static bool read_fault(const char *text)
{
    for (unsigned fault = 0; fault < HKT_FAULTS; fault++) {
        if (strcmp(text, fault_names[fault]) == 0) {
            options.fault = (enum hkt_fault)fault;
            return true;
        }
    }
    return false;
}

static bool read_option(int option, const char *text)
{
    uint64_t number = 0;

    switch (option) {
    case SEED:
        return read_number(text, &options.seed);
    case ROUNDS:
        if (!read_number(text, &number)) {
            return false;
        }
        options.rounds = number;
        return true;
    case SECONDS:
        options.seconds = atof(text);
        return options.seconds > 0;
    case SCENARIO:
        options.wanted[options.wanted_count++] = text;
        return options.wanted_count < WANTED_MAX;
    case STRATEGY:
        return read_strategy(text);
    case DEPTH:
        if (!read_number(text, &number) || number == 0 || number > 16) {
            return false;
        }
        options.depth = (unsigned)number;
        return true;
    case FAULT:
        return read_fault(text);
    case TRACE:
        options.trace = true;
        return true;
    default:
        return false;
    }
}

static const struct option long_options[] = {{"seed", required_argument, NULL, SEED},
                                             {"rounds", required_argument, NULL, ROUNDS},
                                             {"seconds", required_argument, NULL, SECONDS},
                                             {"scenario", required_argument, NULL, SCENARIO},
                                             {"strategy", required_argument, NULL, STRATEGY},
                                             {"depth", required_argument, NULL, DEPTH},
                                             {"fault", required_argument, NULL, FAULT},
                                             {"faults", no_argument, NULL, FAULTS},
                                             {"repeats", no_argument, NULL, REPEATS},
                                             {"trace", no_argument, NULL, TRACE},
                                             {"list", no_argument, NULL, LIST},
                                             {"help", no_argument, NULL, HELP},
                                             {NULL, 0, NULL, 0}};

int main(int argc, char **argv)
{
    int action = 0;
    int option;

    hkt_rounds_prepare(argv);
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == FAULTS || option == REPEATS || option == LIST || option == HELP) {
            action = option;
        } else if (!read_option(option, optarg)) {
            fprintf(stderr, "schedule_fuzz: see schedule_fuzz --help\n");
            return 2;
        }
    }
    if (action == HELP) {
        fputs(usage, stdout);
        return 0;
    }
    gather();
    if (scenario_count == 0 || optind != argc) {
        fprintf(stderr, "schedule_fuzz: there is no such scenario; see schedule_fuzz --list\n");
        return 2;
    }
    if (action == LIST) {
        list();
        return 0;
    }
    return (action == FAULTS ? find_faults() : action == REPEATS ? repeat() : try_all()) != 0;
}
