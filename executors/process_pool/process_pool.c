/* SPDX-License-Identifier: MIT */
/* The pool of processes: making it, its table of operations, and its end. */
#include <hocket/process_pool.h>

#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "base/no_cancel.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/code_map.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/pool.h"
#include "executors/process_pool/worker.h"
#include "executors/start.h"

/* How many pools are around this process; a worker sets it. */
uint32_t hki_process_depth;

enum { NESTING_DEFAULT = 10, DESCRIPTORS_EACH = 2, DESCRIPTORS_SPARE = 16 };

#define START_TIMEOUT_DEFAULT HK_SEC(30)

/* --- submitting --- */

static bool is_known(const hk_task *task)
{
    /* The cast to another type of function changes nothing: it is only compared. */
    return task == NULL || hki_code_map_has_function((void (*)(void))task->run);
}

static hk_status check(void *self, const struct hki_request *request)
{
    (void)self;
    if (request->size == HK_BY_REF) {
        return HK_EPORTABLE;
    }
    return is_known(request->task) && is_known(request->named) ? HK_OK : HK_ENOTASK;
}

/* --- the rest of the table --- */

/* Under the lock. */
static bool is_over(const struct process_pool *pool)
{
    return pool->live == 0 && pool->queue.length == 0 && pool->given == 0 && pool->concluding == 0;
}

static hk_status join(void *self, hk_duration timeout)
{
    struct process_pool *pool = self;
    int64_t deadline_ns = hki_deadline(timeout);
    hk_status status = HK_OK;

    if (hki_zygote_is_supervisor()) {
        return HK_EDEADLK;
    }
    pthread_mutex_lock(&pool->lock);
    while (!is_over(pool) && status == HK_OK) {
        if (!hki_condition_wait(&pool->settled, &pool->lock, deadline_ns)) {
            status = is_over(pool) ? HK_OK : hki_not_in_time(deadline_ns);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

static void release(struct process_pool *pool)
{
    hki_courier_end(pool);
    if (pool->arena != NULL) {
        hki_arena_unref(pool->arena);
    }
    if (pool->memory != NULL) {
        hki_pool_memory_unref(pool->memory);
    }
    if (pool->seats != NULL) {
        hki_free(pool->seats, pool->seat_count * sizeof(*pool->seats));
    }
    pthread_mutex_destroy(&pool->lock);
    hki_free(pool, sizeof(*pool));
}

static void destroy(void *self)
{
    struct process_pool *pool = self;

    (void)HKI_FAULT("pool_goes");
    hki_zygote_unregister(&pool->client);
    hki_task_queue_destroy(&pool->queue);
    release(pool);
}

static void count_cells(const struct process_pool *pool, hk_executor_statistics *out)
{
    for (unsigned i = 0; i < pool->high_seat; i++) {
        struct seat *seat = &pool->seats[i];

        for (uint32_t n = 0; n < hki_seat_outstanding(seat); n++) {
            uint32_t request = atomic_load(&seat->done) + n;

            if (hki_seat_entry(seat, request)->job == NULL) {
                continue;
            }
            if (atomic_load(&hki_seat_cell(seat, request)->state) ==
                hki_cell_word(request, HKI_CELL_QUEUED)) {
                out->queued++;
            } else if (!hki_seat_entry(seat, request)->forced) {
                out->running++;
            }
        }
        out->workers_idle += seat->life == SEAT_READY && hki_seat_outstanding(seat) == 0 ? 1 : 0;
    }
}

static void statistics(void *self, hk_executor_statistics *out)
{
    struct process_pool *pool = self;

    pthread_mutex_lock(&pool->lock);
    out->queued = pool->queue.counted;
    out->queued_most = pool->queue.most;
    out->running = 0;
    out->workers = pool->live;
    out->workers_started = pool->started_ever;
    count_cells(pool, out);
    pthread_mutex_unlock(&pool->lock);
}

static hk_status resize(void *self, unsigned workers)
{
    struct process_pool *pool = self;

    if (workers > pool->seat_count) {
        return HK_EINVAL;
    }
    pthread_mutex_lock(&pool->lock);
    pool->target = workers;
    pool->standing = pool->standing < workers ? pool->standing : workers;
    for (unsigned i = pool->high_seat; i > 0; i--) {
        hki_seat_review(&pool->seats[i - 1]);
    }
    hki_pool_dispatch(pool);
    hki_condition_broadcast(&pool->settled); /* Fewer may be enough for a prestart. */
    pthread_mutex_unlock(&pool->lock);
    return HK_OK;
}

/* Those that are starting stay: they are new. What is queued in the cells of the others would
 * wait for their tasks, so it goes back. */
static hk_status restart(void *self)
{
    struct process_pool *pool = self;

    pthread_mutex_lock(&pool->lock);
    for (unsigned i = pool->high_seat; i > 0; i--) {
        struct seat *seat = &pool->seats[i - 1];

        if (seat->life == SEAT_READY) {
            hki_pool_withdraw_queued(seat);
            hki_seat_retire(seat);
        }
    }
    hki_pool_dispatch(pool);
    pthread_mutex_unlock(&pool->lock);
    return HK_OK;
}

/* Under the lock. */
static unsigned ready(const struct process_pool *pool)
{
    unsigned count = 0;

    for (unsigned i = 0; i < pool->high_seat; i++) {
        count += pool->seats[i].life == SEAT_READY ? 1 : 0;
    }
    return count;
}

/* Under the lock: as many as were asked for then and are still wanted. Those of a later resize come
 * when there is work for them, so nobody waits for them here. */
static bool has_started(const void *self)
{
    const struct process_pool *pool = self;
    unsigned asked = pool->standing < pool->target ? pool->standing : pool->target;

    return pool->broken || pool->closing || ready(pool) >= asked;
}

static hk_status prestart(void *self, hk_duration wait)
{
    struct process_pool *pool = self;
    hk_status status = HK_OK;
    bool waits;

    pthread_mutex_lock(&pool->lock);
    pool->standing = pool->target;
    pool->prestarting++; /* Before the first answer: it may be that there is no worker to be had. */
    hki_pool_staff(pool);
    waits = wait != 0 && !has_started(pool);
    pthread_mutex_unlock(&pool->lock);
    if (waits) {
        /* Workers come up in other processes, and the supervisor that hears of it waits for
         * nobody: so there is no look_at_start. */
        status = hki_start_await(pool->executor, &pool->lock, &pool->settled, has_started,
                                 hki_deadline(wait));
    }
    pthread_mutex_lock(&pool->lock);
    pool->prestarting--;
    pthread_mutex_unlock(&pool->lock);
    return status;
}

/* The one thread of this process that the end can wait for: it runs what is the application's. */
static enum hki_wait_kind look_at_end(void *self, size_t *count)
{
    (void)self;
    *count = 1;
    return HKI_WAIT_ALL;
}

static struct hki_wait_node next_of_end(void *self, size_t i)
{
    struct process_pool *pool = self;

    (void)i;
    return hki_agent_node(atomic_load(&pool->courier_agent));
}

static const hk_executor_ops ops = {
    .size = sizeof(ops),
    .kind = "processes",
    .flags = 0,
    .submit = hki_pool_submit,
    .remove = hki_pool_remove,
    .shutdown = hki_pool_shutdown,
    .join = join,
    .destroy = destroy,
    .statistics = statistics,
    .resize = resize,
    .prestart = prestart,
    .restart = restart,
};

static const struct hki_remote_traits remote = {
    .check = check,
    .refresh = hki_pool_refresh,
    .recall = hki_pool_recall,
    .park = hki_pool_park,
    .assist = hki_pool_assist,
    .stop = hki_pool_stop,
    .overrun = hki_pool_overrun,
    .kill = hki_pool_kill,
    .run_end_ns = hki_pool_run_end_ns,
    .buffer_create = hki_pool_buffer_create,
};

static const struct hki_executor_traits traits = {
    .remote = &remote, .look_at_end = look_at_end, .next_of_end = next_of_end};

/* --- making one --- */

/* What the system would refuse later is refused now. */
static hk_status check_limits(unsigned workers)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur < workers) {
        return HK_EINVAL;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < (rlim_t)workers * DESCRIPTORS_EACH + DESCRIPTORS_SPARE) {
        return HK_EINVAL;
    }
    return HK_OK;
}

_Static_assert(sizeof(hk_filter_step) == sizeof(struct hki_os_filter_step) &&
                   (int)HK_SANDBOX_READ_FILES == (int)HKI_OS_SANDBOX_READ_FILES &&
                   (int)HK_SANDBOX_COMPUTE == (int)HKI_OS_SANDBOX_COMPUTE,
               "what the application says is what the system hears");

static void copy_filter(struct hki_os_filter_step *steps, const hk_executor_options *options)
{
    for (size_t i = 0; i < options->filter_count; i++) {
        const hk_filter_step *step = &options->filter[i];

        steps[i] =
            (struct hki_os_filter_step){step->code, step->jump_true, step->jump_false, step->value};
    }
}

/* A program that the kernel would not take would only fail in each worker. */
static hk_status check_sandbox(const hk_executor_options *options)
{
    struct hki_os_filter_step steps[HKI_OS_FILTER_MAX];

    if (options->sandbox < HK_SANDBOX_NONE || options->sandbox > HK_SANDBOX_COMPUTE ||
        options->filter_count > HKI_OS_FILTER_MAX ||
        (options->filter == NULL) != (options->filter_count == 0)) {
        return HK_EINVAL;
    }
    if (options->filter_count != 0) {
        copy_filter(steps, options);
        if (!hki_os_filter_sound(steps, options->filter_count)) {
            return HK_EINVAL;
        }
    }
    if (options->filter_count != 0 && !hki_os_filter_available()) {
        return HK_ESYS;
    }
    return options->sandbox == HK_SANDBOX_NONE || hki_os_sandbox_available() ? HK_OK : HK_ESYS;
}

static hk_status check_options(const hk_executor_options *options, unsigned workers)
{
    hk_status status = hki_executor_check_options(options);

    if (status != HK_OK) {
        return status;
    }
    if (workers > HKI_PROCESSES_MAX || options->limit_count > HKI_RLIMITS_MAX ||
        (options->limit_count != 0 && options->limits == NULL) || options->kill_grace < 0 ||
        options->start_timeout < 0 || options->memory_bytes > HKI_MEMORY_MAX ||
        options->when_full == HK_FULL_CALLER_RUNS) {
        return HK_EINVAL;
    }
    if ((status = check_sandbox(options)) != HK_OK) {
        return status;
    }
    return check_limits(workers);
}

static hk_status copy_environment(struct hki_pool_page *page, const char *const *strings)
{
    size_t at = 0;

    for (; strings != NULL && *strings != NULL; strings++) {
        size_t size = strlen(*strings) + 1;

        if (size == 1 || (*strings)[0] == '=' || size > sizeof(page->environment) - at) {
            return HK_EINVAL;
        }
        memcpy(page->environment + at, *strings, size);
        at += size;
        page->environment_count++;
    }
    return HK_OK;
}

static hk_status fill_page(struct process_pool *pool, const hk_executor_options *options)
{
    struct hki_pool_page *page = pool->page;

    hki_executor_name(options, ops.kind, page->name);
    page->spin_ns = HKI_SPIN_NS;
    page->max_payload = options->max_payload != 0 ? options->max_payload : HKI_PAYLOAD_DEFAULT;
    page->initializer = options->initializer;
    page->finalizer = options->finalizer;
    page->worker_arg = options->worker_arg;
    page->has_nice = options->nice_increment != 0;
    page->nice = options->nice_increment;
    page->rss_limit = options->worker_rss_limit;
    page->rlimit_count = (uint32_t)options->limit_count;
    for (size_t i = 0; i < options->limit_count; i++) {
        page->rlimits[i] = (struct hki_rlimit){options->limits[i].resource,
                                               {options->limits[i].soft, options->limits[i].hard}};
    }
    for (size_t i = 0; i < options->cpu_count; i++) {
        page->has_cpus = 1;
        if ((size_t)options->cpus[i] < sizeof(page->cpus) * 8) {
            page->cpus[options->cpus[i] / 64] |= UINT64_C(1) << (options->cpus[i] % 64);
        }
    }
    page->depth = hki_process_depth + 1;
    page->no_new_privs = options->no_new_privs;
    page->sandbox = (uint32_t)options->sandbox;
    page->filter_count = (uint32_t)options->filter_count;
    copy_filter(page->filter, options);
    return copy_environment(page, options->environment);
}

static void set_up(struct process_pool *pool, const hk_executor_options *options)
{
    pthread_mutex_init(&pool->lock, NULL);
    hki_condition_init(&pool->settled);
    hki_task_queue_init(&pool->queue, options);
    hki_list_init(&pool->idle);
    pool->depth = HKI_DEPTH_LEAST;
    pool->exact = options->queue_capacity != 0 || options->when_full != HK_FULL_BLOCK;
    pool->cpus = hki_os_cpu_count();
    pool->respawn_at_ns = HKI_NEVER;
    pool->idle_look_at_ns = HKI_NEVER;
    pool->rebalance_at_ns = HKI_NEVER;
    pool->idle_exit = options->idle_exit == 0 ? HK_FOREVER : options->idle_exit;
    pool->kill_grace = options->kill_grace;
    pool->tasks_per_worker = options->tasks_per_worker;
    pool->worker_rss_limit = options->worker_rss_limit;
    pool->start_timeout =
        options->start_timeout == 0 ? START_TIMEOUT_DEFAULT : options->start_timeout;
    pool->jitter = (unsigned)hk_now_ns();
    pool->client = (struct hki_zygote_client){.spawned = hki_pool_spawned,
                                              .died = hki_pool_died,
                                              .zygote_lost = hki_pool_zygote_lost,
                                              .attend = hki_pool_attend};
}

static hk_status make_seats(struct process_pool *pool)
{
    unsigned count = pool->target * 2 < HKI_SEATS_LEAST ? HKI_SEATS_LEAST : pool->target * 2;

    pool->seat_count = count > HKI_PROCESSES_MAX ? HKI_PROCESSES_MAX : count;
    pool->seats = hki_zalloc(pool->seat_count * sizeof(*pool->seats));
    if (pool->seats == NULL) {
        return HK_ENOMEM;
    }
    for (unsigned i = 0; i < pool->seat_count; i++) {
        pool->seats[i].pool = pool;
        pool->seats[i].index = i;
        pool->seats[i].socket = -1;
        pool->seats[i].stop_event = -1;
        hki_list_init(&pool->seats[i].idle);
    }
    return HK_OK;
}

static hk_status make_memory(struct process_pool *pool, const hk_executor_options *options)
{
    uint64_t bytes = options->memory_bytes == 0 ? HKI_MEMORY_DEFAULT : options->memory_bytes;
    hk_status status = hki_pool_memory_create(pool->seat_count, bytes, &pool->memory);

    if (status != HK_OK) {
        return status;
    }
    pool->page = pool->memory->page;
    pool->client.memory = pool->memory;
    for (unsigned i = 0; i < pool->seat_count; i++) {
        pool->seats[i].channel = hki_channel_of(pool->page, i);
    }
    hki_pool_set_attention(pool, HKI_RING_FIRST);
    status = hki_arena_create(pool->memory, &pool->arena);
    return status == HK_OK ? fill_page(pool, options) : status;
}

static hk_status build(struct process_pool *pool, const hk_executor_options *options)
{
    hk_executor_options named = *options;
    hk_status status = make_seats(pool);

    if (status != HK_OK || (status = make_memory(pool, options)) != HK_OK ||
        (status = hki_courier_start(pool)) != HK_OK) {
        return status;
    }
    named.name = pool->page->name; /* A number was drawn for it, if it had none. */
    named.no_new_privs = false;    /* These are the workers' affair. */
    named.sandbox = HK_SANDBOX_NONE;
    named.filter = NULL;
    named.filter_count = 0;
    if ((status = hk_executor_create(&ops, pool, &named, &pool->executor)) != HK_OK) {
        return status;
    }
    pool->executor->traits = &traits;
    atomic_store(&pool->executor->width, pool->target);
    if ((status = hki_zygote_register(&pool->client)) != HK_OK) {
        hki_live_executors_remove(pool->executor);
        hki_executor_unref(pool->executor);
    }
    return status;
}

hk_status hk_process_pool_create(const hk_executor_options *options, hk_executor **out)
{
    static const hk_executor_options defaults;
    unsigned workers = hki_executor_workers(options);
    struct process_pool *pool;
    hk_status status;
    HKI_NO_CANCEL;

    if (out == NULL) {
        return HK_EINVAL;
    }
    options = options == NULL ? &defaults : options;
    if ((status = check_options(options, workers)) != HK_OK) {
        return status;
    }
    if (hki_process_depth >= (options->max_nesting == 0 ? NESTING_DEFAULT : options->max_nesting)) {
        return HK_EINVAL;
    }
    if ((status = hk_zygote_start()) != HK_OK) {
        return status;
    }
    if ((pool = hki_zalloc(sizeof(*pool))) == NULL) {
        return HK_ENOMEM;
    }
    pool->target = workers;
    set_up(pool, options);
    if ((status = build(pool, options)) != HK_OK) {
        release(pool);
        return status;
    }
    *out = pool->executor;
    return HK_OK;
}
