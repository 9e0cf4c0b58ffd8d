/* SPDX-License-Identifier: MIT */
/*
 * Fork and join, on every executor: what comes out is the same whoever runs it. What the
 * workers of a thread pool do with it is in test_scope_pool.c.
 */
#include <string.h>

#include "tests/fixture.h"

/* In a task: it fails, which is seen also where it runs in another process. */
#define MUST(value)                                                                                \
    do {                                                                                           \
        if (!(value)) {                                                                            \
            return hk_fail(call, __LINE__, "line %d: not %s", __LINE__, #value);                   \
        }                                                                                          \
    } while (0)

static void expect_well(const hk_task *task)
{
    hk_future *future = hkt_submit_int(hkt_executor, task, 0);
    const hk_error *error = NULL;

    HKT_OK(hk_future_error(future, HK_FOREVER, &error));
    HKT_EQ_STR(error == NULL ? "" : error->message, "");
    hk_future_unref(future);
}

/* --- Results --- */

/* fib(n) in place of n. */
static hk_status fibonacci(hk_scope *scope, void *arg)
{
    int *n = arg;
    int one = *n - 1;
    int other = *n - 2;
    hk_forked forked;
    hk_status status;

    if (*n < 2) {
        return HK_OK;
    }
    hk_fork(scope, &forked, fibonacci, &one);
    status = fibonacci(scope, &other);
    if (hk_join(scope, &forked) != HK_OK) {
        return HK_EFAILED;
    }
    *n = one + other;
    return status;
}

HK_TASK(scope_fibonacci)
{
    hk_scope scope;
    hk_status status;
    int n;

    memcpy(&n, in, sizeof(n));
    MUST(hk_scope_begin(&scope, call) == HK_OK);
    status = fibonacci(&scope, &n);
    MUST(hk_scope_end(&scope) == HK_OK);
    MUST(status == HK_OK);
    return hk_return(call, &n, sizeof(n));
}

static void a_tree_of_forks_gives_its_sum(void)
{
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, scope_fibonacci, 20)), 6765);
}

static void many_trees_may_grow_at_once(void)
{
    hk_future *futures[40];

    for (int i = 0; i < 40; i++) {
        futures[i] = hkt_submit_int(hkt_executor, scope_fibonacci, 12);
    }
    for (int i = 0; i < 40; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), 144);
    }
}

static hk_status add_one(hk_scope *scope, void *arg)
{
    (void)scope;
    ++*(int *)arg;
    return HK_OK;
}

enum { MANY = 1000 }; /* More than a worker keeps. */

HK_TASK(scope_forks_many)
{
    static hk_forked records[MANY];
    static int values[MANY];
    hk_scope scope;
    int sum = 0;

    memset(values, 0, sizeof(values));
    MUST(hk_scope_begin(&scope, call) == HK_OK);
    for (int i = 0; i < MANY; i++) {
        MUST(hk_fork(&scope, &records[i], add_one, &values[i]) == HK_OK);
    }
    for (int i = MANY - 1; i >= 0; i--) {
        MUST(hk_join(&scope, &records[i]) == HK_OK);
        sum += values[i];
    }
    MUST(sum == MANY);
    return hk_scope_end(&scope);
}

static void a_function_may_fork_more_than_fits(void)
{
    expect_well(scope_forks_many);
}

HK_TASK(scope_joins_in_any_order)
{
    hk_forked records[6];
    int values[6] = {0};
    hk_scope scope;

    MUST(hk_scope_begin(&scope, call) == HK_OK);
    for (int i = 0; i < 6; i++) {
        MUST(hk_fork(&scope, &records[i], add_one, &values[i]) == HK_OK);
    }
    MUST(hk_join(&scope, &records[2]) == HK_OK);
    for (int i = 2; i < 6; i++) {
        MUST(hk_forked_is_joined(&records[i]) && values[i] == 1);
    }
    MUST(hk_join(&scope, &records[5]) == HK_OK);
    MUST(hk_join(&scope, &records[0]) == HK_OK);
    MUST(hk_join(&scope, &records[1]) == HK_OK);
    for (int i = 0; i < 6; i++) {
        MUST(values[i] == 1);
    }
    return hk_scope_end(&scope);
}

static void joins_may_come_in_any_order(void)
{
    expect_well(scope_joins_in_any_order);
}

HK_TASK(scope_end_joins)
{
    hk_forked records[3];
    int values[3] = {0};
    hk_scope scope;

    MUST(hk_scope_begin(&scope, call) == HK_OK);
    for (int i = 0; i < 3; i++) {
        MUST(hk_fork(&scope, &records[i], add_one, &values[i]) == HK_OK);
    }
    MUST(hk_scope_end(&scope) == HK_OK);
    MUST(values[0] == 1 && values[1] == 1 && values[2] == 1);
    return HK_OK;
}

static void the_end_of_a_scope_joins_what_is_left(void)
{
    expect_well(scope_end_joins);
}

/* The middle one of three. */
static hk_status fork_inside(hk_scope *scope, void *arg)
{
    hk_forked forked;

    hk_fork(scope, &forked, add_one, arg);
    return hk_join(scope, &forked);
}

HK_TASK(scope_in_scope)
{
    hk_forked outer_one;
    hk_forked inner_one;
    hk_forked inner_other;
    hk_scope outer;
    hk_scope inner;
    int values[3] = {0};

    MUST(hk_scope_begin(&outer, call) == HK_OK);
    MUST(hk_scope_begin(&inner, call) == HK_OK);
    MUST(hk_fork(&inner, &inner_one, add_one, &values[0]) == HK_OK);
    MUST(hk_fork(&outer, &outer_one, fork_inside, &values[1]) == HK_OK);
    MUST(hk_fork(&inner, &inner_other, fork_inside, &values[2]) == HK_OK);
    MUST(hk_join(&outer, &outer_one) == HK_OK);
    MUST(hk_join(&inner, &inner_one) == HK_OK);
    MUST(values[0] == 1 && values[1] == 1 && values[2] == 1);
    MUST(hk_forked_is_joined(&inner_other));
    MUST(hk_scope_end(&inner) == HK_OK);
    return hk_scope_end(&outer);
}

static void a_task_may_have_several_scopes(void)
{
    expect_well(scope_in_scope);
}

/* --- Failures --- */

static hk_status fail_with(hk_scope *scope, void *arg)
{
    (void)scope;
    return *(hk_status *)arg;
}

HK_TASK(scope_fails)
{
    hk_status statuses[] = {HK_OK, HK_EFAILED, HK_ECANCELED, HK_EDEADLK};
    hk_forked records[4];
    hk_scope scope;
    int value = 0;
    hk_forked other;

    MUST(hk_scope_begin(&scope, call) == HK_OK);
    for (int i = 0; i < 4; i++) {
        MUST(hk_fork(&scope, &records[i], fail_with, &statuses[i]) == HK_OK);
    }
    MUST(hk_fork(&scope, &other, add_one, &value) == HK_OK);
    for (int i = 0; i < 4; i++) {
        MUST(hk_join(&scope, &records[i]) == statuses[i]);
        MUST(hk_forked_is_joined(&records[i]));
    }
    MUST(hk_join(&scope, &records[1]) == HK_EFAILED); /* Once more. */
    MUST(value == 1);
    return hk_scope_end(&scope);
}

static void each_join_gives_its_functions_status(void)
{
    expect_well(scope_fails);
}

HK_TASK(scope_end_fails)
{
    hk_status statuses[] = {HK_EFULL, HK_EFAILED, HK_OK};
    hk_forked records[3];
    hk_scope scope;
    /* Where a fork runs at once, it is joined at once. */
    bool at_once;
    hk_status status;

    MUST(hk_scope_begin(&scope, call) == HK_OK);
    for (int i = 0; i < 3; i++) {
        MUST(hk_fork(&scope, &records[i], fail_with, &statuses[i]) == HK_OK);
    }
    at_once = hk_forked_is_joined(&records[0]);
    status = hk_scope_end(&scope);
    MUST(status == (at_once ? HK_OK : HK_EFAILED));
    return HK_OK;
}

static void the_end_of_a_scope_gives_the_last_failure(void)
{
    expect_well(scope_end_fails);
}

/* --- Misuse --- */

HK_TASK(scope_misuse)
{
    hk_forked forked;
    hk_forked stranger;
    hk_forked never;
    hk_scope scope;
    hk_scope other;
    int value = 0;

    memset(&never, 0, sizeof(never));
    MUST(hk_scope_begin(NULL, call) == HK_EINVAL);
    MUST(hk_scope_begin(&scope, NULL) == HK_EINVAL);
    MUST(hk_scope_begin(&scope, call) == HK_OK);
    MUST(hk_scope_begin(&other, call) == HK_OK);
    MUST(hk_fork(NULL, &forked, add_one, &value) == HK_EINVAL);
    MUST(hk_fork(&scope, NULL, add_one, &value) == HK_EINVAL);
    MUST(hk_fork(&scope, &forked, NULL, &value) == HK_EINVAL);
    MUST(hk_join(NULL, &forked) == HK_EINVAL);
    MUST(hk_join(&scope, NULL) == HK_EINVAL);
    MUST(hk_join(&scope, &never) == HK_EINVAL);
    MUST(!hk_forked_is_joined(NULL) && !hk_forked_is_joined(&never));
    MUST(hk_fork(&other, &stranger, add_one, &value) == HK_OK);
    MUST(hk_join(&scope, &stranger) == HK_EINVAL);
    MUST(hk_join(&other, &stranger) == HK_OK);
    MUST(!hk_scope_should_stop(NULL) && !hk_scope_should_stop(&scope));
    MUST(hk_scope_end(&other) == HK_OK);
    MUST(hk_scope_end(&scope) == HK_OK);
    MUST(hk_scope_end(&scope) == HK_EINVAL);
    MUST(hk_scope_end(NULL) == HK_EINVAL);
    MUST(hk_fork(&scope, &forked, add_one, &value) == HK_EINVAL);
    MUST(hk_join(&other, &stranger) == HK_EINVAL);
    MUST(!hk_scope_should_stop(&scope));
    MUST(value == 1);
    return HK_OK;
}

static void misuse_is_refused(void)
{
    expect_well(scope_misuse);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_tree_of_forks_gives_its_sum),
    HKT_TEST(many_trees_may_grow_at_once),
    HKT_TEST(a_function_may_fork_more_than_fits),
    HKT_TEST(joins_may_come_in_any_order),
    HKT_TEST(the_end_of_a_scope_joins_what_is_left),
    HKT_TEST(a_task_may_have_several_scopes),
    HKT_TEST(each_join_gives_its_functions_status),
    HKT_TEST(the_end_of_a_scope_gives_the_last_failure),
    HKT_TEST(misuse_is_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "scope",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
