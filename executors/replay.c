/* SPDX-License-Identifier: MIT */
/*
 * Replay: a back end whose order of events is drawn from a seed.
 *
 * Here is what every back end has, and the public calls; the choices are made in
 * replay_world.c, the threads kept in replay_actor.c.
 */
#include <hocket/replay.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/time.h"
#include "executors/replay_impl.h"
#include "executors/room.h"
#include "sync/block.h"

enum { WORKERS_DEFAULT = 4 }; /* Not the number of CPUs: a seed means the same everywhere. */

static bool is_here(const struct hki_replay *replay)
{
    return hki_world_self() == &replay->world;
}

static bool is_main(const struct hki_replay *replay)
{
    return is_here(replay) && replay->current == &replay->main;
}

/* --- jobs --- */

static void finished(struct hki_member *member, size_t count)
{
    pthread_mutex_lock(&member->replay->lock);
    if (count != 0 && (member->unfinished -= count) == 0) {
        hki_condition_broadcast(&member->settled);
    }
    pthread_mutex_unlock(&member->replay->lock);
}

void hki_member_run_job(struct hki_actor *actor)
{
    hk_job *job = actor->job;
    struct hki_member *member = job->executor->self;

    actor->agent->host_owner = member->executor; /* Its callbacks must not wait for its end. */
    (void)hk_job_run(job, NULL, actor->where);
    pthread_mutex_lock(&member->replay->lock);
    hki_running_remove(job, &member->replay->lock);
    pthread_mutex_unlock(&member->replay->lock);
    actor->job = NULL;
    actor->agent->host_owner = NULL;
    finished(member, 1);
}

static bool is_closing(const void *self)
{
    return ((const struct hki_member *)self)->closing;
}

/* Under the lock: whether there is, or comes, room. */
static hk_status make_room(struct hki_member *member, hk_duration queue_wait, hk_job **victim)
{
    if (member->queue.when_full == HK_FULL_DROP_OLDEST) {
        *victim = hki_task_queue_pop_oldest(&member->queue);
        return HK_OK;
    }
    if (member->queue.when_full == HK_FULL_FAIL) {
        return HK_EFULL;
    }
    return hki_room_await(member->executor, &member->queue, &member->replay->lock, is_closing,
                          hki_deadline(queue_wait));
}

static hk_status submit(void *self, hk_job *job, hk_duration queue_wait)
{
    struct hki_member *member = self;
    bool forced = job->forced;
    hk_job *victim = NULL;
    hk_status status = HK_OK;

    if (!is_here(member->replay)) {
        return HK_ESTATE;
    }
    pthread_mutex_lock(&member->replay->lock);
    if (!member->closing && !forced && hki_task_queue_full(&member->queue)) {
        status = make_room(member, queue_wait, &victim);
    }
    if (status == HK_OK && member->closing) {
        status = HK_ECLOSED;
    }
    if (status == HK_OK) {
        hki_task_queue_push(&member->queue, job);
        job->sequence = member->replay->tasks++;
        member->unfinished++;
    }
    pthread_mutex_unlock(&member->replay->lock);
    if (victim != NULL) {
        hk_job_discard(victim, HK_EFULL, "the queue was full and it was the oldest");
        finished(member, 1);
    }
    /* A task that submits one may be overtaken by it. */
    if (status == HK_OK && !forced && member->replay->current != &member->replay->main) {
        hki_replay_yield(member->replay);
    }
    return status;
}

static bool remove_job(void *self, hk_job *job)
{
    struct hki_member *member = self;
    bool removed;

    pthread_mutex_lock(&member->replay->lock);
    removed = hki_task_queue_remove(&member->queue, job);
    pthread_mutex_unlock(&member->replay->lock);
    finished(member, removed ? 1 : 0);
    return removed;
}

static void begin_shutdown(void *self, hk_shutdown_how how)
{
    struct hki_member *member = self;
    struct hki_list jobs;
    size_t count = 0;

    hki_list_init(&jobs);
    pthread_mutex_lock(&member->replay->lock);
    member->closing = true;
    if (how >= HK_SHUTDOWN_CANCEL_QUEUED) {
        count = member->queue.length;
        hki_task_queue_take_all(&member->queue, &jobs);
    }
    hki_condition_broadcast(&member->queue.room);
    pthread_mutex_unlock(&member->replay->lock);
    hki_discard_all(&jobs, HK_ECANCELED, "the executor is shut down");
    finished(member, count);
    if (how >= HK_SHUTDOWN_CANCEL_ALL) {
        hki_running_stop_all(&member->jobs, &member->replay->lock);
    }
}

static hk_status join(void *self, hk_duration timeout)
{
    struct hki_member *member = self;
    int64_t deadline_ns;
    hk_status status = HK_OK;

    if (!is_main(member->replay)) {
        return HK_ESTATE;
    }
    deadline_ns = hki_deadline(timeout);
    pthread_mutex_lock(&member->replay->lock);
    while (member->unfinished != 0 && status == HK_OK) {
        if (!hki_condition_wait(&member->settled, &member->replay->lock, deadline_ns)) {
            status = hki_block_ran_out(deadline_ns);
        }
    }
    status = member->unfinished == 0 ? HK_OK : status;
    pthread_mutex_unlock(&member->replay->lock);
    return status;
}

static void release(struct hki_replay *replay)
{
    hki_timer_heap_free(&replay->timers);
    pthread_mutex_destroy(&replay->lock);
    hki_free(replay, sizeof(*replay));
}

/* Its time ends: all that was to come in it comes now. */
static void end_world(struct hki_replay *replay)
{
    struct hki_timer *timer;

    hki_actors_end(replay);
    while ((timer = hki_timer_heap_take_due(&replay->timers, HKI_NEVER)) != NULL) {
        atomic_store(&replay->now_ns, timer->deadline_ns);
        timer->fire(timer);
    }
    hki_world_enter(NULL);
    release(replay);
}

static void destroy(void *self)
{
    struct hki_member *member = self;
    struct hki_replay *replay = member->replay;

    pthread_mutex_lock(&replay->lock);
    hki_list_remove(&member->link);
    pthread_mutex_unlock(&replay->lock);
    hki_task_queue_destroy(&member->queue);
    hki_free(member, sizeof(*member));
    if (hki_list_empty(&replay->members)) {
        end_world(replay);
    }
}

static void statistics(void *self, hk_executor_statistics *out)
{
    struct hki_member *member = self;

    pthread_mutex_lock(&member->replay->lock);
    out->queued = member->queue.counted;
    out->queued_most = member->queue.most;
    out->workers = member->closing && member->unfinished == 0 ? 0 : member->workers;
    pthread_mutex_unlock(&member->replay->lock);
}

static const hk_executor_ops ops = {
    .size = sizeof(ops),
    .kind = "replay",
    .flags = HK_EXECUTOR_SHARES_MEMORY,
    .submit = submit,
    .remove = remove_job,
    .shutdown = begin_shutdown,
    .join = join,
    .destroy = destroy,
    .statistics = statistics,
};

/* --- making one --- */

/* The calling thread's world; NULL: no memory. */
static struct hki_replay *world_create(uint64_t seed)
{
    struct hki_replay *replay = hki_zalloc(sizeof(*replay));

    if (replay == NULL) {
        return NULL;
    }
    pthread_mutex_init(&replay->lock, NULL);
    hki_list_init(&replay->members);
    hki_list_init(&replay->actors);
    replay->seed = seed;
    replay->random = seed;
    replay->begin_ns = hki_system_now_ns();
    atomic_init(&replay->now_ns, replay->begin_ns);
    replay->main.replay = replay;
    replay->main.agent = hki_agent_self();
    replay->main.state = HKI_ACTOR_GOES;
    replay->main.task = "main";
    replay->current = &replay->main;
    hki_list_append(&replay->actors, &replay->main.link);
    replay->world = (struct hki_world){
        .now_ns = hki_replay_now_ns, .sleep = hki_replay_sleep, .timers = &replay->timers};
    return replay;
}

static hk_status join_world(struct hki_replay *replay, const hk_executor_options *options,
                            hk_executor **out)
{
    struct hki_member *member = hki_zalloc(sizeof(*member));
    hk_status status;

    if (member == NULL) {
        return HK_ENOMEM;
    }
    member->replay = replay;
    member->workers = options == NULL || options->workers == 0 ? WORKERS_DEFAULT : options->workers;
    hki_condition_init(&member->settled);
    hki_task_queue_init(&member->queue, options);
    hki_list_init(&member->jobs);
    if ((status = hk_executor_create(&ops, member, options, &member->executor)) != HK_OK) {
        hki_free(member, sizeof(*member));
        return status;
    }
    atomic_store(&member->executor->width, member->workers);
    pthread_mutex_lock(&replay->lock);
    hki_list_append(&replay->members, &member->link);
    pthread_mutex_unlock(&replay->lock);
    *out = member->executor;
    return HK_OK;
}

hk_status hk_replay_create(uint64_t seed, const hk_executor_options *options, hk_executor **out)
{
    struct hki_replay *replay = (struct hki_replay *)(void *)hki_world_self();
    bool is_new = replay == NULL;
    struct hki_actor *first;
    hk_status status = HK_OK;

    if (out == NULL) {
        return HK_EINVAL;
    }
    if (!is_new && !is_main(replay)) {
        return HK_ESTATE;
    }
    if (is_new && (replay = world_create(seed)) == NULL) {
        return HK_ENOMEM;
    }
    /* One worker is there from the start, so that what was accepted can run without memory. */
    if (is_new) {
        status = hki_actor_idle(replay, &first);
    }
    if (status == HK_OK) {
        status = join_world(replay, options, out);
    }
    if (is_new && status != HK_OK) {
        hki_actors_end(replay);
        release(replay);
    } else if (is_new) {
        hki_world_enter(&replay->world);
    }
    return status;
}

/* --- calls of its own --- */

static hk_status find(const hk_executor *executor, struct hki_replay **replay)
{
    hk_status status = hki_executor_usable(executor);

    if (status != HK_OK) {
        return status;
    }
    if (executor->ops != &ops) {
        return HK_EINVAL;
    }
    *replay = ((struct hki_member *)executor->self)->replay;
    return HK_OK;
}

static hk_status find_as_main(const hk_executor *executor, struct hki_replay **replay)
{
    hk_status status = find(executor, replay);

    return status != HK_OK || is_main(*replay) ? status : HK_ESTATE;
}

hk_status hk_replay_run(hk_executor *executor, uint64_t steps_most, uint64_t *steps)
{
    struct hki_replay *replay;
    hk_status status = find_as_main(executor, &replay);
    uint64_t before;

    if (status != HK_OK) {
        return status;
    }
    before = replay->step;
    replay->steps_last =
        steps_most == 0 || steps_most > UINT64_MAX - before ? UINT64_MAX : before + steps_most;
    replay->running = true;
    hki_replay_sleep_until(replay, HKI_NEVER);
    replay->running = false;
    if (steps != NULL) {
        *steps = replay->step - before;
    }
    return HK_OK;
}

hk_status hk_replay_step(hk_executor *executor, bool *stepped)
{
    uint64_t steps = 0;
    hk_status status = hk_replay_run(executor, 1, &steps);

    if (status == HK_OK && stepped != NULL) {
        *stepped = steps != 0;
    }
    return status;
}

hk_status hk_replay_elapsed(hk_executor *executor, hk_duration *now)
{
    struct hki_replay *replay;
    hk_status status = now == NULL ? HK_EINVAL : find(executor, &replay);

    if (status == HK_OK) {
        *now = atomic_load(&replay->now_ns) - replay->begin_ns;
    }
    return status;
}

hk_status hk_replay_advance(hk_executor *executor, hk_duration duration)
{
    struct hki_replay *replay;
    hk_status status = find_as_main(executor, &replay);

    if (status != HK_OK) {
        return status;
    }
    if (duration < 0) {
        return HK_EINVAL;
    }
    hki_replay_sleep_until(replay, hki_deadline(duration));
    return HK_OK;
}

hk_status hk_replay_on_step(hk_executor *executor, hk_replay_step_fn *fn, void *arg)
{
    struct hki_replay *replay;
    hk_status status = find(executor, &replay);

    if (status != HK_OK) {
        return status;
    }
    if (!is_here(replay)) {
        return HK_ESTATE;
    }
    replay->trace = fn;
    replay->trace_arg = arg;
    return HK_OK;
}
