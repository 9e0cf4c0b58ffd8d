/* SPDX-License-Identifier: MIT */
/*
 * Pools of processes beside their peers.
 */
#include "bench/harness/harness.h"
#include "bench/process/pool_drivers.h"
#include "bench/process/pool_peer.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define PIPE          "pipe pool"
#define PIPE_LARGE    "pipe pool, 1 MiB pipes"
#define PYTHON        "python Executor"
#define PYTHON_POOL   "python Pool"
#define PYTHON_SERVER "python Executor, forkserver"

static const struct bench_family roundtrip_hot = {
    .name = "roundtrip_hot",
    .title = "an empty task, there and back, one after the other",
    .driver = &pool_hot_driver,
    .metrics = {{"p50", "us"}, {"p99", "us"}},
    .metric_count = 2,
    .base = PIPE,
    .is_for_processes = true,
    .is_first_told = true,
};

static const struct bench_family roundtrip_cold = {
    .name = "roundtrip_cold",
    .title = "the same after a pause of 1 ms, in which the worker falls asleep",
    .driver = &pool_cold_driver,
    .metrics = {{"p50", "us"}, {"p99", "us"}},
    .metric_count = 2,
    .base = PIPE,
    .is_for_processes = true,
    .is_first_told = true,
};

static const struct bench_family throughput = {
    .name = "throughput",
    .title = "empty tasks, 64 under way",
    .driver = &pool_throughput_driver,
    .metrics = {{"rate", "million tasks/s"}},
    .metric_count = 1,
    .base = PIPE,
    .is_for_processes = true,
    .is_first_told = true,
    .is_rate = true,
};

static const struct bench_family map64 = {
    .name = "map64",
    .title = "a map over items of 32 bytes with answers of 8, 64 items in a chunk",
    .driver = &pool_map_driver,
    .metrics = {{"rate", "million items/s"}},
    .metric_count = 1,
    .base = PYTHON_POOL,
    .is_for_processes = true,
    .is_first_told = true,
    .is_rate = true,
};

static const struct bench_family tasks = {
    .name = "tasks",
    .title = "tasks of a known length on two workers; \"busy\": how much of the time of both CPUs "
             "the tasks took; `no pool` is a thread on each that has nothing to send, the ideal",
    .driver = &pool_tasks_driver,
    .metrics = {{"rate", "thousand tasks/s"}, {"busy", "%"}},
    .metric_count = 2,
    .base = "no pool",
    .is_rate = true,
};

static const struct bench_family echo1m = {
    .name = "echo1m",
    .title = "1 MiB to a worker, which reads it, and back",
    .driver = &pool_echo_driver,
    .metrics = {{"time", "us"}},
    .metric_count = 1,
    .base = PIPE_LARGE,
    .is_for_processes = true,
    .is_first_told = true,
};

static const struct bench_family create = {
    .name = "create",
    .title = "a new pool with one worker, to the end of its first task",
    .driver = &pool_create_driver,
    .metrics = {{"p50", "us"}},
    .metric_count = 1,
    .base = PIPE,
    .is_for_processes = true,
    .is_first_told = true,
};

static const struct bench_family spawn = {
    .name = "spawn",
    .title = "one more worker, until it can work; \"1 GiB\": with so much touched by the program",
    .driver = &pool_worker_driver,
    .metrics = {{"p50", "us"}},
    .metric_count = 1,
    .base = PIPE,
    .is_for_processes = true,
    .is_first_told = true,
};

static const struct bench_family kill_worker = {
    .name = "kill",
    .title = "the only worker is killed (SIGKILL) while it runs a task: until the task's future "
             "has ended, and until a replacement has finished the task behind",
    .driver = &pool_kill_driver,
    .metrics = {{"to_error p50", "us"}, {"to_error p99", "us"}, {"to_heal p50", "us"}},
    .metric_count = 3,
    .is_for_processes = true,
    .is_first_told = true,
};

static const struct bench_family deadline = {
    .name = "deadline",
    .title = "a task that never ends, with a limit of 5 ms: how late it is given up",
    .driver = &pool_deadline_driver,
    .metrics = {{"over p50", "us"}, {"over p99", "us"}},
    .metric_count = 2,
};

static const struct bench_family idle = {
    .name = "idle",
    .title = "2 s with nothing to do, 2 s after the last task; all processes and threads",
    .driver = &pool_idle_driver,
    .metrics = {{"wakeups", "/s"}, {"cpu", "%"}},
    .metric_count = 2,
    .is_for_processes = true,
    .is_first_told = true,
};

static const struct bench_case cases[] = {
    {&roundtrip_hot, "1w_pinned", 1, POOL_APART, 0},
    {&roundtrip_hot, "1w_one_cpu", 1, POOL_STACKED, 0},
    {&roundtrip_hot, "1w", 1, POOL_FREE, 0},
    {&roundtrip_hot, "2w", 2, POOL_FREE, 0},
    {&roundtrip_cold, "1w_pinned", 1, POOL_APART, 0},
    {&throughput, "1w_pinned", 1, POOL_APART, 0},
    {&throughput, "1w", 1, POOL_FREE, 0},
    {&throughput, "2w", 2, POOL_FREE, 0},
    {&map64, "1w_pinned", 1, POOL_APART, 0},
    {&map64, "2w", 2, POOL_FREE, 0},
    {&tasks, "10us", 2, 10000, 0},
    {&tasks, "100us", 2, 100000, 0},
    {&echo1m, "in_place", 1, POOL_IN_PLACE, 0},
    {&echo1m, "zero_copy", 1, POOL_ZERO_COPY, 0},
    {&echo1m, "copied", 1, POOL_COPIED, 0},
    {&create, "1w", 1, 0, 0},
    {&spawn, "1w", 1, 0, 0},
    {&kill_worker, "1w", 1, 0, 0},
    {&deadline, "1w", 1, 0, 0},
    {&idle, "2w", 2, 0, 0},
};

/* The pool comes with the library. */
static const char built[] = "a library that has a pool of processes";

static void add_rows(struct bench_rows *rows, const struct bench_case *what)
{
    const struct bench_family *family = what->family;

    bench_add_row(rows, "hk pool", &pool_hocket, built);
    if (family == &throughput) {
        bench_add_row(rows, "hk pool by 16", &pool_hocket_batch, built);
    }
    if (family == &spawn) {
        bench_add_row(rows, "hk pool, 1 GiB", &pool_hocket_ballast, built);
    }
    if (family == &tasks) {
        bench_add_row(rows, "no pool", &pool_none, "");
    }
    if (family == &map64 || family == &kill_worker || family == &deadline) {
        return;
    }
    bench_add_row(rows, PIPE, &pool_pipe, "");
    if (family == &throughput) {
        bench_add_row(rows, "pipe pool by 16", &pool_pipe_batch, "");
    }
    if (family == &echo1m) {
        bench_add_row(rows, PIPE_LARGE, &pool_pipe_large, "");
    }
    if (family == &spawn) {
        bench_add_row(rows, "pipe pool, 1 GiB", &pool_pipe_ballast, "");
    }
}

static const struct bench_target targets[] = {
    {"roundtrip_hot", "1w_pinned", "hk pool", NULL, BENCH_ABSOLUTE, 2, 0},
    {"roundtrip_hot", "1w_pinned", "hk pool", NULL, BENCH_ABSOLUTE, 10, 1},
    {"roundtrip_hot", "1w_pinned", "hk pool", PIPE, BENCH_RATIO, 1.0 / 20, 0},
    {"roundtrip_hot", "1w_pinned", "hk pool", PYTHON, BENCH_RATIO, 1.0 / 100, 0},
    {"roundtrip_hot", "2w", "hk pool", NULL, BENCH_ABSOLUTE, 2, 0},
    {"roundtrip_cold", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 60, 0},
    {"roundtrip_cold", NULL, "hk pool", PIPE, BENCH_RATIO, 1.15, 0},
    {"roundtrip_cold", NULL, "hk pool", PYTHON, BENCH_RATIO, 1 / 3.5, 0},
    {"throughput", "1w_pinned", "hk pool", NULL, BENCH_ABSOLUTE, 1.5, 0},
    {"throughput", "1w_pinned", "hk pool", PIPE, BENCH_RATIO, 1.5, 0},
    {"throughput", "1w_pinned", "hk pool", PYTHON, BENCH_RATIO, 200, 0},
    {"throughput", "1w_pinned", "hk pool", PYTHON_POOL, BENCH_RATIO, 30, 0},
    {"throughput", "2w", "hk pool", NULL, BENCH_ABSOLUTE, 1.2, 0},
    {"throughput", "2w", "hk pool", PIPE, BENCH_RATIO, 0.7, 0},
    {"throughput", "2w", "hk pool", PYTHON, BENCH_RATIO, 160, 0},
    {"map64", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 30, 0},
    {"map64", NULL, "hk pool", PYTHON, BENCH_RATIO, 70, 0},
    {"map64", NULL, "hk pool", PYTHON_POOL, BENCH_RATIO, 12, 0},
    {"tasks", "10us", "hk pool", "no pool", BENCH_RATIO, 0.91, 0},
    {"tasks", "10us", "hk pool", PIPE, BENCH_RATIO, 0.95, 0},
    {"tasks", "100us", "hk pool", "no pool", BENCH_RATIO, 0.95, 0},
    {"tasks", "100us", "hk pool", PIPE, BENCH_RATIO, 0.98, 0},
    {"echo1m", "in_place", "hk pool", NULL, BENCH_ABSOLUTE, 25, 0},
    {"echo1m", "in_place", "hk pool", PIPE_LARGE, BENCH_RATIO, 1.0 / 20, 0},
    {"echo1m", "in_place", "hk pool", PYTHON, BENCH_RATIO, 1.0 / 200, 0},
    {"echo1m", "zero_copy", "hk pool", NULL, BENCH_ABSOLUTE, 90, 0},
    {"echo1m", "zero_copy", "hk pool", PIPE_LARGE, BENCH_RATIO, 1.0 / 6, 0},
    {"echo1m", "zero_copy", "hk pool", PYTHON, BENCH_RATIO, 1.0 / 50, 0},
    {"echo1m", "copied", "hk pool", NULL, BENCH_ABSOLUTE, 350, 0},
    {"echo1m", "copied", "hk pool", PIPE_LARGE, BENCH_RATIO, 1 / 1.5, 0},
    {"echo1m", "copied", "hk pool", PYTHON, BENCH_RATIO, 1.0 / 12, 0},
    {"spawn", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 250, 0},
    {"spawn", NULL, "hk pool", PYTHON, BENCH_RATIO, 1.0 / 12, 0},
    {"spawn", NULL, "hk pool", PYTHON_SERVER, BENCH_RATIO, 1.0 / 80, 0},
    {"spawn", NULL, "hk pool, 1 GiB", "hk pool", BENCH_RATIO, 1.5, 0},
    {"kill", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 300, 0},
    {"kill", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 5000, 1},
    {"kill", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 600, 2},
    {"kill", NULL, "hk pool", PYTHON, BENCH_RATIO, 1.0 / 5, 0},
    {"kill", NULL, "hk pool", PYTHON, BENCH_RATIO, 1.0 / 15, 2},
    {"deadline", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 1000, 0},
    {"deadline", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 5000, 1},
    {"idle", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 0, 0},
    {"idle", NULL, "hk pool", NULL, BENCH_ABSOLUTE, 0, 1},
};

static const char *const notes[] = {
    "\"1w\", \"2w\": so many workers. \"pinned\": the caller stays on CPU 0, the workers on CPU 1;",
    "\"one_cpu\": all on CPU 0; else the kernel decides, and a sleeping pair may be put on one CPU",
    "or on two, which differ twenty times. `pipe pool` was written for this comparison: forked",
    "workers, a pair of pipes each, epoll; \"by 16\": tasks put and taken 16 at a time.",
    "`python Executor` is concurrent.futures.ProcessPoolExecutor, `python Pool` is",
    "multiprocessing.Pool; they run in processes of their own, in the same rounds. After a kill",
    "the executor is broken and all its tasks are lost: \"to_heal\" is with a new one. The pool",
    "never tells of the lost task. As one cannot add a worker to either, their `spawn` is the",
    "start of the only one, by its first task. A pipe knows one way for an echo, which stands in",
    "all its columns; in ours the payload is made and read where it is, unless it is \"copied\".",
    NULL,
};

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "bench_process",
        .summary = "Times hk_process_pool beside other pools of processes.",
        .cases = cases,
        .case_count = COUNT_OF(cases),
        .add_rows = add_rows,
        .targets = targets,
        .target_count = COUNT_OF(targets),
        .notes = notes,
    };

    /* Before there is a second thread. */
    if (pool_hocket_prepare != NULL) {
        pool_hocket_prepare();
    }
    return bench_main(argc, argv, &program);
}
