/* SPDX-License-Identifier: MIT */
/* Futures made from futures: a step for success, one for failure, and a group. */
#include <hocket/hocket.h>

#include <stdio.h>

/* [task] */
HK_TASK(divide)
{
    const int *pair = in;
    int quotient;

    (void)in_size;
    if (pair[1] == 0) {
        return hk_fail(call, 33, "%d cannot be divided by 0", pair[0]);
    }
    quotient = pair[0] / pair[1];
    return hk_return(call, &quotient, sizeof(quotient));
}
/* [task] */

/* [steps] */
/* Runs only when the source ended with a value. */
static hk_status add_one(hk_future *source, hk_promise *result, void *arg)
{
    const void *value;
    int number;
    hk_status status = hk_future_result(source, 0, &value, NULL);

    (void)arg;
    if (status != HK_OK) {
        return status;
    }
    number = *(const int *)value + 1;
    return hk_promise_set(result, &number, sizeof(number));
}

/* Runs only when the source failed: its error becomes a value. */
static hk_status use_instead(hk_future *source, hk_promise *result, void *arg)
{
    printf("%s\n", hk_future_why(source));
    return hk_promise_set(result, arg, sizeof(int));
}
/* [steps] */

/* [chain] */
/* divide, then add one; -1 if either fails. */
static hk_status begin(hk_executor *executor, const int pair[2], hk_future **out)
{
    static int instead = -1;
    hk_future *quotient = NULL;
    hk_future *sum = NULL;
    hk_status status = hk_submit(executor, divide, pair, 2 * sizeof(int), NULL, &quotient);

    if (status == HK_OK) {
        status = hk_then(quotient, NULL, add_one, NULL, &sum);
    }
    if (status == HK_OK) {
        status = hk_catch(sum, NULL, use_instead, &instead, out);
    }
    hk_future_unref(sum); /* A chain keeps what it is made from. */
    hk_future_unref(quotient);
    return status;
}
/* [chain] */

static int value_of(hk_future *future)
{
    const void *value;

    return hk_future_result(future, HK_FOREVER, &value, NULL) == HK_OK ? *(const int *)value : -2;
}

int main(int argc, char **argv)
{
    static const int good[2] = {41, 1};
    static const int bad[2] = {41, 0};
    hk_future *futures[2] = {NULL, NULL};
    hk_future *both = NULL;
    hk_executor *executor;
    int failed = 1;

    if (hk_executor_open(argc > 1 ? argv[1] : "threads", &executor) != HK_OK) {
        return 2;
    }
    if (begin(executor, good, &futures[0]) == HK_OK && begin(executor, bad, &futures[1]) == HK_OK &&
        hk_when_all(futures, 2, &both) == HK_OK && hk_future_wait(both, HK_FOREVER) == HK_OK) {
        printf("%d and %d\n", value_of(futures[0]), value_of(futures[1]));
        failed = value_of(futures[0]) != 42 || value_of(futures[1]) != -1;
    }
    hk_future_unref(both);
    hk_future_unref(futures[0]);
    hk_future_unref(futures[1]);
    return hk_executor_destroy(executor) != HK_OK || failed;
}
