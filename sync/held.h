/* SPDX-License-Identifier: MIT */
/*
 * One lock that a thread holds, or wants: an entry of the list that every thread keeps
 * of its own locks, in the order in which it took them.
 */
#ifndef HOCKET_SYNC_HELD_H
#define HOCKET_SYNC_HELD_H

#include <hocket/error.h>

#include <stdint.h>

struct hki_held {
    void *lock;          /* Its address; only for identity and text. */
    const hk_site *site; /* Where it was acquired; NULL: not known. */
    const char *name;    /* NULL: the text says "lock 0x...". */
    uint64_t identity;   /* Its own or its class's; 0: takes no part in the order. */
    uint64_t key;        /* The chain key up to and including it. */
    uint32_t flags;      /* The owner's: how it is held. */
    uint32_t depth;      /* The owner's: recursion. */
};

#endif
