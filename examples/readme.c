/* SPDX-License-Identifier: MIT */
#include <hocket/hocket.h>

#include <stdio.h>

HK_TASK(count_errors) /* a named task: the same one runs on every executor */
{
    const char *text = in;
    long errors = 0;

    if (in_size == 0) {
        return hk_fail(call, 1, "there is nothing to count in");
    }
    for (size_t i = 0; i < in_size; i++) {
        errors += text[i] == 'E';
    }
    return hk_return(call, &errors, sizeof errors);
}

static void show(hk_future *future)
{
    const void *count;

    if (hk_future_result(future, HK_SEC(5), &count, NULL) == HK_OK) {
        printf("%ld errors\n", *(const long *)count);
    } else {
        printf("%s\n", hk_future_why(future));
    }
    hk_future_unref(future);
}

int main(int argc, char **argv)
{
    static const char log[] = "I I E I E E W I";
    hk_executor *executor;
    hk_future *counted, *failed;

    /* The one line that decides where tasks run. */
    if (hk_executor_open(argc > 1 ? argv[1] : "threads", &executor) != HK_OK) {
        return 2;
    }
    if (hk_submit(executor, count_errors, log, sizeof log, NULL, &counted) != HK_OK ||
        hk_submit(executor, count_errors, NULL, 0, NULL, &failed) != HK_OK) {
        return 1;
    }
    show(counted);
    show(failed);
    return hk_executor_destroy(executor) != HK_OK;
}
