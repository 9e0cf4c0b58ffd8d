/* SPDX-License-Identifier: MIT */
/*
 * What must not cross a border, and event loops: cases IS of docs/contract.md.
 *
 * Executors that share memory stand in for those that do not by the option
 * roundtrip, which refuses whatever a process pool would refuse.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/fixture.h"

static hk_executor *isolated; /* As --executor says, with roundtrip. */

static void set_up(void)
{
    hkt_executor_set_up();
    HKT_OK_FATAL(hkt_executor_create((hk_executor_options){.roundtrip = true}, &isolated));
}

static void tear_down(void)
{
    HKT_OK(hk_executor_destroy(isolated));
    isolated = NULL;
    hkt_executor_tear_down();
}

/* --- IS01: references --- */

static void a_reference_is_refused_at_submit(void)
{
    atomic_uint runs = 0;
    hk_future *future = NULL;

    HKT_STATUS(hk_submit_ref(isolated, hkt_counts, &runs, hkt_count_drop, NULL, &future),
               HK_EPORTABLE);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(hkt_stats(isolated).refused, 1);
    /* Neither run nor dropped: it is still the caller's. */
    HKT_EQ_INT(atomic_load(&runs), 0);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(isolated, hkt_square, 7)), 49);
}

/* Both take a pointer as bytes, for nothing else crosses. */
HK_TASK(returns_a_reference)
{
    return hk_return_ref(call, hkt_pointer(in, in_size), hkt_count_drop);
}

HK_TASK(ignores_that_it_may_not_return_a_reference)
{
    HKT_STATUS(hk_return_ref(call, hkt_pointer(in, in_size), hkt_count_drop), HK_EPORTABLE);
    return HK_EPORTABLE;
}

static void expect_portable_failure(const hk_task *task)
{
    hk_future *future = NULL;
    const hk_error *error = NULL;
    atomic_uint *drops = hkt_shared_new(sizeof(*drops));

    HKT_OK_FATAL(hk_submit(isolated, task, &drops, sizeof(drops), NULL, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_OK_FATAL(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
    HKT_STATUS(error->cause->status, HK_EPORTABLE);
    HKT_EQ_INT(atomic_load(drops), 1);
    hk_future_unref(future);
}

static void a_returned_reference_fails_the_task(void)
{
    expect_portable_failure(returns_a_reference);
    expect_portable_failure(ignores_that_it_may_not_return_a_reference);
}

/* A source of one item by reference. */
static hk_status next_reference(void *state, hk_map_input *input)
{
    input->data = state;
    input->size = HK_BY_REF;
    input->drop = hkt_count_drop;
    return HK_OK;
}

static void an_item_by_reference_is_refused(void)
{
    atomic_uint drops = 0;
    hk_map_iterator *iterator = NULL;
    hk_map_item item;
    hk_map_options options = {.window = 1, .chunk = 1};
    hk_status status = hk_map(isolated, hkt_counts, next_reference, &drops, &options, &iterator);

    if (status == HK_OK) {
        status = hk_map_next(iterator, HK_FOREVER, &item);
    }
    HKT_STATUS(status, HK_EPORTABLE);
    hk_map_destroy(iterator);
    /* The source gave it away, so the map has released it; nothing has run. */
    HKT_EQ_INT(atomic_load(&drops), 1);
    HKT_EQ_INT(hkt_stats(isolated).submitted, 0);
}

HK_TASK(changes_its_input)
{
    int n;

    memcpy(&n, in, sizeof(n));
    *(int *)(uintptr_t)in = -1;
    return hk_return(call, &n, sizeof(n));
}

static void bytes_are_copied_both_ways(void)
{
    int value = 5;
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(isolated, changes_its_input, &value, sizeof(value), NULL, &future));
    value = 6;
    HKT_EQ_INT(hkt_take_int(future), 5);
    HKT_EQ_INT(value, 6);
}

static void a_buffer_may_cross(void)
{
    hk_buffer *buffer = NULL;
    hk_future *future = NULL;
    int value = 13;

    HKT_OK_FATAL(hk_buffer_create(isolated, sizeof(value), &buffer));
    memcpy(hk_buffer_data(buffer), &value, sizeof(value));
    HKT_OK_FATAL(hk_submit_buffer(isolated, hkt_square, buffer, NULL, &future));
    HKT_EQ_INT(hkt_take_int(future), 169);
}

/* --- IS02: names --- */

static void a_task_is_found_by_its_name(void)
{
    HKT_EQ_PTR(hk_task_find("returns_a_reference"), returns_a_reference);
    HKT_EQ_PTR(hk_task_find("hkt_square"), hkt_square); /* Of another source file. */
    HKT_EQ_PTR(hk_task_find("no such task"), NULL);
    HKT_EQ_PTR(hk_task_find(""), NULL);
    HKT_EQ_STR(hkt_square->name, "hkt_square");
    HKT_TRUE(hkt_square->line > 0);
}

static hk_status run_by_hand(hk_call *call, const void *in, size_t in_size)
{
    (void)in;
    return hk_return(call, &in_size, sizeof(in_size));
}

static void a_descriptor_may_be_filled_in_by_hand(void)
{
    const hk_task task = {.name = "by hand", .run = run_by_hand};
    hk_future *future = NULL;
    const void *value = NULL;

    HKT_EQ_PTR(hk_task_find("by hand"), NULL); /* Not in the program's list. */
    HKT_OK_FATAL(hk_submit(hkt_executor, &task, "abc", 3, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    HKT_EQ_INT(*(const size_t *)value, 3);
    hk_future_unref(future);
}

/* --- IS03: errors --- */

HK_TASK(fails_inside)
{
    return hk_fail(call, 23, "the disk %s is full", "sda");
}

/* Ends as a nested task ended: its error is the cause of ours. */
HK_TASK(fails_because_of_another)
{
    hk_future *inner = NULL;
    const hk_error *error = NULL;
    hk_executor *own = NULL;
    /* A serial executor would begin the inner one only after this one. */
    hk_status status = hkt_is_serial() ? hk_inline_create(NULL, &own) : HK_OK;

    if (status == HK_OK) {
        status = hk_submit(own != NULL ? own : hk_call_executor(call), fails_inside, NULL, 0, NULL,
                           &inner);
    }

    if (status == HK_OK) {
        status = hk_future_error(inner, HK_FOREVER, &error);
    }
    if (status == HK_OK && error != NULL) {
        status = hk_fail(call, 24, "the copy failed: %s", error->message);
    }
    hk_future_unref(inner);
    HKT_OK(hk_executor_destroy(own));
    return status;
}

HK_TASK(forgets_to_explain)
{
    return HK_ETOOBIG;
}

static void type_message_and_cause_of_an_error_survive(void)
{
    hk_future *future = NULL;
    const hk_error *error = NULL;
    char line[512];

    HKT_OK_FATAL(hk_submit(isolated, fails_because_of_another, NULL, 0, NULL, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
    HKT_OK_FATAL(hk_future_error(future, 0, &error));
    HKT_TRUE_FATAL(error != NULL);
    HKT_EQ_INT(error->app_code, 24);
    HKT_EQ_STR(error->message, "the copy failed: the disk sda is full");
    HKT_EQ_STR(error->function, "fails_because_of_another_run_");
    hk_future_unref(future);

    HKT_OK_FATAL(hk_submit(isolated, forgets_to_explain, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_error(future, HK_FOREVER, &error));
    HKT_TRUE_FATAL(error != NULL && error->cause != NULL);
    HKT_STATUS(error->cause->status, HK_ETOOBIG);
    HKT_TRUE(hk_error_format(error, line, sizeof(line)) > 0);
    HKT_TRUE(strstr(line, "caused by") != NULL);
    hk_future_unref(future);
}

/* --- IS05: tasks that block on a shared queue --- */

enum { BLOCKED = 10 };

struct turn {
    struct hkt_gate *gate;
    int index;
};

HK_TASK(waits_for_its_turn)
{
    struct turn turn;

    memcpy(&turn, in, sizeof(turn));
    if (!hkt_is_inline()) {
        hkt_gate_wait(turn.gate);
    }
    return hk_return(call, &turn.index, sizeof(turn.index));
}

static void blocked_tasks_finish_as_they_are_released(void)
{
    struct hkt_gate *turns = hkt_shared_new(BLOCKED * sizeof(*turns));
    hk_future *futures[BLOCKED] = {NULL};

    for (int i = 0; i < BLOCKED; i++) {
        hkt_gate_init(&turns[i], "the turn of a task");
    }
    /* Inline nobody could open a gate; there the tasks take their turns at once. */
    for (int i = 0; i < BLOCKED; i++) {
        const struct turn turn = {&turns[i], i};

        HKT_OK_FATAL(
            hk_submit(isolated, waits_for_its_turn, &turn, sizeof(turn), NULL, &futures[i]));
    }
    /* Whoever is released first, all finish, though few workers serve them. */
    for (int i = 0; i < BLOCKED; i++) {
        hkt_gate_open(&turns[i % 2 == 0 ? i : BLOCKED - i]);
    }
    for (int i = 0; i < BLOCKED; i++) {
        HKT_EQ_INT(hkt_take_int(futures[i]), i);
    }
    for (int i = 0; i < BLOCKED; i++) {
        hkt_gate_fini(&turns[i]);
    }
}

/* --- IS06 to IS08: event loops --- */

static int loop_create(int watched)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = watched};
    int loop = epoll_create1(EPOLL_CLOEXEC);

    HKT_TRUE_FATAL(loop >= 0);
    HKT_EQ_INT(epoll_ctl(loop, EPOLL_CTL_ADD, watched, &event), 0);
    return loop;
}

/* One turn of the loop; the descriptor that is ready, or -1. */
static int loop_turn(int loop, int timeout_ms)
{
    struct epoll_event event;
    int ready;

    do {
        hkt_give_turn(); /* A replay goes on only while somebody waits in it, which epoll is not. */
        ready = epoll_wait(loop, &event, 1, hkt_is_replay() ? 0 : timeout_ms);
    } while ((ready < 0 && errno == EINTR) || (ready == 0 && timeout_ms < 0));
    return ready == 1 ? event.data.fd : -1;
}

static void a_future_wakes_an_event_loop(void)
{
    struct hkt_plug plug = {0};
    hk_future *future;
    int fd = -1;
    int loop;

    if (!hkt_is_inline()) {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    }
    future = hkt_submit_int(hkt_executor, hkt_square, 9);
    HKT_OK_FATAL(hk_future_fd(future, &fd));
    loop = loop_create(fd);
    if (!hkt_is_inline()) {
        HKT_EQ_INT(loop_turn(loop, 0), -1);
        hkt_plug_pull(&plug);
    }
    HKT_EQ_INT(loop_turn(loop, -1), fd);
    HKT_EQ_INT(loop_turn(loop, -1), fd); /* Ended for ever. */
    close(loop);
    HKT_EQ_INT(hkt_take_int(future), 81);
}

static void a_completion_queue_wakes_an_event_loop(void)
{
    enum { TASKS = 30 };
    hk_completion *completion = NULL;
    int squares = 0;
    int fd = -1;
    int loop;

    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK_FATAL(hk_completion_fd(completion, &fd));
    loop = loop_create(fd);
    HKT_EQ_INT(loop_turn(loop, 0), -1);
    for (int i = 0; i < TASKS; i++) {
        hk_future *future = hkt_submit_int(hkt_executor, hkt_square, i);

        HKT_OK(hk_completion_add(completion, future, (uintptr_t)i));
        hk_future_unref(future);
    }
    for (int seen = 0; seen < TASKS;) {
        hk_future *future = NULL;
        uintptr_t tag = 0;

        HKT_EQ_INT(loop_turn(loop, -1), fd);
        while (hk_completion_next(completion, 0, &future, &tag) == HK_OK) {
            squares += hkt_take_int(future) == (int)(tag * tag);
            seen++;
        }
    }
    HKT_EQ_INT(squares, TASKS);
    HKT_EQ_INT(loop_turn(loop, 0), -1);
    close(loop);
    hk_completion_destroy(completion);
}

static void a_closed_loop_is_not_touched_by_a_late_end(void)
{
    struct hkt_plug plug = {0};
    hk_completion *completion = NULL;
    hk_future *future;
    int fd = -1;
    int loop;

    if (!hkt_is_inline()) {
        hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    }
    future = hkt_submit_int(hkt_executor, hkt_square, 10);
    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK_FATAL(hk_completion_fd(completion, &fd));
    loop = loop_create(fd);
    HKT_OK(hk_completion_add(completion, future, 1));
    close(loop);
    hk_completion_destroy(completion);
    if (!hkt_is_inline()) {
        HKT_TRUE(!hk_future_has_ended(future));
        hkt_plug_pull(&plug);
    }
    HKT_EQ_INT(hkt_take_int(future), 100);
}

/* The least that a loop with a default executor is: it knows where to send work,
 * and what to call when that has ended. */
struct event_loop {
    hk_executor *default_executor;
    hk_completion *ended;
};

static hk_status loop_run_in_executor(struct event_loop *loop, const hk_task *task, int value,
                                      uintptr_t tag)
{
    hk_future *future = NULL;
    hk_status status =
        hk_submit(loop->default_executor, task, &value, sizeof(value), NULL, &future);

    if (status == HK_OK) {
        status = hk_completion_add(loop->ended, future, tag);
    }
    hk_future_unref(future);
    return status;
}

static void an_executor_may_be_the_default_of_a_loop(void)
{
    struct event_loop loop = {.default_executor = hkt_executor};
    int sum = 0;

    HKT_OK_FATAL(hk_completion_create(&loop.ended));
    for (int i = 1; i <= 4; i++) {
        HKT_OK(loop_run_in_executor(&loop, hkt_square, i, (uintptr_t)i));
    }
    for (hk_future *future = NULL;
         hk_completion_next(loop.ended, HK_FOREVER, &future, NULL) == HK_OK;) {
        sum += hkt_take_int(future);
    }
    HKT_EQ_INT(sum, 30);
    hk_completion_destroy(loop.ended);
}

static CU_TestInfo tests[] = {
    HKT_CASE("IS01 a reference is refused at submit", a_reference_is_refused_at_submit),
    HKT_CASE("IS01 a returned reference fails the task", a_returned_reference_fails_the_task),
    HKT_CASE("IS01 an item by reference is refused", an_item_by_reference_is_refused),
    HKT_CASE("IS01 bytes are copied both ways", bytes_are_copied_both_ways),
    HKT_CASE("IS01 a buffer may cross", a_buffer_may_cross),
    HKT_CASE("IS02 a task is found by its name", a_task_is_found_by_its_name),
    HKT_CASE("IS02 a descriptor may be filled in by hand", a_descriptor_may_be_filled_in_by_hand),
    HKT_CASE("IS03 type, message and cause of an error survive",
             type_message_and_cause_of_an_error_survive),
    HKT_CASE("IS05 blocked tasks finish as they are released",
             blocked_tasks_finish_as_they_are_released),
    HKT_CASE("IS06 a future wakes an event loop", a_future_wakes_an_event_loop),
    HKT_CASE("IS06 a completion queue wakes an event loop", a_completion_queue_wakes_an_event_loop),
    HKT_CASE("IS07 a closed loop is not touched by a late end",
             a_closed_loop_is_not_touched_by_a_late_end),
    HKT_CASE("IS08 an executor may be the default of a loop",
             an_executor_may_be_the_default_of_a_loop),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "conformance_isolation",
     .pSetUpFunc = set_up,
     .pTearDownFunc = tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
