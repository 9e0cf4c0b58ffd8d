/* SPDX-License-Identifier: MIT */
#include "executors/worker_init.h"

#include "base/log.h"
#include "executors/call.h"

void hki_worker_hooks_set(struct hki_worker_hooks *hooks, const hk_executor_options *options)
{
    *hooks = options == NULL ? (struct hki_worker_hooks){NULL, NULL, NULL}
                             : (struct hki_worker_hooks){options->initializer, options->finalizer,
                                                         options->worker_arg};
}

static void report(hk_executor *executor, const char *where, struct hki_error *cause)
{
    struct hki_error *error = hki_error_make(&(struct hki_error_facts){
        .status = HK_EINIT,
        .message = "the worker initialiser failed, so the executor can serve no more",
        .task = executor->name,
        .where = where,
        .cause = cause,
    });
    char line[512];

    hk_error_format(&error->shown, line, sizeof(line));
    hki_executor_break(executor, error);
    hki_log(HK_LOG_ERROR, "%s", line);
}

hk_status hki_worker_try_initialise(hk_executor *executor, const struct hki_worker_hooks *hooks,
                                    const char *where, void **local, struct hki_error **cause)
{
    static const hk_task task = {"worker initialiser", NULL, 0, "", 0};
    unsigned char small[HKI_SMALL_VALUE] __attribute__((aligned(16)));
    struct hki_agent *agent = hki_agent_self();
    hk_call call = {.executor = executor, .task = &task, .where = where, .small = small};
    struct hki_outcome outcome;
    hk_status status;

    *local = NULL;
    *cause = NULL;
    if (hooks->initializer == NULL) {
        return HK_OK;
    }
    hki_agent_enter(agent);
    hki_call_enter(&call);
    status = hooks->initializer(&call, hooks->arg, local);
    hki_call_outcome(&call, status, &outcome);
    hki_call_leave(&call);
    hki_agent_leave(agent);
    if (status != HK_OK) {
        *cause = outcome.error == NULL ? hki_error_plain(status) : hki_error_ref(outcome.error);
        status = HK_EINIT;
    }
    hki_outcome_drop(&outcome);
    return status;
}

hk_status hki_worker_initialise(hk_executor *executor, const struct hki_worker_hooks *hooks,
                                const char *where, void **local)
{
    struct hki_error *cause;
    hk_status status = hki_worker_try_initialise(executor, hooks, where, local, &cause);

    if (status != HK_OK) {
        report(executor, where, cause);
    }
    return status;
}

void hki_worker_finish(const struct hki_worker_hooks *hooks, void *local)
{
    struct hki_agent *agent = hki_agent_self();

    if (hooks->finalizer != NULL) {
        hki_agent_enter(agent);
        hooks->finalizer(local, hooks->arg);
        hki_agent_leave(agent);
    }
}
