/* SPDX-License-Identifier: MIT */
/*
 * What code the zygote has: the executable segments, and the constant data, that were
 * loaded when it was forked. A task whose code came later cannot run in a worker.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_CODE_MAP_H
#define HOCKET_EXECUTORS_PROCESS_POOL_CODE_MAP_H

#include <hocket/status.h>

#include <stdbool.h>
#include <stddef.h>

/* Records what is loaded now: right before the zygote's fork, while no other thread loads or
 * unloads anything. HK_ENOMEM. */
hk_status hki_code_map_record(void);

/* Whether the function lies in code that the zygote has, and that is still the same here.
 * Cost: a binary search (some ns) for the main program and the libraries
 * it was linked to; for what dlopen() brought, also a call to the dynamic linker (some 20 ns),
 * and a walk of the loaded objects after something was unloaded. Thread-safe. */
bool hki_code_map_has_function(void (*function)(void));

/* Whether the bytes lie in a file-backed segment of such an object, so that a worker may
 * read them (a descriptor made by HK_TASK). */
bool hki_code_map_has_data(const void *data, size_t size);

#endif
