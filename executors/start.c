/* SPDX-License-Identifier: MIT */
#include "executors/start.h"

#include <stdio.h>

#include "base/time.h"
#include "sync/block.h"

static enum hki_wait_kind look(void *object, size_t *count)
{
    const hk_executor *executor = object;

    *count = 0;
    return executor->traits->look_at_start == NULL
               ? HKI_WAIT_MOVES
               : executor->traits->look_at_start(executor->self, count);
}

static struct hki_wait_node next(void *object, size_t i)
{
    const hk_executor *executor = object;

    return executor->traits->next_of_start(executor->self, i);
}

static void describe(void *object, char *text, size_t size)
{
    snprintf(text, size, "the start of executor %s", ((const hk_executor *)object)->name);
}

hk_status hki_start_await(hk_executor *executor, pthread_mutex_t *lock,
                          struct hki_condition *changed, bool (*has_started)(const void *self),
                          int64_t deadline_ns)
{
    static const struct hki_wait_ops ops = {
        .look = look, .next = next, .describe = describe, .verb = "held up by"};
    struct hki_agent *agent = hki_agent_self();
    hk_status status =
        hki_block_begin(agent, (struct hki_wait_node){&ops, executor}, deadline_ns != HKI_NEVER);
    bool in_time = true;

    if (status != HK_OK) {
        return status;
    }
    pthread_mutex_lock(lock);
    while (!has_started(executor->self) && in_time) {
        in_time = hki_condition_wait(changed, lock, deadline_ns);
    }
    status = has_started(executor->self) ? HK_OK : HK_ETIMEDOUT;
    pthread_mutex_unlock(lock);
    hki_block_end(agent);
    return status;
}
