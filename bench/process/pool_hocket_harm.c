/* SPDX-License-Identifier: MIT */
/*
 * hk_process_pool as a peer: workers that are killed, tasks that overrun.
 */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/harness/crew.h"
#include "bench/harness/harness.h"
#include "bench/process/pool_hocket.h"

/* What a task says of itself while it runs, in memory that all processes share. */
struct board {
    atomic_int pid;
    _Atomic(int64_t) began_ns;
};

static struct board *board;

void hocket_harm_prepare(void)
{
    void *memory =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        bench_die("no memory");
    }
    board = memory;
}

HK_TASK(pool_who)
{
    pid_t pid = getpid();

    return hk_return(call, &pid, sizeof(pid));
}

/* Ends by a kill alone. */
HK_TASK(pool_endless)
{
    atomic_store(&board->began_ns, bench_now_ns());
    atomic_store(&board->pid, getpid());
    for (;;) {
        bench_spin(1000);
    }
    return HK_OK;
}

static hk_future *submit(struct hocket_pool *pool, const hk_task *task, hk_duration timeout)
{
    const hk_submit_options options = {.timeout = timeout};
    hk_future *future;

    hocket_must(hk_submit(pool->executor, task, NULL, 0, &options, &future), "hk_submit");
    return future;
}

/* The process that runs tasks. */
static pid_t ask_who(hk_future *future)
{
    const void *value;
    pid_t pid;

    hocket_must(hk_future_result(future, HK_FOREVER, &value, NULL), "hk_future_result");
    memcpy(&pid, value, sizeof(pid));
    hk_future_unref(future);
    return pid;
}

bool hocket_may_harm(void *arg)
{
    return ask_who(submit(arg, pool_who, 0)) != getpid();
}

/* Whether the task ended with this status; when it did. */
static bool ended_with(hk_future *victim, hk_status wanted, int64_t *ended_ns)
{
    const hk_error *error;
    bool is_right;

    hocket_must(hk_future_wait(victim, HK_FOREVER), "hk_future_wait");
    *ended_ns = bench_now_ns();
    hocket_must(hk_future_error(victim, HK_FOREVER, &error), "hk_future_error");
    is_right = error != NULL && error->status == wanted;
    hk_future_unref(victim);
    return is_right;
}

bool hocket_kill_worker(void *arg, struct pool_harm *harm)
{
    static const int64_t pause_ns = 20 * 1000;
    struct hocket_pool *pool = arg;
    hk_future *victim, *behind;
    int64_t killed_ns, ended_ns;
    bool is_right;
    pid_t pid;

    atomic_store(&board->pid, 0);
    victim = submit(pool, pool_endless, 0);
    behind = submit(pool, pool_who, 0);
    while ((pid = atomic_load(&board->pid)) == 0) {
        crew_rest(pause_ns);
    }
    killed_ns = bench_now_ns();
    if (kill(pid, SIGKILL) != 0) {
        bench_die("the worker is not there");
    }
    is_right = ended_with(victim, HK_EWORKER, &ended_ns);
    harm->to_error_ns = ended_ns - killed_ns;
    is_right = ask_who(behind) != pid && is_right;
    harm->to_heal_ns = bench_now_ns() - killed_ns;
    return is_right;
}

bool hocket_overrun(void *arg, int64_t limit_ns, int64_t *over_ns)
{
    struct hocket_pool *pool = arg;
    int64_t ended_ns;
    bool is_right = ended_with(submit(pool, pool_endless, limit_ns), HK_EDEADLINE, &ended_ns);

    *over_ns = ended_ns - atomic_load(&board->began_ns) - limit_ns;
    /* A replacement that has never finished a task might be delayed. */
    return ask_who(submit(pool, pool_who, 0)) != getpid() && is_right;
}
