/* SPDX-License-Identifier: MIT */
/* How a forked copy of the zygote becomes a worker. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <hocket/inline_executor.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/os.h"
#include "executors/process_pool/crash_report.h"
#include "executors/process_pool/worker_impl.h"

_Noreturn void hki_worker_leave(int status)
{
    /* What tasks have printed; what the application had was written before the zygote. */
    (void)fflush(NULL);
    _exit(status);
}

/* The first of all that exit() calls, being the last that was registered: what the
 * application registered is about the application's end, not about a worker's. */
static void left_by_exit(int status, void *unused)
{
    (void)unused;
    hki_worker_leave(status);
}

static hk_status refused(struct hki_worker *worker, const char *what, struct hki_error **failure)
{
    int why = errno;
    char message[192];

    snprintf(message, sizeof(message), "a worker could not be set up: %s: %s", what, strerror(why));
    *failure = hki_error_make(&(struct hki_error_facts){
        .status = HK_EINIT,
        .sys_errno = why,
        .message = message,
        .task = worker->page->name,
        .where = worker->where,
    });
    return HK_EINIT;
}

static hk_status set_environment(struct hki_worker *worker, struct hki_error **failure)
{
    const char *at = worker->page->environment;

    for (uint32_t i = 0; i < worker->page->environment_count; i++) {
        char *copy; /* The environment's from then on. */

        if (strchr(at, '=') == NULL) {
            (void)unsetenv(at);
        } else if ((copy = hki_block_text(at)) == NULL || putenv(copy) != 0) {
            errno = ENOMEM;
            return refused(worker, "its environment", failure);
        }
        at += strlen(at) + 1;
    }
    return HK_OK;
}

static hk_status set_scheduling(struct hki_worker *worker, struct hki_error **failure)
{
    const struct hki_pool_page *page = worker->page;
    int cpus[HKI_CPUS_WORDS * 64];
    size_t count = 0;

    for (unsigned cpu = 0; page->has_cpus != 0 && cpu < HKI_CPUS_WORDS * 64; cpu++) {
        if ((page->cpus[cpu / 64] >> (cpu % 64) & 1) != 0) {
            cpus[count++] = (int)cpu;
        }
    }
    if (count != 0 && !hki_os_thread_affinity(cpus, count)) {
        return refused(worker, "its CPUs", failure);
    }
    if (page->has_nice != 0) {
        errno = 0;
        if (nice(page->nice) == -1 && errno != 0) {
            return refused(worker, "its nice value", failure);
        }
    }
    return HK_OK;
}

static hk_status make_executor(const struct hki_worker *worker, hk_executor **out)
{
    /* It has no workers; else the processors would be counted for the default. */
    hk_executor_options options = {.workers = 1,
                                   .max_payload = (size_t)worker->page->max_payload,
                                   .name = strchr(worker->where, ' ') + 1};

    return hk_inline_create(&options, out);
}

void hki_worker_keep_open(struct hki_worker *worker)
{
    hk_executor *fresh;

    /* A task may shut it down; the next one is to find it as this one did. */
    if (atomic_load(&worker->executor->how) != HKI_OPEN && make_executor(worker, &fresh) == HK_OK) {
        (void)hk_executor_destroy(worker->executor);
        worker->executor = fresh;
    }
}

hk_status hki_worker_prepare(struct hki_worker *worker, const struct hki_worker_start *start,
                             struct hki_error **failure)
{
    struct hki_pool_page *page = start->page;
    hk_status status;

    worker->page = page;
    worker->index = start->index;
    worker->channel = hki_channel_of(page, start->index);
    worker->process = hki_fork_generation();
    worker->socket = start->socket;
    worker->stop_event = start->stop_event;
    worker->ring = start->ring;
    hki_own_fd_set(&worker->witness, start->socket);
    worker->hooks = (struct hki_worker_hooks){page->initializer, page->finalizer, page->worker_arg};
    snprintf(worker->where, sizeof(worker->where), "worker %.*s_%u", HKI_WORKER_NAME_MAX - 1,
             page->name, start->index);
    hki_os_thread_name(strchr(worker->where, ' ') + 1);
    hki_agent_self()->name = worker->where;
    (void)hki_crash_report_install(&worker->channel->crash);
    if ((status = set_environment(worker, failure)) != HK_OK ||
        (status = set_scheduling(worker, failure)) != HK_OK) {
        return status;
    }
    if (make_executor(worker, &worker->executor) != HK_OK) {
        errno = ENOMEM;
        return refused(worker, "its own executor", failure);
    }
    if (on_exit(left_by_exit, NULL) != 0) {
        errno = ENOMEM;
        return refused(worker, "its way out", failure);
    }
    return HK_OK;
}

hk_status hki_worker_limit(struct hki_worker *worker, struct hki_error **failure)
{
    const struct hki_pool_page *page = worker->page;

    for (uint32_t i = 0; i < page->rlimit_count; i++) {
        char what[48];

        /* Plain int in POSIX, an enumeration in glibc. */
        if (setrlimit((__rlimit_resource_t)page->rlimits[i].resource, &page->rlimits[i].limit) !=
            0) {
            snprintf(what, sizeof(what), "its system limit %u", i);
            return refused(worker, what, failure);
        }
    }
    return HK_OK;
}
