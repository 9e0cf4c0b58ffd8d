/* SPDX-License-Identifier: MIT */
/*
 * Striped locks: a few mutexes shared by many small objects, chosen by address,
 * so that an object needs no lock of its own.
 *
 * Rank: a stripe is taken before a parker's lock or a completion queue's; a
 * thread holds at most one stripe; no code of the application runs under one.
 * All stripes are held across fork(), so a child finds them free.
 */
#ifndef HOCKET_SYNC_STRIPE_H
#define HOCKET_SYNC_STRIPE_H

#include "sync/condition.h"

struct hki_stripe {
    pthread_mutex_t lock;
    struct hki_condition changed; /* For rare waits for something under the lock. */
} __attribute__((aligned(64)));

struct hki_stripe *hki_stripe_of(const void *object);

#endif
