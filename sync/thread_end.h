/* SPDX-License-Identifier: MIT */
/*
 * The end of a thread, as per-thread objects see it. What a thread holds and declares is
 * given back by sync/agent.c.
 */
#ifndef HOCKET_SYNC_THREAD_END_H
#define HOCKET_SYNC_THREAD_END_H

#include <stdbool.h>

/* Sees to it that the calling thread's end drops its objects (sync/local.c). Idempotent.
 * False: the process has no thread key left. */
bool hki_thread_end_watch(void);

#endif
