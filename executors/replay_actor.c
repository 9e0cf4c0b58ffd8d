/* SPDX-License-Identifier: MIT */
/* The workers of a replay executor, and how the turn goes from one thread to another. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/no_cancel.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/replay_impl.h"

void hki_actor_give_turn(struct hki_actor *actor)
{
    atomic_store(&actor->turn, 1);
    hki_os_futex_wake(&actor->turn, 1);
}

void hki_actor_await_turn(struct hki_actor *actor)
{
    while (atomic_exchange(&actor->turn, 0) == 0) {
        (void)hki_os_futex_sleep(&actor->turn, 0, HKI_NEVER);
    }
}

static void serve(struct hki_replay *replay, struct hki_actor *actor)
{
    while (!replay->ending) {
        if (actor->timer != NULL) {
            actor->timer->fire(actor->timer);
            actor->timer = NULL;
        } else if (actor->job != NULL) {
            hki_member_run_job(actor);
        }
        actor->state = HKI_ACTOR_IDLE;
        hki_replay_pass_turn(replay, actor);
    }
}

static void *actor_main(void *arg)
{
    struct hki_actor *actor = arg;
    struct hki_replay *replay = actor->replay;
    HKI_NO_CANCEL;

    hki_os_thread_name("hocket_replay");
    hki_actor_await_turn(actor);
    actor->agent = hki_agent_self();
    actor->agent->name = "a worker of a replay executor";
    hki_world_enter(&replay->world);
    serve(replay, actor);
    /* What ends with the thread is ordered by nobody: main waits for it. */
    hki_world_enter(NULL);
    return NULL;
}

/* The application's signals are for its own threads. */
static int start(struct hki_actor *actor)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&actor->thread, NULL, actor_main, actor);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

hk_status hki_actor_idle(struct hki_replay *replay, struct hki_actor **out)
{
    struct hki_actor *actor;
    int failed;

    for (struct hki_list *at = replay->actors.next; at != &replay->actors; at = at->next) {
        actor = HKI_CONTAINER(at, struct hki_actor, link);
        if (actor->state == HKI_ACTOR_IDLE) {
            *out = actor;
            return HK_OK;
        }
    }
    if ((actor = hki_zalloc(sizeof(*actor))) == NULL) {
        return HK_ENOMEM;
    }
    actor->replay = replay;
    actor->state = HKI_ACTOR_IDLE;
    if ((failed = start(actor)) != 0) {
        hki_free(actor, sizeof(*actor));
        errno = failed;
        return HK_ESYS;
    }
    hki_list_append(&replay->actors, &actor->link);
    *out = actor;
    return HK_OK;
}

void hki_actors_end(struct hki_replay *replay)
{
    struct hki_list *link;

    replay->ending = true;
    hki_list_remove(&replay->main.link);
    while ((link = hki_list_take_first(&replay->actors)) != NULL) {
        struct hki_actor *actor = HKI_CONTAINER(link, struct hki_actor, link);

        hki_actor_give_turn(actor);
        pthread_join(actor->thread, NULL);
        hki_free(actor, sizeof(*actor));
    }
    hki_list_append(&replay->actors, &replay->main.link);
}
