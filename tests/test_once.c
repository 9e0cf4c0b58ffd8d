/* SPDX-License-Identifier: MIT */
/* Once and lazy values: done by one, failures that leave it undone, and functions that come
 * back to themselves. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/child_fixture.h"
#include "tests/race_fixture.h"

static hk_status count_up(void *arg)
{
    ++*(int *)arg;
    return HK_OK;
}

static hk_status fail(void *arg)
{
    ++*(int *)arg;
    return HK_ESYS;
}

static void it_is_done_once(void)
{
    static hk_once once = HK_ONCE_INIT("once");
    int runs = 0;

    HKT_TRUE(!hk_once_is_done(&once));
    for (int i = 0; i < 3; i++) {
        HKT_OK(hk_once_run(&once, count_up, &runs));
        HKT_TRUE(hk_once_is_done(&once));
    }
    HKT_EQ_INT(runs, 1);
}

static void a_failure_leaves_it_undone(void)
{
    hk_once *once = calloc(1, sizeof(*once));
    int runs = 0;

    HKT_TRUE_FATAL(once != NULL);
    for (int i = 0; i < 3; i++) {
        HKT_STATUS(hk_once_run(once, fail, &runs), HK_ESYS);
        HKT_TRUE(!hk_once_is_done(once));
    }
    HKT_OK(hk_once_run(once, count_up, &runs));
    HKT_OK(hk_once_run(once, fail, &runs));
    HKT_EQ_INT(runs, 4);
    free(once);
}

static void wrong_arguments_are_refused(void)
{
    hk_once once = HK_ONCE_INIT(NULL);
    hk_lazy lazy = HK_LAZY_INIT(NULL, NULL, NULL, NULL);
    void *value = NULL;

    HKT_STATUS(hk_once_run(NULL, count_up, NULL), HK_EINVAL);
    HKT_STATUS(hk_once_run(&once, NULL, NULL), HK_EINVAL);
    HKT_TRUE(!hk_once_is_done(NULL));
    HKT_TRUE(!hk_once_is_done(&once));
    HKT_STATUS(hk_lazy_get(NULL, &value), HK_EINVAL);
    HKT_STATUS(hk_lazy_get(&lazy, NULL), HK_EINVAL);
    HKT_STATUS(hk_lazy_get(&lazy, &value), HK_EINVAL);
    hk_lazy_destroy(NULL);
    hk_lazy_destroy(&lazy);
}

/* --- Races --- */

struct work {
    hk_once once;
    int result; /* Plain: written by the function, read by all. */
    int tries;
};

static struct work works[HKT_ROUNDS];
static unsigned used;

static void open_work(struct hkt_round *round)
{
    round->object = &works[used++];
    memset(round->object, 0, sizeof(struct work));
}

static hk_status work_at_third_try(void *arg)
{
    struct work *work = arg;

    if (++work->tries < 3) {
        return HK_ESYS;
    }
    work->result = HKT_PAYLOAD;
    return HK_OK;
}

static void work_until_done(struct hkt_round *round, unsigned who)
{
    struct work *work = round->object;
    unsigned failures = 0;

    while ((round->status[who] = hk_once_run(&work->once, work_at_third_try, work)) == HK_ESYS) {
        failures++;
    }
    round->payload[who] = work->result;
    atomic_fetch_add(&round->drops, failures);
}

/* Only looks: nothing else brings it what was written. */
static void watch_until_done(struct hkt_round *round, unsigned who)
{
    struct work *work = round->object;

    while (!hk_once_is_done(&work->once)) {
        sched_yield();
    }
    round->payload[who] = work->result;
}

static void is_done_by_one(struct hkt_round *round)
{
    const struct work *work = round->object;

    for (int i = 0; i < 4; i++) {
        HKT_OK(round->status[i]);
        HKT_EQ_INT(round->payload[i], HKT_PAYLOAD);
    }
    HKT_EQ_INT(work->tries, 3);
    HKT_EQ_INT(round->drops, 2); /* Each failure was told to the one whose call it was. */
}

static void many_threads_fail_and_succeed_once(void)
{
    static const struct hkt_race race = {
        open_work,
        {work_until_done, work_until_done, work_until_done, watch_until_done},
        is_done_by_one};

    used = 0;
    hkt_race(&race);
}

/* A word that says undone is not the one that was read before, if somebody failed in
 * between: whoever runs it next sees all that the last one wrote. */
enum { FAILURES = 40000, FAILING = 3 };

static hk_once hopeless;
static int attempts; /* Plain: written by the function alone. */

static void fail_often(void *arg)
{
    unsigned count = FAILURES / hkt_slowness();

    (void)arg;
    for (unsigned i = 0; i < count; i++) {
        HKT_STATUS(hk_once_run(&hopeless, fail, &attempts), HK_ESYS);
    }
}

static void a_failure_hands_over_what_it_wrote(void)
{
    struct hkt_thread threads[FAILING];

    hopeless = (hk_once)HK_ONCE_INIT("hopeless");
    attempts = 0;
    for (int i = 0; i < FAILING; i++) {
        hkt_thread_start(&threads[i], fail_often, NULL);
    }
    for (int i = 0; i < FAILING; i++) {
        hkt_thread_join(&threads[i]);
    }
    HKT_EQ_INT(attempts, (int)(FAILING * (FAILURES / hkt_slowness())));
}

/* --- Waiting for who runs it --- */

static hk_once slow;
static struct hkt_gate inside;
static struct hkt_gate may_end;
static hk_status slow_ends;

static hk_status stand_at_gate(void *arg)
{
    (void)arg;
    hkt_gate_open(&inside);
    hkt_gate_wait(&may_end);
    return slow_ends;
}

static hk_status give_ok(void *arg)
{
    (void)arg;
    return HK_OK;
}

static void run_slow(void *arg)
{
    HKT_STATUS(hk_once_run(&slow, stand_at_gate, NULL), *(const hk_status *)arg);
}

static void run_slow_too(void *arg)
{
    (void)arg;
    HKT_OK(hk_once_run(&slow, give_ok, NULL));
}

static void begin_slow(struct hkt_thread *runner)
{
    slow = (hk_once)HK_ONCE_INIT("slow");
    hkt_gate_init(&inside, "the function runs");
    hkt_gate_init(&may_end, "the function may end");
    hkt_thread_start(runner, run_slow, &slow_ends);
    hkt_gate_wait(&inside);
}

static void end_slow(struct hkt_thread *runner)
{
    hkt_gate_open(&may_end);
    hkt_thread_join(runner);
    hkt_gate_fini(&inside);
    hkt_gate_fini(&may_end);
}

static void others_wait_for_who_runs_it(void)
{
    static const hk_status ends[] = {HK_OK, HK_ESYS};

    for (int round = 0; round < 2; round++) {
        struct hkt_thread runner;
        struct hkt_thread others[3];

        slow_ends = ends[round];
        begin_slow(&runner);
        for (int i = 0; i < 3; i++) {
            hkt_thread_start(&others[i], run_slow_too, NULL);
            hkt_thread_await_sleep(&others[i]);
        }
        HKT_TRUE(!hk_once_is_done(&slow));
        end_slow(&runner);
        for (int i = 0; i < 3; i++) {
            hkt_thread_join(&others[i]);
        }
        HKT_TRUE(hk_once_is_done(&slow));
    }
}

/* --- Rings --- */

static hk_once nested[3];
static hk_status nested_status[3];

static hk_status run_again(void *arg)
{
    int *index = arg;

    nested_status[0] = hk_once_run(&nested[*index], run_again, index);
    return HK_OK;
}

static void a_function_that_comes_back_to_itself_is_refused(void)
{
    int index = 0;

    nested[0] = (hk_once)HK_ONCE_INIT("itself");
    HKT_OK(hk_once_run(&nested[0], run_again, &index));
    HKT_STATUS(nested_status[0], HK_EDEADLK);
    HKT_TRUE(hk_once_is_done(&nested[0]));
}

static hk_status run_next(void *arg)
{
    int index = *(int *)arg;
    int next = index + 1;

    if (index == 2) {
        nested_status[2] = hk_once_run(&nested[0], give_ok, NULL);
    } else {
        HKT_OK(hk_once_run(&nested[next], run_next, &next));
    }
    return HK_OK;
}

static void so_is_one_that_comes_back_through_others(void)
{
    int first = 0;

    memset(nested, 0, sizeof(nested));
    HKT_OK(hk_once_run(&nested[0], run_next, &first));
    HKT_STATUS(nested_status[2], HK_EDEADLK);
}

/* Each of two threads runs one and needs the other's. */
static struct hkt_barrier both_inside;

static hk_status need_the_other(void *arg)
{
    int index = *(int *)arg;

    hkt_barrier_wait(&both_inside);
    nested_status[index] = hk_once_run(&nested[1 - index], give_ok, NULL);
    return HK_OK;
}

static void run_one_of_two(void *arg)
{
    HKT_OK(hk_once_run(&nested[*(int *)arg], need_the_other, arg));
}

static void a_ring_of_threads_is_refused_once(void)
{
    static int indices[] = {0, 1};

    hkt_barrier_init(&both_inside, 2, "both are inside");
    for (int round = 0; round < 50; round++) {
        struct hkt_thread threads[2];
        struct hkt_log log;

        hkt_log_begin(&log);
        nested[0] = (hk_once)HK_ONCE_INIT("left");
        nested[1] = (hk_once)HK_ONCE_INIT("right");
        for (int i = 0; i < 2; i++) {
            hkt_thread_start(&threads[i], run_one_of_two, &indices[i]);
        }
        for (int i = 0; i < 2; i++) {
            hkt_thread_join(&threads[i]);
        }
        HKT_TRUE((nested_status[0] == HK_EDEADLK && nested_status[1] == HK_OK) ||
                 (nested_status[1] == HK_EDEADLK && nested_status[0] == HK_OK));
        HKT_TRUE(hkt_log_has(&log, "(left)") || hkt_log_has(&log, "(right)"));
        hkt_log_end(&log);
        HKT_TRUE(hk_once_is_done(&nested[0]) && hk_once_is_done(&nested[1]));
    }
    hkt_barrier_fini(&both_inside);
}

/* One thread runs a once and waits for a task's future; the task needs the once. */
static hk_executor *pool;
static hk_status task_saw;

HK_TASK(needs_the_once)
{
    (void)call;
    (void)in;
    (void)in_size;
    task_saw = hk_once_run(&nested[0], give_ok, NULL);
    return HK_OK;
}

static hk_status wait_for_task(void *arg)
{
    hk_future *future = hkt_submit_ref(pool, needs_the_once, NULL);
    hk_status *saw = arg;

    *saw = hk_future_wait(future, HK_FOREVER);
    hk_future_unref(future);
    return HK_OK;
}

static void a_ring_through_a_future_is_refused(void)
{
    struct hkt_log log;
    hk_status saw = HK_OK;

    hkt_log_begin(&log);
    pool = hkt_pool_create((hk_executor_options){.workers = 1});
    nested[0] = (hk_once)HK_ONCE_INIT("ring");
    HKT_OK(hk_once_run(&nested[0], wait_for_task, &saw));
    HKT_OK(hk_executor_destroy(pool));
    hkt_log_end(&log);
    /* One of the two was refused; the other then got what it waited for. */
    HKT_TRUE((saw == HK_EDEADLK) != (task_saw == HK_EDEADLK));
}

/* --- Lazy values --- */

static atomic_int made;
static atomic_int dropped;
static hk_status make_status;

static hk_status make_number(void *arg, void **value)
{
    int *number = malloc(sizeof(*number));

    atomic_fetch_add(&made, 1);
    if (make_status != HK_OK || number == NULL) {
        free(number);
        return make_status;
    }
    *number = *(const int *)arg;
    *value = number;
    return HK_OK;
}

static void drop_number(void *number)
{
    atomic_fetch_add(&dropped, 1);
    free(number);
}

static void a_value_is_made_when_asked_for_and_dropped(void)
{
    static int seven = 7;
    static hk_lazy lazy = HK_LAZY_INIT("seven", make_number, drop_number, &seven);
    void *value = NULL;
    void *again = NULL;

    atomic_store(&made, 0);
    atomic_store(&dropped, 0);
    make_status = HK_ENOMEM;
    HKT_STATUS(hk_lazy_get(&lazy, &value), HK_ENOMEM);
    HKT_EQ_PTR(value, NULL);
    make_status = HK_OK;
    for (int round = 0; round < 2; round++) {
        HKT_OK_FATAL(hk_lazy_get(&lazy, &value));
        HKT_OK(hk_lazy_get(&lazy, &again));
        HKT_EQ_PTR(value, again);
        HKT_OK(hk_lazy_build_(&lazy, &again));
        HKT_EQ_PTR(value, again);
        HKT_EQ_INT(*(int *)value, 7);
        HKT_EQ_INT(made, 2 + round);
        HKT_EQ_INT(dropped, round);
        hk_lazy_destroy(&lazy);
    }
    hk_lazy_destroy(&lazy);
    HKT_EQ_INT(dropped, 2);
}

static hk_lazy lazies[HKT_ROUNDS];
static int payload = HKT_PAYLOAD;

static void open_lazy(struct hkt_round *round)
{
    round->object = &lazies[used++];
    *(hk_lazy *)round->object = (hk_lazy)HK_LAZY_INIT("race", make_number, drop_number, &payload);
}

static void get_value(struct hkt_round *round, unsigned who)
{
    void *value = NULL;

    round->status[who] = hk_lazy_get(round->object, &value);
    round->payload[who] = *(int *)value; /* Plain memory that another thread wrote. */
}

static void all_got_it(struct hkt_round *round)
{
    for (int i = 0; i < 4; i++) {
        HKT_OK(round->status[i]);
        HKT_EQ_INT(round->payload[i], HKT_PAYLOAD);
    }
    hk_lazy_destroy(round->object);
}

static void all_threads_get_the_same_value(void)
{
    static const struct hkt_race race = {
        open_lazy, {get_value, get_value, get_value, get_value}, all_got_it};

    used = 0;
    make_status = HK_OK;
    atomic_store(&made, 0);
    atomic_store(&dropped, 0);
    hkt_race(&race);
    HKT_EQ_INT(made, HKT_ROUNDS);
    HKT_EQ_INT(dropped, HKT_ROUNDS);
}

/* --- Forks --- */

static void use_in_child(void *arg)
{
    static hk_once fresh;
    int runs = 0;

    (void)arg;
    HKT_CHILD_STATUS(hk_once_run(&slow, give_ok, NULL), HK_EFORKED);
    HKT_CHILD_TRUE(!hk_once_is_done(&slow));
    HKT_CHILD_STATUS(hk_once_run(&nested[0], fail, &runs), HK_OK); /* Done before. */
    HKT_CHILD_STATUS(hk_once_run(&fresh, count_up, &runs), HK_OK);
    HKT_CHILD_TRUE(runs == 1);
}

static void what_another_thread_was_doing_is_not_done_in_a_child(void)
{
    struct hkt_thread runner;

    nested[0] = (hk_once)HK_ONCE_INIT("done");
    HKT_OK(hk_once_run(&nested[0], give_ok, NULL));
    slow_ends = HK_OK;
    begin_slow(&runner);
    hkt_expect_good_child(use_in_child, NULL);
    end_slow(&runner);
    HKT_OK(hk_once_run(&slow, fail, NULL));
}

static void finish_in_child(void *arg)
{
    HKT_CHILD_STATUS(hk_once_run(arg, give_ok, NULL), HK_EDEADLK);
}

static hk_status fork_inside(void *arg)
{
    hkt_expect_good_child(finish_in_child, arg);
    return HK_OK;
}

static void who_forks_while_it_runs_goes_on_running_it(void)
{
    nested[0] = (hk_once)HK_ONCE_INIT("forks");
    HKT_OK(hk_once_run(&nested[0], fork_inside, &nested[0]));
    HKT_TRUE(hk_once_is_done(&nested[0]));
}

static CU_TestInfo tests[] = {
    HKT_TEST(it_is_done_once),
    HKT_TEST(a_failure_leaves_it_undone),
    HKT_TEST(wrong_arguments_are_refused),
    HKT_TEST(many_threads_fail_and_succeed_once),
    HKT_TEST(a_failure_hands_over_what_it_wrote),
    HKT_TEST(others_wait_for_who_runs_it),
    HKT_TEST(a_function_that_comes_back_to_itself_is_refused),
    HKT_TEST(so_is_one_that_comes_back_through_others),
    HKT_TEST(a_ring_of_threads_is_refused_once),
    HKT_TEST(a_ring_through_a_future_is_refused),
    HKT_TEST(a_value_is_made_when_asked_for_and_dropped),
    HKT_TEST(all_threads_get_the_same_value),
    HKT_TEST(what_another_thread_was_doing_is_not_done_in_a_child),
    HKT_TEST(who_forks_while_it_runs_goes_on_running_it),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "once", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
