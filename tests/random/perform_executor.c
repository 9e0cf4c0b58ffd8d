/* SPDX-License-Identifier: MIT */
/* What is done to executors and their workers. */
#include <signal.h>
#include <stdio.h>

#include "executors/process_pool/zygote.h"
#include "tests/random/perform.h"

enum { WORKERS_MAX = 64, STRANGE_WORKERS = 5 };

hk_status hkt_shut_down(int executor_op, hk_executor *executor, hk_shutdown_how how,
                        hk_duration wait)
{
    struct hkt_known *known = &hkt_stage->known[executor_op];
    hk_status status;

    atomic_store(&known->may_be_closed, true);
    if (how >= HK_SHUTDOWN_CANCEL_QUEUED) {
        atomic_store(&known->may_cancel_queued, true);
    }
    if (how >= HK_SHUTDOWN_CANCEL_ALL) {
        atomic_store(&known->may_cancel_all, true);
    }
    if (how == HK_SHUTDOWN_KILL) {
        atomic_store(&known->may_kill, true);
    }
    status = hk_executor_shutdown(executor, how, wait);
    if (status != HK_ESTATE) {
        atomic_store(&known->is_closed, true);
    }
    if (status == HK_OK && wait != 0) {
        atomic_store(&known->is_drained, true);
    }
    return status;
}

void hkt_perform_shutdown(int op, const struct hkt_op *at)
{
    int of = at->refs[HKT_TARGET];
    hk_executor *executor = hkt_executor_get(of);
    hk_duration wait = hkt_patience(at->numbers[HKT_TIME]);
    bool is_replay;
    hk_status status;

    if (of < 0 || executor == NULL) {
        return;
    }
    is_replay = hkt_kind_of(hkt_base_of(of)) == HKT_REPLAY;
    status = hkt_shut_down(of, executor, (hk_shutdown_how)at->numbers[HKT_HOW], wait);
    HKT_ONE_OF(op, status, HK_OK, HKT_IF(wait > 0, HK_ETIMEDOUT),
               HKT_IF(wait != 0 && hkt_may_ring(op), HK_EDEADLK), HKT_IF(is_replay, HK_ESTATE));
    hkt_executor_release(of);
}

static unsigned find_workers(pid_t *pids)
{
    pid_t zygote = hki_zygote_pid();
    char path[64];
    unsigned count = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", zygote, zygote);
    if ((file = fopen(path, "re")) == NULL) {
        return 0;
    }
    while (count < WORKERS_MAX && fscanf(file, "%d", &pids[count]) == 1) {
        count++;
    }
    fclose(file);
    return count;
}

void hkt_perform_kill_worker(int op, const struct hkt_op *at)
{
    pid_t pids[WORKERS_MAX];
    unsigned count;

    (void)op;
    if (hkt_is_worker_process()) {
        return;
    }
    atomic_fetch_add(&hkt_stage->kills, 1);
    if ((count = find_workers(pids)) != 0) {
        (void)kill(pids[(unsigned)at->numbers[HKT_VALUE] % count], SIGKILL);
    }
}

void hkt_perform_change(int op, const struct hkt_op *at)
{
    int of = at->refs[HKT_TARGET];
    hk_executor *executor = of < 0 ? NULL : hkt_executor_get(of);
    hk_duration wait = hkt_patience(at->numbers[HKT_TIME]);
    hk_executor_statistics statistics;
    bool has_workers;
    bool may_be_closed;
    hk_status right;

    if (executor == NULL) {
        return;
    }
    has_workers = hkt_kind_of(of) == HKT_THREADS || hkt_kind_of(of) == HKT_PROCESSES;
    right = has_workers ? HK_OK : HK_EINVAL;
    switch ((enum hkt_change)at->numbers[HKT_HOW]) {
    case HKT_RESIZE:
        HKT_ONE_OF(op, hk_executor_resize(executor, (unsigned)at->numbers[HKT_COUNT] % 4 + 1),
                   right, has_workers && hkt_may_be_closed(of) ? HK_ECLOSED : right);
        break;
    case HKT_RESTART:
        HKT_ONE_OF(op, hk_executor_restart_workers(executor), right,
                   has_workers && hkt_may_be_closed(of) ? HK_ECLOSED : right);
        break;
    case HKT_PRESTART:
        HKT_ONE_OF(op, hk_executor_prestart(executor, wait), HK_OK, HKT_IF(wait >= 0, HK_ETIMEDOUT),
                   HKT_IF(hkt_may_be_closed(of), HK_ECLOSED));
        break;
    case HKT_LOOK:
        may_be_closed = hkt_may_be_closed(of);
        HKT_ONE_OF(op, hk_executor_stats(executor, &statistics), HK_OK);
        HKT_MUST(may_be_closed || statistics.workers < WORKERS_MAX + STRANGE_WORKERS);
        break;
    }
    hkt_executor_release(of);
}
