/* SPDX-License-Identifier: MIT */
#include "base/time.h"

#include "base/world.h"

int64_t hki_system_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t hk_now_ns(void)
{
    struct hki_world *world = hki_world_self();

    return world == NULL ? hki_system_now_ns() : world->now_ns(world);
}
