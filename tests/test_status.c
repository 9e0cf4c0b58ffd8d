/* SPDX-License-Identifier: MIT */
/* The small modules that everything stands on: status, time, version, memory, log. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "tests/promise_fixture.h"

/* --- Status --- */

struct known_status {
    hk_status status;
    const char *name;
};

#define KNOWN_STATUS(name, number, text) {name, #name},

static const struct known_status known[] = {HK_STATUS_MAP(KNOWN_STATUS)};

enum { KNOWN_COUNT = sizeof(known) / sizeof(known[0]) };

static void every_status_has_its_identifier_as_name(void)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        HKT_EQ_STR(hk_status_name(known[i].status), known[i].name);
    }
    HKT_EQ_STR(hk_status_name((hk_status)-4095), "HK_?");
    HKT_EQ_STR(hk_status_name((hk_status)1), "HK_?");
}

static void every_status_has_a_text_of_its_own(void)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        const char *text = hk_strerror(known[i].status);

        HKT_TRUE(text[0] != '\0');
        HKT_TRUE(text[strlen(text) - 1] != '.');
        for (size_t j = 0; j < i; j++) {
            HKT_TRUE(strcmp(text, hk_strerror(known[j].status)) != 0);
        }
    }
    HKT_TRUE(hk_strerror((hk_status)-4095) != NULL);
}

static void success_is_zero_and_every_failure_is_negative(void)
{
    HKT_EQ_INT(HK_OK, 0);
    for (size_t i = 1; i < KNOWN_COUNT; i++) {
        HKT_TRUE(known[i].status < 0);
        for (size_t j = 0; j < i; j++) {
            HKT_TRUE(known[i].status != known[j].status);
        }
    }
}

static void codes_of_the_system_keep_their_number(void)
{
    HKT_EQ_INT(HK_EINVAL, -EINVAL);
    HKT_EQ_INT(HK_ENOMEM, -ENOMEM);
    HKT_EQ_INT(HK_ETIMEDOUT, -ETIMEDOUT);
    HKT_EQ_INT(HK_ECANCELED, -ECANCELED);
    HKT_EQ_INT(HK_EDEADLK, -EDEADLK);
    HKT_EQ_INT(HK_EPERM, -EPERM);
    /* The rest stay clear of every number that Linux has for an error. */
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        HKT_TRUE(known[i].status < -4095 || known[i].status > -1000);
    }
}

static CU_TestInfo status_tests[] = {
    HKT_CASE("every status has its identifier as name", every_status_has_its_identifier_as_name),
    HKT_CASE("every status has a text of its own", every_status_has_a_text_of_its_own),
    HKT_CASE("success is zero and every failure is negative",
             success_is_zero_and_every_failure_is_negative),
    HKT_CASE("codes of the system keep their number", codes_of_the_system_keep_their_number),
    CU_TEST_INFO_NULL,
};

/* --- Time --- */

static int64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void now_is_the_monotonic_clock(void)
{
    int64_t before = monotonic_ns();
    int64_t now = hk_now_ns();
    int64_t after = monotonic_ns();

    HKT_TRUE(before <= now);
    HKT_TRUE(now <= after);
}

static void now_never_goes_back(void)
{
    enum { LOOKS = 10000 };
    int64_t last = 0;

    for (int i = 0; i < LOOKS; i++) {
        int64_t now = hk_now_ns();

        HKT_TRUE_FATAL(now >= last);
        last = now;
    }
}

static void units_are_nanoseconds(void)
{
    HKT_EQ_INT(HK_NS(3), 3);
    HKT_EQ_INT(HK_US(3), 3000);
    HKT_EQ_INT(HK_MS(3), 3000000);
    HKT_EQ_INT(HK_SEC(3), 3000000000LL);
    /* No overflow where an int would have one. */
    HKT_EQ_INT(HK_SEC(86400), 86400000000000LL);
}

/* A wait says whether its duration made sense. */
static void zero_polls_and_other_negatives_are_refused(void)
{
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_STATUS(hk_future_wait(pair.future, 0), HK_ETIMEDOUT);
    HKT_STATUS(hk_future_wait(pair.future, -2), HK_EINVAL);
    HKT_STATUS(hk_future_wait(pair.future, INT64_MIN), HK_EINVAL);
    hkt_pair_end(&pair, HK_DONE);
    HKT_OK(hk_future_wait(pair.future, HK_FOREVER));
    HKT_STATUS(hk_future_wait(pair.future, -2), HK_EINVAL);
    hkt_pair_close(&pair);
}

static void wait_longer_than_the_clock(void *arg)
{
    HKT_OK(hk_future_wait(arg, INT64_MAX));
}

static void a_duration_too_long_for_the_clock_is_for_ever(void)
{
    struct hkt_thread waiter;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    hkt_thread_start(&waiter, wait_longer_than_the_clock, pair.future);
    hkt_thread_await_sleep(&waiter);
    hkt_pair_end(&pair, HK_DONE);
    hkt_thread_join(&waiter);
    hkt_pair_close(&pair);
}

static CU_TestInfo time_tests[] = {
    HKT_CASE("now is the monotonic clock", now_is_the_monotonic_clock),
    HKT_CASE("now never goes back", now_never_goes_back),
    HKT_CASE("units are nanoseconds", units_are_nanoseconds),
    HKT_CASE("zero polls and other negatives are refused",
             zero_polls_and_other_negatives_are_refused),
    HKT_CASE("a duration too long for the clock is for ever",
             a_duration_too_long_for_the_clock_is_for_ever),
    CU_TEST_INFO_NULL,
};

/* --- Version --- */

static void the_library_has_the_version_of_its_header(void)
{
    char expected[32];

    snprintf(expected, sizeof(expected), "%d.%d.%d", HK_VERSION_MAJOR, HK_VERSION_MINOR,
             HK_VERSION_PATCH);
    HKT_EQ_STR(hk_version(), expected);
}

static CU_TestInfo version_tests[] = {
    HKT_CASE("the library has the version of its header",
             the_library_has_the_version_of_its_header),
    CU_TEST_INFO_NULL,
};

/* --- Memory --- */

/* An allocator that checks the sizes it is told. */
struct ledger {
    unsigned allocated;
    unsigned released;
    size_t bytes;
    unsigned wrong_sizes;
};

union header {
    size_t size;
    max_align_t align;
};

static void *ledger_allocate(size_t size, void *context)
{
    struct ledger *ledger = context;
    union header *header = malloc(sizeof(*header) + size);

    if (header == NULL) {
        return NULL;
    }
    header->size = size;
    ledger->allocated++;
    ledger->bytes += size;
    return header + 1;
}

static void ledger_release(void *memory, size_t size, void *context)
{
    struct ledger *ledger = context;
    union header *header = (union header *)memory - 1;

    ledger->wrong_sizes += header->size != size;
    ledger->released++;
    ledger->bytes -= header->size;
    free(header);
}

static uint64_t live_blocks(void)
{
    hk_memory_statistics statistics;

    HKT_OK(hk_memory_stats(&statistics));
    return statistics.live_blocks;
}

static void an_allocator_of_ones_own_sees_every_block(void)
{
    struct ledger ledger = {0};
    const hk_allocator mine = {ledger_allocate, ledger_release, &ledger};
    static const char large[1000];
    struct hkt_pair pair;

    HKT_EQ_INT_FATAL(live_blocks(), 0);
    HKT_OK_FATAL(hk_allocator_set(&mine));
    hkt_pair_open(&pair);
    HKT_TRUE(ledger.allocated > 0);
    HKT_OK(hk_promise_set(pair.promise, large, sizeof(large)));
    HKT_TRUE(ledger.bytes >= sizeof(large));
    HKT_EQ_INT(live_blocks(), ledger.allocated - ledger.released);
    hkt_pair_close(&pair);
    hkt_pair_open_in(&pair, HK_FAILED);
    hkt_pair_close(&pair);
    HKT_EQ_INT(ledger.released, ledger.allocated);
    HKT_EQ_INT(ledger.bytes, 0);
    HKT_EQ_INT(ledger.wrong_sizes, 0);
    HKT_OK(hk_allocator_set(NULL));

    hkt_pair_open_in(&pair, HK_DONE);
    hkt_pair_close(&pair);
    HKT_EQ_INT(ledger.released, ledger.allocated);
}

static void the_allocator_cannot_change_while_memory_is_in_use(void)
{
    struct ledger ledger = {0};
    const hk_allocator mine = {ledger_allocate, ledger_release, &ledger};
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_STATUS(hk_allocator_set(&mine), HK_ESTATE);
    HKT_STATUS(hk_allocator_set(NULL), HK_ESTATE);
    hkt_pair_end(&pair, HK_FAILED);
    hkt_pair_close(&pair);
    HKT_EQ_INT(ledger.allocated, 0);
}

static void an_allocator_needs_both_functions(void)
{
    const hk_allocator no_release = {ledger_allocate, NULL, NULL};
    const hk_allocator no_allocate = {NULL, ledger_release, NULL};

    HKT_STATUS(hk_allocator_set(&no_release), HK_EINVAL);
    HKT_STATUS(hk_allocator_set(&no_allocate), HK_EINVAL);
}

static void the_statistics_follow_what_is_live(void)
{
    hk_memory_statistics before;
    hk_memory_statistics during;
    hk_memory_statistics after;
    static const char large[100000];
    struct hkt_pair pair;

    HKT_STATUS(hk_memory_stats(NULL), HK_EINVAL);
    HKT_OK(hk_memory_stats(&before));
    hkt_pair_open(&pair);
    HKT_OK(hk_promise_set(pair.promise, large, sizeof(large)));
    HKT_OK(hk_memory_stats(&during));
    hkt_pair_close(&pair);
    HKT_OK(hk_memory_stats(&after));

    HKT_TRUE(during.live_blocks > before.live_blocks);
    HKT_TRUE(during.live_bytes >= before.live_bytes + sizeof(large));
    HKT_TRUE(during.allocations > before.allocations);
    HKT_EQ_INT(after.live_blocks, before.live_blocks);
    HKT_EQ_INT(after.live_bytes, before.live_bytes);
    HKT_EQ_INT(after.allocations, during.allocations);
    HKT_TRUE(strcmp(during.process_allocator, "malloc") == 0 ||
             strcmp(during.process_allocator, "jemalloc") == 0);
}

static void memory_that_was_handed_over_may_be_null(void)
{
    hki_block_free(NULL);
    hk_value_drop(NULL);
}

/* The hook that the allocation suites rest on. */
static void the_nth_allocation_fails_once(void)
{
    struct hkt_pair pair = {NULL, NULL};

    hki_memory_fail_at(1);
    HKT_STATUS(hk_promise_create(&pair.promise, &pair.future), HK_ENOMEM);
    HKT_EQ_PTR(pair.promise, NULL);
    HKT_EQ_PTR(pair.future, NULL);
    hkt_pair_open(&pair);
    hkt_pair_close(&pair);
    hki_memory_fail_at(1000);
    hkt_pair_open(&pair);
    hkt_pair_close(&pair);
    HKT_TRUE(hki_memory_fail_at(0) < 1000);
    HKT_EQ_INT(hki_memory_fail_at(0), 0);
}

static CU_TestInfo memory_tests[] = {
    HKT_CASE("an allocator of one's own sees every block",
             an_allocator_of_ones_own_sees_every_block),
    HKT_CASE("the allocator cannot change while memory is in use",
             the_allocator_cannot_change_while_memory_is_in_use),
    HKT_CASE("an allocator needs both functions", an_allocator_needs_both_functions),
    HKT_CASE("the statistics follow what is live", the_statistics_follow_what_is_live),
    HKT_CASE("memory that was handed over may be NULL", memory_that_was_handed_over_may_be_null),
    HKT_CASE("the nth allocation fails, once", the_nth_allocation_fails_once),
    CU_TEST_INFO_NULL,
};

/* --- Log --- */

/* The line that every reader can provoke: a failure that nobody read. */
static void leave_a_failure_unread(void)
{
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_FAILED);
    hk_promise_destroy(pair.promise);
    hk_future_unref(pair.future);
}

static void a_hook_takes_the_lines(void)
{
    struct hkt_log log;

    hkt_log_begin(&log);
    leave_a_failure_unread();
    HKT_EQ_INT(log.lines, 1);
    HKT_EQ_INT(log.level, HK_LOG_WARNING);
    HKT_TRUE(hkt_log_has(&log, HKT_MESSAGE));
    /* One newline for one line: ours, not one that came with the text. */
    HKT_EQ_PTR(strchr(log.text, '\n'), log.text + strlen(log.text) - 1);
    hkt_log_end(&log);
}

static void leave_a_failure_unread_in_a_child(void *arg)
{
    (void)arg;
    leave_a_failure_unread();
}

static void without_a_hook_warnings_go_to_standard_error(void)
{
    struct hkt_child child;

    hkt_run_in_child(leave_a_failure_unread_in_a_child, NULL, &child);
    HKT_EQ_INT(child.exit_status, 0);
    HKT_TRUE(strncmp(child.output, "hocket: warning: ", strlen("hocket: warning: ")) == 0);
    HKT_TRUE(strstr(child.output, HKT_MESSAGE) != NULL);
}

static void log_from_within(hk_log_level level, const char *text, void *arg)
{
    unsigned *depth = arg;

    (void)level;
    (void)text;
    /* No lock is held here: a line from within the hook is another call of it. */
    if ((*depth)++ == 0) {
        leave_a_failure_unread();
        hk_on_log(log_from_within, depth);
    }
}

static void the_hook_may_use_the_library(void)
{
    unsigned depth = 0;

    hk_on_log(log_from_within, &depth);
    leave_a_failure_unread();
    hk_on_log(NULL, NULL);
    HKT_EQ_INT(depth, 2);
}

static CU_TestInfo log_tests[] = {
    HKT_CASE("a hook takes the lines", a_hook_takes_the_lines),
    HKT_CASE("without a hook warnings go to standard error",
             without_a_hook_warnings_go_to_standard_error),
    HKT_CASE("the hook may use the library", the_hook_may_use_the_library),
    CU_TEST_INFO_NULL,
};

/* Memory first: its first test wants to come before any other use. */
static CU_SuiteInfo suites[] = {
    {.pName = "memory", .pTests = memory_tests}, {.pName = "status", .pTests = status_tests},
    {.pName = "time", .pTests = time_tests},     {.pName = "version", .pTests = version_tests},
    {.pName = "log", .pTests = log_tests},       CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
