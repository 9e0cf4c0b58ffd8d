/* SPDX-License-Identifier: MIT */
#include "sync/sides.h"

#include <hocket/queue.h>

static bool is_bound(const struct hki_parties *parties)
{
    struct hki_agent *self = hki_agent_self();
    size_t count;
    bool found = false;

    hki_wait_graph_lock();
    (void)hki_parties_look(parties, HKI_WAIT_ANY, &count);
    for (size_t i = 0; i < count && !found; i++) {
        found = hki_parties_next(parties, i).object == self;
    }
    hki_wait_graph_unlock();
    return found;
}

static bool names_a_side(unsigned which)
{
    return which != 0 && (which & ~(unsigned)(HK_QUEUE_PUTTER | HK_QUEUE_GETTER)) == 0;
}

hk_status hki_sides_bind(struct hki_sides *sides, unsigned which)
{
    bool newly;
    hk_status status = HK_OK;

    if (!names_a_side(which)) {
        return HK_EINVAL;
    }
    newly = (which & HK_QUEUE_PUTTER) != 0 && !is_bound(&sides->putters);
    if (newly) {
        status = hki_parties_bind(&sides->putters);
    }
    if (status == HK_OK && (which & HK_QUEUE_GETTER) != 0 && !is_bound(&sides->getters)) {
        status = hki_parties_bind(&sides->getters);
        if (status != HK_OK && newly) {
            (void)hki_parties_unbind(&sides->putters);
        }
    }
    return status;
}

hk_status hki_sides_unbind(struct hki_sides *sides, unsigned which)
{
    if (!names_a_side(which)) {
        return HK_EINVAL;
    }
    /* Nobody but the thread itself changes what it is bound to. */
    if (((which & HK_QUEUE_PUTTER) != 0 && !is_bound(&sides->putters)) ||
        ((which & HK_QUEUE_GETTER) != 0 && !is_bound(&sides->getters))) {
        return HK_ESTATE;
    }
    if ((which & HK_QUEUE_PUTTER) != 0) {
        (void)hki_parties_unbind(&sides->putters);
    }
    if ((which & HK_QUEUE_GETTER) != 0) {
        (void)hki_parties_unbind(&sides->getters);
    }
    return HK_OK;
}

void hki_sides_clear(struct hki_sides *sides)
{
    hki_parties_clear(&sides->putters);
    hki_parties_clear(&sides->getters);
    hki_wait_graph_settle();
}
