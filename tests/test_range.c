/* SPDX-License-Identifier: MIT */
/*
 * Ranges, on every executor: each scene is played by the test's own thread, and by a task on
 * the executor that runs it; on processes by the task alone, in its worker. What the workers of
 * a thread pool do with it is in test_range_pool.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/world.h"
#include "tests/fixture.h"

/* A scene says what it did not find; NULL if all is well. */
typedef const char *scene_fn(hk_executor *executor);

#define MUST(value)                                                                                \
    do {                                                                                           \
        if (!(value)) {                                                                            \
            return #value;                                                                         \
        }                                                                                          \
    } while (0)

HK_TASK(range_scene)
{
    scene_fn *scene;
    const char *missed;

    if (in_size != sizeof(scene)) {
        return hk_fail(call, 1, "no scene");
    }
    memcpy(&scene, in, sizeof(scene)); /* Workers are forked: functions are where they were. */
    missed = scene(hk_call_executor(call));
    return missed == NULL ? HK_OK : hk_fail(call, 1, "not %s", missed);
}

static void play(scene_fn *scene)
{
    const hk_error *error = NULL;
    hk_future *future;

    if (!hkt_is_processes()) {
        const char *missed = scene(hkt_executor);

        HKT_EQ_STR(missed == NULL ? "" : missed, "");
    }
    HKT_OK_FATAL(hk_submit(hkt_executor, range_scene, &scene, sizeof(scene), NULL, &future));
    HKT_OK(hk_future_error(future, HK_FOREVER, &error));
    HKT_EQ_STR(error == NULL ? "" : error->message, "");
    hk_future_unref(future);
}

/* --- What comes out --- */

enum { MOST = 10007 };

struct field {
    int visits[MOST]; /* Plain: each is written by whoever has its index, and read by the caller. */
    size_t grain;
    size_t end;
    atomic_int pieces;
    atomic_int small; /* Pieces below the grain. */
};

static hk_status visit(hk_range *range, size_t begin, size_t end, void *context)
{
    struct field *field = context;

    (void)range;
    atomic_fetch_add(&field->pieces, 1);
    if (end - begin < field->grain && end != field->end) {
        atomic_fetch_add(&field->small, 1);
    }
    for (size_t i = begin; i < end; i++) {
        field->visits[i]++;
    }
    return begin < end ? HK_OK : HK_EFAILED;
}

/* begin..end is visited once, nothing else is. */
static const char *visit_range(hk_executor *executor, size_t begin, size_t end, size_t grain)
{
    hk_range_options options = {.grain = grain};
    struct field *field = calloc(1, sizeof(*field));
    size_t wrong = 0;
    int pieces;
    int small;
    hk_range range;
    hk_status status;

    MUST(field != NULL);
    field->grain = grain;
    field->end = end;
    status = hk_parallel_for(&range, executor, begin, end, visit, field, &options);
    for (size_t i = 0; i < MOST; i++) {
        wrong += field->visits[i] != (i >= begin && i < end ? 1 : 0);
    }
    pieces = atomic_load(&field->pieces);
    small = atomic_load(&field->small);
    free(field);
    MUST(status == HK_OK);
    MUST(hk_range_has_ended(&range));
    MUST(wrong == 0);
    MUST(small == 0);
    MUST(begin != end || pieces == 0);
    MUST(end - begin == 0 || end - begin > grain || pieces == 1);
    return NULL;
}

static const char *visit_ranges(hk_executor *executor)
{
    static const size_t counts[] = {0, 1, 2, 3, 10, 257, MOST};
    static const size_t grains[] = {0, 1, 2, 100, MOST, SIZE_MAX};
    const char *missed = NULL;

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && missed == NULL; i++) {
        for (size_t j = 0; j < sizeof(grains) / sizeof(grains[0]) && missed == NULL; j++) {
            missed = visit_range(executor, 0, counts[i], grains[j]);
            if (missed == NULL) {
                missed = visit_range(executor, MOST - counts[i], MOST, grains[j]);
            }
        }
    }
    return missed;
}

static void every_index_is_in_one_piece(void)
{
    play(visit_ranges);
}

static hk_status sum_up_the_end(hk_range *range, size_t begin, size_t end, void *context)
{
    (void)range;
    for (size_t i = begin; i != end; i++) {
        atomic_fetch_add((atomic_size_t *)context, SIZE_MAX - i);
    }
    return HK_OK;
}

static const char *visit_the_last(hk_executor *executor)
{
    atomic_size_t sum = 0;
    hk_range range;

    MUST(hk_parallel_for(&range, executor, SIZE_MAX - 100, SIZE_MAX, sum_up_the_end, &sum, NULL) ==
         HK_OK);
    MUST(sum == 5050);
    return NULL;
}

static void indices_may_be_as_large_as_they_can(void)
{
    play(visit_the_last);
}

static const char *begin_and_end(hk_executor *executor)
{
    struct field *field = calloc(1, sizeof(*field));
    size_t wrong = 0;
    hk_status begun;
    hk_status ended;
    hk_range range;

    MUST(field != NULL);
    field->end = MOST;
    begun = hk_range_begin(&range, executor, 0, MOST, visit, field, NULL);
    ended = begun == HK_OK ? hk_range_end(&range) : begun;
    for (size_t i = 0; i < MOST; i++) {
        wrong += field->visits[i] != 1;
    }
    free(field);
    MUST(ended == HK_OK);
    MUST(wrong == 0);
    MUST(hk_range_end(&range) == HK_EINVAL);
    return NULL;
}

static void a_range_may_be_begun_and_ended_later(void)
{
    play(begin_and_end);
}

/* --- Inside each other --- */

struct nest {
    hk_executor *executor;
    atomic_int leaves;
    atomic_int wrong;
};

static hk_status count_leaves(hk_range *range, size_t begin, size_t end, void *context)
{
    struct nest *nest = context;

    (void)range;
    atomic_fetch_add(&nest->leaves, (int)(end - begin));
    return HK_OK;
}

static hk_status run_another(hk_range *range, size_t begin, size_t end, void *context)
{
    struct nest *nest = context;

    (void)range;
    for (size_t i = begin; i < end; i++) {
        hk_range inner;

        if (hk_parallel_for(&inner, nest->executor, 0, 50, count_leaves, nest, NULL) != HK_OK) {
            atomic_fetch_add(&nest->wrong, 1);
        }
    }
    return HK_OK;
}

static const char *nest_ranges(hk_executor *executor)
{
    struct nest nest = {.executor = executor};
    hk_range range;

    MUST(hk_parallel_for(&range, executor, 0, 40, run_another, &nest, NULL) == HK_OK);
    MUST(nest.wrong == 0);
    MUST(nest.leaves == 2000);
    return NULL;
}

static void a_piece_may_run_a_range(void)
{
    play(nest_ranges);
}

static hk_status submit_and_wait(hk_range *range, size_t begin, size_t end, void *context)
{
    struct nest *nest = context;

    (void)range;
    for (size_t i = begin; i < end; i++) {
        int number = (int)i;
        int square = 0;
        const void *value;
        hk_future *future;

        if (hk_submit(nest->executor, hkt_square, &number, sizeof(number), NULL, &future) !=
            HK_OK) {
            return HK_EFAILED;
        }
        if (hk_future_result(future, HK_FOREVER, &value, NULL) == HK_OK) {
            memcpy(&square, value, sizeof(square));
        }
        hk_future_unref(future);
        atomic_fetch_add(square == number * number ? &nest->leaves : &nest->wrong, 1);
    }
    return HK_OK;
}

static const char *mix_with_tasks(hk_executor *executor)
{
    struct nest nest = {.executor = executor};
    hk_range range;

    MUST(hk_parallel_for(&range, executor, 0, 100, submit_and_wait, &nest, NULL) == HK_OK);
    MUST(nest.wrong == 0);
    MUST(nest.leaves == 100);
    return NULL;
}

static void a_piece_may_submit_and_wait(void)
{
    play(mix_with_tasks);
}

/* --- Ends before the end --- */

struct trouble {
    hk_executor *executor;
    hk_cancel_token *token;
    atomic_int pieces;
    size_t bad; /* The piece that holds it makes trouble. */
};

enum { TURNS = 100000, WIDEST = 4 };

/* The others stand still until it has happened. */
static void stand_until_stopped(hk_range *range)
{
    while (!hk_range_should_stop(range)) {
        hki_world_poll();
        hki_os_yield();
    }
}

static hk_status fail_at(hk_range *range, size_t begin, size_t end, void *context)
{
    struct trouble *trouble = context;

    atomic_fetch_add(&trouble->pieces, 1);
    if (begin <= trouble->bad && trouble->bad < end) {
        return HK_ETOOBIG;
    }
    stand_until_stopped(range);
    return HK_EFULL; /* Later than the first one. */
}

static const char *fail_first(hk_executor *executor)
{
    struct trouble trouble = {.bad = 0};
    hk_range range;

    MUST(hk_parallel_for(&range, executor, 0, TURNS, fail_at, &trouble, NULL) == HK_ETOOBIG);
    MUST(hk_range_has_ended(&range));
    MUST(trouble.pieces >= 1 && trouble.pieces <= WIDEST);
    return NULL;
}

static void the_first_failure_ends_a_range(void)
{
    play(fail_first);
}

static hk_status fire_token(hk_range *range, size_t begin, size_t end, void *context)
{
    struct trouble *trouble = context;

    (void)end;
    atomic_fetch_add(&trouble->pieces, 1);
    if (begin == 0) {
        hk_status fired = hk_cancel_token_fire(trouble->token, "enough");

        return fired == HK_OK && hk_range_should_stop(range) ? HK_OK : HK_EFAILED;
    }
    stand_until_stopped(range);
    return HK_OK;
}

static const char *cancel_range(hk_executor *executor)
{
    hk_range_options options = {0};
    struct trouble trouble = {0};
    hk_status late;
    hk_status early;
    hk_range range;
    int pieces;

    MUST(hk_cancel_token_create(NULL, &trouble.token) == HK_OK);
    options.token = trouble.token;
    late = hk_parallel_for(&range, executor, 0, TURNS, fire_token, &trouble, &options);
    pieces = trouble.pieces;
    early = hk_parallel_for(&range, executor, 0, TURNS, fire_token, &trouble, &options);
    hk_cancel_token_unref(trouble.token);
    MUST(late == HK_ECANCELED);
    MUST(pieces >= 1 && pieces <= WIDEST);
    MUST(early == HK_ECANCELED);
    MUST(trouble.pieces == pieces);
    return NULL;
}

static void a_token_ends_a_range(void)
{
    play(cancel_range);
}

static hk_status run_over(hk_range *range, size_t begin, size_t end, void *context)
{
    (void)begin;
    (void)end;
    atomic_fetch_add((atomic_int *)context, 1);
    stand_until_stopped(range);
    return HK_OK;
}

static const char *limit_range(hk_executor *executor)
{
    hk_range_options options = {.limit = HK_MS(1)};
    atomic_int pieces = 0;
    hk_range range;

    MUST(hk_parallel_for(&range, executor, 0, TURNS, run_over, &pieces, &options) == HK_EDEADLINE);
    MUST(hk_range_has_ended(&range));
    MUST(pieces <= WIDEST);
    return NULL;
}

static void a_limit_ends_a_range(void)
{
    play(limit_range);
}

static hk_status end_executor(hk_range *range, size_t begin, size_t end, void *context)
{
    struct trouble *trouble = context;

    (void)range;
    (void)end;
    atomic_fetch_add(&trouble->pieces, 1);
    if (begin == 0) {
        return hk_executor_shutdown(
            trouble->executor, trouble->bad == 0 ? HK_SHUTDOWN_DRAIN : HK_SHUTDOWN_CANCEL_ALL, 0);
    }
    if (trouble->bad != 0) {
        stand_until_stopped(range);
    }
    return HK_OK;
}

static void a_drain_finishes_a_range(void)
{
    struct trouble trouble = {.executor = hkt_executor};
    hk_range range;

    if (hkt_is_processes()) {
        return;
    }
    HKT_OK(hk_parallel_for(&range, hkt_executor, 0, TURNS, end_executor, &trouble, NULL));
    HKT_STATUS(hk_parallel_for(&range, hkt_executor, 0, 1, end_executor, &trouble, NULL),
               HK_ECLOSED);
    HKT_TRUE(hk_range_has_ended(&range));
}

static void a_hard_shutdown_skips_the_rest(void)
{
    struct trouble trouble = {.executor = hkt_executor, .bad = 1};
    hk_range range;

    if (hkt_is_processes()) {
        return;
    }
    HKT_STATUS(hk_parallel_for(&range, hkt_executor, 0, TURNS, end_executor, &trouble, NULL),
               HK_ECANCELED);
    HKT_TRUE(trouble.pieces <= WIDEST);
}

/* --- Refusals --- */

static const char *misuse(hk_executor *executor)
{
    hk_range_options options = {.size = 1};
    hk_range range;

    MUST(hk_parallel_for(NULL, executor, 0, 1, visit, NULL, NULL) == HK_EINVAL);
    MUST(hk_parallel_for(&range, NULL, 0, 1, visit, NULL, NULL) == HK_EINVAL);
    MUST(hk_parallel_for(&range, executor, 0, 1, NULL, NULL, NULL) == HK_EINVAL);
    MUST(hk_parallel_for(&range, executor, 1, 0, visit, NULL, NULL) == HK_EINVAL);
    MUST(hk_range_has_ended(&range));
    MUST(hk_range_end(&range) == HK_EINVAL);
    MUST(hk_range_end(NULL) == HK_EINVAL);
    MUST(hk_range_has_ended(NULL));
    MUST(!hk_range_should_stop(NULL));
    MUST(hk_parallel_for(&range, executor, 0, 1, visit, NULL, &options) == HK_EINVAL);
    options = (hk_range_options){.limit = -2};
    MUST(hk_parallel_for(&range, executor, 0, 1, visit, NULL, &options) == HK_EINVAL);
    options = (hk_range_options){.priority = (hk_priority)2};
    MUST(hk_parallel_for(&range, executor, 0, 1, visit, NULL, &options) == HK_EINVAL);
    return NULL;
}

static void misuse_is_refused(void)
{
    play(misuse);
}

static void what_sees_no_memory_takes_no_range(void)
{
    hk_executor *roundtrip;
    struct trouble trouble = {0};
    hk_range range;

    if (hkt_is_processes()) {
        HKT_STATUS(hk_parallel_for(&range, hkt_executor, 0, 1, end_executor, &trouble, NULL),
                   HK_EPORTABLE);
        return;
    }
    HKT_OK_FATAL(
        hkt_executor_create((hk_executor_options){.workers = 1, .roundtrip = true}, &roundtrip));
    HKT_STATUS(hk_parallel_for(&range, roundtrip, 0, 1, end_executor, &trouble, NULL),
               HK_EPORTABLE);
    HKT_EQ_INT(trouble.pieces, 0);
    HKT_OK(hk_executor_destroy(roundtrip));
}

/* --- Executors upon the one under test --- */

struct strand {
    hk_executor *serial;
    long sum; /* Plain: one at a time. */
};

static hk_status add_plainly(hk_range *range, size_t begin, size_t end, void *context)
{
    struct strand *strand = context;

    (void)range;
    for (size_t i = begin; i < end; i++) {
        strand->sum += (long)i;
    }
    return HK_OK;
}

HK_TASK(range_in_strand)
{
    struct strand *strand = (struct strand *)(uintptr_t)in;
    hk_range range;

    return hk_parallel_for(&range, strand->serial, 0, 1000, add_plainly, strand, NULL);
}

static void a_serial_executor_runs_a_range_in_its_turn(void)
{
    struct strand strand = {0};
    hk_future *tasks[8];
    hk_range range;

    if (hkt_is_processes()) {
        return;
    }
    HKT_OK_FATAL(hk_serial_create(hkt_executor, NULL, &strand.serial));
    for (int i = 0; i < 8; i++) {
        tasks[i] = hkt_submit_ref(strand.serial, range_in_strand, &strand);
    }
    HKT_OK(hk_parallel_for(&range, strand.serial, 0, 1000, add_plainly, &strand, NULL));
    for (int i = 0; i < 8; i++) {
        hkt_expect_end(tasks[i], HK_OK);
    }
    HKT_EQ_INT(strand.sum, 9L * 499500);
    HKT_OK(hk_executor_destroy(strand.serial));
}

static CU_TestInfo tests[] = {
    HKT_TEST(every_index_is_in_one_piece),
    HKT_TEST(indices_may_be_as_large_as_they_can),
    HKT_TEST(a_range_may_be_begun_and_ended_later),
    HKT_TEST(a_piece_may_run_a_range),
    HKT_TEST(a_piece_may_submit_and_wait),
    HKT_TEST(the_first_failure_ends_a_range),
    HKT_TEST(a_token_ends_a_range),
    HKT_TEST(a_limit_ends_a_range),
    HKT_TEST(a_drain_finishes_a_range),
    HKT_TEST(a_hard_shutdown_skips_the_rest),
    HKT_TEST(misuse_is_refused),
    HKT_TEST(what_sees_no_memory_takes_no_range),
    HKT_TEST(a_serial_executor_runs_a_range_in_its_turn),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "range",
     .pTests = tests,
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
