/* SPDX-License-Identifier: MIT */
/*
 * Pools of processes to which something happens. Each case runs in a forked child, which
 * starts a zygote of its own; it is good when it ends with nothing alive, and when nobody is
 * left of its processes: the child's output is read to its end, and every one of them holds
 * it.
 *
 *     HKT_FAULT_CASE(a_killed_worker_is_replaced)
 *     {
 *         hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
 *         ...
 *         hkt_fault_close(pool);
 *     }
 */
#ifndef HOCKET_TESTS_FAULT_FIXTURE_H
#define HOCKET_TESTS_FAULT_FIXTURE_H

#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/zygote.h"
#include "tests/child_fixture.h"
#include "tests/fixture.h"

#include <hocket/process_pool.h>

enum { HKT_SHARED_WORDS = 64 };

/* What the processes of one case let each other know; all zero at its beginning. */
struct hkt_shared {
    _Atomic(uint32_t) gate;                   /* 1: open. */
    _Atomic(uint32_t) arrived;                /* Tasks that came to the gate ever. */
    _Atomic(uint32_t) runs;                   /* Of hkt_fault_counts. */
    _Atomic(int32_t) pid[HKT_SHARED_WORDS];   /* Who arrived, in their order. */
    _Atomic(uint32_t) word[HKT_SHARED_WORDS]; /* As each case likes. */
};

extern struct hkt_shared *hkt_shared;

/* Runs a case in a child. */
void hkt_fault_run(void (*inside)(void));

/* The same for one that does not come to its end: it wants this signal, or with 0 this exit
 * status; nothing is said of what is alive, but nobody may be left. */
void hkt_fault_run_to_end(void (*inside)(void), int term_signal, int exit_status);

#define HKT_FAULT_CASE(name)                                                                       \
    static void name##_inside(void);                                                               \
    static void name(void)                                                                         \
    {                                                                                              \
        hkt_fault_run(name##_inside);                                                              \
    }                                                                                              \
    static void name##_inside(void)

/* --- Pools --- */

hk_executor *hkt_fault_pool(hk_executor_options options);

/* Destroys it. */
void hkt_fault_close(hk_executor *pool);

/* It runs a task. */
void hkt_fault_works(hk_executor *pool);

hk_executor_statistics hkt_fault_stats(hk_executor *pool);

/* Waits until a counter of it is at least so large. */
void hkt_fault_reaches(hk_executor *pool, hkt_counter_fn *counter, uint64_t value);

/* Waits until a shared word is at least so large. */
void hkt_fault_await(_Atomic(uint32_t) *word, uint32_t value);

/* Waits until there is no such process; a zombie is one. */
void hkt_fault_await_gone(int32_t pid);

/* --- Tasks, see fixture.h for more --- */

HK_TASK_DECLARE(hkt_fault_pid);    /* -> its process. */
HK_TASK_DECLARE(hkt_fault_stands); /* Tells its process, and waits until the gate opens. */
HK_TASK_DECLARE(hkt_fault_loops);  /* For ever, and hears nothing. */
HK_TASK_DECLARE(hkt_fault_dies);   /* By SIGKILL. */
HK_TASK_DECLARE(hkt_fault_counts); /* One run more. */

hk_future *hkt_fault_submit(hk_executor *pool, const hk_task *task,
                            const hk_submit_options *options);

/* A task that stands at the gate, and its process. */
hk_future *hkt_fault_stand(hk_executor *pool, int32_t *pid);

void hkt_fault_open_gate(void);

/* --- Ends: each waits, wants it, and gives the reference back --- */

void hkt_fault_ends(hk_future *future, hk_status status);
void hkt_fault_ends_by_signal(hk_future *future, int term_signal);
void hkt_fault_ends_by_exit(hk_future *future, int exit_status);
int hkt_fault_int(hk_future *future);

/* Squares of 0 to count - 1, submitted at once, and wanted. */
enum { HKT_SQUARES_MAX = 256 };
struct hkt_squares {
    hk_future *futures[HKT_SQUARES_MAX];
    int count;
};
void hkt_squares_submit(struct hkt_squares *squares, hk_executor *pool, int count);
void hkt_squares_expect(struct hkt_squares *squares);

#endif
