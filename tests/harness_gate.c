/* SPDX-License-Identifier: MIT */
/*
 * Gates and barriers on bare futexes: a test of Hocket's own primitives must not wait on
 * them, and one of worker processes may kill whoever stands at a gate, which leaves nothing
 * locked here. Every wait is bounded by the watchdog's limit and then says which gate it
 * stood at: a hang with a name.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/world.h"
#include "tests/harness.h"
#include "tests/harness_impl.h"

static int64_t limit_from_now(void)
{
    return hkt_now_ns() + (int64_t)hkt_watchdog_seconds() * 1000000000;
}

/* Returns when the word has another value, and sometimes for nothing. */
static void sleep_on(atomic_uint *word, unsigned value, int64_t limit_ns, const char *name)
{
    int64_t left_ns = limit_ns - hkt_now_ns();
    struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};

    /* A replay's threads take turns: who slept in the kernel would keep the turn for ever. */
    if (left_ns > 0 && hki_world_self() != NULL) {
        hki_world_poll();
        return;
    }
    /* Without FUTEX_PRIVATE_FLAG: it may be another process that wakes us. */
    if (left_ns <= 0 ||
        (syscall(SYS_futex, word, FUTEX_WAIT, value, &left, NULL, 0) != 0 && errno == ETIMEDOUT)) {
        hkt_die("waited too long at a gate or barrier", name);
    }
}

/* The word itself may be gone by now, which the kernel does not mind. */
static void wake_all(atomic_uint *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void hkt_gate_init(struct hkt_gate *gate, const char *name)
{
    atomic_store(&gate->arrived, 0);
    atomic_store(&gate->is_open, 0);
    gate->name = name;
}

void hkt_gate_fini(struct hkt_gate *gate)
{
    gate->name = "a gate that is gone";
}

void hkt_gate_open(struct hkt_gate *gate)
{
    atomic_store(&gate->is_open, 1);
    wake_all(&gate->is_open);
}

void hkt_gate_wait(struct hkt_gate *gate)
{
    int64_t limit_ns = limit_from_now();

    atomic_fetch_add(&gate->arrived, 1);
    wake_all(&gate->arrived);
    while (atomic_load(&gate->is_open) == 0) {
        sleep_on(&gate->is_open, 0, limit_ns, gate->name);
    }
}

void hkt_gate_await_arrivals(struct hkt_gate *gate, unsigned count)
{
    int64_t limit_ns = limit_from_now();

    for (unsigned arrived; (arrived = atomic_load(&gate->arrived)) < count;) {
        sleep_on(&gate->arrived, arrived, limit_ns, gate->name);
    }
}

void hkt_barrier_init(struct hkt_barrier *barrier, unsigned count, const char *name)
{
    barrier->count = count;
    atomic_store(&barrier->arrived, 0);
    atomic_store(&barrier->round, 0);
    barrier->name = name;
}

void hkt_barrier_fini(struct hkt_barrier *barrier)
{
    barrier->name = "a barrier that is gone";
}

void hkt_barrier_wait(struct hkt_barrier *barrier)
{
    int64_t limit_ns = limit_from_now();
    unsigned round = atomic_load(&barrier->round); /* Before we are counted: ours for sure. */

    if (atomic_fetch_add(&barrier->arrived, 1) + 1 == barrier->count) {
        /* Nobody comes for the next round before this one is over. */
        atomic_store(&barrier->arrived, 0);
        atomic_fetch_add(&barrier->round, 1);
        wake_all(&barrier->round);
        return;
    }
    while (atomic_load(&barrier->round) == round) {
        sleep_on(&barrier->round, round, limit_ns, barrier->name);
    }
}

bool hkt_eventually(bool (*done)(void *arg), void *arg)
{
    int64_t limit_ns = hkt_now_ns() + (int64_t)hkt_watchdog_seconds() * 1000000000 / 2;

    while (!done(arg)) {
        if (hkt_now_ns() > limit_ns) {
            return false;
        }
        hki_world_poll();
        sched_yield();
    }
    return true;
}
