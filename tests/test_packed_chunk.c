/* SPDX-License-Identifier: MIT */
/* Maps whose chunks travel as bytes: the same results as by reference. */
#include <stdlib.h>
#include <string.h>

#include "tests/allocation_fixture.h"
#include "tests/elsewhere_fixture.h"

static struct hkt_elsewhere elsewhere;

/* Values that came back, until the end of a test. */
static unsigned char store[8 << 20];
static size_t stored;

static void set_up(void)
{
    stored = 0;
    hkt_elsewhere_open(&elsewhere, NULL);
}

static void tear_down(void)
{
    if (elsewhere.executor != NULL) {
        hkt_elsewhere_close(&elsewhere);
    }
}

/* --- Tasks --- */

/* By the number: fails at 5, cancels itself at 7, returns an odd status at 9, nothing at 11. */
HK_TASK(has_moods)
{
    int n;

    if (in_size != sizeof(n)) {
        return hk_fail(call, 1, "expected %zu bytes, got %zu", sizeof(n), in_size);
    }
    memcpy(&n, in, sizeof(n));
    switch (n % 12) {
    case 5:
        return hk_fail(call, n, "no luck with %d", n);
    case 7:
        return HK_ECANCELED;
    case 9:
        return HK_ETIMEDOUT;
    case 11:
        return HK_OK;
    default:
        n *= n;
        return hk_return(call, &n, sizeof(n));
    }
}

/* A number -> so many bytes of its own value. */
HK_TASK(grows)
{
    uint32_t size;
    void *out;
    hk_status status;

    memcpy(&size, in, sizeof(size));
    if ((status = hk_return_reserve(call, size, &out)) == HK_OK && size != 0) {
        memset(out, (int)(size & 0xff), size);
    }
    return status;
}

static hk_cancel_token *token;

HK_TASK(fires_the_token_at_three)
{
    int n;

    memcpy(&n, in, sizeof(n));
    if (n == 3) {
        (void)hk_cancel_token_fire(token, "enough");
    }
    return hk_return(call, &n, sizeof(n));
}

/* --- Reading maps --- */

struct ended {
    hk_status status;
    hk_status cause;
    size_t size;
    const unsigned char *data; /* A copy in `store`. */
    char message[160];
    int app_code;
    int line;
};

static const unsigned char *copy_of(const void *data, size_t size)
{
    unsigned char *copy = store + stored;

    HKT_TRUE_FATAL(size <= sizeof(store) - stored);
    if (size != 0) {
        memcpy(copy, data, size);
    }
    stored += size;
    return copy;
}

/* Everything of a map over `count` elements, in order of the items. */
static void map_all(hk_executor *executor, const hk_task *task, const void *items, size_t count,
                    size_t stride, hk_map_options options, struct ended *ends)
{
    hk_array_source source = {.items = items, .count = count, .stride = stride};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;
    size_t came = 0;

    memset(ends, 0, count * sizeof(*ends));
    HKT_OK_FATAL(hk_map(executor, task, hk_array_source_next, &source, &options, &iterator));
    while (hk_map_next(iterator, HK_FOREVER, &item) == HK_OK) {
        struct ended *end = &ends[item.index];

        end->status = item.status;
        end->size = item.size;
        end->data = copy_of(item.data, item.size);
        HKT_TRUE((item.data == NULL) == (item.size == 0));
        if (item.error != NULL) {
            end->cause = item.error->cause == NULL ? HK_OK : item.error->cause->status;
            snprintf(end->message, sizeof(end->message), "%s: %s (%s)", item.error->task,
                     item.error->message, item.error->file);
            end->app_code = item.error->app_code;
            end->line = item.error->line;
        }
        hk_map_item_drop(&item);
        came++;
    }
    HKT_EQ_INT(came, count);
    hk_map_destroy(iterator);
}

static void expect_same(const struct ended *one, const struct ended *other, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        HKT_STATUS(one[i].status, other[i].status);
        HKT_STATUS(one[i].cause, other[i].cause);
        HKT_EQ_STR(one[i].message, other[i].message);
        HKT_EQ_INT(one[i].app_code, other[i].app_code);
        HKT_EQ_INT(one[i].line, other[i].line);
        if (HKT_EQ_INT(one[i].size, other[i].size)) {
            HKT_EQ_INT(memcmp(one[i].data, other[i].data, one[i].size), 0);
        }
    }
}

/* --- The same as by reference --- */

static void results_are_those_of_threads(void)
{
    static const size_t chunks[] = {0, 1, 3, 6, 40, 50};
    hk_executor *pool = hkt_pool_create((hk_executor_options){.workers = 2});
    struct ended here[40];
    struct ended there[40];
    int numbers[40];

    for (int i = 0; i < 40; i++) {
        numbers[i] = i;
    }
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        for (int unordered = 0; unordered < 2; unordered++) {
            hk_map_options options = {.chunk = chunks[i], .unordered = unordered != 0};

            map_all(pool, has_moods, numbers, 40, sizeof(int), options, here);
            map_all(elsewhere.executor, has_moods, numbers, 40, sizeof(int), options, there);
            expect_same(there, here, 40);
        }
    }
    HKT_OK(hk_executor_destroy(pool));
}

static void values_of_any_size_come_back(void)
{
    static const uint32_t sizes[] = {0,  1,    15,    16,     17,     48, 49,
                                     64, 4096, 70000, 300000, 300001, 0,  5};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    struct ended ends[COUNT];

    for (size_t chunk = 1; chunk <= COUNT + 1; chunk += 3) {
        map_all(elsewhere.executor, grows, sizes, COUNT, sizeof(sizes[0]),
                (hk_map_options){.chunk = chunk}, ends);
        for (size_t i = 0; i < COUNT; i++) {
            HKT_OK(ends[i].status);
            HKT_EQ_INT(ends[i].size, sizes[i]);
            for (size_t k = 0; k < ends[i].size; k++) {
                if (ends[i].data[k] != (sizes[i] & 0xff)) {
                    HKT_EQ_INT(ends[i].data[k], sizes[i] & 0xff);
                    break;
                }
            }
        }
    }
}

static void large_items_travel(void)
{
    enum { BYTES = 200000, COUNT = 9 };
    unsigned char *items = malloc((size_t)COUNT * BYTES);
    struct ended ends[COUNT];

    HKT_TRUE_FATAL(items != NULL);
    for (size_t i = 0; i < (size_t)COUNT * BYTES; i++) {
        items[i] = (unsigned char)(i * 7 + i / BYTES);
    }
    map_all(elsewhere.executor, hkt_echo, items, COUNT, BYTES, (hk_map_options){.chunk = 4}, ends);
    for (size_t i = 0; i < COUNT; i++) {
        HKT_EQ_INT(ends[i].size, BYTES);
        HKT_EQ_INT(memcmp(ends[i].data, items + i * BYTES, BYTES), 0);
    }
    free(items);
}

static void items_without_bytes_travel(void)
{
    struct ended ends[10];

    map_all(elsewhere.executor, hkt_echo, "", 10, 0, (hk_map_options){.chunk = 4}, ends);
    for (size_t i = 0; i < 10; i++) {
        HKT_OK(ends[i].status);
        HKT_EQ_INT(ends[i].size, 0);
    }
}

static void the_limit_of_a_payload_is_for_an_item(void)
{
    hk_executor_options options = {.max_payload = 8};
    const uint32_t sizes[] = {8, 8, 9, 8, 8, 8, 8, 8, 8, 8};
    struct ended ends[10];

    hkt_elsewhere_close(&elsewhere);
    hkt_elsewhere_open(&elsewhere, &options);
    map_all(elsewhere.executor, grows, sizes, 10, sizeof(sizes[0]), (hk_map_options){.chunk = 5},
            ends);
    for (size_t i = 0; i < 10; i++) {
        HKT_STATUS(ends[i].status, i == 2 ? HK_EFAILED : HK_OK);
        HKT_STATUS(ends[i].cause, i == 2 ? HK_ETOOBIG : HK_OK);
    }
}

static void small_items_travel_together(void)
{
    enum { ITEMS = 5000 };
    static int numbers[ITEMS];
    hk_array_source source = {.items = numbers, .count = ITEMS, .stride = sizeof(int)};
    hk_map_options options = {.count = ITEMS};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    HKT_OK_FATAL(hk_map(elsewhere.executor, hkt_nothing, hk_array_source_next, &source, &options,
                        &iterator));
    for (int i = 0; i < ITEMS; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_EQ_INT(item.index, i);
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
    /* What an item took comes back with the results. */
    HKT_TRUE(hkt_stats(elsewhere.executor).submitted < ITEMS / 2);
}

/* The same item for ever. */
static hk_status next_same(void *state, hk_map_input *input)
{
    *input = *(const hk_map_input *)state;
    return HK_OK;
}

static void a_chunk_does_not_grow_beyond_all_bounds(void)
{
    enum { ITEMS = 300, BYTES = 64 << 10 };
    static unsigned char bytes[BYTES];
    hk_map_input same = {.data = bytes, .size = BYTES};
    hk_map_options options = {.window = 1};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    elsewhere.largest_input = 0;
    HKT_OK_FATAL(hk_map(elsewhere.executor, hkt_nothing, next_same, &same, &options, &iterator));
    for (int i = 0; i < ITEMS; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
    HKT_TRUE(elsewhere.largest_input > BYTES && elsewhere.largest_input < 6 * BYTES);
}

static void an_item_outlives_its_map(void)
{
    int numbers[3] = {2, 3, 4};
    hk_array_source source = {.items = numbers, .count = 3, .stride = sizeof(int)};
    hk_map_options options = {.chunk = 3};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;
    int value;

    HKT_OK_FATAL(
        hk_map(elsewhere.executor, hkt_square, hk_array_source_next, &source, &options, &iterator));
    HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
    hk_map_destroy(iterator);
    memcpy(&value, item.data, sizeof(value));
    HKT_EQ_INT(value, 4);
    HKT_EQ_INT((uintptr_t)item.data % 16, 0);
    hk_map_item_drop(&item);
}

static hk_status add(void *accumulator, const hk_map_item *item)
{
    int value;

    HKT_OK(item->status);
    memcpy(&value, item->data, sizeof(value));
    *(long *)accumulator += value;
    return HK_OK;
}

static void a_reduction_runs_in_the_caller(void)
{
    int numbers[20];
    hk_array_source source = {.items = numbers, .count = 20, .stride = sizeof(int)};
    hk_map_options options = {.chunk = 6};
    long sum = 0;

    for (int i = 0; i < 20; i++) {
        numbers[i] = i;
    }
    HKT_OK(hk_map_reduce(elsewhere.executor, hkt_square, hk_array_source_next, &source, add, &sum,
                         &options));
    HKT_EQ_INT(sum, 2470);
}

/* --- Ends of another kind --- */

static void a_fired_token_leaves_what_was_finished(void)
{
    hk_map_options options = {.chunk = 6};
    struct ended ends[6];
    int numbers[6] = {0, 1, 2, 3, 4, 5};

    HKT_OK_FATAL(hk_cancel_token_create(NULL, &token));
    options.token = token;
    map_all(elsewhere.executor, fires_the_token_at_three, numbers, 6, sizeof(int), options, ends);
    for (int i = 0; i < 6; i++) {
        HKT_STATUS(ends[i].status, i <= 3 ? HK_OK : HK_ECANCELED);
        HKT_EQ_INT(ends[i].size, i <= 3 ? sizeof(int) : 0);
    }
    hk_cancel_token_unref(token);
}

static void the_limit_of_an_item_is_judged_in_a_chunk(void)
{
    hk_map_options options = {.chunk = 3, .timeout = 1};
    struct ended ends[3];
    int numbers[3] = {1, 2, 3};

    map_all(elsewhere.executor, hkt_square, numbers, 3, sizeof(int), options, ends);
    for (int i = 0; i < 3; i++) {
        HKT_STATUS(ends[i].status, HK_EDEADLINE);
        HKT_TRUE(strstr(ends[i].message, "longer than its limit") != NULL);
    }
}

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
    hk_map_options options = {.chunk = 3};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;

    HKT_OK_FATAL(
        hk_map(elsewhere.executor, hkt_counts, next_reference, &drops, &options, &iterator));
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EPORTABLE);
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
    HKT_EQ_INT(atomic_load(&drops), 1);
}

/* Its name would travel beside the items. */
static void a_task_without_a_name_is_refused(void)
{
    const hk_task nameless = {NULL, hkt_square->run, 0, "", 0};
    int number = 3;
    hk_array_source source = {.items = &number, .count = 1, .stride = sizeof(number)};
    hk_map_iterator *iterator = NULL;

    HKT_STATUS(
        hk_map(elsewhere.executor, &nameless, hk_array_source_next, &source, NULL, &iterator),
        HK_EINVAL);
}

static void what_was_refused_is_sent_again(void)
{
    enum { ITEMS = 3 * (HKT_HELD_MAX + 2) };
    int numbers[ITEMS] = {0};
    hk_array_source source = {.items = numbers, .count = ITEMS, .stride = sizeof(int)};
    hk_map_options options = {.chunk = 3, .window = HKT_HELD_MAX + 2};
    hk_map_iterator *iterator = NULL;
    hk_map_item item;
    int came = 0;

    elsewhere.holds = true;
    HKT_OK_FATAL(
        hk_map(elsewhere.executor, hkt_square, hk_array_source_next, &source, &options, &iterator));
    HKT_EQ_INT(elsewhere.held_count, HKT_HELD_MAX); /* One more was refused. */
    elsewhere.holds = false;
    for (size_t i = 0; i < elsewhere.held_count; i++) {
        HKT_TRUE(hk_job_run(elsewhere.held[i], NULL, "later"));
    }
    while (hk_map_next(iterator, HK_FOREVER, &item) == HK_OK) {
        HKT_OK(item.status);
        hk_map_item_drop(&item);
        came++;
    }
    HKT_EQ_INT(came, ITEMS);
    hk_map_destroy(iterator);
}

static void a_map_may_be_closed_while_its_chunks_are_under_way(void)
{
    int numbers[12] = {0};
    hk_array_source source = {.items = numbers, .count = 12, .stride = sizeof(int)};
    hk_map_options options = {.chunk = 3, .window = 4};
    hk_map_iterator *iterator = NULL;

    elsewhere.holds = true;
    HKT_OK_FATAL(
        hk_map(elsewhere.executor, hkt_square, hk_array_source_next, &source, &options, &iterator));
    hk_map_destroy(iterator);
    for (size_t i = 0; i < elsewhere.held_count; i++) {
        HKT_TRUE(!hk_job_run(elsewhere.held[i], NULL, "too late"));
    }
}

/* --- Without memory --- */

static hk_status map_some(void)
{
    const uint32_t sizes[6] = {4, 600, 5, 100, 0, 70};
    hk_array_source source = {.items = sizes, .count = 6, .stride = sizeof(sizes[0])};
    hk_map_options options = {.chunk = 3};
    hk_map_iterator *iterator = NULL;
    hk_status status =
        hk_map(elsewhere.executor, grows, hk_array_source_next, &source, &options, &iterator);
    hk_map_item item;

    if (status != HK_OK) {
        return status;
    }
    while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK) {
        HKT_TRUE(item.status != HK_OK || item.size == sizes[item.index]);
        HKT_TRUE(item.status == HK_OK || item.status == HK_ENOMEM || item.status == HK_EFAILED);
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
    return status == HK_EDONE ? HK_OK : status;
}

static void nothing(void)
{
}

static void each_allocation_may_fail(void)
{
    hkt_fail_each_allocation(&(struct hkt_allocation_case){.name = "a packed map",
                                                           .prepare = nothing,
                                                           .call = map_some,
                                                           .clean = nothing,
                                                           .copes = true});
}

/* --- Functions of this process --- */

static void never_called(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    HKT_TRUE(false);
}

static hk_status never_stepped(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    (void)arg;
    HKT_TRUE(false);
    return HK_OK;
}

static void a_function_of_this_process_is_refused(void)
{
    hk_future *future = hkt_submit_int(elsewhere.executor, hkt_square, 3);
    hk_future *step = NULL;
    hk_hook *hook = NULL;
    hk_executor *serial = NULL;

    HKT_STATUS(hk_future_on_done(future, elsewhere.executor, never_called, NULL, &hook),
               HK_EPORTABLE);
    HKT_STATUS(hk_then(future, elsewhere.executor, never_stepped, NULL, &step), HK_EPORTABLE);
    HKT_STATUS(hk_catch(future, elsewhere.executor, never_stepped, NULL, &step), HK_EPORTABLE);
    HKT_STATUS(hk_serial_create(elsewhere.executor, NULL, &serial), HK_EPORTABLE);
    HKT_TRUE(hook == NULL && step == NULL && serial == NULL);
    HKT_EQ_INT(hkt_stats(elsewhere.executor).submitted, 1);
    HKT_EQ_INT(hkt_take_int(future), 9);
}

static CU_TestInfo tests[] = {
    HKT_TEST(results_are_those_of_threads),
    HKT_TEST(values_of_any_size_come_back),
    HKT_TEST(large_items_travel),
    HKT_TEST(items_without_bytes_travel),
    HKT_TEST(the_limit_of_a_payload_is_for_an_item),
    HKT_TEST(small_items_travel_together),
    HKT_TEST(a_chunk_does_not_grow_beyond_all_bounds),
    HKT_TEST(an_item_outlives_its_map),
    HKT_TEST(a_reduction_runs_in_the_caller),
    HKT_TEST(a_fired_token_leaves_what_was_finished),
    HKT_TEST(the_limit_of_an_item_is_judged_in_a_chunk),
    HKT_TEST(an_item_by_reference_is_refused),
    HKT_TEST(a_task_without_a_name_is_refused),
    HKT_TEST(what_was_refused_is_sent_again),
    HKT_TEST(a_map_may_be_closed_while_its_chunks_are_under_way),
    HKT_TEST(each_allocation_may_fail),
    HKT_TEST(a_function_of_this_process_is_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "packed_chunk", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
