/* SPDX-License-Identifier: MIT */
/*
 * The workloads of Hocket's own.
 */
#include "bench/hocket_bench/own.h"
#include "bench/hocket_bench/peer_hocket.h"

enum { N_FIRST = 64 };

static bool is_for_hocket(const struct peer *peer)
{
    return peer == &peer_hocket_threads;
}

const struct workload own_workloads[] = {
    {.name = "queue",
     .title = "numbers through a hk_queue of 1,024; half the threads put, half get",
     .n = N_FIRST,
     .is_for = is_for_hocket,
     .repeat = repeat_queue,
     .metric = "time_per_item"},
    {.name = "lock",
     .title = "a hk_lock that all threads want, around one addition",
     .n = N_FIRST,
     .is_for = is_for_hocket,
     .repeat = repeat_lock,
     .metric = "time_per_turn"},
    {.name = "completion",
     .title = "n futures of the pool in the order in which they end: hk_as_completed()",
     .n = 100000,
     .is_for = is_for_hocket,
     .repeat = repeat_completion,
     .metric = "time_per_future",
     .is_fixed = true},
    {.name = "callbacks",
     .title = "callbacks of promises: added, and called when the promise is set",
     .n = N_FIRST,
     .is_for = is_for_hocket,
     .repeat = repeat_callbacks,
     .metric = "time_per_callback"},
    {.name = "timers",
     .title = "time limits of an hour for futures that end before: hk_within()",
     .n = N_FIRST,
     .is_for = is_for_hocket,
     .repeat = repeat_timers,
     .metric = "time_per_timer"},
    {.name = "timer_lateness",
     .title = "n time limits within 50 ms: how late they come",
     .n = 1000,
     .is_for = is_for_hocket,
     .run = run_timer_lateness},
    {.name = NULL},
};
