/* SPDX-License-Identifier: MIT */
/* Chains of any length need no more stack than short ones: each case runs on a thread whose stack
 * would not hold a call for each link. */
#include <stdlib.h>

#include "tests/promise_fixture.h"

enum {
    LINKS = 20000,
    LINKS_FOLLOWING = 2500,   /* Each looks through all before it for a ring. */
    STACK_BYTES = 512 * 1024, /* Of which a sanitizer may need some hundred KiB. */
};

static void on_little_stack(void *(*body)(void *), void *arg)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    HKT_EQ_INT(pthread_attr_setstacksize(&attributes, STACK_BYTES), 0);
    HKT_EQ_INT_FATAL(pthread_create(&thread, &attributes, body, arg), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

/* --- Links ------------------------------------------------------------------------ */

typedef hk_status link_fn(hk_future *source, hk_future **out);

static hk_status add_one(hk_future *source, hk_promise *result, void *arg)
{
    (void)arg;
    return hkt_set_int(result, hkt_peek_int(source) + 1);
}

static hk_status by_step(hk_future *source, hk_future **out)
{
    return hk_then(source, NULL, add_one, NULL, out);
}

static hk_executor *place;

static hk_status by_placed_step(hk_future *source, hk_future **out)
{
    return hk_then(source, place, add_one, NULL, out);
}

static hk_status fail_again(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)arg;
    return hk_promise_fail(result, 1, "again");
}

/* A step that a value passes by. */
static hk_status by_passing(hk_future *source, hk_future **out)
{
    return hk_catch(source, NULL, fail_again, NULL, out);
}

static hk_status by_group(hk_future *source, hk_future **out)
{
    return hk_settle_all(&source, 1, out);
}

static hk_status by_limit(hk_future *source, hk_future **out)
{
    return hk_within(source, HK_FOREVER, out);
}

static hk_status by_following(hk_future *source, hk_future **out)
{
    hk_promise *promise;
    hk_status status = hk_promise_create(&promise, out);

    if (status == HK_OK) {
        status = hk_promise_follow(promise, source);
        hk_promise_destroy(promise);
    }
    return status;
}

/* --- A chain ---------------------------------------------------------------------- */

struct chain {
    link_fn *link;
    int links;
    hk_promise *promise;
    hk_future *last;
    int callbacks;
};

static void count_callback(hk_future *future, void *arg)
{
    (void)future;
    ++*(int *)arg;
}

/* Whoever holds a link besides its successor is its callback. */
static void build(struct chain *chain)
{
    HKT_OK(hk_promise_create(&chain->promise, &chain->last));
    chain->callbacks = 0;
    for (int i = 0; i < chain->links; i++) {
        hk_future *next = NULL;

        HKT_OK(hk_future_on_done(chain->last, NULL, count_callback, &chain->callbacks, NULL));
        HKT_OK(chain->link(chain->last, &next));
        hk_future_unref(chain->last);
        chain->last = next;
    }
}

static void *end_and_release(void *arg)
{
    struct chain *chain = arg;

    build(chain);
    HKT_OK(hkt_set_int(chain->promise, 1));
    HKT_EQ_INT(chain->callbacks, chain->links);
    HKT_TRUE(hk_future_has_ended(chain->last));
    hk_promise_destroy(chain->promise);
    hk_future_unref(chain->last);
    return NULL;
}

static void *cancel_from_the_end(void *arg)
{
    struct chain *chain = arg;

    build(chain);
    HKT_OK(hk_future_cancel(chain->last, HK_CANCEL_REQUEST));
    HKT_EQ_INT(chain->callbacks, chain->links);
    HKT_STATUS(hkt_set_int(chain->promise, 1), HK_ESTATE);
    hk_promise_destroy(chain->promise);
    hk_future_unref(chain->last);
    return NULL;
}

/* Nobody has it any more, but the promise that could still end it. */
static void *let_go_before_the_end(void *arg)
{
    struct chain *chain = arg;

    build(chain);
    hk_future_unref(chain->last);
    hk_promise_destroy(chain->promise);
    HKT_EQ_INT(chain->callbacks, chain->links);
    return NULL;
}

/* A chain that is broken ends in a failure that nobody reads. */
static void ignore(const hk_error *error, void *arg)
{
    (void)error;
    (void)arg;
}

static void with_every_link(void *(*body)(void *))
{
    static link_fn *const links[] = {by_step,  by_placed_step, by_passing,
                                     by_group, by_limit,       by_following};

    HKT_OK(hk_inline_create(NULL, &place));
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        struct chain chain = {.link = links[i],
                              .links = links[i] == by_following ? LINKS_FOLLOWING : LINKS};

        on_little_stack(body, &chain);
    }
    HKT_OK(hk_executor_destroy(place));
}

static void a_long_chain_ends(void)
{
    with_every_link(end_and_release);
}

static void a_cancel_reaches_the_other_end(void)
{
    with_every_link(cancel_from_the_end);
}

static void a_long_chain_is_released(void)
{
    hk_on_unobserved(ignore, NULL);
    with_every_link(let_go_before_the_end);
    hk_on_unobserved(NULL, NULL);
}

/* --- What a loop must not change ---------------------------------------------------- */

struct order {
    char text[32];
    int length;
};

static struct order order;

static void note(hk_future *future, void *arg)
{
    (void)future;
    order.text[order.length++] = *(const char *)arg;
}

static void derived_callbacks_come_first(void)
{
    hk_promise *promise;
    hk_future *source;
    hk_future *derived;

    order = (struct order){.length = 0};
    HKT_OK(hk_promise_create(&promise, &source));
    HKT_OK(hk_future_on_done(source, NULL, note, "a", NULL));
    HKT_OK(hk_then(source, NULL, add_one, NULL, &derived));
    HKT_OK(hk_future_on_done(source, NULL, note, "d", NULL));
    HKT_OK(hk_future_on_done(derived, NULL, note, "b", NULL));
    HKT_OK(hk_future_on_done(derived, NULL, note, "c", NULL));
    HKT_OK(hkt_set_int(promise, 1));
    HKT_EQ_STR(order.text, "abcd");
    hk_promise_destroy(promise);
    hk_future_unref(derived);
    hk_future_unref(source);
}

/* Ends another promise, and expects its callbacks to have run at once. */
static hk_status end_another(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    HKT_OK(hkt_set_int(arg, 5));
    HKT_EQ_STR(order.text, "x");
    return HK_OK;
}

static void what_a_step_ends_has_ended(void)
{
    hk_promise *promise;
    hk_promise *other;
    hk_future *source;
    hk_future *derived;
    hk_future *watched;

    order = (struct order){.length = 0};
    HKT_OK(hk_promise_create(&promise, &source));
    HKT_OK(hk_promise_create(&other, &watched));
    HKT_OK(hk_future_on_done(watched, NULL, note, "x", NULL));
    HKT_OK(hk_then(source, NULL, end_another, other, &derived));
    HKT_OK(hkt_set_int(promise, 1));
    HKT_EQ_INT(hk_future_state(derived), HK_DONE);
    hk_promise_destroy(promise);
    hk_promise_destroy(other);
    hk_future_unref(derived);
    hk_future_unref(source);
    hk_future_unref(watched);
}

/* A sliding window: each group's failure cancels what the next one waits for. */
static void *fail_a_window(void *arg)
{
    enum { WINDOW = 20000 };
    struct hkt_pair *pairs = arg;
    hk_future **groups = calloc(WINDOW, sizeof(hk_future *));

    HKT_TRUE_FATAL(groups != NULL);
    for (int i = 0; i < WINDOW; i++) {
        hk_future *sources[] = {pairs[i].future, pairs[i + 1].future};

        HKT_OK(hk_when_all(sources, 2, &groups[i]));
    }
    HKT_OK(hk_future_cancel(pairs[0].future, HK_CANCEL_PENDING));
    for (int i = 0; i < WINDOW; i++) {
        HKT_EQ_INT(hk_future_state(groups[i]), HK_CANCELLED);
        hk_future_unref(groups[i]);
    }
    free(groups);
    return NULL;
}

static void a_window_of_groups_is_cancelled(void)
{
    enum { WINDOW = 20000 };
    struct hkt_pair *pairs = calloc(WINDOW + 1, sizeof(*pairs));

    HKT_TRUE_FATAL(pairs != NULL);
    for (int i = 0; i <= WINDOW; i++) {
        hkt_pair_open(&pairs[i]);
    }
    on_little_stack(fail_a_window, pairs);
    for (int i = 0; i <= WINDOW; i++) {
        hkt_pair_close(&pairs[i]);
    }
    free(pairs);
}

/* --- Zigzags: ends go forwards, and cancels backwards, in turns --- */

enum { RUNGS = 20000 };

/* Each group fails as what its first part follows does, and then cancels the other part: which
 * cancels what this follows, and with it the first part of the next group. */
static void *cancel_a_zigzag(void *arg)
{
    hk_future *const *roots = arg;
    hk_future **groups = calloc(RUNGS, sizeof(hk_future *));

    HKT_TRUE_FATAL(groups != NULL);
    for (int i = 0; i < RUNGS; i++) {
        hk_future *parts[2];

        HKT_OK(by_step(roots[i], &parts[0]));
        HKT_OK(by_step(roots[i + 1], &parts[1]));
        HKT_OK(hk_when_all(parts, 2, &groups[i]));
        hk_future_unref(parts[0]);
        hk_future_unref(parts[1]);
    }
    HKT_OK(hk_future_cancel(roots[0], HK_CANCEL_PENDING));
    for (int i = 0; i < RUNGS; i++) {
        HKT_EQ_INT(hk_future_state(groups[i]), HK_CANCELLED);
        HKT_EQ_INT(hk_future_state(roots[i + 1]), HK_CANCELLED);
        hk_future_unref(groups[i]);
    }
    free(groups);
    return NULL;
}

static void a_zigzag_of_promises_is_cancelled(void)
{
    struct hkt_pair *pairs = calloc(RUNGS + 1, sizeof(*pairs));
    hk_future **roots = calloc(RUNGS + 1, sizeof(hk_future *));

    HKT_TRUE_FATAL(pairs != NULL && roots != NULL);
    hkt_pairs_open(pairs, roots, RUNGS + 1);
    on_little_stack(cancel_a_zigzag, roots);
    hkt_pairs_close(pairs, RUNGS + 1);
    free(pairs);
    free(roots);
}

static void a_zigzag_of_tasks_is_cancelled(void)
{
    hk_future **roots = calloc(RUNGS + 1, sizeof(hk_future *));
    hk_executor *pool = NULL;
    struct hkt_plug plug = {0};

    HKT_TRUE_FATAL(roots != NULL);
    HKT_OK_FATAL(hk_executor_open("threads:1", &pool));
    hkt_plug_insert(&plug, pool, 1);
    for (int i = 0; i <= RUNGS; i++) {
        HKT_OK_FATAL(hk_submit(pool, hkt_nothing, NULL, 0, NULL, &roots[i]));
    }
    on_little_stack(cancel_a_zigzag, roots);
    hkt_plug_pull(&plug);
    for (int i = 0; i <= RUNGS; i++) {
        hk_future_unref(roots[i]);
    }
    HKT_OK(hk_executor_destroy(pool));
    free(roots);
}

/* --- What is released in a drop function --- */

struct box {
    hk_future *inner;
    bool inner_is_gone;
    bool was_gone_at_once;
};

static void drop_inner(void *value)
{
    ((struct box *)value)->inner_is_gone = true;
}

static void drop_box(void *value)
{
    struct box *box = value;

    hk_future_unref(box->inner);
    box->was_gone_at_once = box->inner_is_gone;
}

static void a_drop_function_releases_at_once(void)
{
    struct box box = {NULL, false, false};
    struct hkt_pair inner;
    struct hkt_pair outer;

    hkt_pair_open(&inner);
    hkt_pair_open(&outer);
    HKT_OK(hk_promise_set_ref(inner.promise, &box, drop_inner));
    HKT_OK(hk_promise_set_ref(outer.promise, &box, drop_box));
    box.inner = inner.future;
    hk_promise_destroy(inner.promise);
    hk_promise_destroy(outer.promise);
    hk_future_unref(outer.future);
    HKT_TRUE(box.inner_is_gone);
    HKT_TRUE(box.was_gone_at_once);
}

/* --- What is ended in a drop function --- */

/* Ends what a failure takes along just now, and expects its callbacks to have run at once. */
static void end_what_is_taken_along(void *promise)
{
    HKT_OK(hkt_set_int(promise, 5));
    HKT_EQ_STR(order.text, "x");
}

/* A task that was to be told of its cancel is cancelled instead: it has not begun. */
static hk_future *submit_dependent(hk_executor *pool, hk_promise *promise)
{
    hk_submit_options options = {0};
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_promise_token(promise, &options.token));
    HKT_OK_FATAL(
        hk_submit_ref(pool, hkt_nothing, promise, end_what_is_taken_along, &options, &future));
    return future;
}

static void what_a_drop_function_ends_has_ended(void)
{
    hk_executor *pool = NULL;
    struct hkt_plug plug = {0};
    struct hkt_pair pairs[2];
    hk_future *sources[2];
    hk_future *group = NULL;
    hk_future *dependent;

    order = (struct order){.length = 0};
    HKT_OK_FATAL(hk_executor_open("threads:1", &pool));
    hkt_plug_insert(&plug, pool, 1);
    hkt_pair_open(&pairs[0]);
    hkt_pair_open_in(&pairs[1], HK_RUNNING);
    HKT_OK(hk_future_on_done(pairs[1].future, NULL, note, "x", NULL));
    sources[0] = pairs[0].future;
    sources[1] = pairs[1].future;
    HKT_OK(hk_when_all(sources, 2, &group));
    dependent = submit_dependent(pool, pairs[1].promise);
    HKT_OK(hk_future_cancel(pairs[0].future, HK_CANCEL_PENDING));
    HKT_EQ_INT(hk_future_state(dependent), HK_CANCELLED);
    HKT_EQ_INT(hk_future_state(pairs[1].future), HK_DONE);
    HKT_EQ_STR(order.text, "x");
    hkt_plug_pull(&plug);
    hk_future_unref(dependent);
    hk_future_unref(group);
    hkt_pair_close(&pairs[0]);
    hkt_pair_close(&pairs[1]);
    HKT_OK(hk_executor_destroy(pool));
}

static CU_TestInfo tests[] = {
    HKT_CASE("CB09 XM04 A long chain ends, and runs its callbacks, with little stack",
             a_long_chain_ends),
    HKT_CASE("XM05 A cancel reaches the other end of a long chain with little stack",
             a_cancel_reaches_the_other_end),
    HKT_CASE("XM04 A long chain that is let go is broken and released with little stack",
             a_long_chain_is_released),
    HKT_CASE("CB09 Callbacks of a derived future come before later ones of its source",
             derived_callbacks_come_first),
    HKT_CASE("CB03 What a step ends has run its callbacks when the call returns",
             what_a_step_ends_has_ended),
    HKT_CASE("XM05 a window of groups is cancelled with little stack",
             a_window_of_groups_is_cancelled),
    HKT_CASE("a drop function releases at once", a_drop_function_releases_at_once),
    HKT_CASE("CB03 What a drop function ends has run its callbacks when the call returns",
             what_a_drop_function_ends_has_ended),
    HKT_CASE("CB09 XM05 A zigzag of promises is cancelled with little stack",
             a_zigzag_of_promises_is_cancelled),
    HKT_CASE("CB09 XM05 A zigzag of tasks is cancelled with little stack",
             a_zigzag_of_tasks_is_cancelled),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "chain length", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
