/* SPDX-License-Identifier: MIT */
/*
 * Pools for workloads, and times.
 */
#include "bench/process/pool_bench.h"

#include <stdlib.h>

#include "bench/harness/crew.h"
#include "bench/process/pool_drivers.h"

static size_t place_of(const struct bench_run *run)
{
    const struct bench_driver *driver = run->what->family->driver;
    bool has_places = driver == &pool_hot_driver || driver == &pool_cold_driver ||
                      driver == &pool_throughput_driver || driver == &pool_map_driver;

    return has_places ? run->what->parameter : POOL_FREE;
}

void pool_begin(struct bench_run *run)
{
    const struct pool_peer *peer = run->peer;
    size_t place = place_of(run);
    struct pool_wish wish = {
        .workers = run->what->threads,
        .worker_cpu = place == POOL_APART     ? 1
                      : place == POOL_STACKED ? 0
                                              : POOL_CPU_ANY,
    };

    if (peer->create == NULL || (place != POOL_FREE && !crew_has_cpus(2))) {
        return;
    }
    if (run->what->family->driver == &pool_echo_driver) {
        wish.echo_size = POOL_ECHO_SIZE;
    }
    run->state = peer->create(&wish);
}

void pool_end(struct bench_run *run)
{
    const struct pool_peer *peer = run->peer;

    if (run->state != NULL) {
        peer->destroy(run->state);
        run->state = NULL;
    }
}

void pool_take_place(const struct bench_run *run)
{
    if (place_of(run) != POOL_FREE && !crew_pin_for_now(0)) {
        bench_die("no CPU to stay on");
    }
}

void pool_leave_place(const struct bench_run *run)
{
    if (place_of(run) != POOL_FREE) {
        crew_unpin();
    }
}

bool pool_round_trip(const struct pool_peer *peer, void *pool, uint64_t number)
{
    peer->put(pool, &(struct pool_task){.number = number}, 1);
    return peer->get(pool, 1) == pool_answer(number);
}

void pool_time_add(struct pool_times *times, int64_t duration_ns)
{
    if (times->count == times->room) {
        times->room = times->room == 0 ? 1024 : 2 * times->room;
        times->us = realloc(times->us, times->room * sizeof(*times->us));
        if (times->us == NULL) {
            bench_die("no memory");
        }
    }
    times->us[times->count++] = (double)duration_ns / 1000;
}

void pool_times_tell(struct pool_times *times, double *median, double *p99)
{
    *median = bench_quantile(times->us, times->count, 0.5);
    if (p99 != NULL) {
        *p99 = bench_quantile(times->us, times->count, 0.99);
    }
    free(times->us);
    *times = (struct pool_times){0};
}
