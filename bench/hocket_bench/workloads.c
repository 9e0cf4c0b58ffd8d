/* SPDX-License-Identifier: MIT */
/*
 * The workloads of every peer.
 */
#include "bench/hocket_bench/workload.h"

bool is_for_threads(const struct peer *peer)
{
    return !peer->is_processes;
}

/* Several outside threads submit at once. */
bool is_for_outsiders(const struct peer *peer)
{
    return !peer->is_processes && peer->enclose == NULL;
}

bool is_for_fork_both(const struct peer *peer)
{
    return peer->fork_both != NULL;
}

bool is_for_fork_one(const struct peer *peer)
{
    return peer->fork_one != NULL;
}

/* Whoever has nothing cheaper takes what it has. */
bool is_for_fork_scoped(const struct peer *peer)
{
    return peer->fork_scoped != NULL || peer->fork_one != NULL;
}

bool is_for_range(const struct peer *peer)
{
    return peer->range != NULL;
}

bool is_for_processes(const struct peer *peer)
{
    return peer->is_processes;
}

bool is_for_echo(const struct peer *peer)
{
    return peer->echo_send != NULL;
}

const struct workload pool_workloads[] = {
    {.name = "burst",
     .title = "one outside thread submits n trivial tasks and waits for all",
     .n = 1000000,
     .is_for = is_for_threads,
     .run = run_burst},
    {.name = "burst_recycled",
     .title = "six such bursts in one process: the first, and the median of the others",
     .n = 1000000,
     .is_for = is_for_threads,
     .run = run_burst_recycled},
    {.name = "burst_futex",
     .title = "futex calls of a burst, by all threads; where the kernel lets them be counted",
     .n = 1000000,
     .is_for = is_for_counted,
     .prepare = prepare_counter,
     .run = run_burst_futex},
    {.name = "producers",
     .title = "4 outside threads submit n / 4 each and wait for their own",
     .n = 1000000,
     .is_for = is_for_outsiders,
     .run = run_producers},
    {.name = "roundtrip",
     .title = "submit one trivial task, wait for its result; n times",
     .n = 100000,
     .is_for = is_for_threads,
     .run = run_roundtrip},
    {.name = "roundtrip_pinned",
     .title = "the same with all threads on one CPU",
     .n = 100000,
     .is_for = is_for_threads,
     .prepare = prepare_pinned,
     .run = run_roundtrip},
    {.name = "roundtrip_idle",
     .title = "the same on all CPUs, after a rest of 100 us each",
     .n = 10000,
     .is_for = is_for_threads,
     .run = run_roundtrip_idle},
    {.name = "map",
     .title = "a function of about 50 ns over n doubles, 10,000 to a task",
     .n = 10000000,
     .is_for = is_for_threads,
     .prepare = prepare_map,
     .run = run_map},
    {.name = "map_fine",
     .title = "the same, 256 to a task",
     .n = 10000000,
     .is_for = is_for_threads,
     .prepare = prepare_map_fine,
     .run = run_map},
    {.name = "skew",
     .title = "n busy loops of 1 us to 1 ms, Pareto with alpha 1",
     .n = 20000,
     .is_for = is_for_threads,
     .run = run_skew},
    {.name = "forkjoin",
     .title = "fib(n), both halves spawned and joined",
     .n = 30,
     .is_for = is_for_fork_both,
     .run = run_fork_both},
    {.name = "forkjoin1",
     .title = "fib(n), one half spawned, the other called",
     .n = 30,
     .is_for = is_for_fork_one,
     .run = run_fork_one},
    {.name = "forkscope",
     .title = "the same with what costs least and gives no futures: hk_fork()",
     .n = 30,
     .is_for = is_for_fork_scoped,
     .run = run_fork_scoped},
    {.name = "range",
     .title = "a loop of n trivial turns as a parallel for",
     .n = 1000000,
     .is_for = is_for_range,
     .run = run_range},
    {.name = "proc_roundtrip",
     .title = "one empty task to a worker process and back, n times",
     .n = 20000,
     .is_for = is_for_processes,
     .run = run_roundtrip},
    {.name = "proc_roundtrip_pinned",
     .title = "the same with all processes on one CPU",
     .n = 20000,
     .is_for = is_for_processes,
     .prepare = prepare_pinned,
     .run = run_roundtrip},
    {.name = "proc_throughput",
     .title = "n tiny tasks, one to a message",
     .n = 100000,
     .is_for = is_for_processes,
     .run = run_proc_throughput},
    {.name = "proc_echo",
     .title = "a payload of 1 MiB there and back, one under way for each worker; n times",
     .n = 1000,
     .is_for = is_for_echo,
     .run = run_proc_echo},
    {.name = NULL},
};
