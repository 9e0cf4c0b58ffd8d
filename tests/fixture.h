/* SPDX-License-Identifier: MIT */
/*
 * What the suites of the executors share: the executor under test, tasks that
 * do one plain thing, and ways to hold workers still without sleeping.
 */
#ifndef HOCKET_TESTS_FIXTURE_H
#define HOCKET_TESTS_FIXTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <hocket/hocket.h>

#include "base/sanitizers.h"
#include "tests/harness.h"

/* An entry of a test table: the sentence that the function proves. */
#define HKT_CASE(sentence, function)                                                               \
    {                                                                                              \
        sentence, function                                                                         \
    }

/* --- The executor under test --- */

/* Fresh for each test, as --executor says; a test that ends it sets it to NULL. */
extern hk_executor *hkt_executor;

/* Set-up and tear-down of a suite that uses hkt_executor. */
void hkt_executor_set_up(void);
void hkt_executor_tear_down(void);

/* Whether tasks run inside their submit, so that nothing is ever queued. */
bool hkt_is_inline(void);

/* Whether they run in other processes, where no reference can go. */
bool hkt_is_processes(void);

/* Whether the order of events is drawn from a seed, and nothing runs until somebody waits. */
bool hkt_is_replay(void);

/* Whether it runs one task at a time on another executor's workers. */
bool hkt_is_serial(void);

/* In a loop of a test or task that waits for the clock or for a descriptor: in a replay others go
 * on meanwhile, and virtual time passes. */
void hkt_give_turn(void);

/* Workers that --executor names; 1 for inline, those of a default replay executor, and as many
 * tasks as can run at a time on a serial one. */
unsigned hkt_worker_count(void);

/* An executor of the kind and size that --executor names, with these options. */
hk_status hkt_executor_create(hk_executor_options options, hk_executor **out);

/* One of that kind with all defaults. */
hk_status hkt_executor_create_default(hk_executor **out);

/* A thread pool with these options; the test ends when it cannot be had. */
hk_executor *hkt_pool_create(hk_executor_options options);

/* --- Counters --- */

/* The counters now; all zero when they cannot be read, which fails the test. */
hk_executor_statistics hkt_stats(hk_executor *executor);

typedef uint64_t hkt_counter_fn(const hk_executor_statistics *statistics);

hkt_counter_fn hkt_queued;
hkt_counter_fn hkt_running;
hkt_counter_fn hkt_straggling;
hkt_counter_fn hkt_workers;
hkt_counter_fn hkt_idle;
hkt_counter_fn hkt_blocked;
hkt_counter_fn hkt_started;

/* Waits until a counter has a value; false when the watchdog's limit passed first. */
bool hkt_becomes(hk_executor *executor, hkt_counter_fn *counter, uint64_t value);

/* --- Tasks --- */

HK_TASK_DECLARE(hkt_square);         /* int -> its square. */
HK_TASK_DECLARE(hkt_echo);           /* Bytes -> the same bytes. */
HK_TASK_DECLARE(hkt_nothing);        /* Anything -> no bytes. */
HK_TASK_DECLARE(hkt_fails);          /* Fails with code 7 and the message "no luck". */
HK_TASK_DECLARE(hkt_cancels);        /* Ends itself CANCELLED. */
HK_TASK_DECLARE(hkt_counts);         /* A pointer: adds one to an atomic_uint. */
HK_TASK_DECLARE(hkt_stands_at_gate); /* A pointer: waits at a struct hkt_gate. */
HK_TASK_DECLARE(hkt_sleeps);         /* Sleeps until asked to stop, then ends CANCELLED. */
HK_TASK_DECLARE(hkt_thread_id);      /* -> the pid_t of the thread that runs it. */

/* A drop function: adds one to an atomic_uint. */
void hkt_count_drop(void *counter);

/* Submits task with an int and no options; the test ends when it is refused. */
hk_future *hkt_submit_int(hk_executor *executor, const hk_task *task, int value);

/* Submits task by reference, without a drop; likewise. */
hk_future *hkt_submit_ref(hk_executor *executor, const hk_task *task, void *arg);

/*
 * A pointer for a task, by which it and the test speak to each other: a reference, but on
 * processes the bytes of the pointer itself, which must come from hkt_shared_new() then.
 * The task reads it with hkt_pointer().
 */
hk_status hkt_try_pointer(hk_executor *executor, const hk_task *task, void *arg,
                          hk_future **future);

/* The same with options. */
hk_status hkt_try_pointer_with(hk_executor *executor, const hk_task *task, void *arg,
                               const hk_submit_options *options, hk_future **future);

/* Without options; the test ends when it is refused. */
hk_future *hkt_submit_pointer(hk_executor *executor, const hk_task *task, void *arg);

void *hkt_pointer(const void *in, size_t in_size);

/* Waits for an int and gives the reference back; INT_MIN when there is none,
 * which fails the test. */
int hkt_take_int(hk_future *future);

/* Waits for the end, checks it, and gives the reference back. */
void hkt_expect_end(hk_future *future, hk_status expected);

/* --- Holding workers still --- */

enum { HKT_PLUG_MAX = 64 };

/* Tasks that stand at a gate, so that nothing else runs. Not for inline. */
struct hkt_plug {
    struct hkt_gate *gate;
    hk_future *futures[HKT_PLUG_MAX];
    unsigned count;
};

/* Returns once count tasks stand at the gate. */
void hkt_plug_insert(struct hkt_plug *plug, hk_executor *executor, unsigned count);

/* Opens the gate and waits for the tasks' ends. */
void hkt_plug_pull(struct hkt_plug *plug);

/* Waits until a thread of this process sleeps in the kernel: for what can only be
 * seen from outside, such as a wait that has begun. */
bool hkt_falls_asleep(pid_t thread);

/* Whether it does so now. */
bool hkt_is_asleep(pid_t thread);

/* As the system tells it: 'S' asleep, 'T' stopped, 'Z' dead and not reaped; 0: there is none. */
char hkt_process_state(pid_t process);

/* --- An executor of one's own --- */

/* The functions of one that keeps nothing: what it is given ends in its submit. */
bool hkt_own_remove(void *self, hk_job *job);
void hkt_own_shutdown(void *self, hk_shutdown_how how);
hk_status hkt_own_join(void *self, hk_duration timeout);
void hkt_own_destroy(void *self);

#define HKT_OWN_OPS(its_submit)                                                                    \
    {                                                                                              \
        .size = sizeof(hk_executor_ops), .kind = "own", .flags = HK_EXECUTOR_SHARES_MEMORY,        \
        .submit = (its_submit), .remove = hkt_own_remove, .shutdown = hkt_own_shutdown,            \
        .join = hkt_own_join, .destroy = hkt_own_destroy                                           \
    }

/* --- Quiet --- */

/* For the set-up and the tear-down of suites in which lines of the log, and failures that nobody
 * looks at, come by the hundred. Loud also has memory to be had again. */
void hkt_be_quiet(void);
void hkt_be_loud(void);

/* --- Forks ------------------------------------------------------------------- */

/* AddressSanitizer's allocator does not hold its own locks across fork, so beside
 * it no other thread may allocate in that moment. */
#define HKT_ALLOCATOR_SURVIVES_FORK (HKI_ADDRESS_SANITIZER == 0)

/* ThreadSanitizer lets no child of several threads start one. */
#define HKT_CHILDREN_START_THREADS (HKI_THREAD_SANITIZER == 0)

#endif
