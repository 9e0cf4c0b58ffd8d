/* SPDX-License-Identifier: MIT */
/*
 * Objects that are used after their end, ended twice, or ended by their own tasks, callbacks,
 * sources and drop functions.
 */
#include <stdio.h>
#include <string.h>

#include "tests/fixture.h"

/* --- Executors that their own functions end --- */

static atomic_int answers;  /* How often the destroy was refused as it should. */
static atomic_uint strange; /* Other answers. */

static void try_to_destroy(hk_executor *executor)
{
    if (hk_executor_destroy(executor) == HK_EDEADLK &&
        hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER) == HK_EDEADLK) {
        atomic_fetch_add(&answers, 1);
    } else {
        atomic_fetch_add(&strange, 1);
    }
}

static void expect_answers(int count)
{
    HKT_EQ_INT(atomic_exchange(&answers, 0), count);
    HKT_EQ_INT(atomic_exchange(&strange, 0), 0);
}

HK_TASK(destroys_its_executor)
{
    try_to_destroy(hk_call_executor(call));
    return HK_OK;
}

static const char *const specs[] = {"inline", "threads:1", "threads:4", "serial:threads:2",
                                    "replay:1"};
enum { SPECS = sizeof(specs) / sizeof(specs[0]) };

static hk_executor *open_spec(const char *spec)
{
    hk_executor *executor = NULL;

    HKT_OK_FATAL(hk_executor_open(spec, &executor));
    return executor;
}

static void a_task_cannot_destroy_its_executor(void)
{
    for (size_t i = 0; i < SPECS; i++) {
        hk_executor *executor = open_spec(specs[i]);
        hk_future *future = NULL;

        HKT_OK_FATAL(hk_submit(executor, destroys_its_executor, NULL, 0, NULL, &future));
        HKT_OK(hk_future_wait(future, HK_FOREVER));
        hk_future_unref(future);
        HKT_OK(hk_executor_destroy(executor));
        expect_answers(1);
    }
}

static void destroy_in_callback(hk_future *future, void *arg)
{
    (void)future;
    try_to_destroy(arg);
}

static void a_callback_cannot_destroy_its_executor(void)
{
    for (size_t i = 1; i < SPECS; i++) {
        hk_executor *executor = open_spec(specs[i]);
        hk_promise *promise = NULL;
        hk_future *future = NULL;

        HKT_OK_FATAL(hk_promise_create(&promise, &future));
        HKT_OK(hk_future_on_done(future, executor, destroy_in_callback, executor, NULL));
        HKT_OK(hk_promise_set(promise, NULL, 0));
        hk_promise_destroy(promise);
        hk_future_unref(future);
        HKT_OK(hk_executor_destroy(executor)); /* Behind the callback. */
        expect_answers(1);
    }
}

static void destroy_in_drop(void *executor)
{
    try_to_destroy(executor);
}

static void a_drop_cannot_destroy_its_executor(void)
{
    for (size_t i = 0; i < SPECS; i++) {
        hk_executor *executor = open_spec(specs[i]);
        hk_future *future = NULL;

        HKT_OK_FATAL(
            hk_submit_ref(executor, hkt_nothing, executor, destroy_in_drop, NULL, &future));
        HKT_OK(hk_future_wait(future, HK_FOREVER));
        hk_future_unref(future);
        HKT_OK(hk_executor_destroy(executor));
        expect_answers(1);
    }
}

static hk_executor *hooked;

/* What it tries closes the executor: a worker of a pool is held until the pool has its task. */
static hk_status destroy_in_initialiser(hk_call *call, void *arg, void **local)
{
    *local = NULL;
    hkt_gate_wait(arg);
    try_to_destroy(hk_call_executor(call));
    return HK_OK;
}

static void destroy_in_finaliser(void *local, void *arg)
{
    (void)local;
    (void)arg;
    try_to_destroy(hooked);
}

static void an_initialiser_or_finaliser_cannot_destroy_its_executor(void)
{
    struct hkt_gate submitted;
    const hk_executor_options options = {
        .workers = 1,
        .spare_workers = HK_NO_SPARES, /* Which would have both functions called, too. */
        .initializer = destroy_in_initialiser,
        .finalizer = destroy_in_finaliser,
        .worker_arg = &submitted};

    for (int i = 0; i < 2; i++) {
        bool is_inline = i == 0;

        hkt_gate_init(&submitted, "submitted");
        HKT_OK_FATAL(is_inline ? hk_inline_create(&options, &hooked)
                               : hk_thread_pool_create(&options, &hooked));
        if (is_inline) {
            hkt_gate_open(&submitted); /* The submit itself calls the initialiser. */
        }
        HKT_OK(hk_submit(hooked, hkt_nothing, NULL, 0, NULL, NULL));
        hkt_gate_open(&submitted);
        HKT_OK(hk_executor_destroy(hooked));
        expect_answers(2);
        hkt_gate_fini(&submitted);
    }
}

/* --- Calls after the end --- */

static hk_status turns(hk_range *range, size_t begin, size_t end, void *context)
{
    (void)range;
    (void)begin;
    (void)end;
    (void)context;
    return HK_OK;
}

static void a_closed_executor_answers_everything(void)
{
    for (size_t i = 0; i < SPECS; i++) {
        hk_executor *executor = open_spec(specs[i]);
        hk_executor_statistics statistics;
        hk_map_iterator *map = NULL;
        hk_array_source source = {"ab", 2, 1, 0};
        hk_range range;
        hk_status resized;

        HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, 0));
        HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_KILL, HK_FOREVER));
        HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN,
                                    HK_FOREVER)); /* Softer: nothing new. */
        HKT_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL), HK_ECLOSED);
        HKT_STATUS(hk_submit(executor, hkt_echo, specs, 40, NULL, NULL), HK_ECLOSED);
        HKT_STATUS(hk_submit_ref(executor, hkt_nothing, NULL, NULL, NULL, NULL), HK_ECLOSED);
        HKT_STATUS(hk_submit_many(executor, hkt_nothing, "ab", 2, 1, NULL, NULL, NULL), HK_ECLOSED);
        HKT_STATUS(hk_map(executor, hkt_nothing, hk_array_source_next, &source, NULL, &map),
                   HK_ECLOSED);
        HKT_STATUS(hk_parallel_for(&range, executor, 0, 9, turns, NULL, NULL), HK_ECLOSED);
        HKT_STATUS(hk_executor_prestart(executor, HK_FOREVER), HK_ECLOSED);
        resized = hk_executor_resize(executor, 2);
        HKT_TRUE(resized == HK_ECLOSED || resized == HK_EINVAL);
        resized = hk_executor_restart_workers(executor);
        HKT_TRUE(resized == HK_ECLOSED || resized == HK_EINVAL);
        HKT_OK(hk_executor_stats(executor, &statistics));
        HKT_TRUE(hk_executor_name(executor)[0] != '\0');
        HKT_OK(hk_executor_destroy(executor));
    }
}

static void closed_queues_and_rings_answer_everything(void)
{
    hk_queue *queue = NULL;
    hk_ring *ring = NULL;
    void *item = NULL;
    size_t count = 0;
    int fd = -1;

    HKT_OK_FATAL(hk_queue_create(NULL, &queue));
    HKT_OK_FATAL(hk_ring_create(NULL, &ring));
    for (int i = 0; i < 2; i++) {
        HKT_OK(hk_queue_close(queue));
        HKT_OK(hk_ring_close(ring));
    }
    HKT_STATUS(hk_queue_put(queue, NULL, HK_FOREVER), HK_ECLOSED);
    HKT_STATUS(hk_queue_put_many(queue, &item, 1, HK_FOREVER, &count), HK_ECLOSED);
    HKT_STATUS(hk_queue_get(queue, HK_FOREVER, &item), HK_EDONE);
    HKT_STATUS(hk_queue_get_many(queue, HK_FOREVER, &item, 1, &count), HK_EDONE);
    HKT_STATUS(hk_queue_get_any(&queue, 1, HK_FOREVER, &item, NULL), HK_EDONE);
    HKT_OK(hk_queue_select(&queue, 1, HK_FOREVER, &count));
    HKT_OK(hk_queue_join(queue, HK_FOREVER));
    HKT_OK(hk_queue_fd(queue, &fd));
    HKT_STATUS(hk_queue_task_done(queue, 1), HK_ESTATE);
    HKT_STATUS(hk_ring_put(ring, NULL, HK_FOREVER), HK_ECLOSED);
    HKT_STATUS(hk_ring_put_many(ring, &item, 1, HK_FOREVER, &count), HK_ECLOSED);
    HKT_STATUS(hk_ring_get(ring, HK_FOREVER, &item), HK_EDONE);
    HKT_STATUS(hk_ring_get_many(ring, HK_FOREVER, &item, 1, &count), HK_EDONE);
    HKT_OK(hk_ring_join(ring, HK_FOREVER));
    HKT_OK(hk_ring_fd(ring, &fd));
    HKT_STATUS(hk_ring_task_done(ring, 1), HK_ESTATE);
    HKT_OK(hk_queue_destroy(queue));
    HKT_OK(hk_ring_destroy(ring));
}

static hk_status make(void *arg, void **object)
{
    *object = arg;
    return HK_OK;
}

static void what_the_caller_owns_may_be_destroyed_twice(void)
{
    static int something;
    static hk_local local = HK_LOCAL_INIT(make, NULL, &something);
    hk_lazy lazy = HK_LAZY_INIT("lazy", make, NULL, &something);
    hk_latch latch = HK_LATCH_INIT("latch", 1);
    hk_lock lock = HK_LOCK_INIT("lock");
    hk_rwlock rwlock = HK_RWLOCK_INIT("rwlock");
    hk_value value = {NULL, 0, NULL, NULL};
    void *object = NULL;

    for (int i = 0; i < 3; i++) {
        HKT_EQ_PTR(hk_local_get(&local), &something);
        HKT_OK(hk_local_destroy(&local));
        HKT_OK(hk_local_destroy(&local));
        HKT_OK(hk_lazy_get(&lazy, &object));
        hk_lazy_destroy(&lazy);
        hk_lazy_destroy(&lazy);
        HKT_OK(hk_latch_bind(&latch));
        hk_latch_destroy(&latch);
        hk_latch_destroy(&latch);
        HKT_OK(hk_lock_acquire(&lock));
        HKT_STATUS(hk_lock_destroy(&lock), HK_ESTATE);
        HKT_OK(hk_lock_release(&lock));
        HKT_STATUS(hk_lock_release(&lock), HK_EPERM);
        HKT_OK(hk_lock_destroy(&lock));
        HKT_OK(hk_lock_destroy(&lock));
        HKT_OK(hk_rwlock_read(&rwlock));
        HKT_STATUS(hk_rwlock_destroy(&rwlock), HK_ESTATE);
        HKT_OK(hk_rwlock_release(&rwlock));
        HKT_OK(hk_rwlock_destroy(&rwlock));
        HKT_OK(hk_rwlock_destroy(&rwlock));
        hk_value_drop(&value);
    }
}

/* --- Callbacks that end what they are told of --- */

static hk_completion *completion;
static hk_hook *hook;
static hk_hook *other_hook;
static unsigned calls;

static void end_everything(hk_future *future, void *arg)
{
    (void)arg;
    calls++;
    HKT_STATUS(hk_hook_remove(hook), HK_ESTATE);
    HKT_OK(hk_hook_remove(other_hook));
    hk_completion_destroy(completion);
    hk_future_unref(future); /* The last one but the library's own. */
}

static void never_called(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    calls += 100;
}

static void a_callback_may_end_what_it_is_told_of(void)
{
    hk_promise *promise = NULL;
    hk_future *future = NULL;

    calls = 0;
    HKT_OK_FATAL(hk_promise_create(&promise, &future));
    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, future, 0));
    HKT_OK(hk_future_on_done(future, NULL, end_everything, NULL, &hook));
    HKT_OK(hk_future_on_done(future, NULL, never_called, NULL, &other_hook));
    HKT_OK(hk_promise_set(promise, "value", 6));
    hk_promise_destroy(promise);
    HKT_EQ_INT(calls, 1);
}

static void unref_arg(hk_future *future, void *arg)
{
    (void)future;
    hk_future_unref(arg);
    calls++;
}

static void the_last_reference_may_go_anywhere(void)
{
    hk_promise *promise = NULL;
    hk_future *source = NULL;
    hk_future *all = NULL;

    calls = 0;
    HKT_OK_FATAL(hk_promise_create(&promise, &source));
    HKT_OK_FATAL(hk_when_all(&source, 1, &all));
    HKT_OK(hk_future_on_done(source, NULL, unref_arg, all, NULL));
    HKT_OK(hk_future_on_done(all, NULL, unref_arg, source, NULL));
    HKT_OK(hk_promise_set(promise, NULL, 0));
    hk_promise_destroy(promise);
    HKT_EQ_INT(calls, 2);
}

/* --- Maps that their own source uses --- */

static hk_map_iterator *map;
static hk_status in_source;
static unsigned pulls;

static hk_status uses_its_map(void *state, hk_map_input *input)
{
    hk_map_item item;

    (void)state;
    if (map != NULL && pulls++ == 0) {
        in_source = hk_map_next(map, HK_FOREVER, &item);
    }
    if (pulls > 1) {
        return HK_EDONE;
    }
    input->data = "x";
    input->size = 1;
    return HK_OK;
}

static void a_source_cannot_read_its_map(void)
{
    hk_executor *executor = open_spec("inline");
    hk_map_item item;
    unsigned count = 0;
    hk_status status;

    map = NULL;
    pulls = 0;
    in_source = HK_OK;
    HKT_OK_FATAL(hk_map(executor, hkt_nothing, uses_its_map, NULL,
                        (&(hk_map_options){.window = 1, .chunk = 1}), &map));
    while ((status = hk_map_next(map, HK_FOREVER, &item)) == HK_OK) {
        hk_map_item_drop(&item);
        count++;
    }
    HKT_STATUS(status, HK_EDONE);
    HKT_STATUS(in_source, HK_ESTATE);
    HKT_TRUE(count >= 1);
    hk_map_destroy(map);
    HKT_OK(hk_executor_destroy(executor));
}

/* --- Maps that their items' drop functions end --- */

static unsigned dropped_items;

static void ends_the_map(void *value)
{
    (void)value;
    if (dropped_items++ == 0) {
        hk_map_destroy(map);
    }
}

static hk_status gives_references(void *state, hk_map_input *input)
{
    static int object;

    (void)state;
    *input = (hk_map_input){&object, HK_BY_REF, ends_the_map};
    return HK_OK;
}

static void a_drop_function_may_destroy_the_map_that_is_cancelled(void)
{
    hk_executor *executor = open_spec("threads:1");
    struct hkt_plug plug;

    dropped_items = 0;
    hkt_plug_insert(&plug, executor, 1);
    HKT_OK_FATAL(hk_map(executor, hkt_nothing, gives_references, NULL,
                        (&(hk_map_options){.window = 4, .chunk = 2}), &map));
    HKT_OK(hk_map_cancel(map));
    HKT_TRUE(dropped_items >= 1);
    hkt_plug_pull(&plug);
    HKT_OK(hk_executor_destroy(executor));
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_task_cannot_destroy_its_executor),
    HKT_TEST(a_callback_cannot_destroy_its_executor),
    HKT_TEST(a_drop_cannot_destroy_its_executor),
    HKT_TEST(an_initialiser_or_finaliser_cannot_destroy_its_executor),
    HKT_TEST(a_closed_executor_answers_everything),
    HKT_TEST(closed_queues_and_rings_answer_everything),
    HKT_TEST(what_the_caller_owns_may_be_destroyed_twice),
    HKT_TEST(a_callback_may_end_what_it_is_told_of),
    HKT_TEST(the_last_reference_may_go_anywhere),
    HKT_TEST(a_source_cannot_read_its_map),
    HKT_TEST(a_drop_function_may_destroy_the_map_that_is_cancelled),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "misuse_life", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
