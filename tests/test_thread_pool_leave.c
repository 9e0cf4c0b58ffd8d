/* SPDX-License-Identifier: MIT */
/* What a worker of a thread pool may still do when it has left: it ends what nobody will run,
 * and the callbacks of that may submit to the pool again, or wait. */
#include <stdlib.h>

#include "executors/thread_pool_impl.h"
#include "tests/fixture.h"

/* No worker can be made meanwhile. */
static atomic_bool no_workers;

static void *allocate(size_t size, void *context)
{
    (void)context;
    return size == sizeof(struct worker) && atomic_load(&no_workers) ? NULL : malloc(size);
}

static void release(void *memory, size_t size, void *context)
{
    (void)size;
    (void)context;
    free(memory);
}

static void forbid_workers(void *local, void *arg)
{
    (void)local;
    (void)arg;
    atomic_store(&no_workers, true);
}

struct story {
    hk_executor *pool;
    bool waits; /* The callback, for what it submits. */
    hk_future *abandoned;
    hk_future *late;
    hk_status late_status;
    struct hkt_gate gate; /* Opened by the callback. */
};

static void submits_again(hk_future *future, void *arg)
{
    struct story *story = arg;

    (void)future;
    atomic_store(&no_workers, false);
    story->late_status = hk_submit(story->pool, hkt_echo, "late", 4, NULL, &story->late);
    if (story->late_status == HK_OK && story->waits) {
        story->late_status = hk_future_wait(story->late, HK_FOREVER);
    }
    hkt_gate_open(&story->gate);
}

/* The last task of its worker. */
HK_TASK(leaves_one_behind)
{
    struct story *story = (struct story *)(uintptr_t)in;

    HKT_OK(hk_submit(hk_call_executor(call), hkt_echo, "left", 4, NULL, &story->abandoned));
    HKT_OK(hk_future_on_done(story->abandoned, NULL, submits_again, story, NULL));
    return HK_OK;
}

static void tell(bool waits)
{
    struct story story = {.waits = waits};
    hk_future *first;

    story.pool = hkt_pool_create(
        (hk_executor_options){.workers = 1, .tasks_per_worker = 1, .finalizer = forbid_workers});
    hkt_gate_init(&story.gate, "the callback has submitted");
    first = hkt_submit_ref(story.pool, leaves_one_behind, &story);
    hkt_expect_end(first, HK_OK);
    hkt_gate_wait(&story.gate);
    hkt_expect_end(story.abandoned, HK_EBROKEN);
    HKT_OK_FATAL(story.late_status);
    hkt_expect_end(story.late, HK_OK);
    hkt_gate_fini(&story.gate);
    HKT_OK(hk_executor_destroy(story.pool));
    atomic_store(&no_workers, false);
}

static void a_worker_that_has_left_may_submit(void)
{
    for (unsigned i = 0; i < 100 / hkt_slowness(); i++) {
        tell(false);
    }
}

static void a_worker_that_has_left_may_wait(void)
{
    for (unsigned i = 0; i < 100 / hkt_slowness(); i++) {
        tell(true);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("a worker that has left may submit", a_worker_that_has_left_may_submit),
    HKT_CASE("a worker that has left may wait", a_worker_that_has_left_may_wait),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "thread_pool_leave", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    static const hk_allocator allocator = {.allocate = allocate, .release = release};

    if (hk_allocator_set(&allocator) != HK_OK) {
        return EXIT_FAILURE;
    }
    return hkt_main(argc, argv, suites);
}
