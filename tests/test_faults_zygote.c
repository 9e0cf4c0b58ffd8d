/* SPDX-License-Identifier: MIT */
/* What may happen to the zygote of a working pool, cases G27 to G29: no future is left. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "tests/fault_fixture.h"

enum { AROUND = 20 };

/* Once its end has been heard. */
static void await_broken(hk_executor *pool)
{
    hk_status status;

    do {
        hk_future *future = NULL;

        status = hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, &future);
        if (status == HK_OK) {
            status = hk_future_result(future, HK_FOREVER, NULL, NULL);
            HKT_CHILD_TRUE(status == HK_OK || status == HK_EWORKER || status == HK_EBROKEN);
            hk_future_unref(future);
        } else {
            HKT_CHILD_TRUE(status == HK_EBROKEN && future == NULL);
            return;
        }
    } while (status != HK_EBROKEN ||
             hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, NULL) == HK_OK);
}

/* A new pool has a new zygote: the process has one thread again. */
static void begins_anew(void)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});

    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* --- G27: SIGKILL --- */

HKT_FAULT_CASE(killed_idle)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    int32_t pid = hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL));

    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGKILL) == 0);
    await_broken(pool);
    hkt_fault_await_gone(pid);
    hkt_fault_close(pool);
    begins_anew();
}

HKT_FAULT_CASE(killed_before_any_worker)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});

    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGKILL) == 0);
    await_broken(pool);
    hkt_fault_close(pool);
    begins_anew();
}

static void count_end(hk_future *future, void *arg)
{
    HKT_CHILD_TRUE(hk_future_has_ended(future));
    atomic_fetch_add((_Atomic(uint32_t) *)arg, 1);
}

HKT_FAULT_CASE(killed_busy)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hk_future *running[2];
    hk_future *queued[AROUND];
    int32_t pids[2];

    running[0] = hkt_fault_stand(pool, &pids[0]);
    running[1] = hkt_fault_stand(pool, &pids[1]);
    for (int i = 0; i < AROUND; i++) {
        queued[i] = hkt_fault_submit(pool, hkt_fault_counts, NULL);
        HKT_CHILD_STATUS(
            hk_future_on_done(queued[i], NULL, count_end, (void *)&hkt_shared->word[0], NULL),
            HK_OK);
    }
    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGKILL) == 0);
    for (int i = 0; i < 2; i++) {
        hkt_fault_ends(running[i], HK_EWORKER);
    }
    for (int i = 0; i < AROUND; i++) {
        hkt_fault_ends(queued[i], HK_EBROKEN);
    }
    hkt_fault_await(&hkt_shared->word[0], AROUND);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) == 0);
    hkt_fault_await_gone(pids[0]);
    hkt_fault_await_gone(pids[1]);
    await_broken(pool);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers == 0);
    hkt_fault_close(pool);
    begins_anew();
}

static void dies_at(const char *step)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hk_future *future;
    hk_status status;

    HKT_CHILD_TRUE(hki_fault_set(step, HKI_FAULT_ZYGOTE, 1, HKI_FAULT_DIES));
    future = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    status = hk_future_result(future, HK_FOREVER, NULL, NULL);
    /* It may have been given to the worker, which had begun, or was faster, before both went. */
    HKT_CHILD_TRUE(status == HK_EBROKEN ||
                   (strcmp(step, "forked") == 0 && (status == HK_EWORKER || status == HK_OK)));
    hk_future_unref(future);
    await_broken(pool);
    hkt_fault_close(pool);
    begins_anew();
}

HKT_FAULT_CASE(dies_before_the_fork)
{
    dies_at("spawning");
}

HKT_FAULT_CASE(dies_after_the_fork)
{
    dies_at("forked");
}

HKT_FAULT_CASE(two_pools_lose_it)
{
    hk_executor *pools[2] = {hkt_fault_pool((hk_executor_options){.workers = 1}),
                             hkt_fault_pool((hk_executor_options){.workers = 1})};

    hkt_fault_works(pools[0]);
    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGKILL) == 0);
    await_broken(pools[0]);
    await_broken(pools[1]);
    hkt_fault_close(pools[0]);
    hkt_fault_close(pools[1]);
    begins_anew();
}

/* --- G28: SIGSTOP --- */

HKT_FAULT_CASE(stopped_before_a_spawn)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future;

    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGSTOP) == 0);
    future = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    hkt_fault_ends(future, HK_EBROKEN);
    hkt_fault_close(pool);
    begins_anew();
}

HKT_FAULT_CASE(stopped_before_a_kill)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future = hkt_fault_stand(pool, NULL);

    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGSTOP) == 0);
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER), HK_OK);
    HKT_CHILD_TRUE(hk_future_has_ended(future));
    hk_future_unref(future);
    hkt_fault_close(pool);
    begins_anew();
}

HKT_FAULT_CASE(stopped_and_continued)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future;

    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGSTOP) == 0);
    future = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    HKT_CHILD_STATUS(hk_future_wait(future, HK_MS(50)), HK_ETIMEDOUT);
    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGCONT) == 0);
    hkt_fault_ends(future, HK_OK);
    hkt_fault_close(pool);
}

/* --- G29: no process to be had --- */

HKT_FAULT_CASE(fork_fails_and_recovers)
{
    hk_executor *pool;
    struct hkt_squares squares;

    HKT_CHILD_TRUE(hki_fault_set("fork_fails", HKI_FAULT_ZYGOTE, HKI_FAULT_EVERY, HKI_FAULT_FAILS));
    pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hkt_squares_submit(&squares, pool, AROUND);
    /* As often as it tries without a pause, and once more. */
    while (hki_fault_passes("fork_fails", HKI_FAULT_ZYGOTE) < 5) {
        HKT_CHILD_STATUS(hk_future_wait(squares.futures[0], HK_MS(5)), HK_ETIMEDOUT);
    }
    hki_fault_clear();
    hkt_squares_expect(&squares);
    hkt_fault_close(pool);
}

/* One of two is to be had: the pool works with it. */
HKT_FAULT_CASE(fork_fails_for_one)
{
    hk_executor *pool;
    struct hkt_squares squares;
    hk_future *future;

    pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    future = hkt_fault_stand(pool, NULL);
    HKT_CHILD_TRUE(hki_fault_set("fork_fails", HKI_FAULT_ZYGOTE, HKI_FAULT_EVERY, HKI_FAULT_FAILS));
    hkt_squares_submit(&squares, pool, AROUND);
    hkt_fault_open_gate();
    hkt_fault_ends(future, HK_OK);
    hkt_squares_expect(&squares);
    hkt_fault_close(pool);
}

static CU_TestInfo tests[] = {
    HKT_CASE("G27 an idle pool whose zygote is killed is broken, and a new one begins anew",
             killed_idle),
    HKT_CASE("G27 so is one that had no worker yet", killed_before_any_worker),
    HKT_CASE("G27 in a busy pool what ran is lost, and what waited ends", killed_busy),
    HKT_CASE("G27 a zygote that dies before a fork leaves no future", dies_before_the_fork),
    HKT_CASE("G27 a zygote that dies after a fork leaves no future", dies_after_the_fork),
    HKT_CASE("G27 every pool hears of it", two_pools_lose_it),
    HKT_CASE("G28 a stopped zygote that owes a worker counts as dead", stopped_before_a_spawn),
    HKT_CASE("G28 a stopped zygote that owes a death counts as dead", stopped_before_a_kill),
    HKT_CASE("G28 one that goes on soon is waited for", stopped_and_continued),
    HKT_CASE("G29 forks that fail are tried again until they succeed", fork_fails_and_recovers),
    HKT_CASE("G29 a pool works with the workers it has; a limit of processes does not bind root, "
             "and is not tried",
             fork_fails_for_one),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "faults.zygote", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
