/* SPDX-License-Identifier: MIT */
/* A program outside the tree: one task, on the executor that the command line
 * names. Written in what C and C++ share, and compiled as both. */
#include <stdio.h>
#include <string.h>

#include <hocket/hocket.h>

HK_TASK(square)
{
    int number;

    if (in_size != sizeof(number)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(number), in_size);
    }
    memcpy(&number, in, sizeof(number));
    number *= number;
    return hk_return(call, &number, sizeof(number));
}

static int use(hk_executor *executor)
{
    const void *value = NULL;
    hk_future *future = NULL;
    hk_status status;
    size_t size = 0;
    int number = 12;

    status = hk_submit(executor, square, &number, sizeof(number), NULL, &future);
    if (status != HK_OK) {
        fprintf(stderr, "submit: %s\n", hk_strerror(status));
        return 1;
    }
    status = hk_future_result(future, HK_SEC(60), &value, &size);
    if (status == HK_OK && size == sizeof(number)) {
        memcpy(&number, value, sizeof(number));
        printf("hocket %s: 12 squared is %d\n", hk_version(), number);
    } else {
        fprintf(stderr, "result: %s\n", hk_future_why(future));
    }
    hk_future_unref(future);
    return status == HK_OK && number == 144 ? 0 : 1;
}

int main(int argc, char **argv)
{
    hk_executor *executor = NULL;
    hk_status status = hk_executor_open(argc > 1 ? argv[1] : "threads:2", &executor);
    int exit_status;

    if (status != HK_OK) {
        fprintf(stderr, "open: %s\n", hk_strerror(status));
        return 1;
    }
    exit_status = use(executor);
    status = hk_executor_destroy(executor);
    return status == HK_OK ? exit_status : 1;
}
