/* SPDX-License-Identifier: MIT */
/* Tasks: submits, nested waits, forks, loops, maps, cancels, limits. */
#include <string.h>

#include "tests/soak/soak.h"

enum { MANY = 64, FEW = 8, TREE = 5, RANGE = 5000 };

static void wait_in_turn(hk_future **futures, size_t count)
{
    bool done[MANY] = {false};
    size_t ended = 0;

    SOAK_EXPECT(hk_wait(futures, count, HK_FIRST_COMPLETED, HK_FOREVER, done, &ended) == HK_OK);
    SOAK_EXPECT(ended >= 1 && ended <= count);
    SOAK_EXPECT(hk_wait(futures, count, HK_ALL_COMPLETED, HK_FOREVER, done, &ended) == HK_OK);
    SOAK_EXPECT(ended == count);
}

void soak_piece_submits(struct soak_actor *actor)
{
    hk_executor *executor = soak_any_executor(actor);
    hk_future *futures[MANY];
    struct soak_number numbers[MANY];
    size_t count = 1 + soak_draw(actor, MANY);
    uint32_t first = soak_draw(actor, 1000000);
    size_t accepted = 0;

    if (soak_draw(actor, 3) == 0) {
        for (size_t i = 0; i < count; i++) {
            numbers[i] = (struct soak_number){first + (uint32_t)i, 0};
        }
        SOAK_EXPECT(hk_submit_many(executor, soak_mix, numbers, count, sizeof(numbers[0]), NULL,
                                   futures, &accepted) == HK_OK);
        SOAK_EXPECT(accepted == count);
        soak_count(SOAK_TASKS, (int64_t)count);
    } else {
        soak_submit_mixes(actor, executor, first, futures, count);
    }
    if (soak_draw(actor, 2) == 0) {
        wait_in_turn(futures, count);
    }
    for (size_t i = 0; i < count; i++) {
        soak_expect_mixed(futures[i], first + (uint32_t)i);
    }
}

/* --- Tasks that wait for tasks --- */

HK_TASK_DECLARE(soak_tree);

static hk_status submit_branch(hk_call *call, uint32_t depth, hk_future **future)
{
    return hk_submit(hk_call_executor(call), soak_tree, &depth, sizeof(depth), NULL, future);
}

HK_TASK(soak_tree)
{
    hk_future *branches[2] = {NULL, NULL};
    uint32_t leaves = 1;
    uint32_t depth;
    hk_status status = HK_OK;

    memcpy(&depth, in, in_size);
    if (depth > 0) {
        leaves = 0;
        for (int i = 0; i < 2 && status == HK_OK; i++) {
            status = submit_branch(call, depth - 1, &branches[i]);
        }
        for (int i = 0; i < 2; i++) {
            const void *value;

            if (status == HK_OK) {
                status = hk_future_result(branches[i], HK_FOREVER, &value, NULL);
                leaves += status == HK_OK ? *(const uint32_t *)value : 0;
            }
            hk_future_unref(branches[i]);
        }
    }
    return status == HK_OK ? hk_return(call, &leaves, sizeof(leaves)) : status;
}

void soak_piece_nested(struct soak_actor *actor)
{
    hk_executor *executor = soak_draw(actor, 3) == 0   ? actor->pools->processes
                            : soak_draw(actor, 2) == 0 ? actor->pools->narrow
                                                       : actor->pools->threads;
    uint32_t depth = soak_draw(actor, TREE) + 1;
    hk_future *future = NULL;
    const void *value = NULL;

    SOAK_EXPECT(hk_submit(executor, soak_tree, &depth, sizeof(depth), NULL, &future) == HK_OK);
    if (SOAK_EXPECT(hk_future_result(future, HK_FOREVER, &value, NULL) == HK_OK)) {
        SOAK_EXPECT(*(const uint32_t *)value == 1U << depth);
    }
    hk_future_unref(future);
    soak_count(SOAK_TASKS, (2 << depth) - 1);
}

/* --- Forks --- */

struct fibonacci {
    uint32_t number;
    uint32_t value;
};

static hk_status fibonacci(hk_scope *scope, void *arg)
{
    struct fibonacci *wanted = arg;
    struct fibonacci one = {wanted->number - 1, 0};
    struct fibonacci other = {wanted->number - 2, 0};
    hk_forked record;
    hk_status status;

    if (wanted->number < 2) {
        wanted->value = wanted->number;
        return HK_OK;
    }
    status = hk_fork(scope, &record, fibonacci, &one);
    if (status == HK_OK) {
        status = fibonacci(scope, &other);
        if (hk_join(scope, &record) != HK_OK) {
            status = HK_EFAILED;
        }
    }
    wanted->value = one.value + other.value;
    return status;
}

HK_TASK(soak_fibonacci)
{
    struct fibonacci wanted = {0, 0};
    hk_scope scope;
    hk_status status = hk_scope_begin(&scope, call);

    memcpy(&wanted.number, in, in_size);
    if (status == HK_OK) {
        status = fibonacci(&scope, &wanted);
        if (hk_scope_end(&scope) != HK_OK) {
            status = HK_EFAILED;
        }
    }
    return status == HK_OK ? hk_return(call, &wanted.value, sizeof(wanted.value)) : status;
}

void soak_piece_forks(struct soak_actor *actor)
{
    static const uint32_t values[] = {0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610};
    uint32_t number = soak_draw(actor, sizeof(values) / sizeof(values[0]));
    hk_future *future = NULL;
    const void *value = NULL;

    SOAK_EXPECT(hk_submit(soak_any_executor(actor), soak_fibonacci, &number, sizeof(number), NULL,
                          &future) == HK_OK);
    if (SOAK_EXPECT(hk_future_result(future, HK_FOREVER, &value, NULL) == HK_OK)) {
        SOAK_EXPECT(*(const uint32_t *)value == values[number]);
    }
    hk_future_unref(future);
    soak_count(SOAK_TASKS, 1);
    soak_count(SOAK_FORKS, values[number]);
}

/* --- Loops --- */

static hk_status mix_some(hk_range *range, size_t begin, size_t end, void *context)
{
    uint32_t *numbers = context;

    (void)range;
    for (size_t i = begin; i < end; i++) {
        numbers[i] += soak_mixed((uint32_t)i);
    }
    return HK_OK;
}

void soak_piece_ranges(struct soak_actor *actor)
{
    hk_executor *executor = soak_any_sharing(actor);
    uint32_t numbers[RANGE] = {0};
    uint32_t count = soak_draw(actor, RANGE) + 1;
    const hk_range_options options = {.grain = soak_draw(actor, 100) + 1, .limit = HK_SEC(600)};
    hk_range range;

    SOAK_EXPECT(hk_parallel_for(&range, executor, 0, count, mix_some, numbers,
                                soak_draw(actor, 2) == 0 ? &options : NULL) == HK_OK);
    for (uint32_t i = 0; i < RANGE; i++) {
        SOAK_EXPECT(numbers[i] == (i < count ? soak_mixed(i) : 0));
    }
    soak_count(SOAK_TURNS, count);
}

/* --- Maps --- */

/* Every so many an item fails. */
enum { FAILS_EACH = 37 };

HK_TASK(soak_map)
{
    uint32_t number;

    memcpy(&number, in, in_size);
    if (number % FAILS_EACH == 0) {
        return hk_fail(call, (int)number, "an item that fails");
    }
    number = soak_mixed(number);
    return hk_return(call, &number, sizeof(number));
}

static void expect_item(const hk_map_item *item)
{
    uint32_t number = (uint32_t)item->index;

    if (number % FAILS_EACH == 0) {
        SOAK_EXPECT(item->status == HK_EFAILED);
        SOAK_EXPECT(item->error != NULL && item->error->app_code == (int)number);
    } else if (SOAK_EXPECT(item->status == HK_OK)) {
        SOAK_EXPECT(*(const uint32_t *)item->data == soak_mixed(number));
    }
}

static hk_status add_item(void *accumulator, const hk_map_item *item)
{
    uint32_t *count = accumulator;

    expect_item(item);
    ++*count;
    return HK_OK;
}

static void read_map(struct soak_actor *actor, hk_executor *executor, hk_array_source *source,
                     const hk_map_options *options)
{
    bool closes_early = soak_draw(actor, 4) == 0;
    hk_map_iterator *iterator = NULL;
    hk_map_item item;
    uint32_t count = 0;
    hk_status status;

    if (!SOAK_EXPECT(hk_map(executor, soak_map, hk_array_source_next, source, options, &iterator) ==
                     HK_OK)) {
        return;
    }
    while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK) {
        SOAK_EXPECT(options->unordered || item.index == count);
        expect_item(&item);
        hk_map_item_drop(&item);
        if (++count == source->count / 2 && closes_early) {
            break;
        }
    }
    SOAK_EXPECT(closes_early || (status == HK_EDONE && count == source->count));
    hk_map_destroy(iterator);
    soak_count(SOAK_ITEMS, count);
}

void soak_piece_maps(struct soak_actor *actor)
{
    enum { ITEMS = 600 };
    static const size_t chunks[] = {0, 0, 1, 7, 64};
    hk_executor *executor = soak_any_executor(actor);
    uint32_t numbers[ITEMS];
    hk_array_source source = {numbers, soak_draw(actor, ITEMS - 1) + 2, sizeof(numbers[0]), 0};
    const hk_map_options options = {.window = soak_draw(actor, 20),
                                    .chunk = chunks[soak_draw(actor, 5)],
                                    .unordered = soak_draw(actor, 2) == 0};
    uint32_t count = 0;

    for (uint32_t i = 0; i < ITEMS; i++) {
        numbers[i] = i;
    }
    if (soak_draw(actor, 3) == 0) {
        SOAK_EXPECT(hk_map_reduce(executor, soak_map, hk_array_source_next, &source, add_item,
                                  &count, &options) == HK_OK);
        SOAK_EXPECT(count == source.count);
        soak_count(SOAK_ITEMS, count);
    } else {
        read_map(actor, executor, &source, &options);
    }
}

/* --- Cancels and limits --- */

static void cancel_each(struct soak_actor *actor, hk_executor *executor)
{
    hk_future *futures[FEW];
    hk_status cancelled[FEW];
    hk_duration nap = HK_MS(2);

    for (int i = 0; i < FEW; i++) {
        SOAK_EXPECT(hk_submit(executor, soak_nap, &nap, sizeof(nap), NULL, &futures[i]) == HK_OK);
    }
    for (int i = FEW - 1; i >= 0; i--) {
        hk_cancel_level level = soak_draw(actor, 2) == 0 ? HK_CANCEL_PENDING : HK_CANCEL_REQUEST;

        cancelled[i] = hk_future_cancel(futures[i], level);
        SOAK_EXPECT(cancelled[i] == HK_OK || cancelled[i] == HK_ESTATE);
        if (level == HK_CANCEL_PENDING && cancelled[i] == HK_OK) {
            SOAK_EXPECT(hk_future_state(futures[i]) == HK_CANCELLED);
        }
    }
    for (int i = 0; i < FEW; i++) {
        hk_status status = hk_future_result(futures[i], HK_FOREVER, NULL, NULL);

        SOAK_EXPECT(status == HK_OK || (status == HK_ECANCELED && cancelled[i] == HK_OK));
        soak_count(SOAK_CANCELS, status == HK_ECANCELED);
        hk_future_unref(futures[i]);
    }
}

static void cancel_together(struct soak_actor *actor, hk_executor *executor)
{
    hk_duration nap = HK_SEC(600);
    hk_submit_options options = {0};
    hk_future *futures[FEW];
    bool done[FEW];

    SOAK_EXPECT(hk_cancel_token_create(NULL, &options.token) == HK_OK);
    for (int i = 0; i < FEW; i++) {
        SOAK_EXPECT(hk_submit(executor, soak_nap, &nap, sizeof(nap), &options, &futures[i]) ==
                    HK_OK);
    }
    if (soak_draw(actor, 2) == 0) {
        SOAK_EXPECT(hk_wait(futures, FEW, HK_FIRST_COMPLETED, HK_US(200), done, NULL) ==
                    HK_ETIMEDOUT);
    }
    SOAK_EXPECT(hk_cancel_token_fire(options.token, "the soak has enough") == HK_OK);
    for (int i = 0; i < FEW; i++) {
        SOAK_EXPECT(hk_future_result(futures[i], HK_FOREVER, NULL, NULL) == HK_ECANCELED);
        hk_future_unref(futures[i]);
    }
    hk_cancel_token_unref(options.token);
    soak_count(SOAK_CANCELS, FEW);
}

void soak_piece_cancels(struct soak_actor *actor)
{
    hk_executor *executor = soak_any_executor(actor);

    if (executor == actor->pools->narrow) {
        executor = actor->pools->threads; /* Its submit would run the task, for long. */
    }
    if (soak_draw(actor, 2) == 0) {
        cancel_each(actor, executor);
    } else {
        cancel_together(actor, executor);
    }
    soak_count(SOAK_TASKS, FEW);
}

void soak_piece_limits(struct soak_actor *actor)
{
    /* A worker process that overruns is replaced: not too often. */
    hk_executor *executor =
        soak_draw(actor, 4) == 0 ? actor->pools->processes : actor->pools->threads;
    const hk_submit_options options = {.timeout = soak_draw(actor, 2) == 0 ? HK_MS(1) : 0,
                                       .deadline = HK_MS(3)};
    hk_duration nap = HK_SEC(600);
    const hk_error *error = NULL;
    hk_future *future = NULL;
    hk_future *within = NULL;
    hk_promise *promise = NULL;

    SOAK_EXPECT(hk_submit(executor, soak_nap, &nap, sizeof(nap), &options, &future) == HK_OK);
    SOAK_EXPECT(hk_future_error(future, HK_FOREVER, &error) == HK_OK);
    SOAK_EXPECT(error != NULL && error->status == HK_EDEADLINE);
    hk_future_unref(future);
    SOAK_EXPECT(hk_promise_create(&promise, &future) == HK_OK);
    SOAK_EXPECT(hk_within(future, HK_MS(1), &within) == HK_OK);
    SOAK_EXPECT(hk_future_result(within, HK_FOREVER, NULL, NULL) == HK_EDEADLINE);
    hk_future_unref(within);
    hk_future_unref(future);
    hk_promise_destroy(promise);
    soak_count(SOAK_TASKS, 1);
    soak_count(SOAK_OVERRUNS, 2);
}
