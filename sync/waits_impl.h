/* SPDX-License-Identifier: MIT */
/* What the watchdog asks of the list of waits. */
#ifndef HOCKET_SYNC_WAITS_IMPL_H
#define HOCKET_SYNC_WAITS_IMPL_H

#include <hocket/waits.h>

/* Whether some wait is older than the limit and was not told of before; marks it. */
bool hki_waits_overdue(hk_duration limit);

#endif
