/* SPDX-License-Identifier: MIT */
/* Events: every status, what a set announces, and resets that come at once. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tests/child_fixture.h"
#include "tests/race_fixture.h"

static void an_event_is_set_until_it_is_reset(void)
{
    static hk_event event = HK_EVENT_INIT("statuses");

    HKT_TRUE(!hk_event_is_set(&event));
    HKT_STATUS(hk_event_wait(&event, 0), HK_ETIMEDOUT);
    HKT_STATUS(hk_event_wait(&event, HK_US(50)), HK_ETIMEDOUT);
    HKT_OK(hk_event_set(&event));
    HKT_OK(hk_event_set(&event));
    HKT_TRUE(hk_event_is_set(&event));
    HKT_OK(hk_event_wait(&event, 0));
    HKT_OK(hk_event_wait(&event, HK_FOREVER));
    HKT_OK(hk_event_reset(&event));
    HKT_OK(hk_event_reset(&event));
    HKT_TRUE(!hk_event_is_set(&event));
    HKT_STATUS(hk_event_wait(&event, 0), HK_ETIMEDOUT);
}

static void wrong_arguments_are_refused(void)
{
    hk_event event = HK_EVENT_INIT(NULL);

    HKT_STATUS(hk_event_set(NULL), HK_EINVAL);
    HKT_STATUS(hk_event_reset(NULL), HK_EINVAL);
    HKT_STATUS(hk_event_wait(NULL, 0), HK_EINVAL);
    HKT_TRUE(!hk_event_is_set(NULL));
    HKT_OK(hk_event_set(&event));
    HKT_STATUS(hk_event_wait(&event, -2), HK_EINVAL);
}

static void zero_filled_memory_is_an_event(void)
{
    hk_event *event = calloc(1, sizeof(*event));

    HKT_TRUE_FATAL(event != NULL);
    HKT_STATUS(hk_event_wait(event, 0), HK_ETIMEDOUT);
    HKT_OK(hk_event_set(event));
    HKT_OK(hk_event_wait(event, 0));
    free(event);
}

/* --- Threads --- */

enum { WAITERS = 4 };

static hk_event start;
static atomic_uint through;

static void wait_for_start(void *arg)
{
    HKT_OK(hk_event_wait(&start, *(const hk_duration *)arg));
    atomic_fetch_add(&through, 1);
}

static void start_waiters(struct hkt_thread *threads, hk_duration *timeout)
{
    start = (hk_event)HK_EVENT_INIT("start");
    atomic_store(&through, 0);
    for (int i = 0; i < WAITERS; i++) {
        hkt_thread_start(&threads[i], wait_for_start, timeout);
    }
    for (int i = 0; i < WAITERS; i++) {
        hkt_thread_await_sleep(&threads[i]);
    }
}

static void a_set_lets_all_through_even_if_a_reset_follows(void)
{
    static hk_duration timeouts[] = {HK_FOREVER, HK_SEC(3600)};
    struct hkt_thread threads[WAITERS];

    for (int round = 0; round < 20; round++) {
        start_waiters(threads, &timeouts[round % 2]);
        HKT_EQ_INT(atomic_load(&through), 0);
        HKT_OK(hk_event_set(&start));
        HKT_OK(hk_event_reset(&start));
        for (int i = 0; i < WAITERS; i++) {
            hkt_thread_join(&threads[i]);
        }
        HKT_EQ_INT(atomic_load(&through), WAITERS);
        HKT_TRUE(!hk_event_is_set(&start));
    }
}

/* --- Races --- */

static hk_event events[HKT_ROUNDS];
static unsigned used;

static void open_event(struct hkt_round *round)
{
    round->object = &events[used++];
    *(hk_event *)round->object = (hk_event)HK_EVENT_INIT("race");
}

static void write_and_set(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    round->status[who] = hk_event_set(round->object);
}

static void wait_and_read(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_event_wait(round->object, HK_FOREVER);
    round->payload[who] = round->payload[0];
}

static void poll_and_read(struct hkt_round *round, unsigned who)
{
    while ((round->status[who] = hk_event_wait(round->object, 0)) == HK_ETIMEDOUT) {
        sched_yield();
    }
    round->payload[who] = round->payload[0];
}

/* Only looks: nothing else brings it what was written. */
static void look_and_read(struct hkt_round *round, unsigned who)
{
    while (!hk_event_is_set(round->object)) {
        sched_yield();
    }
    round->payload[who] = round->payload[0];
}

static void all_have_the_payload(struct hkt_round *round)
{
    for (int i = 0; i < 4; i++) {
        HKT_OK(round->status[i]);
        HKT_EQ_INT(round->payload[i], HKT_PAYLOAD);
    }
}

static void what_was_written_before_a_set_is_seen_after_a_wait(void)
{
    static const struct hkt_race race = {
        open_event,
        {write_and_set, wait_and_read, look_and_read, poll_and_read},
        all_have_the_payload};

    used = 0;
    hkt_race(&race);
}

/* Who knows from elsewhere that it was set, without an order: the reset brings what the set
 * announced. */
static void write_set_and_tell(struct hkt_round *round, unsigned who)
{
    write_and_set(round, who);
    /* relaxed: must order nothing, the event does. */
    atomic_store_explicit(&round->drops, 1, memory_order_relaxed);
}

static void reset_and_read(struct hkt_round *round, unsigned who)
{
    /* relaxed: as above. */
    while (atomic_load_explicit(&round->drops, memory_order_relaxed) == 0) {
        sched_yield();
    }
    round->status[who] = hk_event_reset(round->object);
    round->payload[who] = round->payload[0];
}

static void it_is_reset_and_has_the_payload(struct hkt_round *round)
{
    HKT_TRUE(!hk_event_is_set(round->object));
    HKT_OK(round->status[0]);
    HKT_OK(round->status[1]);
    HKT_EQ_INT(round->payload[1], HKT_PAYLOAD);
}

static void what_was_written_before_a_set_is_seen_after_a_reset(void)
{
    static const struct hkt_race race = {
        open_event, {write_set_and_tell, reset_and_read}, it_is_reset_and_has_the_payload};

    used = 0;
    hkt_race(&race);
}

/* --- A doorbell: a set, also of what is set, is never lost --- */

enum { LETTERS = 20000, SENDERS = 2 };

static hk_event bell;
static atomic_uint box;

static void send_letters(void *arg)
{
    unsigned count = LETTERS / hkt_slowness();

    (void)arg;
    for (unsigned i = 0; i < count; i++) {
        /* relaxed: the bell alone tells of it. */
        atomic_fetch_add_explicit(&box, 1, memory_order_relaxed);
        HKT_OK(hk_event_set(&bell));
    }
}

static void a_doorbell_loses_no_letter(void)
{
    struct hkt_thread senders[SENDERS];
    unsigned wanted = SENDERS * (LETTERS / hkt_slowness());
    unsigned taken = 0;

    bell = (hk_event)HK_EVENT_INIT("bell");
    atomic_store(&box, 0);
    for (int i = 0; i < SENDERS; i++) {
        hkt_thread_start(&senders[i], send_letters, NULL);
    }
    while (taken < wanted) {
        HKT_OK_FATAL(hk_event_wait(&bell, HK_FOREVER));
        HKT_OK(hk_event_reset(&bell));
        /* relaxed: the reset has seen what came before the sets. */
        taken += atomic_exchange_explicit(&box, 0, memory_order_relaxed);
    }
    HKT_EQ_INT(taken, wanted);
    for (int i = 0; i < SENDERS; i++) {
        hkt_thread_join(&senders[i]);
    }
}

/* --- Who was let through may free it --- */

static void open_heap_event(struct hkt_round *round)
{
    round->object = calloc(1, sizeof(hk_event));
    HKT_TRUE_FATAL(round->object != NULL);
}

static void wait_and_free(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_event_wait(round->object, HK_FOREVER);
    memset(round->object, 0x55, sizeof(hk_event));
    free(round->object);
}

static void set_it(struct hkt_round *round, unsigned who)
{
    round->status[who] = hk_event_set(round->object);
}

static void both_are_fine(struct hkt_round *round)
{
    HKT_OK(round->status[0]);
    HKT_OK(round->status[1]);
}

static void a_set_does_not_touch_what_the_waiter_frees(void)
{
    static const struct hkt_race race = {open_heap_event, {set_it, wait_and_free}, both_are_fine};

    hkt_race(&race);
}

/* --- Tasks and forks --- */

static hk_event gate;

HK_TASK(waits_for_gate)
{
    (void)call;
    (void)in;
    (void)in_size;
    return hk_event_wait(&gate, HK_FOREVER);
}

HK_TASK(sets_gate)
{
    (void)call;
    (void)in;
    (void)in_size;
    return hk_event_set(&gate);
}

/* The only worker sleeps at the event, so a spare one must come for who sets it. */
static void a_pool_makes_up_for_a_worker_that_waits(void)
{
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 1, .spare_workers = 1});
    hk_future *waits = NULL;
    hk_future *sets = NULL;

    gate = (hk_event)HK_EVENT_INIT("gate");
    HKT_OK_FATAL(hk_submit(pool, waits_for_gate, NULL, 0, NULL, &waits));
    HKT_OK_FATAL(hk_submit(pool, sets_gate, NULL, 0, NULL, &sets));
    hkt_expect_end(waits, HK_OK);
    hkt_expect_end(sets, HK_OK);
    HKT_OK(hk_executor_destroy(pool));
}

static void use_in_child(void *arg)
{
    (void)arg;
    HKT_CHILD_STATUS(hk_event_wait(&start, 0), HK_ETIMEDOUT);
    HKT_CHILD_STATUS(hk_event_set(&start), HK_OK);
    HKT_CHILD_STATUS(hk_event_wait(&start, HK_FOREVER), HK_OK);
}

static void a_child_has_a_copy(void)
{
    static hk_duration timeout = HK_FOREVER;
    struct hkt_thread threads[WAITERS];

    start_waiters(threads, &timeout);
    hkt_expect_good_child(use_in_child, NULL);
    HKT_EQ_INT(atomic_load(&through), 0);
    HKT_OK(hk_event_set(&start));
    for (int i = 0; i < WAITERS; i++) {
        hkt_thread_join(&threads[i]);
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(an_event_is_set_until_it_is_reset),
    HKT_TEST(wrong_arguments_are_refused),
    HKT_TEST(zero_filled_memory_is_an_event),
    HKT_TEST(a_set_lets_all_through_even_if_a_reset_follows),
    HKT_TEST(what_was_written_before_a_set_is_seen_after_a_wait),
    HKT_TEST(what_was_written_before_a_set_is_seen_after_a_reset),
    HKT_TEST(a_doorbell_loses_no_letter),
    HKT_TEST(a_set_does_not_touch_what_the_waiter_frees),
    HKT_TEST(a_pool_makes_up_for_a_worker_that_waits),
    HKT_TEST(a_child_has_a_copy),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "event", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
