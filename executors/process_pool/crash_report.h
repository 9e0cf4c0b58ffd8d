/* SPDX-License-Identifier: MIT */
/*
 * The last words of a worker: which signal, where, and the calls that led there. Written by
 * a signal handler, on a stack of its own so that an overflow of the worker's can be told;
 * then the signal strikes again and ends the process as if nothing had been in its way.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_CRASH_REPORT_H
#define HOCKET_EXECUTORS_PROCESS_POOL_CRASH_REPORT_H

#include <stdbool.h>

#include "executors/process_pool/layout.h"

/* Handles the signals of a crash that nobody handles yet: a sanitizer's handlers stay, where
 * it has any. The handlers, their stack and what they need are inherited by children, so the
 * zygote does this once for all its workers. False with errno: no memory for the stack; the
 * worker can do without. */
bool hki_crash_report_prepare(void);

/* From now on a crash of this process is told there, and none of its children's; prepares
 * what the zygote has not. */
bool hki_crash_report_install(struct hki_crash *crash);

#endif
