/* SPDX-License-Identifier: MIT */
/* Where threads waited for locks, by line of code. Counted on the slow path alone. */
#ifndef HOCKET_SYNC_CONTENTION_H
#define HOCKET_SYNC_CONTENTION_H

#include <hocket/error.h>

#include <stdint.h>

void hki_contention_add(const hk_site *site, const char *name, int64_t waited_ns);

#endif
