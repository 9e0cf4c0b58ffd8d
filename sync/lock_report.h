/* SPDX-License-Identifier: MIT */
/* Tells the application, or the log, of an inversion. */
#ifndef HOCKET_SYNC_LOCK_REPORT_H
#define HOCKET_SYNC_LOCK_REPORT_H

#include <hocket/lock_order.h>

#include <stdbool.h>
#include <stddef.h>

#include "sync/held.h"

/* Makes the text of the report and hands all of it over. held is what the thread holds.
 * Without memory the text is cut. No lock of the library is held. */
void hki_lock_report_deliver(hk_lock_report *report, const struct hki_held *held, size_t count);

/* Whether the calling thread is within a delivery: what its hook does wrong is not
 * reported in turn. */
bool hki_lock_report_is_under_way(void);

#endif
