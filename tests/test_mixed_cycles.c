/* SPDX-License-Identifier: MIT */
/*
 * Rings of two waits of different kinds, closed from either side: the one who closes it
 * is refused, the other one comes through, and the report tells exactly who waits for
 * whom. Larger rings are in test_mixed_rings.c.
 */
#include <unistd.h>

#include "tests/ring_fixture.h"

/* --- Locks, futures, joins --- */

static void a_lock_and_a_future(void)
{
    struct hkt_actor thread = {.name = "ledger",
                               .prepare = hkt_take_accounts,
                               .wait = hkt_wait_for_one,
                               .release = hkt_give_accounts};
    struct hkt_actor task = {
        .pool = hkt_a, .task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};

    hkt_await_actors(&task, NULL);
    hkt_expect_either_refused(
        &thread, &task,
        "thread ledger (#) waits for future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0, "
        "which waits for lock 0x.. (accounts) held by thread ledger (#) since " HKT_TAKEN,
        "worker a_0 waits for lock 0x.. (accounts) held by thread ledger (#) since " HKT_TAKEN
        ", which waits for future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0");
}

static void the_futures_of_two_pools(void)
{
    struct hkt_actor one = {.pool = hkt_a, .task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor other = {.pool = hkt_b, .task = audit, .wait = hkt_wait_for_other};

    hkt_await_actors(&other, &one);
    hkt_expect_either_refused(
        &one, &other,
        "worker a_0 waits for future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0, which "
        "waits for future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0",
        "worker b_0 waits for future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0, which "
        "waits for future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0");
}

static void expect_join_refused(bool joiner_last, const char *expected)
{
    struct hkt_actor joiner = {.name = "joiner",
                               .prepare = hkt_take_accounts,
                               .wait = hkt_join_a,
                               .release = hkt_give_accounts};
    struct hkt_actor task = {
        .pool = hkt_a, .task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&joiner, &task};

    hkt_actors_begin(actors, 2);
    hkt_expect_last_refused(actors, 2, (const unsigned[]){joiner_last, !joiner_last});
    HKT_REPORT(expected);
    HKT_STATUS(hk_submit(hkt_a, hkt_nothing, NULL, 0, NULL, NULL), HK_ECLOSED);
    HKT_OK(hk_executor_shutdown(hkt_a, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    hkt_renew(&hkt_a, "a");
}

static void a_lock_and_a_join(void)
{
    expect_join_refused(true, "thread joiner (#) waits for the end of executor a held up by "
                              "worker a_0, which waits for lock 0x.. (accounts) held by thread "
                              "joiner (#) since " HKT_TAKEN);
    expect_join_refused(false, "worker a_0 waits for lock 0x.. (accounts) held by thread joiner "
                               "(#) since " HKT_TAKEN ", which waits for the end of executor a "
                               "held up by worker a_0");
}

/* --- Callbacks --- */

static struct hkt_pair pair;
static hk_hook *hook;

static void act_in_callback(hk_future *future, void *arg)
{
    (void)future;
    (void)hkt_act(arg);
}

static void set_promise(struct hkt_actor *self)
{
    (void)self;
    HKT_OK(hk_promise_set(pair.promise, NULL, 0));
}

static hk_status remove_hook(void)
{
    hk_status status = hk_hook_remove(hook);

    if (status == HK_EDEADLK) {
        return status;
    }
    hook = NULL;
    return status == HK_ESTATE ? HK_OK : HK_EINVAL; /* It has run. */
}

static void expect_callback_refused(bool callback_last, const char *expected)
{
    struct hkt_actor remover = {.name = "remover",
                                .prepare = hkt_take_accounts,
                                .wait = remove_hook,
                                .release = hkt_give_accounts};
    struct hkt_actor callback = {.name = "caller",
                                 .start = set_promise,
                                 .wait = hkt_want_accounts,
                                 .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&remover, &callback};

    hkt_pair_open(&pair);
    HKT_OK_FATAL(hk_future_on_done(pair.future, NULL, act_in_callback, &callback, &hook));
    hkt_actors_begin(actors, 2);
    hkt_expect_last_refused(actors, 2, (const unsigned[]){!callback_last, callback_last});
    HKT_REPORT(expected);
    if (hook != NULL) {
        HKT_STATUS(hk_hook_remove(hook), HK_ESTATE);
    }
    hkt_pair_close(&pair);
}

static void a_lock_and_a_callback(void)
{
    expect_callback_refused(
        false, "thread remover (#) waits for the end of a callback of future 0x.. run by thread "
               "caller (#), which waits for lock 0x.. (accounts) held by thread remover (#) "
               "since " HKT_TAKEN);
    expect_callback_refused(
        true, "thread caller (#) waits for lock 0x.. (accounts) held by thread remover (#) "
              "since " HKT_TAKEN ", which waits for the end of a callback of future 0x.. run by "
              "thread caller (#)");
}

/* --- Read-write locks --- */

static void a_reader_and_a_future(void)
{
    struct hkt_actor thread = {.name = "reader",
                               .prepare = hkt_read_table,
                               .wait = hkt_wait_for_one,
                               .release = hkt_give_table};
    struct hkt_actor task = {
        .pool = hkt_a, .task = sum, .wait = hkt_want_to_write, .release = hkt_give_table};

    hkt_await_actors(&task, NULL);
    hkt_expect_either_refused(
        &thread, &task,
        "thread reader (#) waits for future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0, "
        "which waits for read-write lock 0x.. (table) held by thread reader (#) as a reader "
        "since " HKT_READ,
        "worker a_0 waits for read-write lock 0x.. (table) held by thread reader (#) as a "
        "reader since " HKT_READ ", which waits for future 0x.. (sum, " HKT_SUBMITTED ") run by "
        "worker a_0");
}

static void a_writer_and_a_future(void)
{
    struct hkt_actor thread = {.name = "writer",
                               .prepare = hkt_write_table,
                               .wait = hkt_wait_for_one,
                               .release = hkt_give_table};
    struct hkt_actor task = {
        .pool = hkt_a, .task = sum, .wait = hkt_want_to_read, .release = hkt_give_table};

    hkt_await_actors(&task, NULL);
    hkt_expect_either_refused(
        &thread, &task,
        "thread writer (#) waits for future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0, "
        "which waits for read-write lock 0x.. (table) held by thread writer (#) as a writer "
        "since " HKT_WRITTEN,
        "worker a_0 waits for read-write lock 0x.. (table) held by thread writer (#) as a "
        "writer since " HKT_WRITTEN ", which waits for future 0x.. (sum, " HKT_SUBMITTED ") run "
        "by worker a_0");
}

/* --- Room in a queue --- */

static hk_executor *narrow; /* A queue for one task. */

static void fill_narrow(void)
{
    HKT_OK(hk_submit(narrow, hkt_nothing, NULL, 0, NULL, NULL));
}

static void fill_narrow_and_take_accounts(void)
{
    fill_narrow();
    hkt_take_accounts();
}

static hk_status submit_to_narrow(void)
{
    return hk_submit(narrow, hkt_nothing, NULL, 0, NULL, NULL);
}

static void open_narrow(void)
{
    narrow = hkt_pool_create((hk_executor_options){
        .name = "n", .workers = 1, .spare_workers = HK_NO_SPARES, .queue_capacity = 1});
}

static void room_and_a_future(void)
{
    struct hkt_actor inside = {.task = sum, .wait = hkt_wait_for_one};
    struct hkt_actor outside = {
        .pool = hkt_b, .task = audit, .prepare = fill_narrow, .wait = submit_to_narrow};

    open_narrow();
    inside.pool = narrow;
    hkt_await_actors(&outside, NULL);
    hkt_expect_either_refused(
        &inside, &outside,
        "worker n_0 waits for future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0, which "
        "waits for room in the queue of executor n to be made by worker n_0",
        "worker b_0 waits for room in the queue of executor n to be made by worker n_0, which "
        "waits for future 0x.. (audit, " HKT_SUBMITTED ") run by worker b_0");
    HKT_OK(hk_executor_destroy(narrow));
}

static void room_and_a_lock(void)
{
    struct hkt_actor thread = {.name = "sender",
                               .prepare = fill_narrow_and_take_accounts,
                               .wait = submit_to_narrow,
                               .release = hkt_give_accounts};
    struct hkt_actor task = {.task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor *actors[] = {&task, &thread};

    open_narrow();
    task.pool = narrow;
    for (unsigned last = 0; last < 2; last++) {
        hkt_actors_begin(actors, 2);
        hkt_expect_last_refused(actors, 2, (const unsigned[]){!last, last});
        HKT_REPORT(last == 0 ? "worker n_0 waits for lock 0x.. (accounts) held by thread sender "
                               "(#) since " HKT_TAKEN ", which waits for room in the queue of "
                               "executor n to be made by worker n_0"
                             : "thread sender (#) waits for room in the queue of executor n to be "
                               "made by worker n_0, which waits for lock 0x.. (accounts) held by "
                               "thread sender (#) since " HKT_TAKEN);
    }
    HKT_OK(hk_executor_destroy(narrow));
}

static CU_TestInfo tests[] = {
    HKT_CASE("a lock and a future", a_lock_and_a_future),
    HKT_CASE("the futures of two pools", the_futures_of_two_pools),
    HKT_CASE("a lock and a join", a_lock_and_a_join),
    HKT_CASE("a lock and a callback", a_lock_and_a_callback),
    HKT_CASE("a reader and a future", a_reader_and_a_future),
    HKT_CASE("a writer and a future", a_writer_and_a_future),
    HKT_CASE("room and a future", room_and_a_future),
    HKT_CASE("room and a lock", room_and_a_lock),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "mixed_cycles",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
