/* SPDX-License-Identifier: MIT */
/*
 * What the suites of the process pool share: pools, tasks that tell of their process or
 * stand still in it, and what is expected of a worker that was lost.
 */
#ifndef HOCKET_TESTS_PROCESS_FIXTURE_H
#define HOCKET_TESTS_PROCESS_FIXTURE_H

#include "tests/fixture.h"

/* hkt_main() behind a zygote, which has to be forked before anything else. */
int hkt_process_main(int argc, char **argv, CU_SuiteInfo *suites);

/* A pool with these options; the test ends when it cannot be had. */
hk_executor *hkt_processes(hk_executor_options options);

/* Forgets all fault points, and releases the pool. */
void hkt_processes_end(hk_executor *pool);

/* What a task that stands still shares with the test. */
struct hkt_stand {
    struct hkt_gate gate;
    atomic_int pid;     /* Of the worker it stands in. */
    atomic_uint passed; /* Tasks that came beyond the gate. */
};

struct hkt_stand *hkt_stand_new(void);

HK_TASK_DECLARE(hkt_stands);  /* A pointer: at a struct hkt_stand. */
HK_TASK_DECLARE(hkt_ends_by); /* An int: raises this signal, or exits with minus this. */

/* Submits hkt_stands and returns once it stands. */
hk_future *hkt_stand_submit(hk_executor *pool, struct hkt_stand *stand);

/* The process that runs a task now. */
pid_t hkt_pid_of_worker(hk_executor *pool);

/* Whether there is no such process, or there soon is none. */
bool hkt_is_gone(pid_t pid);
bool hkt_goes(pid_t pid);

/* Waits for HK_EWORKER and checks what its error says; gives the reference back. A negative
 * signal or exit status is not looked at. */
void hkt_expect_lost(hk_future *future, int signal, int exit_status);

/* The pool is of use, whatever has happened to it. */
void hkt_expect_health(hk_executor *pool);

#endif
