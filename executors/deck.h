/* SPDX-License-Identifier: MIT */
/*
 * What a worker of a pool keeps where others can reach it without a lock: its deque of tasks,
 * its counts, and what it runs. A pool's decks form a list that only grows, and that lives as
 * long as the pool; so whoever walks it needs no protection. A worker takes a free one over.
 */
#ifndef HOCKET_EXECUTORS_DECK_H
#define HOCKET_EXECUTORS_DECK_H

#include "base/topology.h"
#include "executors/job.h"
#include "sync/deque.h"

/* A task that runs on a worker's stack, there. */
struct running {
    hk_job *job;
    struct running *outer;
};

struct deck {
    struct hki_deque deque __attribute__((aligned(64)));
    struct hki_work_counts counts __attribute__((aligned(64)));
    _Atomic(struct running *) running; /* Innermost first. */
    atomic_uint cpu;                   /* On which its owner last looked for work. */
    atomic_bool is_finishing;          /* Its outermost task has ended, all but for telling. */
    bool is_taken;                     /* By a worker. Under the pool's lock. */
    _Atomic(struct hki_agent *) agent; /* Who that is. Written under the graph's lock. */
    struct deck *next;                 /* Set once. */
};

/* Under the lock of the list: a free one, or a new one; NULL without memory. */
struct deck *hki_deck_take(_Atomic(struct deck *) *list);

/* For the owner of a deck: the oldest item of another's, of those that are nearest at first; from
 * its own neighbour on, so that not all go for the same. NULL: there is none. topology: NULL
 * where all are equally near. */
void *hki_deck_steal(_Atomic(struct deck *) *list, struct deck *own,
                     const struct hki_topology *topology);

/* When nobody can reach them any more. */
void hki_decks_free(_Atomic(struct deck *) *list);

uint64_t hki_decks_counted(_Atomic(struct deck *) *list, enum hki_counted what);

#endif
