/* SPDX-License-Identifier: MIT */
/* A shared object with executors and tasks, for test_misuse_unload.c: with the library inside, or
 * with the shared library behind it. */
#include <hocket/hocket.h>

#include "tests/plugin_pool.h"

HK_TASK(plugin_task)
{
    return hk_return(call, in, in_size);
}

HK_TASK(plugin_waits)
{
    return hk_sleep(call, HK_FOREVER);
}

static hk_status echo(hk_executor *executor)
{
    hk_future *future = NULL;
    hk_submit_options limits = {.timeout = HK_SEC(60)};
    hk_status status = hk_submit(executor, plugin_task, "echo", 5, &limits, &future);

    if (status == HK_OK) {
        status = hk_future_result(future, HK_FOREVER, NULL, NULL);
        hk_future_unref(future);
    }
    return status;
}

static bool says_nothing_of_it(hk_executor *executor)
{
    return hk_submit(executor, plugin_waits, NULL, 0, NULL, NULL) == HK_OK;
}

__attribute__((visibility("default"))) int plugin_use(const char *spec, int leaves_open)
{
    hk_executor *executor = NULL;
    hk_status status = hk_executor_open(spec, &executor);

    for (int i = 0; i < 20 && status == HK_OK; i++) {
        status = echo(executor);
    }
    if (status != HK_OK) {
        return status;
    }
    if (leaves_open) {
        return says_nothing_of_it(executor) ? HK_OK : HK_EFAILED;
    }
    return hk_executor_destroy(executor);
}
