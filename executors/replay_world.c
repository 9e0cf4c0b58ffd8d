/* SPDX-License-Identifier: MIT */
/*
 * Who is next. All of it is done by who has the turn, when it stands still.
 *
 * The choice is among sleepers whose sleep is over, queued tasks while a worker is free,
 * and a timer that is due. Only if there is none does the clock go on, to the next moment
 * that somebody waits for. Nothing but the seed and the past of this world decides.
 */
#include <stdio.h>

#include "base/live.h"
#include "base/log.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/replay_impl.h"
#include "sync/agent.h"

enum { PATIENCE_MS = 10000 }; /* With what works outside this world. */

static struct hki_replay *replay_of(struct hki_world *world)
{
    return (struct hki_replay *)(void *)world;
}

/* A fixed sequence of well mixed numbers (splitmix64), the same on every machine. */
static uint64_t draw(struct hki_replay *replay, uint64_t count)
{
    uint64_t mixed = replay->random += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (mixed ^ (mixed >> 31)) % count;
}

int64_t hki_replay_now_ns(struct hki_world *world)
{
    return atomic_load(&replay_of(world)->now_ns);
}

/* --- what could be next --- */

static void look_at_sleeps(struct hki_replay *replay)
{
    int64_t now_ns = hki_replay_now_ns(&replay->world);

    for (struct hki_list *at = replay->actors.next; at != &replay->actors; at = at->next) {
        struct hki_actor *actor = HKI_CONTAINER(at, struct hki_actor, link);
        bool sleeps = actor->state == HKI_ACTOR_SLEEPS;

        actor->is_woken = sleeps && atomic_load(actor->word) != actor->expected;
        actor->is_ready = actor->is_woken || (sleeps && actor->deadline_ns <= now_ns);
    }
}

/* Whether its task keeps a worker from others: on a pool, one that waits would be replaced. */
static bool is_occupied(const struct hki_actor *actor, const struct hki_member *member)
{
    return actor->job != NULL && actor->job->executor == member->executor &&
           !(actor->state == HKI_ACTOR_SLEEPS && actor->agent->block_state != 0 &&
             !actor->is_ready);
}

struct choices {
    size_t sleepers;
    size_t jobs;
    size_t timers; /* The first that is due. */
};

/* How many of its tasks could begin: none while all its workers are occupied. */
static size_t startable(struct hki_replay *replay, const struct hki_member *member)
{
    unsigned occupied = 0;

    for (struct hki_list *at = replay->actors.next; at != &replay->actors; at = at->next) {
        occupied += is_occupied(HKI_CONTAINER(at, struct hki_actor, link), member) ? 1 : 0;
    }
    return occupied < member->workers ? member->queue.length : 0;
}

static struct choices look_around(struct hki_replay *replay)
{
    struct choices choices = {0};

    look_at_sleeps(replay);
    for (struct hki_list *at = replay->actors.next; at != &replay->actors; at = at->next) {
        choices.sleepers += HKI_CONTAINER(at, struct hki_actor, link)->is_ready ? 1 : 0;
    }
    for (struct hki_list *at = replay->members.next; at != &replay->members; at = at->next) {
        choices.jobs += startable(replay, HKI_CONTAINER(at, struct hki_member, link));
    }
    choices.timers = hki_timer_heap_next_ns(&replay->timers) <= hki_replay_now_ns(&replay->world);
    return choices;
}

static struct hki_actor *ready_actor(struct hki_replay *replay, uint64_t index)
{
    for (struct hki_list *at = replay->actors.next; at != &replay->actors; at = at->next) {
        struct hki_actor *actor = HKI_CONTAINER(at, struct hki_actor, link);

        if (actor->is_ready && index-- == 0) {
            return actor;
        }
    }
    return NULL;
}

static hk_job *job_of_member(struct hki_member *member, uint64_t index)
{
    for (int lane = 0; lane < HKI_LANES; lane++) {
        struct hki_list *jobs = &member->queue.lanes[lane];

        for (struct hki_list *at = jobs->next; at != jobs; at = at->next) {
            if (index-- == 0) {
                return HKI_CONTAINER(at, hk_job, link);
            }
        }
    }
    return NULL;
}

static hk_job *startable_job(struct hki_replay *replay, uint64_t index)
{
    for (struct hki_list *at = replay->members.next; at != &replay->members; at = at->next) {
        struct hki_member *member = HKI_CONTAINER(at, struct hki_member, link);
        size_t count = startable(replay, member);

        if (index < count) {
            return job_of_member(member, index);
        }
        index -= count;
    }
    return NULL;
}

/* --- making a step --- */

static void tell(const struct hki_replay *replay, hk_replay_action action,
                 const struct hki_actor *actor, uint64_t choices)
{
    hk_replay_step_info info = {
        .number = replay->step,
        .action = action,
        .task = action == HK_REPLAY_TIMER ? "" : actor->task,
        .task_number = action == HK_REPLAY_TIMER ? 0 : actor->task_number,
        .now = atomic_load(&replay->now_ns) - replay->begin_ns,
        .choices = (unsigned)choices,
    };

    if (replay->trace != NULL) {
        replay->trace(&info, replay->trace_arg);
    }
}

/* Under the lock. */
static void take_job(struct hki_replay *replay, struct hki_actor *actor, hk_job *job)
{
    struct hki_member *member = job->executor->self;

    (void)hki_task_queue_remove(&member->queue, job);
    hki_running_add(&member->jobs, job);
    actor->job = job;
    actor->task = job->named->name;
    actor->task_number = job->sequence + 1;
    actor->refused_at = 0;
    snprintf(actor->where, sizeof(actor->where), "replay seed %llu, step %llu",
             (unsigned long long)replay->seed, (unsigned long long)replay->step);
}

/* Under the lock, as a queued job may be cancelled by another thread. NULL: nothing can go on
 * now. */
static struct hki_actor *choose(struct hki_replay *replay, hk_replay_action *action,
                                uint64_t *count)
{
    struct choices choices = look_around(replay);
    struct hki_actor *actor = NULL;
    uint64_t index;

    if (choices.jobs + choices.timers == 0 || hki_actor_idle(replay, &actor) != HK_OK) {
        choices.jobs = choices.timers = 0; /* Later, when a worker is free. */
    }
    if ((*count = choices.sleepers + choices.jobs + choices.timers) == 0) {
        return NULL;
    }
    replay->step++;
    index = draw(replay, *count);
    if (index < choices.sleepers) {
        actor = ready_actor(replay, index);
        actor->in_time = actor->is_woken;
        *action = HK_REPLAY_GOES_ON;
    } else if (index < choices.sleepers + choices.jobs) {
        take_job(replay, actor, startable_job(replay, index - choices.sleepers));
        *action = HK_REPLAY_STARTS;
    } else if (actor != NULL) {
        /* A thread outside the world may just have disarmed it: then the worker does nothing. */
        actor->timer = hki_timer_heap_take_due(&replay->timers, hki_replay_now_ns(&replay->world));
        *action = HK_REPLAY_TIMER;
    }
    return actor;
}

static bool advance(struct hki_replay *replay)
{
    int64_t next_ns = hki_timer_heap_next_ns(&replay->timers);

    for (struct hki_list *at = replay->actors.next; at != &replay->actors; at = at->next) {
        const struct hki_actor *actor = HKI_CONTAINER(at, struct hki_actor, link);

        if (actor->state == HKI_ACTOR_SLEEPS) {
            next_ns = hki_earlier(next_ns, actor->deadline_ns);
        }
    }
    if (next_ns == HKI_NEVER || next_ns <= hki_replay_now_ns(&replay->world)) {
        return false; /* The second: due, but no worker could be had for it. */
    }
    atomic_store(&replay->now_ns, next_ns);
    return true;
}

/* What works outside this world, a pool of threads, may still wake a sleeper; it has a while
 * of the system's time. False: it is over, or no pool has workers. */
static bool await_outsiders(const struct hki_replay *replay, unsigned *patience)
{
    _Atomic(uint32_t) word = 0;

    if (replay->running || hki_live_count(HKI_LIVE_WORKERS) == 0 || (*patience)-- == 0) {
        return false;
    }
    (void)hki_os_futex_sleep(&word, 0, hki_system_now_ns() + HK_MS(1));
    return true;
}

/* Whether one is to be refused rather than other: none twice while another has not been, who
 * slept last, main after all tasks. */
static bool rather(const struct hki_replay *replay, const struct hki_actor *one,
                   const struct hki_actor *other)
{
    if (one->refused_at != other->refused_at) {
        return one->refused_at < other->refused_at;
    }
    return other == &replay->main || (one != &replay->main && one->slept_at > other->slept_at);
}

/* Nothing can go on, ever. Whoever has the turn is not main or main sleeps, so there is one. */
static struct hki_actor *refuse(struct hki_replay *replay)
{
    struct hki_actor *refused = &replay->main;

    for (struct hki_list *at = replay->actors.next; at != &replay->actors; at = at->next) {
        struct hki_actor *actor = HKI_CONTAINER(at, struct hki_actor, link);

        if (actor->state == HKI_ACTOR_SLEEPS && actor != refused &&
            rather(replay, actor, refused)) {
            refused = actor;
        }
    }
    refused->refused_at = ++replay->step;
    refused->in_time = false;
    return refused;
}

static struct hki_actor *next_actor(struct hki_replay *replay)
{
    hk_replay_action action = HK_REPLAY_REFUSES;
    unsigned patience = PATIENCE_MS;
    struct hki_actor *actor;
    uint64_t count;

    if (replay->running && replay->step >= replay->steps_last) {
        return &replay->main;
    }
    do {
        pthread_mutex_lock(&replay->lock);
        actor = choose(replay, &action, &count);
        pthread_mutex_unlock(&replay->lock);
    } while (actor == NULL && (advance(replay) || await_outsiders(replay, &patience)));
    if (actor == NULL && replay->running) {
        return &replay->main; /* It waited for just this. */
    }
    if (actor == NULL) {
        actor = refuse(replay);
    }
    tell(replay, action, actor, count);
    return actor;
}

void hki_replay_pass_turn(struct hki_replay *replay, struct hki_actor *actor)
{
    struct hki_actor *next = next_actor(replay);

    next->state = HKI_ACTOR_GOES;
    if (next != actor) {
        replay->current = next;
        hki_actor_give_turn(next);
        hki_actor_await_turn(actor);
    }
}

bool hki_replay_sleep(struct hki_world *world, _Atomic(uint32_t) *word, uint32_t expected,
                      int64_t deadline_ns)
{
    struct hki_replay *replay = replay_of(world);
    struct hki_actor *actor = replay->current;
    bool in_time;

    actor->word = word;
    actor->expected = expected;
    actor->deadline_ns = deadline_ns;
    actor->slept_at = replay->step;
    actor->state = HKI_ACTOR_SLEEPS;
    hki_replay_pass_turn(replay, actor);
    in_time = actor->in_time; /* The hook may sleep here again. */
    if (!in_time && deadline_ns == HKI_NEVER) {
        hki_log(HK_LOG_WARNING,
                "replay seed %llu, step %llu: nothing can go on, so a wait of %s is refused",
                (unsigned long long)replay->seed, (unsigned long long)replay->step, actor->task);
    }
    return in_time;
}

void hki_replay_yield(struct hki_replay *replay)
{
    _Atomic(uint32_t) word = 1;

    (void)hki_replay_sleep(&replay->world, &word, 0, HKI_NEVER);
}

void hki_replay_sleep_until(struct hki_replay *replay, int64_t deadline_ns)
{
    _Atomic(uint32_t) word = 0;

    replay->main.in_time = true; /* Who runs is not refused. */
    (void)hki_replay_sleep(&replay->world, &word, 0, deadline_ns);
}
