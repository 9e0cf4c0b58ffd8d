/* SPDX-License-Identifier: MIT */
/*
 * The end of a thread: what the library keeps for a thread is given back when it ends.
 */
#ifndef HOCKET_SYNC_THREAD_END_H
#define HOCKET_SYNC_THREAD_END_H

#include <stdbool.h>

/* Sees to it that the calling thread's end drops its objects (sync/local.c) and detaches it
 * (sync/agent.h). Idempotent. False: the process has no thread key left. */
bool hki_thread_end_watch(void);

#endif
