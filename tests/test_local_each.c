/* SPDX-License-Identifier: MIT */
/* Per-thread objects seen from outside: visits and totals while threads come and go, forks,
 * and the end of the process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/child_fixture.h"
#include "tests/promise_fixture.h"

enum { ALIVE = 0x11FE, THREADS = 4 };

/* A tally of one thread. Others read the count while its thread changes it. */
struct tally {
    int magic;
    atomic_long count;
};

static atomic_int made;
static atomic_int dropped;

static hk_status make_tally(void *arg, void **object)
{
    struct tally *tally = malloc(sizeof(*tally));

    (void)arg;
    if (tally == NULL) {
        return HK_ENOMEM;
    }
    tally->magic = ALIVE;
    atomic_init(&tally->count, 0);
    atomic_fetch_add(&made, 1);
    *object = tally;
    return HK_OK;
}

static void drop_tally(void *object)
{
    struct tally *tally = object;

    HKT_EQ_INT(tally->magic, ALIVE);
    tally->magic = 0;
    atomic_fetch_add(&dropped, 1);
    free(tally);
}

static void add_tally(void *total, const void *object)
{
    struct tally *sum = total;
    struct tally *tally = (struct tally *)object;

    atomic_fetch_add(&sum->count, atomic_load(&tally->count));
}

static void set_up(void)
{
    atomic_store(&made, 0);
    atomic_store(&dropped, 0);
}

/* --- Threads that stay --- */

static hk_local tallies = HK_LOCAL_INIT(make_tally, drop_tally, NULL);
static struct hkt_gate may_end;
static struct hkt_barrier all_have_built;

static void build_and_stay(void *arg)
{
    struct tally *tally = hk_local_get(&tallies);

    if (HKT_TRUE(tally != NULL)) {
        atomic_store(&tally->count, *(const int *)arg);
    }
    hkt_barrier_wait(&all_have_built);
    hkt_gate_wait(&may_end);
}

static void begin_staying(struct hkt_thread *threads, int *counts)
{
    hkt_gate_init(&may_end, "threads with objects may end");
    hkt_barrier_init(&all_have_built, THREADS + 1, "all threads have built");
    for (int i = 0; i < THREADS; i++) {
        counts[i] = i + 1;
        hkt_thread_start(&threads[i], build_and_stay, &counts[i]);
    }
    hkt_barrier_wait(&all_have_built);
}

static void end_staying(struct hkt_thread *threads)
{
    hkt_gate_open(&may_end);
    for (int i = 0; i < THREADS; i++) {
        hkt_thread_join(&threads[i]);
    }
    hkt_gate_fini(&may_end);
    hkt_barrier_fini(&all_have_built);
}

struct visits {
    int count;
    long sum;
};

static void visit_tally(void *object, void *user)
{
    struct visits *visits = user;
    struct tally *tally = object;

    HKT_EQ_INT(tally->magic, ALIVE);
    visits->count++;
    visits->sum += atomic_load(&tally->count);
}

static void each_visits_every_thread_that_has_an_object(void)
{
    struct hkt_thread threads[THREADS];
    int counts[THREADS];
    struct visits visits = {0};

    HKT_OK(hk_local_each(&tallies, visit_tally, &visits));
    HKT_EQ_INT(visits.count, 0);
    begin_staying(threads, counts);
    HKT_OK(hk_local_each(&tallies, visit_tally, &visits));
    HKT_EQ_INT(visits.count, THREADS);
    HKT_EQ_INT(visits.sum, THREADS * (THREADS + 1) / 2);
    HKT_TRUE(hk_local_get(&tallies) != NULL);
    HKT_OK(hk_local_each(&tallies, visit_tally, &visits));
    HKT_EQ_INT(visits.count, 2 * THREADS + 1);
    end_staying(threads);
    visits.count = 0;
    HKT_OK(hk_local_each(&tallies, visit_tally, &visits));
    HKT_EQ_INT(visits.count, 1);
    HKT_OK(hk_local_destroy(&tallies));
    HKT_EQ_INT(dropped, made);
}

static void destroying_drops_the_objects_of_threads_that_go_on(void)
{
    struct hkt_thread threads[THREADS];
    int counts[THREADS];

    begin_staying(threads, counts);
    HKT_OK(hk_local_destroy(&tallies));
    HKT_EQ_INT(dropped, THREADS);
    end_staying(threads);
    HKT_EQ_INT(dropped, THREADS);
}

static void wrong_arguments_are_refused(void)
{
    hk_local plain = HK_LOCAL_INIT(make_tally, drop_tally, NULL);
    hk_local *created = NULL;
    struct tally total = {.magic = ALIVE};

    HKT_STATUS(hk_local_each(NULL, visit_tally, NULL), HK_EINVAL);
    HKT_STATUS(hk_local_each(&plain, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_local_fold(NULL, &total), HK_EINVAL);
    HKT_STATUS(hk_local_fold(&plain, NULL), HK_EINVAL);
    HKT_STATUS(hk_local_fold(&plain, &total), HK_ESTATE);
    HKT_STATUS(hk_local_retire(NULL, add_tally, &total), HK_EINVAL);
    HKT_STATUS(hk_local_retire(&plain, NULL, &total), HK_EINVAL);
    HKT_STATUS(hk_local_retire(&plain, add_tally, NULL), HK_EINVAL);
    HKT_OK_FATAL(hk_local_create(make_tally, drop_tally, NULL, &created));
    HKT_OK(hk_local_retire(created, add_tally, &total));
    HKT_TRUE(hk_local_get(created) != NULL);
    HKT_STATUS(hk_local_retire(created, add_tally, &total), HK_ESTATE);
    HKT_OK(hk_local_destroy(created));
}

/* --- Visits that come back --- */

static void change_within_visit(void *object, void *user)
{
    hk_local *local = user;

    HKT_STATUS(hk_local_set(local, NULL), HK_EDEADLK);
    HKT_STATUS(hk_local_destroy(local), HK_EDEADLK);
    HKT_EQ_PTR(hk_local_get(local), object);
    HKT_OK(hk_local_each(local, visit_tally, &(struct visits){0}));
}

static void a_visit_may_look_but_not_take_away(void)
{
    HKT_TRUE(hk_local_get(&tallies) != NULL);
    HKT_OK(hk_local_each(&tallies, change_within_visit, &tallies));
    HKT_OK(hk_local_set(&tallies, NULL));
    HKT_EQ_INT(dropped, 1);
    HKT_OK(hk_local_destroy(&tallies));
}

/* A thread that ends while its object is visited waits for the visit. */
static struct hkt_gate visited;
static struct hkt_thread ending;

static void build_and_end(void *arg)
{
    (void)arg;
    HKT_TRUE(hk_local_get(&tallies) != NULL);
    hkt_gate_wait(&visited);
}

static void let_it_end(void *object, void *user)
{
    struct tally *tally = object;

    (void)user;
    hkt_gate_open(&visited);
    hkt_thread_await_sleep(&ending);
    HKT_EQ_INT(tally->magic, ALIVE);
    HKT_EQ_INT(dropped, 0);
}

static void an_object_stays_while_it_is_visited(void)
{
    hkt_gate_init(&visited, "the object is visited");
    hkt_thread_start(&ending, build_and_end, NULL);
    hkt_gate_await_arrivals(&visited, 1);
    HKT_OK(hk_local_each(&tallies, let_it_end, NULL));
    hkt_thread_join(&ending);
    HKT_EQ_INT(dropped, 1);
    hkt_gate_fini(&visited);
    HKT_OK(hk_local_destroy(&tallies));
}

/* --- Totals while threads come and go --- */

static struct tally retired = {.magic = ALIVE};
static hk_local counted = HK_LOCAL_FOLD_INIT(make_tally, drop_tally, NULL, add_tally, &retired);

enum { GENERATIONS = 60, PER_THREAD = 500 };

static atomic_int breeders;
static atomic_long promised; /* What is counted for certain by now. */

static void count_a_little(void *arg)
{
    int count = PER_THREAD / (int)hkt_slowness();

    (void)arg;
    for (int i = 0; i < count; i++) {
        struct tally *tally = hk_local_get(&counted);

        atomic_fetch_add(&tally->count, 1);
        atomic_fetch_add(&promised, 1);
        if (i % 100 == 50) {
            HKT_OK(hk_local_set(&counted, NULL)); /* Retired as at the end of a thread. */
        }
    }
}

static void breed(void *arg)
{
    (void)arg;
    for (int i = 0; i < GENERATIONS / (int)hkt_slowness(); i++) {
        struct hkt_thread threads[2];

        for (int j = 0; j < 2; j++) {
            hkt_thread_start(&threads[j], count_a_little, NULL);
        }
        for (int j = 0; j < 2; j++) {
            hkt_thread_join(&threads[j]);
        }
    }
    atomic_fetch_sub(&breeders, 1);
}

static long total_now(void)
{
    struct tally total = {.magic = ALIVE};

    HKT_OK(hk_local_fold(&counted, &total));
    return atomic_load(&total.count);
}

static void totals_never_drop_and_are_exact_in_the_end(void)
{
    struct hkt_thread threads[2];
    struct visits visits = {0};
    long highest = 0;

    atomic_store(&promised, 0);
    atomic_store(&retired.count, 0);
    atomic_store(&breeders, 2);
    for (int i = 0; i < 2; i++) {
        hkt_thread_start(&threads[i], breed, NULL);
    }
    while (atomic_load(&breeders) != 0) {
        long least = atomic_load(&promised);
        long total = total_now();

        if (total < least || total < highest) {
            HKT_EQ_INT(total, least);
            HKT_EQ_INT(total, highest);
        }
        highest = total;
        HKT_OK(hk_local_each(&counted, visit_tally, &visits));
    }
    for (int i = 0; i < 2; i++) {
        hkt_thread_join(&threads[i]);
    }
    HKT_EQ_INT(total_now(), promised);
    HKT_EQ_INT(dropped, made);
    HKT_OK(hk_local_destroy(&counted));
    HKT_EQ_INT(retired.count, promised);
}

static hk_status folded_again;

static void fold_again(void *total, const void *object)
{
    struct tally other = {.magic = ALIVE};

    folded_again = hk_local_fold(&counted, &other);
    add_tally(total, object);
}

static void a_fold_that_comes_back_is_refused(void)
{
    atomic_store(&retired.count, 0);
    counted.fold_ = fold_again;
    HKT_TRUE(hk_local_get(&counted) != NULL);
    HKT_EQ_INT(total_now(), 0);
    HKT_STATUS(folded_again, HK_EDEADLK);
    counted.fold_ = add_tally;
    HKT_OK(hk_local_destroy(&counted));
}

/* --- Forks --- */

/* Not stdio: it is flushed by then, or about to be. */
static void say(const char *text)
{
    ssize_t ignored = write(STDOUT_FILENO, text, strlen(text));

    (void)ignored;
}

static hk_status make_nothing(void *arg, void **object)
{
    *object = arg;
    return HK_OK;
}

static void say_dropped(void *object)
{
    say((const char *)object);
    say(" dropped\n");
}

static char whose[] = "the caller's";
static hk_local spoken = HK_LOCAL_INIT(make_nothing, say_dropped, whose);

static void at_exit(void)
{
    say("exit handlers\n");
}

static void build_and_exit(void *arg)
{
    (void)arg;
    HKT_CHILD_TRUE(atexit(at_exit) == 0);
    HKT_CHILD_TRUE(hk_local_get(&spoken) == whose);
}

static void the_end_of_the_process_drops_the_callers_objects(void)
{
    hkt_expect_child_output(build_and_exit, NULL, "exit handlers\nthe caller's dropped\n");
}

static void drop_and_exit(void *object)
{
    say_dropped(object);
    exit(EXIT_SUCCESS);
}

static char last_word[] = "the youngest";
static hk_local leaving = HK_LOCAL_INIT(make_nothing, drop_and_exit, last_word);

static void build_both(void *arg)
{
    (void)arg;
    HKT_CHILD_TRUE(hk_local_get(&spoken) == whose && hk_local_get(&leaving) == last_word);
}

static void end_thread_that_exits(void *arg)
{
    struct hkt_thread thread;

    hkt_thread_start(&thread, build_both, arg);
    hkt_thread_join(&thread);
}

static void a_drop_may_end_the_process_amid_the_end_of_a_thread(void)
{
    hkt_expect_child_output(end_thread_that_exits, NULL,
                            "the youngest dropped\nthe caller's dropped\n");
}

static void look_in_child(void *own)
{
    struct visits visits = {0};

    HKT_CHILD_TRUE(hk_local_peek(&tallies) == own);
    HKT_CHILD_TRUE(hk_local_get(&tallies) != NULL);
    HKT_CHILD_STATUS(hk_local_each(&tallies, visit_tally, &visits), HK_OK);
    HKT_CHILD_TRUE(visits.count == 1);
    HKT_CHILD_TRUE(dropped == 0);
    HKT_CHILD_STATUS(hk_local_destroy(&tallies), HK_OK);
    HKT_CHILD_TRUE(dropped == 1);
}

static void a_child_keeps_its_own_objects_and_forgets_the_others(void)
{
    struct hkt_thread threads[THREADS];
    int counts[THREADS];
    struct visits visits = {0};

    begin_staying(threads, counts);
    hkt_expect_good_child(look_in_child, NULL);
    hkt_expect_good_child(look_in_child, hk_local_get(&tallies));
    HKT_OK(hk_local_each(&tallies, visit_tally, &visits));
    HKT_EQ_INT(visits.count, THREADS + 1);
    end_staying(threads);
    HKT_OK(hk_local_destroy(&tallies));
    HKT_EQ_INT(dropped, made);
}

/* Threads that end and fold in the moment of the fork: nothing of it is waited for. */
static atomic_bool enough;

static void come_and_go(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        struct tally *tally = hk_local_get(&counted);

        atomic_fetch_add(&tally->count, 1);
        HKT_OK(hk_local_set(&counted, NULL));
        (void)total_now();
    }
}

static void use_all_in_child(void *arg)
{
    (void)arg;
    HKT_CHILD_TRUE(hk_local_get(&counted) != NULL);
    HKT_CHILD_TRUE(total_now() >= 0);
    HKT_CHILD_STATUS(hk_local_set(&counted, NULL), HK_OK);
    HKT_CHILD_STATUS(hk_local_destroy(&counted), HK_OK);
}

static void a_fork_amid_folds_leaves_a_child_that_works(void)
{
    struct hkt_thread threads[2];

    if (!HKT_ALLOCATOR_SURVIVES_FORK) {
        return;
    }
    atomic_store(&enough, false);
    atomic_store(&retired.count, 0);
    for (int i = 0; i < 2; i++) {
        hkt_thread_start(&threads[i], come_and_go, NULL);
    }
    for (int i = 0; i < 2 + 18 / (int)hkt_slowness(); i++) {
        hkt_expect_good_child(use_all_in_child, NULL);
    }
    atomic_store(&enough, true);
    for (int i = 0; i < 2; i++) {
        hkt_thread_join(&threads[i]);
    }
    HKT_EQ_INT(dropped, made);
    HKT_OK(hk_local_destroy(&counted));
}

/* A fork out of a visit: in the child the visit returns, and the walk ends. */
static pid_t children[THREADS + 1];
static int forks;

static void fork_within_visit(void *object, void *user)
{
    bool *in_child = user;

    (void)object;
    if (!*in_child) {
        fflush(NULL);
        children[forks] = fork();
        *in_child = children[forks] == 0;
        forks++;
    } else {
        HKT_CHILD_TRUE(false); /* Nobody else is visited in the child. */
    }
}

static _Noreturn void go_on_in_child(void)
{
    struct visits visits = {0};

    HKT_CHILD_STATUS(hk_local_each(&tallies, visit_tally, &visits), HK_OK);
    HKT_CHILD_TRUE(visits.count == 1);
    HKT_CHILD_STATUS(hk_local_destroy(&tallies), HK_OK);
    _exit(EXIT_SUCCESS);
}

static void a_visit_may_fork(void)
{
    struct hkt_thread threads[THREADS];
    int counts[THREADS];
    bool in_child = false;

    forks = 0;
    begin_staying(threads, counts);
    HKT_TRUE(hk_local_get(&tallies) != NULL);
    HKT_OK(hk_local_each(&tallies, fork_within_visit, &in_child));
    if (in_child) {
        go_on_in_child();
    }
    HKT_EQ_INT(forks, THREADS + 1);
    for (int i = 0; i < forks; i++) {
        int status = -1;

        HKT_EQ_INT(waitpid(children[i], &status, 0), children[i]);
        HKT_EQ_INT(status, 0);
    }
    end_staying(threads);
    HKT_OK(hk_local_destroy(&tallies));
}

static CU_TestInfo tests[] = {
    HKT_TEST(each_visits_every_thread_that_has_an_object),
    HKT_TEST(destroying_drops_the_objects_of_threads_that_go_on),
    HKT_TEST(wrong_arguments_are_refused),
    HKT_TEST(a_visit_may_look_but_not_take_away),
    HKT_TEST(an_object_stays_while_it_is_visited),
    HKT_TEST(totals_never_drop_and_are_exact_in_the_end),
    HKT_TEST(a_fold_that_comes_back_is_refused),
    HKT_TEST(the_end_of_the_process_drops_the_callers_objects),
    HKT_TEST(a_drop_may_end_the_process_amid_the_end_of_a_thread),
    HKT_TEST(a_child_keeps_its_own_objects_and_forgets_the_others),
    HKT_TEST(a_fork_amid_folds_leaves_a_child_that_works),
    HKT_TEST(a_visit_may_fork),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "local_each", .pSetUpFunc = set_up, .pTests = tests},
                                CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
