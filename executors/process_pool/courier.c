/* SPDX-License-Identifier: MIT */
/*
 * The courier: a thread for what is the application's to run when a result arrives, that is
 * callbacks, and the hook for failures that nobody read. Neither a caller that waits, with
 * who knows which locks, nor the supervisor, which has deaths to hear of, may run them.
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

static struct courier *create(struct process_pool *pool)
{
    struct courier *courier = hki_zalloc(sizeof(*courier));
    sigset_t all;
    sigset_t before;
    int failed;

    if (courier == NULL) {
        return NULL;
    }
    courier->pool = pool;
    pthread_mutex_init(&courier->lock, NULL);
    hki_condition_init(&courier->work);
    hki_list_init(&courier->jobs);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = HKI_FAULT("courier_fails")
                 ? EAGAIN
                 : pthread_create(&courier->thread, NULL, courier_main, courier);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        pthread_mutex_destroy(&courier->lock);
        hki_free(courier, sizeof(*courier));
        return NULL;
    }
    return courier;
}

void hki_courier_send(struct process_pool *pool, hk_job *job, bool drain)
{
    struct courier *courier;

    job->drain = drain;
    pthread_mutex_lock(&pool->lock);
    pool->concluding++;
    if (pool->courier == NULL) {
        pool->courier = create(pool);
    }
    courier = pool->courier;
    pthread_mutex_unlock(&pool->lock);
    if (courier == NULL) {
        deliver(pool, job); /* Better here than never. */
        return;
    }
    pthread_mutex_lock(&courier->lock);
    hki_list_append(&courier->jobs, &job->link);
    hki_condition_signal(&courier->work);
    pthread_mutex_unlock(&courier->lock);
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
