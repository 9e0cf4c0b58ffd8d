/* SPDX-License-Identifier: MIT */
/*
 * The set of lock chains that were validated; see sync/lock_order.h for what a key is.
 * Lock-free, of a fixed size, and forgetful: "no" may be said of a chain that was added.
 */
#ifndef HOCKET_SYNC_LOCK_CHAINS_H
#define HOCKET_SYNC_LOCK_CHAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool hki_chains_have(uint64_t key);

void hki_chains_add(uint64_t key);

/* How many were ever added. */
uint64_t hki_chains_added(void);

#endif
