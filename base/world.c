/* SPDX-License-Identifier: MIT */
#include "base/world.h"

#include <pthread.h>
#include <stddef.h>

static _Thread_local struct hki_world *own;

struct hki_world *hki_world_self(void)
{
    return own;
}

void hki_world_enter(struct hki_world *world)
{
    own = world;
}

/* The other threads of the world are not in the child, so nobody would ever go on. */
static void in_child(void)
{
    own = NULL;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, in_child);
}
