/* SPDX-License-Identifier: MIT */
/*
 * Queues beside their peers.
 */
#include "bench/harness/harness.h"
#include "bench/sync/queue_drivers.h"
#include "bench/sync/queue_peer.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct bench_family stream = {
    .name = "stream",
    .title = "producers and consumers (\"2p2c\": two and two), capacity 1024, items of 8 bytes; "
             "wall time for an item",
    .driver = &queue_stream_driver,
    .metrics = {{"time_per_item", "ns"}},
    .metric_count = 1,
    .base = "apr_queue",
    .is_for_processes = true,
};

static const struct bench_family apart = {
    .name = "apart",
    .title = "the same with the producers on one CPU and the consumers on another",
    .driver = &queue_apart_driver,
    .metrics = {{"time_per_item", "ns"}},
    .metric_count = 1,
    .base = "apr_queue",
};

static const struct bench_family wakes = {
    .name = "wakes",
    .title = "as `stream`; system calls that wake a thread, for an item",
    .driver = &queue_wakes_driver,
    .metrics = {{"wakes_per_item", "calls"}},
    .metric_count = 1,
};

static const struct bench_family idle = {
    .name = "idle",
    .title = "four consumers wait for an item that does not come; CPU in percent of one",
    .driver = &queue_idle_driver,
    .metrics = {{"cpu", "%"}},
    .metric_count = 1,
};

static const struct bench_family wake = {
    .name = "wake",
    .title = "one item back and forth over two queues: from put to the get that it wakes, one way; "
             "with both threads on one CPU and free to move",
    .driver = &queue_wake_driver,
    .metrics = {{"p50", "us"}, {"p99", "us"}, {"cpu", "us"}},
    .metric_count = 3,
    .base = "bare futex",
};

static const struct bench_case cases[] = {
    {&stream, "1p1c", 2, 0, 0},  {&stream, "2p2c", 4, 0, 0}, {&stream, "4p4c", 8, 0, 0},
    {&apart, "1p1c", 2, 0, 0},   {&apart, "2p2c", 4, 0, 0},  {&apart, "4p4c", 8, 0, 0},
    {&wakes, "1p1c", 2, 0, 0},   {&wakes, "2p2c", 4, 0, 0},  {&wakes, "4p4c", 8, 0, 0},
    {&wake, "one_cpu", 2, 1, 0}, {&wake, "free", 2, 0, 0},   {&idle, "4consumers", 4, 0, 0},
};

static void add_rows(struct bench_rows *rows, const struct bench_case *what)
{
    bool has_batches = what->family != &wake && what->family != &idle;

    bench_add_row(rows, "hk_queue", &queue_hocket, "");
    if (has_batches) {
        bench_add_row(rows, "hk_queue by 32", &queue_hocket_batch, "");
    }
    bench_add_row(rows, "hk_ring", &queue_hocket_ring, "");
    if (has_batches) {
        bench_add_row(rows, "hk_ring by 32", &queue_hocket_ring_batch, "");
    }
    if (what->family == &wake) {
        bench_add_row(rows, "bare futex", &queue_futex, "");
    }
    bench_add_row(rows, "textbook", &queue_textbook, "");
    if (has_batches) {
        bench_add_row(rows, "textbook by 32", &queue_textbook_batch, "");
    }
    bench_add_row(rows, "apr_queue", &queue_apr, "libaprutil1-dev");
    bench_add_row(rows, "GAsyncQueue", &queue_glib, "libglib2.0-dev");
    bench_add_row(rows, "tbb bounded_queue", &queue_tbb, "libtbb-dev");
    bench_add_row(rows, "boost lockfree + yield", &queue_boost, "libboost-dev");
    bench_add_row(rows, "ck_ring + yield", &queue_ck, "libck-dev");
}

static const char python[] = "python queue.Queue";
static const char java[] = "java ArrayBlockingQueue";

static const struct bench_target targets[] = {
    {"stream", "1p1c", "hk_queue", "apr_queue", BENCH_RATIO, 0.9, 0},
    {"stream", "2p2c", "hk_queue", "apr_queue", BENCH_RATIO, 0.85, 0},
    {"stream", "4p4c", "hk_queue", "apr_queue", BENCH_RATIO, 0.75, 0},
    {"stream", NULL, "hk_queue", python, BENCH_RATIO, 1.0 / 10, 0},
    {"stream", NULL, "hk_queue by 32", "apr_queue", BENCH_RATIO, 0.25, 0},
    {"stream", NULL, "hk_ring", "apr_queue", BENCH_RATIO, 0.25, 0},
    {"stream", NULL, "hk_ring", java, BENCH_RATIO, 0.5, 0},
    {"stream", NULL, "hk_ring", python, BENCH_RATIO, 1.0 / 40, 0},
    {"stream", NULL, "hk_ring by 32", "apr_queue", BENCH_RATIO, 0.12, 0},
    {"wakes", NULL, "hk_queue", NULL, BENCH_ABSOLUTE, 0.01, 0},
    {"wakes", NULL, "hk_ring", NULL, BENCH_ABSOLUTE, 0.01, 0},
    {"idle", NULL, "hk_queue", NULL, BENCH_ABSOLUTE, 0.5, 0},
    {"idle", NULL, "hk_ring", NULL, BENCH_ABSOLUTE, 0.5, 0},
    {"wake", NULL, "hk_queue", "bare futex", BENCH_RATIO, 1.1, 0},
    {"wake", NULL, "hk_ring", "bare futex", BENCH_RATIO, 1.1, 0},
};

static const char *const notes[] = {
    "\"by 32\": put and taken in batches of 32. `textbook` is a ring with a mutex and two",
    "condition variables, written for this comparison. GAsyncQueue has no bound. What does not",
    "block (boost, ck) yields and tries again: it burns the CPU, and a run of it is ended when",
    "it takes too long (\"stalls\"). Java and Python run in processes of their own, in the same",
    "rounds. On few CPUs a queue has two regimes, threads that take turns on one CPU and",
    "threads side by side: compare only within a run.",
    NULL,
};

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "bench_queue",
        .summary = "Times hk_queue and hk_ring beside other queues.",
        .cases = cases,
        .case_count = COUNT_OF(cases),
        .add_rows = add_rows,
        .targets = targets,
        .target_count = COUNT_OF(targets),
        .notes = notes,
    };

    return bench_main(argc, argv, &program);
}
