/* SPDX-License-Identifier: MIT */
/* How a forked copy of the zygote becomes a worker. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <hocket/inline_executor.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/crash_report.h"
#include "executors/process_pool/worker_impl.h"

enum { PREFIX = sizeof("worker ") - 1 }; /* Before its name, in texts. */

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

/* Whether it was registered; children inherit that, and what it is about. */
static bool has_way_out;

static bool make_way_out(void)
{
    has_way_out = has_way_out || on_exit(left_by_exit, NULL) == 0;
    return has_way_out;
}

static void do_nothing(void *unused)
{
    (void)unused;
}

void hki_worker_rehearse(void)
{
    int event = hki_os_event_create();
    volatile size_t size = sizeof(struct hki_own_fd); /* Or the copies would be made in line. */
    struct hki_own_fd witness = HKI_OWN_FD_NONE;
    struct hki_own_fd copy;
    pthread_mutex_t lock;

    (void)make_way_out(); /* The zygote itself does not go by exit(). */
    /* The dynamic linker binds a function when it is called first, which takes some microseconds:
     * these would be bound in each worker. */
    (void)getppid();
    memcpy(&copy, &witness, size);
    memmove(&witness, &copy, size);
    pthread_cleanup_push(do_nothing, NULL);
    pthread_cleanup_pop(0);
    if (pthread_mutex_init(&lock, NULL) == 0) {
        pthread_mutex_destroy(&lock);
    }
    if (event >= 0) {
        hki_own_fd_set(&witness, event);
        hki_os_event_signal(event);
        hki_own_fd_close(&witness);
    }
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
                                   .name = worker->where + PREFIX};

    return hk_inline_create(&options, out);
}

/* Without its own descriptors nobody would hear of what it does. */
hk_status hki_worker_check(struct hki_worker *worker, struct hki_error **failure)
{
    if (hki_own_fd_valid(&worker->witness)) {
        return HK_OK;
    }
    errno = EBADF;
    return refused(worker, "its initialiser has closed descriptors that it did not open", failure);
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

_Static_assert(sizeof(((struct hki_worker *)0)->where) >=
                   sizeof("worker ") + HKI_WORKER_NAME_MAX + 11,
               "every name fits");

/* "worker NAME_3", as snprintf() would: that one's code lies on five pages that each worker would
 * have to be given first. */
static void name(char *where, const char *pool, uint32_t index)
{
    char digits[10];
    size_t count = 0;

    memcpy(where, "worker ", PREFIX);
    where += PREFIX;
    for (size_t i = 0; i < HKI_WORKER_NAME_MAX - 1 && pool[i] != '\0'; i++) {
        *where++ = pool[i];
    }
    *where++ = '_';
    do {
        digits[count++] = (char)('0' + index % 10);
        index /= 10;
    } while (index != 0);
    while (count != 0) {
        *where++ = digits[--count];
    }
    *where = '\0';
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
    name(worker->where, page->name, start->index);
    hki_os_thread_name(worker->where + PREFIX);
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
    if (!make_way_out()) {
        errno = ENOMEM;
        return refused(worker, "its way out", failure);
    }
    if ((page->no_new_privs != 0 || hki_pool_confines(page)) && !hki_os_give_up_privileges()) {
        return refused(worker, "no_new_privs", failure);
    }
    worker->memory.fd = -1;
    if (page->rss_limit != 0) {
        hki_own_fd_set(&worker->memory, hki_os_private_bytes_open());
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

/* What the loop asks of the system, asked once: a filter that forbids it ends the worker here,
 * where it costs no task, and three times in a row break the pool with what is to be said about it.
 */
static void try_the_loop(struct hki_worker *worker)
{
    _Atomic(uint32_t) unlike = 0; /* A word of its own: the doorbell may be rung meanwhile. */

    (void)hki_own_fd_valid(&worker->witness);
    hki_os_event_signal(worker->ring);
    (void)hki_os_futex_wake_shared(&worker->channel->bell, 0);
    (void)hki_os_futex_wait_shared(&unlike, 1, HKI_NEVER);
}

hk_status hki_worker_confine(struct hki_worker *worker, struct hki_error **failure)
{
    const struct hki_pool_page *page = worker->page;

    if (page->sandbox != HKI_OS_SANDBOX_NONE) {
        struct hki_os_filter_step steps[HKI_OS_FILTER_MAX];
        size_t count = hki_os_sandbox_build((enum hki_os_sandbox)page->sandbox,
                                            page->filter_count == 0, steps);

        if (count == 0 || !hki_os_filter_install(steps, count)) {
            return refused(worker, "its sandbox", failure);
        }
    }
    if (page->filter_count != 0) {
        if (!hki_os_filter_install(page->filter, page->filter_count)) {
            return refused(worker, "its filter of system calls", failure);
        }
        try_the_loop(worker);
    }
    return HK_OK;
}
