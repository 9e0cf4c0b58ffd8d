/* SPDX-License-Identifier: MIT */
/*
 * Map: an iterator that keeps a window of chunks in flight.
 *
 * Chunks in flight stand in the order of the source. Ordered reading waits for
 * the first; unordered reading takes them from a completion queue. The source is
 * pulled by the reader alone, in fill(), which runs when the map begins and each
 * time a chunk has been delivered to its last item.
 */
#include <stdio.h>
#include <string.h>

#include <hocket/completion.h>

#include "base/extensible.h"
#include "base/fork.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/time.h"
#include "executors/map_chunk.h"
#include "executors/packed_chunk.h"
#include "futures/wait_impl.h"

enum { WINDOW_MAX = 1 << 20, CHUNK_MAX = 1 << 20, CHUNK_AUTO_MAX = 1024 };

#define CHUNK_TARGET_NS 350000.0 /* In the middle of 200 to 500 us. */

enum {
    ITEM_RESULT_FIRST = 64,       /* A guess, before any result was seen. */
    CHUNK_AUTO_BYTES = 256 << 10, /* More in one chunk saves nothing, and fills up the memory. */
};

struct hk_map_iterator {
    hk_executor *executor; /* One reference to its memory. */
    const hk_site *site;
    const hk_task *task;
    hk_source_fn *source;
    void *state;
    hk_map_options options;
    char label[HKI_LABEL_MAX];
    size_t window;
    hk_duration item_timeout;
    int64_t deadline_ns;
    uint32_t generation;
    hk_completion *completion; /* Unordered only. */
    struct hki_list in_flight; /* In the order of the source. */
    size_t in_flight_count;    /* The one being delivered included. */
    struct hki_chunk *unsent;  /* Pulled, but the queue was full. */
    struct hki_chunk *current; /* Being delivered. */
    uint64_t next_index;
    double mean_item_ns;      /* 0: nothing measured yet. */
    size_t item_result_bytes; /* Of value, of the largest kind seen of late. Packed only. */
    bool source_ended;
    bool closed;
    bool is_in_use;    /* A call of it is under way, of which source and tasks are a part. */
    bool abandoned;    /* Closed from within that call, which then releases it. */
    bool refused;      /* The failure is that of a submit. */
    hk_status failure; /* To be told once, when what was pulled is delivered. */
};

/* --- sending --- */

static size_t chunk_size(const hk_map_iterator *it)
{
    size_t most = CHUNK_AUTO_MAX;
    double wanted;

    if (it->options.chunk != 0) {
        return it->options.chunk;
    }
    if (it->item_timeout != 0 || it->mean_item_ns <= 0.0) {
        return 1;
    }
    if (it->options.count != 0) {
        most = it->options.count / (4 * (size_t)it->executor->width);
        most = most == 0 ? 1 : most;
    }
    wanted = CHUNK_TARGET_NS / it->mean_item_ns;
    return wanted < 1.0 ? 1 : wanted > (double)most ? most : (size_t)wanted;
}

static bool shares_memory(const hk_map_iterator *it)
{
    return (it->executor->ops->flags & HK_EXECUTOR_SHARES_MEMORY) != 0;
}

static hk_status check_input(const hk_map_iterator *it, const hk_map_input *input)
{
    const hk_executor *executor = it->executor;

    if (input->size != HK_BY_REF) {
        return input->size > executor->max_payload ? HK_ETOOBIG : HK_OK;
    }
    return executor->roundtrip || !shares_memory(it) ? HK_EPORTABLE : HK_OK;
}

/* Pulls one item into a chunk; false at the end, or with a failure to tell. */
static bool pull(hk_map_iterator *it, struct hki_chunk *chunk)
{
    hk_map_input input = {NULL, 0, NULL};
    hk_status status = it->source(it->state, &input);

    if (status == HK_OK) {
        status = check_input(it, &input);
        if (status == HK_OK) {
            status = chunk->is_packed ? hki_packed_chunk_add(chunk, &input)
                                      : hki_chunk_add(chunk, &input);
        }
        if (status == HK_OK) {
            it->next_index++;
            return true;
        }
        if (input.size == HK_BY_REF && input.drop != NULL) {
            input.drop((void *)input.data);
        }
    }
    it->source_ended = true;
    it->failure = status == HK_EDONE ? HK_OK : status;
    return false;
}

/* Whether one more item would make more of a chunk than was asked for. */
static bool is_full(const hk_map_iterator *it, const struct hki_chunk *chunk)
{
    return chunk->count == chunk->capacity ||
           (it->options.chunk == 0 && hki_packed_chunk_bytes(chunk) >= CHUNK_AUTO_BYTES);
}

/* Elements of an array, as many as make the chunk full, all at once. What is odd about the
 * array, or about one more element, shows when that one is pulled by itself. */
static void pull_array(hk_map_iterator *it, struct hki_chunk *chunk)
{
    hk_array_source *array = it->state;
    size_t count = chunk->capacity;
    size_t size = array == NULL ? 0 : array->stride;

    if (array == NULL || array->items == NULL || array->next >= array->count ||
        size > it->executor->max_payload || size > CHUNK_AUTO_BYTES) {
        return;
    }
    count = count < array->count - array->next ? count : array->count - array->next;
    if (it->options.chunk == 0 && size != 0 && count > CHUNK_AUTO_BYTES / size) {
        count = CHUNK_AUTO_BYTES / size;
    }
    if (hki_packed_chunk_add_array(chunk, (const unsigned char *)array->items + array->next * size,
                                   count, size)) {
        array->next += count;
        it->next_index += count;
    }
}

/* The next chunk of items; NULL when the source has none. */
static struct hki_chunk *gather(hk_map_iterator *it)
{
    size_t capacity = chunk_size(it);
    struct hki_chunk *chunk =
        hki_chunk_create(it->task, capacity, it->next_index, !shares_memory(it));

    if (chunk == NULL) {
        it->source_ended = true;
        it->failure = HK_ENOMEM;
        return NULL;
    }
    if (chunk->is_packed && it->source == hk_array_source_next) {
        pull_array(it, chunk);
    }
    while (!is_full(it, chunk) && pull(it, chunk) && !it->closed) {
    }
    if (chunk->count == 0 || it->closed) {
        hki_chunk_unref(chunk, 1);
        return NULL;
    }
    return chunk;
}

/* Hands a chunk over as a job: by reference, or as bytes. */
static hk_status submit(hk_map_iterator *it, struct hki_chunk *chunk,
                        const hk_submit_options *options)
{
    struct hki_request request = {
        .executor = it->executor,
        .site = it->site,
        .named = it->task,
        .moves = true,
        .internal = true,
        .options = options,
    };
    hk_status status;

    atomic_fetch_add(&chunk->references, 1); /* The job's. */
    if (chunk->is_packed) {
        request.task = &hki_packed_chunk_task;
        request.expects = hki_packed_chunk_room(chunk->count, it->item_result_bytes);
        request.salvage = hki_packed_chunk_salvage;
        request.given = hki_packed_chunk_seal(chunk, request.expects);
        request.size = request.given.size;
    } else {
        request.task = &hki_chunk_task;
        request.given = (struct hki_value){chunk, HK_BY_REF, hki_chunk_drop, chunk};
        request.size = HK_BY_REF;
    }
    if ((status = hki_submit(&request, &chunk->future)) != HK_OK) {
        hki_chunk_unref(chunk, 1);
    } else if (chunk->is_packed) {
        hki_packed_chunk_sent(chunk);
    }
    return status;
}

static hk_status send(hk_map_iterator *it, struct hki_chunk *chunk)
{
    bool alone = chunk->capacity == 1;
    hk_submit_options options = {
        .label = it->label[0] == '\0' ? NULL : it->label,
        .priority = it->options.priority,
        .timeout = it->item_timeout == 0 ? 0
                   : alone               ? it->item_timeout
                                         : HK_FOREVER,
        .token = it->options.token,
        /* Never wait for room while there is something to deliver. */
        .queue_wait = it->in_flight_count != 0 ? 1 : 0,
    };
    hk_status status;

    chunk->item_timeout = alone ? 0 : it->item_timeout;
    if ((status = submit(it, chunk, &options)) != HK_OK) {
        return status;
    }
    if (it->completion != NULL &&
        (status = hk_completion_add(it->completion, chunk->future, (uintptr_t)chunk)) != HK_OK) {
        (void)hk_future_cancel(chunk->future, HK_CANCEL_REQUEST);
        return status;
    }
    hki_list_append(&it->in_flight, &chunk->link);
    it->in_flight_count++;
    return HK_OK;
}

static void fill(hk_map_iterator *it)
{
    while (!it->closed && it->in_flight_count < it->window) {
        struct hki_chunk *chunk = it->unsent;
        hk_status status;

        it->unsent = NULL;
        if (chunk == NULL && (it->source_ended || (chunk = gather(it)) == NULL)) {
            return;
        }
        status = send(it, chunk);
        if ((status == HK_EFULL || status == HK_ETIMEDOUT) && it->in_flight_count != 0) {
            it->unsent = chunk; /* Room comes with the next delivery. */
            return;
        }
        if (status != HK_OK) {
            hki_chunk_unref(chunk, 1);
            it->source_ended = true;
            it->refused = true;
            it->failure = status;
            return;
        }
    }
}

/* --- receiving --- */

static void learn(hk_map_iterator *it, struct hki_chunk *chunk)
{
    double mean = (double)atomic_load(&chunk->run_ns) / (double)chunk->count;

    /* Half the old, half the new: soon right, and not shaken by one odd chunk. One that did
     * not run to its end tells nothing. */
    if (mean > 0.0) {
        it->mean_item_ns = it->mean_item_ns <= 0.0 ? mean : (it->mean_item_ns + mean) / 2;
    }
    if (chunk->is_packed && chunk->rest.why != HK_OK) { /* Of one that ran to its end. */
        /* A quarter more, since too little room costs a copy, and too much nearly nothing. */
        size_t bytes = chunk->rest.at / chunk->count;

        bytes += bytes / 4;
        it->item_result_bytes =
            bytes > it->item_result_bytes ? bytes : (it->item_result_bytes + bytes) / 2;
    }
}

static void deliver(hk_map_iterator *it, hk_map_item *item)
{
    struct hki_chunk *chunk = it->current;

    hki_chunk_deliver(chunk, item);
    if (chunk->delivered == chunk->count) {
        it->current = NULL;
        it->in_flight_count--;
        learn(it, chunk);
        hki_chunk_unref(chunk, 1);
        fill(it);
    }
}

/* Waits until a chunk has ended and takes it out of flight. */
static hk_status await_chunk(hk_map_iterator *it, int64_t deadline_ns, bool poll)
{
    struct hki_chunk *chunk;
    hk_status status;

    if (it->completion != NULL) {
        uintptr_t tag = 0;
        int64_t left_ns = deadline_ns == HKI_NEVER ? HK_FOREVER : deadline_ns - hk_now_ns();

        if (poll || (left_ns < 0 && deadline_ns != HKI_NEVER)) {
            left_ns = 0;
        }
        status = hk_completion_next(it->completion, left_ns, NULL, &tag);
        chunk = (struct hki_chunk *)tag; // NOLINT(performance-no-int-to-ptr): our own tag.
    } else {
        chunk = HKI_CONTAINER(it->in_flight.next, struct hki_chunk, link);
        status = hki_wait(&chunk->future, 1, HK_ALL_COMPLETED, deadline_ns, poll);
    }
    if (status == HK_OK) {
        hki_list_remove(&chunk->link);
        hki_chunk_begin_delivery(chunk);
        it->current = chunk;
    }
    return status;
}

static bool has_more(const hk_map_iterator *it)
{
    return !hki_list_empty(&it->in_flight) || it->unsent != NULL || !it->source_ended;
}

static void give_up(struct hki_chunk *chunk)
{
    (void)hk_future_cancel(chunk->future, HK_CANCEL_REQUEST);
    hki_chunk_unref(chunk, 1);
}

static void cancel(hk_map_iterator *it)
{
    struct hki_list *first;

    it->closed = true;
    hk_completion_destroy(it->completion);
    it->completion = NULL;
    while ((first = hki_list_take_first(&it->in_flight)) != NULL) {
        give_up(HKI_CONTAINER(first, struct hki_chunk, link));
    }
    if (it->current != NULL) {
        /* Its own, and those of the items that nobody will see. */
        hki_chunk_unref(it->current, 1 + (unsigned)(it->current->count - it->current->delivered));
        it->current = NULL;
    }
    if (it->unsent != NULL) {
        hki_chunk_unref(it->unsent, 1);
        it->unsent = NULL;
    }
    it->in_flight_count = 0;
}

static void release(hk_map_iterator *it)
{
    it->is_in_use = true; /* Whatever drop functions ask of it. */
    cancel(it);
    hk_cancel_token_unref(it->options.token);
    hki_executor_unref(it->executor);
    hki_free(it, sizeof(*it));
    hki_live_add(HKI_LIVE_MAPS, -1);
}

/* The end of a call: what was put off because it came from within. */
static void leave(hk_map_iterator *it)
{
    if (it->closed && !it->abandoned) {
        cancel(it); /* Drop functions may destroy it meanwhile. */
    }
    it->is_in_use = false;
    if (it->abandoned) {
        release(it);
    }
}

static hk_status run_out(hk_map_iterator *it)
{
    cancel(it);
    return HK_ETIMEDOUT;
}

static bool is_over(const hk_map_iterator *it)
{
    return it->deadline_ns != HKI_NEVER && hk_now_ns() >= it->deadline_ns;
}

/* Waits for the next chunk to deliver from. */
static hk_status get_current(hk_map_iterator *it, hk_duration timeout)
{
    hk_status status;

    if (has_more(it) && is_over(it)) {
        return run_out(it);
    }
    fill(it);
    if (it->closed) {
        return HK_EDONE;
    }
    if (hki_list_empty(&it->in_flight)) {
        status = it->failure != HK_OK ? it->failure : HK_EDONE;
        it->failure = HK_OK;
        return status;
    }
    status = await_chunk(it, hki_earlier(it->deadline_ns, hki_deadline(timeout)), timeout == 0);
    /* Also what ended just after the limit comes too late. */
    if ((status == HK_OK || status == HK_ETIMEDOUT) && is_over(it)) {
        return run_out(it);
    }
    return status;
}

static hk_status next(hk_map_iterator *it, hk_duration timeout, hk_map_item *item)
{
    hk_status status = it->current != NULL ? HK_OK : get_current(it, timeout);

    if (status == HK_OK && it->closed) {
        status = HK_EDONE;
    }
    if (status == HK_OK) {
        deliver(it, item);
    }
    return status;
}

hk_status hk_map_next(hk_map_iterator *it, hk_duration timeout, hk_map_item *item)
{
    hk_status status;

    if (it == NULL || item == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    if (hki_fork_foreign(it->generation)) {
        return HK_EFORKED;
    }
    if (it->is_in_use) {
        return HK_ESTATE;
    }
    if (it->closed) {
        return HK_EDONE;
    }
    it->is_in_use = true;
    status = next(it, timeout, item);
    leave(it);
    return status;
}

/* --- beginning and ending --- */

static bool options_valid(const hk_map_options *options)
{
    return options == NULL ||
           (HKI_OPTIONS_VALID(options, 80) && options->window <= WINDOW_MAX &&
            options->chunk <= CHUNK_MAX && hki_duration_valid(options->timeout) &&
            hki_duration_valid(options->limit) && options->priority >= HK_PRIORITY_LOW &&
            options->priority <= HK_PRIORITY_HIGH);
}

static void set_options(hk_map_iterator *it, const hk_map_options *options)
{
    hk_duration timeout;

    if (options != NULL) {
        it->options = *options;
    }
    if (it->options.label != NULL) {
        snprintf(it->label, sizeof(it->label), "%s", it->options.label);
        it->options.label = NULL;
    }
    timeout = it->options.timeout != 0 ? it->options.timeout : it->executor->task_timeout;
    it->item_timeout = timeout == HK_FOREVER ? 0 : timeout;
    it->window = it->options.window != 0 ? it->options.window : 2 * (size_t)it->executor->width;
    it->deadline_ns = it->options.limit == 0 ? HKI_NEVER : hki_deadline(it->options.limit);
    hk_cancel_token_ref(it->options.token);
}

static hk_status begin(hk_map_iterator *it, hk_map_iterator **out)
{
    hk_status status = HK_OK;

    if (it->options.unordered) {
        status = hk_completion_create(&it->completion);
    }
    if (status == HK_OK) {
        it->is_in_use = true;
        fill(it);
        it->is_in_use = false;
        /* Refused before anything ran: then the map did not begin. */
        if (it->in_flight_count == 0 && it->refused) {
            status = it->failure;
        }
    }
    if (status != HK_OK) {
        release(it);
        return status;
    }
    *out = it;
    return HK_OK;
}

hk_status hk_map_at(const hk_site *site, hk_executor *executor, const hk_task *task,
                    hk_source_fn *source, void *state, const hk_map_options *options,
                    hk_map_iterator **out)
{
    hk_map_iterator *it;
    hk_status status;

    if (!hki_task_valid(task) || source == NULL || out == NULL || !options_valid(options)) {
        return HK_EINVAL;
    }
    if ((status = hki_executor_usable(executor)) != HK_OK) {
        return status;
    }
    if ((it = hki_zalloc(sizeof(*it))) == NULL) {
        return HK_ENOMEM;
    }
    it->executor = hki_executor_ref(executor);
    it->site = site;
    it->task = task;
    it->source = source;
    it->state = state;
    it->generation = hki_fork_generation();
    it->item_result_bytes = ITEM_RESULT_FIRST;
    hki_list_init(&it->in_flight);
    set_options(it, options);
    hki_live_add(HKI_LIVE_MAPS, 1);
    return begin(it, out);
}

hk_status hk_map_cancel(hk_map_iterator *it)
{
    if (it == NULL) {
        return HK_EINVAL;
    }
    it->closed = true;
    if (!it->is_in_use) {
        it->is_in_use = true;
        leave(it);
    }
    return HK_OK;
}

void hk_map_destroy(hk_map_iterator *it)
{
    if (it == NULL) {
        return;
    }
    if (it->is_in_use) {
        it->closed = true;
        it->abandoned = true;
        return;
    }
    release(it);
}
