/* SPDX-License-Identifier: MIT */
/*
 * A large payload, to a worker and back.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/process/pool_bench.h"
#include "bench/process/pool_drivers.h"

static enum bench_outcome run_echo(struct bench_run *run)
{
    const struct pool_peer *peer = run->peer;
    enum pool_echo how = (enum pool_echo)run->what->parameter;
    unsigned char *payload = bench_lines(POOL_ECHO_SIZE / POOL_LINE_SIZE);
    bool is_right = true;
    uint64_t sum;
    int64_t began_ns;

    for (size_t i = 0; i < POOL_ECHO_SIZE; i += POOL_LINE_SIZE) {
        payload[i] = (unsigned char)(i / POOL_LINE_SIZE);
    }
    sum = pool_sum_of_lines(payload, POOL_ECHO_SIZE) - payload[0];
    began_ns = bench_now_ns();
    for (uint64_t i = 0; i < run->n; i++) {
        memcpy(payload, &i, sizeof(i));
        is_right = peer->echo(run->state, how, payload, POOL_ECHO_SIZE) && is_right;
    }
    bench_took(run, bench_now_ns() - began_ns);
    run->values[0] /= 1000;
    is_right = is_right && pool_sum_of_lines(payload, POOL_ECHO_SIZE) - payload[0] == sum;
    free(payload);
    return is_right ? BENCH_OK : BENCH_WRONG;
}

const struct bench_driver pool_echo_driver = {pool_begin, run_echo, pool_end, false};
