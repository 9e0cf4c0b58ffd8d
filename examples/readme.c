/* SPDX-License-Identifier: MIT */
#include <hocket/hocket.h>

#include <stdio.h>

HK_TASK(count_errors) /* a named task: the same one runs on every executor */
{
    const char *text = in;
    long errors = 0;
    if (in_size == 0)
        return hk_fail(call, 1, "there is nothing to count in");
    for (size_t i = 0; i < in_size; i++)
        errors += text[i] == 'E';
    return hk_return(call, &errors, sizeof errors);
}

int main(int argc, char **argv)
{
    static const char log[] = "I I E I E E W I";
    hk_executor *executor;
    hk_future *good, *bad;
    const void *count;
    if (hk_executor_open(argc > 1 ? argv[1] : "threads", &executor) != HK_OK) /* where to run */
        return 2;
    if (hk_submit(executor, count_errors, log, sizeof log, NULL, &good) != HK_OK ||
        hk_submit(executor, count_errors, NULL, 0, NULL, &bad) != HK_OK)
        return 1;
    if (hk_future_result(good, HK_SEC(5), &count, NULL) == HK_OK)
        printf("%ld errors\n", *(const long *)count);
    if (hk_future_result(bad, HK_SEC(5), NULL, NULL) != HK_OK)
        printf("%s\n", hk_future_why(bad));
    hk_future_unref(good);
    hk_future_unref(bad);
    return hk_executor_destroy(executor) != HK_OK;
}
