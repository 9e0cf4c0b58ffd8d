/* SPDX-License-Identifier: MIT */
/*
 * An error as bytes, to cross from one process to another whole, causes included. Texts
 * are cut so that it fits. Reading trusts nothing: every length is checked.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_PACKED_ERROR_H
#define HOCKET_EXECUTORS_PROCESS_POOL_PACKED_ERROR_H

#include <stddef.h>

#include "futures/error_impl.h"

/* Writes an error (NULL: nothing) and returns its bytes, at most `size` (512 or more). */
size_t hki_error_pack(const struct hki_error *error, unsigned char *bytes, size_t size);

/* Reads one. `about` brings what the reader knows better (task, label, submit site, where,
 * attempt): these replace what was packed, in the outermost error. NULL bytes that make no
 * sense give an error that says so (HK_EWORKER); without memory what hki_error_make() gives
 * then. */
struct hki_error *hki_error_unpack(const unsigned char *bytes, size_t size,
                                   const struct hki_error_facts *about);

#endif
