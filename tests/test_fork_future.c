/* SPDX-License-Identifier: MIT */
/* Futures in a forked child: what has ended stays readable, nothing else of the
 * parent's can be waited for, and the child's exit harms nobody.
 *
 * CUnit in the child is a copy that nobody asks; so a child says what is wrong on
 * its standard error and leaves with another status than 0. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/promise_fixture.h"

enum { WRONG = 3 };

/* What the parent's other threads hold on their stacks looks lost in a child, which
 * does not have those threads. LeakSanitizer asks this function at exit. */
static bool threads_were_left_behind;

int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
    return threads_were_left_behind;
}

static void child_expect(bool holds, int line, const char *text)
{
    if (!holds) {
        fprintf(stderr, "%s:%d: %s is false in the child\n", __FILE__, line, text);
        fflush(NULL);
        _exit(WRONG);
    }
}

#define CHILD_TRUE(value)            child_expect((value), __LINE__, #value)
#define CHILD_STATUS(call, expected) child_expect((call) == (expected), __LINE__, #call)

/* Runs it, and wants a clean and silent exit. */
static void expect_good_child(void (*fn)(void *arg), void *arg)
{
    struct hkt_child child;

    hkt_run_in_child(fn, arg, &child);
    HKT_EQ_STR(child.output, "");
    HKT_EQ_INT(child.exit_status, 0);
    HKT_EQ_INT(child.term_signal, 0);
}

/* --- What has ended ------------------------------------------------------------------ */

static void read_in_child(void *arg)
{
    struct hkt_pair *pairs = arg;
    const hk_error *error = NULL;
    const void *value = NULL;
    size_t size = 0;
    hk_future_view view;
    hk_value taken;
    char text[128];

    CHILD_STATUS(hk_future_wait(pairs[0].future, HK_FOREVER), HK_OK);
    CHILD_STATUS(hk_future_result(pairs[0].future, HK_FOREVER, &value, &size), HK_OK);
    CHILD_TRUE(size == sizeof(int) && *(const int *)value == HKT_VALUE);
    CHILD_STATUS(hk_future_result(pairs[1].future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    CHILD_STATUS(hk_future_error(pairs[1].future, 0, &error), HK_OK);
    CHILD_TRUE(strcmp(error->message, HKT_MESSAGE) == 0);
    CHILD_TRUE(strstr(hk_future_why(pairs[1].future), HKT_MESSAGE) != NULL);
    CHILD_STATUS(hk_future_result(pairs[2].future, HK_FOREVER, NULL, NULL), HK_ECANCELED);
    CHILD_STATUS(hk_future_cancel(pairs[2].future, HK_CANCEL_PENDING), HK_OK);
    CHILD_STATUS(hk_future_cancel(pairs[0].future, HK_CANCEL_PENDING), HK_ESTATE);
    CHILD_STATUS(hk_future_snapshot(pairs[0].future, &view), HK_OK);
    CHILD_TRUE(view.state == HK_DONE && view.value == value);
    CHILD_TRUE(hk_future_describe(pairs[0].future, text, sizeof(text)) > 0);
    CHILD_STATUS(hk_future_take(pairs[0].future, 0, &taken), HK_OK);
    hk_value_drop(&taken);
}

static void callbacks_in_child(void *arg)
{
    struct hkt_pair *pairs = arg;
    struct hkt_seen seen = {0};
    hk_future *out = NULL;
    hk_completion *completion = NULL;
    hk_future *futures[3] = {pairs[0].future, pairs[1].future, pairs[2].future};

    CHILD_STATUS(hk_future_on_done(futures[0], NULL, hkt_see, &seen, NULL), HK_OK);
    CHILD_TRUE(seen.calls == 1 && seen.value == HKT_VALUE);
    CHILD_STATUS(hk_wait(futures, 3, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL), HK_OK);
    CHILD_STATUS(hk_settle_all(futures, 3, &out), HK_OK);
    CHILD_TRUE(hk_future_has_ended(out));
    hk_future_unref(out);
    CHILD_STATUS(hk_as_completed(futures, 3, 0, &completion), HK_OK);
    CHILD_STATUS(hk_completion_next(completion, 0, NULL, NULL), HK_OK);
    hk_completion_destroy(completion);
    for (int i = 0; i < 3; i++) {
        hkt_pair_close(&pairs[i]);
    }
}

static void finished_futures_stay_readable(void)
{
    static const hk_state ends[] = {HK_DONE, HK_FAILED, HK_CANCELLED};
    struct hkt_pair pairs[3];

    for (int i = 0; i < 3; i++) {
        hkt_pair_open_in(&pairs[i], ends[i]);
    }
    expect_good_child(read_in_child, pairs);
    expect_good_child(callbacks_in_child, pairs);
    HKT_EQ_INT(hkt_peek_int(pairs[0].future), HKT_VALUE); /* Taken there, not here. */
    hkt_pairs_close(pairs, 3);
}

/* --- What has not ---------------------------------------------------------------------- */

static void wait_in_child(void *arg)
{
    struct hkt_pair *pair = arg;
    hk_future *pending = pair->future;
    hk_state before = hk_future_state(pending);
    const hk_error *error = NULL;
    hk_future_view view;
    hk_value value;
    char text[128];
    int fd = -1;

    CHILD_STATUS(hk_future_wait(pending, HK_FOREVER), HK_EFORKED);
    CHILD_STATUS(hk_future_wait(pending, 0), HK_EFORKED);
    CHILD_STATUS(hk_future_result(pending, HK_FOREVER, NULL, NULL), HK_EFORKED);
    CHILD_STATUS(hk_future_error(pending, HK_FOREVER, &error), HK_EFORKED);
    CHILD_STATUS(hk_future_take(pending, HK_FOREVER, &value), HK_EFORKED);
    CHILD_STATUS(hk_future_cancel(pending, HK_CANCEL_KILL), HK_EFORKED);
    CHILD_STATUS(hk_future_fd(pending, &fd), HK_EFORKED);
    CHILD_STATUS(hk_wait(&pending, 1, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL), HK_EFORKED);
    CHILD_STATUS(hk_wait(&pending, 1, HK_FIRST_COMPLETED, HK_SEC(1), NULL, NULL), HK_EFORKED);
    /* Who only looks does not wait. */
    CHILD_STATUS(hk_future_snapshot(pending, &view), HK_OK);
    CHILD_TRUE(hk_future_describe(pending, text, sizeof(text)) > 0);
    CHILD_TRUE(hk_future_why(pending)[0] == '\0');
    CHILD_TRUE(hk_future_state(pending) == before);
    hk_future_unref(pending);
}

static void watch_in_child(void *arg)
{
    struct hkt_pair *pair = arg;
    struct hkt_pair own;
    struct hkt_seen seen = {0};
    hk_future *pending = pair->future;
    hk_future *out = NULL;
    hk_completion *completion = NULL;
    hk_hook *hook = NULL;

    CHILD_STATUS(hk_future_on_done(pending, NULL, hkt_see, &seen, &hook), HK_EFORKED);
    CHILD_STATUS(hk_when_all(&pending, 1, &out), HK_EFORKED);
    CHILD_STATUS(hk_settle_all(&pending, 1, &out), HK_EFORKED);
    CHILD_STATUS(hk_when_any(&pending, 1, &out), HK_EFORKED);
    CHILD_STATUS(hk_within(pending, HK_SEC(1), &out), HK_EFORKED);
    CHILD_STATUS(hk_as_completed(&pending, 1, 0, &completion), HK_EFORKED);
    CHILD_TRUE(hook == NULL && out == NULL && completion == NULL);
    CHILD_STATUS(hk_completion_create(&completion), HK_OK);
    CHILD_STATUS(hk_completion_add(completion, pending, 0), HK_EFORKED);
    CHILD_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EDONE);
    hk_completion_destroy(completion);
    hkt_pair_open(&own);
    CHILD_STATUS(hk_promise_follow(own.promise, pending), HK_EFORKED);
    hkt_pair_end(&own, HK_DONE);
    hkt_pair_close(&own);
    CHILD_TRUE(seen.calls == 0);
}

static hk_status step(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    (void)arg;
    return HK_OK;
}

static void chain_in_child(void *arg)
{
    struct hkt_pair *pair = arg;
    hk_future *out = NULL;

    CHILD_STATUS(hk_then(pair->future, NULL, step, NULL, &out), HK_EFORKED);
    CHILD_STATUS(hk_catch(pair->future, NULL, step, NULL, &out), HK_EFORKED);
    CHILD_TRUE(out == NULL);
}

static void unfinished_futures_cannot_be_waited_for(void)
{
    static const hk_state unfinished[] = {HK_PENDING, HK_RUNNING};

    for (int i = 0; i < 2; i++) {
        struct hkt_seen seen = {0};
        struct hkt_pair pair;

        hkt_pair_open_in(&pair, unfinished[i]);
        hkt_watch(pair.future, &seen);
        expect_good_child(wait_in_child, &pair);
        expect_good_child(watch_in_child, &pair);
        expect_good_child(chain_in_child, &pair);
        HKT_EQ_INT(hk_future_state(pair.future), unfinished[i]);
        hkt_pair_end(&pair, HK_DONE);
        HKT_EQ_INT(seen.calls, 1);
        hkt_pair_close(&pair);
    }
}

static void queue_in_child(void *arg)
{
    hk_completion *completion = arg;

    CHILD_STATUS(hk_completion_next(completion, HK_FOREVER, NULL, NULL), HK_EFORKED);
    CHILD_STATUS(hk_completion_next(completion, 0, NULL, NULL), HK_EFORKED);
    hk_completion_destroy(completion);
}

/* The descriptor is one and the same in both: the child must leave it as it is. */
static void a_queue_of_the_parent_is_refused_and_left_alone(void)
{
    hk_completion *completion = NULL;
    struct hkt_pair pairs[2];
    hk_future *futures[2];
    struct pollfd entry = {.events = POLLIN};

    hkt_pairs_open(pairs, futures, 2);
    hkt_pair_end(&pairs[0], HK_DONE);
    HKT_OK_FATAL(hk_as_completed(futures, 2, HK_FOREVER, &completion));
    HKT_OK_FATAL(hk_completion_fd(completion, &entry.fd));
    expect_good_child(queue_in_child, completion);
    HKT_EQ_INT(poll(&entry, 1, 0), 1);
    HKT_OK(hk_completion_next(completion, 0, NULL, NULL));
    expect_good_child(queue_in_child, completion);
    HKT_EQ_INT(poll(&entry, 1, 0), 0);
    hkt_pair_end(&pairs[1], HK_DONE);
    HKT_OK(hk_completion_next(completion, 0, NULL, NULL));
    hk_completion_destroy(completion);
    hkt_pairs_close(pairs, 2);
}

/* --- Callbacks and hooks ---------------------------------------------------------------- */

struct held {
    struct hkt_gate gate;
    struct hkt_pair pair;
    hk_hook *hook;
};

static void stand(hk_future *future, void *arg)
{
    struct held *held = arg;

    (void)future;
    hkt_gate_wait(&held->gate);
}

static void end_pair(void *arg)
{
    struct held *held = arg;

    hkt_pair_end(&held->pair, HK_DONE);
}

/* The thread that runs the callback does not exist in the child. */
static void remove_in_child(void *arg)
{
    struct held *held = arg;

    threads_were_left_behind = true;
    CHILD_STATUS(hk_hook_remove(held->hook), HK_ESTATE);
}

static void removing_a_callback_that_runs_in_the_parent_does_not_wait(void)
{
    struct held held = {.hook = NULL};
    struct hkt_thread runner;

    hkt_gate_init(&held.gate, "a callback that runs across a fork");
    hkt_pair_open(&held.pair);
    HKT_OK(hk_future_on_done(held.pair.future, NULL, stand, &held, &held.hook));
    hkt_thread_start(&runner, end_pair, &held);
    hkt_gate_await_arrivals(&held.gate, 1);
    expect_good_child(remove_in_child, &held);
    hkt_gate_open(&held.gate);
    hkt_thread_join(&runner);
    HKT_STATUS(hk_hook_remove(held.hook), HK_ESTATE);
    hkt_pair_close(&held.pair);
    hkt_gate_fini(&held.gate);
}

/* --- Futures of the child's own ----------------------------------------------------------- */

enum { OWN = 300 };

/* Many, so that each lock of the library is taken once. */
static void use_own_futures(void *arg)
{
    static struct hkt_pair pairs[OWN];
    static hk_future *futures[OWN];
    hk_completion *completion = NULL;
    hk_cancel_token *token = NULL;
    hk_future *all = NULL;
    struct hkt_seen seen = {0};

    (void)arg;
    CHILD_STATUS(hk_cancel_token_create(NULL, &token), HK_OK);
    CHILD_STATUS(hk_completion_create(&completion), HK_OK);
    for (int i = 0; i < OWN; i++) {
        CHILD_STATUS(hk_promise_create(&pairs[i].promise, &pairs[i].future), HK_OK);
        futures[i] = pairs[i].future;
        CHILD_STATUS(hk_future_on_done(futures[i], NULL, hkt_see, &seen, NULL), HK_OK);
        CHILD_STATUS(hk_completion_add(completion, futures[i], 0), HK_OK);
    }
    CHILD_STATUS(hk_settle_all(futures, OWN, &all), HK_OK);
    CHILD_STATUS(hk_future_wait(all, HK_US(1)), HK_ETIMEDOUT);
    CHILD_STATUS(hk_cancel_token_fire(token, "in the child"), HK_OK);
    for (int i = 0; i < OWN; i++) {
        CHILD_STATUS(hkt_set_int(pairs[i].promise, i), HK_OK);
    }
    CHILD_STATUS(hk_future_wait(all, HK_FOREVER), HK_OK);
    CHILD_TRUE(seen.calls == OWN);
    hk_future_unref(all);
    hk_cancel_token_unref(token);
    hk_completion_destroy(completion);
    hkt_pairs_close(pairs, OWN);
}

static void a_child_may_have_futures_of_its_own(void)
{
    expect_good_child(use_own_futures, NULL);
}

/* A child's futures are the parent's ones for a grandchild. */
static void fork_once_more(void *arg)
{
    struct hkt_pair own;
    int status = 0;
    pid_t pid;

    (void)arg;
    hkt_pair_open(&own);
    CHILD_STATUS(hk_future_wait(own.future, 0), HK_ETIMEDOUT);
    pid = fork();
    if (pid == 0) {
        CHILD_STATUS(hk_future_wait(own.future, HK_FOREVER), HK_EFORKED);
        use_own_futures(NULL);
        _exit(0);
    }
    CHILD_TRUE(pid > 0);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    CHILD_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHILD_STATUS(hkt_set_int(own.promise, 1), HK_OK);
    hkt_pair_close(&own);
}

static void a_grandchild_knows_its_forebears_apart(void)
{
    expect_good_child(fork_once_more, NULL);
}

/* --- Forks at any moment -------------------------------------------------------------------- */

struct busy {
    atomic_bool stop;
    struct hkt_gate *runs;
};

/* Takes and leaves every lock of the futures layer, over and over. */
static void be_busy(void *arg)
{
    struct busy *busy = arg;

    hkt_gate_open(busy->runs);
    while (!atomic_load(&busy->stop)) {
        struct hkt_seen seen = {0};
        struct hkt_pair pair;
        hk_cancel_token *token = NULL;
        hk_cancel_token *child = NULL;
        hk_completion *completion = NULL;

        hkt_pair_open(&pair);
        hkt_watch(pair.future, &seen);
        HKT_OK(hk_completion_create(&completion));
        HKT_OK(hk_completion_add(completion, pair.future, 0));
        HKT_OK(hk_cancel_token_create(NULL, &token));
        HKT_OK(hk_cancel_token_create(token, &child));
        HKT_OK(hk_cancel_token_fire(token, "round"));
        HKT_STATUS(hk_future_wait(pair.future, HK_NS(1)), HK_ETIMEDOUT);
        hkt_pair_end(&pair, HK_DONE);
        HKT_OK(hk_completion_next(completion, 0, NULL, NULL));
        hk_completion_destroy(completion);
        hk_cancel_token_unref(child);
        hk_cancel_token_unref(token);
        hkt_pair_close(&pair);
        HKT_EQ_INT(seen.calls, 1);
    }
}

/* The same for the locks that can be had without memory: all stripes, the tree of
 * tokens, a parker. */
static void be_busy_without_memory(void *arg)
{
    static hk_future *futures[OWN];
    static struct hkt_pair pairs[OWN];
    struct busy *busy = arg;
    hk_cancel_token *token = NULL;

    hkt_pairs_open(pairs, futures, OWN);
    HKT_OK(hk_cancel_token_create(NULL, &token));
    hkt_gate_open(busy->runs);
    for (unsigned i = 0; !atomic_load(&busy->stop); i++) {
        HKT_STATUS(hk_future_wait(futures[i % OWN], HK_NS(1)), HK_ETIMEDOUT);
        HKT_OK(hk_cancel_token_fire(token, "round"));
    }
    hk_cancel_token_unref(token);
    hkt_pairs_close(pairs, OWN);
}

static void use_own_futures_alone(void *arg)
{
    threads_were_left_behind = true;
    use_own_futures(arg);
}

static void a_fork_while_others_are_busy_leaves_no_lock_behind(void)
{
    enum { FORKS = 40, THREADS = HKT_ALLOCATOR_SURVIVES_FORK ? 3 : 1 };
    struct hkt_thread threads[THREADS];
    struct hkt_gate runs;
    struct busy busy = {.runs = &runs};

    hkt_gate_init(&runs, "a busy thread");
    atomic_init(&busy.stop, false);
    for (int i = 0; i < THREADS; i++) {
        hkt_thread_start(&threads[i], i == 0 ? be_busy_without_memory : be_busy, &busy);
    }
    hkt_gate_wait(&runs);
    for (unsigned i = 0; i < FORKS / hkt_slowness(); i++) {
        expect_good_child(use_own_futures_alone, NULL);
    }
    atomic_store(&busy.stop, true);
    for (int i = 0; i < THREADS; i++) {
        hkt_thread_join(&threads[i]);
    }
    hkt_gate_fini(&runs);
}

static CU_TestInfo tests[] = {
    HKT_CASE("finished futures stay readable in a child", finished_futures_stay_readable),
    HKT_CASE("unfinished futures of the parent give HK_EFORKED",
             unfinished_futures_cannot_be_waited_for),
    HKT_CASE("a queue of the parent is refused and left alone",
             a_queue_of_the_parent_is_refused_and_left_alone),
    HKT_CASE("removing a callback that runs in the parent does not wait",
             removing_a_callback_that_runs_in_the_parent_does_not_wait),
    HKT_CASE("a child may have futures of its own", a_child_may_have_futures_of_its_own),
    HKT_CASE("a grandchild knows its forebears apart", a_grandchild_knows_its_forebears_apart),
    HKT_CASE("a fork while others are busy leaves no lock behind",
             a_fork_while_others_are_busy_leaves_no_lock_behind),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "fork_future", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
