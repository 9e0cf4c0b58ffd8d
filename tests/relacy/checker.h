/* SPDX-License-Identifier: MIT */
/*
 * What the programs of this folder share: scenarios that must hold, mutants that must fail.
 *
 *     relacy_NAME [RUNS]         all scenarios, then all mutants, each of which must fail
 *     relacy_NAME WHICH [RUNS]   one scenario or mutant, with the steps of a failure
 *
 * A program defines `mutants` and `scenarios` and calls check_main().
 */
#ifndef HKT_RELACY_CHECKER_H
#define HKT_RELACY_CHECKER_H

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <relacy/relacy.hpp>

/* One place of the code whose order is weakened: function, what it does, to which word (the
 * start of the expression; "" for any), with which order, and with which instead. */
struct mutant {
    const char *name;
    const char *function;
    const char *operation;
    const char *word;
    rl::memory_order order;
    rl::memory_order weaker;
};

struct scenario {
    const char *name;
    bool (*holds)(unsigned long runs, bool is_talkative);
};

/* Whether it holds in so many runs. What was seen is printed, or goes nowhere: relacy has
 * an allocator of its own in force meanwhile, so a stream that allocates is none to give it. */
template <typename Suite> bool holds(unsigned long runs, bool is_talkative)
{
    std::ostream nowhere(NULL);
    rl::test_params params;

    params.iteration_count = runs;
    params.execution_depth_limit = 20000;
    params.output_stream = is_talkative ? &std::cout : &nowhere;
    params.progress_stream = &nowhere;
    return rl::simulate<Suite>(params) && params.stop_iteration == runs;
}

static const mutant *chosen; /* NULL: the code as it is. */

rl::memory_order relacy_order(const char *function, const char *operation, const char *word,
                              rl::memory_order order)
{
    bool is_chosen = chosen != NULL && order == chosen->order &&
                     std::strcmp(function, chosen->function) == 0 &&
                     std::strcmp(operation, chosen->operation) == 0 &&
                     std::strncmp(word, chosen->word, std::strlen(chosen->word)) == 0;

    return is_chosen ? chosen->weaker : order;
}

/* A mutant must fail in one of the scenarios; the code as it is in none. */
template <std::size_t Count>
bool is_as_it_must_be(const scenario (&scenarios)[Count], const mutant *now, const char *only,
                      unsigned long runs, bool is_talkative)
{
    bool all_hold = true;

    chosen = now;
    for (const scenario &one : scenarios) {
        if (only == NULL || std::strcmp(only, one.name) == 0) {
            bool held = one.holds(runs, is_talkative);

            if (!held && now == NULL) {
                one.holds(runs, true);
            }
            all_hold = all_hold && held;
            if (now == NULL || !held) {
                std::printf("%-18s %-14s %s\n", now != NULL ? now->name : "", one.name,
                            held ? "holds" : "fails");
            }
            if (!held) {
                break;
            }
        }
    }
    if (now != NULL && all_hold) {
        std::printf("%-18s is not noticed\n", now->name);
    }
    return all_hold == (now == NULL);
}

template <std::size_t Scenarios, std::size_t Mutants>
int check_main(int argc, char **argv, const scenario (&scenarios)[Scenarios],
               const mutant (&mutants)[Mutants])
{
    const char *only = argc > 1 && std::strtoul(argv[1], NULL, 10) == 0 ? argv[1] : NULL;
    const char *number = only == NULL ? (argc > 1 ? argv[1] : NULL) : (argc > 2 ? argv[2] : NULL);
    unsigned long runs = number != NULL ? std::strtoul(number, NULL, 10) : 100000;
    const mutant *named = NULL;
    bool is_good = true;

    for (const mutant &one : mutants) {
        named = only != NULL && std::strcmp(only, one.name) == 0 ? &one : named;
    }
    if (named != NULL) {
        is_good = is_as_it_must_be(scenarios, named, NULL, runs, true);
    } else {
        is_good = is_as_it_must_be(scenarios, NULL, only, runs, false);
        for (const mutant &one : mutants) {
            is_good =
                (only != NULL || is_as_it_must_be(scenarios, &one, NULL, runs, false)) && is_good;
        }
    }
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
