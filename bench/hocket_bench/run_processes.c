/* SPDX-License-Identifier: MIT */
/*
 * proc_throughput and proc_echo: tasks and payloads for worker processes.
 */
#include <stdlib.h>
#include <string.h>

#include "bench/harness/harness.h"
#include "bench/hocket_bench/workload.h"

enum { ECHO_SIZE = 1 << 20, LINE_SIZE = 64 };

bool run_proc_throughput(struct trial *trial)
{
    int64_t elapsed_ns;
    uint64_t sum = batch_run_once(trial, WORK_TRIVIAL, trial->n, &elapsed_ns);

    tell(trial, "tasks_per_s", 1e9 * (double)trial->n / (double)elapsed_ns, "1/s");
    return sum == sum_of_trivial(trial->n);
}

/* The first bytes differ each time, so that no old payload passes for a new one. */
static void mark(unsigned char *payload, uint64_t number)
{
    memcpy(payload, &number, sizeof(number));
    memcpy(payload + ECHO_SIZE - sizeof(number), &number, sizeof(number));
}

static bool is_marked(const unsigned char *payload, uint64_t number)
{
    return memcmp(payload, &number, sizeof(number)) == 0 &&
           memcmp(payload + ECHO_SIZE - sizeof(number), &number, sizeof(number)) == 0;
}

/* One payload for each worker. */
static unsigned char *payload_of(unsigned char *payloads, unsigned worker)
{
    return payloads + (size_t)worker * ECHO_SIZE;
}

bool run_proc_echo(struct trial *trial)
{
    const struct peer *peer = trial->peer;
    unsigned char *payloads = bench_lines((size_t)trial->threads * ECHO_SIZE / LINE_SIZE);
    int64_t began_ns = bench_now_ns();
    bool is_right = true;
    uint64_t echoes = 0;

    while (echoes < trial->n && is_right) {
        for (unsigned i = 0; i < trial->threads; i++) {
            mark(payload_of(payloads, i), echoes + i);
            peer->echo_send(trial->pool, i, payload_of(payloads, i), ECHO_SIZE);
        }
        for (unsigned i = 0; i < trial->threads; i++) {
            is_right =
                peer->echo_receive(trial->pool, i, payload_of(payloads, i), ECHO_SIZE) && is_right;
            is_right = is_right && is_marked(payload_of(payloads, i), echoes + i);
        }
        echoes += trial->threads;
    }
    tell(trial, "echo", (double)echoes * ECHO_SIZE * 1000 / (double)(bench_now_ns() - began_ns),
         "MB/s");
    free(payloads);
    return is_right;
}
