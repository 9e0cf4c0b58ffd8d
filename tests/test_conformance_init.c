/* SPDX-License-Identifier: MIT */
/* Worker initialisers on every executor: cases IN of docs/contract.md. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

/* What the initialisers of one executor have in common, in whatever process. */
struct crew {
    atomic_uint initialised;
    atomic_uint finalised;
    atomic_uint ran_early; /* Tasks that found no state in their worker. */
    struct hkt_gate may_finish;
    struct hkt_barrier together;
};

/* What one initialiser made, and the finalizer of the same worker takes away. */
struct member {
    struct crew *crew;
    pid_t thread;
};

enum { MEMBERS_MAX = HKT_PLUG_MAX };

static struct member members[MEMBERS_MAX];
static _Thread_local int state_of_thread;

static hk_status join_crew(hk_call *call, void *arg, void **local)
{
    struct crew *crew = arg;
    unsigned index = atomic_fetch_add(&crew->initialised, 1);

    (void)call;
    HKT_TRUE(*local == NULL);
    HKT_TRUE_FATAL(index < MEMBERS_MAX);
    members[index] = (struct member){crew, gettid()};
    state_of_thread = 1;
    *local = &members[index];
    return HK_OK;
}

static void leave_crew(void *local, void *arg)
{
    struct member *member = local;

    HKT_EQ_PTR(member->crew, arg);
    HKT_EQ_INT(member->thread, gettid());
    atomic_fetch_add(&member->crew->finalised, 1);
}

static struct crew *crew_new(void)
{
    return hkt_shared_new(sizeof(struct crew));
}

static hk_executor *crew_create(struct crew *crew)
{
    hk_executor *executor = NULL;

    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.initializer = join_crew,
                                                           .finalizer = leave_crew,
                                                           .worker_arg = crew},
                                     &executor));
    return executor;
}

/* Meets as many others as there are workers, so that each runs in one of its own. */
HK_TASK(sees_its_member)
{
    const struct member *member = hk_call_worker_local(call);
    struct crew *crew = hkt_pointer(in, in_size);

    if (member == NULL || member->crew != crew || member->thread != gettid()) {
        atomic_fetch_add(&crew->ran_early, 1);
        return hk_fail(call, 1, "no state in this worker");
    }
    hkt_barrier_wait(&crew->together);
    return HK_OK;
}

static void each_worker_is_initialised_once_for_all_its_tasks(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = crew_create(crew);
    unsigned workers = hkt_worker_count();
    hk_future *futures[HKT_PLUG_MAX];

    hkt_barrier_init(&crew->together, workers, "one task in each worker");
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < workers; i++) {
            futures[i] = hkt_submit_pointer(executor, sees_its_member, crew);
        }
        for (unsigned i = 0; i < workers; i++) {
            hkt_expect_end(futures[i], HK_OK);
        }
    }
    HKT_EQ_INT(atomic_load(&crew->initialised), workers);
    HKT_EQ_INT(atomic_load(&crew->finalised), 0);
    HKT_OK(hk_executor_destroy(executor));
    HKT_EQ_INT(atomic_load(&crew->finalised), workers);
    HKT_EQ_INT(atomic_load(&crew->ran_early), 0);
    hkt_barrier_fini(&crew->together);
}

static void no_task_runs_before_the_initialiser(void)
{
    for (int round = 0; round < 30; round++) {
        struct crew *crew = crew_new();
        hk_executor *executor = crew_create(crew);

        hkt_barrier_init(&crew->together, 1, "nobody to wait for");
        for (int i = 0; i < 8; i++) {
            HKT_OK(hkt_try_pointer(executor, sees_its_member, crew, NULL));
        }
        HKT_OK(hk_executor_destroy(executor));
        HKT_EQ_INT(atomic_load(&crew->ran_early), 0);
        HKT_TRUE(atomic_load(&crew->initialised) <= hkt_worker_count());
        HKT_EQ_INT(atomic_load(&crew->finalised), atomic_load(&crew->initialised));
        hkt_barrier_fini(&crew->together);
    }
}

HK_TASK(reads_state_of_thread)
{
    return hk_return(call, &state_of_thread, sizeof(state_of_thread));
}

static void the_state_of_a_worker_stays_in_it(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = crew_create(crew);

    state_of_thread = 0;
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, reads_state_of_thread, 0)), 1);
    /* Inline the submitting thread is the worker. */
    HKT_EQ_INT(state_of_thread, hkt_is_inline() ? 1 : 0);
    HKT_OK(hk_executor_destroy(executor));
}

static void prestart_initialises_all_workers(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = crew_create(crew);

    HKT_OK(hk_executor_prestart(executor, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&crew->initialised), hkt_worker_count());
    HKT_OK(hk_executor_prestart(executor, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&crew->initialised), hkt_worker_count());
    HKT_OK(hk_executor_destroy(executor));
    HKT_EQ_INT(atomic_load(&crew->finalised), hkt_worker_count());
}

static void without_tasks_nothing_is_initialised(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = crew_create(crew);

    HKT_OK(hk_executor_destroy(executor));
    HKT_EQ_INT(atomic_load(&crew->initialised), 0);
    HKT_EQ_INT(atomic_load(&crew->finalised), 0);
}

/* --- IN04 to IN06: failing initialisers --- */

static hk_status fail_behind_gate(hk_call *call, void *arg, void **local)
{
    struct crew *crew = arg;

    (void)local;
    atomic_fetch_add(&crew->initialised, 1);
    if (!hkt_is_inline()) {
        hkt_gate_wait(&crew->may_finish);
    }
    return hk_fail(call, 5, "cannot open the %s table", "route");
}

static hk_executor *failing_create(struct crew *crew)
{
    hk_executor *executor = NULL;

    hkt_gate_init(&crew->may_finish, "the initialiser may fail");
    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.initializer = fail_behind_gate,
                                                           .finalizer = leave_crew,
                                                           .worker_arg = crew},
                                     &executor));
    return executor;
}

static void failing_destroy(struct crew *crew, hk_executor *executor)
{
    HKT_OK(hk_executor_destroy(executor));
    HKT_EQ_INT(atomic_load(&crew->finalised), 0);
    hkt_gate_fini(&crew->may_finish);
}

static void a_failing_initialiser_breaks_the_executor(void)
{
    enum { TASKS = 5 };
    struct crew *crew = crew_new();
    hk_executor *executor = failing_create(crew);
    hk_future *futures[TASKS] = {NULL};
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));
    unsigned accepted = 0;

    for (int i = 0; i < TASKS; i++) {
        hk_status status =
            hkt_is_processes()
                ? hkt_try_pointer(executor, hkt_counts, runs, &futures[i])
                : hk_submit_ref(executor, hkt_counts, runs, hkt_count_drop, NULL, &futures[i]);

        /* Inline the initialiser has failed by now; else the gate keeps it open. */
        if (status == HK_OK) {
            accepted++;
        } else {
            HKT_TRUE(hkt_is_inline());
            HKT_STATUS(status, HK_EINIT);
            HKT_EQ_PTR(futures[i], NULL);
        }
    }
    HKT_TRUE(hkt_is_inline() ? accepted <= 1 : accepted == TASKS);
    hkt_gate_open(&crew->may_finish);
    for (unsigned i = 0; i < accepted; i++) {
        hkt_expect_end(futures[i], HK_EINIT);
    }
    failing_destroy(crew, executor);
    /* The counter took the drops alone: no task ran. */
    HKT_EQ_INT(atomic_load(runs), hkt_is_processes() ? 0 : accepted);
}

/* Breaks an executor; afterwards every submit is refused. */
static hk_future *break_executor(struct crew *crew, hk_executor *executor)
{
    hk_future *future = NULL;
    hk_status status;

    hkt_gate_open(&crew->may_finish);
    status = hk_submit(executor, hkt_nothing, NULL, 0, NULL, &future);
    if (status == HK_OK) {
        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EINIT);
    } else {
        HKT_TRUE(hkt_is_inline());
        HKT_STATUS(status, HK_EINIT);
    }
    return future;
}

static void a_broken_executor_refuses_every_submit(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = failing_create(crew);
    hk_future *future = break_executor(crew, executor);
    unsigned attempts;

    hk_future_unref(future);
    future = NULL;
    attempts = atomic_load(&crew->initialised);
    /* Processes try three times in a row, and others may have begun meanwhile. */
    HKT_TRUE(attempts >= (hkt_is_processes() ? 3 : 1));
    HKT_TRUE(attempts <= hkt_worker_count() + (hkt_is_processes() ? 2 : 0));
    for (int i = 0; i < 20; i++) {
        HKT_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, &future), HK_EINIT);
        HKT_EQ_PTR(future, NULL);
    }
    HKT_STATUS(hk_executor_prestart(executor, HK_FOREVER), HK_EINIT);
    /* No endless loop of new workers that fail again. */
    HKT_EQ_INT(atomic_load(&crew->initialised), attempts);
    failing_destroy(crew, executor);
}

/* Keeps the lines of the library that hold a text. */
struct log_watch {
    const char *wanted;
    atomic_uint found;
};

static void look_for_text(hk_log_level level, const char *text, void *arg)
{
    struct log_watch *watch = arg;

    (void)level;
    if (strstr(text, watch->wanted) != NULL) {
        atomic_fetch_add(&watch->found, 1);
    }
}

static void the_initialisers_own_words_are_told(void)
{
    struct log_watch watch = {.wanted = "cannot open the route table"};
    struct crew *crew = crew_new();
    hk_executor *executor = failing_create(crew);
    hk_future *future;
    bool is_told = false;

    hk_on_log(look_for_text, &watch);
    future = break_executor(crew, executor);
    if (future != NULL) {
        is_told = strstr(hk_future_why(future), watch.wanted) != NULL;
        hk_future_unref(future);
    }
    failing_destroy(crew, executor);
    hk_on_log(NULL, NULL);
    HKT_TRUE(is_told || atomic_load(&watch.found) > 0);
}

static hk_status give_up(hk_call *call, void *arg, void **local)
{
    (void)call;
    (void)arg;
    (void)local;
    return HK_ECANCELED;
}

/* A want of memory is what the library says when it has none left to say more. */
static void an_initialiser_that_gives_up_did_not_lack_memory(void)
{
    struct log_watch told = {.wanted = hk_strerror(HK_ECANCELED)};
    struct log_watch lied = {.wanted = "no memory"};
    hk_executor *executor = NULL;

    for (int round = 0; round < 2; round++) {
        HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.initializer = give_up}, &executor));
        hk_on_log(look_for_text, round == 0 ? &told : &lied);
        HKT_STATUS(hk_executor_prestart(executor, HK_FOREVER), HK_EINIT);
        HKT_OK(hk_executor_destroy(executor));
        hk_on_log(NULL, NULL);
    }
    HKT_TRUE(atomic_load(&told.found) > 0);
    HKT_EQ_INT(atomic_load(&lied.found), 0);
}

static void prestart_reports_a_failing_initialiser(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = failing_create(crew);

    hkt_gate_open(&crew->may_finish);
    HKT_STATUS(hk_executor_prestart(executor, HK_FOREVER), HK_EINIT);
    HKT_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL), HK_EINIT);
    failing_destroy(crew, executor);
}

static hk_status count_behind_gate(hk_call *call, void *arg, void **local)
{
    struct crew *crew = arg;

    (void)call;
    (void)local;
    atomic_fetch_add(&crew->initialised, 1);
    hkt_gate_wait(&crew->may_finish);
    return HK_OK;
}

static hk_executor *gated_create(struct crew *crew, hk_worker_finalizer_fn *finalizer)
{
    hk_executor *executor = NULL;

    hkt_gate_init(&crew->may_finish, "the initialisers may end");
    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.initializer = count_behind_gate,
                                                           .finalizer = finalizer,
                                                           .worker_arg = crew},
                                     &executor));
    return executor;
}

/* Inline the initialiser needs a thread that waits for it. */
static void *prestart_it(void *arg)
{
    HKT_OK(hk_executor_prestart(arg, HK_FOREVER));
    return NULL;
}

static void prestart_waits_as_long_as_it_may(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = gated_create(crew, NULL);
    pthread_t thread;

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, prestart_it, executor), 0);
    hkt_gate_await_arrivals(&crew->may_finish, 1);
    HKT_OK(hk_executor_prestart(executor, 0));
    HKT_STATUS(hk_executor_prestart(executor, HK_MS(1)), HK_ETIMEDOUT);
    hkt_gate_open(&crew->may_finish);
    pthread_join(thread, NULL);
    HKT_OK(hk_executor_prestart(executor, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&crew->initialised), hkt_worker_count());
    HKT_OK(hk_executor_destroy(executor));
    hkt_gate_fini(&crew->may_finish);
}

static void *prestart_it_amid_a_shutdown(void *arg)
{
    (void)!hk_executor_prestart(arg, HK_FOREVER);
    return NULL;
}

static void count_finalised(void *local, void *arg)
{
    struct crew *crew = arg;

    (void)local;
    atomic_fetch_add(&crew->finalised, 1);
}

static void a_shutdown_amid_a_prestart_ends_what_that_began(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = gated_create(crew, count_finalised);
    pthread_t thread;

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, prestart_it_amid_a_shutdown, executor), 0);
    hkt_gate_await_arrivals(&crew->may_finish, 1);
    HKT_STATUS(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_MS(1)), HK_ETIMEDOUT);
    hkt_gate_open(&crew->may_finish);
    pthread_join(thread, NULL);
    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_EQ_INT(atomic_load(&crew->finalised), atomic_load(&crew->initialised));
    HKT_STATUS(hk_executor_prestart(executor, HK_FOREVER), HK_ECLOSED);
    HKT_OK(hk_executor_destroy(executor));
    hkt_gate_fini(&crew->may_finish);
}

static void a_broken_executor_breaks_no_other(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = failing_create(crew);

    hk_future_unref(break_executor(crew, executor));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_executor, hkt_square, 6)), 36);
    failing_destroy(crew, executor);
}

/* --- What an initialiser may use --- */

static hk_status wait_for_stop(hk_call *call, void *arg, void **local)
{
    struct crew *crew = arg;
    hk_status status;

    (void)local;
    hkt_gate_open(&crew->may_finish);
    status = hk_sleep(call, HK_FOREVER);
    HKT_TRUE(hk_should_stop(call));
    return status;
}

static void a_shutdown_cuts_an_initialiser_short(void)
{
    struct crew *crew = crew_new();
    hk_executor *executor = NULL;
    hk_future *future = NULL;

    if (hkt_is_inline()) {
        /* Nobody is there to shut it down: the submitting thread is inside it. */
        HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER));
        return;
    }
    hkt_gate_init(&crew->may_finish, "the initialiser has begun");
    HKT_OK_FATAL(hkt_executor_create(
        (hk_executor_options){.initializer = wait_for_stop, .worker_arg = crew}, &executor));
    HKT_OK_FATAL(hk_submit(executor, hkt_nothing, NULL, 0, NULL, &future));
    hkt_gate_wait(&crew->may_finish);
    /* One in a worker process is cut short by the end of that process. */
    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER));
    HKT_TRUE(hk_future_has_ended(future));
    HKT_TRUE(hk_future_state(future) != HK_DONE);
    HKT_TRUE(hk_future_why(future)[0] != '\0');
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(executor));
    hkt_gate_fini(&crew->may_finish);
}

static CU_TestInfo tests[] = {
    HKT_CASE("IN01 each worker is initialised once for all its tasks",
             each_worker_is_initialised_once_for_all_its_tasks),
    HKT_CASE("IN02 no task runs before the initialiser", no_task_runs_before_the_initialiser),
    HKT_CASE("IN03 the state of a worker stays in it", the_state_of_a_worker_stays_in_it),
    HKT_CASE("IN04 a failing initialiser breaks the executor",
             a_failing_initialiser_breaks_the_executor),
    HKT_CASE("IN05 a broken executor refuses every submit", a_broken_executor_refuses_every_submit),
    HKT_CASE("IN06 the initialiser's own words are told", the_initialisers_own_words_are_told),
    HKT_CASE("an initialiser that gives up did not lack memory",
             an_initialiser_that_gives_up_did_not_lack_memory),
    HKT_CASE("prestart initialises all workers", prestart_initialises_all_workers),
    HKT_CASE("prestart reports a failing initialiser", prestart_reports_a_failing_initialiser),
    HKT_CASE("prestart waits as long as it may", prestart_waits_as_long_as_it_may),
    HKT_CASE("a shutdown amid a prestart ends what that began",
             a_shutdown_amid_a_prestart_ends_what_that_began),
    HKT_CASE("without tasks nothing is initialised", without_tasks_nothing_is_initialised),
    HKT_CASE("a broken executor breaks no other", a_broken_executor_breaks_no_other),
    HKT_CASE("a shutdown cuts an initialiser short", a_shutdown_cuts_an_initialiser_short),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_init",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
