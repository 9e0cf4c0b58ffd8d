/* SPDX-License-Identifier: MIT */
/* Executors made from a line of text. */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "tests/fixture.h"

/* --- Good texts --- */

static const char *const good[] = {
    "inline",
    "threads",
    "serial",
    "threads:1",
    "threads:4",
    "threads:4096",
    "serial:inline",
    "serial:threads",
    "serial:threads:2",
    "inline?name=here",
    "threads?workers=3",
    "threads:4?queue_capacity=1000&when_full=fail",
    "threads:2?when_full=block",
    "threads:2?when_full=caller_runs",
    "threads:2?when_full=drop_oldest",
    "threads:2?idle_exit=5s&spare_workers=3&tasks_per_worker=100",
    "threads:2?idle_exit=10ms",
    "threads:2?idle_exit=10us",
    "threads:2?idle_exit=10ns",
    "threads:2?idle_exit=10min",
    "threads:2?stack_size=256k",
    "threads:2?stack_size=1m&max_payload=2g",
    "threads:2?task_timeout=30s",
    "threads:2?roundtrip=1&drain_at_exit=0",
    "threads:2?roundtrip=0&drain_at_exit=1",
    "inline?roundtrip=1",
    "serial?name=strand",
    "threads:2?spare_workers=none",
    ("threads:2?retries=2&kill_grace=10ms&worker_rss_limit=1g&memory_bytes=64m&nice_increment=5&"
     "start_timeout=3s"),
};

static void good_texts_are_understood(void)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char why[256] = "x";
        hk_executor *executor = NULL;
        hk_status status = hk_executor_check_spec(good[i], why, sizeof(why));

        if (status != HK_OK || why[0] != '\0') {
            printf("\n    '%s': %s\n", good[i], why);
        }
        HKT_OK(status);
        HKT_EQ_STR(why, "");
        HKT_OK_FATAL(hk_executor_open(good[i], &executor));
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, hkt_square, 7)), 49);
        HKT_OK(hk_executor_destroy(executor));
    }
}

/* --- Bad texts --- */

static const char *const bad[] = {
    "",
    " ",
    "thread",
    "threadss",
    "Threads",
    "threads ",
    " threads",
    "threads:",
    "threads:0x4",
    "threads:-1",
    "threads:four",
    "threads:4x",
    "threads:4097",
    "threads:99999999999999999999",
    "threads:4:4",
    "inline:2",
    "serial:",
    "serial:none",
    "serial:serial",
    "serial:threads:x",
    "threads:4?",
    "threads:4?&",
    "threads:4?queue",
    "threads:4?queue_capacity=",
    "threads:4?=3",
    "threads:4?queue_capacity=-1",
    "threads:4?queue_capacity=many",
    "threads:4?queue_capacity=10&",
    "threads:4?queue_capacity=10&&name=a",
    "threads:4?when_full=sometimes",
    "threads:4?when_full=",
    "threads:4?idle_exit=5",
    "threads:4?idle_exit=5 s",
    "threads:4?idle_exit=5h",
    "threads:4?idle_exit=-5s",
    "threads:4?idle_exit=99999999999999999999s",
    "threads:4?idle_exit=9223372036854775807s",
    "threads:4?stack_size=64kk",
    "threads:4?max_payload=99999999999g",
    "threads:4?cpus=",
    "threads:4?cpus=0-",
    "threads:4?cpus=2-1",
    "threads:4?cpus=a",
    "threads:4?cpus=0,",
    "threads:4?cpus=99999999",
    "threads:4?roundtrip=yes",
    "threads:4?roundtrip=2",
    "threads:4?drain_at_exit=",
    "threads:4?colour=blue",
    "threads:4?Queue=4",
    "threads:4?tasks_per_worker=-3",
    "threads:4?spare_workers=x",
    "threads:4?spare_workers=0",
    "threads:4?workers=5000",
    "threads:4?workers=0",
    "threads:4?stack_size=1k",
    "threads:4?stack_size=2000g",
    "threads:4?retries=x",
    "threads:4?kill_grace=5",
    "threads:4?worker_rss_limit=much",
    "threads:4?memory_bytes=-1m",
    "threads:4?nice_increment=40",
    "threads:4?start_timeout=soon",
    "processes:4\nthreads",
    "processes:1025",
    "processes:2000",
    "processes?workers=2000",
    "processes?when_full=caller_runs",
    "processes?memory_bytes=4294967296g",
    "serial:processes:2000",
    "serial:processesx",
};

static void bad_texts_are_refused_with_a_reason(void)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char why[256] = "";
        hk_executor *executor = NULL;
        hk_status status = hk_executor_check_spec(bad[i], why, sizeof(why));

        if (status != HK_EINVAL || why[0] == '\0') {
            printf("\n    '%s' was taken for good\n", bad[i]);
        }
        HKT_STATUS(status, HK_EINVAL);
        HKT_TRUE(why[0] != '\0');
        HKT_STATUS(hk_executor_open(bad[i], &executor), HK_EINVAL);
        HKT_EQ_PTR(executor, NULL);
        if (executor != NULL) {
            HKT_OK(hk_executor_destroy(executor));
        }
    }
}

static void no_text_is_refused(void)
{
    char why[64] = "";
    hk_executor *executor = NULL;

    HKT_STATUS(hk_executor_open(NULL, &executor), HK_EINVAL);
    HKT_EQ_PTR(executor, NULL);
    HKT_STATUS(hk_executor_open("inline", NULL), HK_EINVAL);
    HKT_STATUS(hk_executor_check_spec(NULL, why, sizeof(why)), HK_EINVAL);
    HKT_TRUE(why[0] != '\0');
    HKT_STATUS(hk_executor_check_spec(NULL, NULL, 0), HK_EINVAL);
    HKT_STATUS(hk_executor_check_spec("threads:x", NULL, 0), HK_EINVAL);
    HKT_OK(hk_executor_check_spec("threads:2", NULL, 0));
}

static void the_reason_names_what_is_wrong(void)
{
    char why[256] = "";

    HKT_STATUS(hk_executor_check_spec("threads:4?colour=blue", why, sizeof(why)), HK_EINVAL);
    HKT_TRUE(strstr(why, "colour") != NULL);
    HKT_STATUS(hk_executor_check_spec("threads:4?when_full=sometimes", why, sizeof(why)),
               HK_EINVAL);
    HKT_TRUE(strstr(why, "sometimes") != NULL || strstr(why, "when_full") != NULL);
    HKT_STATUS(hk_executor_check_spec("fibres:4", why, sizeof(why)), HK_EINVAL);
    HKT_TRUE(strstr(why, "fibres") != NULL);
}

/* What only some executors can do: the reason says what they can. */
static void the_reason_names_what_would_be_right(void)
{
    static const struct {
        const char *text;
        const char *word;
    } cases[] = {
        {"threads:5000", "4096"},
        {"processes:2000", "1024"},
        {"processes?workers=2000", "1024"},
        {"processes?when_full=caller_runs", "drop_oldest"},
        {"processes?memory_bytes=4294967296g", "4611686018427387903"},
        {"serial:processes", "threads"},
    };
    hk_executor *executor = NULL;
    char why[256] = "";

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        HKT_STATUS(hk_executor_check_spec(cases[i].text, why, sizeof(why)), HK_EINVAL);
        HKT_TRUE(strstr(why, cases[i].word) != NULL);
    }
    HKT_STATUS(hk_executor_open("serial:processes", &executor), HK_EPORTABLE);
    HKT_OK(hk_executor_check_spec("processes:1024", why, sizeof(why)));
    HKT_OK(hk_executor_check_spec("threads?memory_bytes=4294967296g", why, sizeof(why)));
}

static void the_reason_is_cut_to_fit(void)
{
    char why[9];

    memset(why, 'x', sizeof(why));
    HKT_STATUS(hk_executor_check_spec("threads:4?colour=blue", why, sizeof(why) - 1), HK_EINVAL);
    HKT_TRUE(memchr(why, '\0', sizeof(why) - 1) != NULL);
    HKT_EQ_INT(why[8], 'x');
}

static void a_very_long_text_is_refused(void)
{
    static char text[100000];
    char why[256] = "";
    hk_executor *executor = NULL;

    memset(text, 'a', sizeof(text) - 1);
    memcpy(text, "threads?name=", strlen("threads?name="));
    /* A name may be long and is cut; an option of that length is none. */
    if (hk_executor_open(text, &executor) == HK_OK) {
        HKT_EQ_INT(strlen(hk_executor_name(executor)), 31);
        HKT_OK(hk_executor_destroy(executor));
    }
    text[strlen("threads?")] = 'x';
    HKT_STATUS(hk_executor_check_spec(text, why, sizeof(why)), HK_EINVAL);
    memset(text, '9', sizeof(text) - 1);
    memcpy(text, "threads:", strlen("threads:"));
    HKT_STATUS(hk_executor_check_spec(text, why, sizeof(why)), HK_EINVAL);
}

/* --- What the options mean --- */

static hk_executor *open_it(const char *spec)
{
    hk_executor *executor = NULL;

    HKT_OK_FATAL(hk_executor_open(spec, &executor));
    return executor;
}

static unsigned prestarted(const char *spec)
{
    hk_executor *executor = open_it(spec);
    unsigned workers;

    HKT_OK(hk_executor_prestart(executor, HK_FOREVER));
    workers = hkt_stats(executor).workers;
    HKT_OK(hk_executor_destroy(executor));
    return workers;
}

static void the_number_is_the_workers(void)
{
    HKT_EQ_INT(prestarted("threads:3"), 3);
    HKT_EQ_INT(prestarted("threads?workers=5"), 5);
    HKT_EQ_INT(prestarted("inline"), 0);
}

static void the_name_is_the_executors(void)
{
    hk_executor *executor = open_it("threads:2?name=special");

    HKT_EQ_STR(hk_executor_name(executor), "special");
    HKT_OK(hk_executor_destroy(executor));
}

static void the_queue_is_as_long_as_it_says(void)
{
    hk_executor *executor = open_it("threads:1?queue_capacity=2&when_full=fail");
    struct hkt_plug plug;

    hkt_plug_insert(&plug, executor, 1);
    HKT_OK(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL));
    HKT_OK(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL));
    HKT_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL), HK_EFULL);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(executor));

    executor = open_it("threads:1?queue_capacity=1k&when_full=fail"); /* Sizes take k. */
    hkt_plug_insert(&plug, executor, 1);
    for (int i = 0; i < 1024; i++) {
        HKT_OK(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL));
    }
    HKT_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL), HK_EFULL);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(executor));
}

static void limits_and_borders_are_kept(void)
{
    hk_executor *executor = open_it("threads:1?task_timeout=5ms");
    atomic_uint counter = 0;
    hk_future *future = NULL;
    static const char bytes[101] = {0};

    HKT_OK_FATAL(hk_submit(executor, hkt_sleeps, NULL, 0, NULL, &future));
    hkt_expect_end(future, HK_EDEADLINE);
    HKT_OK(hk_executor_destroy(executor));

    executor = open_it("threads:1?roundtrip=1&max_payload=100");
    HKT_STATUS(hk_submit_ref(executor, hkt_counts, &counter, NULL, NULL, NULL), HK_EPORTABLE);
    HKT_STATUS(hk_submit(executor, hkt_nothing, bytes, 101, NULL, NULL), HK_ETOOBIG);
    HKT_OK(hk_submit(executor, hkt_nothing, bytes, 100, NULL, NULL));
    HKT_OK(hk_executor_destroy(executor));
}

HK_TASK(counts_cpus)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : -1;

    return hk_return(call, &count, sizeof(count));
}

static void workers_may_be_bound_to_cpus(void)
{
    char spec[64];
    hk_future *future = NULL;
    cpu_set_t set;
    size_t usable = 0;
    hk_executor *executor;

    HKT_EQ_INT_FATAL(sched_getaffinity(0, sizeof(set), &set), 0);
    while (!CPU_ISSET(usable, &set)) {
        usable++;
    }
    snprintf(spec, sizeof(spec), "threads:1?cpus=%zu,%zu-%zu", usable, usable, usable);
    executor = open_it(spec);
    HKT_OK_FATAL(hk_submit(executor, counts_cpus, NULL, 0, NULL, &future));
    HKT_EQ_INT(hkt_take_int(future), 1);
    HKT_OK(hk_executor_destroy(executor));
}

static void workers_are_replaced_and_leave_as_told(void)
{
    hk_executor *executor = open_it("threads:1?tasks_per_worker=2&idle_exit=1ms");

    for (int i = 0; i < 6; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, hkt_square, i)), i * i);
    }
    HKT_TRUE(hkt_becomes(executor, hkt_workers, 0));
    HKT_TRUE(hkt_stats(executor).workers_started >= 3);
    HKT_OK(hk_executor_destroy(executor));
}

static CU_TestInfo tests[] = {
    HKT_CASE("good texts are understood", good_texts_are_understood),
    HKT_CASE("EX04 bad texts are refused with a reason", bad_texts_are_refused_with_a_reason),
    HKT_CASE("no text is refused", no_text_is_refused),
    HKT_CASE("the reason names what is wrong", the_reason_names_what_is_wrong),
    HKT_CASE("the reason names what would be right", the_reason_names_what_would_be_right),
    HKT_CASE("the reason is cut to fit", the_reason_is_cut_to_fit),
    HKT_CASE("a very long text is refused", a_very_long_text_is_refused),
    HKT_CASE("the number is the workers", the_number_is_the_workers),
    HKT_CASE("the name is the executor's", the_name_is_the_executors),
    HKT_CASE("the queue is as long as it says", the_queue_is_as_long_as_it_says),
    HKT_CASE("limits and borders are kept", limits_and_borders_are_kept),
    HKT_CASE("workers may be bound to CPUs", workers_may_be_bound_to_cpus),
    HKT_CASE("workers are replaced and leave as told", workers_are_replaced_and_leave_as_told),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "spec", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
