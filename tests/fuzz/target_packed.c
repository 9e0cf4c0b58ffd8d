/* SPDX-License-Identifier: MIT */
/*
 * Bytes that a worker process sends for an error and for a chunk of a map: right in all but
 * what the input changes. Wanted: every item has an end that can be read, and an error that
 * makes sense comes back as it was.
 */
#include <stdlib.h>

#include "executors/call.h"
#include "executors/packed_layout.h"
#include "executors/process_pool/packed_error.h"
#include "tests/fuzz/fuzz.h"

enum { ITEMS = 6, RESULT_MAX = 4096, ERROR_MAX = 2048 };

/* --- errors --- */

static void read_error(struct hkf_input *input)
{
    static const hk_site site = {"file.c", 7, "function"};
    unsigned char again[ERROR_MAX];
    unsigned char *bytes = malloc(input->left == 0 ? 1 : input->left);
    size_t size = input->left;
    struct hki_error *error;

    HKF_WANT(bytes != NULL);
    hkf_bytes(input, bytes, size);
    error = hki_error_unpack(bytes, size, NULL);
    free(bytes);
    HKF_WANT(error->shown.status != HK_OK && error->shown.message != NULL);
    for (const hk_error *one = &error->shown; one != NULL; one = one->cause) {
        HKF_WANT(hk_status_name(one->status) != NULL);
        hkf_touch(one->message, strlen(one->message));
        hkf_touch(one->where, strlen(one->where));
    }
    size = hki_error_pack(error, again, sizeof(again));
    HKF_WANT(size != 0 && size <= sizeof(again));
    hki_error_unref(error);
    error = hki_error_unpack(again, size, &(struct hki_error_facts){.submit_site = &site});
    HKF_WANT(error->shown.submit_line == 7);
    hki_error_unref(error);
}

/* --- an executor that shares no memory, and keeps its one job --- */

static hk_job *held;

static hk_status hold(void *self, hk_job *job, hk_duration queue_wait)
{
    (void)self;
    (void)queue_wait;
    if (held != NULL) {
        return HK_EFULL;
    }
    held = job;
    return HK_OK;
}

static void end(void *self, hk_shutdown_how how)
{
    (void)self;
    (void)how;
}

static hk_status join(void *self, hk_duration timeout)
{
    (void)self;
    (void)timeout;
    return HK_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static const hk_executor_ops ops = {.size = sizeof(ops),
                                    .kind = "held",
                                    .submit = hold,
                                    .shutdown = end,
                                    .join = join,
                                    .destroy = destroy};

/* --- chunks --- */

static const unsigned char *sent;
static size_t sent_size;

HK_TASK(sends_bytes)
{
    (void)in;
    (void)in_size;
    return hk_return(call, sent, sent_size);
}

HK_TASK(is_mapped)
{
    return hk_return(call, in, in_size);
}

/* The result's head, with the right number; then the input as it comes. */
static unsigned char *make_result(struct hkf_input *input, uint64_t number, size_t *size)
{
    struct hki_packed_result head = {0};
    size_t more = input->left < RESULT_MAX ? input->left : RESULT_MAX;
    size_t whole = sizeof(head) + more;
    unsigned char *bytes = malloc(whole);

    HKF_WANT(bytes != NULL);
    atomic_init(&head.number, number);
    atomic_init(&head.finished, hkf_pick(input, ITEMS + 2));
    head.rest = hkf_pick(input, 2) == 0 ? HK_OK : (int32_t)hkf_u32(input);
    atomic_init(&head.run_ns, (int64_t)hkf_u64(input));
    atomic_init(&head.dense, hkf_pick(input, 4) == 0 ? hkf_u32(input) : hkf_pick(input, ITEMS));
    head.value_size = hkf_pick(input, 4) == 0 ? hkf_u32(input) : hkf_pick(input, 40);
    memcpy(bytes, &head, sizeof(head));
    hkf_bytes(input, bytes + sizeof(head), more);
    *size = hkf_pick(input, 8) == 1 ? whole / 2 : whole;
    return bytes;
}

static void read_items(hk_map_iterator *iterator)
{
    for (size_t i = 0; i < ITEMS; i++) {
        hk_map_item item;

        HKF_WANT(hk_map_next(iterator, 0, &item) == HK_OK);
        HKF_WANT(item.index == i);
        HKF_WANT(item.status == HK_OK || item.size == 0);
        HKF_WANT(item.status == HK_OK || item.status == HK_ECANCELED || item.error != NULL);
        hkf_touch(item.data, item.size);
        hk_map_item_drop(&item);
    }
}

static void read_chunk(struct hkf_input *input)
{
    static const uint64_t numbers[ITEMS] = {0, 1, 2, 3, 4, 5};
    hk_array_source source = {.items = numbers, .count = ITEMS, .stride = sizeof(numbers[0])};
    hk_map_options options = {.chunk = ITEMS, .count = ITEMS};
    bool died = hkf_pick(input, 2) == 0;
    struct hki_packed_head head;
    hk_executor *executor;
    hk_map_iterator *iterator;
    unsigned char *bytes;
    hk_map_item item;

    held = NULL;
    HKF_WANT(hk_executor_create(&ops, &held, NULL, &executor) == HK_OK);
    HKF_WANT(hk_map(executor, is_mapped, hk_array_source_next, &source, &options, &iterator) ==
             HK_OK);
    HKF_WANT(held != NULL);
    memcpy(&head, held->input.data, sizeof(head));
    bytes = make_result(input, head.number, &sent_size);
    sent = bytes;
    if (died) {
        held->salvage(held, bytes, sent_size);
        hk_job_discard(held, HK_EWORKER, "the worker died");
    } else {
        held->task = sends_bytes;
        HKF_WANT(hk_job_run(held, NULL, "worker"));
    }
    free(bytes); /* Nothing shows it any more. */
    read_items(iterator);
    HKF_WANT(hk_map_next(iterator, 0, &item) == HK_EDONE);
    hk_map_destroy(iterator);
    HKF_WANT(hk_executor_destroy(executor) == HK_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct hkf_input input = {bytes, size};
    size_t alive = hkf_alive();

    hkf_be_quiet();
    if (hkf_pick(&input, 2) == 0) {
        read_error(&input);
    } else {
        read_chunk(&input);
    }
    hkf_want_alive(alive);
    return 0;
}
