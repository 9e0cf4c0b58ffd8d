/* SPDX-License-Identifier: MIT */
/* Collecting: from cells that are done to futures that have ended. */
#include "base/time.h"
#include "executors/process_pool/pool.h"

enum { MEAN_OF = 8, AHEAD_NS = 1000000, MOST_NS = 1000000000 };

void hki_pool_set_attention(struct process_pool *pool, uint32_t when)
{
    pool->attention = ((pool->attention | (HKI_RING_STEP - 1)) + 1) | when;
    /* seq_cst with a worker's `done`: it sees that it has to ring, or we see the result. */
    atomic_store(&pool->page->attention, pool->attention);
}

static bool has_result(const struct seat *seat)
{
    /* seq_cst: see hki_pool_set_attention(). */
    return hki_seat_outstanding(seat) != 0 && !atomic_load(&((struct seat *)seat)->broke_rules) &&
           atomic_load(&seat->channel->done) !=
               /* relaxed: ours. */
               atomic_load_explicit(&((struct seat *)seat)->done, memory_order_relaxed);
}

bool hki_pool_has_results(const struct process_pool *pool)
{
    /* relaxed: seats do not go away, and a new one has no result yet. */
    unsigned seats =
        atomic_load_explicit(&((struct process_pool *)pool)->high_seat, memory_order_relaxed);

    for (unsigned i = 0; i < seats; i++) {
        if (has_result(&pool->seats[i])) {
            return true;
        }
    }
    return false;
}

/* A worker's word for how long its task took, read once; nonsense only makes for bad guesses. */
static int64_t sane_ran_ns(const volatile struct hki_cell *cell)
{
    int64_t ran_ns = cell->ran_ns;

    return ran_ns < 0 ? 0 : ran_ns > MOST_NS ? MOST_NS : ran_ns;
}

/* So many that a worker has enough to do while a caller naps, and no more: what lies in its
 * cells waits for it. */
static unsigned depth_for(int64_t mean_ns)
{
    int64_t ahead = AHEAD_NS / mean_ns;

    return HKI_DEPTH_LEAST + (unsigned)(ahead > HKI_CELLS ? HKI_CELLS : ahead);
}

static void measure(struct process_pool *pool, int64_t ran_ns, unsigned count)
{
    int64_t each_ns = ran_ns / count;
    unsigned wanted;

    each_ns = each_ns < 1 ? 1 : each_ns; /* 0 is unknown. */
    pool->mean_ns =
        pool->mean_ns == 0 ? each_ns : pool->mean_ns + (each_ns - pool->mean_ns) / MEAN_OF;
    wanted = depth_for(pool->mean_ns);
    wanted = wanted > HKI_CELLS ? HKI_CELLS : wanted;
    /* Grows step by step: the first tasks may be odd ones. */
    pool->depth = wanted > 2 * pool->depth ? 2 * pool->depth : wanted;
}

/* The one request, which the worker says is done with. False: it cannot be. */
static bool take_one(struct seat *seat, uint32_t request, struct finished *finished)
{
    struct process_pool *pool = seat->pool;
    struct entry *entry = hki_seat_entry(seat, request);
    /* acquire: pairs with the worker's compare-and-swap to DONE; the result is there. */
    uint32_t word =
        atomic_load_explicit(&hki_seat_cell(seat, request)->state, memory_order_acquire);

    finished->job = NULL;
    finished->left = NULL;
    if (word == hki_cell_word(request, HKI_CELL_DONE) && entry->job != NULL) {
        finished->job = entry->job;
        finished->job->taken = true;
        finished->job->slot = NULL;
        hki_seat_take(seat, request, &finished->outcome);
        hki_cell_show_progress(hki_seat_cell(seat, request), entry->job);
        pool->given--;
        hki_entry_unforce(entry);
        pool->concluding++;
        seat->ended++;
        pool->refill_ns = 0; /* The workers work: see seats.c. */
    } else if (word != hki_cell_word(request, HKI_CELL_WITHDRAWN) || entry->job != NULL) {
        return false; /* Nobody but the parent withdraws, and then the job is elsewhere. */
    }
    hki_seat_clear(seat, request);
    return !seat->broke_rules;
}

unsigned hki_seat_collect(struct seat *seat, struct finished *batch, unsigned room)
{
    struct process_pool *pool = seat->pool;
    uint32_t at = atomic_load_explicit(&seat->done, memory_order_relaxed); /* relaxed: ours. */
    uint32_t done = atomic_load(&seat->channel->done);
    bool sound = done - at <= hki_seat_outstanding(seat);
    int64_t ran_ns = 0;
    unsigned count = 0;
    unsigned passed = 0;

    while (sound && at != done && count < room) {
        ran_ns += sane_ran_ns(hki_seat_cell(seat, at));
        sound = take_one(seat, at, &batch[count]);
        if (!sound && batch[count].job == NULL) {
            break; /* Nothing was taken: its job is judged with the worker's death. */
        }
        count += batch[count].job != NULL ? 1 : 0;
        at++;
        passed++;
        pool->outstanding--;
        atomic_store_explicit(&seat->done, at, memory_order_relaxed); /* relaxed: ours. */
    }
    if (passed != 0) {
        measure(pool, ran_ns, passed);
        pool->crowded = false;
        if (hki_seat_outstanding(seat) == 0) {
            hki_seat_rests(seat);
        }
        hki_seat_review(seat);
        if (hki_seat_has_to_pass(seat)) {
            hki_zygote_ring();
        }
    }
    if (!sound) {
        hki_seat_expel(seat);
    }
    return count;
}

void hki_pool_conclude(struct process_pool *pool, struct finished *batch, unsigned count)
{
    struct hki_agent *drainer = atomic_load(&pool->courier_agent);

    for (unsigned i = 0; i < count; i++) {
        hk_job *job = batch[i].job;
        struct chunk *left = batch[i].left;
        bool drain = hki_job_conclude_remote(
            job, &batch[i].outcome, left == NULL ? NULL : hki_pool_at(pool->page, left->at),
            left == NULL ? 0 : left->capacity, drainer);

        hki_chunk_release(left);
        hki_courier_give_back(pool, job, drain);
    }
}

bool hki_pool_collect(struct process_pool *pool)
{
    struct finished batch[HKI_BATCH];
    unsigned count = 0;
    bool any = false;

    pthread_mutex_lock(&pool->lock);
    for (unsigned i = 0; i < pool->high_seat; i++) {
        struct seat *seat = &pool->seats[i];

        while (has_result(seat)) {
            count += hki_seat_collect(seat, batch + count, HKI_BATCH - count);
            any = true;
            if (count < HKI_BATCH) {
                continue;
            }
            hki_pool_dispatch(pool);
            pthread_mutex_unlock(&pool->lock);
            hki_pool_conclude(pool, batch, count);
            pthread_mutex_lock(&pool->lock);
            hki_pool_concluded(pool, count);
            count = 0;
        }
    }
    if (any) {
        hki_pool_dispatch(pool);
    }
    if (count != 0) {
        pthread_mutex_unlock(&pool->lock);
        hki_pool_conclude(pool, batch, count);
        pthread_mutex_lock(&pool->lock);
        hki_pool_concluded(pool, count);
    }
    pthread_mutex_unlock(&pool->lock);
    return any;
}

void hki_pool_concluded(struct process_pool *pool, unsigned count)
{
    pool->concluding -= count;
    if (pool->closing) {
        hki_condition_broadcast(&pool->settled);
    }
}
