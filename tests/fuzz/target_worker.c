/* SPDX-License-Identifier: MIT */
/*
 * A pool of two workers, of which the first is hostile: the input says what it does to the
 * memory that it shares with its pool, what it sends, and when it dies, and what the
 * application does meanwhile. Wanted: every future ends, the shutdown ends, nothing is read
 * or written that is not there, and what the second worker answered arrives.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "executors/process_pool/fd_passing.h"
#include "tests/fuzz/fake_zygote.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/hostile.h"
#include "tests/fuzz/scribble.h"

enum { TASKS_MAX = 48, STEPS_MAX = 160, ITEMS = 8, INPUT_MAX = 600000 };

#define ARENA_BYTES ((size_t)1 << 20)

struct given {
    hk_future *future;
    bool is_small;    /* Its input is in its cell, out of others' reach. */
    bool is_answered; /* By the honest worker. */
    bool is_meddled;  /* Cancelled, or told to end. */
};

static struct {
    hk_executor *executor;
    struct given given[TASKS_MAX];
    uint64_t count;
    hk_map_iterator *map;
    bool is_ended; /* The executor was told to. */
    bool is_lost;  /* The zygote. */
} stage;

/* Never run here: the workers are played. */
HK_TASK(echo)
{
    return hk_return(call, in, in_size);
}

HK_TASK_FLAGS(echo_again, HK_TASK_IDEMPOTENT)
{
    return hk_return(call, in, in_size);
}

/* --- the application --- */

static size_t input_size(struct hkf_input *input)
{
    static const size_t sizes[] = {8, 8, 8, 48, 49, 200, 5000, 70000, INPUT_MAX};

    return sizes[hkf_pick(input, sizeof(sizes) / sizeof(sizes[0]))];
}

static void submit(struct hkf_input *input)
{
    static unsigned char bytes[INPUT_MAX];
    const hk_task *task = hkf_pick(input, 2) == 0 ? echo : echo_again;
    size_t size = input_size(input);
    struct given *given = &stage.given[stage.count];

    if (stage.count == TASKS_MAX) {
        return;
    }
    memcpy(bytes, &stage.count, sizeof(stage.count));
    *given = (struct given){.is_small = size <= HKI_CELL_INPUT, .is_meddled = stage.is_ended};
    if (hk_submit(stage.executor, task, bytes, size, NULL, &given->future) == HK_OK) {
        stage.count++;
    }
}

static void submit_buffer(struct hkf_input *input)
{
    struct given *given = &stage.given[stage.count];
    hk_buffer *buffer;

    if (stage.count == TASKS_MAX ||
        hk_buffer_create(stage.executor, input_size(input), &buffer) != HK_OK) {
        return;
    }
    memcpy(hk_buffer_data(buffer), &stage.count, sizeof(stage.count));
    *given = (struct given){.is_meddled = stage.is_ended};
    if (hk_submit_buffer(stage.executor, echo, buffer, NULL, &given->future) == HK_OK) {
        stage.count++;
    } else {
        hk_buffer_destroy(buffer);
    }
}

static void begin_map(struct hkf_input *input)
{
    static const uint64_t items[ITEMS] = {1, 2, 3, 4, 5, 6, 7, 8};
    static hk_array_source source;
    hk_map_options options = {.chunk = 1 + hkf_pick(input, 5)};

    options.window = 1 + hkf_pick(input, 3);
    options.unordered = hkf_pick(input, 2) == 0;

    if (stage.map == NULL) {
        source = (hk_array_source){.items = items, .count = ITEMS, .stride = sizeof(items[0])};
        if (hk_map(stage.executor, echo, hk_array_source_next, &source, &options, &stage.map) !=
            HK_OK) {
            stage.map = NULL;
        }
    }
}

/* HK_OK or why there was no item. */
static hk_status next_item(hk_duration timeout)
{
    hk_map_item item;
    hk_status status = hk_map_next(stage.map, timeout, &item);

    if (status == HK_OK) {
        HKF_WANT(item.index < ITEMS && (item.status == HK_OK || item.size == 0));
        hkf_touch(item.data, item.size);
        hk_map_item_drop(&item);
    }
    return status;
}

static void touch_value(hk_future *future)
{
    enum { EDGE = 64 };
    const void *value;
    size_t size;

    if (hk_future_result(future, 0, &value, &size) == HK_OK) {
        const unsigned char *bytes = value;

        hkf_touch(bytes, size < EDGE ? size : EDGE);
        hkf_touch(size < EDGE ? bytes : bytes + size - EDGE, size < EDGE ? size : EDGE);
    }
}

static void look_at_one(struct hkf_input *input)
{
    hk_future *future;
    uint64_t done;
    uint64_t total;
    hk_executor_statistics statistics;

    (void)hk_executor_stats(stage.executor, &statistics);
    if (stage.count == 0) {
        return;
    }
    future = stage.given[hkf_pick(input, (unsigned)stage.count)].future;
    (void)hk_future_progress(future, &done, &total);
    (void)hk_future_state(future);
    if (hk_future_wait(future, HK_US(1)) == HK_ETIMEDOUT) { /* This thread collects. */
        (void)hk_future_state(future);
    }
    touch_value(future);
}

static void cancel_one(struct hkf_input *input)
{
    struct given *given;

    if (stage.count != 0) {
        given = &stage.given[hkf_pick(input, (unsigned)stage.count)];
        given->is_meddled = true;
        (void)hk_future_cancel(given->future, (hk_cancel_level)hkf_pick(input, 3));
    }
}

static void end_executor(hk_shutdown_how how)
{
    stage.is_ended = true;
    for (uint64_t i = 0; i < stage.count; i++) {
        stage.given[i].is_meddled = true;
    }
    (void)hk_executor_shutdown(stage.executor, how, 0);
}

/* --- the second worker --- */

static void answer(struct hkf_worker *worker, struct hki_cell *cell)
{
    uint64_t number = 0;

    cell->outcome = HK_OK;
    if (cell->input_place != HKI_INPUT_CELL) {
        cell->output_place =
            cell->input_place == HKI_INPUT_ARENA ? HKI_OUTPUT_INPUT : HKI_OUTPUT_CELL;
        cell->output_at = cell->input_at;
        cell->output_size = cell->input_place == HKI_INPUT_ARENA ? cell->input_size : 0;
        return;
    }
    (void)worker;
    memcpy(&number, cell->input, sizeof(number));
    HKF_WANT(number < stage.count + 1);
    stage.given[number].is_answered = true;
    number = number * 2 + 1;
    memcpy(cell->output, &number, sizeof(number));
    cell->output_place = HKI_OUTPUT_CELL;
    cell->output_size = sizeof(number);
}

static void serve_honestly(struct hkf_worker *worker, unsigned most, bool sleeps)
{
    struct hki_channel *channel = hkf_channel(worker);

    atomic_store(&channel->stage, HKI_WORKER_READY);
    while (worker->served != atomic_load(&channel->tail) && most-- != 0) {
        struct hki_cell *cell = &channel->cells[worker->served % HKI_CELLS];
        uint32_t word = hki_cell_word(worker->served, HKI_CELL_QUEUED);

        if (atomic_compare_exchange_strong(&cell->state, &word,
                                           hki_cell_word(worker->served, HKI_CELL_RUNNING))) {
            answer(worker, cell);
            atomic_store(&cell->state, hki_cell_word(worker->served, HKI_CELL_DONE));
        }
        atomic_store(&channel->done, ++worker->served);
    }
    atomic_store(&channel->sleeping, sleeps ? 1 : 0);
}

/* --- the system --- */

static void lose_zygote(void)
{
    if (stage.is_lost) {
        return;
    }
    stage.is_lost = true;
    for (uint64_t i = 0; i < stage.count; i++) {
        stage.given[i].is_meddled = true;
    }
    for (unsigned i = 0; i < HKF_WORKERS_MAX; i++) {
        if (hkf_zygote.workers[i].is_there) {
            hkf_zygote.workers[i].is_there = false;
            (void)close(hkf_zygote.workers[i].socket);
        }
    }
    hkf_zygote.client->zygote_lost(hkf_zygote.client);
}

static void tell_births(struct hkf_input *input)
{
    bool is_alive = hkf_pick(input, 8) != 0;

    for (unsigned i = 0; i < HKF_WORKERS_MAX; i++) {
        hkf_tell_birth(&hkf_zygote.workers[i], is_alive);
    }
}

static void kill_one(struct hkf_input *input)
{
    static const int statuses[] = {SIGKILL, SIGSEGV, SIGBUS, SIGXCPU, 0, 7 << 8};
    struct hkf_worker *worker = &hkf_zygote.workers[hkf_pick(input, 4) == 0 ? 1 : 0];
    unsigned choice = hkf_pick(input, 7);
    int status = choice < 6 ? statuses[choice] : (int)hkf_u16(input);

    if (worker->is_there) {
        hkf_tell_death(worker, status, hkf_pick(input, 4) == 0);
    }
}

static void change_between_reads(struct hkf_input *input)
{
    unsigned loads = hkf_u8(input);

    hkf_scribble_arm(loads, hkf_u64(input));
    hkf_attend();
    hkf_scribble_disarm();
}

/* --- one input --- */

static void open_stage(struct hkf_input *input)
{
    hk_executor_options options = {
        .workers = 2, .memory_bytes = ARENA_BYTES, .max_payload = ARENA_BYTES};
    struct process_pool *pool;

    options.retries = hkf_pick(input, 3);
    options.tasks_per_worker = hkf_pick(input, 2) == 0 ? 0 : 3;
    options.worker_rss_limit = hkf_pick(input, 2) == 0 ? 0 : 1000;
    options.kill_grace = hkf_pick(input, 2) == 0 ? 0 : HK_MS(1);

    memset(&stage, 0, sizeof(stage));
    HKF_WANT(hk_process_pool_create(&options, &stage.executor) == HK_OK);
    pool = hkf_pool();
    /* What the first worker can reach, but for the arena, which no number is read from twice. */
    hkf_scribble_where(pool->seats[0].channel, pool->page->channel_stride);
}

/* What is rare. */
static void happen(struct hkf_input *input)
{
    switch (hkf_pick(input, 8)) {
    case 0:
        lose_zygote();
        return;
    case 1:
        end_executor((hk_shutdown_how)hkf_pick(input, 4));
        return;
    case 2:
        hkf_zygote.refuses = !hkf_zygote.refuses;
        return;
    default:
        hkf_attend();
        return;
    }
}

static void step(struct hkf_input *input)
{
    struct hkf_worker *hostile = &hkf_zygote.workers[0];
    struct hkf_worker *honest = &hkf_zygote.workers[1];

    switch (hkf_pick(input, 16)) {
    case 0:
    case 1:
        submit(input);
        return;
    case 2:
        submit_buffer(input);
        return;
    case 3:
        begin_map(input);
        return;
    case 4:
        tell_births(input);
        return;
    case 5:
    case 6:
    case 7:
        if (hostile->is_there) {
            hkf_hostile_move(hostile, input);
        }
        return;
    case 8:
        if (honest->is_there) {
            unsigned most = 1 + hkf_pick(input, 64);

            serve_honestly(honest, most, hkf_pick(input, 2) == 1);
        }
        return;
    case 9:
        kill_one(input);
        return;
    case 10:
        look_at_one(input);
        return;
    case 11:
        cancel_one(input);
        return;
    case 12:
        change_between_reads(input);
        return;
    case 13:
        if (stage.map != NULL) {
            (void)next_item(0);
        }
        return;
    case 14:
        (void)hkf_bury_killed();
        hkf_attend();
        return;
    default:
        happen(input);
        return;
    }
}

/* Everything dies, and the pool hears of it. */
static void end_workers(void)
{
    enum { ROUNDS = 64 };

    if (!stage.is_lost) {
        hkf_attend(); /* What has ended by now shall arrive. */
    }
    (void)hk_executor_shutdown(stage.executor, HK_SHUTDOWN_KILL, 0);
    for (unsigned round = 0; round < ROUNDS && hkf_pool()->live != 0; round++) {
        for (unsigned i = 0; i < HKF_WORKERS_MAX; i++) {
            if (hkf_zygote.workers[i].is_there) {
                hkf_tell_death(&hkf_zygote.workers[i], SIGKILL, false);
            }
        }
        hkf_attend();
    }
    HKF_WANT(hkf_pool()->live == 0);
    HKF_WANT(hk_executor_shutdown(stage.executor, HK_SHUTDOWN_KILL, HK_SEC(10)) == HK_OK);
}

static void expect_ends(void)
{
    for (uint64_t i = 0; i < stage.count; i++) {
        struct given *given = &stage.given[i];
        const void *value;
        size_t size;
        uint64_t number;

        HKF_WANT(hk_future_wait(given->future, HK_SEC(10)) == HK_OK);
        touch_value(given->future);
        if (given->is_small && given->is_answered && !given->is_meddled) {
            HKF_WANT(hk_future_result(given->future, 0, &value, &size) == HK_OK);
            HKF_WANT(size == sizeof(number));
            memcpy(&number, value, sizeof(number));
            HKF_WANT(number == i * 2 + 1);
        }
    }
    while (stage.map != NULL) {
        hk_status status = next_item(HK_SEC(10));

        HKF_WANT(status != HK_ETIMEDOUT);
        if (status == HK_EDONE) {
            hk_map_destroy(stage.map);
            stage.map = NULL;
        }
    }
}

static void release(void)
{
    for (uint64_t i = 0; i < stage.count; i++) {
        touch_value(stage.given[i].future);
        hk_future_unref(stage.given[i].future);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct hkf_input input = {bytes, size};
    size_t alive;
    bool outlives;

    hkf_be_quiet();
    alive = hkf_alive();
    open_stage(&input);
    outlives = hkf_pick(&input, 2) == 0;
    for (unsigned steps = 0; input.left != 0 && steps < STEPS_MAX; steps++) {
        step(&input);
    }
    end_workers();
    expect_ends();
    if (!outlives) {
        release();
    }
    HKF_WANT(hk_executor_destroy(stage.executor) == HK_OK);
    if (outlives) {
        release();
    }
    hkf_want_alive(alive);
    return 0;
}
