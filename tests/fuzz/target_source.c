/* SPDX-License-Identifier: MIT */
/*
 * Sources of a map that misbehave: sizes that are absurd, ends and failures at any place,
 * references, statuses that are none, calls of the map from within, hundreds of items. Wanted:
 * every item that was accepted is delivered once and in order, or dropped once; a failure is
 * told once; after the end comes nothing more.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

enum { PULLS_MAX = 400, NEXTS_MAX = 200 };

/* What the source does next. */
enum { BYTES, EMPTY, REFERENCE, NO_DATA, HUGE, ENDS, FAILS, CANCELS, RE_ENTERS, CLOSES, MOVES };

static struct {
    struct hkf_input input;
    hk_map_iterator *map; /* NULL within hk_map(), and when the source has closed it. */
    bool is_closed;       /* By the source. */
    bool is_cancelled;
    hk_status failure; /* That it gave, which is told as it is. */
    unsigned pulls;
    atomic_long held; /* References given and not dropped, by whichever thread. */
} source;

static unsigned char some_bytes[2000];

static void drop(void *reference)
{
    HKF_WANT(reference == some_bytes);
    atomic_fetch_sub(&source.held, 1);
}

HK_TASK(takes_item)
{
    if (in_size == HK_BY_REF) {
        return hk_return(call, NULL, 0);
    }
    if (in_size == 13) {
        return hk_fail(call, 13, "unlucky");
    }
    return hk_return(call, in, in_size < 64 ? in_size : 64);
}

static void call_map(unsigned move)
{
    hk_map_item item;
    hk_status status;

    if (source.map == NULL) {
        return;
    }
    if (move == CANCELS) {
        source.is_cancelled = true;
        HKF_WANT(hk_map_cancel(source.map) == HK_OK);
    } else if (move == RE_ENTERS) {
        status = hk_map_next(source.map, 0, &item);
        HKF_WANT(status == HK_ESTATE || status == HK_EDONE);
    } else if (move == CLOSES) {
        hk_map_destroy(source.map);
        source.map = NULL;
        source.is_closed = true;
    }
}

static hk_status give(void *state, hk_map_input *input)
{
    unsigned move = hkf_pick(&source.input, MOVES);

    (void)state;
    HKF_WANT(input->data == NULL && input->size == 0 && input->drop == NULL);
    if (source.input.left == 0 || ++source.pulls > PULLS_MAX) {
        return HK_EDONE;
    }
    input->data = some_bytes;
    switch (move) {
    case EMPTY:
        input->data = hkf_pick(&source.input, 2) == 0 ? NULL : some_bytes;
        return HK_OK;
    case REFERENCE:
        input->size = HK_BY_REF;
        input->drop = drop;
        atomic_fetch_add(&source.held, 1);
        return HK_OK;
    case NO_DATA:
        input->data = NULL;
        input->size = hkf_u8(&source.input);
        return HK_OK;
    case HUGE: /* More than max_payload: refused before a byte is looked at. */
        input->size = (size_t)hkf_u64(&source.input) | (size_t)1 << 32;
        return input->size == HK_BY_REF ? HK_EDONE : HK_OK;
    case ENDS:
        return hkf_pick(&source.input, 8) == 0 ? HK_EDONE : HK_OK;
    case FAILS:
        return source.failure = (hk_status)(int32_t)hkf_u32(&source.input);
    default:
        call_map(move);
        input->size = hkf_u16(&source.input) % sizeof(some_bytes);
        return HK_OK;
    }
}

static void read_all(bool unordered)
{
    uint64_t index = 0;
    bool has_failed = false;

    for (unsigned nexts = 0; source.map != NULL && nexts < NEXTS_MAX; nexts++) {
        bool was_cancelled = source.is_cancelled;
        hk_map_item item = {0};
        hk_status status = hk_map_next(source.map, HK_SEC(30), &item);

        HKF_WANT(status == source.failure || (status != HK_ETIMEDOUT && status != HK_EDEADLK));
        if (status == HK_EDONE) {
            HKF_WANT(source.map == NULL || hk_map_next(source.map, 0, &item) == HK_EDONE);
            return;
        }
        HKF_WANT(!was_cancelled);
        if (status != HK_OK) {
            HKF_WANT(!has_failed);
            has_failed = true;
            continue;
        }
        HKF_WANT(unordered || item.index == index);
        index++;
        hkf_touch(item.data, item.size == HK_BY_REF ? 0 : item.size);
        hk_map_item_drop(&item);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const specs[] = {"inline", "inline?roundtrip=1", "threads:2", "replay:3",
                                        "threads:1?queue_capacity=1"};
    struct hkf_input input = {bytes, size};
    size_t alive = hkf_alive();
    hk_executor *executor;
    hk_map_options options = {0};
    hk_status status;

    hkf_be_quiet();
    HKF_WANT(hk_executor_open(specs[hkf_pick(&input, 5)], &executor) == HK_OK);
    options.chunk = hkf_pick(&input, 5);
    options.window = hkf_pick(&input, 4);
    options.unordered = hkf_pick(&input, 2) == 1;
    options.count = hkf_pick(&input, 3) == 0 ? (size_t)hkf_u64(&input) : hkf_pick(&input, 9);
    memset(&source, 0, sizeof(source));
    source.input = input;
    status = hk_map(executor, takes_item, give, NULL, &options, &source.map);
    if (status == HK_OK) {
        read_all(options.unordered);
        hk_map_destroy(source.map);
    }
    HKF_WANT(hk_executor_destroy(executor) == HK_OK);
    HKF_WANT(atomic_load(&source.held) == 0);
    hkf_want_alive(alive);
    return 0;
}
