/* SPDX-License-Identifier: MIT */
/* What the public surface promises to programs of other versions, and small calls of it that no
 * other suite is about. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/promise_fixture.h"

/* --- Structs that grow --- */

/* Options as a later version may have them. */
struct later_executor_options {
    hk_executor_options known;
    uint64_t unknown;
};

static void options_may_be_larger_if_what_is_unknown_is_zero(void)
{
    struct later_executor_options options = {.known = {.size = sizeof(options), .workers = 1}};
    hk_executor *executor = NULL;

    HKT_OK(hk_thread_pool_create(&options.known, &executor));
    HKT_OK(hk_executor_destroy(executor));
    options.unknown = 1;
    HKT_STATUS(hk_thread_pool_create(&options.known, &executor), HK_EINVAL);
    options.unknown = 0;
    options.known.size = sizeof(options.known) - 1;
    HKT_STATUS(hk_thread_pool_create(&options.known, &executor), HK_EINVAL);
    options.known.size = SIZE_MAX;
    HKT_STATUS(hk_thread_pool_create(&options.known, &executor), HK_EINVAL);
}

static void every_struct_of_options_has_a_size_that_counts(void)
{
    struct {
        hk_queue_options known;
        uint64_t unknown;
    } queue = {.known = {.size = sizeof(queue)}, .unknown = 1};
    struct {
        hk_ring_options known;
        uint64_t unknown;
    } ring = {.known = {.size = sizeof(ring)}, .unknown = 1};
    struct {
        hk_lock_options known;
        uint64_t unknown;
    } lock = {.known = {.size = sizeof(lock)}, .unknown = 1};
    hk_queue *no_queue = NULL;
    hk_ring *no_ring = NULL;
    hk_lock no_lock;

    HKT_STATUS(hk_queue_create(&queue.known, &no_queue), HK_EINVAL);
    HKT_STATUS(hk_ring_create(&ring.known, &no_ring), HK_EINVAL);
    HKT_STATUS(hk_lock_init(&no_lock, &lock.known), HK_EINVAL);
}

static bool is_zero(const void *memory, size_t size)
{
    const unsigned char *bytes = memory;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static void spare_fields_are_zero(void)
{
    hk_executor *executor = hkt_pool_create((hk_executor_options){.workers = 1});
    hk_executor_statistics executor_statistics;
    hk_memory_statistics memory_statistics;
    hk_lock_order_statistics order_statistics;
    hk_future_view view;
    struct hkt_pair pair;

    memset(&executor_statistics, 0xff, sizeof(executor_statistics));
    memset(&memory_statistics, 0xff, sizeof(memory_statistics));
    memset(&order_statistics, 0xff, sizeof(order_statistics));
    memset(&view, 0xff, sizeof(view));
    HKT_OK(hk_executor_stats(executor, &executor_statistics));
    HKT_OK(hk_memory_stats(&memory_statistics));
    HKT_OK(hk_lock_order_stats(&order_statistics));
    hkt_pair_open(&pair);
    HKT_OK(hk_future_snapshot(pair.future, &view));
    hkt_pair_close(&pair);
    HKT_TRUE(is_zero(executor_statistics.reserved, sizeof(executor_statistics.reserved)));
    HKT_TRUE(is_zero(memory_statistics.reserved, sizeof(memory_statistics.reserved)));
    HKT_TRUE(is_zero(order_statistics.reserved, sizeof(order_statistics.reserved)));
    HKT_TRUE(is_zero(view.reserved, sizeof(view.reserved)));
    HKT_OK(hk_executor_destroy(executor));
}

/* --- Small calls --- */

static bool is_readable(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};

    return poll(&poller, 1, 0) == 1;
}

static void a_tokens_descriptor_tells_that_it_was_fired(void)
{
    hk_cancel_token *parent = NULL;
    hk_cancel_token *token = NULL;
    int fd = -1;
    int again = -2;

    HKT_OK_FATAL(hk_cancel_token_create(NULL, &parent));
    HKT_OK_FATAL(hk_cancel_token_create(parent, &token));
    HKT_OK(hk_cancel_token_fd(token, &fd));
    HKT_OK(hk_cancel_token_fd(token, &again));
    HKT_EQ_INT(again, fd);
    HKT_TRUE(!is_readable(fd));
    HKT_OK(hk_cancel_token_fire(parent, NULL));
    HKT_TRUE(is_readable(fd));
    /* Of one that was fired before. */
    HKT_OK(hk_cancel_token_fd(parent, &fd));
    HKT_TRUE(is_readable(fd));
    HKT_STATUS(hk_cancel_token_fd(NULL, &fd), HK_EINVAL);
    HKT_STATUS(hk_cancel_token_fd(token, NULL), HK_EINVAL);
    hk_cancel_token_unref(token);
    hk_cancel_token_unref(parent);
}

static void a_tokens_descriptor_is_not_set_by_a_child(void)
{
    hk_cancel_token *token = NULL;
    int fd = -1;
    int wait_status = 0;
    pid_t child;

    HKT_OK_FATAL(hk_cancel_token_create(NULL, &token));
    HKT_OK(hk_cancel_token_fd(token, &fd));
    if ((child = fork()) == 0) {
        int none = -7;
        bool is_right = hk_cancel_token_fd(token, &none) == HK_EFORKED && none == -7 &&
                        hk_cancel_token_fire(token, NULL) == HK_OK;

        _exit(is_right ? 0 : 1);
    }
    HKT_EQ_INT(waitpid(child, &wait_status, 0), child);
    HKT_EQ_INT(wait_status, 0);
    HKT_TRUE(!is_readable(fd));
    hk_cancel_token_unref(token);
}

static void time_until_a_moment_is_never_for_ever(void)
{
    int64_t now_ns = hk_now_ns();

    HKT_EQ_INT(hk_time_until(now_ns - 1), 0);
    HKT_EQ_INT(hk_time_until(0), 0);
    HKT_TRUE(hk_time_until(now_ns + HK_SEC(3600)) > HK_SEC(1800));
    HKT_TRUE(hk_time_until(INT64_MAX) > 0);
}

/* As any function does that calls the system. */
static const char *name_of_file(void)
{
    errno = 0;
    return "settings";
}

HK_TASK(finds_no_file)
{
    (void)in;
    (void)in_size;
    errno = ENOENT;
    return hk_fail_errno(call, "open %s", name_of_file());
}

static void a_failure_of_the_system_is_told_with_its_number_and_text(void)
{
    hk_executor *executor = NULL;
    hk_future *future = NULL;
    const hk_error *error = NULL;

    HKT_OK_FATAL(hk_executor_open(hkt_executor_spec(), &executor));
    HKT_OK_FATAL(hk_submit(executor, finds_no_file, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_EQ_INT(error->sys_errno, ENOENT);
    HKT_EQ_STR(error->message, "open settings: No such file or directory");
    HKT_TRUE(error->line > 0);
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(executor));
}

HK_TASK(tells_what_it_was_given)
{
    void *reference = hk_input_ref(in, in_size);

    return hk_return(call, &reference, sizeof(reference));
}

static void what_was_given_by_reference_is_found_again(void)
{
    static int object;
    hk_executor *executor = NULL;
    hk_future *future = NULL;
    const void *value = NULL;
    void *seen = NULL;

    HKT_OK_FATAL(hk_inline_create(NULL, &executor));
    HKT_OK(hk_submit_ref(executor, tells_what_it_was_given, &object, NULL, NULL, &future));
    HKT_OK(hk_future_result(future, HK_FOREVER, &value, NULL));
    memcpy(&seen, value, sizeof(seen));
    HKT_EQ_PTR(seen, &object);
    hk_future_unref(future);
    HKT_OK(hk_submit(executor, tells_what_it_was_given, "bytes", 5, NULL, &future));
    HKT_OK(hk_future_result(future, HK_FOREVER, &value, NULL));
    memcpy(&seen, value, sizeof(seen));
    HKT_EQ_PTR(seen, NULL);
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(executor));
}

/* A wrapper of an application's own. */
static hk_status submit_nothing(const hk_site *site, hk_executor *executor, hk_future **future)
{
    return hk_submit_at(site, executor, finds_no_file, NULL, 0, NULL, future);
}

static void a_wrapper_hands_on_its_callers_line(void)
{
    hk_executor *executor = NULL;
    hk_future *future = NULL;
    const hk_error *error = NULL;
    int line;

    HKT_OK_FATAL(hk_inline_create(NULL, &executor));
    line = __LINE__ + 1;
    HKT_OK_FATAL(submit_nothing(HK_SITE, executor, &future));
    HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
    HKT_EQ_INT(error->submit_line, line);
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(executor));
}

static CU_TestInfo tests[] = {
    HKT_CASE("options may be larger if what is unknown is zero",
             options_may_be_larger_if_what_is_unknown_is_zero),
    HKT_CASE("every struct of options has a size that counts",
             every_struct_of_options_has_a_size_that_counts),
    HKT_CASE("spare fields are zero", spare_fields_are_zero),
    HKT_CASE("a token's descriptor tells that it was fired",
             a_tokens_descriptor_tells_that_it_was_fired),
    HKT_CASE("a token's descriptor is not set by a child",
             a_tokens_descriptor_is_not_set_by_a_child),
    HKT_CASE("time until a moment is never for ever", time_until_a_moment_is_never_for_ever),
    HKT_CASE("a failure of the system is told with its number and text",
             a_failure_of_the_system_is_told_with_its_number_and_text),
    HKT_CASE("what was given by reference is found again",
             what_was_given_by_reference_is_found_again),
    HKT_CASE("a wrapper hands on its caller's line", a_wrapper_hands_on_its_callers_line),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "surface", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
