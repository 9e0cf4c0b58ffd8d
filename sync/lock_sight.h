/* SPDX-License-Identifier: MIT */
/* What is seen of the calling thread when a step is made for the first time. */
#ifndef HOCKET_SYNC_LOCK_SIGHT_H
#define HOCKET_SYNC_LOCK_SIGHT_H

#include "sync/held.h"
#include "sync/lock_table.h"

/* Fills in the thread and the calls from caller (a return address) outwards; about a
 * microsecond. The first time in a process it may allocate. */
void hki_lock_sight_take(struct hki_lock_sight *sight, const void *caller);

/* Fills in the two locks of one step. */
void hki_lock_sight_aim(struct hki_lock_sight *sight, const struct hki_held *from,
                        const struct hki_held *to);

/* The same for the eyes of the application; the names are left alone. */
void hki_lock_sight_show(const struct hki_lock_sight *sight, hk_lock_edge *edge);

#endif
