/* SPDX-License-Identifier: MIT */
#ifndef HOCKET_BASE_LOG_H
#define HOCKET_BASE_LOG_H

#include <hocket/log.h>

/* One line to the application's hook, or to standard error. Call it with no
 * lock held: the hook is the application's code. */
HK_PRINTF(2, 3) void hki_log(hk_log_level level, const char *format, ...);

/* The same with a text that is there already, of any length and any number of lines. */
void hki_log_text(hk_log_level level, const char *text);

#endif
