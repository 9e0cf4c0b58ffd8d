/* SPDX-License-Identifier: MIT */
/* The longest of many hailstone sequences, some of which are a hundred times as long as others. */
#include <hocket/hocket.h>

#include <stdint.h>
#include <stdio.h>

enum { COUNT = 100000 };

/* [body] */
static hk_status count_steps(hk_range *range, size_t begin, size_t end, void *context)
{
    unsigned *steps = context;

    (void)range;
    for (size_t start = begin; start < end; start++) {
        steps[start] = 0;
        for (uint64_t n = start; n > 1; n = n % 2 == 0 ? n / 2 : 3 * n + 1) {
            steps[start]++;
        }
    }
    return HK_OK;
}
/* [body] */

int main(int argc, char **argv)
{
    static unsigned steps[COUNT];
    size_t longest = 0;
    hk_executor *executor;
    hk_range range;
    hk_status status;

    if (hk_executor_open(argc > 1 ? argv[1] : "threads", &executor) != HK_OK) {
        return 2;
    }
    /* [call] */
    status = hk_parallel_for(&range, executor, 1, COUNT, count_steps, steps, NULL);
    /* [call] */
    for (size_t i = 1; i < COUNT; i++) {
        longest = steps[i] > steps[longest] ? i : longest;
    }
    printf("%zu takes %u steps\n", longest, steps[longest]);
    if (hk_executor_destroy(executor) != HK_OK || status != HK_OK) {
        return 1;
    }
    return longest == 77031 && steps[longest] == 350 ? 0 : 1;
}
