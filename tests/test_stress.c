/* SPDX-License-Identifier: MIT */
/*
 * Many short rounds of submits, cancels and shutdowns at once, with exact
 * accounts: every accepted future ends exactly once, everything that was handed
 * over is dropped exactly once, and the counters agree.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

/* A small generator, so that a round can be told by its number. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static uint32_t seed_of(unsigned round, unsigned thread)
{
    return (round + 1) * 2654435761U ^ (thread + 1) * 40503U;
}

/* --- One account for each submit --- */

enum { PRODUCERS = 3, PER_PRODUCER = 24, PAYLOAD = 4711 };

enum kind { QUICK, FAILS, GIVES_UP, SLEEPS, KINDS };

/* What the library was given, and what it did with it. */
struct account {
    enum kind kind;
    int payload; /* Plain on purpose: written by the submitter, read by the task. */
    int result;  /* Plain on purpose: written by the task, read by who saw it end. */
    atomic_uint runs;
    atomic_uint drops;
    atomic_uint callbacks;
    bool accepted;
    hk_future *future;
};

HK_TASK(works_on_its_account)
{
    struct account *account = (struct account *)(uintptr_t)in;

    HKT_EQ_INT(account->payload, PAYLOAD);
    account->result = PAYLOAD + 1;
    HKT_EQ_INT(atomic_fetch_add(&account->runs, 1), 0);
    switch (account->kind) {
    case FAILS:
        return hk_fail(call, 1, "as it should");
    case GIVES_UP:
        return HK_ECANCELED;
    case SLEEPS:
        return hk_sleep(call, HK_US(50));
    default:
        return HK_OK;
    }
}

static void drop_account(void *arg)
{
    struct account *account = arg;

    atomic_fetch_add(&account->drops, 1);
}

static void count_callback(hk_future *future, void *arg)
{
    struct account *account = arg;

    HKT_TRUE(hk_future_has_ended(future));
    if (hk_future_state(future) == HK_DONE) {
        HKT_EQ_INT(account->result, PAYLOAD + 1);
    }
    atomic_fetch_add(&account->callbacks, 1);
}

struct round {
    hk_executor *executor;
    struct hkt_barrier start;
    struct account accounts[PRODUCERS][PER_PRODUCER];
    _Atomic(hk_future *) visible[PRODUCERS][PER_PRODUCER]; /* For the canceller. */
    unsigned number;
};

struct producer {
    struct round *round;
    unsigned index;
};

static void submit_account(struct round *round, struct account *account,
                           const hk_submit_options *options)
{
    hk_status status;

    account->payload = PAYLOAD;
    status = hk_submit_ref(round->executor, works_on_its_account, account, drop_account, options,
                           &account->future);
    account->accepted = status == HK_OK;
    if (!account->accepted) {
        HKT_TRUE(status == HK_ECLOSED || status == HK_EFULL || status == HK_ETIMEDOUT);
        HKT_EQ_PTR(account->future, NULL);
        return;
    }
    HKT_OK(hk_future_on_done(account->future, NULL, count_callback, account, NULL));
}

static void *produce(void *arg)
{
    struct producer *producer = arg;
    struct round *round = producer->round;
    uint32_t random = seed_of(round->number, producer->index);

    hkt_barrier_wait(&round->start);
    for (int i = 0; i < PER_PRODUCER; i++) {
        struct account *account = &round->accounts[producer->index][i];
        hk_submit_options options = {.queue_wait = HK_MS(1),
                                     .priority = (hk_priority)(next_random(&random) % 3) - 1};

        account->kind = next_random(&random) % KINDS;
        submit_account(round, account, &options);
        if (account->accepted) {
            atomic_store(&round->visible[producer->index][i], hk_future_ref(account->future));
        }
    }
    return NULL;
}

/* Cancels what it finds, here and there. */
static void *cancel_some(void *arg)
{
    struct round *round = arg;
    uint32_t random = seed_of(round->number, PRODUCERS);

    hkt_barrier_wait(&round->start);
    for (int i = 0; i < 2 * PRODUCERS * PER_PRODUCER; i++) {
        uint32_t at = next_random(&random) % (PRODUCERS * PER_PRODUCER);
        hk_future *future = atomic_load(&round->visible[at / PER_PRODUCER][at % PER_PRODUCER]);

        if (future != NULL) {
            hk_status status =
                hk_future_cancel(future, (hk_cancel_level)(next_random(&random) % 3));

            HKT_TRUE(status == HK_OK || status == HK_ESTATE);
        }
    }
    return NULL;
}

static void *end_it(void *arg)
{
    struct round *round = arg;
    uint32_t random = seed_of(round->number, PRODUCERS + 1);

    hkt_barrier_wait(&round->start);
    for (uint32_t i = next_random(&random) % 4; i > 0; i--) {
        hk_executor_statistics statistics = hkt_stats(round->executor);

        HKT_TRUE(statistics.running <= 64);
    }
    HKT_OK(hk_executor_shutdown(round->executor, (hk_shutdown_how)(next_random(&random) % 3), 0));
    return NULL;
}

/* The books of one account; how it ended is counted. */
static void audit(struct account *account, unsigned ended[5])
{
    hk_state state;

    if (!account->accepted) {
        HKT_EQ_INT(atomic_load(&account->drops), 0);
        HKT_EQ_INT(atomic_load(&account->runs), 0);
        return;
    }
    HKT_OK(hk_future_wait(account->future, HK_FOREVER));
    state = hk_future_state(account->future);
    ended[state]++;
    HKT_EQ_INT(atomic_load(&account->drops), 1);
    HKT_EQ_INT(atomic_load(&account->callbacks), 1);
    HKT_TRUE(atomic_load(&account->runs) <= 1);
    if (state == HK_DONE || state == HK_FAILED) {
        HKT_EQ_INT(atomic_load(&account->runs), 1);
        HKT_EQ_INT(account->result, PAYLOAD + 1);
    }
    if (state == HK_FAILED) {
        HKT_STATUS(hk_future_result(account->future, 0, NULL, NULL), HK_EFAILED);
    }
    hk_future_unref(account->future);
}

static void close_the_books(struct round *round)
{
    hk_executor_statistics statistics;
    unsigned ended[5] = {0};
    unsigned accepted = 0;

    for (int i = 0; i < PRODUCERS; i++) {
        for (int j = 0; j < PER_PRODUCER; j++) {
            accepted += round->accounts[i][j].accepted;
            hk_future_unref(atomic_load(&round->visible[i][j]));
            audit(&round->accounts[i][j], ended);
        }
    }
    statistics = hkt_stats(round->executor);
    HKT_EQ_INT(statistics.submitted, accepted);
    HKT_EQ_INT(statistics.refused, PRODUCERS * PER_PRODUCER - accepted);
    HKT_EQ_INT(statistics.done, ended[HK_DONE]);
    HKT_EQ_INT(statistics.failed, ended[HK_FAILED]);
    HKT_EQ_INT(statistics.cancelled, ended[HK_CANCELLED]);
    HKT_EQ_INT(statistics.done + statistics.failed + statistics.cancelled, statistics.submitted);
    HKT_EQ_INT(statistics.queued, 0);
    HKT_EQ_INT(statistics.running, 0);
    HKT_EQ_INT(statistics.straggling, 0);
    HKT_EQ_INT(statistics.workers, 0);
}

/* All at once: producers, a canceller and somebody who shuts it down. */
static void run_round(struct round *round, const char *spec)
{
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS + 2];

    HKT_OK_FATAL(hk_executor_open(spec, &round->executor));
    hkt_barrier_init(&round->start, PRODUCERS + 2, "the round begins");
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){round, i};
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    HKT_EQ_INT_FATAL(pthread_create(&threads[PRODUCERS], NULL, cancel_some, round), 0);
    HKT_EQ_INT_FATAL(pthread_create(&threads[PRODUCERS + 1], NULL, end_it, round), 0);
    for (int i = 0; i < PRODUCERS + 2; i++) {
        pthread_join(threads[i], NULL);
    }
    HKT_OK(hk_executor_shutdown(round->executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    close_the_books(round);
    HKT_OK(hk_executor_destroy(round->executor));
    hkt_barrier_fini(&round->start);
}

static void submits_cancels_and_shutdowns_race(void)
{
    static const char *const specs[] = {
        "threads:2",
        "threads:1?queue_capacity=3",
        "threads:3?queue_capacity=4&when_full=fail",
        "threads:2?queue_capacity=2&when_full=caller_runs",
        "threads:2?tasks_per_worker=2&idle_exit=20us",
        "serial:threads:2",
        "inline",
    };
    enum { SPECS = sizeof(specs) / sizeof(specs[0]) };
    static struct round round;

    for (unsigned i = 0; i < SPECS * 40 / hkt_slowness(); i++) {
        unsigned failures = CU_get_number_of_failure_records() + hkt_fail_count();

        memset(&round, 0, sizeof(round));
        round.number = i;
        run_round(&round, specs[i % SPECS]);
        if (CU_get_number_of_failure_records() + hkt_fail_count() > failures) {
            printf("\n    round %u on %s\n", i, specs[i % SPECS]);
            return;
        }
    }
}

/* --- Deadlines against ends --- */

enum { LIMITED = 40 };

/* Takes about as long as it may. */
HK_TASK(runs_close_to_its_limit)
{
    struct account *account = (struct account *)(uintptr_t)in;
    hk_duration left = hk_call_time_left(call);

    if (hk_sleep(call, left > HK_US(20) ? left - HK_US(20) : 0) == HK_EINVAL) {
        return hk_fail(call, 1, "no sleep");
    }
    account->result = PAYLOAD + 1;
    atomic_fetch_add(&account->runs, 1);
    return hk_return_ref(call, account, drop_account);
}

static void limits_and_ends_race(void)
{
    for (unsigned i = 0; i < 30 / hkt_slowness() + 1; i++) {
        hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
        struct account accounts[LIMITED];
        hk_executor_statistics statistics;
        hk_submit_options options = {.timeout = HK_US(200)};
        unsigned done = 0;

        memset(accounts, 0, sizeof(accounts));
        for (int j = 0; j < LIMITED; j++) {
            HKT_OK_FATAL(hk_submit_ref(pool, runs_close_to_its_limit, &accounts[j], drop_account,
                                       &options, &accounts[j].future));
        }
        HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
        for (int j = 0; j < LIMITED; j++) {
            hk_status status = hk_future_result(accounts[j].future, 0, NULL, NULL);

            HKT_TRUE(status == HK_OK || status == HK_EDEADLINE || status == HK_ECANCELED);
            done += status == HK_OK;
            hk_future_unref(accounts[j].future);
            /* As input and, in time or late, as value. */
            HKT_EQ_INT(atomic_load(&accounts[j].drops), 2);
            HKT_EQ_INT(atomic_load(&accounts[j].runs), 1);
        }
        statistics = hkt_stats(pool);
        HKT_EQ_INT(statistics.done, done);
        HKT_EQ_INT(statistics.done + statistics.failed + statistics.cancelled, LIMITED);
        HKT_EQ_INT(statistics.straggling, 0);
        HKT_OK(hk_executor_destroy(pool));
    }
}

/* --- Claims against cancels --- */

enum { CHILDREN = 8 };

/* Children that their parent waits for while somebody cancels them. */
struct family {
    struct account accounts[CHILDREN];
    _Atomic(hk_future *) visible[CHILDREN];
    struct hkt_gate submitted;
};

HK_TASK(waits_for_children)
{
    struct family *family = (struct family *)(uintptr_t)in;
    struct round here = {.executor = hk_call_executor(call)};

    for (int i = 0; i < CHILDREN; i++) {
        submit_account(&here, &family->accounts[i], NULL);
        atomic_store(&family->visible[i], family->accounts[i].future);
    }
    hkt_gate_open(&family->submitted);
    for (int i = 0; i < CHILDREN; i++) {
        HKT_OK(hk_future_wait(family->accounts[i].future, HK_FOREVER));
    }
    return HK_OK;
}

static void claims_and_cancels_race(void)
{
    for (unsigned i = 0; i < 300 / hkt_slowness(); i++) {
        hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1 + i % 3});
        unsigned ended[5] = {0};
        struct family family;
        hk_future *parent;

        memset(&family, 0, sizeof(family));
        hkt_gate_init(&family.submitted, "the children are submitted");
        parent = hkt_submit_ref(pool, waits_for_children, &family);
        hkt_gate_wait(&family.submitted);
        for (int j = CHILDREN - 1; j >= 0; j--) {
            (void)hk_future_cancel(atomic_load(&family.visible[j]), HK_CANCEL_REQUEST);
        }
        hkt_expect_end(parent, HK_OK);
        HKT_OK(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER));
        for (int j = 0; j < CHILDREN; j++) {
            audit(&family.accounts[j], ended);
        }
        HKT_EQ_INT(ended[HK_DONE] + ended[HK_CANCELLED], CHILDREN);
        HKT_OK(hk_executor_destroy(pool));
        hkt_gate_fini(&family.submitted);
    }
}

/* --- An executor that is replaced under its users --- */

struct shared {
    pthread_rwlock_t lock; /* Readers use the executor, the writer replaces it. */
    hk_executor *executor;
    atomic_bool over;
};

static void *use_shared(void *arg)
{
    struct shared *shared = arg;
    int value = 9;

    while (!atomic_load(&shared->over)) {
        hk_future *future = NULL;

        pthread_rwlock_rdlock(&shared->lock);
        HKT_OK(hk_submit(shared->executor, hkt_square, &value, sizeof(value), NULL, &future));
        pthread_rwlock_unlock(&shared->lock);
        HKT_EQ_INT(hkt_take_int(future), 81);
    }
    return NULL;
}

static void an_executor_may_be_replaced_while_it_is_used(void)
{
    struct shared shared = {.lock = PTHREAD_RWLOCK_INITIALIZER};
    pthread_t threads[2];

    shared.executor = hkt_pool_create((hk_executor_options){.workers = 2});
    for (int i = 0; i < 2; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, use_shared, &shared), 0);
    }
    for (unsigned i = 0; i < 100 / hkt_slowness(); i++) {
        hk_executor *fresh = hkt_pool_create((hk_executor_options){.workers = 1 + i % 3});
        hk_executor *old;

        pthread_rwlock_wrlock(&shared.lock);
        old = shared.executor;
        shared.executor = fresh;
        pthread_rwlock_unlock(&shared.lock);
        HKT_OK(hk_executor_destroy(old)); /* Its last tasks still end. */
    }
    atomic_store(&shared.over, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    HKT_OK(hk_executor_destroy(shared.executor));
    pthread_rwlock_destroy(&shared.lock);
}

/* --- Resizes against work --- */

static void *resize_again_and_again(void *arg)
{
    struct shared *shared = arg;
    uint32_t random = 1;

    while (!atomic_load(&shared->over)) {
        HKT_OK(hk_executor_resize(shared->executor, 1 + next_random(&random) % 5));
    }
    return NULL;
}

static void resizes_lose_no_task(void)
{
    struct shared shared = {.executor = hkt_pool_create((hk_executor_options){
                                .workers = 2, .idle_exit = HK_US(30), .tasks_per_worker = 7})};
    pthread_t thread;

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, resize_again_and_again, &shared), 0);
    for (unsigned i = 0; i < 3000 / hkt_slowness(); i++) {
        hk_future *futures[4];

        for (int j = 0; j < 4; j++) {
            futures[j] = hkt_submit_int(shared.executor, hkt_square, j);
        }
        for (int j = 0; j < 4; j++) {
            HKT_EQ_INT(hkt_take_int(futures[j]), j * j);
        }
    }
    atomic_store(&shared.over, true);
    pthread_join(thread, NULL);
    HKT_OK(hk_executor_destroy(shared.executor));
}

/* --- Work conservation --- */

/* As many tasks as workers, each of which needs all the others: one worker that
 * sleeps though there is work, and this hangs. */
static void as_many_tasks_run_as_there_are_workers(void)
{
    enum { WORKERS = 4 };
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = WORKERS});

    for (unsigned i = 0; i < 2000 / hkt_slowness(); i++) {
        struct hkt_plug plug;

        hkt_plug_insert(&plug, pool, 1 + i % WORKERS);
        hkt_plug_pull(&plug);
    }
    HKT_OK(hk_executor_destroy(pool));
}

static CU_TestInfo tests[] = {
    HKT_CASE("submits, cancels and shutdowns race", submits_cancels_and_shutdowns_race),
    HKT_CASE("limits and ends race", limits_and_ends_race),
    HKT_CASE("claims and cancels race", claims_and_cancels_race),
    HKT_CASE("XL11 an executor may be replaced while it is used",
             an_executor_may_be_replaced_while_it_is_used),
    HKT_CASE("XL07 resizes lose no task", resizes_lose_no_task),
    HKT_CASE("as many tasks run as there are workers", as_many_tasks_run_as_there_are_workers),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "stress", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
