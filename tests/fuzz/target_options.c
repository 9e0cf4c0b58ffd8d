/* SPDX-License-Identifier: MIT */
/*
 * Options and arguments of constructors and submits, as the input says. Wanted: HK_OK or a
 * status that the header names; and whatever was made works, runs its tasks and ends.
 */
#include <stdatomic.h>

#include "tests/fuzz/fuzz.h"

enum { WORKERS_MAX = 4 };

/* HK_OK, or one of those that are listed, up to a zero. */
static bool is_one_of(hk_status status, const hk_status *statuses)
{
    while (*statuses != HK_OK && *statuses != status) {
        statuses++;
    }
    return *statuses == status;
}

#define IS_ONE_OF(status, ...) is_one_of((status), (const hk_status[]){__VA_ARGS__, HK_OK})

/* Options, and behind them the room that their size may claim for fields of later versions. */
enum { ROOM = 4096 };

#define WITH_ROOM(type)                                                                            \
    struct {                                                                                       \
        type options;                                                                              \
        unsigned char later[ROOM];                                                                 \
    }

/* --- fields --- */

/* Numbers at which something changes, or any. */
static uint64_t number(struct hkf_input *input)
{
    static const uint64_t numbers[] = {0,         0,          0,         1,        2,
                                       3,         64,         4096,      4097,     1 << 20,
                                       INT32_MAX, UINT32_MAX, INT64_MAX, SIZE_MAX, HK_BY_REF};
    unsigned choice = hkf_pick(input, sizeof(numbers) / sizeof(numbers[0]) + 2);

    if (choice < sizeof(numbers) / sizeof(numbers[0])) {
        return numbers[choice];
    }
    return choice % 2 == 0 ? hkf_u8(input) : hkf_u64(input);
}

/* Mostly none; else absurd, or long enough for what is to run. */
static hk_duration duration(struct hkf_input *input)
{
    switch (hkf_pick(input, 8)) {
    case 0:
        return (hk_duration)hkf_u64(input);
    case 1:
        return -(hk_duration)hkf_u8(input);
    case 2:
        return 1;
    case 3:
        return HK_FOREVER;
    case 4:
        return HK_SEC(1);
    default:
        return 0;
    }
}

/* Mostly the first version's; else any, or one that a later version may have. */
static size_t struct_size(struct hkf_input *input, size_t known)
{
    switch (hkf_pick(input, 8)) {
    case 1:
        return (size_t)number(input);
    case 2:
        return known + hkf_u16(input) % (ROOM + 2U);
    default:
        return 0;
    }
}

static unsigned workers(struct hkf_input *input)
{
    uint64_t wanted = number(input);

    /* Valid ones are made few; those that are to be refused stay. */
    return wanted <= 4096 ? (unsigned)wanted % (WORKERS_MAX + 1) : (unsigned)wanted;
}

static hk_status prepare(hk_call *call, void *arg, void **local)
{
    *local = arg;
    return arg == NULL ? HK_OK : (hk_status)hk_fail(call, 1, "not this one");
}

static void executor_options(struct hkf_input *input, hk_executor_options *options)
{
    static const int cpus[] = {0, -1, 100000, INT32_MAX};
    static char name[80];

    *options = (hk_executor_options){0};
    options->size = struct_size(input, sizeof(*options));
    if (hkf_pick(input, 2) == 1) {
        hkf_bytes(input, name, sizeof(name) - 1);
        options->name = name;
    }
    options->workers = workers(input);
    options->queue_capacity = (size_t)number(input);
    options->when_full = (hk_when_full)(hkf_pick(input, 6) - 1U);
    options->idle_exit = duration(input);
    options->spare_workers = workers(input);
    options->tasks_per_worker = (unsigned)number(input);
    /* Large stacks are valid, and a sanitizer would fill a shadow of an eighth of each. */
    options->stack_size = hkf_pick(input, 4) == 1 ? (size_t)number(input) : 0;
    if (options->stack_size > (size_t)8 << 20 && options->stack_size <= (size_t)1 << 40) {
        options->stack_size = (size_t)1 << 20;
    }
    options->cpus = hkf_pick(input, 3) == 1 ? cpus : NULL;
    options->cpu_count = options->cpus == NULL ? hkf_pick(input, 9) / 8 : hkf_pick(input, 5);
    options->task_timeout = duration(input);
    options->max_payload = (size_t)number(input);
    options->initializer = hkf_pick(input, 8) == 1 ? prepare : NULL;
    options->worker_arg = hkf_pick(input, 2) == 1 ? name : NULL;
    options->roundtrip = hkf_pick(input, 2) == 1;
    options->drain_at_exit = hkf_pick(input, 2) == 1;
    options->retries = (unsigned)number(input);
    options->kill_grace = duration(input);
    options->nice_increment = (int)number(input);
}

/* --- executors --- */

HK_TASK(doubles)
{
    uint64_t value = 0;

    if (in_size != sizeof(value)) {
        return hk_fail(call, 1, "no number");
    }
    memcpy(&value, in, sizeof(value));
    value *= 2;
    return hk_return(call, &value, sizeof(value));
}

static hk_cancel_token *fired;

static void submit(hk_executor *executor, struct hkf_input *input)
{
    const int fds[] = {0, -1, 1000000};
    uint64_t value = hkf_u64(input);
    hk_future *future = NULL;
    WITH_ROOM(hk_submit_options) with_room = {.options = {0}};
    hk_submit_options *options = &with_room.options;
    const hk_task *task;
    hk_status status;
    size_t size;

    options->size = struct_size(input, sizeof(*options));
    options->label = hkf_pick(input, 2) == 1 ? "a label" : NULL;
    options->priority = (hk_priority)(hkf_pick(input, 6) - 3);
    options->timeout = duration(input);
    options->deadline = duration(input);
    options->queue_wait = duration(input);
    options->token = hkf_pick(input, 8) == 1 ? fired : NULL;
    options->retries = (unsigned)number(input);
    options->fds = hkf_pick(input, 4) == 1 ? fds : NULL;
    options->fd_count = options->fds == NULL ? hkf_pick(input, 17) / 16 : hkf_pick(input, 4);
    task = hkf_pick(input, 16) == 1 ? NULL : doubles;
    size = hkf_pick(input, 8) == 1 ? 3 : sizeof(value);
    status = hk_submit(executor, task, &value, size, options, &future);
    HKF_WANT((status == HK_OK) == (future != NULL));
    HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ENOMEM, HK_ECLOSED, HK_EFULL, HK_ETIMEDOUT, HK_ETOOBIG,
                       HK_EINIT, HK_ESYS, HK_ECANCELED));
    if (future != NULL) {
        const void *result;

        status = hk_future_result(future, HK_SEC(30), &result, NULL);
        HKF_WANT(IS_ONE_OF(status, HK_EDEADLINE, HK_EFAILED, HK_EINIT, HK_EFULL, HK_ETOOBIG));
        HKF_WANT(status != HK_OK || *(const uint64_t *)result == value * 2);
        hk_future_unref(future);
    }
}

static hk_status add_up(hk_range *range, size_t begin, size_t end, void *context)
{
    (void)range;
    atomic_fetch_add((_Atomic(size_t) *)context, end - begin);
    return HK_OK;
}

static void range(hk_executor *executor, struct hkf_input *input)
{
    WITH_ROOM(hk_range_options) with_room = {.options = {0}};
    hk_range_options *options = &with_room.options;
    size_t begin = (size_t)number(input);
    size_t end = hkf_pick(input, 4) == 1 ? (size_t)number(input) : begin + hkf_u16(input) % 500;
    _Atomic(size_t) sum = 0;
    hk_status status;
    hk_range loop;

    options->size = struct_size(input, sizeof(*options));
    options->grain = (size_t)number(input);
    options->limit = duration(input);
    options->priority = (hk_priority)(hkf_pick(input, 6) - 3);
    options->token = hkf_pick(input, 8) == 1 ? fired : NULL;
    if (end - begin > 500 && end >= begin) {
        options->grain = SIZE_MAX; /* In one piece, for it is not the loop that is looked at. */
    }
    status = hk_parallel_for(&loop, executor, begin, end, add_up, &sum, options);
    HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_EPORTABLE, HK_ECLOSED, HK_EINIT, HK_ECANCELED,
                       HK_EDEADLINE, HK_ENOMEM, HK_EFULL, HK_ESYS, HK_ETIMEDOUT, HK_ETOOBIG));
    HKF_WANT(status != HK_OK || sum == end - begin);
}

static void map(hk_executor *executor, struct hkf_input *input)
{
    static const uint64_t numbers[] = {1, 2, 3, 4, 5};
    hk_array_source source = {.items = numbers, .count = 5, .stride = hkf_pick(input, 9)};
    WITH_ROOM(hk_map_options) with_room = {.options = {0}};
    hk_map_options *options = &with_room.options;
    hk_map_iterator *iterator;
    hk_map_item item;
    hk_status status;

    options->size = struct_size(input, sizeof(*options));
    options->window = (size_t)number(input);
    options->chunk = (size_t)number(input);
    options->count = (size_t)number(input);
    options->unordered = hkf_pick(input, 2) == 1;
    options->timeout = duration(input);
    options->limit = duration(input);
    options->priority = (hk_priority)(hkf_pick(input, 6) - 3);
    options->token = hkf_pick(input, 8) == 1 ? fired : NULL;
    options->label = "map";
    status = hk_map(executor, doubles, hk_array_source_next, &source, options, &iterator);
    HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ENOMEM, HK_ECLOSED, HK_EINIT, HK_EPORTABLE, HK_ETOOBIG,
                       HK_ECANCELED, HK_ESYS, HK_EFULL, HK_ETIMEDOUT));
    if (status != HK_OK) {
        return;
    }
    for (unsigned nexts = 0; nexts < 12 && status != HK_EDONE; nexts++) {
        status = hk_map_next(iterator, HK_SEC(30), &item);
        if (status == HK_OK) {
            HKF_WANT(item.index < 5);
            hk_map_item_drop(&item);
        }
    }
    HKF_WANT(status == HK_EDONE);
    hk_map_destroy(iterator);
}

static void use(hk_executor *executor, struct hkf_input *input)
{
    hk_shutdown_how how;
    hk_status status;

    for (unsigned uses = hkf_pick(input, 5); uses > 0; uses--) {
        switch (hkf_pick(input, 6)) {
        case 0:
            range(executor, input);
            break;
        case 1:
            map(executor, input);
            break;
        case 2:
            status = hk_executor_resize(executor, workers(input));
            HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ECLOSED));
            break;
        default:
            submit(executor, input);
            break;
        }
    }
    how = (hk_shutdown_how)(hkf_pick(input, 6) - 1U);
    status = hk_executor_shutdown(executor, how, hkf_pick(input, 2) == 1 ? HK_SEC(30) : -1);
    HKF_WANT(IS_ONE_OF(status, HK_EINVAL));
    HKF_WANT(hk_executor_destroy(executor) == HK_OK);
}

static void make_executor(struct hkf_input *input)
{
    WITH_ROOM(hk_executor_options) with_room = {.options = {0}};
    const hk_executor_options *options = &with_room.options;
    hk_executor *executor = NULL;
    hk_executor *base;
    hk_status status;

    executor_options(input, &with_room.options);
    switch (hkf_pick(input, 4)) {
    case 0:
        status = hk_inline_create(options, &executor);
        break;
    case 1:
        status = hk_thread_pool_create(options, &executor);
        break;
    case 2:
        status = hk_replay_create(hkf_u64(input), options, &executor);
        break;
    default:
        HKF_WANT(hk_thread_pool_create(&(hk_executor_options){.workers = 1}, &base) == HK_OK);
        status = hk_serial_create(base, options, &executor);
        if (executor != NULL) {
            use(executor, input);
            executor = NULL;
        }
        HKF_WANT(hk_executor_destroy(base) == HK_OK);
        break;
    }
    HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ENOMEM));
    if (executor != NULL) {
        use(executor, input);
    }
}

/* --- what carries items --- */

static unsigned dropped;

static void drop_item(void *item, void *arg)
{
    (void)item;
    (void)arg;
    dropped++;
}

static void make_queue(struct hkf_input *input)
{
    unsigned order = hkf_pick(input, 8);
    hk_queue_options options = {.order = (hk_queue_order)(order - 2U),
                                .capacity = (size_t)number(input),
                                .name = "a name that is longer than thirty-one bytes",
                                .drop = drop_item};
    unsigned kept = 0;
    hk_queue *queue;
    hk_status status = hk_queue_create(&options, &queue);
    void *item;

    HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ENOMEM));
    if (status != HK_OK) {
        return;
    }
    dropped = 0;
    for (unsigned moves = hkf_pick(input, 16); moves > 0; moves--) {
        switch (hkf_pick(input, 4)) {
        case 0:
            status = hk_queue_get(queue, 0, &item);
            HKF_WANT(IS_ONE_OF(status, HK_ETIMEDOUT));
            kept -= status == HK_OK;
            break;
        case 1:
            status = hk_queue_put_priority(queue, &item, (int)number(input), 0);
            HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ETIMEDOUT, HK_EFULL, HK_ESTATE));
            kept += status == HK_OK;
            break;
        case 2:
            status = hk_queue_put_delayed(queue, &item, duration(input), 0);
            HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ETIMEDOUT, HK_EFULL, HK_ESTATE));
            kept += status == HK_OK;
            break;
        default:
            status = hk_queue_put(queue, &item, 0);
            HKF_WANT(IS_ONE_OF(status, HK_ETIMEDOUT, HK_EFULL));
            kept += status == HK_OK;
            break;
        }
    }
    HKF_WANT(hk_queue_destroy(queue) == HK_OK && dropped == kept);
}

static void make_ring(struct hkf_input *input)
{
    hk_ring_options options = {.capacity = (size_t)number(input), .drop = drop_item};
    hk_ring *ring;
    hk_status status;
    void *item;

    if (options.capacity > 1 << 16 && options.capacity < (size_t)1 << 58) {
        options.capacity = 1 << 10; /* Valid, and gigabytes. */
    }
    status = hk_ring_create(&options, &ring);
    HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ENOMEM));
    if (status == HK_OK) {
        dropped = 0;
        HKF_WANT(hk_ring_put(ring, &item, 0) == HK_OK);
        HKF_WANT(hk_ring_destroy(ring) == HK_OK && dropped == 1);
    }
}

static void make_counts(struct hkf_input *input)
{
    hk_semaphore semaphore;
    hk_latch latch;
    hk_barrier barrier;
    uint32_t initial = (uint32_t)number(input);
    uint32_t count = (uint32_t)number(input);
    hk_status status = hk_semaphore_init(&semaphore, NULL, initial, (uint32_t)number(input));

    HKF_WANT(IS_ONE_OF(status, HK_EINVAL));
    if (status == HK_OK) {
        HKF_WANT(hk_semaphore_value(&semaphore) == initial);
        status = hk_semaphore_acquire(&semaphore, count, 0);
        HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ETIMEDOUT));
        status = hk_semaphore_release(&semaphore, count);
        HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ESTATE));
    }
    status = hk_latch_init(&latch, NULL, count);
    HKF_WANT(IS_ONE_OF(status, HK_EINVAL));
    if (status == HK_OK) {
        status = hk_latch_add(&latch, initial);
        HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ESTATE));
        status = hk_latch_count_down(&latch, (uint32_t)number(input));
        HKF_WANT(IS_ONE_OF(status, HK_EINVAL, HK_ESTATE));
        status = hk_latch_wait(&latch, 0);
        HKF_WANT(IS_ONE_OF(status, HK_ETIMEDOUT));
        hk_latch_destroy(&latch);
    }
    status = hk_barrier_init(&barrier, NULL, count);
    HKF_WANT(IS_ONE_OF(status, HK_EINVAL));
    if (status == HK_OK) {
        HKF_WANT(hk_barrier_wait(&barrier, 0, NULL) == (count == 1 ? HK_OK : HK_ETIMEDOUT));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct hkf_input input = {bytes, size};
    size_t alive;

    hkf_be_quiet();
    if (fired == NULL) {
        HKF_WANT(hk_cancel_token_create(NULL, &fired) == HK_OK);
        (void)hk_cancel_token_fire(fired, "from the first on");
    }
    alive = hkf_alive();
    switch (hkf_pick(&input, 8)) {
    case 0:
        make_queue(&input);
        break;
    case 1:
        make_ring(&input);
        break;
    case 2:
        make_counts(&input);
        break;
    default:
        make_executor(&input);
        break;
    }
    hkf_want_alive(alive);
    return 0;
}
