/* SPDX-License-Identifier: MIT */
/*
 * The driver of the deadlocks, and the peer that the kernel is: FUTEX_LOCK_PI, which
 * glibc uses for PRIO_INHERIT without passing the refusal on.
 */
#include "bench/sync/lock_cycle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench/harness/harness.h"
#include "bench/sync/lock_drivers.h"

/* --- The kernel's own ---------------------------------------------------------------- */

static _Atomic(uint32_t) words[2];
static _Thread_local uint32_t own_id;

static void futex_begin(void)
{
    atomic_store(&words[0], 0);
    atomic_store(&words[1], 0);
}

static bool futex_take(int place)
{
    uint32_t free_word = 0;
    long result;

    if (own_id == 0) {
        own_id = (uint32_t)gettid();
    }
    if (atomic_compare_exchange_strong(&words[place], &free_word, own_id)) {
        return true;
    }
    do {
        result = syscall(SYS_futex, &words[place], FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    } while (result != 0 && (errno == EINTR || errno == EAGAIN));
    if (result != 0 && errno != EDEADLK) {
        bench_die("FUTEX_LOCK_PI");
    }
    return result == 0;
}

static void futex_give(int place)
{
    uint32_t own_word = own_id;

    if (!atomic_compare_exchange_strong(&words[place], &own_word, 0) &&
        syscall(SYS_futex, &words[place], FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) != 0) {
        bench_die("FUTEX_UNLOCK_PI");
    }
}

static void futex_end(void)
{
}

const struct lock_cycle lock_cycle_futex = {futex_begin, futex_take, futex_give, futex_end};

/* --- The driver ----------------------------------------------------------------------- */

/* The other thread takes 1, and then sleeps for 0, which the first one holds. */
struct other {
    const struct lock_cycle *cycle;
    pthread_barrier_t both;
    atomic_int thread_id;
    bool was_refused;
};

static void *take_one_then_zero(void *arg)
{
    struct other *other = arg;

    atomic_store(&other->thread_id, (int)gettid());
    if (!other->cycle->take(1)) {
        bench_die("the first lock is not free");
    }
    pthread_barrier_wait(&other->both);
    if (other->cycle->take(0)) {
        other->cycle->give(0);
    } else {
        other->was_refused = true;
    }
    other->cycle->give(1);
    return NULL;
}

/* Whether the thread sleeps, by the state that follows its name in /proc. */
static bool sleeps(int thread_id)
{
    char path[64], line[256];
    int fd;
    ssize_t size;
    const char *name_end;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread_id);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    size = read(fd, line, sizeof(line) - 1);
    close(fd);
    line[size > 0 ? size : 0] = '\0';
    name_end = strrchr(line, ')');
    return name_end != NULL && name_end[1] == ' ' && name_end[2] == 'S';
}

/* One deadlock; the nanoseconds until it was refused, or -1. */
static int64_t close_ring(const struct lock_cycle *cycle)
{
    struct other other = {.cycle = cycle};
    pthread_t thread;
    int64_t began_ns, elapsed_ns;
    bool is_taken;

    if (pthread_barrier_init(&other.both, NULL, 2) != 0 ||
        pthread_create(&thread, NULL, take_one_then_zero, &other) != 0) {
        bench_die("no thread");
    }
    if (!cycle->take(0)) {
        bench_die("the first lock is not free");
    }
    pthread_barrier_wait(&other.both);
    while (!sleeps(atomic_load(&other.thread_id))) {
        sched_yield();
    }
    began_ns = bench_now_ns();
    is_taken = cycle->take(1);
    elapsed_ns = bench_now_ns() - began_ns;
    if (is_taken) {
        cycle->give(1);
    }
    cycle->give(0);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&other.both);
    return is_taken || other.was_refused ? -1 : elapsed_ns;
}

/* Values: the median, and the 99th of a hundred. */
static enum bench_outcome run_deadlock(struct bench_run *run)
{
    const struct lock_cycle *cycle = run->peer;
    double *times = calloc(run->n, sizeof(*times));
    enum bench_outcome outcome = BENCH_OK;

    if (times == NULL) {
        bench_die("no memory");
    }
    cycle->begin();
    for (uint64_t i = 0; i < run->n; i++) {
        int64_t time_ns = close_ring(cycle);

        outcome = time_ns < 0 ? BENCH_WRONG : outcome;
        times[i] = (double)time_ns / 1000;
    }
    cycle->end();
    run->values[0] = bench_quantile(times, run->n, 0.5);
    run->values[1] = bench_quantile(times, run->n, 0.99);
    free(times);
    return outcome;
}

const struct bench_driver lock_deadlock_driver = {.run = run_deadlock};
