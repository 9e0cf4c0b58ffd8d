/* SPDX-License-Identifier: MIT */
/* Puppets, kept reports, and checks in children. */
#include "tests/lock_fixture.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- Puppets --- */

static void obey(void *arg)
{
    struct hkt_puppet *puppet = arg;

    pthread_mutex_lock(&puppet->mutex);
    while (!puppet->leaves) {
        hkt_act_fn *act = puppet->act;
        hk_status status;

        if (act == NULL) {
            pthread_cond_wait(&puppet->told, &puppet->mutex);
            continue;
        }
        pthread_mutex_unlock(&puppet->mutex);
        atomic_store(&puppet->begun, true);
        status = act(puppet->arg);
        pthread_mutex_lock(&puppet->mutex);
        puppet->status = status;
        puppet->act = NULL;
        puppet->ended = true;
        pthread_cond_broadcast(&puppet->told);
    }
    pthread_mutex_unlock(&puppet->mutex);
}

void hkt_puppet_make(struct hkt_puppet *puppet)
{
    memset(puppet, 0, sizeof(*puppet));
    HKT_EQ_INT_FATAL(pthread_mutex_init(&puppet->mutex, NULL), 0);
    HKT_EQ_INT_FATAL(pthread_cond_init(&puppet->told, NULL), 0);
    hkt_thread_start(&puppet->thread, obey, puppet);
}

void hkt_puppet_retire(struct hkt_puppet *puppet)
{
    pthread_mutex_lock(&puppet->mutex);
    puppet->leaves = true;
    pthread_cond_broadcast(&puppet->told);
    pthread_mutex_unlock(&puppet->mutex);
    hkt_thread_join(&puppet->thread);
    pthread_cond_destroy(&puppet->told);
    pthread_mutex_destroy(&puppet->mutex);
}

void hkt_puppet_begin(struct hkt_puppet *puppet, hkt_act_fn *act, void *arg)
{
    pthread_mutex_lock(&puppet->mutex);
    atomic_store(&puppet->begun, false);
    puppet->ended = false;
    puppet->arg = arg;
    puppet->act = act;
    pthread_cond_broadcast(&puppet->told);
    pthread_mutex_unlock(&puppet->mutex);
    /* From then on it has nothing else to sleep on than what the act waits for. */
    while (!atomic_load(&puppet->begun)) {
        sched_yield();
    }
}

void hkt_puppet_begin_asleep(struct hkt_puppet *puppet, hkt_act_fn *act, void *arg)
{
    hkt_puppet_begin(puppet, act, arg);
    hkt_thread_await_sleep(&puppet->thread);
}

hk_status hkt_puppet_finish(struct hkt_puppet *puppet)
{
    hk_status status;

    pthread_mutex_lock(&puppet->mutex);
    while (!puppet->ended) {
        pthread_cond_wait(&puppet->told, &puppet->mutex);
    }
    status = puppet->status;
    pthread_mutex_unlock(&puppet->mutex);
    return status;
}

hk_status hkt_puppet_do(struct hkt_puppet *puppet, hkt_act_fn *act, void *arg)
{
    hkt_puppet_begin(puppet, act, arg);
    return hkt_puppet_finish(puppet);
}

hk_status hkt_acquire(void *arg)
{
    return hk_lock_acquire((hk_lock *)arg);
}

hk_status hkt_try(void *arg)
{
    return hk_lock_try((hk_lock *)arg);
}

hk_status hkt_acquire_long(void *arg)
{
    return hk_lock_acquire_timed((hk_lock *)arg, HKT_LONG);
}

hk_status hkt_release(void *arg)
{
    return hk_lock_release(arg);
}

hk_status hkt_read(void *arg)
{
    return hk_rwlock_read((hk_rwlock *)arg);
}

hk_status hkt_read_long(void *arg)
{
    return hk_rwlock_read_timed((hk_rwlock *)arg, HKT_LONG);
}

hk_status hkt_write(void *arg)
{
    return hk_rwlock_write((hk_rwlock *)arg);
}

hk_status hkt_write_long(void *arg)
{
    return hk_rwlock_write_timed((hk_rwlock *)arg, HKT_LONG);
}

hk_status hkt_rw_release(void *arg)
{
    return hk_rwlock_release(arg);
}

hk_status hkt_nest(hk_lock *outer, hk_lock *inner)
{
    hk_status status;

    HKT_OK(hk_lock_acquire(outer));
    status = hk_lock_acquire(inner);
    if (status == HK_OK) {
        HKT_OK(hk_lock_release(inner));
    }
    HKT_OK(hk_lock_release(outer));
    return status;
}

/* --- Reports of the order --- */

static void keep(const hk_lock_report *report, void *arg)
{
    struct hkt_reports *reports = arg;

    pthread_mutex_lock(&reports->mutex);
    reports->count++;
    reports->kind = report->kind;
    reports->policy = report->policy;
    reports->edge_count = report->edge_count;
    for (size_t i = 0; i < report->edge_count && i < HKT_REPORT_EDGES; i++) {
        reports->edges[i] = report->edges[i];
    }
    reports->thread_id = report->thread_id;
    snprintf(reports->text, sizeof(reports->text), "%s", report->text);
    pthread_mutex_unlock(&reports->mutex);
}

void hkt_reports_begin(struct hkt_reports *reports)
{
    memset(reports, 0, sizeof(*reports));
    HKT_EQ_INT_FATAL(pthread_mutex_init(&reports->mutex, NULL), 0);
    hk_on_lock_report(keep, reports);
}

void hkt_reports_end(struct hkt_reports *reports)
{
    hk_on_lock_report(NULL, NULL);
    pthread_mutex_destroy(&reports->mutex);
}

unsigned hkt_reports_count(struct hkt_reports *reports)
{
    unsigned count;

    pthread_mutex_lock(&reports->mutex);
    count = reports->count;
    pthread_mutex_unlock(&reports->mutex);
    return count;
}
