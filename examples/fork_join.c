/* SPDX-License-Identifier: MIT */
/* Sorts by splitting: each half may be sorted by another worker. */
#include <hocket/hocket.h>

#include <stdio.h>
#include <string.h>

enum { FEW = 64, COUNT = 100000 };

/* [sort] */
struct part {
    int *items;
    int *room; /* As many. */
    size_t count;
};

static void sort_few(struct part *part)
{
    for (size_t i = 1; i < part->count; i++) {
        int item = part->items[i];
        size_t at = i;

        for (; at > 0 && part->items[at - 1] > item; at--) {
            part->items[at] = part->items[at - 1];
        }
        part->items[at] = item;
    }
}

static void merge(struct part *part, size_t half)
{
    size_t left = 0;
    size_t right = half;

    for (size_t i = 0; i < part->count; i++) {
        bool takes_left =
            right == part->count || (left < half && part->items[left] <= part->items[right]);

        part->room[i] = part->items[takes_left ? left++ : right++];
    }
    memcpy(part->items, part->room, part->count * sizeof(int));
}

static hk_status sort_part(hk_scope *scope, void *arg)
{
    struct part *part = arg;
    size_t half = part->count / 2;
    struct part left = {part->items, part->room, half};
    struct part right = {part->items + half, part->room + half, part->count - half};
    hk_forked forked;
    hk_status status;

    if (part->count <= FEW) {
        sort_few(part);
        return HK_OK;
    }
    hk_fork(scope, &forked, sort_part, &left); /* Here, or on an idle worker. */
    status = sort_part(scope, &right);
    if (hk_join(scope, &forked) != HK_OK || status != HK_OK) {
        return HK_EFAILED;
    }
    merge(part, half);
    return HK_OK;
}

HK_TASK(sort)
{
    struct part *part = (struct part *)(uintptr_t)in;
    hk_scope scope;
    hk_status status = hk_scope_begin(&scope, call);

    (void)in_size;
    if (status == HK_OK) {
        status = sort_part(&scope, part);
        hk_scope_end(&scope);
    }
    return status;
}
/* [sort] */

int main(void)
{
    static int items[COUNT];
    static int room[COUNT];
    struct part all = {items, room, COUNT};
    unsigned random = 1;
    hk_executor *executor;
    hk_future *future;
    hk_status status;

    for (size_t i = 0; i < COUNT; i++) {
        random = random * 1664525U + 1013904223U;
        items[i] = (int)(random >> 8);
    }
    if (hk_thread_pool_create(NULL, &executor) != HK_OK) {
        return 1;
    }
    status = hk_submit_ref(executor, sort, &all, NULL, NULL, &future);
    if (status == HK_OK) {
        status = hk_future_result(future, HK_FOREVER, NULL, NULL);
        hk_future_unref(future);
    }
    hk_executor_destroy(executor);
    for (size_t i = 1; i < COUNT && status == HK_OK; i++) {
        status = items[i - 1] <= items[i] ? HK_OK : HK_EFAILED;
    }
    printf("%s\n", status == HK_OK ? "sorted" : hk_strerror(status));
    return status == HK_OK ? 0 : 1;
}
