/* SPDX-License-Identifier: MIT */
/* Barriers: every status, one serial thread a round, and what each waiter is told when the
 * barrier breaks. */
#include <stdlib.h>
#include <string.h>

#include "tests/child_fixture.h"
#include "tests/promise_fixture.h"

/* --- Alone --- */

static void a_barrier_for_one_is_no_obstacle(void)
{
    static hk_barrier barrier = HK_BARRIER_INIT("one", 1);
    bool serial = false;

    HKT_OK(hk_barrier_wait(&barrier, 0, &serial));
    HKT_TRUE(serial);
    HKT_OK(hk_barrier_wait(&barrier, HK_FOREVER, NULL));
    HKT_EQ_INT(hk_barrier_arrived(&barrier), 0);
    HKT_TRUE(!hk_barrier_is_broken(&barrier));
}

static void wrong_arguments_are_refused(void)
{
    hk_barrier barrier;
    bool serial = true;

    HKT_STATUS(hk_barrier_init(NULL, NULL, 1), HK_EINVAL);
    HKT_STATUS(hk_barrier_init(&barrier, NULL, 0), HK_EINVAL);
    HKT_OK(hk_barrier_init(&barrier, "two", 2));
    HKT_STATUS(hk_barrier_wait(NULL, 0, NULL), HK_EINVAL);
    HKT_STATUS(hk_barrier_wait(&barrier, -2, &serial), HK_EINVAL);
    HKT_TRUE(serial); /* Not touched. */
    HKT_TRUE(!hk_barrier_is_broken(&barrier));
    HKT_STATUS(hk_barrier_abort(NULL), HK_EINVAL);
    HKT_STATUS(hk_barrier_reset(NULL), HK_EINVAL);
    HKT_TRUE(!hk_barrier_is_broken(NULL));
    HKT_EQ_INT(hk_barrier_arrived(NULL), 0);
}

static void zero_filled_memory_is_a_barrier_for_nobody(void)
{
    hk_barrier *barrier = calloc(1, sizeof(*barrier));

    HKT_TRUE_FATAL(barrier != NULL);
    HKT_STATUS(hk_barrier_wait(barrier, HK_FOREVER, NULL), HK_ESTATE);
    HKT_OK(hk_barrier_init(barrier, NULL, 1));
    HKT_OK(hk_barrier_wait(barrier, 0, NULL));
    free(barrier);
}

static void a_poll_that_is_not_the_last_breaks_it(void)
{
    hk_barrier barrier = HK_BARRIER_INIT("two", 2);

    HKT_STATUS(hk_barrier_wait(&barrier, 0, NULL), HK_ETIMEDOUT);
    HKT_TRUE(hk_barrier_is_broken(&barrier));
    HKT_STATUS(hk_barrier_wait(&barrier, 0, NULL), HK_EBROKEN);
    HKT_OK(hk_barrier_reset(&barrier));
    HKT_TRUE(!hk_barrier_is_broken(&barrier));
    HKT_STATUS(hk_barrier_wait(&barrier, HK_US(50), NULL), HK_ETIMEDOUT);
    HKT_STATUS(hk_barrier_wait(&barrier, HK_FOREVER, NULL), HK_EBROKEN);
}

/* --- Many rounds --- */

enum { MEMBERS = 4, ROUNDS = 2000 };

static hk_barrier step;
static int cells[MEMBERS]; /* Plain: each writes its own, and reads all after the barrier. */
static atomic_uint serials;

static void march(void *arg)
{
    int *cell = arg;
    int rounds = ROUNDS / (int)hkt_slowness();

    for (int round = 1; round <= rounds; round++) {
        bool serial = false;

        *cell = round;
        HKT_OK(hk_barrier_wait(&step, HK_FOREVER, &serial));
        atomic_fetch_add(&serials, serial ? 1 : 0);
        for (int i = 0; i < MEMBERS; i++) {
            if (cells[i] != round) {
                HKT_EQ_INT(cells[i], round);
            }
        }
        HKT_OK(hk_barrier_wait(&step, HK_SEC(3600), NULL));
    }
}

static void all_meet_in_every_round_and_one_is_serial(void)
{
    struct hkt_thread threads[MEMBERS];

    step = (hk_barrier)HK_BARRIER_INIT("step", MEMBERS);
    memset(cells, 0, sizeof(cells));
    atomic_store(&serials, 0);
    for (int i = 0; i < MEMBERS; i++) {
        hkt_thread_start(&threads[i], march, &cells[i]);
    }
    for (int i = 0; i < MEMBERS; i++) {
        hkt_thread_join(&threads[i]);
    }
    HKT_EQ_INT(atomic_load(&serials), ROUNDS / hkt_slowness());
}

/* --- Breaking --- */

struct member {
    struct hkt_thread thread;
    hk_duration timeout;
    hk_status status;
};

static void meet_once(void *arg)
{
    struct member *member = arg;

    member->status = hk_barrier_wait(&step, member->timeout, NULL);
}

static void begin(struct member *members, int count)
{
    for (int i = 0; i < count; i++) {
        members[i].timeout = HK_FOREVER;
        hkt_thread_start(&members[i].thread, meet_once, &members[i]);
    }
    for (int i = 0; i < count; i++) {
        hkt_thread_await_sleep(&members[i].thread);
    }
    HKT_EQ_INT(hk_barrier_arrived(&step), count);
}

static void expect_all(struct member *members, int count, hk_status expected)
{
    for (int i = 0; i < count; i++) {
        hkt_thread_join(&members[i].thread);
        HKT_STATUS(members[i].status, expected);
    }
}

static void who_runs_out_of_time_breaks_it_for_all(void)
{
    struct member members[MEMBERS];

    step = (hk_barrier)HK_BARRIER_INIT("step", MEMBERS);
    begin(members, MEMBERS - 2);
    HKT_STATUS(hk_barrier_wait(&step, HK_US(50), NULL), HK_ETIMEDOUT);
    expect_all(members, MEMBERS - 2, HK_EBROKEN);
    HKT_STATUS(hk_barrier_wait(&step, HK_FOREVER, NULL), HK_EBROKEN);
    HKT_OK(hk_barrier_reset(&step));
    begin(members, MEMBERS - 2);
    HKT_STATUS(hk_barrier_wait(&step, 0, NULL), HK_ETIMEDOUT);
    expect_all(members, MEMBERS - 2, HK_EBROKEN);
}

static void an_abort_breaks_it_for_all(void)
{
    struct member members[MEMBERS];

    step = (hk_barrier)HK_BARRIER_INIT("step", MEMBERS);
    begin(members, MEMBERS - 1);
    HKT_OK(hk_barrier_abort(&step));
    expect_all(members, MEMBERS - 1, HK_EBROKEN);
    HKT_TRUE(hk_barrier_is_broken(&step));
    HKT_OK(hk_barrier_abort(&step));
    HKT_EQ_INT(hk_barrier_arrived(&step), 0);
}

static void a_reset_sends_away_who_waits(void)
{
    struct member members[MEMBERS];

    step = (hk_barrier)HK_BARRIER_INIT("step", MEMBERS);
    begin(members, MEMBERS - 1);
    HKT_OK(hk_barrier_reset(&step));
    expect_all(members, MEMBERS - 1, HK_EBROKEN);
    HKT_TRUE(!hk_barrier_is_broken(&step));
    begin(members, MEMBERS - 1);
    HKT_OK(hk_barrier_wait(&step, 0, NULL));
    expect_all(members, MEMBERS - 1, HK_OK);
}

/* What became of a round is told to its own waiters, whatever follows at once. */
static void each_is_told_of_its_own_round(void)
{
    for (int round = 0; round < 50; round++) {
        struct member members[MEMBERS];
        bool serial = false;

        step = (hk_barrier)HK_BARRIER_INIT("step", MEMBERS);
        begin(members, MEMBERS - 1);
        if (round % 2 == 0) {
            HKT_OK(hk_barrier_wait(&step, HK_FOREVER, &serial));
            HKT_TRUE(serial);
            HKT_OK(hk_barrier_abort(&step));
        } else {
            HKT_OK(hk_barrier_abort(&step));
            HKT_OK(hk_barrier_reset(&step));
        }
        expect_all(members, MEMBERS - 1, round % 2 == 0 ? HK_OK : HK_EBROKEN);
    }
}

/* A time runs out in the moment in which the last one comes: both meet, or neither. */
enum { CLOSE_CALLS = 1000 };

static struct hkt_barrier set_off;
static hk_status patient_status;

static void wait_shortly(void *arg)
{
    int rounds = CLOSE_CALLS / (int)hkt_slowness();

    (void)arg;
    for (int i = 0; i < rounds; i++) {
        hkt_barrier_wait(&set_off);
        patient_status = hk_barrier_wait(&step, HK_US(10), NULL);
        hkt_barrier_wait(&set_off);
    }
}

static void come_at_the_last_moment(int round)
{
    /* The kernel lets a sleeper oversleep by some 50 us. */
    int64_t moment = hk_now_ns() + HK_US(20 + round % 80);
    hk_status status;

    while (hk_now_ns() < moment) {
    }
    status = hk_barrier_wait(&step, 0, NULL);
    hkt_barrier_wait(&set_off);
    if (status == HK_OK) {
        HKT_OK(patient_status);
    } else if (status == HK_EBROKEN) {
        HKT_STATUS(patient_status, HK_ETIMEDOUT);
    } else {
        /* It came first, before the patient one. */
        HKT_STATUS(status, HK_ETIMEDOUT);
        HKT_STATUS(patient_status, HK_EBROKEN);
    }
    HKT_OK(hk_barrier_reset(&step));
}

static void rounds_succeed_for_all_or_none(void)
{
    struct hkt_thread thread;
    int rounds = CLOSE_CALLS / (int)hkt_slowness();

    step = (hk_barrier)HK_BARRIER_INIT("close", 2);
    hkt_barrier_init(&set_off, 2, "both set off");
    hkt_thread_start(&thread, wait_shortly, NULL);
    for (int i = 0; i < rounds; i++) {
        hkt_barrier_wait(&set_off);
        come_at_the_last_moment(i);
    }
    hkt_thread_join(&thread);
    hkt_barrier_fini(&set_off);
}

/* --- Tasks and forks --- */

HK_TASK(meets)
{
    (void)call;
    (void)in;
    (void)in_size;
    return hk_barrier_wait(&step, HK_FOREVER, NULL);
}

static void a_pool_makes_up_for_workers_that_wait(void)
{
    hk_executor *pool =
        hkt_pool_create((hk_executor_options){.workers = 1, .spare_workers = MEMBERS});
    hk_future *futures[MEMBERS];

    step = (hk_barrier)HK_BARRIER_INIT("step", MEMBERS);
    for (int i = 0; i < MEMBERS; i++) {
        HKT_OK_FATAL(hk_submit(pool, meets, NULL, 0, NULL, &futures[i]));
    }
    for (int i = 0; i < MEMBERS; i++) {
        hkt_expect_end(futures[i], HK_OK);
    }
    HKT_OK(hk_executor_destroy(pool));
}

static void use_in_child(void *arg)
{
    hk_barrier one = HK_BARRIER_INIT("one", 1);

    (void)arg;
    HKT_CHILD_STATUS(hk_barrier_wait(&one, HK_FOREVER, NULL), HK_OK);
    HKT_CHILD_TRUE(hk_barrier_arrived(&step) == 0);
    HKT_CHILD_STATUS(hk_barrier_wait(&step, 0, NULL), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_barrier_wait(&step, 0, NULL), HK_EBROKEN);
    HKT_CHILD_STATUS(hk_barrier_reset(&step), HK_OK);
}

static void in_a_child_nobody_has_come(void)
{
    struct member members[MEMBERS];

    step = (hk_barrier)HK_BARRIER_INIT("step", MEMBERS);
    begin(members, MEMBERS - 1);
    hkt_expect_good_child(use_in_child, NULL);
    HKT_OK(hk_barrier_wait(&step, 0, NULL));
    expect_all(members, MEMBERS - 1, HK_OK);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_barrier_for_one_is_no_obstacle),
    HKT_TEST(wrong_arguments_are_refused),
    HKT_TEST(zero_filled_memory_is_a_barrier_for_nobody),
    HKT_TEST(a_poll_that_is_not_the_last_breaks_it),
    HKT_TEST(all_meet_in_every_round_and_one_is_serial),
    HKT_TEST(who_runs_out_of_time_breaks_it_for_all),
    HKT_TEST(an_abort_breaks_it_for_all),
    HKT_TEST(a_reset_sends_away_who_waits),
    HKT_TEST(each_is_told_of_its_own_round),
    HKT_TEST(rounds_succeed_for_all_or_none),
    HKT_TEST(a_pool_makes_up_for_workers_that_wait),
    HKT_TEST(in_a_child_nobody_has_come),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "barrier", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
