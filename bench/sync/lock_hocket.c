/* SPDX-License-Identifier: MIT */
/*
 * hk_lock, with all its checks on, as they are by default; and two of them that
 * deadlock on purpose.
 */
#include <stdlib.h>

#include <hocket/lock.h>
#include <hocket/log.h>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"
#include "bench/sync/lock_cycle.h"
#include "bench/sync/lock_peer.h"

typedef hk_lock lock_type;

static void lock_begin(lock_type *lock)
{
    if (hk_lock_init(lock, NULL) != HK_OK) {
        bench_die("hk_lock_init");
    }
}

static void lock_end(lock_type *lock)
{
    if (hk_lock_destroy(lock) != HK_OK) {
        bench_die("hk_lock_destroy: a lock is still held");
    }
}

static inline void lock_take(lock_type *lock)
{
    if (hk_lock_acquire(lock) != HK_OK) {
        bench_die("hk_lock_acquire");
    }
}

static inline void lock_give(lock_type *lock)
{
    if (hk_lock_release(lock) != HK_OK) {
        bench_die("hk_lock_release");
    }
}

#include "bench/sync/lock_loops.h"

static void take_many(void *locks, size_t count, uint64_t turns)
{
    enum { MANY_MAX = 8 };
    struct lock_cell *cells = locks;
    hk_lock *set[MANY_MAX];

    if (count > MANY_MAX) {
        bench_die("hk_lock_acquire_many of another number");
    }
    for (size_t i = 0; i < count; i++) {
        set[i] = &cells[i].lock;
    }
    for (uint64_t turn = 0; turn < turns; turn++) {
        if (hk_lock_acquire_many(set, count) != HK_OK) {
            bench_die("hk_lock_acquire_many");
        }
        if (hk_lock_release_many(set, count) != HK_OK) {
            bench_die("hk_lock_release_many");
        }
    }
}

const struct lock_peer lock_hocket = {.loops = LOCK_LOOPS, .take_many = take_many};
const struct lock_peer lock_hocket_each = {.loops = LOCK_LOOPS};

/* --- A deadlock ------------------------------------------------------------------ */

/* Without order: else the second thread would be refused for that, and never wait. */
static hk_lock ring[] = {
    HK_LOCK_INIT_AS("first", HK_LOCK_NOORDER, HK_LOCK_DEFAULT, NULL, 0),
    HK_LOCK_INIT_AS("second", HK_LOCK_NOORDER, HK_LOCK_DEFAULT, NULL, 0),
};

static bool cycle_take(int place)
{
    hk_status status = hk_lock_acquire(&ring[place]);

    if (status != HK_OK && status != HK_EDEADLK) {
        bench_die("hk_lock_acquire");
    }
    return status == HK_OK;
}

static void cycle_give(int place)
{
    if (hk_lock_release(&ring[place]) != HK_OK) {
        bench_die("hk_lock_release");
    }
}

/* Each refusal is logged, which is part of its price; but not on this terminal. */
static void drop_line(hk_log_level level, const char *line, void *arg)
{
    (void)level;
    (void)line;
    (void)arg;
}

static void cycle_begin(void)
{
    hk_on_log(drop_line, NULL);
}

static void cycle_end(void)
{
    hk_on_log(NULL, NULL);
}

const struct lock_cycle lock_cycle_hocket = {cycle_begin, cycle_take, cycle_give, cycle_end};
