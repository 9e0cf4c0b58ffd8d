/* SPDX-License-Identifier: MIT */
/*
 * forkjoin, forkjoin1 and forkscope: a tree of tasks, each of which waits for those it made.
 */
#include "bench/harness/harness.h"
#include "bench/hocket_bench/workload.h"

struct fork_run {
    uint64_t (*fork)(void *pool, uint64_t n);
    struct trial *trial;
    uint64_t value;
};

static void run_inside(void *arg)
{
    struct fork_run *run = arg;

    run->value = run->fork(run->trial->pool, run->trial->n);
}

static bool run_tree(struct trial *trial, uint64_t (*fork)(void *pool, uint64_t n),
                     uint64_t tasks_per_branch)
{
    struct fork_run run = {fork, trial, 0};
    uint64_t tasks = tasks_per_branch * work_fibonacci_branches(trial->n);
    int64_t began_ns = bench_now_ns();

    if (trial->peer->enclose != NULL) {
        trial->peer->enclose(trial->pool, run_inside, &run);
    } else {
        run_inside(&run);
    }
    tell(trial, "time_per_task",
         (double)(bench_now_ns() - began_ns) / (double)(tasks > 0 ? tasks : 1), "ns");
    return run.value == work_fibonacci(trial->n);
}

bool run_fork_both(struct trial *trial)
{
    return run_tree(trial, trial->peer->fork_both, 2);
}

bool run_fork_one(struct trial *trial)
{
    return run_tree(trial, trial->peer->fork_one, 1);
}

bool run_fork_scoped(struct trial *trial)
{
    const struct peer *peer = trial->peer;

    return run_tree(trial, peer->fork_scoped != NULL ? peer->fork_scoped : peer->fork_one, 1);
}
