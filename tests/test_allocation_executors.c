/* SPDX-License-Identifier: MIT */
/* Every call that makes an executor or its workers, without memory. */
#include "tests/allocation_fixture.h"
#include "tests/fixture.h"

static hk_executor *executor;

static void clean(void)
{
    HKT_OK(hk_executor_destroy(executor));
}

static void still_works(void)
{
    hk_future *future = NULL;
    int number = 7;

    HKT_OK(hk_submit(executor, hkt_square, &number, sizeof(number), NULL, &future));
    HKT_EQ_INT(hkt_take_int(future), 49);
}

/* --- Making executors --- */

static void prepare_nothing(void)
{
}

static hk_status destroy_or_not(hk_status status, hk_executor *made)
{
    HKT_EQ_INT(made != NULL, status == HK_OK);
    HKT_OK(hk_executor_destroy(made));
    return status;
}

static hk_status open_executor(void)
{
    hk_executor *made = NULL;
    hk_status status = hk_executor_open("threads:2?name=opened", &made);

    return destroy_or_not(status, made);
}

static hk_status create_inline(void)
{
    hk_executor *made = NULL;
    hk_status status = hk_inline_create(NULL, &made);

    return destroy_or_not(status, made);
}

static hk_status create_threads(void)
{
    static const int cpus[] = {0};
    hk_executor_options options = {.workers = 2, .cpus = cpus, .cpu_count = 1};
    hk_executor *made = NULL;
    hk_status status = hk_thread_pool_create(&options, &made);

    return destroy_or_not(status, made);
}

static hk_status create_replay(void)
{
    hk_executor *made = NULL;
    hk_status status = hk_replay_create(1, NULL, &made);

    return destroy_or_not(status, made);
}

static void prepare_threads(void)
{
    HKT_OK(hk_executor_open("threads:2", &executor));
}

static hk_status create_serial(void)
{
    hk_executor *made = NULL;
    hk_status status = hk_serial_create(executor, NULL, &made);

    return destroy_or_not(status, made);
}

static hk_status prestart(void)
{
    return hk_executor_prestart(executor, HK_FOREVER);
}

static hk_status restart(void)
{
    hk_status status = hk_executor_prestart(executor, HK_FOREVER);

    return status == HK_OK ? hk_executor_restart_workers(executor) : status;
}

/* --- An executor of one's own --- */

static hk_status discard(void *self, hk_job *job, hk_duration queue_wait)
{
    (void)self;
    (void)queue_wait;
    hk_job_discard(job, HK_EFULL, "there is no room for it");
    return HK_OK;
}

static hk_status create_own(hk_executor **out)
{
    static const hk_executor_ops ops = HKT_OWN_OPS(discard);

    return hk_executor_create(&ops, NULL, NULL, out);
}

static hk_status create_and_destroy_own(void)
{
    hk_executor *made = NULL;
    hk_status status = create_own(&made);

    return destroy_or_not(status, made);
}

static void prepare_own(void)
{
    HKT_OK(create_own(&executor));
}

/* The status is kept even where the words are not. */
static hk_status discard_job(void)
{
    hk_future *future = NULL;
    hk_status status = hk_submit(executor, hkt_nothing, NULL, 0, NULL, &future);

    if (status == HK_OK) {
        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFULL);
        (void)hk_future_why(future);
        hk_future_unref(future);
    }
    return status;
}

static const struct hkt_allocation_case makings[] = {
    {"hk_executor_open", prepare_nothing, open_executor, NULL, NULL, prepare_nothing, false},
    {"hk_inline_create", prepare_nothing, create_inline, NULL, NULL, prepare_nothing, false},
    {"hk_thread_pool_create", prepare_nothing, create_threads, NULL, NULL, prepare_nothing, false},
    {"hk_replay_create", prepare_nothing, create_replay, NULL, NULL, prepare_nothing, false},
    {"hk_serial_create", prepare_threads, create_serial, still_works, still_works, clean, false},
    {"hk_executor_prestart", prepare_threads, prestart, still_works, still_works, clean, false},
    {"hk_executor_restart_workers", prepare_threads, restart, still_works, still_works, clean,
     true},
    {"hk_executor_create", prepare_nothing, create_and_destroy_own, NULL, NULL, prepare_nothing,
     false},
    {"hk_job_discard", prepare_own, discard_job, NULL, NULL, clean, true},
};

static void every_executor_is_made_or_not(void)
{
    for (size_t i = 0; i < sizeof(makings) / sizeof(makings[0]); i++) {
        hkt_check_true(HKT_SITE(false), hkt_fail_each_allocation(&makings[i]) > 0, makings[i].name);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("every executor is made, or not", every_executor_is_made_or_not),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "allocation.executors",
     .pSetUpFunc = hkt_be_quiet,
     .pTearDownFunc = hkt_be_loud,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
