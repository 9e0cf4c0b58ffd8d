/* SPDX-License-Identifier: MIT */
/*
 * The thread pool from the inside.
 *
 * Counting (all under `lock`)
 *   live      threads between their start and their end
 *   starting  of these, not in their loop yet
 *   idle      of these, waiting on `work`
 *   busy      of these, running a task and not blocked in a wait
 *   blocked   of these, inside a wait of a task
 *   leaving   of the live ones, those that have decided to leave
 *   present   threads that have not handed themselves over to be joined
 *   A worker takes a task only while busy < target. So with blocked workers there
 *   may be more threads than target, but no more than target compute, but for a
 *   moment when a blocked one returns.
 *
 * A worker leaves when it is superfluous (live - leaving - blocked > target) and has been
 * idle for a moment, when it has been idle for idle_exit, when it has run
 * tasks_per_worker tasks, when all are restarted, or when the pool is closed and its queue
 * empty. Its thread is joined by the next one that leaves, or by a join of the pool.
 */
#ifndef HOCKET_EXECUTORS_THREAD_POOL_IMPL_H
#define HOCKET_EXECUTORS_THREAD_POOL_IMPL_H

#include <pthread.h>

#include "executors/running.h"
#include "executors/task_queue.h"
#include "executors/worker_init.h"

enum { HKI_SPARES_DEFAULT = 64, HKI_WHERE_MAX = 64 };

struct thread_pool {
    hk_executor *executor;
    struct hki_worker_hooks hooks;
    size_t stack_size;
    int *cpus;
    size_t cpu_count;
    hk_duration idle_exit; /* HK_FOREVER: never. */
    unsigned spares_max;
    unsigned tasks_per_worker; /* 0: no limit. */
    atomic_uint finishing;     /* Workers whose task has ended, all but for telling. */

    pthread_mutex_t lock;
    struct hki_condition work;    /* For idle workers. */
    struct hki_condition settled; /* starting fell to 0, or live did. */
    struct hki_task_queue queue;
    struct hki_list running; /* Jobs under way. */
    struct hki_list workers;
    struct hki_list departed; /* Workers whose threads wait to be joined. */
    unsigned target;
    unsigned live;
    unsigned leaving;
    unsigned present;
    unsigned starting;
    unsigned idle;
    unsigned busy;
    unsigned blocked;
    uint64_t started_ever;
    uint64_t restarts; /* Workers that were started before the last one leave. */
    bool closing;
    bool broken;      /* An initialiser failed: no more workers. */
    bool cannot_grow; /* The last attempt to start a thread failed. */
};

struct worker {
    struct hki_list link; /* workers or departed. */
    struct thread_pool *pool;
    pthread_t thread;
    unsigned index;
    unsigned tasks_left;
    uint64_t restarts;       /* Of the pool, when this one was started. */
    bool finishing;          /* Own thread only. */
    int64_t idle_since_ns;   /* Own thread only. 0: it has just worked. */
    struct hki_agent *agent; /* NULL until it runs. Under the pool's lock, as the next. */
    bool is_ready;           /* Its initialiser has returned. */
    void *local;
    char name[HKI_NAME_MAX + 12];
    char where[HKI_WHERE_MAX];
};

/* --- workers.c --- */

/* Under the lock: starts one more thread. HK_ENOMEM, HK_ESYS: none. */
hk_status hki_pool_start_worker(struct thread_pool *pool);

/* Under the lock: after a change, wakes or starts a worker if there is work for it. */
void hki_pool_grow(struct thread_pool *pool);

/* Runs a job that is out of the queue on the stack of a worker. */
void hki_worker_run_job(struct worker *worker, hk_job *job);

/* Joins the threads of a list of departed workers and frees the records. */
void hki_pool_join_departed(struct hki_list *departed);

#endif
