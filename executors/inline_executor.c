/* SPDX-License-Identifier: MIT */
/*
 * Inline: each task runs within its submit.
 *
 * Nothing is queued, so the only state is the initialiser (once, by the first
 * submit; others wait for it) and the number of tasks under way, which a join
 * waits for.
 */
#include <hocket/inline_executor.h>

#include <pthread.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/time.h"
#include "executors/call.h"
#include "executors/running.h"
#include "executors/worker_init.h"
#include "sync/block.h"
#include "sync/condition.h"

enum life { NEW, INITIALISING, READY, BROKEN, FINISHING, FINISHED };

struct inline_executor {
    hk_executor *executor;
    struct hki_worker_hooks hooks;
    pthread_mutex_t lock;
    struct hki_condition changed;
    enum life life;   /* Under lock. */
    size_t under_way; /* Under lock: submits, and prestarts, between their door and their end. */
    bool closed;      /* Under lock. */
    struct hki_agent *initialiser; /* Under lock; NULL but while INITIALISING. */
    struct hki_list running;       /* Under lock. */
    void *local;
};

/* --- the initialiser, as something that others wait for --- */

static struct hki_agent *initialiser_of(struct inline_executor *self)
{
    struct hki_agent *agent;

    pthread_mutex_lock(&self->lock);
    agent = self->initialiser;
    pthread_mutex_unlock(&self->lock);
    return agent;
}

static enum hki_wait_kind look_at_start(void *object, size_t *count)
{
    *count = 1;
    return initialiser_of(object) == NULL ? HKI_WAIT_MOVES : HKI_WAIT_ALL;
}

static struct hki_wait_node next_of_start(void *object, size_t i)
{
    struct hki_agent *agent = initialiser_of(object);

    (void)i;
    return agent == NULL ? (struct hki_wait_node){NULL, NULL} : hki_agent_node(agent);
}

static void describe_start(void *object, char *text, size_t size)
{
    const struct inline_executor *self = object;

    snprintf(text, size, "the start of executor %s", self->executor->name);
}

/* Under the lock, which is released meanwhile. */
static hk_status await_start(struct inline_executor *self, int64_t deadline_ns)
{
    static const struct hki_wait_ops start_ops = {.look = look_at_start,
                                                  .next = next_of_start,
                                                  .describe = describe_start,
                                                  .verb = "held up by"};
    struct hki_agent *agent = hki_agent_self();
    bool in_time = true;
    hk_status status;

    if (self->initialiser == agent) {
        return HK_EDEADLK; /* The initialiser submits to what it initialises. */
    }
    pthread_mutex_unlock(&self->lock);
    status =
        hki_block_begin(agent, (struct hki_wait_node){&start_ops, self}, deadline_ns != HKI_NEVER);
    pthread_mutex_lock(&self->lock);
    if (status != HK_OK) {
        return status;
    }
    while (self->life == INITIALISING && in_time) {
        in_time = hki_condition_wait(&self->changed, &self->lock, deadline_ns);
    }
    status = self->life == INITIALISING ? hki_not_in_time(deadline_ns) : HK_OK;
    pthread_mutex_unlock(&self->lock);
    hki_block_end(agent);
    pthread_mutex_lock(&self->lock);
    return status;
}

/* Under the lock, which is released meanwhile: the initialiser runs once. Until the deadline
 * it waits for another thread's. */
static hk_status initialise(struct inline_executor *self, int64_t deadline_ns)
{
    hk_status status;

    if (self->life == INITIALISING && (status = await_start(self, deadline_ns)) != HK_OK) {
        return status;
    }
    if (self->life == NEW) {
        self->life = INITIALISING;
        self->initialiser = hki_agent_self();
        pthread_mutex_unlock(&self->lock);
        status = hki_worker_initialise(self->executor, &self->hooks, "the submitting thread",
                                       &self->local);
        pthread_mutex_lock(&self->lock);
        self->life = status == HK_OK ? READY : BROKEN;
        self->initialiser = NULL;
        hki_condition_broadcast(&self->changed);
        pthread_mutex_unlock(&self->lock);
        hki_wait_graph_settle(); /* A look may still read this thread's record. */
        pthread_mutex_lock(&self->lock);
    }
    return self->life == BROKEN ? HK_EINIT : HK_OK;
}

/* Under the lock: the last one out after a shutdown runs the finalizer. */
static void finish_if_last(struct inline_executor *self)
{
    if (!self->closed || self->under_way != 0) {
        return;
    }
    if (self->life == READY) {
        hk_call call = {.executor = self->executor}; /* So that it cannot wait for its own end. */

        self->life = FINISHING;
        pthread_mutex_unlock(&self->lock);
        hki_call_enter(&call);
        hki_worker_finish(&self->hooks, self->local);
        hki_call_leave(&call);
        pthread_mutex_lock(&self->lock);
        self->life = FINISHED;
    }
    hki_condition_broadcast(&self->changed);
}

static hk_status submit(void *object, hk_job *job, hk_duration queue_wait)
{
    struct inline_executor *self = object;
    hk_status status;

    (void)queue_wait;
    pthread_mutex_lock(&self->lock);
    if (self->closed) {
        pthread_mutex_unlock(&self->lock);
        return HK_ECLOSED;
    }
    self->under_way++;
    if ((status = initialise(self, HKI_NEVER)) == HK_OK) {
        hki_running_add(&self->running, job);
        pthread_mutex_unlock(&self->lock);
        (void)hk_job_run(job, self->local, "the submitting thread");
        pthread_mutex_lock(&self->lock);
        hki_running_remove(job, &self->lock);
    }
    self->under_way--;
    finish_if_last(self);
    pthread_mutex_unlock(&self->lock);
    return status;
}

static void begin_shutdown(void *object, hk_shutdown_how how)
{
    struct inline_executor *self = object;

    pthread_mutex_lock(&self->lock);
    if (!self->closed) {
        self->closed = true;
        finish_if_last(self);
    }
    pthread_mutex_unlock(&self->lock);
    if (how >= HK_SHUTDOWN_CANCEL_ALL) {
        hki_running_stop_all(&self->running, &self->lock);
    }
}

static hk_status join(void *object, hk_duration timeout)
{
    struct inline_executor *self = object;
    int64_t deadline_ns = hki_deadline(timeout);
    hk_status status = HK_OK;

    pthread_mutex_lock(&self->lock);
    while (self->under_way != 0 || self->life == READY || self->life == FINISHING) {
        if (!hki_condition_wait(&self->changed, &self->lock, deadline_ns)) {
            status = hki_not_in_time(deadline_ns);
            break;
        }
    }
    pthread_mutex_unlock(&self->lock);
    return status;
}

/* There is no thread that it could be left to: only another's initialiser is not waited for. */
static hk_status prestart(void *object, hk_duration wait)
{
    struct inline_executor *self = object;
    int64_t deadline_ns = hki_deadline(wait);
    hk_status status = HK_OK;

    pthread_mutex_lock(&self->lock);
    if (self->closed) {
        pthread_mutex_unlock(&self->lock);
        return HK_ECLOSED;
    }
    self->under_way++; /* A shutdown meanwhile leaves the finalizer to it. */
    if (wait != 0 || self->life != INITIALISING) {
        status = initialise(self, deadline_ns);
    }
    self->under_way--;
    finish_if_last(self);
    pthread_mutex_unlock(&self->lock);
    return status;
}

static void destroy(void *object)
{
    struct inline_executor *self = object;

    pthread_mutex_destroy(&self->lock);
    hki_free(self, sizeof(*self));
}

static const hk_executor_ops ops = {
    .size = sizeof(ops),
    .kind = "inline",
    .flags = HK_EXECUTOR_SHARES_MEMORY,
    .submit = submit,
    .shutdown = begin_shutdown,
    .join = join,
    .destroy = destroy,
    .prestart = prestart,
};

/* It ends when all tasks do that threads run in their submits. */
static enum hki_wait_kind look_at_end(void *object, size_t *count)
{
    struct inline_executor *self = object;

    pthread_mutex_lock(&self->lock);
    *count = hki_running_outsiders(&self->running, self->executor);
    pthread_mutex_unlock(&self->lock);
    return HKI_WAIT_ALL;
}

static struct hki_wait_node next_of_end(void *object, size_t i)
{
    struct inline_executor *self = object;
    struct hki_wait_node node;

    pthread_mutex_lock(&self->lock);
    node = hki_running_outside(&self->running, self->executor, i);
    pthread_mutex_unlock(&self->lock);
    return node;
}

static const struct hki_executor_traits traits = {
    .judged_on_return = true, .look_at_end = look_at_end, .next_of_end = next_of_end};

hk_status hk_inline_create(const hk_executor_options *options, hk_executor **out)
{
    struct inline_executor *self;
    hk_status status;

    if (out == NULL) {
        return HK_EINVAL;
    }
    if ((self = hki_zalloc(sizeof(*self))) == NULL) {
        return HK_ENOMEM;
    }
    hki_worker_hooks_set(&self->hooks, options);
    hki_list_init(&self->running);
    pthread_mutex_init(&self->lock, NULL);
    hki_condition_init(&self->changed);
    if ((status = hk_executor_create(&ops, self, options, &self->executor)) != HK_OK) {
        destroy(self);
        return status;
    }
    self->executor->traits = &traits;
    atomic_store(&self->executor->width, 1);
    *out = self->executor;
    return HK_OK;
}
