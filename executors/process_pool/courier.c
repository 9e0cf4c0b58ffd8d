/* SPDX-License-Identifier: MIT */
/*
 * The courier: a thread for what is the application's to run when a task ends, that is
 * callbacks, and the hook for failures that nobody read. Neither a caller that waits, with
 * who knows which locks and in no state to wait for something else, nor the supervisor, which
 * has deaths to hear of, may run them. It is there from the pool's beginning: once there is
 * something to deliver, it would be too late to find that no thread is to be had.
 */
#include <errno.h>
#include <signal.h>

#include "base/memory.h"
#include "base/no_cancel.h"
#include "base/os.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/pool.h"
#include "futures/relay.h"

struct courier {
    struct process_pool *pool;
    pthread_t thread;
    pthread_mutex_t lock;
    struct hki_condition work;
    struct hki_list jobs;
    bool ending;
};

static void deliver(struct process_pool *pool, hk_job *job)
{
    /* Its callbacks are callbacks of the executor, which may wait for this end. */
    hk_call call = {.executor = pool->executor};

    hki_call_enter(&call);
    if (job->drain) {
        hki_future_drain(&job->future);
    }
    hk_future_unref(&job->future);
    hki_call_leave(&call);
    pthread_mutex_lock(&pool->lock);
    hki_pool_concluded(pool, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *courier_main(void *arg)
{
    struct courier *courier = arg;
    struct hki_list *first;
    HKI_NO_CANCEL;

    hki_os_thread_name("hk-courier");
    atomic_store(&courier->pool->courier_agent, hki_agent_self());
    pthread_mutex_lock(&courier->lock);
    for (;;) {
        if ((first = hki_list_take_first(&courier->jobs)) != NULL) {
            pthread_mutex_unlock(&courier->lock);
            deliver(courier->pool, HKI_CONTAINER(first, hk_job, link));
            pthread_mutex_lock(&courier->lock);
        } else if (courier->ending) {
            break;
        } else {
            (void)hki_condition_wait(&courier->work, &courier->lock, HKI_NEVER);
        }
    }
    pthread_mutex_unlock(&courier->lock);
    return NULL;
}

static int start_thread(struct courier *courier)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = HKI_FAULT("courier_fails")
                 ? EAGAIN
                 : pthread_create(&courier->thread, NULL, courier_main, courier);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

hk_status hki_courier_start(struct process_pool *pool)
{
    struct courier *courier = hki_zalloc(sizeof(*courier));
    int failed;

    if (courier == NULL) {
        return HK_ENOMEM;
    }
    courier->pool = pool;
    pthread_mutex_init(&courier->lock, NULL);
    hki_condition_init(&courier->work);
    hki_list_init(&courier->jobs);
    if ((failed = start_thread(courier)) != 0) {
        pthread_mutex_destroy(&courier->lock);
        hki_free(courier, sizeof(*courier));
        errno = failed;
        return HK_ESYS;
    }
    pool->courier = courier;
    return HK_OK;
}

void hki_courier_send(struct process_pool *pool, hk_job *job, bool drain)
{
    struct courier *courier = pool->courier;

    job->drain = drain;
    pthread_mutex_lock(&pool->lock);
    pool->concluding++;
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_lock(&courier->lock);
    hki_list_append(&courier->jobs, &job->link);
    hki_condition_signal(&courier->work);
    pthread_mutex_unlock(&courier->lock);
}

void hki_courier_give_back(struct process_pool *pool, hk_job *job, bool drain)
{
    unsigned phase = hki_phase(hki_future_state(&job->future));

    if (drain) {
        hki_courier_send(pool, job, true);
    } else if (phase == HKI_DONE || phase == HKI_CANCELLED) {
        hk_future_unref(&job->future);
    } else if (!hki_future_unref_shared(&job->future)) {
        hki_courier_send(pool, job, false);
    }
}

void hki_courier_discard(struct process_pool *pool, hk_job *job, hk_status status,
                         const char *message)
{
    hki_courier_give_back(pool, job, hki_job_discard_quietly(job, status, message));
}

void hki_courier_discard_all(struct process_pool *pool, struct hki_list *jobs, hk_status status,
                             const char *message)
{
    struct hki_list *first;

    while ((first = hki_list_take_first(jobs)) != NULL) {
        hki_courier_discard(pool, HKI_CONTAINER(first, hk_job, link), status, message);
    }
}

void hki_courier_end(struct process_pool *pool)
{
    struct courier *courier = pool->courier;

    if (courier == NULL) {
        return;
    }
    pthread_mutex_lock(&courier->lock);
    courier->ending = true;
    hki_condition_signal(&courier->work);
    pthread_mutex_unlock(&courier->lock);
    pthread_join(courier->thread, NULL);
    pthread_mutex_destroy(&courier->lock);
    hki_free(courier, sizeof(*courier));
    pool->courier = NULL;
}
