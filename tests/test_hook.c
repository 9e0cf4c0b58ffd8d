/* SPDX-License-Identifier: MIT */
/* Taking callbacks back: what hk_hook_remove() promises about the callback and
 * about its argument. */
#include <stdlib.h>

#include "tests/promise_fixture.h"

/* --- Nobody runs it --- */

static void a_removed_callback_never_runs(void)
{
    static const int expected[] = {1, 3};
    struct hkt_order order = {.count = 0};
    struct hkt_seen seen[3] = {
        {.order = &order, .who = 1}, {.order = &order, .who = 2}, {.order = &order, .who = 3}};
    hk_hook *hook = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    hkt_watch(pair.future, &seen[0]);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &seen[1], &hook));
    hkt_watch(pair.future, &seen[2]);
    HKT_OK(hk_hook_remove(hook));
    hkt_pair_end(&pair, HK_DONE);
    hkt_order_expect(&order, 2, expected);
    hkt_pair_close(&pair);
}

static void removing_the_only_callback_leaves_a_sound_future(void)
{
    struct hkt_seen seen = {0};
    struct hkt_seen later = {0};
    hk_hook *hook = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &seen, &hook));
    HKT_OK(hk_hook_remove(hook));
    hkt_watch(pair.future, &later);
    hkt_pair_end(&pair, HK_CANCELLED);
    HKT_EQ_INT(seen.calls, 0);
    HKT_EQ_INT(later.calls, 1);
    hkt_pair_close(&pair);
}

static void a_callback_that_has_run_is_too_late_to_remove(void)
{
    struct hkt_seen seen = {0};
    hk_hook *hook = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &seen, &hook));
    hkt_pair_end(&pair, HK_DONE);
    HKT_STATUS(hk_hook_remove(hook), HK_ESTATE);

    /* So it is with one that ran within its own adding. */
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &seen, &hook));
    HKT_STATUS(hk_hook_remove(hook), HK_ESTATE);
    HKT_EQ_INT(seen.calls, 2);
    hkt_pair_close(&pair);
}

static void a_hook_outlives_future_and_promise(void)
{
    struct hkt_seen seen = {0};
    hk_hook *hook = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &seen, &hook));
    hkt_pair_end(&pair, HK_DONE);
    hkt_pair_close(&pair);
    HKT_STATUS(hk_hook_remove(hook), HK_ESTATE);
    HKT_EQ_INT(seen.calls, 1);
}

static void a_forgotten_hook_lets_its_callback_run(void)
{
    struct hkt_seen before = {0};
    struct hkt_seen after = {0};
    hk_hook *hook = NULL;
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &before, &hook));
    hk_hook_forget(hook);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, &after, &hook));
    hkt_pair_end(&pair, HK_DONE);
    hk_hook_forget(hook);
    HKT_EQ_INT(before.calls, 1);
    HKT_EQ_INT(after.calls, 1);
    hkt_pair_close(&pair);
}

static void no_hook_is_refused(void)
{
    HKT_STATUS(hk_hook_remove(NULL), HK_EINVAL);
    hk_hook_forget(NULL);
}

static void the_argument_may_be_freed_after_the_removal(void)
{
    hk_hook *hook = NULL;
    struct hkt_seen *seen = calloc(1, sizeof(*seen));
    struct hkt_pair pair;

    HKT_TRUE_FATAL(seen != NULL);
    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, hkt_see, seen, &hook));
    HKT_OK(hk_hook_remove(hook));
    free(seen);
    hkt_pair_end(&pair, HK_DONE);
    hkt_pair_close(&pair);
}

/* --- Another thread runs it --- */

/* A callback that stands at a gate, and whoever wants to remove it. */
struct standing {
    struct hkt_gate gate;
    struct hkt_pair pair;
    hk_hook *hook;
    struct hkt_thread runner;
    hk_status status; /* Of the removal. */
    int payload;      /* Plain: written by the callback, read by who removed it. */
    int seen_payload;
};

static void stand(hk_future *future, void *arg)
{
    struct standing *standing = arg;

    (void)future;
    hkt_gate_wait(&standing->gate);
    standing->payload = 17;
}

static void end_pair(void *arg)
{
    hkt_pair_end(arg, HK_DONE);
}

static void standing_open(struct standing *standing)
{
    hkt_gate_init(&standing->gate, "a callback that somebody removes");
    hkt_pair_open(&standing->pair);
    standing->hook = NULL;
    standing->payload = 0;
    HKT_OK(hk_future_on_done(standing->pair.future, NULL, stand, standing, &standing->hook));
    hkt_thread_start(&standing->runner, end_pair, &standing->pair);
    hkt_gate_await_arrivals(&standing->gate, 1);
}

static void standing_close(struct standing *standing)
{
    hkt_thread_join(&standing->runner);
    hkt_pair_close(&standing->pair);
    hkt_gate_fini(&standing->gate);
}

static void remove_standing(void *arg)
{
    struct standing *standing = arg;

    standing->status = hk_hook_remove(standing->hook);
    standing->seen_payload = standing->payload;
}

static void removing_a_running_callback_waits_for_its_end(void)
{
    struct standing standing;
    struct hkt_thread remover;

    standing_open(&standing);
    hkt_thread_start(&remover, remove_standing, &standing);
    hkt_thread_await_sleep(&remover);
    hkt_gate_open(&standing.gate);
    hkt_thread_join(&remover);
    HKT_STATUS(standing.status, HK_ESTATE);
    HKT_EQ_INT(standing.seen_payload, 17);
    standing_close(&standing);
}

static void remove_from_a_callback(hk_future *future, void *arg)
{
    (void)future;
    remove_standing(arg);
}

static void a_callback_too_may_wait_for_another_ones_end(void)
{
    struct standing standing;
    struct hkt_pair pair;
    struct hkt_thread remover;

    standing_open(&standing);
    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, remove_from_a_callback, &standing, NULL));
    hkt_thread_start(&remover, end_pair, &pair);
    hkt_thread_await_sleep(&remover);
    hkt_gate_open(&standing.gate);
    hkt_thread_join(&remover);
    HKT_STATUS(standing.status, HK_ESTATE);
    HKT_EQ_INT(standing.seen_payload, 17);
    standing_close(&standing);
    hkt_pair_close(&pair);
}

static void one_behind_a_running_callback_can_still_be_removed(void)
{
    struct hkt_seen early = {0};
    struct hkt_seen late = {0};
    struct standing standing = {.payload = 0};
    hk_hook *early_hook = NULL;
    hk_hook *late_hook = NULL;

    hkt_gate_init(&standing.gate, "a callback with others behind it");
    hkt_pair_open(&standing.pair);
    HKT_OK(hk_future_on_done(standing.pair.future, NULL, stand, &standing, NULL));
    HKT_OK(hk_future_on_done(standing.pair.future, NULL, hkt_see, &early, &early_hook));
    hkt_thread_start(&standing.runner, end_pair, &standing.pair);
    hkt_gate_await_arrivals(&standing.gate, 1);
    HKT_OK(hk_future_on_done(standing.pair.future, NULL, hkt_see, &late, &late_hook));
    HKT_OK(hk_hook_remove(late_hook));
    HKT_OK(hk_hook_remove(early_hook));
    hkt_gate_open(&standing.gate);
    standing_close(&standing);
    HKT_EQ_INT(early.calls, 0);
    HKT_EQ_INT(late.calls, 0);
}

/* --- The callback itself --- */

struct self_remover {
    hk_hook *hook;
    hk_status status;
};

static void remove_itself(hk_future *future, void *arg)
{
    struct self_remover *self = arg;

    (void)future;
    self->status = hk_hook_remove(self->hook);
}

static void inside_the_callback_itself_a_removal_returns_at_once(void)
{
    struct self_remover self = {.hook = NULL, .status = HK_OK};
    struct hkt_seen later = {0};
    struct hkt_pair pair;

    hkt_pair_open(&pair);
    HKT_OK(hk_future_on_done(pair.future, NULL, remove_itself, &self, &self.hook));
    hkt_watch(pair.future, &later);
    hkt_pair_end(&pair, HK_DONE);
    HKT_STATUS(self.status, HK_ESTATE);
    HKT_EQ_INT(later.calls, 1);
    hkt_pair_close(&pair);
}

static void end_the_other(hk_future *future, void *arg)
{
    (void)future;
    hkt_pair_end(arg, HK_DONE);
}

/* The outer callback stands below on this very stack: waiting would be for oneself. */
static void a_callback_within_a_callback_may_remove_the_outer_one(void)
{
    struct self_remover inner = {.hook = NULL, .status = HK_OK};
    struct hkt_pair outer_pair;
    struct hkt_pair inner_pair;

    hkt_pair_open(&outer_pair);
    hkt_pair_open(&inner_pair);
    HKT_OK(hk_future_on_done(outer_pair.future, NULL, end_the_other, &inner_pair, &inner.hook));
    HKT_OK(hk_future_on_done(inner_pair.future, NULL, remove_itself, &inner, NULL));
    hkt_pair_end(&outer_pair, HK_DONE);
    HKT_STATUS(inner.status, HK_ESTATE);
    hkt_pair_close(&inner_pair);
    hkt_pair_close(&outer_pair);
}

/* --- Each other --- */

enum { CIRCLE_MAX = 3 };

/* Callbacks that each remove the next one of a circle. */
struct remover {
    struct hkt_pair pair;
    struct hkt_thread thread;
    hk_hook **victim;
    hk_hook *hook; /* Removed by the one before. */
    struct hkt_barrier *all_run;
    hk_status status;
};

static void remove_the_next(hk_future *future, void *arg)
{
    struct remover *remover = arg;

    (void)future;
    hkt_barrier_wait(remover->all_run);
    remover->status = hk_hook_remove(*remover->victim);
}

/* Exactly one of them is refused; then all others can end. */
static void callbacks_that_remove_each_other(unsigned count)
{
    struct remover removers[CIRCLE_MAX];
    struct hkt_barrier all_run;
    unsigned refused = 0;

    hkt_barrier_init(&all_run, count, "all callbacks of a circle run");
    for (unsigned i = 0; i < count; i++) {
        struct remover *remover = &removers[i];

        remover->hook = NULL;
        remover->victim = &removers[(i + 1) % count].hook;
        remover->all_run = &all_run;
        remover->status = HK_OK;
        hkt_pair_open(&remover->pair);
        HKT_OK(hk_future_on_done(remover->pair.future, NULL, remove_the_next, remover,
                                 &remover->hook));
    }
    for (unsigned i = 0; i < count; i++) {
        hkt_thread_start(&removers[i].thread, end_pair, &removers[i].pair);
    }
    for (unsigned i = 0; i < count; i++) {
        hkt_thread_join(&removers[i].thread);
    }
    for (unsigned i = 0; i < count; i++) {
        if (removers[i].status == HK_EDEADLK) {
            refused++;
            /* Refused means: the handle is still the caller's. */
            HKT_STATUS(hk_hook_remove(*removers[i].victim), HK_ESTATE);
        } else {
            HKT_STATUS(removers[i].status, HK_ESTATE);
        }
        hkt_pair_close(&removers[i].pair);
    }
    HKT_EQ_INT(refused, 1);
    hkt_barrier_fini(&all_run);
}

static void two_callbacks_that_remove_each_other_are_told(void)
{
    for (unsigned round = 0; round < 50; round++) {
        callbacks_that_remove_each_other(2);
    }
}

static void so_are_three_in_a_circle(void)
{
    for (unsigned round = 0; round < 50; round++) {
        callbacks_that_remove_each_other(3);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("a removed callback never runs", a_removed_callback_never_runs),
    HKT_CASE("removing the only callback leaves a sound future",
             removing_the_only_callback_leaves_a_sound_future),
    HKT_CASE("a callback that has run is too late to remove",
             a_callback_that_has_run_is_too_late_to_remove),
    HKT_CASE("a hook outlives future and promise", a_hook_outlives_future_and_promise),
    HKT_CASE("a forgotten hook lets its callback run", a_forgotten_hook_lets_its_callback_run),
    HKT_CASE("no hook is refused", no_hook_is_refused),
    HKT_CASE("the argument may be freed after the removal",
             the_argument_may_be_freed_after_the_removal),
    HKT_CASE("removing a running callback waits for its end",
             removing_a_running_callback_waits_for_its_end),
    HKT_CASE("a callback too may wait for another one's end",
             a_callback_too_may_wait_for_another_ones_end),
    HKT_CASE("one behind a running callback can still be removed",
             one_behind_a_running_callback_can_still_be_removed),
    HKT_CASE("inside the callback itself a removal returns at once",
             inside_the_callback_itself_a_removal_returns_at_once),
    HKT_CASE("a callback within a callback may remove the outer one",
             a_callback_within_a_callback_may_remove_the_outer_one),
    HKT_CASE("two callbacks that remove each other: one gets HK_EDEADLK",
             two_callbacks_that_remove_each_other_are_told),
    HKT_CASE("three callbacks that remove each other in a circle: one gets HK_EDEADLK",
             so_are_three_in_a_circle),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "hook", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
