/* SPDX-License-Identifier: MIT */
/*
 * The live executors, and the end of the process.
 *
 * The library has one destructor. It closes every live executor and says so in
 * one line each; it waits for none, unless drain_at_exit was asked for, because a
 * program that wants to end should end. From then on every submit is HK_ECLOSED.
 */
#include <pthread.h>

#include "base/fork.h"
#include "base/log.h"
#include "base/time.h"
#include "executors/executor_impl.h"

static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hki_list live = {&live, &live};
atomic_bool hki_exiting_;

hk_status hki_live_executors_add(hk_executor *executor)
{
    hk_status status = HK_OK;

    pthread_mutex_lock(&live_lock);
    if (hki_exiting()) {
        status = HK_ECLOSED;
    } else {
        hki_list_append(&live, &executor->live);
    }
    pthread_mutex_unlock(&live_lock);
    return status;
}

void hki_live_executors_remove(hk_executor *executor)
{
    pthread_mutex_lock(&live_lock);
    hki_list_remove(&executor->live);
    pthread_mutex_unlock(&live_lock);
}

void hki_live_executors_close_before(hk_executor *executor, hk_executor *base)
{
    pthread_mutex_lock(&live_lock);
    /* One that is not linked has been taken by the end of the process. */
    if (hki_list_linked(&executor->live) && hki_list_linked(&base->live)) {
        hki_list_remove(&executor->live);
        hki_list_append(&base->live, &executor->live);
    }
    pthread_mutex_unlock(&live_lock);
}

/* The next one still listed, with a reference; NULL at the end. */
static hk_executor *take_next(void)
{
    hk_executor *executor = NULL;
    struct hki_list *first;

    pthread_mutex_lock(&live_lock);
    if ((first = hki_list_take_first(&live)) != NULL) {
        executor = hki_executor_ref(HKI_CONTAINER(first, hk_executor, live));
    }
    pthread_mutex_unlock(&live_lock);
    return executor;
}

__attribute__((destructor)) static void leave(void)
{
    hk_executor *executor;

    while ((executor = take_next()) != NULL) {
        hk_executor_statistics statistics;

        if (hki_executor_usable(executor) != HK_OK) {
            continue; /* The parent's; its exit is its own. */
        }
        (void)hk_executor_stats(executor, &statistics);
        if (executor->drain_at_exit) {
            (void)hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER);
        } else if (atomic_load(&executor->how) == HKI_OPEN || statistics.running != 0 ||
                   statistics.queued != 0) {
            hki_log(HK_LOG_WARNING,
                    "executor %s was still open at exit: %zu tasks running, %zu queued were left "
                    "behind; call hk_executor_destroy() first, or set drain_at_exit",
                    executor->name, statistics.running, statistics.queued);
            hki_executor_close(executor, HK_SHUTDOWN_DRAIN);
        }
    }
    atomic_store(&hki_exiting_, true);
}

static void before_fork(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_lock(&live_lock);
}

static void after_fork(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_unlock(&live_lock);
}

/* A child starts with none: its parent's executors are not its to close. */
static void in_child(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    while (hki_list_take_first(&live) != NULL) {
    }
    pthread_mutex_unlock(&live_lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork, in_child);
}
