/* SPDX-License-Identifier: MIT */
/* Futures: callbacks, completion queues, descriptors, chains, promises, tokens. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "tests/soak/soak.h"

enum { MANY = 48, FEW = 6 };

static void await_readable(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    SOAK_EXPECT(poll(&readable, 1, -1) == 1);
}

/* --- Callbacks --- */

struct ends {
    atomic_uint count;
    hk_latch all;
};

static void count_end(hk_future *future, void *arg)
{
    struct ends *ends = arg;

    SOAK_EXPECT(hk_future_has_ended(future));
    atomic_fetch_add(&ends->count, 1);
    SOAK_EXPECT(hk_latch_count_down(&ends->all, 1) == HK_OK);
}

void soak_piece_callbacks(struct soak_actor *actor)
{
    hk_executor *executor = soak_any_executor(actor);
    hk_executor *where = soak_draw(actor, 3) == 0 ? actor->pools->serial : NULL;
    uint32_t count = soak_draw(actor, MANY) + 1;
    uint32_t first = soak_draw(actor, 1000000);
    unsigned removed = 0;
    hk_future *futures[MANY];
    hk_hook *hooks[MANY] = {NULL};
    struct ends ends = {0, HK_LATCH_INIT("ends", 0)};

    SOAK_EXPECT(hk_latch_init(&ends.all, "ends", count) == HK_OK);
    soak_submit_mixes(actor, executor, first, futures, count);
    for (uint32_t i = 0; i < count; i++) {
        SOAK_EXPECT(hk_future_on_done(futures[i], where, count_end, &ends,
                                      i % 4 == 0 ? &hooks[i] : NULL) == HK_OK);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (hooks[i] == NULL) {
            continue;
        }
        if (soak_draw(actor, 2) == 0) {
            hk_hook_forget(hooks[i]);
        } else if (hk_hook_remove(hooks[i]) == HK_OK) {
            removed++;
            SOAK_EXPECT(hk_latch_count_down(&ends.all, 1) == HK_OK);
        }
    }
    SOAK_EXPECT(hk_latch_wait(&ends.all, HK_FOREVER) == HK_OK);
    SOAK_EXPECT(atomic_load(&ends.count) == count - removed);
    for (uint32_t i = 0; i < count; i++) {
        soak_expect_mixed(futures[i], first + i);
    }
    hk_latch_destroy(&ends.all);
}

/* --- Completions and descriptors --- */

static void expect_all_once(hk_completion *completion, uint32_t first, uint32_t count, bool polls)
{
    bool seen[MANY] = {false};
    int fd = -1;

    if (polls) {
        SOAK_EXPECT(hk_completion_fd(completion, &fd) == HK_OK);
    }
    for (uint32_t i = 0; i < count; i++) {
        hk_future *future = NULL;
        uintptr_t tag = 0;

        if (polls) {
            await_readable(fd);
        }
        if (SOAK_EXPECT(hk_completion_next(completion, polls ? 0 : HK_FOREVER, &future, &tag) ==
                        HK_OK) &&
            SOAK_EXPECT(tag < count && !seen[tag])) {
            seen[tag] = true;
            soak_expect_mixed(future, first + (uint32_t)tag);
        }
    }
    SOAK_EXPECT(hk_completion_next(completion, 0, NULL, NULL) == HK_EDONE);
}

void soak_piece_completions(struct soak_actor *actor)
{
    uint32_t count = soak_draw(actor, MANY) + 1;
    uint32_t first = soak_draw(actor, 1000000);
    bool polls = soak_draw(actor, 2) == 0;
    hk_completion *completion = NULL;
    hk_future *futures[MANY];

    soak_submit_mixes(actor, soak_any_executor(actor), first, futures, count);
    if (soak_draw(actor, 2) == 0) {
        SOAK_EXPECT(hk_as_completed(futures, count, HK_SEC(600), &completion) == HK_OK);
    } else {
        SOAK_EXPECT(hk_completion_create(&completion) == HK_OK);
        for (uint32_t i = 0; i < count; i++) {
            SOAK_EXPECT(hk_completion_add(completion, futures[i], i) == HK_OK);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        hk_future_unref(futures[i]);
    }
    expect_all_once(completion, first, count, polls);
    hk_completion_destroy(completion);
}

void soak_piece_descriptors(struct soak_actor *actor)
{
    uint32_t first = soak_draw(actor, 1000000);
    hk_future *futures[FEW];
    hk_value value = {0};

    soak_submit_mixes(actor, soak_any_executor(actor), first, futures, FEW);
    for (uint32_t i = 0; i < FEW; i++) {
        int fd = -1;

        SOAK_EXPECT(hk_future_fd(futures[i], &fd) == HK_OK);
        await_readable(fd);
        if (SOAK_EXPECT(hk_future_take(futures[i], 0, &value) == HK_OK)) {
            SOAK_EXPECT(*(const uint32_t *)value.data == soak_mixed(first + i));
            hk_value_drop(&value);
        }
        hk_future_unref(futures[i]);
    }
}

/* --- Chains --- */

static hk_status mix_again(hk_future *source, hk_promise *result, void *arg)
{
    const void *value = NULL;
    uint32_t mixed = 0;

    (void)arg;
    if (SOAK_EXPECT(hk_future_result(source, 0, &value, NULL) == HK_OK)) {
        mixed = soak_mixed(*(const uint32_t *)value);
    }
    return hk_promise_set(result, &mixed, sizeof(mixed));
}

static hk_status mix_elsewhere(hk_future *source, hk_promise *result, void *arg)
{
    struct soak_number number = {0, 10};
    hk_future *next = NULL;
    const void *value = NULL;
    hk_status status = hk_future_result(source, 0, &value, NULL);

    if (status == HK_OK) {
        number.number = *(const uint32_t *)value;
        status = hk_submit((hk_executor *)arg, soak_mix, &number, sizeof(number), NULL, &next);
    }
    if (status == HK_OK) {
        status = hk_promise_follow(result, next);
        hk_future_unref(next);
    }
    return status;
}

static hk_status replace_failure(hk_future *source, hk_promise *result, void *arg)
{
    const uint32_t number = 4711;
    const hk_error *error = NULL;

    (void)arg;
    SOAK_EXPECT(hk_future_error(source, 0, &error) == HK_OK && error != NULL);
    return hk_promise_set(result, &number, sizeof(number));
}

static void expect_value(hk_future *future, uint32_t expected)
{
    const void *value = NULL;

    if (SOAK_EXPECT(hk_future_result(future, HK_FOREVER, &value, NULL) == HK_OK)) {
        SOAK_EXPECT(*(const uint32_t *)value == expected);
    }
    hk_future_unref(future);
}

static void chain_groups(struct soak_actor *actor, hk_executor *executor)
{
    uint32_t first = soak_draw(actor, 1000000);
    hk_future *futures[FEW];
    hk_future *group = NULL;
    const void *place = NULL;

    soak_submit_mixes(actor, executor, first, futures, FEW);
    switch (soak_draw(actor, 3)) {
    case 0:
        SOAK_EXPECT(hk_when_all(futures, FEW, &group) == HK_OK);
        SOAK_EXPECT(hk_future_result(group, HK_FOREVER, NULL, NULL) == HK_OK);
        break;
    case 1:
        SOAK_EXPECT(hk_settle_all(futures, FEW, &group) == HK_OK);
        SOAK_EXPECT(hk_future_result(group, HK_FOREVER, NULL, NULL) == HK_OK);
        break;
    default:
        SOAK_EXPECT(hk_when_any(futures, FEW, &group) == HK_OK);
        if (SOAK_EXPECT(hk_future_result(group, HK_FOREVER, &place, NULL) == HK_OK)) {
            SOAK_EXPECT(hk_future_has_ended(futures[*(const size_t *)place]));
        }
        break;
    }
    hk_future_unref(group);
    for (uint32_t i = 0; i < FEW; i++) {
        soak_expect_mixed(futures[i], first + i);
    }
}

void soak_piece_chains(struct soak_actor *actor)
{
    hk_executor *executor = soak_any_executor(actor);
    hk_executor *where = soak_draw(actor, 2) == 0 ? NULL : soak_any_sharing(actor);
    uint32_t number = soak_draw(actor, 1000000);
    int code = (int)soak_draw(actor, 1000);
    hk_future *first = NULL;
    hk_future *second = NULL;
    hk_future *third = NULL;

    soak_submit_mixes(actor, executor, number, &first, 1);
    SOAK_EXPECT(hk_then(first, where, mix_again, NULL, &second) == HK_OK);
    SOAK_EXPECT(hk_then(second, where, mix_elsewhere, actor->pools->threads, &third) == HK_OK);
    hk_future_unref(first);
    hk_future_unref(second);
    expect_value(third, soak_mixed(soak_mixed(soak_mixed(number))));
    SOAK_EXPECT(hk_submit(executor, soak_fail, &code, sizeof(code), NULL, &first) == HK_OK);
    SOAK_EXPECT(hk_then(first, where, mix_again, NULL, &second) == HK_OK);
    SOAK_EXPECT(hk_catch(second, where, replace_failure, NULL, &third) == HK_OK);
    hk_future_unref(first);
    hk_future_unref(second);
    expect_value(third, 4711);
    chain_groups(actor, executor);
    soak_count(SOAK_TASKS, 2);
}

/* --- Promises and tokens --- */

struct given {
    hk_promise *promise;
    uint32_t number;
};

HK_TASK(soak_give)
{
    struct given given = *(const struct given *)in;
    uint32_t mixed = soak_mixed(given.number);

    if (in_size != HK_BY_REF) {
        return hk_fail(call, 1, "not by reference");
    }
    if (given.number % 5 == 0) {
        SOAK_EXPECT(hk_promise_fail(given.promise, 5, "a fifth") == HK_OK);
    } else if (given.number % 5 == 1) {
        void *copy = malloc(sizeof(mixed));

        memcpy(copy, &mixed, sizeof(mixed));
        SOAK_EXPECT(hk_promise_set_ref(given.promise, copy, free) == HK_OK);
    } else if (given.number % 5 != 2) { /* Two fifths; the rest is dropped unset. */
        SOAK_EXPECT(hk_promise_set(given.promise, &mixed, sizeof(mixed)) == HK_OK);
    }
    hk_promise_destroy(given.promise);
    return HK_OK;
}

static void expect_given(hk_future *future, uint32_t number)
{
    const void *value = NULL;
    hk_status status = hk_future_result(future, HK_FOREVER, &value, NULL);

    if (number % 5 == 0) {
        SOAK_EXPECT(status == HK_EFAILED);
    } else if (number % 5 == 2) {
        SOAK_EXPECT(status == HK_EBROKEN);
    } else if (SOAK_EXPECT(status == HK_OK)) {
        SOAK_EXPECT(*(const uint32_t *)value == soak_mixed(number));
    }
    hk_future_unref(future);
}

void soak_piece_promises(struct soak_actor *actor)
{
    hk_executor *executor = soak_any_sharing(actor);
    uint32_t first = soak_draw(actor, 1000000);
    struct given *given[FEW];
    hk_future *futures[FEW];

    for (uint32_t i = 0; i < FEW; i++) {
        given[i] = malloc(sizeof(*given[i]));
        given[i]->number = first + i;
        SOAK_EXPECT(hk_promise_create(&given[i]->promise, &futures[i]) == HK_OK);
        SOAK_EXPECT(hk_submit_ref(executor, soak_give, given[i], free, NULL, NULL) == HK_OK);
    }
    for (uint32_t i = 0; i < FEW; i++) {
        expect_given(futures[i], first + i);
    }
    soak_count(SOAK_TASKS, FEW);
}

void soak_piece_tokens(struct soak_actor *actor)
{
    hk_cancel_token *tokens[MANY];
    uint32_t parents[MANY];
    bool fired[MANY];
    uint32_t hit = soak_draw(actor, MANY);

    SOAK_EXPECT(hk_cancel_token_create(NULL, &tokens[0]) == HK_OK);
    parents[0] = 0;
    for (uint32_t i = 1; i < MANY; i++) {
        parents[i] = soak_draw(actor, i);
        SOAK_EXPECT(hk_cancel_token_create(tokens[parents[i]], &tokens[i]) == HK_OK);
    }
    SOAK_EXPECT(hk_cancel_token_fire(tokens[hit], "drawn") == HK_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        fired[i] = i == hit || (i > 0 && fired[parents[i]]);
        SOAK_EXPECT(hk_cancel_token_is_fired(tokens[i]) == fired[i]);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        hk_cancel_token_unref(tokens[i]);
    }
}
