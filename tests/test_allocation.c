/* SPDX-License-Identifier: MIT */
/* Every call of the futures layer that allocates, without memory. */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "tests/allocation_fixture.h"
#include "tests/promise_fixture.h"

enum { SOURCES = 40 }; /* More than a wait watches without memory. */

/* What the cases work on: made by prepare, taken away by clean. */
static struct hkt_pair pair;
static struct hkt_pair other;
static struct hkt_pair sources[SOURCES];
static hk_future *futures[SOURCES];
static hk_future *out;
static hk_completion *completion;
static hk_cancel_token *token;
static hk_cancel_token *parent;
static hk_hook *hook;
static hk_value value;
static struct hkt_seen seen;
static unsigned char large[200];

static void prepare(void)
{
    hkt_pair_open(&pair);
    hkt_pair_open(&other);
    hkt_pairs_open(sources, futures, SOURCES);
    HKT_OK(hk_completion_create(&completion));
    HKT_OK(hk_cancel_token_create(NULL, &parent));
    out = NULL;
    token = NULL;
    hook = NULL;
    memset(&value, 0, sizeof(value));
    memset(&seen, 0, sizeof(seen));
}

static void clean(void)
{
    hk_completion_destroy(completion);
    hk_cancel_token_unref(parent);
    if (out != NULL) {
        (void)hk_future_cancel(out, HK_CANCEL_REQUEST);
        (void)hk_future_why(out);
        hk_future_unref(out);
    }
    hk_hook_forget(hook);
    hk_value_drop(&value);
    hkt_pair_close(&pair);
    hkt_pair_close(&other);
    hkt_pairs_close(sources, SOURCES);
}

static void still_pending(void)
{
    HKT_EQ_INT(hk_future_state(pair.future), HK_PENDING);
    HKT_EQ_PTR(out, NULL);
    HKT_EQ_INT(seen.calls, 0);
    for (int i = 0; i < SOURCES; i++) {
        HKT_EQ_INT(hk_future_state(futures[i]), HK_PENDING);
    }
}

/* --- Promises ----------------------------------------------------------------------- */

static hk_status create_promise(void)
{
    hk_promise *promise = NULL;
    hk_future *future = NULL;
    hk_status status = hk_promise_create(&promise, &future);

    if (status != HK_OK) {
        HKT_TRUE(promise == NULL && future == NULL);
        return status;
    }
    HKT_OK(hkt_set_int(promise, 1));
    hk_promise_destroy(promise);
    hk_future_unref(future);
    return status;
}

static hk_status set_large(void)
{
    return hk_promise_set(pair.promise, large, sizeof(large));
}

static void set_still_possible(void)
{
    still_pending();
    HKT_OK(hkt_set_int(pair.promise, HKT_VALUE));
    HKT_EQ_INT(hkt_peek_int(pair.future), HKT_VALUE);
}

static hk_status fail_promise(void)
{
    return hk_promise_fail(pair.promise, HKT_APP_CODE, "%s", HKT_MESSAGE);
}

/* Whatever details are lost: a failure is a failure. */
static void has_failed(void)
{
    const hk_error *error = NULL;
    char text[256];

    HKT_EQ_INT(hk_future_state(pair.future), HK_FAILED);
    HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), HK_EFAILED);
    HKT_OK(hk_future_error(pair.future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_TRUE(error->message[0] != '\0');
    HKT_TRUE(hk_error_format(error, text, sizeof(text)) > 0);
}

static hk_status break_promise(void)
{
    hk_promise_destroy(pair.promise);
    pair.promise = NULL;
    return HK_OK;
}

static void is_broken(void)
{
    HKT_STATUS(hk_future_result(pair.future, 0, NULL, NULL), HK_EBROKEN);
}

static hk_status make_token(void)
{
    return hk_promise_token(pair.promise, &token);
}

static void has_no_token(void)
{
    HKT_EQ_PTR(token, NULL);
    still_pending();
}

static hk_status cancel_with_token(void)
{
    hk_status status = hk_promise_token(pair.promise, &token);

    return status == HK_OK ? hk_future_cancel(pair.future, HK_CANCEL_REQUEST) : status;
}

static hk_status add_callback(void)
{
    return hk_future_on_done(pair.future, NULL, hkt_see, &seen, &hook);
}

static void no_callback(void)
{
    still_pending();
    HKT_EQ_PTR(hook, NULL);
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(seen.calls, 0);
}

static void one_callback(void)
{
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(seen.calls, 1);
}

static void prepare_value(void)
{
    prepare();
    hkt_pair_end(&pair, HK_DONE);
}

static hk_status take_small(void)
{
    return hk_future_take(pair.future, 0, &value);
}

static void value_is_still_there(void)
{
    HKT_EQ_PTR(value.data, NULL);
    HKT_EQ_INT(hkt_peek_int(pair.future), HKT_VALUE);
    HKT_OK(hk_future_take(pair.future, 0, &value));
}

static void prepare_failure(void)
{
    prepare();
    hkt_pair_end(&pair, HK_FAILED);
}

static hk_status ask_why(void)
{
    return strstr(hk_future_why(pair.future), HKT_MESSAGE) != NULL ? HK_OK : HK_EINVAL;
}

static hk_status wait_for_many(void)
{
    hk_status status = hk_wait(futures, SOURCES, HK_FIRST_COMPLETED, HK_NS(1), NULL, NULL);

    return status == HK_ETIMEDOUT ? HK_OK : status;
}

static hk_status create_token(void)
{
    hk_cancel_token *child = NULL;
    hk_status status = hk_cancel_token_create(parent, &child);

    HKT_EQ_INT(child != NULL, status == HK_OK);
    hk_cancel_token_unref(child);
    return status;
}

/* --- Completion queues ---------------------------------------------------------------- */

static hk_status create_completion(void)
{
    hk_completion *one = NULL;
    hk_status status = hk_completion_create(&one);

    HKT_EQ_INT(one != NULL, status == HK_OK);
    hk_completion_destroy(one);
    return status;
}

static hk_status add_to_completion(void)
{
    return hk_completion_add(completion, pair.future, 1);
}

static void nothing_outstanding(void)
{
    still_pending();
    HKT_EQ_INT(hk_completion_outstanding(completion), 0);
    hkt_pair_end(&pair, HK_DONE);
    HKT_STATUS(hk_completion_next(completion, 0, NULL, NULL), HK_EDONE);
}

static hk_status create_as_completed(void)
{
    hk_completion *one = NULL;
    hk_status status = hk_as_completed(futures, SOURCES, HK_FOREVER, &one);

    HKT_EQ_INT(one != NULL, status == HK_OK);
    hk_completion_destroy(one);
    return status;
}

/* --- Chains --------------------------------------------------------------------------- */

static hk_status add_one(hk_future *source, hk_promise *result, void *arg)
{
    (void)arg;
    return hkt_set_int(result, hkt_peek_int(source) + 1);
}

static hk_status return_full(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    (void)arg;
    return HK_EFULL;
}

static hk_status make_then(void)
{
    return hk_then(pair.future, NULL, add_one, NULL, &out);
}

static void then_works(void)
{
    hkt_pair_end(&pair, HK_DONE);
    HKT_EQ_INT(hkt_peek_int(out), HKT_VALUE + 1);
}

static hk_status make_catch(void)
{
    return hk_catch(pair.future, NULL, add_one, NULL, &out);
}

/* The step's own failure must survive, whatever becomes of its details. */
static hk_status run_failing_step(void)
{
    hk_status status = hk_then(pair.future, NULL, return_full, NULL, &out);

    if (status == HK_OK) {
        HKT_OK(hkt_set_int(pair.promise, 1));
        HKT_STATUS(hk_future_result(out, 0, NULL, NULL), HK_EFAILED);
    }
    return status;
}

static hk_status make_when_all(void)
{
    return hk_when_all(futures, SOURCES, &out);
}

static hk_status make_settle_all(void)
{
    return hk_settle_all(futures, SOURCES, &out);
}

static hk_status make_when_any(void)
{
    return hk_when_any(futures, SOURCES, &out);
}

static hk_status make_within(void)
{
    return hk_within(pair.future, HK_SEC(100000), &out);
}

static const struct hkt_allocation_case cases[] = {
    {"hk_promise_create", prepare, create_promise, NULL, NULL, clean, false},
    {"hk_promise_set", prepare, set_large, set_still_possible, NULL, clean, false},
    {"hk_promise_fail", prepare, fail_promise, NULL, has_failed, clean, true},
    {"hk_promise_destroy", prepare, break_promise, NULL, is_broken, clean, true},
    {"hk_promise_token", prepare, make_token, has_no_token, NULL, clean, false},
    {"hk_promise_token and a cancel", prepare, cancel_with_token, NULL, NULL, clean, false},
    {"hk_future_on_done", prepare, add_callback, no_callback, one_callback, clean, false},
    {"hk_future_take", prepare_value, take_small, value_is_still_there, NULL, clean, false},
    {"hk_future_why", prepare_failure, ask_why, NULL, NULL, clean, true},
    {"hk_wait", prepare, wait_for_many, still_pending, NULL, clean, false},
    {"hk_cancel_token_create", prepare, create_token, NULL, NULL, clean, false},
    {"hk_completion_create", prepare, create_completion, NULL, NULL, clean, false},
    {"hk_completion_add", prepare, add_to_completion, nothing_outstanding, NULL, clean, false},
    {"hk_as_completed", prepare, create_as_completed, still_pending, NULL, clean, false},
    {"hk_then", prepare, make_then, still_pending, then_works, clean, false},
    {"hk_catch", prepare, make_catch, still_pending, NULL, clean, false},
    {"hk_then and its step", prepare, run_failing_step, still_pending, NULL, clean, true},
    {"hk_when_all", prepare, make_when_all, still_pending, NULL, clean, false},
    {"hk_settle_all", prepare, make_settle_all, still_pending, NULL, clean, false},
    {"hk_when_any", prepare, make_when_any, still_pending, NULL, clean, false},
    {"hk_within", prepare, make_within, still_pending, NULL, clean, false},
};

static void every_call_survives_without_memory(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hkt_check_true(HKT_SITE(false), hkt_fail_each_allocation(&cases[i]) > 0, cases[i].name);
    }
}

/* --- What needs none ------------------------------------------------------------------- */

/* The next allocation fails, so these calls make none. */
static void ending_reading_and_removing_need_no_memory(void)
{
    hk_future_view view;
    char text[64];
    int fd = -1;

    prepare();
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &seen, &hook));
    HKT_OK(hk_completion_add(completion, pair.future, 1));
    hki_memory_fail_at(1);
    HKT_OK(hk_promise_start(pair.promise));
    HKT_OK(hk_future_fd(pair.future, &fd));
    HKT_OK(hkt_set_int(pair.promise, 4));
    HKT_EQ_INT(seen.calls, 1);
    HKT_OK(hk_future_result(pair.future, HK_FOREVER, NULL, NULL));
    HKT_OK(hk_future_snapshot(pair.future, &view));
    HKT_TRUE(hk_future_describe(pair.future, text, sizeof(text)) > 0);
    HKT_OK(hk_wait(&pair.future, 1, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL));
    HKT_OK(hk_completion_next(completion, 0, NULL, NULL));
    HKT_STATUS(hk_hook_remove(hook), HK_ESTATE);
    HKT_OK(hk_future_cancel(other.future, HK_CANCEL_PENDING));
    HKT_OK(hk_promise_set_ref(sources[0].promise, large, NULL));
    HKT_OK(hk_cancel_token_fire(parent, "without memory"));
    HKT_OK(hk_promise_follow(sources[1].promise, pair.future));
    HKT_EQ_INT(hki_memory_fail_at(0), 1);
    hook = NULL;
    clean();
}

static CU_TestInfo tests[] = {
    HKT_CASE("every call that allocates survives without memory",
             every_call_survives_without_memory),
    HKT_CASE("ending, reading and removing need no memory",
             ending_reading_and_removing_need_no_memory),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "allocation", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
