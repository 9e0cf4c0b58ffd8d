/* SPDX-License-Identifier: MIT */
/* Per-thread objects: building, setting and dropping them, and the ends of threads. What
 * looks at those of other threads is in test_local_each.c. */
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/allocation_fixture.h"
#include "tests/child_fixture.h"
#include "tests/promise_fixture.h"

static atomic_int made;
static atomic_int dropped;

static hk_status make_int(void *arg, void **object)
{
    int *number = malloc(sizeof(*number));

    if (number == NULL) {
        return HK_ENOMEM;
    }
    *number = arg == NULL ? 0 : *(const int *)arg;
    atomic_fetch_add(&made, 1);
    *object = number;
    return HK_OK;
}

static void drop_int(void *object)
{
    atomic_fetch_add(&dropped, 1);
    free(object);
}

static void set_up(void)
{
    atomic_store(&made, 0);
    atomic_store(&dropped, 0);
}

static void in_a_thread(void (*fn)(void *arg), void *arg)
{
    struct hkt_thread thread;

    hkt_thread_start(&thread, fn, arg);
    hkt_thread_join(&thread);
}

/* --- One thread --- */

static void a_thread_builds_its_object_once(void)
{
    static int seven = 7;
    static hk_local local = HK_LOCAL_INIT(make_int, drop_int, &seven);
    void *again = NULL;
    int *mine;

    HKT_EQ_PTR(hk_local_peek(&local), NULL);
    HKT_EQ_INT(made, 0);
    mine = hk_local_get(&local);
    HKT_TRUE_FATAL(mine != NULL);
    HKT_EQ_INT(*mine, 7);
    HKT_EQ_PTR(hk_local_get(&local), mine);
    HKT_EQ_PTR(hk_local_peek(&local), mine);
    HKT_OK(hk_local_build(&local, &again));
    HKT_EQ_PTR(again, mine);
    HKT_EQ_INT(made, 1);
    HKT_OK(hk_local_destroy(&local));
    HKT_EQ_INT(dropped, 1);
    HKT_EQ_PTR(hk_local_peek(&local), NULL);
    /* A static one is as new. */
    HKT_TRUE(hk_local_get(&local) != NULL);
    HKT_EQ_INT(made, 2);
    HKT_OK(hk_local_destroy(&local));
    HKT_EQ_INT(dropped, 2);
}

static void another_object_may_be_set(void)
{
    hk_local *local = NULL;
    int *first;
    int *second = malloc(sizeof(*second));

    HKT_OK_FATAL(hk_local_create(make_int, drop_int, NULL, &local));
    HKT_TRUE_FATAL(second != NULL);
    HKT_OK(hk_local_set(local, second));
    HKT_EQ_PTR(hk_local_get(local), second);
    HKT_OK(hk_local_set(local, second));
    HKT_EQ_INT(dropped, 0);
    HKT_OK(hk_local_set(local, NULL));
    HKT_EQ_INT(dropped, 1);
    HKT_OK(hk_local_set(local, NULL));
    HKT_EQ_INT(dropped, 1);
    HKT_EQ_PTR(hk_local_peek(local), NULL);
    first = hk_local_get(local);
    HKT_TRUE(first != NULL);
    second = malloc(sizeof(*second));
    HKT_OK(hk_local_set(local, second));
    HKT_EQ_INT(dropped, 2);
    HKT_EQ_PTR(hk_local_peek(local), second);
    HKT_OK(hk_local_destroy(local));
    HKT_EQ_INT(dropped, 3);
    HKT_EQ_INT(made, 1);
}

static hk_status fail_or_give_nothing(void *arg, void **object)
{
    *object = NULL;
    return *(const hk_status *)arg;
}

static void why_there_is_no_object_is_told(void)
{
    static hk_status status = HK_ESYS;
    hk_local fails = HK_LOCAL_INIT(fail_or_give_nothing, drop_int, &status);
    hk_local only_set = HK_LOCAL_INIT(NULL, NULL, NULL);
    void *object = &fails;

    HKT_EQ_PTR(hk_local_get(&fails), NULL);
    HKT_STATUS(hk_local_build(&fails, &object), HK_ESYS);
    HKT_EQ_PTR(object, NULL);
    status = HK_OK;
    HKT_STATUS(hk_local_build(&fails, &object), HK_ENOMEM);
    HKT_EQ_PTR(hk_local_get(&fails), NULL);
    HKT_STATUS(hk_local_build(&only_set, &object), HK_ESTATE);
    HKT_OK(hk_local_set(&only_set, &object));
    HKT_EQ_PTR(hk_local_get(&only_set), &object);
    HKT_OK(hk_local_destroy(&fails));
    HKT_OK(hk_local_destroy(&only_set));
    HKT_EQ_INT(dropped, 0);
}

static void wrong_arguments_are_refused(void)
{
    static hk_local local = HK_LOCAL_INIT(make_int, drop_int, NULL);
    void *object = NULL;

    HKT_STATUS(hk_local_create(make_int, drop_int, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_local_build(NULL, &object), HK_EINVAL);
    HKT_STATUS(hk_local_build(&local, NULL), HK_EINVAL);
    HKT_STATUS(hk_local_set(NULL, &object), HK_EINVAL);
    HKT_EQ_PTR(hk_local_get(NULL), NULL);
    HKT_EQ_PTR(hk_local_peek(NULL), NULL);
    HKT_OK(hk_local_destroy(NULL));
    HKT_OK(hk_local_destroy(&local)); /* Never used. */
    HKT_EQ_INT(made, 0);
}

/* --- Functions that come back --- */

static hk_local coming_back;
static hk_status came_back[4];

static hk_status get_within_make(void *arg, void **object)
{
    came_back[0] = hk_local_build(&coming_back, object);
    came_back[1] = hk_local_set(&coming_back, &coming_back);
    came_back[3] = hk_local_destroy(&coming_back);
    return make_int(arg, object);
}

static void destroy_within_drop(void *object)
{
    came_back[2] = hk_local_destroy(&coming_back);
    drop_int(object);
}

static void a_function_that_comes_back_is_refused(void)
{
    coming_back = (hk_local)HK_LOCAL_INIT(get_within_make, destroy_within_drop, NULL);
    HKT_TRUE(hk_local_get(&coming_back) != NULL);
    HKT_STATUS(came_back[0], HK_EDEADLK);
    HKT_STATUS(came_back[1], HK_EDEADLK);
    HKT_STATUS(came_back[3], HK_EDEADLK);
    HKT_OK(hk_local_destroy(&coming_back));
    HKT_STATUS(came_back[2], HK_EDEADLK);
    HKT_EQ_INT(made, 1);
    HKT_EQ_INT(dropped, 1);
}

enum { DEEP = 300 };

static hk_local chain[DEEP];
static int positions[DEEP];

/* Needs the object after its own, so slots grow while it is being built. */
static hk_status make_link(void *arg, void **object)
{
    int next = *(const int *)arg + 1;

    if (next < DEEP && hk_local_get(&chain[next]) == NULL) {
        return HK_ENOMEM;
    }
    return make_int(arg, object);
}

static void a_make_function_may_build_others(void)
{
    for (int i = 0; i < DEEP; i++) {
        positions[i] = i;
        chain[i] = (hk_local)HK_LOCAL_INIT(make_link, drop_int, &positions[i]);
    }
    HKT_TRUE(hk_local_get(&chain[0]) != NULL);
    HKT_EQ_INT(made, DEEP);
    for (int i = 0; i < DEEP; i++) {
        int *object = hk_local_peek(&chain[i]);

        HKT_TRUE(object != NULL && *object == i);
        HKT_OK(hk_local_destroy(&chain[i]));
    }
    HKT_EQ_INT(dropped, DEEP);
}

/* --- Keys --- */

enum { MANY = 3000 };

static void there_may_be_any_number_of_locals(void)
{
    static hk_local *locals[MANY];

    for (int i = 0; i < MANY; i++) {
        HKT_OK_FATAL(hk_local_create(make_int, drop_int, &i, &locals[i]));
        HKT_EQ_INT(*(int *)hk_local_get(locals[i]), i);
    }
    for (int i = 0; i < MANY; i++) {
        int *object = hk_local_peek(locals[i]);

        HKT_TRUE(object != NULL && *object == i);
    }
    for (int i = 0; i < MANY; i += 2) {
        HKT_OK(hk_local_destroy(locals[i]));
    }
    HKT_EQ_INT(dropped, MANY / 2);
    /* Places are used again, and what was in them is not seen. */
    for (int i = 0; i < MANY; i += 2) {
        HKT_OK_FATAL(hk_local_create(make_int, drop_int, &i, &locals[i]));
        HKT_EQ_PTR(hk_local_peek(locals[i]), NULL);
    }
    HKT_EQ_INT(*(int *)hk_local_peek(locals[1]), 1);
    for (int i = 0; i < MANY; i++) {
        HKT_OK(hk_local_destroy(locals[i]));
    }
    HKT_EQ_INT(made, MANY);
    HKT_EQ_INT(dropped, MANY);
}

/* --- Ends of threads --- */

enum { SOME = 4 };

static hk_local ordered[SOME];
static struct hkt_order order;

static void note_drop(void *object)
{
    hkt_order_note(&order, *(int *)object);
    drop_int(object);
}

static void build_in_odd_order(void *arg)
{
    static const int wanted[SOME] = {2, 0, 3, 1};

    (void)arg;
    for (int i = 0; i < SOME; i++) {
        HKT_TRUE(hk_local_get(&ordered[wanted[i]]) != NULL);
    }
    /* A new object stays where the old one was. */
    HKT_OK(hk_local_set(&ordered[0], memcpy(malloc(sizeof(int)), &positions[0], sizeof(int))));
}

static void a_thread_drops_its_objects_the_youngest_first(void)
{
    static const int expected[] = {0, 1, 3, 0, 2}; /* The first was replaced. */

    memset(&order, 0, sizeof(order));
    for (int i = 0; i < SOME; i++) {
        positions[i] = i;
        ordered[i] = (hk_local)HK_LOCAL_INIT(make_int, note_drop, &positions[i]);
    }
    in_a_thread(build_in_odd_order, NULL);
    hkt_order_expect(&order, 5, expected);
    for (int i = 0; i < SOME; i++) {
        HKT_OK(hk_local_destroy(&ordered[i]));
    }
    HKT_EQ_INT(dropped, 5);
}

/* Its drop function builds it again, for ever if it may. */
static hk_local phoenix;
static atomic_int refused;

static void drop_and_rise(void *object)
{
    void *again = NULL;
    hk_status status = hk_local_build(&phoenix, &again);

    if (status != HK_OK) {
        HKT_STATUS(status, HK_ESTATE);
        HKT_STATUS(hk_local_set(&phoenix, object), HK_ESTATE);
        atomic_fetch_add(&refused, 1);
    }
    drop_int(object);
}

static void build_one(void *local)
{
    HKT_TRUE(hk_local_get(local) != NULL);
}

static void what_a_drop_builds_is_dropped_in_the_next_round(void)
{
    phoenix = (hk_local)HK_LOCAL_INIT(make_int, drop_and_rise, NULL);
    atomic_store(&refused, 0);
    in_a_thread(build_one, &phoenix);
    HKT_EQ_INT(made, PTHREAD_DESTRUCTOR_ITERATIONS);
    HKT_EQ_INT(dropped, made);
    HKT_EQ_INT(refused, 1);
    HKT_OK(hk_local_destroy(&phoenix));
    HKT_EQ_INT(dropped, made);
}

/* Another library's thread key, whose destructor uses a local. */
static hk_local used_late = HK_LOCAL_INIT(make_int, drop_int, NULL);
static pthread_key_t strange_key;

static void use_local(void *arg)
{
    HKT_TRUE(hk_local_get(arg) != NULL);
}

static void set_strange_key(void *arg)
{
    build_one(arg);
    HKT_EQ_INT(pthread_setspecific(strange_key, arg), 0);
}

static void destructors_of_others_may_use_locals(void)
{
    HKT_EQ_INT(pthread_key_create(&strange_key, use_local), 0);
    in_a_thread(set_strange_key, &used_late);
    HKT_TRUE(made >= 1);
    HKT_EQ_INT(dropped, made);
    HKT_EQ_INT(pthread_key_delete(strange_key), 0);
    HKT_OK(hk_local_destroy(&used_late));
}

static void a_local_without_functions_only_holds(void)
{
    static hk_local holds = HK_LOCAL_INIT(make_int, NULL, NULL);
    static int kept;

    HKT_OK(hk_local_set(&holds, &kept));
    HKT_EQ_PTR(hk_local_get(&holds), &kept);
    HKT_OK(hk_local_destroy(&holds));
    HKT_EQ_INT(dropped, 0);
}

/* --- Destroying while threads end --- */

enum { THREADS = 4 };

static hk_local *doomed;
static struct hkt_barrier all_built;

static void build_and_end(void *arg)
{
    (void)arg;
    HKT_TRUE(hk_local_get(doomed) != NULL);
    hkt_barrier_wait(&all_built);
}

/* Long enough for the one who destroys to find it under way. */
static void drop_slowly(void *object)
{
    for (int i = 0; i < 3; i++) {
        sched_yield();
    }
    drop_int(object);
}

static void add_slowly(void *total, const void *object)
{
    sched_yield();
    *(int *)total += *(const int *)object;
}

static void each_object_is_dropped_once_when_threads_end_meanwhile(void)
{
    hkt_barrier_init(&all_built, THREADS + 1, "all have built");
    for (int round = 0; round < 300 / (int)hkt_slowness(); round++) {
        static int three = 3;
        struct hkt_thread threads[THREADS];
        int retired = 0;

        set_up();
        HKT_OK_FATAL(hk_local_create(make_int, drop_slowly, &three, &doomed));
        if (round % 2 != 0) {
            HKT_OK(hk_local_retire(doomed, add_slowly, &retired));
        }
        for (int i = 0; i < THREADS; i++) {
            hkt_thread_start(&threads[i], build_and_end, NULL);
        }
        hkt_barrier_wait(&all_built);
        HKT_OK(hk_local_destroy(doomed));
        HKT_EQ_INT(dropped, THREADS); /* Those under way were waited for. */
        HKT_EQ_INT(retired, round % 2 == 0 ? 0 : 3 * THREADS);
        for (int i = 0; i < THREADS; i++) {
            hkt_thread_join(&threads[i]);
        }
        HKT_EQ_INT(dropped, THREADS);
    }
    hkt_barrier_fini(&all_built);
}

/* --- Memory --- */

static hk_local *fresh;
static hk_status first_status;

static void prepare(void)
{
    HKT_OK(hk_local_create(make_int, drop_int, NULL, &fresh));
}

static void clean(void)
{
    HKT_OK(hk_local_destroy(fresh));
}

static void build_first(void *arg)
{
    void *object = NULL;

    (void)arg;
    /* The test's thread has slots already; a thread of its own makes all. */
    first_status = hk_local_build(fresh, &object);
    HKT_TRUE((first_status == HK_OK) == (object != NULL));
    HKT_EQ_PTR(hk_local_peek(fresh), object);
}

static hk_status build_in_new_thread(void)
{
    in_a_thread(build_first, NULL);
    return first_status;
}

static void set_first(void *arg)
{
    int *object = malloc(sizeof(*object));

    (void)arg;
    first_status = hk_local_set(fresh, object);
    HKT_EQ_PTR(hk_local_peek(fresh), first_status == HK_OK ? object : NULL);
    if (first_status != HK_OK) {
        free(object);
    }
}

static hk_status set_in_new_thread(void)
{
    in_a_thread(set_first, NULL);
    return first_status;
}

static hk_status create(void)
{
    return hk_local_create(make_int, drop_int, NULL, &fresh);
}

static void nothing(void)
{
}

static void clean_if_created(void)
{
    clean();
    fresh = NULL;
}

/* Slots that have to grow for a late key. */
static hk_local *crowd[200];

static void prepare_crowd(void)
{
    for (int i = 0; i < 200; i++) {
        HKT_OK(hk_local_create(make_int, drop_int, NULL, &crowd[i]));
        HKT_TRUE(hk_local_get(crowd[i]) != NULL);
    }
    fresh = crowd[0];
}

static void build_small_then_large(void *arg)
{
    void *object = NULL;

    (void)arg;
    first_status = hk_local_build(crowd[0], &object);
    if (first_status == HK_OK) {
        first_status = hk_local_build(crowd[199], &object);
    }
}

static hk_status grow_in_new_thread(void)
{
    in_a_thread(build_small_then_large, NULL);
    return first_status;
}

static void clean_crowd(void)
{
    for (int i = 0; i < 200; i++) {
        HKT_OK(hk_local_destroy(crowd[i]));
    }
}

static void everything_survives_without_memory(void)
{
    static const struct hkt_allocation_case cases[] = {
        {"hk_local_create", nothing, create, NULL, NULL, clean_if_created, false},
        {"hk_local_build", prepare, build_in_new_thread, NULL, NULL, clean, false},
        {"hk_local_set", prepare, set_in_new_thread, NULL, NULL, clean, false},
        {"growing slots", prepare_crowd, grow_in_new_thread, NULL, NULL, clean_crowd, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hkt_fail_each_allocation(&cases[i]);
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_thread_builds_its_object_once),
    HKT_TEST(another_object_may_be_set),
    HKT_TEST(why_there_is_no_object_is_told),
    HKT_TEST(wrong_arguments_are_refused),
    HKT_TEST(a_function_that_comes_back_is_refused),
    HKT_TEST(a_make_function_may_build_others),
    HKT_TEST(there_may_be_any_number_of_locals),
    HKT_TEST(a_thread_drops_its_objects_the_youngest_first),
    HKT_TEST(what_a_drop_builds_is_dropped_in_the_next_round),
    HKT_TEST(destructors_of_others_may_use_locals),
    HKT_TEST(a_local_without_functions_only_holds),
    HKT_TEST(each_object_is_dropped_once_when_threads_end_meanwhile),
    HKT_TEST(everything_survives_without_memory),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "local", .pSetUpFunc = set_up, .pTests = tests},
                                CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
