/* SPDX-License-Identifier: MIT */
/* Replay executors: one order of events for each seed, and time that jumps. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fixture.h"

static hk_executor *executor;

static void open_seed(uint64_t seed)
{
    HKT_OK_FATAL(hk_replay_create(seed, NULL, &executor));
}

static void close_executor(void)
{
    HKT_OK_FATAL(hk_executor_destroy(executor));
    executor = NULL;
}

static hk_duration now(void)
{
    hk_duration passed = -1;

    HKT_OK(hk_replay_elapsed(executor, &passed));
    return passed;
}

/* --- A program with much to choose, and what it did --- */

enum { TRACE_BYTES = 1 << 16, CHILDREN = 6 };

struct record {
    char text[TRACE_BYTES];
    size_t used;
    uint64_t steps;
};

static void keep_step(const hk_replay_step_info *step, void *arg)
{
    struct record *record = arg;
    int more = snprintf(record->text + record->used, TRACE_BYTES - record->used,
                        "%" PRIu64 " %d %s %" PRIu64 " %" PRId64 " %u\n", step->number,
                        (int)step->action, step->task, step->task_number, step->now, step->choices);

    record->used += (size_t)more < TRACE_BYTES - record->used ? (size_t)more : 0;
    record->steps = step->number;
}

static int order[CHILDREN];
static int order_count;

HK_TASK(child)
{
    int number;

    (void)in_size;
    memcpy(&number, in, sizeof(number));
    if (hk_sleep(call, HK_MS(number % 3)) != HK_OK) {
        return HK_ECANCELED;
    }
    if (order_count < CHILDREN) {
        order[order_count++] = number;
    }
    return hk_return(call, &number, sizeof(number));
}

HK_TASK(parent)
{
    hk_executor *own = hk_call_executor(call);
    hk_future *futures[CHILDREN];
    int sum = 0;

    for (int i = 0; i < CHILDREN; i++) {
        futures[i] = hkt_submit_int(own, child, i);
    }
    for (int i = 0; i < CHILDREN; i++) {
        sum += hkt_take_int(futures[i]);
    }
    return hk_return(call, &sum, sizeof(sum));
}

static void run_program(uint64_t seed, struct record *record)
{
    hk_future *future = NULL;

    memset(record, 0, sizeof(*record));
    order_count = 0;
    open_seed(seed);
    HKT_OK(hk_replay_on_step(executor, keep_step, record));
    HKT_OK_FATAL(hk_submit(executor, parent, NULL, 0, NULL, &future));
    HKT_EQ_INT(hkt_take_int(future), 15);
    HKT_EQ_INT(order_count, CHILDREN);
    close_executor();
}

static void a_seed_gives_the_same_trace_again(void)
{
    static struct record first;
    static struct record again;

    for (uint64_t seed = 0; seed < 20; seed++) {
        run_program(seed, &first);
        run_program(seed, &again);
        HKT_TRUE(first.steps > CHILDREN);
        HKT_EQ_STR(first.text, again.text);
    }
}

static void another_process_sees_the_same_trace(void)
{
    static struct record here;
    static char there[TRACE_BYTES];
    int ends[2];
    size_t got = 0;
    ssize_t more;
    int status = -1;
    pid_t pid;

    HKT_EQ_INT_FATAL(pipe(ends), 0);
    if ((pid = fork()) == 0) {
        run_program(7, &here);
        _exit(write(ends[1], here.text, here.used) == (ssize_t)here.used ? 0 : 1);
    }
    close(ends[1]);
    run_program(7, &here);
    while ((more = read(ends[0], there + got, sizeof(there) - 1 - got)) > 0) {
        got += (size_t)more;
    }
    close(ends[0]);
    HKT_EQ_INT(waitpid(pid, &status, 0), pid);
    HKT_EQ_INT(status, 0);
    HKT_EQ_STR(there, here.text);
}

static void seeds_give_different_orders(void)
{
    static struct record first;
    static struct record other;
    unsigned different = 0;
    unsigned other_starts = 0;
    int first_order[CHILDREN];

    run_program(0, &first);
    memcpy(first_order, order, sizeof(order));
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_program(seed, &other);
        different += strcmp(first.text, other.text) != 0 ? 1 : 0;
        other_starts += memcmp(first_order, order, sizeof(order)) != 0 ? 1 : 0;
    }
    HKT_TRUE(different >= 18);
    HKT_TRUE(other_starts >= 5);
}

/* --- An order bug --- */

struct shared {
    long value;
};

/* Not one step: another task may come between reading and writing. */
HK_TASK(adds_one_badly)
{
    struct shared *shared = hkt_pointer(in, in_size);
    long seen = shared->value;

    if (hk_sleep(call, 0) != HK_OK) {
        return HK_ECANCELED;
    }
    shared->value = seen + 1;
    return HK_OK;
}

static long lost_updates(uint64_t seed)
{
    struct shared shared = {0};

    open_seed(seed);
    for (int i = 0; i < 2; i++) {
        hk_future_unref(hkt_submit_ref(executor, adds_one_badly, &shared));
    }
    HKT_OK(hk_replay_run(executor, 0, NULL));
    close_executor();
    return 2 - shared.value;
}

static void some_seeds_show_an_order_bug_again_and_again(void)
{
    unsigned shown = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        long lost = lost_updates(seed);

        shown += lost != 0 ? 1 : 0;
        HKT_EQ_INT(lost_updates(seed), lost);
    }
    HKT_TRUE(shown > 0 && shown < 40);
}

struct overtaking {
    bool submitter_went_on;
    bool was_overtaken;
};

HK_TASK(looks_who_was_first)
{
    struct overtaking *overtaking = hkt_pointer(in, in_size);

    (void)call;
    overtaking->was_overtaken = !overtaking->submitter_went_on;
    return HK_OK;
}

HK_TASK(submits_and_goes_on)
{
    struct overtaking *overtaking = hkt_pointer(in, in_size);
    hk_future *future = hkt_submit_ref(hk_call_executor(call), looks_who_was_first, overtaking);

    overtaking->submitter_went_on = true;
    hkt_expect_end(future, HK_OK);
    return HK_OK;
}

static void a_task_may_overtake_its_submitter(void)
{
    unsigned overtaken = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        struct overtaking overtaking = {0};

        open_seed(seed);
        hkt_expect_end(hkt_submit_ref(executor, submits_and_goes_on, &overtaking), HK_OK);
        overtaken += overtaking.was_overtaken ? 1 : 0;
        close_executor();
    }
    HKT_TRUE(overtaken > 0 && overtaken < 40);
}

/* --- Steps --- */

static void nothing_runs_before_somebody_waits(void)
{
    atomic_uint count = 0;
    hk_future *future;
    bool stepped = false;
    uint64_t steps = 0;

    open_seed(3);
    future = hkt_submit_ref(executor, hkt_counts, &count);
    HKT_EQ_INT(atomic_load(&count), 0);
    HKT_EQ_INT(hk_future_state(future), HK_PENDING);
    HKT_OK(hk_replay_step(executor, &stepped));
    HKT_TRUE(stepped);
    HKT_EQ_INT(atomic_load(&count), 1);
    HKT_OK(hk_replay_step(executor, &stepped));
    HKT_TRUE(!stepped);
    HKT_OK(hk_replay_run(executor, 0, &steps));
    HKT_EQ_INT(steps, 0);
    hkt_expect_end(future, HK_OK);
    close_executor();
}

static void no_more_tasks_are_under_way_than_workers(void)
{
    hk_future *sleeping;
    hk_future *queued;

    HKT_OK_FATAL(hk_replay_create(1, &(hk_executor_options){.workers = 1}, &executor));
    sleeping = hkt_submit_int(executor, child, 2);
    HKT_OK(hk_replay_run(executor, 1, NULL));
    queued = hkt_submit_int(executor, hkt_square, 4);
    HKT_OK(hk_replay_advance(executor, HK_MS(1)));
    HKT_EQ_INT(hk_future_state(queued), HK_PENDING);
    HKT_EQ_INT(hkt_take_int(queued), 16);
    HKT_EQ_INT(now(), HK_MS(2));
    HKT_EQ_INT(hkt_take_int(sleeping), 2);
    close_executor();
}

/* --- The machinery of all executors --- */

static void cancelling_reaches_queued_and_sleeping_tasks(void)
{
    hk_future *queued;
    hk_future *sleeping = NULL;

    open_seed(5);
    queued = hkt_submit_int(executor, hkt_square, 1);
    HKT_OK(hk_future_cancel(queued, HK_CANCEL_PENDING));
    hkt_expect_end(queued, HK_ECANCELED);
    HKT_OK_FATAL(hk_submit(executor, hkt_sleeps, NULL, 0, NULL, &sleeping));
    HKT_OK(hk_replay_run(executor, 1, NULL));
    HKT_EQ_INT(hk_future_state(sleeping), HK_RUNNING);
    HKT_OK(hk_future_cancel(sleeping, HK_CANCEL_REQUEST));
    hkt_expect_end(sleeping, HK_ECANCELED);
    close_executor();
}

static void a_shutdown_stops_what_runs(void)
{
    hk_future *sleeping = NULL;
    hk_future *queued;

    open_seed(5);
    HKT_OK_FATAL(hk_submit(executor, hkt_sleeps, NULL, 0, NULL, &sleeping));
    HKT_OK(hk_replay_run(executor, 1, NULL));
    queued = hkt_submit_int(executor, hkt_square, 1);
    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_CANCEL_ALL, HK_FOREVER));
    hkt_expect_end(queued, HK_ECANCELED);
    hkt_expect_end(sleeping, HK_ECANCELED);
    HKT_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL), HK_ECLOSED);
    close_executor();
}

static hk_status ten_numbers(void *state, hk_map_input *input)
{
    int *number = state;

    if (++*number > 10) {
        return HK_EDONE;
    }
    *input = (hk_map_input){.data = number, .size = sizeof(*number)};
    return HK_OK;
}

static void maps_keep_their_order(void)
{
    for (uint64_t seed = 0; seed < 10; seed++) {
        hk_map_iterator *iterator = NULL;
        hk_map_item item;
        int number = 0;
        int expected = 0;

        open_seed(seed);
        HKT_OK_FATAL(hk_map(executor, hkt_square, ten_numbers, &number,
                            &(hk_map_options){.chunk = 1}, &iterator));
        while (hk_map_next(iterator, HK_FOREVER, &item) == HK_OK) {
            expected++;
            HKT_EQ_INT(*(const int *)item.data, expected * expected);
            hk_map_item_drop(&item);
        }
        HKT_EQ_INT(expected, 10);
        hk_map_destroy(iterator);
        close_executor();
    }
}

static int called[2];
static int call_count;

static void note_first(hk_future *future, void *arg)
{
    (void)future;
    called[call_count++] = *(int *)arg;
}

static void callbacks_have_an_order_and_places_a_seed(void)
{
    int one = 1;
    int two = 2;
    unsigned swapped = 0;

    for (uint64_t seed = 0; seed < 20; seed++) {
        hk_future *future;

        open_seed(seed);
        call_count = 0;
        future = hkt_submit_int(executor, hkt_square, 2);
        HKT_OK(hk_future_on_done(future, NULL, note_first, &one, NULL));
        HKT_OK(hk_future_on_done(future, NULL, note_first, &two, NULL));
        HKT_OK(hk_replay_run(executor, 0, NULL));
        HKT_EQ_INT(call_count, 2);
        HKT_EQ_INT(called[0], 1);
        hk_future_unref(future);
        call_count = 0;
        future = hkt_submit_int(executor, hkt_square, 2);
        HKT_OK(hk_future_on_done(future, executor, note_first, &one, NULL));
        HKT_OK(hk_future_on_done(future, executor, note_first, &two, NULL));
        HKT_OK(hk_replay_run(executor, 0, NULL));
        HKT_EQ_INT(call_count, 2);
        swapped += called[0] == 2 ? 1 : 0;
        hk_future_unref(future);
        close_executor();
    }
    HKT_TRUE(swapped > 0 && swapped < 20);
}

static void completions_and_serials_stand_on_it(void)
{
    hk_completion *completion = NULL;
    hk_executor *serial = NULL;
    hk_future *futures[3];
    uintptr_t tag = 9;

    open_seed(6);
    HKT_OK_FATAL(hk_serial_create(executor, NULL, &serial));
    HKT_OK_FATAL(hk_completion_create(&completion));
    order_count = 0;
    for (int i = 0; i < 3; i++) {
        futures[i] = hkt_submit_int(serial, child, i);
        HKT_OK(hk_completion_add(completion, futures[i], (uintptr_t)i));
    }
    for (uintptr_t i = 0; i < 3; i++) {
        HKT_OK(hk_completion_next(completion, HK_FOREVER, NULL, &tag));
        HKT_EQ_INT(tag, i);
        hk_future_unref(futures[i]);
    }
    hk_completion_destroy(completion);
    HKT_OK(hk_executor_destroy(serial));
    HKT_EQ_INT(now(), HK_MS(3));
    close_executor();
}

static void a_full_queue_does_as_told(void)
{
    hk_executor_options options = {.queue_capacity = 1, .when_full = HK_FULL_FAIL};
    hk_future *first;
    hk_future *second;

    HKT_OK_FATAL(hk_replay_create(1, &options, &executor));
    first = hkt_submit_int(executor, hkt_square, 2);
    HKT_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL), HK_EFULL);
    hkt_expect_end(first, HK_OK);
    close_executor();
    options.when_full = HK_FULL_BLOCK;
    HKT_OK_FATAL(hk_replay_create(1, &options, &executor));
    first = hkt_submit_int(executor, hkt_square, 2);
    second = hkt_submit_int(executor, hkt_square, 3); /* The first goes on meanwhile. */
    HKT_TRUE(hk_future_state(first) != HK_PENDING);
    hkt_expect_end(first, HK_OK);
    hkt_expect_end(second, HK_OK);
    close_executor();
}

/* --- Refusals --- */

static void *submit_elsewhere(void *arg)
{
    (void)arg;
    HKT_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL), HK_ESTATE);
    HKT_STATUS(hk_replay_run(executor, 0, NULL), HK_ESTATE);
    HKT_STATUS(hk_executor_destroy(executor), HK_ESTATE);
    return NULL;
}

static void other_threads_are_refused(void)
{
    pthread_t thread;

    open_seed(1);
    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, submit_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    close_executor();
}

HK_TASK(makes_another)
{
    hk_executor *other = NULL;

    (void)in;
    (void)in_size;
    (void)call;
    HKT_STATUS(hk_replay_create(2, NULL, &other), HK_ESTATE);
    return HK_OK;
}

static void what_is_wrong_is_refused(void)
{
    hk_executor *other = NULL;
    hk_duration passed;

    open_seed(1);
    HKT_STATUS(hk_replay_create(2, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_replay_create(2, &(hk_executor_options){.workers = 5000}, &other), HK_EINVAL);
    hkt_expect_end(hkt_submit_int(executor, makes_another, 0), HK_OK);
    close_executor();
    HKT_OK_FATAL(hk_inline_create(NULL, &other));
    HKT_STATUS(hk_replay_run(other, 0, NULL), HK_EINVAL);
    HKT_STATUS(hk_replay_elapsed(other, &passed), HK_EINVAL);
    HKT_STATUS(hk_replay_elapsed(NULL, &passed), HK_EINVAL);
    HKT_OK(hk_executor_destroy(other));
}

static void share_a_world(uint64_t seed, struct record *record)
{
    hk_executor *other = NULL;
    hk_future *futures[4];

    memset(record, 0, sizeof(*record));
    open_seed(seed);
    HKT_OK_FATAL(hk_replay_create(99, &(hk_executor_options){.workers = 1}, &other));
    HKT_OK(hk_replay_on_step(other, keep_step, record));
    for (int i = 0; i < 4; i++) {
        futures[i] = hkt_submit_int(i < 2 ? executor : other, child, 1);
    }
    for (int i = 0; i < 4; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), 1);
    }
    HKT_EQ_INT(now(), HK_MS(2)); /* The other one has one worker. */
    HKT_OK(hk_executor_destroy(other));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, hkt_square, 3)), 9);
    close_executor();
}

static void executors_of_a_thread_share_a_world(void)
{
    static struct record first;
    static struct record again;

    for (uint64_t seed = 0; seed < 10; seed++) {
        share_a_world(seed, &first);
        share_a_world(seed, &again);
        HKT_EQ_STR(first.text, again.text);
    }
}

static void a_text_opens_it(void)
{
    char message[128];

    HKT_OK_FATAL(hk_executor_open("replay:18446744073709551615?workers=2", &executor));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(executor, hkt_square, 3)), 9);
    close_executor();
    HKT_STATUS(hk_executor_check_spec("replay:x", message, sizeof(message)), HK_EINVAL);
    HKT_TRUE(strstr(message, "seed") != NULL);
}

static CU_TestInfo tests[] = {
    HKT_CASE("RP01 a seed gives the same trace again", a_seed_gives_the_same_trace_again),
    HKT_CASE("another process sees the same trace", another_process_sees_the_same_trace),
    HKT_CASE("seeds give different orders", seeds_give_different_orders),
    HKT_CASE("some seeds show an order bug, again and again",
             some_seeds_show_an_order_bug_again_and_again),
    HKT_CASE("a task may overtake its submitter", a_task_may_overtake_its_submitter),
    HKT_CASE("RP02 nothing runs before somebody waits", nothing_runs_before_somebody_waits),
    HKT_CASE("no more tasks are under way than workers", no_more_tasks_are_under_way_than_workers),
    HKT_CASE("cancelling reaches queued and sleeping tasks",
             cancelling_reaches_queued_and_sleeping_tasks),
    HKT_CASE("a shutdown stops what runs", a_shutdown_stops_what_runs),
    HKT_CASE("maps keep their order", maps_keep_their_order),
    HKT_CASE("callbacks have an order", callbacks_have_an_order_and_places_a_seed),
    HKT_CASE("completions and serials stand on it", completions_and_serials_stand_on_it),
    HKT_CASE("a full queue does as told", a_full_queue_does_as_told),
    HKT_CASE("RP03 other threads are refused", other_threads_are_refused),
    HKT_CASE("what is wrong is refused", what_is_wrong_is_refused),
    HKT_CASE("executors of a thread share a world", executors_of_a_thread_share_a_world),
    HKT_CASE("a text opens it", a_text_opens_it),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "replay", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
