/* SPDX-License-Identifier: MIT */
/*
 * An executor that a user writes: a queue that runs when somebody pumps it, as an
 * event loop would. What it does not do itself comes from the library.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "tests/fixture.h"

/* --- The back end --- */

/* Jobs from first to last, linked by their slots; nothing runs by itself. */
struct pump {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    hk_job *first;
    hk_job *last;
    size_t queued;
    size_t capacity;
    unsigned removed;
    unsigned shutdowns;
    unsigned destroyed;
    unsigned running;
    hk_shutdown_how how;
    bool closed;
};

static hk_job *next_of(hk_job *job)
{
    return *hk_job_slot(job);
}

static hk_status pump_submit(void *self, hk_job *job, hk_duration queue_wait)
{
    struct pump *pump = self;
    hk_status status = HK_OK;

    (void)queue_wait;
    pthread_mutex_lock(&pump->mutex);
    if (pump->closed) {
        status = HK_ECLOSED;
    } else if (pump->queued == pump->capacity) {
        status = HK_EFULL;
    } else {
        HKT_EQ_PTR(next_of(job), NULL);
        *(pump->last == NULL ? (void **)&pump->first : hk_job_slot(pump->last)) = job;
        pump->last = job;
        pump->queued++;
    }
    pthread_mutex_unlock(&pump->mutex);
    return status;
}

/* Takes the first job whose address is wanted, or the very first for NULL. */
static hk_job *take(struct pump *pump, hk_job *wanted)
{
    hk_job *before = NULL;
    hk_job *job;

    for (job = pump->first; job != NULL && wanted != NULL && job != wanted; job = next_of(job)) {
        before = job;
    }
    if (job == NULL) {
        return NULL;
    }
    if (before == NULL) {
        pump->first = next_of(job);
    } else {
        *hk_job_slot(before) = next_of(job);
    }
    if (pump->last == job) {
        pump->last = before;
    }
    *hk_job_slot(job) = NULL;
    pump->queued--;
    return job;
}

static bool pump_remove(void *self, hk_job *job)
{
    struct pump *pump = self;
    bool found;

    pthread_mutex_lock(&pump->mutex);
    found = take(pump, job) != NULL;
    pump->removed += found;
    pthread_cond_broadcast(&pump->ended);
    pthread_mutex_unlock(&pump->mutex);
    return found;
}

/* Runs (or discards) the first job; false when there is none. */
static bool pump_step(struct pump *pump, bool discard, bool *ran)
{
    hk_job *job;

    pthread_mutex_lock(&pump->mutex);
    job = take(pump, NULL);
    pump->running += job != NULL;
    pthread_mutex_unlock(&pump->mutex);
    if (job == NULL) {
        return false;
    }
    if (discard) {
        hk_job_discard(job, HK_ECANCELED, "the pump stopped");
    } else {
        *ran = hk_job_run(job, pump, "the pump");
    }
    pthread_mutex_lock(&pump->mutex);
    pump->running--;
    pthread_cond_broadcast(&pump->ended);
    pthread_mutex_unlock(&pump->mutex);
    return true;
}

static void pump_shutdown(void *self, hk_shutdown_how how)
{
    struct pump *pump = self;
    bool ran;

    pthread_mutex_lock(&pump->mutex);
    HKT_TRUE(pump->shutdowns == 0 || how > pump->how);
    pump->closed = true;
    pump->how = how;
    pump->shutdowns++;
    pthread_mutex_unlock(&pump->mutex);
    while (how > HK_SHUTDOWN_DRAIN && pump_step(pump, true, &ran)) {
    }
}

/* Nobody else pumps at the end, so who joins does. */
static hk_status pump_join(void *self, hk_duration timeout)
{
    struct pump *pump = self;
    bool ran;

    (void)timeout;
    while (pump_step(pump, false, &ran)) {
    }
    pthread_mutex_lock(&pump->mutex);
    while (pump->running > 0) {
        pthread_cond_wait(&pump->ended, &pump->mutex);
    }
    pthread_mutex_unlock(&pump->mutex);
    return HK_OK;
}

static void pump_destroy(void *self)
{
    struct pump *pump = self;

    HKT_EQ_INT(pump->queued, 0);
    pump->destroyed++;
}

static void pump_statistics(void *self, hk_executor_statistics *statistics)
{
    struct pump *pump = self;

    pthread_mutex_lock(&pump->mutex);
    statistics->queued = pump->queued;
    statistics->workers = 1;
    pthread_mutex_unlock(&pump->mutex);
}

static const hk_executor_ops pump_ops = {
    .size = sizeof(hk_executor_ops),
    .kind = "pump",
    .flags = HK_EXECUTOR_SHARES_MEMORY,
    .submit = pump_submit,
    .remove = pump_remove,
    .shutdown = pump_shutdown,
    .join = pump_join,
    .destroy = pump_destroy,
    .statistics = pump_statistics,
};

static struct pump pump;
static hk_executor *executor;

static void set_up_with(const hk_executor_ops *ops)
{
    memset(&pump, 0, sizeof(pump));
    pump.capacity = 100;
    HKT_EQ_INT_FATAL(pthread_mutex_init(&pump.mutex, NULL), 0);
    HKT_EQ_INT_FATAL(pthread_cond_init(&pump.ended, NULL), 0);
    HKT_OK_FATAL(hk_executor_create(ops, &pump, NULL, &executor));
}

static void set_up(void)
{
    set_up_with(&pump_ops);
}

static void tear_down(void)
{
    if (executor != NULL) {
        HKT_OK(hk_executor_destroy(executor));
        executor = NULL;
    }
    HKT_EQ_INT(pump.destroyed, 1);
    pthread_cond_destroy(&pump.ended);
    pthread_mutex_destroy(&pump.mutex);
}

static unsigned run_all(void)
{
    unsigned count = 0;
    bool ran = false;

    while (pump_step(&pump, false, &ran)) {
        count += ran;
    }
    return count;
}

/* --- Running --- */

static void jobs_run_when_they_are_pumped(void)
{
    hk_future *futures[5];

    for (int i = 0; i < 5; i++) {
        futures[i] = hkt_submit_int(executor, hkt_square, i);
        HKT_EQ_INT(hk_future_state(futures[i]), HK_PENDING);
    }
    HKT_EQ_INT(hkt_stats(executor).queued, 5);
    HKT_EQ_INT(run_all(), 5);
    for (int i = 0; i < 5; i++) {
        HKT_EQ_INT(hk_future_state(futures[i]), HK_DONE);
        HKT_EQ_INT(hkt_take_int(futures[i]), i * i);
    }
    HKT_EQ_INT(hkt_stats(executor).done, 5);
    HKT_EQ_INT(hkt_stats(executor).workers, 1);
}

HK_TASK(looks_at_its_pump)
{
    if (hk_call_worker_local(call) != &pump || hk_call_executor(call) != executor) {
        return hk_fail(call, 1, "not the pump's");
    }
    return hk_fail(call, 2, "all well");
}

static void a_task_knows_its_back_end(void)
{
    const hk_error *error = NULL;
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(executor, looks_at_its_pump, NULL, 0, NULL, &future));
    HKT_EQ_INT(run_all(), 1);
    HKT_STATUS(hk_future_result(future, 0, NULL, NULL), HK_EFAILED);
    HKT_OK_FATAL(hk_future_error(future, 0, &error));
    HKT_EQ_INT(error->app_code, 2);
    HKT_TRUE(strstr(error->where, "the pump") != NULL);
    hk_future_unref(future);
}

static void the_name_tells_the_kind(void)
{
    HKT_TRUE(strstr(hk_executor_name(executor), "pump") != NULL);
}

static void a_job_knows_its_lane(void)
{
    hk_submit_options high = {.priority = HK_PRIORITY_HIGH};
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(executor, hkt_nothing, NULL, 0, &high, &future));
    HKT_EQ_INT(hk_job_priority(pump.first), HK_PRIORITY_HIGH);
    HKT_EQ_INT(run_all(), 1);
    hkt_expect_end(future, HK_OK);
}

/* --- Ends without a run --- */

static void a_cancelled_job_is_removed(void)
{
    atomic_uint drops = 0;
    hk_future *future = NULL;
    hk_future *other = hkt_submit_int(executor, hkt_square, 2);

    HKT_OK_FATAL(hk_submit_ref(executor, hkt_counts, &drops, hkt_count_drop, NULL, &future));
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    HKT_EQ_INT(atomic_load(&drops), 1);
    HKT_EQ_INT(pump.removed, 1);
    HKT_EQ_INT(pump.queued, 1);
    HKT_EQ_INT(run_all(), 1);
    HKT_EQ_INT(hkt_take_int(other), 4);
    hkt_expect_end(future, HK_ECANCELED);
    HKT_EQ_INT(atomic_load(&drops), 1);
}

static void without_remove_a_cancelled_job_is_released_by_its_run(void)
{
    hk_executor_ops ops = pump_ops;
    atomic_uint drops = 0;
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_executor_destroy(executor));
    ops.remove = NULL;
    set_up_with(&ops);
    HKT_OK_FATAL(hk_submit_ref(executor, hkt_counts, &drops, hkt_count_drop, NULL, &future));
    HKT_OK(hk_future_cancel(future, HK_CANCEL_PENDING));
    HKT_EQ_INT(hk_future_state(future), HK_CANCELLED);
    HKT_EQ_INT(atomic_load(&drops), 1); /* At once, though the job is still queued. */
    HKT_EQ_INT(pump.queued, 1);
    HKT_EQ_INT(run_all(), 0); /* It was there, and did not run. */
    HKT_EQ_INT(pump.queued, 0);
    HKT_EQ_INT(atomic_load(&drops), 1);
    hk_future_unref(future);
    HKT_OK(hk_executor_destroy(executor)); /* Before its table goes. */
    executor = NULL;
}

static void a_discarded_job_ends_as_told(void)
{
    static const hk_status ends[] = {HK_ECANCELED, HK_EWORKER, HK_EFULL};
    atomic_uint drops = 0;

    for (unsigned i = 0; i < 3; i++) {
        hk_future *future = NULL;
        hk_job *job;

        HKT_OK_FATAL(hk_submit_ref(executor, hkt_counts, &drops, hkt_count_drop, NULL, &future));
        job = take(&pump, NULL);
        HKT_TRUE_FATAL(job != NULL);
        hk_job_discard(job, ends[i], "the cable was cut");
        HKT_STATUS(hk_future_result(future, 0, NULL, NULL), ends[i]);
        HKT_EQ_INT(hk_future_state(future), i == 0 ? HK_CANCELLED : HK_FAILED);
        HKT_TRUE(strstr(hk_future_why(future), "the cable was cut") != NULL);
        HKT_EQ_INT(atomic_load(&drops), i + 1);
        hk_future_unref(future);
    }
}

/* A wait that says so has not come to the end. */
static void no_end_is_taken_for_an_answer_about_a_wait(void)
{
    static const hk_status statuses[] = {HK_OK, HK_ETIMEDOUT, HK_EDEADLK, HK_EFORKED, HK_EINVAL};

    for (unsigned i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        hk_future *future = NULL;
        const hk_error *error = NULL;
        hk_job *job;

        HKT_OK_FATAL(hk_submit(executor, hkt_nothing, NULL, 0, NULL, &future));
        job = take(&pump, NULL);
        HKT_TRUE_FATAL(job != NULL);
        hk_job_discard(job, statuses[i], "the cable was cut");
        HKT_STATUS(hk_future_result(future, 0, NULL, NULL), HK_EFAILED);
        HKT_OK_FATAL(hk_future_error(future, 0, &error));
        HKT_EQ_STR(error->message, "the cable was cut");
        HKT_TRUE((error->cause == NULL) == (statuses[i] == HK_OK));
        HKT_TRUE(error->cause == NULL || error->cause->status == statuses[i]);
        hk_future_unref(future);
    }
}

static void a_deadline_ends_a_queued_job(void)
{
    hk_submit_options options = {.deadline = HK_MS(2)};
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(executor, hkt_nothing, NULL, 0, &options, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    HKT_EQ_INT(run_all(), 0);
    hk_future_unref(future);
}

static void a_token_cancels_a_queued_job(void)
{
    hk_submit_options options = {0};
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_cancel_token_create(NULL, &options.token));
    HKT_OK_FATAL(hk_submit(executor, hkt_nothing, NULL, 0, &options, &future));
    HKT_OK(hk_cancel_token_fire(options.token, "no more"));
    hkt_expect_end(future, HK_ECANCELED);
    HKT_EQ_INT(pump.queued, 0);
    hk_cancel_token_unref(options.token);
}

static void a_refusal_of_the_back_end_is_the_submits(void)
{
    atomic_uint drops = 0;
    hk_future *future = NULL;

    pump.capacity = 0;
    HKT_STATUS(hk_submit_ref(executor, hkt_counts, &drops, hkt_count_drop, NULL, &future),
               HK_EFULL);
    HKT_STATUS(hk_submit(executor, hkt_square, "abcd", 4, NULL, &future), HK_EFULL);
    HKT_EQ_PTR(future, NULL);
    HKT_EQ_INT(atomic_load(&drops), 0);
    HKT_EQ_INT(hkt_stats(executor).submitted, 0);
    HKT_EQ_INT(hkt_stats(executor).refused, 2);
}

/* --- Shutdown --- */

static void a_shutdown_reaches_the_back_end_with_rising_hardness(void)
{
    hk_future *future = hkt_submit_int(executor, hkt_square, 3);

    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, 0));
    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, 0));
    HKT_EQ_INT(pump.shutdowns, 1);
    HKT_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, NULL), HK_ECLOSED);
    HKT_EQ_INT(hk_future_state(future), HK_PENDING);
    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_CANCEL_QUEUED, 0));
    HKT_EQ_INT(pump.shutdowns, 2);
    HKT_EQ_INT(pump.how, HK_SHUTDOWN_CANCEL_QUEUED);
    hkt_expect_end(future, HK_ECANCELED);
}

static void destroy_drains_the_back_end(void)
{
    hk_future *future = hkt_submit_int(executor, hkt_square, 5);

    HKT_OK(hk_executor_destroy(executor));
    executor = NULL;
    HKT_EQ_INT(hkt_take_int(future), 25);
}

/* --- What the table may lack --- */

static void a_table_without_its_needs_is_refused(void)
{
    hk_executor_ops broken[6];
    hk_executor *none = NULL;

    for (int i = 0; i < 6; i++) {
        broken[i] = pump_ops;
    }
    broken[0].submit = NULL;
    broken[1].shutdown = NULL;
    broken[2].join = NULL;
    broken[3].destroy = NULL;
    broken[4].size = 8;
    broken[5].kind = NULL;
    for (int i = 0; i < 6; i++) {
        HKT_STATUS(hk_executor_create(&broken[i], &pump, NULL, &none), HK_EINVAL);
    }
    HKT_STATUS(hk_executor_create(NULL, &pump, NULL, &none), HK_EINVAL);
    HKT_STATUS(hk_executor_create(&pump_ops, &pump, NULL, NULL), HK_EINVAL);
    HKT_STATUS(
        hk_executor_create(&pump_ops, &pump, &(hk_executor_options){.task_timeout = -2}, &none),
        HK_EINVAL);
    HKT_EQ_PTR(none, NULL);
    HKT_EQ_INT(pump.destroyed, 0); /* Untouched. */
}

static void what_is_optional_has_an_answer(void)
{
    hk_executor_ops ops = pump_ops;

    HKT_STATUS(hk_executor_resize(executor, 3), HK_EINVAL);
    HKT_OK(hk_executor_destroy(executor));
    ops.statistics = NULL;
    ops.flags = 0;
    set_up_with(&ops);
    HKT_EQ_INT(hkt_stats(executor).workers, 0);
    HKT_OK(hk_executor_destroy(executor));
    executor = NULL;
}

static void what_shares_no_memory_takes_no_reference(void)
{
    hk_executor_ops ops = pump_ops;
    atomic_uint drops = 0;
    hk_executor *none = NULL;

    HKT_OK_FATAL(hk_executor_destroy(executor));
    ops.flags = 0;
    set_up_with(&ops);
    HKT_STATUS(hk_submit_ref(executor, hkt_counts, &drops, hkt_count_drop, NULL, NULL),
               HK_EPORTABLE);
    HKT_EQ_INT(atomic_load(&drops), 0);
    HKT_STATUS(hk_serial_create(executor, NULL, &none), HK_EPORTABLE);
    HKT_EQ_PTR(none, NULL);
    HKT_OK(hk_executor_destroy(executor));
    executor = NULL;
}

/* --- What stands on executors stands on this one --- */

static void *pump_until_closed(void *arg)
{
    bool ran;
    bool closed;

    (void)arg;
    do {
        while (pump_step(&pump, false, &ran)) {
        }
        pthread_mutex_lock(&pump.mutex);
        closed = pump.closed && pump.queued == 0;
        pthread_mutex_unlock(&pump.mutex);
        sched_yield();
    } while (!closed);
    return NULL;
}

static void maps_and_serials_stand_on_it(void)
{
    static const int numbers[] = {1, 2, 3, 4};
    hk_array_source source = {.items = numbers, .count = 4, .stride = sizeof(numbers[0])};
    hk_map_iterator *iterator = NULL;
    hk_executor *serial = NULL;
    hk_map_item item;
    pthread_t thread;
    int sum = 0;

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, pump_until_closed, NULL), 0);
    HKT_OK_FATAL(hk_map(executor, hkt_square, hk_array_source_next, &source, NULL, &iterator));
    while (hk_map_next(iterator, HK_FOREVER, &item) == HK_OK) {
        sum += *(const int *)item.data;
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
    HKT_EQ_INT(sum, 30);
    HKT_OK_FATAL(hk_serial_create(executor, NULL, &serial));
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(serial, hkt_square, 6)), 36);
    HKT_OK(hk_executor_destroy(serial));
    HKT_OK(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, 0));
    pthread_join(thread, NULL);
}

static CU_TestInfo tests[] = {
    HKT_CASE("jobs run when they are pumped", jobs_run_when_they_are_pumped),
    HKT_CASE("a task knows its back end", a_task_knows_its_back_end),
    HKT_CASE("the name tells the kind", the_name_tells_the_kind),
    HKT_CASE("a job knows its lane", a_job_knows_its_lane),
    HKT_CASE("a cancelled job is removed", a_cancelled_job_is_removed),
    HKT_CASE("without remove a cancelled job is released by its run",
             without_remove_a_cancelled_job_is_released_by_its_run),
    HKT_CASE("a discarded job ends as told", a_discarded_job_ends_as_told),
    HKT_CASE("no end is taken for an answer about a wait",
             no_end_is_taken_for_an_answer_about_a_wait),
    HKT_CASE("a deadline ends a queued job", a_deadline_ends_a_queued_job),
    HKT_CASE("a token cancels a queued job", a_token_cancels_a_queued_job),
    HKT_CASE("a refusal of the back end is the submit's", a_refusal_of_the_back_end_is_the_submits),
    HKT_CASE("a shutdown reaches the back end with rising hardness",
             a_shutdown_reaches_the_back_end_with_rising_hardness),
    HKT_CASE("destroy drains the back end", destroy_drains_the_back_end),
    HKT_CASE("a table without its needs is refused", a_table_without_its_needs_is_refused),
    HKT_CASE("what is optional has an answer", what_is_optional_has_an_answer),
    HKT_CASE("what shares no memory takes no reference", what_shares_no_memory_takes_no_reference),
    HKT_CASE("maps and serials stand on it", maps_and_serials_stand_on_it),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "custom_executor", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
