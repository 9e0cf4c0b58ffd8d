/* SPDX-License-Identifier: MIT */
/* Initialiser and finalizer of a worker: the same for every kind of worker. */
#ifndef HOCKET_EXECUTORS_WORKER_INIT_H
#define HOCKET_EXECUTORS_WORKER_INIT_H

#include "executors/executor_impl.h"

struct hki_worker_hooks {
    hk_worker_initializer_fn *initializer;
    hk_worker_finalizer_fn *finalizer;
    void *arg;
};

void hki_worker_hooks_set(struct hki_worker_hooks *hooks, const hk_executor_options *options);

/* Runs the initialiser on this thread. A failure breaks the executor, is logged,
 * and gives HK_EINIT. */
hk_status hki_worker_initialise(hk_executor *executor, const struct hki_worker_hooks *hooks,
                                const char *where, void **local);

/* The same without consequences: *cause receives why it failed, with HK_EINIT. */
hk_status hki_worker_try_initialise(hk_executor *executor, const struct hki_worker_hooks *hooks,
                                    const char *where, void **local, struct hki_error **cause);

/* Runs the finalizer, if there is one. */
void hki_worker_finish(const struct hki_worker_hooks *hooks, void *local);

#endif
