/* SPDX-License-Identifier: MIT */
/*
 * The deque of a worker (sync/deque.h) under relacy, see ring.cc: an owner that puts and takes
 * back, in both ways to put, and thieves. With two places instead of many, so that they are
 * soon used again.
 *
 *     relacy_deque [RUNS]        all scenarios, then all mutants, each of which must fail
 *     relacy_deque NAME          one mutant, with the steps of its failure
 */
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <relacy/relacy.hpp>

/* Made of sync/deque.h: with two places. */
#include "deque_small.h"

namespace
{

enum { THIEVES = 2, TRIES = 2, ITEMS = 4 };

/* One place of sync/deque.h whose order is taken away. */
struct mutant {
    const char *name;
    const char *function;
    const char *operation;
    rl::memory_order order;
};

const mutant mutants[] = {
    {"quiet_release", "hki_deque_put_quietly", "store", rl::mo_release},
    {"reserve", "hki_deque_take_back", "store", rl::mo_seq_cst},
    {"reserve_look", "hki_deque_take_back", "load", rl::mo_seq_cst},
    {"take_look", "hki_deque_take_if", "load", rl::mo_seq_cst},
};

const mutant *chosen; /* NULL: the code as it is. */

template <typename Shape> struct deque_suite : rl::test_suite<Shape, 1 + THIEVES> {
    struct payload {
        rl::var<unsigned> number;
    };

    hki_deque deque;
    payload payloads[ITEMS];
    unsigned taken[ITEMS]; /* Fibers change turns only where relacy is called. */

    void before()
    {
        std::memset(taken, 0, sizeof(taken));
        deque.top($).store(0, rl::mo_relaxed);
        deque.bottom($).store(0, rl::mo_relaxed);
        deque.top_seen = 0;
        for (unsigned i = 0; i < HKI_DEQUE_PLACES; i++) {
            deque.place[i]($).store(NULL, rl::mo_relaxed);
        }
    }

    void note(void *item)
    {
        unsigned number = static_cast<payload *>(item)->number($);

        RL_ASSERT(number < ITEMS);
        taken[number]++;
    }

    /* False: it was full, so he runs it himself. */
    bool put(unsigned i)
    {
        bool is_quiet = Shape::IS_QUIET || (Shape::IS_MIXED && i % 2 == 1);

        payloads[i].number($) = i;
        if (is_quiet ? hki_deque_put_quietly(&deque, &payloads[i])
                     : hki_deque_put(&deque, &payloads[i])) {
            return true;
        }
        note(&payloads[i]);
        return false;
    }

    void take_back(unsigned i)
    {
        if (hki_deque_take_back(&deque, &payloads[i])) {
            note(&payloads[i]);
        }
    }

    /* Forks inside a fork, twice: as a tree does. */
    void own()
    {
        for (unsigned round = 0; round < ITEMS; round += 2) {
            bool outer = put(round);
            bool inner = put(round + 1);

            if (inner) {
                take_back(round + 1);
            }
            if (outer) {
                take_back(round);
            }
        }
        RL_ASSERT(hki_deque_newest(&deque) == NULL);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            own();
            return;
        }
        for (unsigned i = 0; i < TRIES; i++) {
            void *item = hki_deque_take(&deque);

            if (item != NULL) {
                note(item);
            }
        }
    }

    /* Each was had once, by whoever. */
    void after()
    {
        for (unsigned i = 0; i < ITEMS; i++) {
            RL_ASSERT(taken[i] == 1);
        }
    }
};

struct loud : deque_suite<loud> {
    enum { IS_QUIET = 0, IS_MIXED = 0 };
};

struct quiet : deque_suite<quiet> {
    enum { IS_QUIET = 1, IS_MIXED = 0 };
};

struct mixed : deque_suite<mixed> {
    enum { IS_QUIET = 0, IS_MIXED = 1 };
};

/* See ring.cc. */
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

struct scenario {
    const char *name;
    bool (*holds)(unsigned long runs, bool is_talkative);
};

const scenario scenarios[] = {
    {"loud", holds<loud>}, {"quiet", holds<quiet>}, {"mixed", holds<mixed>}};

/* A mutant must fail in one of the scenarios; the code as it is in none. */
bool is_as_it_must_be(const mutant *now, unsigned long runs, bool is_talkative)
{
    chosen = now;
    for (const scenario &one : scenarios) {
        bool held = one.holds(runs, is_talkative);

        if (!held || now == NULL) {
            std::printf("%-14s %-8s %s\n", now != NULL ? now->name : "", one.name,
                        held ? "holds" : "fails");
        }
        if (!held) {
            return now != NULL || (one.holds(runs, true) && false);
        }
    }
    if (now != NULL) {
        std::printf("%-14s is not noticed\n", now->name);
    }
    return now == NULL;
}

} // namespace

rl::memory_order relacy_order(const char *function, const char *operation, rl::memory_order order)
{
    bool is_chosen = chosen != NULL && order == chosen->order &&
                     std::strcmp(function, chosen->function) == 0 &&
                     std::strcmp(operation, chosen->operation) == 0;

    return is_chosen ? rl::mo_relaxed : order;
}

int main(int argc, char **argv)
{
    unsigned long number = argc > 1 ? std::strtoul(argv[1], NULL, 10) : 0;
    unsigned long runs = number != 0 ? number : 100000;
    const char *only = argc > 1 && number == 0 ? argv[1] : NULL;
    bool is_good = only != NULL || is_as_it_must_be(NULL, runs, false);

    for (const mutant &one : mutants) {
        if (only == NULL || std::strcmp(only, one.name) == 0) {
            is_good = is_as_it_must_be(&one, runs, only != NULL) && is_good;
        }
    }
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
