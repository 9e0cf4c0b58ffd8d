/* SPDX-License-Identifier: MIT */
/*
 * The courier: a thread for what is the application's to run when a task ends, that is
 * callbacks, the hook for failures that nobody read, and the one for the log. Neither a caller that
 * waits, with who knows which locks and in no state to wait for something else, nor the supervisor,
 * which has deaths to hear of, may run them. It is there from the pool's beginning: once there is
 * something to deliver, it would be too late to find that no thread is to be had.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/no_cancel.h"
#include "base/os.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/pool.h"
#include "futures/relay.h"

enum { LINE_BYTES = 1024 };

struct courier {
    struct process_pool *pool;
    pthread_t thread;
    pthread_mutex_t lock;
    struct hki_condition work;
    struct hki_list jobs;
    struct hki_list lines; /* Of the log. */
    bool line_next;        /* They take turns. */
    _Atomic(uint32_t) begun;
    int id; /* Of its thread, for the kernel. */
    bool ending;
};

struct line {
    struct hki_list link;
    hk_log_level level;
    size_t bytes; /* Of all this. */
    char text[];
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

/* The hook may wait, as a callback may, and is as much in the way of the pool's end. */
static void say(struct process_pool *pool, struct line *line)
{
    hk_call call = {.executor = pool->executor};
    struct hki_agent *agent = hki_agent_self();

    hki_call_enter(&call);
    hki_agent_enter(agent);
    hki_log_text(line->level, line->text);
    hki_agent_leave(agent);
    hki_call_leave(&call);
    hki_free(line, line->bytes);
    pthread_mutex_lock(&pool->lock);
    hki_pool_concluded(pool, 1);
    pthread_mutex_unlock(&pool->lock);
}

/* Under the courier's lock, which is released for a moment. False: there is nothing to do. */
static bool do_one(struct courier *courier)
{
    struct hki_list *line = courier->line_next ? hki_list_take_first(&courier->lines) : NULL;
    struct hki_list *job = line == NULL ? hki_list_take_first(&courier->jobs) : NULL;

    if (job == NULL && line == NULL && (line = hki_list_take_first(&courier->lines)) == NULL) {
        return false;
    }
    courier->line_next = line == NULL;
    pthread_mutex_unlock(&courier->lock);
    if (job != NULL) {
        deliver(courier->pool, HKI_CONTAINER(job, hk_job, link));
    } else {
        say(courier->pool, HKI_CONTAINER(line, struct line, link));
    }
    pthread_mutex_lock(&courier->lock);
    return true;
}

static void *courier_main(void *arg)
{
    struct courier *courier = arg;
    HKI_NO_CANCEL;

    hki_os_thread_name("hk-courier");
    courier->id = hki_os_thread_id();
    atomic_store(&courier->pool->courier_agent, hki_agent_self());
    atomic_store(&courier->begun, 1);
    hki_os_futex_wake(&courier->begun, 1);
    pthread_mutex_lock(&courier->lock);
    for (;;) {
        if (do_one(courier)) {
            continue;
        }
        if (courier->ending) {
            break;
        }
        (void)hki_condition_wait(&courier->work, &courier->lock, HKI_NEVER);
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
    hki_list_init(&courier->lines);
    if ((failed = start_thread(courier)) != 0) {
        pthread_mutex_destroy(&courier->lock);
        hki_free(courier, sizeof(*courier));
        errno = failed;
        return HK_ESYS;
    }
    /* Whatever it is sent is known to wait for it. Not a wait of a replayed world, if the caller
     * is in one: the courier is not. */
    while (atomic_load(&courier->begun) == 0) {
        (void)hki_os_futex_sleep(&courier->begun, 0, HKI_NEVER);
    }
    pool->courier = courier;
    return HK_OK;
}

/* The pool does not end before it is done. */
static void give(struct process_pool *pool, struct hki_list *list, struct hki_list *link)
{
    struct courier *courier = pool->courier;

    pthread_mutex_lock(&pool->lock);
    pool->concluding++;
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_lock(&courier->lock);
    hki_list_append(list, link);
    hki_condition_signal(&courier->work);
    pthread_mutex_unlock(&courier->lock);
}

void hki_courier_send(struct process_pool *pool, hk_job *job, bool drain)
{
    job->drain = drain;
    give(pool, &pool->courier->jobs, &job->link);
}

void hki_courier_say(struct process_pool *pool, hk_log_level level, const char *format, ...)
{
    char text[LINE_BYTES];
    struct line *line;
    va_list arguments;
    size_t bytes;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    bytes = sizeof(*line) + strlen(text) + 1;
    if ((line = hki_alloc(bytes)) == NULL) {
        hki_log_text(level, text); /* Better here than never. */
        return;
    }
    line->level = level;
    line->bytes = bytes;
    memcpy(line->text, text, bytes - sizeof(*line));
    give(pool, &pool->courier->lines, &line->link);
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
    /* Who waits for one of its callbacks waits for that thread, whatever it is at. */
    struct hki_agent *drainer = atomic_load(&pool->courier_agent);

    hki_courier_give_back(pool, job, hki_job_discard_quietly(job, status, message, drainer));
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
    hki_os_thread_await_gone(courier->id);
    pthread_mutex_destroy(&courier->lock);
    hki_free(courier, sizeof(*courier));
    pool->courier = NULL;
}
