/* SPDX-License-Identifier: MIT */
/* Holds a thread still. */
#include "tests/freeze_fixture.h"

#include <signal.h>
#include <unistd.h>

static int thaw_pipe[2];
static atomic_bool frozen;

static void stand_still(int signal_number)
{
    char byte;

    (void)signal_number;
    atomic_store(&frozen, true);
    while (read(thaw_pipe[0], &byte, 1) != 1) {
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
    HKT_EQ_INT_FATAL(pipe(thaw_pipe), 0);
    HKT_TRUE_FATAL(signal(SIGUSR2, stand_still) != SIG_ERR);
    atomic_store(&frozen, false);
    HKT_EQ_INT(tgkill(getpid(), atomic_load(&actor->id), SIGUSR2), 0);
    HKT_TRUE(hkt_eventually(is_frozen, NULL));
}

static bool is_thawed(void *arg)
{
    (void)arg;
    return !atomic_load(&frozen);
}

void hkt_thaw(void)
{
    HKT_EQ_INT(write(thaw_pipe[1], "", 1), 1);
    HKT_TRUE(hkt_eventually(is_thawed, NULL)); /* Out of the pipe, which is closed now. */
    close(thaw_pipe[0]);
    close(thaw_pipe[1]);
}
