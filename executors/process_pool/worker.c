/* SPDX-License-Identifier: MIT */
/* A worker's life: set up, initialise, serve, leave. */
#include "executors/process_pool/worker.h"

#include <pthread.h>
#include <unistd.h>

#include "base/fork.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/packed_error.h"
#include "executors/process_pool/worker_impl.h"

enum {
    PAUSES = 64, /* Between two looks at the clock of one that spins. */
    LOOK_EVERY = 64,
    LOW_SHARE = 4, /* One part in so many is little. */
};

static const hk_duration look_every_ns = HK_MS(1000);

/* --- telling --- */

/* Wakes the supervisor. A task may have closed all descriptors, and opened others: then the
 * numbers are another's, and what tells the parent that something is done is the worker's
 * end. */
static void ring_supervisor(const struct hki_worker *worker)
{
    if (!hki_own_fd_valid(&worker->witness)) {
        hki_worker_leave(HKI_WORKER_EXIT_MUTE);
    }
    hki_os_event_signal(worker->ring);
}

/* Whether not much is left of what there was when the parent last looked: early enough that more
 * comes before the last of it is done. */
static bool runs_low(const struct hki_worker *worker, uint32_t done)
{
    uint32_t tail = atomic_load(&worker->channel->tail);

    return (tail - done) * LOW_SHARE <= tail - worker->reported;
}

static bool must_ring(const struct hki_worker *worker, uint32_t attention, uint32_t request)
{
    struct hki_channel *channel = worker->channel;
    uint32_t done = request + 1;

    switch (attention & HKI_RING_WHEN) {
    case HKI_RING_FIRST:
        return true;
    case HKI_RING_COALESCED:
        return runs_low(worker, done) || done - worker->reported >= HKI_CELLS / 2 ||
               atomic_load(&channel->cells[request % HKI_CELLS].urgent) != 0;
    default:
        return false;
    }
}

/* The request is done with: counts it, and rings if somebody waits for that. The parent sets
 * attention, then looks at `done`; here it is the other way round, both in the one order of
 * all seq_cst operations: so one of the two sees the other. */
static void tell(struct hki_worker *worker, uint32_t request)
{
    struct hki_channel *channel = worker->channel;
    uint32_t attention;

    atomic_store(&channel->done, request + 1);
    (void)HKI_FAULT("counted");
    attention = atomic_load(&worker->page->attention);
    if (attention != worker->attention) {
        /* Who set it has looked since, but perhaps before this request. */
        worker->attention = attention;
        worker->rung = false;
        worker->reported = request;
    }
    if (worker->rung || !must_ring(worker, attention, request)) {
        return;
    }
    worker->rung = true;
    if ((attention & HKI_RING_CALLER) != 0) {
        atomic_fetch_add(&channel->bell, 1);
        (void)hki_os_futex_wake_shared(&channel->bell, UINT32_MAX >> 1);
    } else {
        ring_supervisor(worker);
    }
}

static void enter_stage(struct hki_worker *worker, enum hki_worker_stage stage)
{
    atomic_store(&worker->channel->stage, (uint32_t)stage);
    ring_supervisor(worker);
}

/* Takes the error over. */
static _Noreturn void leave_failed(struct hki_worker *worker, struct hki_error *failure)
{
    struct hki_channel *channel = worker->channel;

    channel->failure_size =
        (uint32_t)hki_error_pack(failure, channel->failure, sizeof(channel->failure));
    hki_error_unref(failure);
    enter_stage(worker, HKI_WORKER_FAILED);
    hki_worker_leave(0);
}

/* --- serving --- */

static void measure(struct hki_worker *worker, int64_t now_ns)
{
    if (worker->page->rss_limit == 0 ||
        (--worker->until_look != 0 && now_ns - worker->looked_ns < look_every_ns)) {
        return;
    }
    worker->until_look = LOOK_EVERY;
    worker->looked_ns = now_ns;
    if (!hki_own_fd_valid(&worker->memory)) {
        return; /* A task has closed it. */
    }
    atomic_store(&worker->channel->rss_bytes, hki_os_private_bytes(worker->memory.fd));
}

/* What was sent with a request that is passed over. */
static void throw_mail_away(struct hki_worker *worker, uint32_t request)
{
    const struct hki_cell *cell = &worker->channel->cells[request % HKI_CELLS];

    if (cell->fd_count != 0 || cell->input_place == HKI_INPUT_SPILL) {
        (void)hki_mail_fetch(worker, request, false);
        hki_mail_drop(&worker->mail, request);
    }
}

/* The parent is about to kill; or nobody is, and the cell says what no one wrote. */
static _Noreturn void await_death(bool is_condemned)
{
    if (!is_condemned) {
        hki_worker_leave(HKI_WORKER_EXIT_MEMORY);
    }
    for (;;) {
        (void)pause();
    }
}

static void serve(struct hki_worker *worker, uint32_t request)
{
    struct hki_channel *channel = worker->channel;
    struct hki_cell *cell = &channel->cells[request % HKI_CELLS];
    uint32_t queued = hki_cell_word(request, HKI_CELL_QUEUED);
    uint32_t running = hki_cell_word(request, HKI_CELL_RUNNING);
    int64_t started_ns = worker->ended_ns != 0 ? worker->ended_ns : hk_now_ns();

    /* relaxed, all three: published by the compare-and-swap that announces RUNNING. */
    atomic_store_explicit(&cell->started_ns, started_ns, memory_order_relaxed);
    atomic_store_explicit(&cell->progress_done, 0, memory_order_relaxed);
    atomic_store_explicit(&cell->progress_total, 0, memory_order_relaxed);
    if (!atomic_compare_exchange_strong(&cell->state, &queued, running)) {
        if (queued != hki_cell_word(request, HKI_CELL_WITHDRAWN)) {
            hki_worker_leave(HKI_WORKER_EXIT_MEMORY);
        }
        throw_mail_away(worker, request);
        return;
    }
    (void)HKI_FAULT("claimed");
    hki_worker_run(worker, request, started_ns);
    hki_worker_keep_open(worker);
    /* What it printed is out when its end is told. It may take long, where nobody reads: so that
     * is a time of this task, and between two of them a worker is never kept. */
    hki_os_flush_output();
    worker->ended_ns = hk_now_ns();
    cell->ran_ns = worker->ended_ns - started_ns;
    /* The result is there: this announces it, unless the parent is about to kill. */
    if (!atomic_compare_exchange_strong(&cell->state, &running,
                                        hki_cell_word(request, HKI_CELL_DONE))) {
        await_death(running == hki_cell_word(request, HKI_CELL_KILLING));
    }
    (void)HKI_FAULT("published");
    atomic_fetch_add(&channel->served, 1);
    measure(worker, worker->ended_ns);
}

/* Looks for work for a moment, without sleeping. */
static bool spin(struct hki_worker *worker, uint32_t next)
{
    struct hki_channel *channel = worker->channel;
    int64_t end_ns;

    if (worker->page->spin_ns == 0 || atomic_load(&channel->may_spin) == 0) {
        return false;
    }
    end_ns = hk_now_ns() + worker->page->spin_ns;
    while (atomic_load(&channel->may_spin) != 0 && hk_now_ns() < end_ns) {
        for (unsigned i = 0; i < PAUSES; i++) {
            if (atomic_load(&channel->tail) != next || atomic_load(&channel->retire) != 0) {
                return true;
            }
            hki_os_pause();
        }
    }
    return false;
}

/* Until there is something to do. False: the worker shall leave. */
static bool await_request(struct hki_worker *worker, uint32_t next)
{
    struct hki_channel *channel = worker->channel;

    for (;;) {
        /* First, as nothing is given any more once it is set. */
        bool retires = atomic_load(&channel->retire) != 0;
        uint32_t rings;

        if (atomic_load(&channel->tail) != next) {
            return true;
        }
        if (retires) {
            return false;
        }
        worker->ended_ns = 0; /* The next one will not begin where this one ended. */
        if (spin(worker, next)) {
            continue;
        }
        rings = atomic_load(&channel->doorbell);
        atomic_store(&channel->sleeping, 1);
        /* The parent counts tail up, then looks at `sleeping`: so one of the two sees. */
        if (atomic_load(&channel->tail) == next && atomic_load(&channel->retire) == 0) {
            (void)hki_os_futex_wait_shared(&channel->doorbell, rings, HKI_NEVER);
        }
        atomic_store(&channel->sleeping, 0);
    }
}

static void thread_ended(void *unused)
{
    (void)unused;
    hki_worker_leave(HKI_WORKER_EXIT_THREAD);
}

static void serve_all(struct hki_worker *worker)
{
    uint32_t next = atomic_load(&worker->channel->done);

    worker->until_look = LOOK_EVERY;
    worker->reported = next;
    while (await_request(worker, next)) {
        serve(worker, next);
        tell(worker, next);
        next++;
    }
}

_Noreturn void hki_worker_main(const struct hki_worker_start *start)
{
    static struct hki_worker worker;
    struct hki_error *failure = NULL;

    hki_process_depth = start->page->depth;
    HKI_FAULT_I_AM((int32_t)start->index);
    worker.page = start->page;
    worker.channel = hki_channel_of(start->page, start->index);
    worker.ring = start->ring;
    if (hki_worker_prepare(&worker, start, &failure) != HK_OK) {
        leave_failed(&worker, failure);
    }
    if (start->page->initializer != NULL || hki_pool_confines(start->page)) {
        atomic_store(&worker.channel->stage, (uint32_t)HKI_WORKER_INITIALISING);
    }
    /* A task that ends its thread would leave a process that does nothing. */
    pthread_cleanup_push(thread_ended, NULL);
    if (hki_worker_try_initialise(worker.executor, &worker.hooks, worker.where, &worker.local,
                                  &failure) != HK_OK ||
        hki_worker_limit(&worker, &failure) != HK_OK ||
        hki_worker_confine(&worker, &failure) != HK_OK ||
        hki_worker_check(&worker, &failure) != HK_OK) {
        leave_failed(&worker, failure);
    }
    hki_os_flush_output();
    (void)HKI_FAULT("before_ready");
    enter_stage(&worker, HKI_WORKER_READY);
    serve_all(&worker);
    enter_stage(&worker, HKI_WORKER_LEAVING);
    hki_worker_finish(&worker.hooks, worker.local);
    pthread_cleanup_pop(0);
    hki_worker_leave(0);
}
