/* SPDX-License-Identifier: MIT */
#include "sync/lock_sight.h"

#include <string.h>

#include "base/os.h"
#include "sync/wait_graph.h"

enum { OWN_FRAMES = 8 }; /* Calls between the caller and the walk of the stack. */

/* All calls if the caller is not among them: inlined, or too far away. */
static void take_frames(struct hki_lock_sight *sight, const void *caller)
{
    void *frames[HK_LOCK_FRAMES + OWN_FRAMES];
    size_t count = hki_os_backtrace(frames, HK_LOCK_FRAMES + OWN_FRAMES);
    size_t first = 0;

    while (first < count && frames[first] != caller) {
        first++;
    }
    if (first == count) {
        first = 0;
    }
    count -= first;
    if (count > HK_LOCK_FRAMES) {
        count = HK_LOCK_FRAMES;
    }
    memcpy(sight->frames, frames + first, count * sizeof(*frames));
    sight->frame_count = (uint32_t)count;
}

void hki_lock_sight_take(struct hki_lock_sight *sight, const void *caller)
{
    const char *name = hki_agent_self()->name;

    if (name != NULL) {
        size_t length = strnlen(name, sizeof(sight->thread_name) - 1);

        memcpy(sight->thread_name, name, length);
        sight->thread_name[length] = '\0';
    } else {
        hki_os_thread_own_name(sight->thread_name, sizeof(sight->thread_name));
    }
    sight->thread_id = hki_os_thread_id();
    take_frames(sight, caller);
}

void hki_lock_sight_aim(struct hki_lock_sight *sight, const struct hki_held *from,
                        const struct hki_held *to)
{
    sight->from_lock = from->lock;
    sight->to_lock = to->lock;
    sight->from_site = from->site;
    sight->to_site = to->site;
}

void hki_lock_sight_show(const struct hki_lock_sight *sight, hk_lock_edge *edge)
{
    edge->from_lock = sight->from_lock;
    edge->to_lock = sight->to_lock;
    edge->from_site = sight->from_site;
    edge->to_site = sight->to_site;
    memcpy(edge->thread_name, sight->thread_name, sizeof(edge->thread_name));
    edge->thread_id = sight->thread_id;
    edge->frame_count = sight->frame_count;
    memcpy(edge->frames, sight->frames, sizeof(edge->frames));
}
