/* SPDX-License-Identifier: MIT */
/*
 * Spills: inputs and results too large for the pool's memory travel in a memfd of their
 * own, of exactly their size, sealed against change of size, sent by descriptor.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_SPILL_H
#define HOCKET_EXECUTORS_PROCESS_POOL_SPILL_H

#include <hocket/status.h>

#include <stddef.h>

/* Makes one of so many bytes, mapped for writing: the descriptor and the bytes. HK_ENOMEM
 * (also: a limit on file sizes or memory), HK_ESYS (no descriptor to be had). A limit on
 * the size of files must not raise SIGXFSZ. */
hk_status hki_spill_create(size_t size, int *fd, void **data);

/* Takes away the mapping; seals it. The descriptor is to be sent and closed. */
hk_status hki_spill_seal(int fd, void *data, size_t size);

/* Checks a descriptor from the other side (a regular sealed memfd, of at least `size` bytes
 * that cannot shrink any more) and maps it for reading; the descriptor is closed in any
 * case. HK_EINVAL: it is not what it should be. */
hk_status hki_spill_open(int fd, size_t size, void **data);

void hki_spill_close(void *data, size_t size);

#endif
