/* SPDX-License-Identifier: MIT */
/* A few threads that use the library, and what must hold however they take turns. */
#ifndef HKT_SCHEDULE_SCENARIO_H
#define HKT_SCHEDULE_SCENARIO_H

#include <hocket/hocket.h>

#include "tests/schedule/machine.h"

#define HKT_FAULT(fault) (1U << (fault))

struct hkt_scenario {
    const char *name;
    void (*run)(void); /* As thread 0; all that it started has ended when it returns. */
    bool timeless;     /* Nobody waits for time, see machine.h. */
    unsigned faults;   /* Which must be noticed: HKT_FAULT(...) of each. */
};

/* Each ends with one without a name. */
extern const struct hkt_scenario hkt_future_scenarios[];
extern const struct hkt_scenario hkt_chain_scenarios[];
extern const struct hkt_scenario hkt_pool_scenarios[];
extern const struct hkt_scenario hkt_change_scenarios[];
extern const struct hkt_scenario hkt_meeting_scenarios[];
extern const struct hkt_scenario hkt_task_scenarios[];
extern const struct hkt_scenario hkt_range_scenarios[];
extern const struct hkt_scenario hkt_shutdown_scenarios[];
extern const struct hkt_scenario hkt_time_scenarios[];
extern const struct hkt_scenario hkt_sync_scenarios[];

/* Fails the round. */
#define HKT_MUST(condition)                                                                        \
    ((condition) ? (void)0 : hkt_fail("%s:%d: %s", __FILE__, __LINE__, #condition))
#define HKT_IS(call, status) hkt_status_is((call), (status), #call, __FILE__, __LINE__)

void hkt_status_is(hk_status got, hk_status wanted, const char *call, const char *file, int line);

/* A thread of the scenario. */
struct hkt_actor {
    pthread_t thread;
};

struct hkt_actor hkt_act(void (*fn)(void *arg), void *arg);
void hkt_await(struct hkt_actor actor);

/* A pool of threads with these options. */
hk_executor *hkt_pool(hk_executor_options options);

/* Ends it, and looks at its counters: as many tasks ended as were accepted. */
void hkt_pool_end(hk_executor *executor);

/* Submits an int; it must be accepted. */
hk_future *hkt_give(hk_executor *executor, const hk_task *task, int value);

/* Waits without end, for this status, and gives the reference back; the value: an int. */
void hkt_ends(hk_future *future, hk_status status);
void hkt_gives(hk_future *future, int value);

/* How many of the tasks below have begun. */
extern int hkt_begun;

HK_TASK_DECLARE(hkt_double);  /* int -> twice as much. */
HK_TASK_DECLARE(hkt_waits);   /* Until it is asked to stop; then it ends cancelled. */
HK_TASK_DECLARE(hkt_refuses); /* Fails with code 7. */

#endif
