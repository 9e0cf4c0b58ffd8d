/* SPDX-License-Identifier: MIT */
/*
 * What the suites of the locks share: threads that do what they are told, one step at a
 * time, so that a test can say who holds what when somebody begins to wait; reports of
 * the order, kept; and checks that work in a forked child.
 */
#ifndef HOCKET_TESTS_LOCK_FIXTURE_H
#define HOCKET_TESTS_LOCK_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <hocket/hocket.h>

#include "tests/child_fixture.h"
#include "tests/promise_fixture.h"

/* --- Puppets ------------------------------------------------------------------ */

typedef hk_status hkt_act_fn(void *arg);

/* A thread that runs one function after another. */
struct hkt_puppet {
    struct hkt_thread thread;
    pthread_mutex_t mutex;
    pthread_cond_t told;
    hkt_act_fn *act; /* NULL: nothing to do. */
    void *arg;
    bool leaves;
    hk_status status; /* Of the last act. */
    atomic_bool begun;
    bool ended;
};

void hkt_puppet_make(struct hkt_puppet *puppet);

/* Ends the thread, with whatever it holds. */
void hkt_puppet_retire(struct hkt_puppet *puppet);

/* Runs an act there, and returns what came of it. */
hk_status hkt_puppet_do(struct hkt_puppet *puppet, hkt_act_fn *act, void *arg);

/* The same in two steps. Begin returns when the act runs; asleep, when the thread sleeps
 * in it. */
void hkt_puppet_begin(struct hkt_puppet *puppet, hkt_act_fn *act, void *arg);
void hkt_puppet_begin_asleep(struct hkt_puppet *puppet, hkt_act_fn *act, void *arg);
hk_status hkt_puppet_finish(struct hkt_puppet *puppet);

/* Acts. The argument is a hk_lock or a hk_rwlock. */
hkt_act_fn hkt_acquire;
hkt_act_fn hkt_try;
hkt_act_fn hkt_acquire_long; /* With a time limit that no test reaches. */
hkt_act_fn hkt_release;
hkt_act_fn hkt_read;
hkt_act_fn hkt_read_long;
hkt_act_fn hkt_write;
hkt_act_fn hkt_write_long;
hkt_act_fn hkt_rw_release;

/* A time limit that no test reaches. */
#define HKT_LONG HK_SEC(100000)

/* Takes one in the other and gives both back; what came of the second. On the caller's
 * thread. */
hk_status hkt_nest(hk_lock *outer, hk_lock *inner);

/* --- Reports of the order ------------------------------------------------------- */

enum { HKT_REPORT_EDGES = 8 };

/* Of the last report; any thread's. */
struct hkt_reports {
    pthread_mutex_t mutex;
    unsigned count;
    hk_lock_report_kind kind;
    hk_lock_policy policy;
    size_t edge_count;
    hk_lock_edge edges[HKT_REPORT_EDGES];
    int thread_id;
    char text[8192];
};

/* Takes the reports until hkt_reports_end(). */
void hkt_reports_begin(struct hkt_reports *reports);
void hkt_reports_end(struct hkt_reports *reports);

/* How many so far. */
unsigned hkt_reports_count(struct hkt_reports *reports);

#endif
