/* SPDX-License-Identifier: MIT */
/* Tasks of which only the first part is made (executors/job.h): every use of one that needs
 * more, with and without the memory for it. */
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "executors/job.h"
#include "tests/allocation_fixture.h"
#include "tests/fixture.h"
#include "tests/harness.h"

static hk_executor *pool;
static struct hkt_plug plug;
static hk_future *queued; /* Slim, behind the plug. */
static hk_future *other;
static hk_value value;
static int fd;
static atomic_int calls;

static void set_up(void)
{
    pool = hkt_pool_create((hk_executor_options){.workers = 1});
}

static void tear_down(void)
{
    HKT_OK(hk_executor_destroy(pool));
}

HK_TASK(echo_short)
{
    return hk_return(call, in, in_size);
}

/* Its input, twice. */
HK_TASK(doubles)
{
    unsigned char twice[2 * HKI_BODY_BYTES];

    if (in_size != 0) {
        memcpy(twice, in, in_size);
        memcpy(twice + in_size, in, in_size);
    }
    return hk_return(call, twice, 2 * in_size);
}

/* As many bytes as its input says, all of its last byte's kind. */
HK_TASK(makes_bytes)
{
    uint64_t size;
    void *room = NULL;
    hk_status status;

    (void)in_size;
    memcpy(&size, in, sizeof(size));
    if ((status = hk_return_reserve(call, (size_t)size, &room)) == HK_OK) {
        memset(room, (int)size, (size_t)size);
    }
    return status;
}

static void add_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* A reference to what its input points at. */
HK_TASK(returns_reference)
{
    void *target;

    (void)in_size;
    memcpy(&target, in, sizeof(target));
    return hk_return_ref(call, target, add_call);
}

HK_TASK(tells_progress)
{
    (void)in;
    (void)in_size;
    hk_progress(call, 3, 4);
    return HK_OK;
}

static void inputs_and_values_keep_their_bytes(void)
{
    static const char text[] = "0123456789abcdef";
    const void *bytes;
    size_t size;

    for (size_t length = 0; length <= HKI_BODY_BYTES; length++) {
        hk_future *same;
        hk_future *twice;

        HKT_OK(hk_submit(pool, echo_short, text, length, NULL, &same));
        HKT_TRUE(hki_job_is_slim(hki_job_of(same)));
        HKT_OK(hk_submit(pool, doubles, text, length, NULL, &twice));
        HKT_OK(hk_future_result(same, HK_FOREVER, &bytes, &size));
        HKT_EQ_INT(size, length);
        HKT_TRUE(length == 0 || memcmp(bytes, text, length) == 0);
        HKT_OK(hk_future_result(twice, HK_FOREVER, &bytes, &size));
        HKT_EQ_INT(size, 2 * length);
        HKT_TRUE(length == 0 || memcmp((const char *)bytes + length, text, length) == 0);
        HKT_OK(hk_future_take(twice, 0, &value));
        HKT_EQ_INT(value.size, 2 * length);
        HKT_TRUE(length == 0 || memcmp((const char *)value.data + length, text, length) == 0);
        hk_value_drop(&value);
        HKT_STATUS(hk_future_take(twice, 0, &value), HK_ESTATE);
        hk_future_unref(same);
        hk_future_unref(twice);
    }
}

static void one_with_a_longer_input_is_whole(void)
{
    hk_future *future;

    HKT_OK(hk_submit(pool, echo_short, "123456789", HKI_BODY_BYTES + 1, NULL, &future));
    HKT_TRUE(!hki_job_is_slim(hki_job_of(future)));
    hkt_expect_end(future, HK_OK);
}

static bool was_dropped(void *arg)
{
    return atomic_load((atomic_int *)arg) == 1;
}

static void large_values_and_references_are_kept_and_dropped_once(void)
{
    static const uint64_t sizes[] = {1, 8, 9, 16, 17, 4096};
    hk_future *future;
    atomic_int *target = &calls;
    const void *bytes;
    size_t size;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        HKT_OK(hk_submit(pool, makes_bytes, &sizes[i], sizeof(sizes[i]), NULL, &future));
        HKT_OK(hk_future_result(future, HK_FOREVER, &bytes, &size));
        HKT_EQ_INT(size, sizes[i]);
        HKT_EQ_INT(((const unsigned char *)bytes)[size - 1], (unsigned char)sizes[i]);
        hk_future_unref(future);
    }
    atomic_store(&calls, 0);
    HKT_OK(hk_submit(pool, returns_reference, &target, sizeof(target), NULL, &future));
    HKT_OK(hk_future_result(future, HK_FOREVER, &bytes, &size));
    HKT_TRUE(bytes == target && size == HK_BY_REF);
    HKT_EQ_INT(atomic_load(&calls), 0);
    hk_future_unref(future);
    HKT_TRUE(hkt_eventually(was_dropped, &calls)); /* The worker may be the last owner. */
}

static void progress_failure_and_cancel_are_told(void)
{
    const hk_error *error;
    hk_future *future;
    uint64_t done;
    uint64_t total;

    HKT_OK(hk_submit(pool, tells_progress, NULL, 0, NULL, &future));
    HKT_OK(hk_future_wait(future, HK_FOREVER));
    HKT_OK(hk_future_progress(future, &done, &total));
    HKT_TRUE(done == 3 && total == 4);
    hk_future_unref(future);
    HKT_OK(hk_submit(pool, hkt_fails, NULL, 0, NULL, &future));
    HKT_OK(hk_future_error(future, HK_FOREVER, &error));
    HKT_EQ_STR(error->message, "no luck");
    HKT_EQ_STR(error->task, "hkt_fails");
    hk_future_unref(future);
    hkt_plug_insert(&plug, pool, 1);
    HKT_OK(hk_submit(pool, hkt_nothing, NULL, 0, NULL, &future));
    HKT_EQ_INT(hkt_stats(pool).queued, 1);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    HKT_EQ_INT(hkt_stats(pool).queued, 0);
    hkt_plug_pull(&plug);
    hkt_expect_end(future, HK_ECANCELED);
    HKT_OK(hk_submit(pool, hkt_cancels, NULL, 0, NULL, &future));
    hkt_expect_end(future, HK_ECANCELED);
}

/* --- without memory --- */

/* A pool for each round: once it is gone, its worker has let go of all. */
static void prepare(void)
{
    set_up();
    hkt_plug_insert(&plug, pool, 1);
    HKT_OK(hk_submit(pool, hkt_nothing, NULL, 0, NULL, &queued));
    other = NULL;
    fd = -1;
    memset(&value, 0, sizeof(value));
}

static void clean(void)
{
    hkt_plug_pull(&plug);
    hkt_expect_end(queued, HK_OK);
    hk_future_unref(other);
    hk_value_drop(&value);
    tear_down();
}

static hk_status make_fd(void)
{
    return hk_future_fd(queued, &fd);
}

static void no_fd(void)
{
    HKT_EQ_INT(fd, -1);
}

static hk_status gather(void)
{
    return hk_when_all(&queued, 1, &other);
}

static hk_status wait_a_moment(void)
{
    hk_status status = hk_future_wait(queued, HK_US(1));

    return status == HK_ETIMEDOUT ? HK_OK : status;
}

/* Whether a task's value of this size arrives; without memory the future has failed and says so. */
static uint64_t value_size;

static void prepare_value(void)
{
    set_up();
    fd = -1;
    other = NULL;
    queued = NULL;
    memset(&value, 0, sizeof(value));
}

static hk_status make_value(void)
{
    const hk_error *error;
    hk_status status = hk_submit(pool, makes_bytes, &value_size, sizeof(value_size), NULL, &queued);

    if (status != HK_OK) {
        return status;
    }
    HKT_OK(hk_future_error(queued, HK_FOREVER, &error));
    return error == NULL ? HK_OK : HK_ENOMEM;
}

static void clean_value(void)
{
    hk_future_unref(queued);
    tear_down();
}

static void every_use_survives_without_memory(void)
{
    hk_executor *outer = pool;

    static const struct hkt_allocation_case cases[] = {
        {"hk_future_fd", prepare, make_fd, no_fd, NULL, clean, false},
        {"hk_when_all", prepare, gather, NULL, NULL, clean, true},
    };
    static const struct hkt_allocation_case values = {"a value", prepare_value, make_value, NULL,
                                                      NULL,      clean_value,   true};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hkt_fail_each_allocation(&cases[i]);
    }
    for (value_size = 8; value_size <= 17; value_size++) {
        hkt_fail_each_allocation(&values);
    }
    pool = outer;
}

/* The wait of one thread for one future needs none. */
static void waiting_needs_no_memory(void)
{
    hk_executor *outer = pool;

    prepare();
    hki_memory_fail_at(1);
    HKT_OK(wait_a_moment());
    HKT_EQ_INT(hki_memory_fail_at(0), 1);
    clean();
    pool = outer;
}

HK_TASK(asks_for_descriptor)
{
    int own = -1;

    (void)in;
    (void)in_size;
    HKT_OK(hk_call_stop_fd(call, &own));
    atomic_fetch_add(&calls, 1);
    return HK_OK;
}

/* What it has asked for goes before the future does, which goes with its end. */
static void a_task_that_nobody_waits_for_lets_go_of_its_descriptor(void)
{
    enum { TASKS = 100 };

    atomic_store(&calls, 0);
    hkt_plug_insert(&plug, pool, 1);
    for (unsigned i = 0; i < TASKS; i++) {
        HKT_OK(hk_submit(pool, asks_for_descriptor, NULL, 0, NULL, NULL));
    }
    hkt_plug_pull(&plug);
    /* One worker, first in first out: what comes behind them ends after them. */
    hkt_expect_end(hkt_submit_int(pool, hkt_square, 2), HK_OK);
    HKT_EQ_INT(atomic_load(&calls), TASKS);
}

static CU_TestInfo tests[] = {
    HKT_CASE("inputs and values keep their bytes", inputs_and_values_keep_their_bytes),
    HKT_CASE("one with a longer input is whole", one_with_a_longer_input_is_whole),
    HKT_CASE("large values and references are kept, and dropped once",
             large_values_and_references_are_kept_and_dropped_once),
    HKT_CASE("progress, failure and cancel are told", progress_failure_and_cancel_are_told),
    HKT_CASE("a task that nobody waits for lets go of its descriptor",
             a_task_that_nobody_waits_for_lets_go_of_its_descriptor),
    HKT_CASE("every use survives without memory", every_use_survives_without_memory),
    HKT_CASE("waiting needs no memory", waiting_needs_no_memory),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "slim", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
