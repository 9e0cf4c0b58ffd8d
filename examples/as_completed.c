/* SPDX-License-Identifier: MIT */
/* Futures in the order in which they end, in an event loop of poll(): the
 * descriptor of a completion queue is one among others. */
#include <hocket/hocket.h>

#include <poll.h>
#include <stdio.h>

enum { COUNT = 5 };

HK_TASK(cube)
{
    const int *number = in;
    long result = (long)*number * *number * *number;

    (void)in_size;
    return hk_return(call, &result, sizeof(result));
}

/* [deliver] */
/* Takes all that is ready; true when nothing more will come. */
static bool deliver(hk_completion *completion, long *sum)
{
    hk_future *future;
    uintptr_t place; /* Its first place in the array. */
    hk_status status;

    while ((status = hk_completion_next(completion, 0, &future, &place)) == HK_OK) {
        const void *value;

        if (hk_future_result(future, 0, &value, NULL) == HK_OK) {
            *sum += *(const long *)value;
        }
        hk_future_unref(future);
    }
    return status == HK_EDONE; /* HK_ETIMEDOUT: nothing ready now. */
}
/* [deliver] */

/* [loop] */
static int serve(hk_completion *completion, long *sum)
{
    struct pollfd wanted = {.events = POLLIN};

    if (hk_completion_fd(completion, &wanted.fd) != HK_OK) {
        return 1;
    }
    while (!deliver(completion, sum)) {
        if (poll(&wanted, 1, -1) < 0) {
            return 1;
        }
    }
    return 0;
}
/* [loop] */

int main(int argc, char **argv)
{
    int numbers[COUNT] = {1, 2, 3, 4, 5};
    hk_future *futures[COUNT];
    hk_executor *executor;
    hk_completion *completion;
    long sum = 0;
    int failed = 1;

    if (hk_executor_open(argc > 1 ? argv[1] : "threads", &executor) != HK_OK) {
        return 2;
    }
    if (hk_submit_many(executor, cube, numbers, COUNT, sizeof(numbers[0]), NULL, futures, NULL) ==
            HK_OK &&
        hk_as_completed(futures, COUNT, HK_FOREVER, &completion) == HK_OK) {
        failed = serve(completion, &sum);
        hk_completion_destroy(completion);
    }
    for (int i = 0; i < COUNT; i++) {
        hk_future_unref(futures[i]); /* NULL where none was accepted: allowed. */
    }
    printf("the cubes of 1 to %d add up to %ld\n", COUNT, sum);
    return hk_executor_destroy(executor) != HK_OK || failed || sum != 225;
}
