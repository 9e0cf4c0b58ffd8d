/* SPDX-License-Identifier: MIT */
/* Holds a thread still. */
#include "tests/freeze_fixture.h"

#include <signal.h>
#include <unistd.h>

static atomic_bool frozen;
static atomic_bool thawed = true;
static pid_t held;

/* The same signal comes to freeze and to thaw. */
static void stand_still(int signal_number)
{
    sigset_t none;

    (void)signal_number;
    if (atomic_load(&frozen) || atomic_load(&thawed)) {
        return;
    }
    (void)sigemptyset(&none);
    atomic_store(&frozen, true);
    while (!atomic_load(&thawed)) {
        (void)sigsuspend(&none);
    }
    atomic_store(&frozen, false);
}

static bool is_frozen(void *arg)
{
    (void)arg;
    return atomic_load(&frozen);
}

void hkt_allow_freezing(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    HKT_EQ_INT(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
}

void hkt_freeze(struct hkt_actor *actor)
{
    HKT_TRUE_FATAL(signal(SIGUSR2, stand_still) != SIG_ERR);
    held = atomic_load(&actor->id);
    atomic_store(&thawed, false);
    HKT_EQ_INT(tgkill(getpid(), held, SIGUSR2), 0);
    HKT_TRUE(hkt_eventually(is_frozen, NULL));
}

static bool is_thawed(void *arg)
{
    (void)arg;
    return !atomic_load(&frozen);
}

void hkt_thaw(void)
{
    atomic_store(&thawed, true);
    HKT_EQ_INT(tgkill(getpid(), held, SIGUSR2), 0);
    HKT_TRUE(hkt_eventually(is_thawed, NULL));
}
