/* SPDX-License-Identifier: MIT */
/*
 * Which parts of the reserved addresses are taken (memory.h has the reservation itself).
 *
 * A forked process has a copy of the list, with the same memory mapped behind it; so what
 * its parent had taken stays taken, unless the parent itself says that it is another's now.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_ADDRESSES_H
#define HOCKET_EXECUTORS_PROCESS_POOL_ADDRESSES_H

#include <stdbool.h>
#include <stddef.h>

/* A free range of so many bytes, with nothing mapped there; NULL with ENOMEM: none is left. */
void *hki_pool_addresses_take(size_t bytes);

/* This very range, whatever a parent process had there. False with errno: EINVAL (not in the
 * reservation), EEXIST (overlaps one that this process took), ENOMEM. */
bool hki_pool_addresses_take_at(void *address, size_t bytes);

/* Unmaps the range that begins here, and gives it back. */
void hki_pool_addresses_give_back(void *address);

#endif
