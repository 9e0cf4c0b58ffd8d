/* SPDX-License-Identifier: MIT */
/* Pools of processes for tests, and what is expected of them. */
#include "tests/process_fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "executors/process_pool/fault_point.h"

int hkt_process_main(int argc, char **argv, CU_SuiteInfo *suites)
{
    if (hk_zygote_start() != HK_OK) {
        fprintf(stderr, "%s: no process to fork workers from\n", argv[0]);
        return 1;
    }
    return hkt_main(argc, argv, suites);
}

hk_executor *hkt_processes(hk_executor_options options)
{
    hk_executor *pool = NULL;

    HKT_OK_FATAL(hk_process_pool_create(&options, &pool));
    return pool;
}

void hkt_processes_end(hk_executor *pool)
{
    hki_fault_clear();
    HKT_OK(hk_executor_destroy(pool));
}

struct hkt_stand *hkt_stand_new(void)
{
    struct hkt_stand *stand = hkt_shared_new(sizeof(*stand));

    hkt_gate_init(&stand->gate, "where a worker stands");
    return stand;
}

HK_TASK(hkt_stands)
{
    struct hkt_stand *stand;

    memcpy(&stand, in, in_size == sizeof(stand) ? in_size : 0);
    atomic_store(&stand->pid, getpid());
    hkt_gate_wait(&stand->gate);
    atomic_fetch_add(&stand->passed, 1);
    return HK_OK;
}

HK_TASK(hkt_ends_by)
{
    int how = 0;

    memcpy(&how, in, sizeof(how));
    if (how <= 0) {
        exit(-how);
    }
    raise(how);
    return hk_fail(call, how, "signal %d did not end it", how);
}

hk_future *hkt_stand_submit(hk_executor *pool, struct hkt_stand *stand)
{
    unsigned arrived = atomic_load(&stand->gate.arrived);
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, hkt_stands, &stand, sizeof(stand), NULL, &future));
    hkt_gate_await_arrivals(&stand->gate, arrived + 1);
    return future;
}

pid_t hkt_pid_of_worker(hk_executor *pool)
{
    return hkt_take_int(hkt_submit_int(pool, hkt_thread_id, 0)); /* It has one thread. */
}

bool hkt_is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

static bool is_gone(void *arg)
{
    return hkt_is_gone(*(const pid_t *)arg);
}

bool hkt_goes(pid_t pid)
{
    return hkt_eventually(is_gone, &pid);
}

void hkt_expect_lost(hk_future *future, int signal, int exit_status)
{
    const hk_error *error = NULL;

    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EWORKER);
    HKT_EQ_INT(hk_future_state(future), HK_FAILED);
    if (HKT_OK(hk_future_error(future, 0, &error)) && HKT_TRUE(error != NULL)) {
        HKT_STATUS(error->status, HK_EWORKER);
        if (signal >= 0) {
            HKT_EQ_INT(error->term_signal, signal);
        }
        if (exit_status >= 0) {
            HKT_EQ_INT(error->exit_status, exit_status);
        }
        HKT_TRUE(strstr(error->where, "pid ") != NULL);
    }
    hk_future_unref(future);
}

void hkt_expect_health(hk_executor *pool)
{
    for (int i = 0; i < 8; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, hkt_square, i)), i * i);
    }
}
