/* SPDX-License-Identifier: MIT */
#include "executors/running.h"

#include "futures/wait_impl.h"

void hki_running_add(struct hki_list *running, hk_job *job)
{
    hk_future_ref(&job->future);
    hki_list_append(running, &job->link);
}

void hki_running_remove(hk_job *job, pthread_mutex_t *lock)
{
    hki_list_remove(&job->link);
    /* Dropping a result or telling of a failure runs code of the application. */
    pthread_mutex_unlock(lock);
    hki_wait_graph_settle();
    hk_future_unref(&job->future);
    pthread_mutex_lock(lock);
}

/* Still RUNNING after the runner was read, so that thread is inside the task and waits for
 * this look before it leaves. */
static bool is_outside(const hk_job *job, const hk_executor *executor)
{
    const struct hki_agent *runner = hki_future_runner(&job->future);

    return hki_phase(hki_future_state_now(&job->future)) == HKI_RUNNING && runner != NULL &&
           runner->host_owner != executor;
}

struct hki_wait_node hki_running_outside(const struct hki_list *running,
                                         const hk_executor *executor, size_t i)
{
    for (struct hki_list *at = running->next; at != running; at = at->next) {
        hk_job *job = HKI_CONTAINER(at, hk_job, link);

        if (is_outside(job, executor) && i-- == 0) {
            return hki_future_node(&job->future);
        }
    }
    return (struct hki_wait_node){NULL, NULL};
}

size_t hki_running_outsiders(const struct hki_list *running, const hk_executor *executor)
{
    size_t count = 0;

    while (hki_running_outside(running, executor, count).ops != NULL) {
        count++;
    }
    return count;
}

/* Under the lock: one that was not asked yet, with a reference; or NULL. */
static hk_job *find_unasked(struct hki_list *running)
{
    for (struct hki_list *at = running->next; at != running; at = at->next) {
        hk_job *job = HKI_CONTAINER(at, hk_job, link);

        if ((hki_future_state(&job->future) & HKI_STOP) == 0) {
            hk_future_ref(&job->future);
            return job;
        }
    }
    return NULL;
}

void hki_running_stop_all(struct hki_list *running, pthread_mutex_t *lock)
{
    for (;;) {
        hk_job *job;

        pthread_mutex_lock(lock);
        job = find_unasked(running);
        pthread_mutex_unlock(lock);
        if (job == NULL) {
            return;
        }
        (void)hki_future_request_stop(&job->future, "the executor is shut down");
        hk_future_unref(&job->future);
    }
}
