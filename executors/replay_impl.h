/* SPDX-License-Identifier: MIT */
/*
 * Replay executors from the inside: who takes turns, and how the next is chosen.
 *
 * All those of one thread are members of one world. An actor is a thread of the world: the
 * one that made it, and those that run tasks. Exactly one has the turn; the others sleep in the
 * kernel until it is given to them. Whoever has it may read and write all of the world without a
 * lock: giving it is what orders them. Other threads reach only what is under the lock.
 */
#ifndef HOCKET_EXECUTORS_REPLAY_IMPL_H
#define HOCKET_EXECUTORS_REPLAY_IMPL_H

#include <hocket/replay.h>

#include <pthread.h>

#include "base/world.h"
#include "executors/running.h"
#include "executors/task_queue.h"

struct hki_replay;

enum hki_actor_state {
    HKI_ACTOR_GOES,   /* It has the turn, or has been chosen. */
    HKI_ACTOR_SLEEPS, /* In a call of Hocket. */
    HKI_ACTOR_IDLE,   /* A worker without a task. */
};

struct hki_actor {
    struct hki_list link; /* Among the actors of its world, in the order they were made. */
    struct hki_replay *replay;
    struct hki_agent *agent;
    pthread_t thread;
    _Atomic(uint32_t) turn; /* 1: it has been given the turn. */
    enum hki_actor_state state;
    /* While it sleeps: until the word holds something else, or the deadline. */
    _Atomic(uint32_t) *word;
    uint32_t expected;
    int64_t deadline_ns;
    uint64_t slept_at;   /* The step before it went to sleep. */
    uint64_t refused_at; /* The step at which this task's last sleep was refused; 0: none. */
    /* As last looked at: the word has changed; that, or the deadline has come. Threads outside
     * the world may change words at any time, so it is asked once in a step. */
    bool is_woken;
    bool is_ready;
    bool in_time; /* How the sleep ended. */
    hk_job *job;  /* The task it runs, or shall run; or NULL. */
    struct hki_timer *timer;
    const char *task; /* For the trace. */
    uint64_t task_number;
    char where[64]; /* For errors: the seed, and the step at which its task began. */
};

struct hki_replay {
    struct hki_world world; /* First: the two convert. */
    uint64_t seed;
    int64_t begin_ns;
    atomic_int_fast64_t now_ns; /* Written by who has the turn. */

    /* Of who has the turn. */
    struct hki_actor main;
    struct hki_actor *current; /* Who has it. */
    struct hki_list actors;    /* main first. */
    struct hki_timer_heap timers;
    uint64_t random;
    uint64_t step;
    uint64_t tasks;
    bool running;        /* hk_replay_run(): main stands aside. */
    uint64_t steps_last; /* Until this step. */
    bool ending;
    hk_replay_step_fn *trace;
    void *trace_arg;

    pthread_mutex_t lock;
    struct hki_list members; /* Changed by who has the turn. */
};

/* One executor. */
struct hki_member {
    struct hki_list link;
    struct hki_replay *replay;
    hk_executor *executor;
    unsigned workers;
    struct hki_condition settled;
    struct hki_task_queue queue; /* Under the world's lock, and what follows. */
    struct hki_list jobs;        /* Those that run. */
    size_t unfinished;           /* Queued, running, or about to be discarded. */
    bool closing;
};

/* --- replay_world.c: with the turn --- */

/* Gives the turn to who is chosen, perhaps to itself; returns when the actor, whose state
 * says why it stands still, has it again. */
void hki_replay_pass_turn(struct hki_replay *replay, struct hki_actor *actor);

/* The operations of the world. */
int64_t hki_replay_now_ns(struct hki_world *world);
bool hki_replay_sleep(struct hki_world *world, _Atomic(uint32_t) *word, uint32_t expected,
                      int64_t deadline_ns);

/* A sleep that is over at once: others may go on first. */
void hki_replay_yield(struct hki_replay *replay);

/* Sleeps until then, whatever happens; HKI_NEVER: until it is refused. */
void hki_replay_sleep_until(struct hki_replay *replay, int64_t deadline_ns);

/* --- replay_actor.c: with the turn --- */

/* An idle worker, if need be a new one. HK_ENOMEM; HK_ESYS: no thread, errno says why. */
hk_status hki_actor_idle(struct hki_replay *replay, struct hki_actor **out);

void hki_actor_give_turn(struct hki_actor *actor);
void hki_actor_await_turn(struct hki_actor *actor);

/* Ends all workers, which are idle. */
void hki_actors_end(struct hki_replay *replay);

/* --- replay.c --- */

/* On a worker: runs the job that it was given, to its end. */
void hki_member_run_job(struct hki_actor *actor);

#endif
