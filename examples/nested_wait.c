/* SPDX-License-Identifier: MIT */
/* Waits inside tasks: one that a pool of a single worker can serve, and a pair
 * that nobody can. */
#include <hocket/hocket.h>

#include <stdio.h>

/* [sum] */
/* Adds up what its two halves add up to, on however few workers. */
HK_TASK(sum)
{
    const int *numbers = in;
    size_t count = in_size / sizeof(int);
    size_t half = count / 2 * sizeof(int);
    hk_future *left;
    const void *value;
    hk_status status;
    int total = count == 0 ? 0 : numbers[0];

    if (count > 1) {
        status = hk_submit(hk_call_executor(call), sum, in, half, NULL, &left);
        if (status != HK_OK) {
            return status;
        }
        status = hk_future_result(left, HK_FOREVER, &value, NULL);
        total = status == HK_OK ? *(const int *)value : 0;
        hk_future_unref(left);
        for (size_t i = count / 2; i < count; i++) {
            total += numbers[i];
        }
        if (status != HK_OK) {
            return status;
        }
    }
    return hk_return(call, &total, sizeof(total));
}
/* [sum] */

/* [ring] */
struct ring {
    hk_future *own;
};

/* Waits for a promise that follows this very task. */
HK_TASK(wait_for_myself)
{
    const struct ring *ring = in;
    hk_status status;

    (void)in_size;
    status = hk_future_wait(ring->own, HK_FOREVER);
    return hk_return(call, &status, sizeof(status));
}
/* [ring] */

static int run_sum(hk_executor *executor)
{
    static const int numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    hk_future *future;
    const void *value;
    int failed = 1;

    if (hk_submit(executor, sum, numbers, sizeof(numbers), NULL, &future) != HK_OK) {
        return 1;
    }
    if (hk_future_result(future, HK_FOREVER, &value, NULL) == HK_OK) {
        printf("the sum is %d\n", *(const int *)value);
        failed = *(const int *)value != 55;
    }
    hk_future_unref(future);
    return failed;
}

static int run_ring(hk_executor *executor)
{
    hk_promise *promise;
    struct ring ring;
    hk_future *future;
    const void *value;
    int failed = 1;

    if (hk_promise_create(&promise, &ring.own) != HK_OK) {
        return 1;
    }
    if (hk_submit(executor, wait_for_myself, &ring, sizeof(ring), NULL, &future) == HK_OK) {
        /* Whoever comes second closes the ring, and is told so. */
        hk_status followed = hk_promise_follow(promise, future);

        if (followed == HK_EDEADLK) {
            (void)hk_promise_fail(promise, 1, "a ring");
        }
        if (hk_future_result(future, HK_FOREVER, &value, NULL) == HK_OK) {
            failed = followed != HK_EDEADLK && *(const hk_status *)value != HK_EDEADLK;
        }
        hk_future_unref(future);
    }
    hk_promise_destroy(promise);
    (void)hk_future_why(ring.own); /* Counts as read, if it failed. */
    hk_future_unref(ring.own);
    return failed;
}

int main(void)
{
    hk_executor *executor;
    int failed;

    if (hk_executor_open("threads:1?name=demo", &executor) != HK_OK) {
        return 2;
    }
    failed = run_sum(executor) + run_ring(executor);
    return hk_executor_destroy(executor) != HK_OK || failed != 0;
}
