/* SPDX-License-Identifier: MIT */
#include "base/world.h"

#include <pthread.h>
#include <stddef.h>

enum { POLL_NS = 10000 };

static _Thread_local struct hki_world *own;

struct hki_world *hki_world_self(void)
{
    return own;
}

void hki_world_enter(struct hki_world *world)
{
    own = world;
}

void hki_world_poll(void)
{
    _Atomic(uint32_t) word = 0;

    if (own != NULL) {
        (void)own->sleep(own, &word, 0, own->now_ns(own) + POLL_NS);
    }
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
