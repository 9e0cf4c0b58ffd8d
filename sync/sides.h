/* SPDX-License-Identifier: MIT */
/*
 * The two sides of a queue: who has declared that it will put, and who that it will get.
 */
#ifndef HOCKET_SYNC_SIDES_H
#define HOCKET_SYNC_SIDES_H

#include "sync/party.h"

/* Zero-filled memory is nobody. */
struct hki_sides {
    struct hki_parties putters;
    struct hki_parties getters;
};

/* The calling thread; which is made of HK_QUEUE_PUTTER and HK_QUEUE_GETTER. HK_EINVAL for
 * anything else; HK_ENOMEM with nothing changed. */
hk_status hki_sides_bind(struct hki_sides *sides, unsigned which);

/* HK_ESTATE, with nothing changed, if it is not bound to all of them. */
hk_status hki_sides_unbind(struct hki_sides *sides, unsigned which);

/* Before the object is freed; also waits for a look that may still read it. */
void hki_sides_clear(struct hki_sides *sides);

#endif
