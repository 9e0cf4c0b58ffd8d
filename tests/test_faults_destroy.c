/* SPDX-License-Identifier: MIT */
/*
 * A pool is destroyed while a thread is still inside for a task that has ended: who waits for it,
 * and its run timer. Fault points lead each of them there, and hold it.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <hocket/wait.h>

#include "base/os.h"
#include "tests/fault_fixture.h"

enum { NEVER = 1000000 }; /* No point is passed so often. */

struct destroyer {
    pthread_t thread;
    hk_executor *pool;
    _Atomic(int) id; /* Of the kernel. */
    atomic_bool is_done;
};

static void *destroys(void *given)
{
    struct destroyer *destroyer = given;

    atomic_store(&destroyer->id, hki_os_thread_id());
    HKT_CHILD_STATUS(hk_executor_destroy(destroyer->pool), HK_OK);
    atomic_store(&destroyer->is_done, true);
    return NULL;
}

static bool sleeps_or_is_done(void *given)
{
    struct destroyer *destroyer = given;

    return atomic_load(&destroyer->is_done) ||
           (atomic_load(&destroyer->id) != 0 && hkt_is_asleep(atomic_load(&destroyer->id)));
}

/* All tasks have ended before: it comes to the pool itself, or sleeps until the threads inside have
 * left. */
static void destroy_begins(struct destroyer *destroyer, hk_executor *pool)
{
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_OK);
    HKT_CHILD_TRUE(hki_fault_set("pool_goes", HKI_FAULT_PARENT, NEVER, HKI_FAULT_FAILS));
    memset(destroyer, 0, sizeof(*destroyer));
    destroyer->pool = pool;
    HKT_CHILD_TRUE(pthread_create(&destroyer->thread, NULL, destroys, destroyer) == 0);
    HKT_CHILD_TRUE(hkt_eventually(sleeps_or_is_done, destroyer));
    HKT_CHILD_TRUE(hki_fault_passes("pool_goes", HKI_FAULT_PARENT) == 0);
}

/* From here on nobody is held inside at `point`. */
static void destroy_ends(struct destroyer *destroyer, const char *point)
{
    HKT_CHILD_TRUE(hki_fault_passes("pool_goes", HKI_FAULT_PARENT) == 0);
    hki_fault_release(point, HKI_FAULT_PARENT);
    HKT_CHILD_TRUE(pthread_join(destroyer->thread, NULL) == 0);
    HKT_CHILD_TRUE(atomic_load(&destroyer->is_done));
}

static void await_pass(const char *name)
{
    while (hki_fault_passes(name, HKI_FAULT_PARENT) == 0) {
        (void)sched_yield();
    }
}

static void await_end(hk_future *future)
{
    while (!hk_future_has_ended(future)) {
        (void)sched_yield();
    }
}

/* --- Who waits for the task --- */

struct waiting {
    pthread_t thread;
    hk_future *futures[2];
    size_t count;
    hk_wait_for what;
};

static void *waits(void *given)
{
    const struct waiting *waiting = given;

    HKT_CHILD_STATUS(
        hk_wait(waiting->futures, waiting->count, waiting->what, HK_FOREVER, NULL, NULL), HK_OK);
    return NULL;
}

static void wait_begins(struct waiting *waiting)
{
    HKT_CHILD_TRUE(pthread_create(&waiting->thread, NULL, waits, waiting) == 0);
    await_pass("parking");
}

static void wait_ends(struct waiting *waiting)
{
    HKT_CHILD_TRUE(pthread_join(waiting->thread, NULL) == 0);
    hk_future_unref(waiting->futures[0]);
}

HKT_FAULT_CASE(wait_on_its_way)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    struct waiting waiting = {.count = 1, .what = HK_ALL_COMPLETED};
    struct destroyer destroyer;
    int32_t pid;

    HKT_CHILD_TRUE(hki_fault_set("parking", HKI_FAULT_PARENT, 1, HKI_FAULT_HOLDS));
    waiting.futures[0] = hkt_fault_stand(pool, &pid);
    wait_begins(&waiting);
    hkt_fault_open_gate();
    await_end(waiting.futures[0]);
    destroy_begins(&destroyer, pool);
    destroy_ends(&destroyer, "parking");
    wait_ends(&waiting);
}

/* The wait goes on behind the pool's end. */
static void waits_for_another(hk_wait_for what)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    struct waiting waiting = {.count = 2, .what = what};
    hk_promise *promise = NULL;
    int32_t pid;

    HKT_CHILD_STATUS(hk_promise_create(&promise, &waiting.futures[1]), HK_OK);
    HKT_CHILD_TRUE(hki_fault_set("parking", HKI_FAULT_PARENT, NEVER, HKI_FAULT_FAILS));
    waiting.futures[0] = hkt_fault_stand(pool, &pid);
    wait_begins(&waiting);
    hkt_fault_open_gate();
    await_end(waiting.futures[0]);
    hkt_fault_close(pool);
    HKT_CHILD_STATUS(hk_promise_set(promise, NULL, 0), HK_OK);
    wait_ends(&waiting);
    hk_future_unref(waiting.futures[1]);
    hk_promise_destroy(promise);
}

HKT_FAULT_CASE(wait_for_an_error_of_another)
{
    waits_for_another(HK_FIRST_ERROR);
}

HKT_FAULT_CASE(wait_for_another_as_well)
{
    waits_for_another(HK_ALL_COMPLETED);
}

/* --- Its run timer --- */

/* The time of a task counts from when it was sent off until its worker says that it began: so the
 * timer comes first, finds that there is time left, and the task ends before it is armed again. */
HKT_FAULT_CASE(timer_on_its_way)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    const hk_submit_options limited = {.timeout = HK_MS(20)};
    struct destroyer destroyer;
    hk_future *standing;
    hk_future *future;
    int32_t pid;

    HKT_CHILD_TRUE(hki_fault_set("run_end_read", HKI_FAULT_PARENT, 1, HKI_FAULT_HOLDS));
    standing = hkt_fault_stand(pool, &pid);
    future = hkt_fault_submit(pool, hkt_fault_counts, &limited);
    await_pass("run_end_read");
    hkt_fault_open_gate();
    hkt_fault_ends(standing, HK_OK);
    hkt_fault_ends(future, HK_OK);
    destroy_begins(&destroyer, pool);
    destroy_ends(&destroyer, "run_end_read");
}

static CU_TestInfo tests[] = {
    HKT_CASE("who is on his way into a pool is waited for by its end", wait_on_its_way),
    HKT_CASE("who waits for an error of others as well has left it", wait_for_an_error_of_another),
    HKT_CASE("and who waits for all", wait_for_another_as_well),
    HKT_CASE("a run timer that found time left is waited for", timer_on_its_way),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "faults.destroy", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
