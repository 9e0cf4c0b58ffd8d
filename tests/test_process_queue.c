/* SPDX-License-Identifier: MIT */
/*
 * A pool of processes whose queue is full, and its only worker too, which is given some tasks
 * ahead: what each of the policies does.
 */
#include <pthread.h>

#include "tests/process_fixture.h"

enum { CAPACITY = 3, MOST = 64, ROUNDS = 20 };

struct full {
    hk_executor *pool;
    struct hkt_stand *stand;
    hk_future *standing;
    hk_future *queued[MOST];
    int count;
};

static struct full make_empty(hk_when_full when_full)
{
    struct full full = {.pool = hkt_processes((hk_executor_options){
                            .workers = 1, .queue_capacity = CAPACITY, .when_full = when_full}),
                        .stand = hkt_stand_new()};

    full.standing = hkt_stand_submit(full.pool, full.stand);
    return full;
}

/* As many as it takes before it refuses one. */
static void fill(struct full *full)
{
    hk_status status = HK_OK;

    while (status == HK_OK && full->count < MOST) {
        int number = full->count;

        status = hk_submit(full->pool, hkt_square, &number, sizeof(number), NULL,
                           &full->queued[full->count]);
        full->count += status == HK_OK;
    }
    HKT_STATUS(status, HK_EFULL);
    HKT_TRUE(full->count >= CAPACITY);
}

static void end_full(struct full *full)
{
    hkt_expect_end(full->standing, HK_OK);
    for (int i = 0; i < full->count; i++) {
        if (full->queued[i] != NULL) {
            HKT_EQ_INT(hkt_take_int(full->queued[i]), i * i);
        }
    }
    hkt_processes_end(full->pool);
}

/* Its only worker stands still, and there is no room. */
static struct full make_full(hk_when_full when_full)
{
    struct full model = make_empty(HK_FULL_FAIL);
    struct full full = make_empty(when_full);

    fill(&model);
    while (full.count < model.count) {
        full.queued[full.count] = hkt_submit_int(full.pool, hkt_square, full.count);
        full.count++;
    }
    hkt_gate_open(&model.stand->gate);
    end_full(&model);
    return full;
}

static hk_status submit_one(const struct full *full, hk_duration queue_wait, hk_future **future)
{
    const hk_submit_options options = {.queue_wait = queue_wait};
    int number = 7;

    return hk_submit(full->pool, hkt_square, &number, sizeof(number), &options, future);
}

static uint64_t refused(const struct full *full)
{
    hk_executor_statistics statistics = {0};

    HKT_OK(hk_executor_stats(full->pool, &statistics));
    return statistics.refused;
}

static void one_that_fails_refuses_what_has_no_room(void)
{
    struct full full = make_full(HK_FULL_FAIL);
    hk_future *future = NULL;

    HKT_STATUS(submit_one(&full, 0, &future), HK_EFULL);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(refused(&full), 1);
    hkt_gate_open(&full.stand->gate);
    end_full(&full);
}

/* The caller asked for other processes, and is none of them. */
static void one_whose_caller_would_run_tasks_is_refused(void)
{
    hk_executor *pool = NULL;

    HKT_STATUS(hk_process_pool_create(
                   &(hk_executor_options){.workers = 1, .when_full = HK_FULL_CALLER_RUNS}, &pool),
               HK_EINVAL);
    HKT_EQ_PTR(pool, NULL);
}

static void one_that_drops_the_oldest_drops_that_alone(void)
{
    struct full full = make_full(HK_FULL_DROP_OLDEST);
    hk_future *future = NULL;
    unsigned dropped = 0;

    HKT_OK_FATAL(submit_one(&full, 0, &future));
    for (int i = 0; i < full.count; i++) {
        if (hk_future_has_ended(full.queued[i])) {
            dropped++;
            hkt_expect_end(full.queued[i], HK_EFULL);
            full.queued[i] = NULL;
        }
    }
    HKT_EQ_INT(dropped, 1);
    hkt_gate_open(&full.stand->gate);
    HKT_EQ_INT(hkt_take_int(future), 49);
    end_full(&full);
}

static void a_wait_for_room_runs_out(void)
{
    struct full full = make_full(HK_FULL_BLOCK);
    hk_future *future = NULL;

    HKT_STATUS(submit_one(&full, HK_MS(1), &future), HK_ETIMEDOUT);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(refused(&full), 1);
    hkt_gate_open(&full.stand->gate);
    end_full(&full);
}

struct waiting {
    const struct full *full;
    hk_future *future;
    hk_status status;
};

static void *wait_for_room(void *arg)
{
    struct waiting *waiting = arg;

    waiting->status = submit_one(waiting->full, HK_SEC(600), &waiting->future);
    return NULL;
}

static void a_wait_for_room_ends_with_room(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct full full = make_full(HK_FULL_BLOCK);
        struct waiting waiting = {.full = &full};
        pthread_t thread;

        HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, wait_for_room, &waiting), 0);
        hkt_gate_open(&full.stand->gate);
        pthread_join(thread, NULL);
        HKT_OK_FATAL(waiting.status);
        HKT_EQ_INT(hkt_take_int(waiting.future), 49);
        end_full(&full);
    }
}

static void a_wait_for_room_ends_with_the_pool(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct full full = make_full(HK_FULL_BLOCK);
        struct waiting waiting = {.full = &full};
        pthread_t thread;

        HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, wait_for_room, &waiting), 0);
        HKT_OK(hk_executor_shutdown(full.pool, HK_SHUTDOWN_DRAIN, 0));
        pthread_join(thread, NULL); /* Before or while it waits: it is refused. */
        HKT_STATUS(waiting.status, HK_ECLOSED);
        HKT_EQ_PTR(waiting.future, NULL);
        hkt_gate_open(&full.stand->gate);
        end_full(&full);
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(one_that_fails_refuses_what_has_no_room),
    HKT_TEST(one_whose_caller_would_run_tasks_is_refused),
    HKT_TEST(one_that_drops_the_oldest_drops_that_alone),
    HKT_TEST(a_wait_for_room_runs_out),
    HKT_TEST(a_wait_for_room_ends_with_room),
    HKT_TEST(a_wait_for_room_ends_with_the_pool),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process_queue", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
