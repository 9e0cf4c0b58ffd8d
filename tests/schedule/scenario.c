/* SPDX-License-Identifier: MIT */
#include "tests/schedule/scenario.h"

#include <stdlib.h>
#include <string.h>

#include "tests/schedule/point.h"

int hkt_begun;

void hkt_status_is(hk_status got, hk_status wanted, const char *call, const char *file, int line)
{
    const char *name = strrchr(file, '/');

    if (got != wanted) {
        hkt_fail("%s:%d: %s is %s, not %s", name == NULL ? file : name + 1, line, call,
                 hk_status_name(got), hk_status_name(wanted));
    }
}

/* --- threads --- */

struct part {
    void (*fn)(void *);
    void *arg;
};

static void *act(void *arg)
{
    struct part part = *(struct part *)arg;

    free(arg);
    part.fn(part.arg);
    return NULL;
}

struct hkt_actor hkt_act(void (*fn)(void *arg), void *arg)
{
    struct part *part = malloc(sizeof(*part));
    struct hkt_actor actor;

    HKT_MUST(part != NULL);
    *part = (struct part){fn, arg};
    HKT_MUST(hkt_thread_create(&actor.thread, NULL, act, part, HKT_SITE) == 0);
    return actor;
}

void hkt_await(struct hkt_actor actor)
{
    HKT_MUST(hkt_thread_join(actor.thread, NULL, HKT_SITE) == 0);
}

/* --- executors --- */

hk_executor *hkt_pool(hk_executor_options options)
{
    hk_executor *executor = NULL;

    HKT_IS(hk_thread_pool_create(&options, &executor), HK_OK);
    return executor;
}

void hkt_pool_end(hk_executor *executor)
{
    hk_executor_statistics statistics;

    HKT_IS(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_OK);
    HKT_IS(hk_executor_stats(executor, &statistics), HK_OK);
    HKT_MUST(statistics.submitted == statistics.done + statistics.failed + statistics.cancelled);
    HKT_MUST(statistics.queued == 0 && statistics.running == 0 && statistics.workers == 0);
    HKT_IS(hk_executor_destroy(executor), HK_OK);
}

hk_future *hkt_give(hk_executor *executor, const hk_task *task, int value)
{
    hk_future *future = NULL;

    HKT_IS(hk_submit(executor, task, &value, sizeof(value), NULL, &future), HK_OK);
    return future;
}

/* --- futures --- */

void hkt_ends(hk_future *future, hk_status status)
{
    const void *value;

    HKT_IS(hk_future_result(future, HK_FOREVER, &value, NULL), status);
    hk_future_unref(future);
}

void hkt_gives(hk_future *future, int value)
{
    const void *got = NULL;
    size_t size = 0;

    HKT_IS(hk_future_result(future, HK_FOREVER, &got, &size), HK_OK);
    HKT_MUST(size == sizeof(value) && *(const int *)got == value);
    hk_future_unref(future);
}

/* --- tasks --- */

HK_TASK(hkt_double)
{
    int value;

    memcpy(&value, in, sizeof(value));
    value *= 2;
    hkt_begun++;
    return hk_return(call, &value, sizeof(value));
}

HK_TASK(hkt_waits)
{
    hkt_begun++;
    while (hk_sleep(call, HK_SEC(1000)) == HK_OK) {
    }
    return HK_ECANCELED;
}

HK_TASK(hkt_refuses)
{
    hkt_begun++;
    return hk_fail(call, 7, "no luck");
}
