/* SPDX-License-Identifier: MIT */
/* Two ways to stop a task: a limit in time, and a token that somebody fires. */
#include <hocket/hocket.h>

#include <stdio.h>

/* [heed] */
HK_TASK(patient)
{
    (void)in;
    (void)in_size;
    /* hk_sleep() ends early when the task should stop; a loop that computes asks
     * hk_should_stop(), one that polls adds the descriptor of hk_call_stop_fd(). */
    return hk_sleep(call, HK_SEC(3600));
}
/* [heed] */

static hk_status show(const char *what, hk_future *future)
{
    hk_status status = hk_future_result(future, HK_FOREVER, NULL, NULL);

    printf("%s: %s: %s\n", what, hk_status_name(status), hk_future_why(future));
    hk_future_unref(future);
    return status;
}

/* [limit] */
static int run_out(hk_executor *executor)
{
    hk_submit_options options = {.timeout = HK_MS(20), .label = "nightly"};
    hk_future *future;

    if (hk_submit(executor, patient, NULL, 0, &options, &future) != HK_OK) {
        return 1;
    }
    return show("a limit", future) != HK_EDEADLINE;
}
/* [limit] */

/* [token] */
static int fire(hk_executor *executor)
{
    hk_cancel_token *request;
    hk_future *future;
    int failed = 1;

    if (hk_cancel_token_create(NULL, &request) != HK_OK) {
        return 1;
    }
    if (hk_submit(executor, patient, NULL, 0, &(hk_submit_options){.token = request}, &future) ==
        HK_OK) {
        hk_cancel_token_fire(request, "the client has gone");
        failed = show("a token", future) != HK_ECANCELED;
    }
    hk_cancel_token_unref(request);
    return failed;
}
/* [token] */

int main(void)
{
    hk_executor *executor;
    int failed;

    if (hk_executor_open("threads:2", &executor) != HK_OK) {
        return 2;
    }
    failed = run_out(executor) + fire(executor);
    return hk_executor_destroy(executor) != HK_OK || failed != 0;
}
