/* SPDX-License-Identifier: MIT */
/*
 * Per-thread objects beside their peers.
 */
#include "bench/harness/harness.h"
#include "bench/sync/local_drivers.h"
#include "bench/sync/local_peer.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct bench_family get = {
    .name = "get",
    .title = "find the thread's object and add 1 to a counter in it",
    .driver = &local_get_driver,
    .metrics = {{"time_per_access", "ns"}},
    .metric_count = 1,
    .base = "pthread_getspecific",
};

static const struct bench_family build = {
    .name = "build",
    .title = "the first access of a thread to each of 100 objects of 64 bytes",
    .driver = &local_build_driver,
    .metrics = {{"time_per_object", "ns"}},
    .metric_count = 1,
    .base = "make alone",
};

static const struct bench_family each = {
    .name = "each",
    .title = "visit the objects of so many threads; the time is for one object",
    .driver = &local_each_driver,
    .metrics = {{"time_per_thread", "ns"}},
    .metric_count = 1,
};

/* By a hundred threads: starting them takes longer than what is timed. */
enum { BUILDS = 100 * LOCALS_MAX };

static const struct bench_case cases[] = {
    {&get, "one", 1, 0, 0},
    {&build, "of100", 1, LOCALS_MAX, BUILDS},
    {&each, "of2threads", 2, 0, 0},
    {&each, "of16threads", 16, 0, 0},
    {&each, "of128threads", 128, 0, 0},
};

static void add_rows(struct bench_rows *rows, const struct bench_case *what)
{
    bench_add_row(rows, "hk_local", &local_hocket, "");
    if (what->family == &each) {
        bench_add_row(rows, "hk_local_fold", &local_hocket_fold, "");
        bench_add_row(rows, "tbb thread_specific", &local_tbb, "libtbb-dev");
        bench_add_row(rows, "tbb thread_specific by key", &local_tbb_key, "libtbb-dev");
        return;
    }
    if (what->family == &get) {
        bench_add_row(rows, "__thread", &local_thread, "");
        bench_add_row(rows, "__thread in a shared object", &local_thread_so, "");
        bench_add_row(rows, "tss_get", &local_c11, "");
    } else {
        bench_add_row(rows, "make alone", &local_alone, "");
    }
    bench_add_row(rows, "pthread_getspecific", &local_pthread, "");
    bench_add_row(rows, "GPrivate", &local_glib, "libglib2.0-dev");
    bench_add_row(rows, "apr_threadkey", &local_apr, "libapr1-dev");
    bench_add_row(rows, "tbb thread_specific", &local_tbb, "libtbb-dev");
    bench_add_row(rows, "tbb thread_specific by key", &local_tbb_key, "libtbb-dev");
    bench_add_row(rows, "boost thread_specific_ptr", &local_boost, "libboost-thread-dev");
}

static const struct bench_target targets[] = {
    {"get", NULL, "hk_local", "pthread_getspecific", BENCH_RATIO, 1.3, 0},
    {"get", NULL, "hk_local", "GPrivate", BENCH_RATIO, 0.8, 0},
    {"build", NULL, "hk_local", "make alone", BENCH_DIFFERENCE, 120, 0},
    {"each", NULL, "hk_local", NULL, BENCH_ABSOLUTE, 50, 0},
};

static const char *const notes[] = {
    "Every peer makes its objects with the same function. Only hk_local and tbb can visit the",
    "objects of other threads.",
    NULL,
};

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "bench_local",
        .summary = "Times hk_local beside other per-thread objects.",
        .cases = cases,
        .case_count = COUNT_OF(cases),
        .add_rows = add_rows,
        .targets = targets,
        .target_count = COUNT_OF(targets),
        .notes = notes,
    };

    return bench_main(argc, argv, &program);
}
