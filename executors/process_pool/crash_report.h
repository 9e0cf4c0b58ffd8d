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
 * it has any. Once for the process, whose children say nothing there. False with errno: no
 * memory for the stack; the worker can do without. */
bool hki_crash_report_install(struct hki_crash *crash);

#endif
