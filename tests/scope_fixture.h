/* SPDX-License-Identifier: MIT */
/*
 * What the suites of fork and join on a thread pool share: a task that runs a function in a
 * scope, and what the two and the test speak to each other through.
 */
#ifndef HOCKET_TESTS_SCOPE_FIXTURE_H
#define HOCKET_TESTS_SCOPE_FIXTURE_H

#include <hocket/lock.h>

#include "tests/fixture.h"

/* What the function that the task was told to run finds; the names say what for. */
struct hkt_stage {
    hk_fork_fn *run;
    _Atomic(hk_executor *) pool; /* That of the task. */
    struct hkt_gate gates[3];
    struct hkt_barrier barrier;
    hk_lock lock;
    _Atomic pid_t owner;
    _Atomic pid_t thief;
    hk_future *future;
    hk_status statuses[3];
    int count;
    atomic_int sum;
};

void hkt_stage_init(struct hkt_stage *stage, hk_fork_fn *run);
void hkt_stage_fini(struct hkt_stage *stage);

hk_executor *hkt_stage_pool(unsigned workers, unsigned spares);

HK_TASK_DECLARE(hkt_stage_task); /* A stage by reference: runs its function. */

/* Runs the task and wants HK_OK; the same with all of its own. */
void hkt_stage_play(hk_executor *pool, struct hkt_stage *stage);
void hkt_stage_play_alone(hk_fork_fn *run, unsigned workers, unsigned spares);

/* To be forked, with the stage: counts. */
hk_fork_fn hkt_stage_add_one;

/* Opens the first gate, stands at the second, then adds 5 and fails. */
hk_fork_fn hkt_stage_stand;

#endif
