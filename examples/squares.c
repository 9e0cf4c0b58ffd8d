/* SPDX-License-Identifier: MIT */
/* A task over many items: lazily, in order, one result at a time; and reduced. */
#include <hocket/hocket.h>

#include <stdio.h>

HK_TASK(square)
{
    const long *number = in;
    long result = *number * *number;

    (void)in_size;
    if (*number == 3) {
        return hk_fail(call, 1, "nobody squares 3");
    }
    return hk_return(call, &result, sizeof(result));
}

/* [source] */
/* 1, 2, 3 and so on, for ever: pulled only when the window has room. */
static hk_status count_up(void *state, hk_map_input *input)
{
    long *number = state;

    ++*number;
    *input = (hk_map_input){.data = number, .size = sizeof(*number)}; /* Copied at once. */
    return HK_OK;
}
/* [source] */

/* [map] */
static int first_five(hk_executor *executor)
{
    long number = 0;
    hk_map_iterator *it;
    hk_map_item item;
    int bad = 0;

    if (hk_map(executor, square, count_up, &number, NULL, &it) != HK_OK) {
        return 1;
    }
    for (int i = 0; i < 5 && hk_map_next(it, HK_FOREVER, &item) == HK_OK; i++) {
        if (item.status == HK_OK) {
            printf("%ld ", *(const long *)item.data);
        } else {
            printf("(%s) ", item.error == NULL ? "cancelled" : item.error->message);
            bad++;
        }
        hk_map_item_drop(&item);
    }
    printf("\n");
    hk_map_destroy(it); /* Cancels what was sent ahead. */
    return bad != 1;
}
/* [map] */

/* [reduce] */
static hk_status add_up(void *accumulator, const hk_map_item *item)
{
    if (item->status == HK_OK) {
        *(long *)accumulator += *(const long *)item->data;
    }
    return HK_OK; /* Anything else ends the map with that status. */
}

static int sum_of_squares(hk_executor *executor)
{
    static const long numbers[] = {1, 2, 4, 5};
    hk_array_source source = {numbers, 4, sizeof(numbers[0]), 0};
    hk_map_options options = {.unordered = true, .count = 4};
    long sum = 0;

    if (hk_map_reduce(executor, square, hk_array_source_next, &source, add_up, &sum, &options) !=
        HK_OK) {
        return 1;
    }
    printf("the squares add up to %ld\n", sum);
    return sum != 46;
}
/* [reduce] */

int main(int argc, char **argv)
{
    hk_executor *executor;
    int failed;

    if (hk_executor_open(argc > 1 ? argv[1] : "threads", &executor) != HK_OK) {
        return 2;
    }
    failed = first_five(executor) + sum_of_squares(executor);
    return hk_executor_destroy(executor) != HK_OK || failed != 0;
}
