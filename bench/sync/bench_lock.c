/* SPDX-License-Identifier: MIT */
/*
 * Locks beside their peers.
 */
#include <string.h>

#include "bench/harness/harness.h"
#include "bench/sync/lock_cycle.h"
#include "bench/sync/lock_drivers.h"
#include "bench/sync/lock_peer.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#define TIME_PER_PAIR                                                                              \
    {                                                                                              \
        "time_per_pair", "ns"                                                                      \
    }

static const struct bench_family nested = {
    .name = "nested",
    .title = "take so many locks inside each other, give them back; nobody else wants them",
    .driver = &lock_nested_driver,
    .metrics = {TIME_PER_PAIR},
    .metric_count = 1,
    .base = "pthread",
    .is_for_processes = true,
};

static const struct bench_family child = {
    .name = "child",
    .title = "take one lock and inside it a random one of so many others",
    .driver = &lock_child_driver,
    .metrics = {TIME_PER_PAIR},
    .metric_count = 1,
    .base = "pthread",
    .is_for_processes = true,
};

static const struct bench_family contended = {
    .name = "contended",
    .title = "threads take one lock all the time, only to count; share is that of the thread "
             "that got least, 1 its due",
    .driver = &lock_contended_driver,
    .metrics = {TIME_PER_PAIR, {"share", "of 1"}},
    .metric_count = 2,
    .base = "pthread",
    .is_for_processes = true,
};

static const struct bench_family realistic = {
    .name = "realistic",
    .title = "threads take one lock, for 30 turns of an empty loop, with 300 turns in between",
    .driver = &lock_realistic_driver,
    .metrics = {TIME_PER_PAIR, {"share", "of 1"}},
    .metric_count = 2,
    .base = "pthread",
    .is_for_processes = true,
};

static const struct bench_family many = {
    .name = "many",
    .title = "take so many locks that belong together, give them back",
    .driver = &lock_many_driver,
    .metrics = {{"time_per_set", "ns"}},
    .metric_count = 1,
    .base = "pthread one by one",
};

static const struct bench_family first_edge = {
    .name = "first_edge",
    .title = "take two of 200 new locks in an order that was never seen before",
    .driver = &lock_first_edge_driver,
    .metrics = {{"time_per_edge", "ns"}},
    .metric_count = 1,
};

static const struct bench_family deadlock = {
    .name = "deadlock",
    .title = "from the call that closes a ring of two threads to its refusal",
    .driver = &lock_deadlock_driver,
    .metrics = {{"median", "us"}, {"p99", "us"}},
    .metric_count = 2,
};

enum { DEADLOCKS = 50 };

static const struct bench_case cases[] = {
    {&nested, "depth1", 1, 1, 0},
    {&nested, "depth2", 1, 2, 0},
    {&nested, "depth3", 1, 3, 0},
    {&nested, "depth4", 1, 4, 0},
    {&child, "of10", 1, 10, 0},
    {&child, "of100", 1, 100, 0},
    {&child, "of1000", 1, 1000, 0},
    {&child, "of10000", 1, 10000, 0},
    {&contended, "2threads", 2, 0, 0},
    {&contended, "4threads", 4, 0, 0},
    {&realistic, "2threads", 2, 0, 0},
    {&realistic, "4threads", 4, 0, 0},
    {&many, "of2", 1, 2, 0},
    {&many, "of8", 1, 8, 0},
    {&deadlock, "ring2", 2, 2, DEADLOCKS},
    /* Last: what it leaves in the graphs of orders disturbs no other row. */
    {&first_edge, "new", 1, 200, LOCK_EDGES},
};

static void add_rows(struct bench_rows *rows, const struct bench_case *what)
{
    if (what->family == &deadlock) {
        bench_add_row(rows, "hk_lock", &lock_cycle_hocket, "");
        bench_add_row(rows, "FUTEX_LOCK_PI", &lock_cycle_futex, "");
        return;
    }
    if (what->family == &first_edge) {
        bench_add_row(rows, "hk_lock", &lock_hocket_each, "");
        bench_add_row(rows, "absl kReport", &lock_absl_report, "libabsl-dev with its checks");
        bench_add_row(rows, "pthread without a look", &lock_pthread, "");
        return;
    }
    if (what->family == &many) {
        bench_add_row(rows, "hk_lock_acquire_many", &lock_hocket, "");
        bench_add_row(rows, "hk_lock one by one", &lock_hocket_each, "");
        bench_add_row(rows, "pthread one by one", &lock_pthread, "");
        bench_add_row(rows, "std::scoped_lock", &lock_std, "g++");
        bench_add_row(rows, "absl kReport one by one", &lock_absl_report,
                      "libabsl-dev with its checks");
        return;
    }
    bench_add_row(rows, "hk_lock", &lock_hocket, "");
    bench_add_row(rows, "pthread", &lock_pthread, "");
    bench_add_row(rows, "pthread ERRORCHECK", &lock_pthread_errorcheck, "");
    bench_add_row(rows, "pthread PRIO_INHERIT", &lock_pthread_inherit, "");
    bench_add_row(rows, "absl kIgnore", &lock_absl, "libabsl-dev");
    bench_add_row(rows, "absl kReport", &lock_absl_report, "libabsl-dev with its checks");
    bench_add_row(rows, "nsync_mu", &lock_nsync, "libnsync-dev");
    bench_add_row(rows, "GMutex", &lock_glib, "libglib2.0-dev");
    bench_add_row(rows, "ck_spinlock_fas", &lock_ck, "libck-dev");
}

/* "Three times as fast" is a third of the time. */
#define THIRD (1.0 / 3)

static const struct bench_target targets[] = {
    {"nested", "depth1", "hk_lock", "pthread", BENCH_RATIO, 1.10, 0},
    {"nested", "depth2", "hk_lock", "pthread", BENCH_RATIO, 1.15, 0},
    {"nested", "depth3", "hk_lock", "pthread", BENCH_RATIO, 1.15, 0},
    {"nested", "depth4", "hk_lock", "pthread", BENCH_RATIO, 1.15, 0},
    {"nested", NULL, "hk_lock", "absl kReport", BENCH_RATIO, THIRD, 0},
    {"child", "of10000", "hk_lock", "pthread", BENCH_RATIO, 1.3, 0},
    {"contended", NULL, "hk_lock", "pthread", BENCH_RATIO, 1.0, 0},
    {"deadlock", NULL, "hk_lock", NULL, BENCH_ABSOLUTE, 50, 0},
    {"first_edge", NULL, "hk_lock", NULL, BENCH_ABSOLUTE, 5000, 0},
};

static const char *const notes[] = {
    "A second thread is always there, since glibc's locks take a shorter way without one.",
    "Locks lie on cache lines of their own. `absl kReport` looks for orders that could",
    "deadlock, as `hk_lock` does; the others look for nothing. Contended rows on few CPUs",
    "move by a factor of two between runs.",
    NULL,
};

int main(int argc, char **argv)
{
    static const struct bench_program program = {
        .name = "bench_lock",
        .summary = "Times hk_lock beside other locks.",
        .cases = cases,
        .case_count = COUNT_OF(cases),
        .add_rows = add_rows,
        .targets = targets,
        .target_count = COUNT_OF(targets),
        .notes = notes,
    };

    return bench_main(argc, argv, &program);
}
