/* SPDX-License-Identifier: MIT */
/*
 * Serial: one task at a time, in order, on another executor.
 *
 * While the queue is not empty exactly one errand is under way to the base
 * (`active`); it runs a few tasks and posts the next errand. So order needs no
 * lock while a task runs, and no thread waits. The lock hands what one task wrote
 * to the next, which may run elsewhere.
 *
 * If the base takes no errand any more, nobody will serve the queue: all of it
 * ends FAILED with HK_ECLOSED.
 */
#include <hocket/serial.h>

#include <stdio.h>

#include "base/memory.h"
#include "base/time.h"
#include "executors/post.h"
#include "executors/room.h"
#include "executors/running.h"
#include "executors/serial_impl.h"
#include "executors/task_queue.h"
#include "sync/condition.h"

enum { BATCH = 16 }; /* Tasks an errand runs before others get the worker. */

struct serial {
    hk_executor *executor;
    hk_executor *base;
    hk_executor *owned_base; /* Destroyed with this one; or NULL. */
    pthread_mutex_t lock;
    struct hki_condition settled;
    struct hki_task_queue queue; /* Under lock, and what follows. */
    struct hki_list running;
    struct hki_agent *agent; /* The thread that runs a task of this now. */
    bool active;
    bool closing;
    bool on_this_stack; /* The base runs errands within the post. Never changes. */
};

static void serve(void *arg);

static const char *why_refused(hk_status status)
{
    switch (status) {
    case HK_ECLOSED:
        return "the executor below takes no more tasks";
    case HK_ENOMEM:
        return "no memory to pass it to the executor below";
    default:
        return "the executor below refused it";
    }
}

/* The base refused: what is queued will never run. */
static void give_up_for(struct serial *self, hk_status status)
{
    struct hki_list jobs;

    hki_list_init(&jobs);
    pthread_mutex_lock(&self->lock);
    /* Again, for what was queued during the last round, while `active` was set. */
    while (self->queue.length != 0) {
        hki_task_queue_take_all(&self->queue, &jobs);
        pthread_mutex_unlock(&self->lock);
        hki_discard_all(&jobs, status, why_refused(status));
        pthread_mutex_lock(&self->lock);
    }
    self->active = false;
    hki_condition_broadcast(&self->settled);
    pthread_mutex_unlock(&self->lock);
}

/* The base took the errand and then discarded it. */
static void give_up(void *arg)
{
    give_up_for(arg, HK_ECLOSED);
}

/* The next task, or NULL and not active any more. */
static hk_job *begin_next(struct serial *self)
{
    hk_job *job;

    pthread_mutex_lock(&self->lock);
    job = hki_task_queue_pop(&self->queue);
    if (job != NULL) {
        hki_running_add(&self->running, job);
        self->agent = hki_agent_self();
    } else {
        self->active = false;
        hki_condition_broadcast(&self->settled);
    }
    pthread_mutex_unlock(&self->lock);
    return job;
}

static void run_one(struct serial *self, hk_job *job)
{
    (void)hk_job_run(job, NULL, self->executor->name);
    pthread_mutex_lock(&self->lock);
    hki_running_remove(job, &self->lock);
    self->agent = NULL; /* Not before its value is dropped, which may take its time. */
    pthread_mutex_unlock(&self->lock);
}

/* Runs a batch; false: nothing was left, and self may be gone. */
static bool run_batch(struct serial *self)
{
    /* An inline base would run the next errand on this stack, inside this one. */
    for (int served = 0; served < BATCH || self->on_this_stack; served++) {
        hk_job *job = begin_next(self);

        if (job == NULL) {
            return false;
        }
        run_one(self, job);
    }
    return true;
}

static void serve(void *arg)
{
    struct serial *self = arg;

    while (run_batch(self)) {
        hk_status status = hki_post(self->base, serve, give_up, self);

        if (status == HK_ENOMEM) {
            continue; /* To go on here is only unfair to the others. */
        }
        if (status != HK_OK) {
            give_up_for(self, status);
        }
        return;
    }
}

static bool is_closing(const void *self)
{
    return ((const struct serial *)self)->closing;
}

/* Under the lock: whether there is, or comes, room. */
static hk_status make_room(struct serial *self, hk_duration queue_wait, hk_job **victim)
{
    if (self->queue.when_full == HK_FULL_DROP_OLDEST) {
        *victim = hki_task_queue_pop_oldest(&self->queue);
        return HK_OK;
    }
    /* One of its own tasks cannot wait for room that only its own end makes. */
    if (self->queue.when_full == HK_FULL_FAIL || self->agent == hki_agent_self()) {
        return HK_EFULL;
    }
    return hki_room_await(self->executor, &self->queue, &self->lock, is_closing,
                          hki_deadline(queue_wait));
}

static hk_status submit(void *object, hk_job *job, hk_duration queue_wait)
{
    struct serial *self = object;
    hk_job *victim = NULL;
    hk_status status = HK_OK;
    bool start = false;

    pthread_mutex_lock(&self->lock);
    if (!self->closing && !job->forced && hki_task_queue_full(&self->queue)) {
        status = make_room(self, queue_wait, &victim);
    }
    if (status == HK_OK && self->closing) {
        status = HK_ECLOSED;
    }
    if (status == HK_OK) {
        hki_task_queue_push(&self->queue, job);
        start = !self->active;
        self->active = true;
    }
    pthread_mutex_unlock(&self->lock);
    if (victim != NULL) {
        hk_job_discard(victim, HK_EFULL, "the queue was full and it was the oldest");
    }
    if (start && (status = hki_post(self->base, serve, give_up, self)) != HK_OK) {
        bool ours;

        /* Refused in the caller; what others queued meanwhile has been accepted. */
        pthread_mutex_lock(&self->lock);
        ours = hki_task_queue_remove(&self->queue, job);
        pthread_mutex_unlock(&self->lock);
        give_up_for(self, status);
        status = ours ? status : HK_OK;
    }
    return status;
}

static bool remove_job(void *object, hk_job *job)
{
    struct serial *self = object;
    bool removed;

    pthread_mutex_lock(&self->lock);
    removed = hki_task_queue_remove(&self->queue, job);
    pthread_mutex_unlock(&self->lock);
    return removed;
}

static void begin_shutdown(void *object, hk_shutdown_how how)
{
    struct serial *self = object;
    struct hki_list jobs;

    hki_list_init(&jobs);
    pthread_mutex_lock(&self->lock);
    self->closing = true;
    if (how >= HK_SHUTDOWN_CANCEL_QUEUED) {
        hki_task_queue_take_all(&self->queue, &jobs);
    }
    hki_condition_broadcast(&self->queue.room);
    pthread_mutex_unlock(&self->lock);
    hki_discard_all(&jobs, HK_ECANCELED, "the executor is shut down");
    if (how >= HK_SHUTDOWN_CANCEL_ALL) {
        hki_running_stop_all(&self->running, &self->lock);
    }
}

static hk_status join(void *object, hk_duration timeout)
{
    struct serial *self = object;
    int64_t deadline_ns = hki_deadline(timeout);
    hk_status status = HK_OK;

    pthread_mutex_lock(&self->lock);
    while (self->active) {
        if (!hki_condition_wait(&self->settled, &self->lock, deadline_ns)) {
            status = self->active ? hki_not_in_time(deadline_ns) : HK_OK;
            break;
        }
    }
    pthread_mutex_unlock(&self->lock);
    return status;
}

static void destroy(void *object)
{
    struct serial *self = object;

    if (self->owned_base != NULL) {
        (void)hk_executor_destroy(self->owned_base);
    }
    hki_executor_unref(self->base);
    hki_task_queue_destroy(&self->queue);
    pthread_mutex_destroy(&self->lock);
    hki_free(self, sizeof(*self));
}

static void statistics(void *object, hk_executor_statistics *out)
{
    struct serial *self = object;

    pthread_mutex_lock(&self->lock);
    out->queued = self->queue.counted;
    out->queued_most = self->queue.most;
    pthread_mutex_unlock(&self->lock);
}

static const hk_executor_ops ops = {
    .size = sizeof(ops),
    .kind = "serial",
    .flags = HK_EXECUTOR_SHARES_MEMORY,
    .submit = submit,
    .remove = remove_job,
    .shutdown = begin_shutdown,
    .join = join,
    .destroy = destroy,
    .statistics = statistics,
};

/* --- For the wait-for graph --- */

/* The errand that has not begun, as a node: it moves as any task of the base. */
static enum hki_wait_kind look_at_base(void *object, size_t *count)
{
    const hk_executor *base = ((const struct serial *)object)->base;

    return base->traits->look == NULL ? HKI_WAIT_MOVES : base->traits->look(base->self, count);
}

static struct hki_wait_node next_of_base(void *object, size_t i)
{
    const hk_executor *base = ((const struct serial *)object)->base;

    return base->traits->next(base->self, i);
}

static void describe_base(void *object, char *text, size_t size)
{
    snprintf(text, size, "executor %s", ((const struct serial *)object)->base->name);
}

static const struct hki_wait_ops base_ops = {
    .look = look_at_base, .next = next_of_base, .describe = describe_base, .verb = "served by"};

/* A queued task waits for the one that runs, and if none does for the base. Which of the
 * two may change between looking and asking for the next one; one successor it is
 * always. */
static enum hki_wait_kind look(void *object, size_t *count)
{
    (void)object;
    *count = 1;
    return HKI_WAIT_ALL;
}

static struct hki_wait_node next(void *object, size_t i)
{
    struct serial *self = object;
    struct hki_agent *agent;

    (void)i;
    pthread_mutex_lock(&self->lock);
    agent = self->agent;
    pthread_mutex_unlock(&self->lock);
    return agent != NULL ? hki_agent_node(agent) : (struct hki_wait_node){&base_ops, self};
}

static enum hki_wait_kind look_at_end(void *object, size_t *count)
{
    struct serial *self = object;
    bool active;

    pthread_mutex_lock(&self->lock);
    active = self->active;
    pthread_mutex_unlock(&self->lock);
    return active ? look(object, count) : HKI_WAIT_MOVES;
}

static const struct hki_executor_traits traits = {
    .look = look, .next = next, .look_at_end = look_at_end, .next_of_end = next};

hk_status hki_serial_create(hk_executor *base, bool owns_base, const hk_executor_options *options,
                            hk_executor **out)
{
    struct serial *self;
    hk_status status;

    if (base == NULL || out == NULL) {
        return HK_EINVAL;
    }
    if ((status = hki_executor_usable(base)) != HK_OK) {
        return status;
    }
    if ((base->ops->flags & HK_EXECUTOR_SHARES_MEMORY) == 0) {
        return HK_EPORTABLE;
    }
    if ((self = hki_zalloc(sizeof(*self))) == NULL) {
        return HK_ENOMEM;
    }
    pthread_mutex_init(&self->lock, NULL);
    hki_condition_init(&self->settled);
    hki_task_queue_init(&self->queue, options);
    hki_list_init(&self->running);
    self->base = hki_executor_ref(base);
    self->on_this_stack = base->traits->judged_on_return;
    if ((status = hk_executor_create(&ops, self, options, &self->executor)) != HK_OK) {
        destroy(self); /* The base is still the caller's. */
        return status;
    }
    hki_live_executors_close_before(self->executor, base);
    if (owns_base) {
        self->owned_base = base;
        base->drain_at_exit = self->executor->drain_at_exit; /* Nobody else can ask for it. */
    }
    self->executor->traits = &traits;
    atomic_store(&self->executor->width, 1);
    *out = self->executor;
    return HK_OK;
}

hk_status hk_serial_create(hk_executor *base, const hk_executor_options *options, hk_executor **out)
{
    return hki_serial_create(base, false, options, out);
}
