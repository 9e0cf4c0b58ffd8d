/* SPDX-License-Identifier: MIT */
/*
 * roundtrip and proc_roundtrip: one trivial task, and its result, again and again.
 *
 * The time depends mostly on where threads are placed, and on who is still awake: so the CPU
 * time of an operation is told too, and the same is run on one CPU, and after a rest.
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"
#include "bench/harness/process_tree.h"
#include "bench/hocket_bench/countdown.h"
#include "bench/hocket_bench/workload.h"

static const int64_t idle_ns = 100 * 1000;

struct roundtrip {
    const struct trial *trial;
    double *times;
    bool is_right;
    /* Before each task. */
    int64_t rest_ns;
};

static int64_t time_ns(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000000 + (int64_t)time.tv_usec * 1000;
}

/* Of processes only the tree knows, which counts in ticks. */
static int64_t cpu_ns(const struct peer *peer)
{
    struct rusage usage;

    if (peer->is_processes) {
        return bench_tree_cpu_ns();
    }
    getrusage(RUSAGE_SELF, &usage);
    return time_ns(usage.ru_utime) + time_ns(usage.ru_stime);
}

static int64_t begin_one(const struct roundtrip *roundtrip)
{
    if (roundtrip->rest_ns > 0) {
        crew_rest(roundtrip->rest_ns);
    }
    return bench_now_ns();
}

static void run_futures(struct roundtrip *roundtrip)
{
    const struct trial *trial = roundtrip->trial;
    const struct peer *peer = trial->peer;
    void *future = calloc(1, peer->future_size);

    if (future == NULL) {
        bench_die("no memory");
    }
    for (uint64_t i = 0; i < trial->n; i++) {
        int64_t began_ns = begin_one(roundtrip);
        uint64_t answer;

        peer->submit(trial->pool, WORK_TRIVIAL, i, future);
        answer = peer->result(trial->pool, future);
        roundtrip->times[i] = (double)(bench_now_ns() - began_ns) / 1000;
        roundtrip->is_right = roundtrip->is_right && answer == work_trivial(i);
    }
    free(future);
}

static void run_slots(struct roundtrip *roundtrip)
{
    const struct trial *trial = roundtrip->trial;
    const struct peer *peer = trial->peer;
    struct countdown countdown;
    struct slot slot = {.body = work_trivial, .countdown = &countdown};

    countdown_init(&countdown);
    for (uint64_t i = 0; i < trial->n; i++) {
        int64_t began_ns = begin_one(roundtrip);

        slot.number = i;
        countdown_set(&countdown, 1);
        peer->post(trial->pool, &slot);
        if (peer->join != NULL) {
            peer->join(trial->pool);
        } else {
            countdown_wait(&countdown);
        }
        roundtrip->times[i] = (double)(bench_now_ns() - began_ns) / 1000;
        roundtrip->is_right = roundtrip->is_right && slot.answer == work_trivial(i);
    }
    countdown_destroy(&countdown);
}

static void run_inside(void *arg)
{
    struct roundtrip *roundtrip = arg;

    if (roundtrip->trial->peer->submit != NULL) {
        run_futures(roundtrip);
    } else {
        run_slots(roundtrip);
    }
}

static bool run_after_rest(struct trial *trial, int64_t rest_ns)
{
    struct roundtrip roundtrip = {trial, calloc(trial->n, sizeof(double)), true, rest_ns};
    int64_t before_ns = cpu_ns(trial->peer);

    if (roundtrip.times == NULL) {
        bench_die("no memory");
    }
    if (trial->peer->enclose != NULL) {
        trial->peer->enclose(trial->pool, run_inside, &roundtrip);
    } else {
        run_inside(&roundtrip);
    }
    tell(trial, "cpu_per_task", (double)(cpu_ns(trial->peer) - before_ns) / 1000 / (double)trial->n,
         "us");
    tell_quantiles(trial, roundtrip.times, trial->n);
    free(roundtrip.times);
    return roundtrip.is_right;
}

bool run_roundtrip(struct trial *trial)
{
    return run_after_rest(trial, 0);
}

bool run_roundtrip_idle(struct trial *trial)
{
    /* Else the kernel adds 50 us to every rest of this thread. */
    if (prctl(PR_SET_TIMERSLACK, 1UL) != 0) {
        bench_die("prctl");
    }
    return run_after_rest(trial, idle_ns);
}

void prepare_pinned(struct trial *trial)
{
    cpu_set_t set;
    int cpu = 0;

    (void)trial;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        bench_die("no CPU to stay on");
    }
    while (!CPU_ISSET((size_t)cpu, &set)) {
        cpu++;
    }
    if (!crew_pin(cpu)) {
        bench_die("no CPU to stay on");
    }
}
