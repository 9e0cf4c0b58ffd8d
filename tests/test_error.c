/* SPDX-License-Identifier: MIT */
/* Errors: what they tell, how they read, and what becomes of one nobody reads. */
#include <stdio.h>
#include <string.h>

#include "futures/error_impl.h"
#include "tests/promise_fixture.h"
#include "tests/race_fixture.h"

static const hk_error *error_of(hk_future *future)
{
    const hk_error *error = NULL;

    HKT_OK(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    return error;
}

/* An error with nothing but what no error may lack. */
static hk_error plain_error(void)
{
    return (hk_error){.status = HK_EFAILED,
                      .attempt = 1,
                      .message = "it broke",
                      .file = "",
                      .function = "",
                      .task = "",
                      .label = "",
                      .submit_file = "",
                      .where = ""};
}

/* --- What an error tells ------------------------------------------------------------ */

static void a_failure_tells_its_line_and_where_it_was_handed_out(void)
{
    const hk_error *error;
    struct hkt_pair pair = {NULL, NULL};
    int created;
    int failed;

    created = __LINE__ + 1;
    HKT_OK_FATAL(hk_promise_create(&pair.promise, &pair.future));
    failed = __LINE__ + 1;
    HKT_OK(hk_promise_fail(pair.promise, 3, "expected %d bytes, got %d", 8, 5));
    error = error_of(pair.future);
    HKT_STATUS(error->status, HK_EFAILED);
    HKT_EQ_INT(error->app_code, 3);
    HKT_EQ_STR(error->message, "expected 8 bytes, got 5");
    HKT_EQ_STR(error->file, __FILE__);
    HKT_EQ_INT(error->line, failed);
    HKT_EQ_STR(error->function, __func__);
    HKT_EQ_STR(error->submit_file, __FILE__);
    HKT_EQ_INT(error->submit_line, created);
    HKT_EQ_INT(error->attempt, 1);
    HKT_EQ_STR(error->task, "");
    HKT_EQ_STR(error->label, "");
    HKT_EQ_INT(error->sys_errno, 0);
    HKT_EQ_INT(error->exit_status, 0);
    HKT_EQ_INT(error->term_signal, 0);
    HKT_EQ_PTR(error->cause, NULL);
    hkt_pair_close(&pair);
}

static void no_string_of_an_error_is_null(void)
{
    const hk_error *error;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    hk_promise_destroy(pair.promise);
    pair.promise = NULL;
    error = error_of(pair.future);
    HKT_TRUE(error->message != NULL && error->file != NULL && error->function != NULL &&
             error->task != NULL && error->label != NULL && error->submit_file != NULL &&
             error->where != NULL);
    hkt_pair_close(&pair);
}

static void a_message_is_copied(void)
{
    char text[] = "written over soon";
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_promise_fail(pair.promise, 1, "%s", text));
    memset(text, 'x', sizeof(text) - 1);
    HKT_EQ_STR(error_of(pair.future)->message, "written over soon");
    hkt_pair_close(&pair);
}

static void a_long_message_is_cut_not_lost(void)
{
    char text[4000];
    const char *message;
    struct hkt_pair pair;

    memset(text, 'm', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    hkt_pair_open(&pair);
    HKT_OK(hk_promise_fail(pair.promise, 1, "%s", text));
    message = error_of(pair.future)->message;
    HKT_TRUE(strlen(message) >= 200);
    HKT_EQ_INT(strspn(message, "m"), strlen(message));
    HKT_TRUE(strstr(hk_future_why(pair.future), "mmmm") != NULL);
    hkt_pair_close(&pair);
}

static void why_is_the_error_in_one_line(void)
{
    char expected[1024];
    const char *why;
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, HK_FAILED);
    why = hk_future_why(pair.future);
    hk_error_format(error_of(pair.future), expected, sizeof(expected));
    HKT_EQ_STR(why, expected);
    HKT_EQ_PTR(hk_future_why(pair.future), why);
    HKT_EQ_PTR(strchr(why, '\n'), NULL);
    HKT_TRUE(strstr(why, HKT_MESSAGE) != NULL);
    HKT_TRUE(strstr(why, "promise_fixture.c:") != NULL);
    hkt_pair_close(&pair);
}

/* --- How it reads ------------------------------------------------------------------- */

static void a_full_error_names_everything(void)
{
    static const char *const parts[] = {
        "count_errors", "\"monday\"", "log.c:41", "worker log_2", "a slice is 16 bytes, got 3",
        "main.c:70",    "HK_EFAILED",
    };
    hk_error error = plain_error();
    char text[512];
    size_t length;

    error.task = "count_errors";
    error.label = "monday";
    error.file = "log.c";
    error.line = 41;
    error.function = "count";
    error.where = "worker log_2";
    error.message = "a slice is 16 bytes, got 3";
    error.submit_file = "main.c";
    error.submit_line = 70;
    length = hk_error_format(&error, text, sizeof(text));
    HKT_EQ_INT(length, strlen(text));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        HKT_TRUE(strstr(text, parts[i]) != NULL);
    }
    /* What failed comes first, who asked for it last. */
    HKT_TRUE(strncmp(text, "count_errors", strlen("count_errors")) == 0);
    HKT_TRUE(strstr(text, "main.c:70") > strstr(text, "a slice is"));
}

static void what_is_not_known_is_left_out(void)
{
    hk_error error = plain_error();
    char text[512];

    hk_error_format(&error, text, sizeof(text));
    HKT_TRUE(strstr(text, "it broke") != NULL);
    HKT_TRUE(strstr(text, " at ") == NULL);
    HKT_TRUE(strstr(text, "submitted") == NULL);
    HKT_TRUE(strstr(text, "caused") == NULL);
    HKT_TRUE(strstr(text, "(null)") == NULL);
    error.message = "";
    hk_error_format(&error, text, sizeof(text));
    HKT_TRUE(strstr(text, hk_strerror(HK_EFAILED)) != NULL);
}

static void causes_follow_in_one_line(void)
{
    enum { DEPTH = HK_ERROR_DEPTH };
    static char messages[DEPTH][32];
    hk_error errors[DEPTH];
    char text[2048];
    const char *at = text;

    for (int i = 0; i < DEPTH; i++) {
        snprintf(messages[i], sizeof(messages[i]), "reason %d", i);
        errors[i] = plain_error();
        errors[i].message = messages[i];
        errors[i].cause = i + 1 < DEPTH ? &errors[i + 1] : NULL;
    }
    hk_error_format(errors, text, sizeof(text));
    for (int i = 0; i < DEPTH; i++) {
        const char *found = strstr(text, messages[i]);

        HKT_TRUE_FATAL(found != NULL);
        HKT_TRUE(found >= at);
        at = found;
    }
    HKT_EQ_PTR(strchr(text, '\n'), NULL);
    HKT_TRUE(strstr(text, "caused by") != NULL);
}

static void a_line_is_cut_to_fit_and_its_whole_length_told(void)
{
    hk_error error = plain_error();
    char whole[512];
    char cut[12];
    size_t length = hk_error_format(&error, whole, sizeof(whole));

    HKT_TRUE(length > sizeof(cut));
    HKT_EQ_INT(hk_error_format(&error, NULL, 0), length);
    memset(cut, 'x', sizeof(cut));
    HKT_EQ_INT(hk_error_format(&error, cut, sizeof(cut)), length);
    HKT_EQ_INT(strlen(cut), sizeof(cut) - 1);
    HKT_TRUE(strncmp(cut, whole, strlen(cut)) == 0);
    memset(cut, 'x', sizeof(cut));
    HKT_EQ_INT(hk_error_format(&error, cut, 1), length);
    HKT_EQ_INT(cut[0], '\0');
    HKT_EQ_INT(cut[1], 'x');
}

static void no_error_reads_as_such(void)
{
    char text[32];

    HKT_EQ_INT(hk_error_format(NULL, text, sizeof(text)), strlen("no error"));
    HKT_EQ_STR(text, "no error");
}

/* --- Causes in a chain --------------------------------------------------------------- */

static hk_status return_no_memory(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    (void)arg;
    return HK_ENOMEM;
}

static void a_status_from_a_step_becomes_the_cause(void)
{
    struct hkt_pair pair;
    hk_future *out = NULL;

    hkt_pair_open_in(&pair, HK_DONE);
    HKT_OK_FATAL(hk_then(pair.future, NULL, return_no_memory, NULL, &out));
    HKT_TRUE_FATAL(error_of(out)->cause != NULL);
    HKT_STATUS(error_of(out)->cause->status, HK_ENOMEM);
    HKT_TRUE(strstr(hk_future_why(out), hk_strerror(HK_ENOMEM)) != NULL);
    HKT_TRUE(strstr(hk_future_why(out), "caused by") != NULL);
    hk_future_unref(out);
    hkt_pair_close(&pair);
}

/* Each when_any puts its own error in front of the one it got. */
static void causes_are_kept_to_a_depth_with_the_first_of_all(void)
{
    enum { LAYERS = 20 };
    const hk_error *error;
    unsigned depth = 0;
    struct hkt_pair pair;
    hk_future *last;

    hkt_pair_open_in(&pair, HK_FAILED);
    last = hk_future_ref(pair.future);
    for (int i = 0; i < LAYERS; i++) {
        hk_future *next = NULL;

        HKT_OK_FATAL(hk_when_any(&last, 1, &next));
        hk_future_unref(last);
        last = next;
    }
    error = error_of(last);
    while (error->cause != NULL) {
        error = error->cause;
        depth++;
    }
    HKT_TRUE(depth >= 1);
    HKT_TRUE(depth <= HK_ERROR_DEPTH);
    HKT_EQ_STR(error->message, HKT_MESSAGE);
    hk_future_unref(last);
    hkt_pair_close(&pair);
}

/* --- Failures nobody reads ----------------------------------------------------------- */

/* What the hook was told. */
struct unread {
    unsigned calls;
    int app_code;
    char message[64];
};

static void take_unread(const hk_error *error, void *arg)
{
    struct unread *unread = arg;

    unread->calls++;
    unread->app_code = error->app_code;
    snprintf(unread->message, sizeof(unread->message), "%s", error->message);
}

/* Gives back a future in some state without looking at it. */
static void release(hk_state state, void (*look)(hk_future *future))
{
    struct hkt_pair pair;

    hkt_pair_open_in(&pair, state);
    hk_promise_destroy(pair.promise);
    if (look != NULL) {
        look(pair.future);
    }
    hk_future_unref(pair.future);
}

static void a_failure_nobody_read_goes_to_the_hook(void)
{
    struct unread unread = {0};
    struct hkt_log log;

    hkt_log_begin(&log);
    hk_on_unobserved(take_unread, &unread);
    release(HK_FAILED, NULL);
    HKT_EQ_INT(unread.calls, 1);
    HKT_EQ_INT(unread.app_code, HKT_APP_CODE);
    HKT_EQ_STR(unread.message, HKT_MESSAGE);
    HKT_EQ_INT(log.lines, 0);
    /* A promise that was never set is a failure as well. */
    release(HK_PENDING, NULL);
    HKT_EQ_INT(unread.calls, 2);
    hk_on_unobserved(NULL, NULL);
    release(HK_FAILED, NULL);
    HKT_EQ_INT(unread.calls, 2);
    HKT_EQ_INT(log.lines, 1);
    hkt_log_end(&log);
}

static void values_and_cancels_are_no_failures(void)
{
    struct unread unread = {0};

    hk_on_unobserved(take_unread, &unread);
    release(HK_DONE, NULL);
    release(HK_CANCELLED, NULL);
    hk_on_unobserved(NULL, NULL);
    HKT_EQ_INT(unread.calls, 0);
}

static void read_result(hk_future *future)
{
    HKT_STATUS(hk_future_result(future, 0, NULL, NULL), HK_EFAILED);
}

static void read_take(hk_future *future)
{
    hk_value value;

    HKT_STATUS(hk_future_take(future, 0, &value), HK_EFAILED);
}

static void read_error(hk_future *future)
{
    (void)error_of(future);
}

static void read_why(hk_future *future)
{
    HKT_TRUE(hk_future_why(future)[0] != '\0');
}

static void read_snapshot(hk_future *future)
{
    hk_future_view view;

    HKT_OK(hk_future_snapshot(future, &view));
}

static void each_way_to_read_counts(void)
{
    void (*const ways[])(hk_future * future) = {read_result, read_take, read_error, read_why,
                                                read_snapshot};
    struct unread unread = {0};

    hk_on_unobserved(take_unread, &unread);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        release(HK_FAILED, ways[i]);
        HKT_EQ_INT(unread.calls, 0);
    }
    hk_on_unobserved(NULL, NULL);
}

static void only_look(hk_future *future)
{
    char text[64];

    HKT_OK(hk_future_wait(future, 0));
    HKT_OK(hk_wait(&future, 1, HK_FIRST_ERROR, 0, NULL, NULL));
    HKT_TRUE(hk_future_has_ended(future));
    HKT_EQ_INT(hk_future_state(future), HK_FAILED);
    HKT_TRUE(hk_future_describe(future, text, sizeof(text)) > 0);
}

static void waiting_alone_is_not_reading(void)
{
    struct unread unread = {0};

    hk_on_unobserved(take_unread, &unread);
    release(HK_FAILED, only_look);
    HKT_EQ_INT(unread.calls, 1);
    hk_on_unobserved(NULL, NULL);
}

typedef hk_status derive_fn(hk_future *source, hk_future **out);

static hk_status derive_all(hk_future *source, hk_future **out)
{
    return hk_when_all(&source, 1, out);
}

static hk_status derive_any(hk_future *source, hk_future **out)
{
    return hk_when_any(&source, 1, out);
}

static hk_status derive_then(hk_future *source, hk_future **out)
{
    return hk_then(source, NULL, return_no_memory, NULL, out);
}

static hk_status derive_within(hk_future *source, hk_future **out)
{
    return hk_within(source, HK_FOREVER, out);
}

/* Passed on, the source's failure counts as read; the derived one's does not. */
static void a_failure_that_was_passed_on_is_told_once(void)
{
    derive_fn *const ways[] = {derive_all, derive_any, derive_then, derive_within};

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct unread unread = {0};
        struct hkt_pair pair;
        hk_future *out = NULL;

        hk_on_unobserved(take_unread, &unread);
        hkt_pair_open(&pair);
        HKT_OK_FATAL(ways[i](pair.future, &out));
        hkt_pair_end(&pair, HK_FAILED);
        hk_promise_destroy(pair.promise);
        hk_future_unref(pair.future);
        HKT_EQ_INT(unread.calls, 0);
        hk_future_unref(out);
        HKT_EQ_INT(unread.calls, 1);
        hk_on_unobserved(NULL, NULL);
    }
}

static hk_status make_good(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)arg;
    return hkt_set_int(result, 1);
}

static void a_failure_that_a_handler_made_good_is_not_told(void)
{
    struct unread unread = {0};
    struct hkt_pair pair;
    hk_future *out = NULL;

    hk_on_unobserved(take_unread, &unread);
    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_catch(pair.future, NULL, make_good, NULL, &out));
    hkt_pair_end(&pair, HK_FAILED);
    hk_promise_destroy(pair.promise);
    hk_future_unref(pair.future);
    hk_future_unref(out);
    hk_on_unobserved(NULL, NULL);
    HKT_EQ_INT(unread.calls, 0);
}

static void use_the_library(const hk_error *error, void *arg)
{
    struct hkt_pair pair;

    take_unread(error, arg);
    hkt_pair_open_in(&pair, HK_FAILED);
    hkt_pair_close(&pair);
    hk_on_unobserved(take_unread, arg);
}

static void the_hook_may_use_the_library(void)
{
    struct unread unread = {0};

    hk_on_unobserved(use_the_library, &unread);
    release(HK_FAILED, NULL);
    HKT_EQ_INT(unread.calls, 1);
    release(HK_FAILED, NULL);
    HKT_EQ_INT(unread.calls, 2);
    hk_on_unobserved(NULL, NULL);
}

/* --- Sharing --- */

static void open_error(struct hkt_round *round)
{
    struct hki_error *error =
        hki_error_make(&(struct hki_error_facts){.status = HK_EFAILED, .message = "shared"});

    round->object = hki_error_ref(hki_error_ref(error));
}

static void read_and_drop(struct hkt_round *round, unsigned who)
{
    struct hki_error *error = round->object;

    round->payload[who] = (unsigned char)error->shown.message[0];
    hki_error_unref(error);
}

static void all_have_read(struct hkt_round *round)
{
    for (int i = 0; i < 3; i++) {
        HKT_EQ_INT(round->payload[i], 's');
    }
}

static void who_drops_it_last_comes_after_all_who_read_it(void)
{
    static const struct hkt_race race = {
        open_error, {read_and_drop, read_and_drop, read_and_drop}, all_have_read};

    hkt_race(&race);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a failure tells its line and where it was handed out",
             a_failure_tells_its_line_and_where_it_was_handed_out),
    HKT_CASE("no string of an error is NULL", no_string_of_an_error_is_null),
    HKT_CASE("a message is copied", a_message_is_copied),
    HKT_CASE("a long message is cut, not lost", a_long_message_is_cut_not_lost),
    HKT_CASE("why is the error in one line", why_is_the_error_in_one_line),
    HKT_CASE("a full error names everything", a_full_error_names_everything),
    HKT_CASE("what is not known is left out", what_is_not_known_is_left_out),
    HKT_CASE("causes follow in one line", causes_follow_in_one_line),
    HKT_CASE("a line is cut to fit and its whole length told",
             a_line_is_cut_to_fit_and_its_whole_length_told),
    HKT_CASE("no error reads as such", no_error_reads_as_such),
    HKT_CASE("a status from a step becomes the cause", a_status_from_a_step_becomes_the_cause),
    HKT_CASE("causes are kept to a depth, with the first of all",
             causes_are_kept_to_a_depth_with_the_first_of_all),
    HKT_CASE("a failure nobody read goes to the hook", a_failure_nobody_read_goes_to_the_hook),
    HKT_CASE("values and cancels are no failures", values_and_cancels_are_no_failures),
    HKT_CASE("each way to read counts", each_way_to_read_counts),
    HKT_CASE("waiting alone is not reading", waiting_alone_is_not_reading),
    HKT_CASE("a failure that was passed on is told once",
             a_failure_that_was_passed_on_is_told_once),
    HKT_CASE("a failure that a handler made good is not told",
             a_failure_that_a_handler_made_good_is_not_told),
    HKT_CASE("the hook may use the library", the_hook_may_use_the_library),
    HKT_TEST(who_drops_it_last_comes_after_all_who_read_it),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "error", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
