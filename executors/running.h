/* SPDX-License-Identifier: MIT */
/* The jobs under way in a back end, so that a shutdown can ask them to stop. The
 * list is guarded by the back end's lock; a listed job has a reference for it. */
#ifndef HOCKET_EXECUTORS_RUNNING_H
#define HOCKET_EXECUTORS_RUNNING_H

#include <pthread.h>

#include "executors/job.h"

/* Under the lock. */
void hki_running_add(struct hki_list *running, hk_job *job);

/* Under the lock, which is released for a moment if the job's last reference goes. */
void hki_running_remove(hk_job *job, pthread_mutex_t *lock);

/* Asks all of them to stop; takes the lock itself. */
void hki_running_stop_all(struct hki_list *running, pthread_mutex_t *lock);

/* Under the lock, for looks: the future of job i, of those that no worker of the executor
 * runs but some other thread. No node: there are not so many. Those who take a job out of the
 * list wait for a look that may still read it. */
struct hki_wait_node hki_running_outside(const struct hki_list *running,
                                         const hk_executor *executor, size_t i);

/* How many. */
size_t hki_running_outsiders(const struct hki_list *running, const hk_executor *executor);

#endif
