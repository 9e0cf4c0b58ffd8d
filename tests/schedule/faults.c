/* SPDX-License-Identifier: MIT */
/*
 * Steps of the library that a fault leaves out. The linker turns the calls that one file of it
 * makes into another to these (--wrap, see CMakeLists.txt).
 */
#include <hocket/hocket.h>

#include "executors/executor_impl.h"
#include "executors/thread_pool_impl.h"
#include "executors/timer.h"
#include "sync/wait_graph.h"
#include "tests/schedule/machine.h"

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
void __real_hki_pool_abandon(struct thread_pool *pool, struct taken *taken);
void __wrap_hki_pool_abandon(struct thread_pool *pool, struct taken *taken);
void __real_hki_pool_grow(struct thread_pool *pool);
void __wrap_hki_pool_grow(struct thread_pool *pool);
void __real_hki_executor_wake_joins(void);
void __wrap_hki_executor_wake_joins(void);
void __real_hki_pool_alert(struct thread_pool *pool);
void __wrap_hki_pool_alert(struct thread_pool *pool);
void __real_hki_wait_graph_settle(void);
void __wrap_hki_wait_graph_settle(void);
bool __real_hki_timer_disarm(struct hki_timer *timer);
bool __wrap_hki_timer_disarm(struct hki_timer *timer);

void __wrap_hki_pool_abandon(struct thread_pool *pool, struct taken *taken)
{
    if (hkt_has_fault(HKT_FORGETS_LATE)) {
        hki_list_init(&taken->queued);
        taken->others = NULL;
        return;
    }
    __real_hki_pool_abandon(pool, taken);
}

void __wrap_hki_pool_grow(struct thread_pool *pool)
{
    if (!hkt_has_fault(HKT_FORGETS_LATE)) {
        __real_hki_pool_grow(pool);
    }
}

void __wrap_hki_executor_wake_joins(void)
{
    if (!hkt_has_fault(HKT_FORGETS_JOINS)) {
        __real_hki_executor_wake_joins();
    }
}

void __wrap_hki_pool_alert(struct thread_pool *pool)
{
    if (!hkt_has_fault(HKT_FORGETS_ALERTS)) {
        __real_hki_pool_alert(pool);
    }
}

void __wrap_hki_wait_graph_settle(void)
{
    if (!hkt_has_fault(HKT_FREES_TOO_SOON)) {
        __real_hki_wait_graph_settle();
    }
}

bool __wrap_hki_timer_disarm(struct hki_timer *timer)
{
    return hkt_has_fault(HKT_DISARMS_NOTHING) || __real_hki_timer_disarm(timer);
}
/* NOLINTEND(bugprone-reserved-identifier) */
