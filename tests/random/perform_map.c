/* SPDX-License-Identifier: MIT */
/* Maps and ranges, from begin to end in one operation. */
#include <string.h>

#include "tests/random/perform.h"

enum { ITEMS_MAX = 64 };

static bool is_closable(int to)
{
    return hkt_may_be_closed(to);
}

/* None in a callback, where nobody waits: a map and a range do. */
static hk_executor *executor_for(int op, const struct hkt_op *at)
{
    return hkt_place.callbacks > 0 || (at->refs[HKT_TARGET] < 0 && !hkt_has_own_executor(op))
               ? NULL
               : hkt_executor_get(at->refs[HKT_TARGET]);
}

static bool has_fired(int token_op, const hk_cancel_token *token)
{
    return token_op >= 0 && hk_cancel_token_is_fired(token);
}

static bool may_lose(int to)
{
    return hkt_is_far(to) && (atomic_load(&hkt_stage->kills) != 0 ||
                              (to >= 0 && atomic_load(&hkt_stage->known[to].may_kill)) || to < 0);
}

static unsigned count_of(const struct hkt_op *at)
{
    return (unsigned)at->numbers[HKT_COUNT] % ITEMS_MAX + 1;
}

static bool is_bad(const struct hkt_op *at, uint64_t index)
{
    return at->numbers[HKT_BAD] > 0 && index % (uint64_t)at->numbers[HKT_BAD] == 0;
}

static int full_of(int to)
{
    return to >= 0 && hkt_stage->program.ops[to].numbers[HKT_QUEUE] != 0
               ? hkt_stage->program.ops[to].numbers[HKT_WHEN_FULL]
               : -1;
}

static void judge_item(int op, const struct hkt_op *at, const hk_map_item *item)
{
    int to = hkt_home_of(op);
    hk_cancel_token *token = hkt_token_get(at->refs[HKT_TOKEN_REF]);
    bool has_limit = at->numbers[HKT_TIMEOUT] > 0 ||
                     (to >= 0 && hkt_stage->program.ops[to].numbers[HKT_TIMEOUT] > 0);

    if (item->status == HK_OK) {
        HKT_MUST(!is_bad(at, item->index));
        HKT_MUST(hkt_hash_of(item->data, item->size) ==
                 hkt_mix((uint32_t)at->numbers[HKT_VALUE] + (uint32_t)item->index));
    } else {
        HKT_ONE_OF(
            op, item->status, HKT_IF(is_bad(at, item->index), HK_EFAILED),
            HKT_IF(has_fired(at->refs[HKT_TOKEN_REF], token) || is_closable(to), HK_ECANCELED),
            HKT_IF(has_limit, HK_EDEADLINE), HKT_IF(has_limit, HK_ECANCELED),
            HKT_IF(may_lose(to), HK_EWORKER), HKT_IF(full_of(to) == HK_FULL_DROP_OLDEST, HK_EFULL),
            HKT_IF(is_closable(to), HK_ECLOSED));
    }
    hk_cancel_token_unref(token);
}

static void read_items(int op, const struct hkt_op *at, hk_map_iterator *iterator)
{
    int to = hkt_home_of(op);
    unsigned count = count_of(at);
    bool was_read[ITEMS_MAX] = {false};
    unsigned reads = 0;
    bool was_refused = false;
    hk_status status = HK_OK;

    while (at->numbers[HKT_READS] == 0 || reads < (unsigned)at->numbers[HKT_READS]) {
        hk_map_item item;

        status = hk_map_next(iterator, HK_FOREVER, &item);
        if (status != HK_OK) {
            if (status == HK_EDONE || status == HK_EDEADLK) {
                break;
            }
            HKT_MUST(!was_refused); /* It is said once. */
            was_refused = true;
            HKT_ONE_OF(op, status, HKT_IF(at->numbers[HKT_TIMEOUT] > 0, HK_ETIMEDOUT),
                       HKT_IF(is_closable(to), HK_ECLOSED),
                       HKT_IF(at->refs[HKT_TOKEN_REF] >= 0, HK_ECANCELED),
                       HKT_IF(full_of(to) >= 0, HK_EFULL));
            HKT_MUST(status != HK_OK);
            continue;
        }
        HKT_MUST(item.index < count && !was_read[item.index]);
        HKT_MUST(at->numbers[HKT_UNORDERED] != 0 || item.index == reads);
        was_read[item.index % ITEMS_MAX] = true;
        judge_item(op, at, &item);
        hk_map_item_drop(&item);
        reads++;
    }
    HKT_MUST(status != HK_EDEADLK || hkt_may_ring(op));
    if (status == HK_EDONE && !was_refused) {
        HKT_MUST(reads == count);
    }
}

void hkt_perform_map(int op, const struct hkt_op *at)
{
    int to = hkt_home_of(op);
    hk_executor *executor = executor_for(op, at);
    uint32_t items[ITEMS_MAX][2];
    hk_array_source source = {items, count_of(at), sizeof(items[0]), 0};
    hk_map_options options = {.window = (size_t)at->numbers[HKT_WINDOW],
                              .chunk = (size_t)at->numbers[HKT_CHUNK],
                              .unordered = at->numbers[HKT_UNORDERED] != 0,
                              .limit = HK_US(at->numbers[HKT_TIMEOUT])};
    hk_map_iterator *iterator = NULL;
    hk_status status;

    if (executor == NULL) {
        return; /* Nobody waits in a callback, and a map waits. */
    }
    for (unsigned i = 0; i < ITEMS_MAX; i++) {
        items[i][0] = (uint32_t)op;
        items[i][1] = i;
    }
    options.token = hkt_token_get(at->refs[HKT_TOKEN_REF]);
    status = hk_map(executor, &hkt_task_item, hk_array_source_next, &source, &options, &iterator);
    HKT_ONE_OF(op, status, HK_OK, HKT_IF(is_closable(to), HK_ECLOSED),
               HKT_IF(has_fired(at->refs[HKT_TOKEN_REF], options.token), HK_ECANCELED),
               HKT_IF(full_of(to) >= 0, HK_EFULL),
               HKT_IF(hkt_waits_for_room(to) && hkt_may_ring(op), HK_EDEADLK));
    if (status == HK_OK) {
        read_items(op, at, iterator);
        hk_map_destroy(iterator);
    }
    hk_cancel_token_unref(options.token);
    hkt_executor_release(at->refs[HKT_TARGET]);
}

/* --- Ranges --- */

struct turns {
    const struct hkt_op *at;
    atomic_uint counts[ITEMS_MAX];
    atomic_bool is_over;
};

static hk_status turn(hk_range *range, size_t begin, size_t end, void *context)
{
    struct turns *turns = context;

    HKT_MUST(!atomic_load(&turns->is_over));
    (void)hk_range_should_stop(range);
    for (size_t i = begin; i < end; i++) {
        HKT_MUST(atomic_fetch_add(&turns->counts[i], 1) == 0);
        hkt_work_for(turns->at->numbers[HKT_TIME]);
        if (turns->at->numbers[HKT_BAD] > 0 && i == (size_t)turns->at->numbers[HKT_BAD]) {
            return HK_EFAILED;
        }
    }
    return HK_OK;
}

void hkt_perform_range(int op, const struct hkt_op *at)
{
    int to = hkt_home_of(op);
    hk_executor *executor = executor_for(op, at);
    hk_range_options options = {.grain = (size_t)at->numbers[HKT_CHUNK],
                                .limit = HK_US(at->numbers[HKT_TIMEOUT])};
    struct turns turns = {.at = at};
    hk_cancel_token *token = hkt_token_get(at->refs[HKT_TOKEN_REF]);
    unsigned count = count_of(at);
    bool has_bad = at->numbers[HKT_BAD] > 0 && (unsigned)at->numbers[HKT_BAD] < count;
    hk_range range;
    hk_status status;

    if (executor == NULL) {
        hk_cancel_token_unref(token);
        return;
    }
    HKT_MUST(hk_cancel_token_create(token, &options.token) == HK_OK);
    memset(&range, 0, sizeof(range));
    status = hk_parallel_for(&range, executor, 0, count, turn, &turns, &options);
    HKT_ONE_OF(op, status, hkt_is_far(to) && to >= 0 ? HK_EPORTABLE : HK_OK,
               HKT_IF(is_closable(to), HK_ECLOSED), HKT_IF(is_closable(to), HK_ECANCELED),
               HKT_IF(has_fired(at->refs[HKT_TOKEN_REF], token), HK_ECANCELED),
               HKT_IF(at->numbers[HKT_TIMEOUT] > 0, HK_EDEADLINE), HKT_IF(has_bad, HK_EFAILED),
               HKT_IF(full_of(to) >= 0, HK_EFULL),
               HKT_IF(full_of(to) >= 0 && at->numbers[HKT_TIMEOUT] > 0, HK_ETIMEDOUT),
               HKT_IF(hkt_may_ring(op), HK_EDEADLK));
    HKT_MUST(status != HK_OK || !hkt_is_far(to));
    while (status == HK_EDEADLK && !hk_range_has_ended(&range)) {
        /* What it waits for cannot begin; so nobody is to begin it. */
        HKT_MUST(hk_cancel_token_fire(options.token, NULL) == HK_OK);
        status = hk_range_end(&range);
    }
    atomic_store(&turns.is_over, true);
    for (unsigned i = 0; i < count && status == HK_OK; i++) {
        HKT_MUST(atomic_load(&turns.counts[i]) == 1);
    }
    HKT_MUST(status != HK_OK || !has_bad);
    hk_cancel_token_unref(options.token);
    hk_cancel_token_unref(token);
    hkt_executor_release(at->refs[HKT_TARGET]);
}
