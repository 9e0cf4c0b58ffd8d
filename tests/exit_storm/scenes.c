/* SPDX-License-Identifier: MIT */
/* What is under way when the process ends. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/exit_storm/storm.h"

hk_executor *storm_pool;
hk_executor *storm_executors[STORM_EXECUTORS_MAX];
size_t storm_executor_count;

hk_executor *storm_open(const char *spec)
{
    hk_executor *executor = NULL;

    if (hk_executor_open(spec, &executor) != HK_OK) {
        storm_broken(spec);
    }
    if (storm_executor_count < STORM_EXECUTORS_MAX) {
        storm_executors[storm_executor_count++] = executor;
    }
    return executor;
}

void storm_thread(void *(*fn)(void *arg), void *arg)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, fn, arg) != 0 || pthread_detach(thread) != 0) {
        storm_broken("no thread");
    }
}

/* A refusal is right once the end of the process has begun, or of the pool. */
static bool is_end(hk_status status)
{
    return status == HK_ECLOSED || status == HK_ECANCELED;
}

static void submit(hk_executor *pool, const hk_task *task, const hk_submit_options *options)
{
    if (hk_submit(pool, task, NULL, 0, options, NULL) != HK_OK) {
        storm_broken("a submit was refused");
    }
}

/* --- tasks --- */

HK_TASK(storm_works)
{
    storm_spin(20000);
    return HK_OK;
}

/* Asks nobody whether it should stop. */
HK_TASK(storm_is_stubborn)
{
    for (;;) {
        storm_spin(1000000);
    }
    return HK_OK;
}

HK_TASK(storm_listens)
{
    while (!hk_should_stop(call)) {
        storm_spin(1000);
    }
    return HK_ECANCELED;
}

HK_TASK(storm_sleeps)
{
    return hk_sleep(call, HK_FOREVER);
}

HK_TASK(storm_goes_on)
{
    hk_status status = hk_submit(hk_call_executor(call), storm_goes_on, NULL, 0, NULL, NULL);

    storm_spin(2000);
    return is_end(status) ? HK_OK : status;
}

HK_TASK(storm_waits_for_more)
{
    hk_future *future = NULL;
    hk_status status = HK_OK;

    while (status == HK_OK && !hk_should_stop(call)) {
        status = hk_submit(hk_call_executor(call), storm_works, NULL, 0, NULL, &future);
        if (status == HK_OK) {
            status = hk_future_wait(future, HK_FOREVER);
            hk_future_unref(future);
        }
    }
    return HK_OK;
}

static hk_status fork_on(hk_scope *scope, void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    hk_forked left;
    hk_status status;

    if (depth == 0) {
        return HK_OK;
    }
    (void)hk_fork(scope, &left, fork_on, (void *)(depth - 1));
    status = fork_on(scope, (void *)(depth - 1));
    return hk_join(scope, &left) == HK_OK ? status : HK_EFAILED;
}

HK_TASK(storm_forks)
{
    while (!hk_should_stop(call)) {
        hk_scope scope;

        if (hk_scope_begin(&scope, call) != HK_OK || fork_on(&scope, (void *)10) != HK_OK ||
            hk_scope_end(&scope) != HK_OK) {
            storm_broken("a scope");
        }
    }
    return HK_OK;
}

/* --- threads, serial, inline --- */

static hk_executor *open_threads(void)
{
    static const char *const specs[] = {"threads:1?name=storm", "threads:2?name=storm",
                                        "threads:4?name=storm",
                                        "threads:2?name=storm&queue_capacity=1000"};

    return storm_pool = storm_open(specs[storm_draw(4)]);
}

static void idle_threads(void)
{
    (void)open_threads();
    if (hk_executor_prestart(storm_pool, storm_draw(2) == 0 ? HK_FOREVER : 0) == HK_EINVAL) {
        storm_broken("prestart");
    }
}

static void busy_threads(void)
{
    const hk_task *tasks[] = {storm_is_stubborn, storm_listens, storm_sleeps, storm_works};
    hk_executor *pool = open_threads();

    for (unsigned i = 0; i < 6; i++) {
        submit(pool, tasks[storm_draw(4)], NULL);
    }
    storm_pool = NULL; /* No task would come to its turn. */
}

static void queued_tasks(void)
{
    hk_executor *pool = open_threads();

    for (unsigned i = 0; i < 500; i++) {
        submit(pool, storm_works, NULL);
    }
}

static void tasks_that_submit(void)
{
    hk_executor *pool = open_threads();

    for (unsigned i = 0; i < 8; i++) {
        submit(pool, storm_goes_on, NULL);
    }
}

static void tasks_that_wait(void)
{
    hk_executor *pool = open_threads();

    submit(pool, storm_waits_for_more, NULL);
    submit(pool, storm_waits_for_more, NULL);
    storm_pool = NULL; /* They run what they wait for, and let nobody else come to his turn. */
}

static void drained_threads(void)
{
    storm_pool = storm_open("threads:2?name=storm&drain_at_exit=1");
    for (unsigned i = 0; i < 100; i++) {
        submit(storm_pool, storm_works, NULL);
    }
}

static void serial_tasks(void)
{
    storm_pool = storm_open("serial:threads:2?name=storm");
    for (unsigned i = 0; i < 4; i++) {
        submit(storm_pool, storm_goes_on, NULL);
    }
}

static void inline_tasks(void)
{
    storm_pool = storm_open("inline?name=storm");
    submit(storm_pool, storm_works, NULL);
}

/* --- callbacks, timers, scopes, ranges, maps --- */

static void called_back(hk_future *future, void *arg)
{
    (void)future;
    (void)arg;
    storm_spin(3000);
}

static void *adds_callbacks(void *arg)
{
    hk_executor *pool = arg;
    hk_future *future = NULL;

    for (unsigned i = 0; hk_submit(pool, storm_works, NULL, 0, NULL, &future) == HK_OK; i++) {
        hk_status status = hk_future_on_done(future, NULL, called_back, NULL, NULL);

        status =
            status == HK_OK ? hk_future_on_done(future, pool, called_back, NULL, NULL) : status;
        if (status != HK_OK) {
            storm_broken("a callback was refused");
        }
        /* Now and then, so that the ending's own task comes to its turn. */
        if (i % 32 == 31 && hk_future_wait(future, HK_FOREVER) != HK_OK) {
            storm_broken("a wait was refused");
        }
        hk_future_unref(future);
    }
    pause();
    return NULL;
}

static void callbacks(void)
{
    storm_thread(adds_callbacks, open_threads());
}

static void timers(void)
{
    hk_executor *pool = open_threads();

    for (unsigned i = 0; i < 100; i++) {
        hk_submit_options limits = {.timeout = HK_US(1 + storm_draw(500)),
                                    .deadline = HK_US(1 + storm_draw(5000))};
        hk_future *future = NULL;
        hk_future *within = NULL;

        if (hk_submit(pool, i % 2 == 0 ? storm_works : storm_listens, NULL, 0, &limits, &future) !=
                HK_OK ||
            hk_within(future, HK_US(storm_draw(3000)), &within) != HK_OK) {
            storm_broken("a limit was refused");
        }
        hk_future_unref(within);
        hk_future_unref(future);
    }
}

static void scopes(void)
{
    hk_executor *pool = storm_open("threads:4?name=storm");

    submit(pool, storm_forks, NULL);
    submit(pool, storm_forks, NULL);
    storm_pool = pool;
}

static hk_status turns(hk_range *range, size_t begin, size_t end, void *context)
{
    (void)range;
    (void)context;
    storm_spin((uint32_t)(end - begin) * 100);
    return HK_OK;
}

static void *runs_ranges(void *arg)
{
    hk_range range;

    while (hk_parallel_for(&range, (hk_executor *)arg, 0, 10000, turns, NULL, NULL) == HK_OK) {
    }
    pause();
    return NULL;
}

static void ranges(void)
{
    storm_thread(runs_ranges, open_threads());
}

static hk_status endless(void *state, hk_map_input *input)
{
    static const int number = 7;

    (void)state;
    input->data = &number;
    input->size = sizeof(number);
    return HK_OK;
}

static void *reads_maps(void *arg)
{
    hk_map_iterator *map = NULL;
    hk_map_item item;

    if (hk_map((hk_executor *)arg, storm_works, endless, NULL, NULL, &map) == HK_OK) {
        while (hk_map_next(map, HK_FOREVER, &item) == HK_OK) {
            storm_judge_failure(item.error);
            hk_map_item_drop(&item);
        }
    }
    pause();
    return NULL;
}

static void maps(void)
{
    storm_thread(reads_maps, open_threads());
}

/* --- worker processes --- */

static hk_executor *open_processes(void)
{
    static const char *const specs[] = {"processes:1?name=crew", "processes:2?name=crew",
                                        "processes:3?name=crew&tasks_per_worker=3"};

    return storm_open(specs[storm_draw(3)]);
}

static void idle_processes(void)
{
    if (hk_executor_prestart(open_processes(), storm_draw(2) == 0 ? HK_FOREVER : 0) == HK_EINVAL) {
        storm_broken("prestart");
    }
}

static void busy_processes(void)
{
    const hk_task *tasks[] = {storm_is_stubborn, storm_listens, storm_sleeps, storm_works};
    hk_executor *crew = open_processes();

    for (unsigned i = 0; i < 6; i++) {
        submit(crew, tasks[storm_draw(4)], NULL);
    }
}

static void queued_processes(void)
{
    hk_executor *crew = open_processes();

    for (unsigned i = 0; i < 200; i++) {
        submit(crew, storm_works, NULL);
    }
}

static void drained_processes(void)
{
    hk_executor *crew = storm_open("processes:2?name=crew&drain_at_exit=1");

    for (unsigned i = 0; i < 50; i++) {
        submit(crew, storm_works, NULL);
    }
}

HK_TASK(storm_exits)
{
    exit(STORM_WORKER_STATUS);
}

static void dying_processes(void)
{
    hk_executor *crew = open_processes();

    for (unsigned i = 0; i < 10; i++) {
        submit(crew, i % 3 == 0 ? storm_exits : storm_works, NULL);
    }
}

static void courier(void)
{
    storm_thread(adds_callbacks, storm_open("threads:1?name=other"));
    storm_thread(reads_maps, open_processes());
}

/* --- locks, queues, watches --- */

static hk_lock one_lock = HK_LOCK_INIT("one");
static hk_lock other_lock = HK_LOCK_INIT("other");
static hk_queue *queue;

static void *takes_locks(void *arg)
{
    for (;;) {
        hk_status status = HK_OK;

        HK_WITH_LOCK(&one_lock, status) {
            HK_WITH_LOCK(&other_lock, status) {
                storm_spin(500);
            }
        }
        if (status != HK_OK) {
            return arg;
        }
    }
}

static void *puts_items(void *arg)
{
    while (hk_queue_put(queue, arg, HK_FOREVER) == HK_OK) {
    }
    return arg;
}

static void *gets_items(void *arg)
{
    void *item = NULL;

    while (hk_queue_get(queue, HK_FOREVER, &item) == HK_OK) {
    }
    return arg;
}

static void locks_and_queues(void)
{
    if (hk_queue_create(&(hk_queue_options){.capacity = 4}, &queue) != HK_OK) {
        storm_broken("no queue");
    }
    storm_thread(puts_items, NULL);
    storm_thread(gets_items, NULL);
    storm_thread(takes_locks, NULL);
    storm_thread(takes_locks, NULL);
}

static void watched_waits(void)
{
    hk_executor *pool = open_threads();

    /* A limit that no wait here reaches, so that nothing is printed. */
    if (hk_waits_watch(HK_SEC(3600), STDERR_FILENO) != HK_OK) {
        storm_broken("no watch");
    }
    submit(pool, storm_waits_for_more, NULL);
    storm_pool = NULL;
}

static void *has_local(void *arg)
{
    static hk_local local = HK_LOCAL_INIT(NULL, free, NULL);

    if (hk_local_set(&local, malloc(16)) != HK_OK) {
        storm_broken("no per-thread object");
    }
    return arg;
}

static void *pauses_with_local(void *arg)
{
    (void)has_local(NULL);
    pause();
    return arg;
}

static void per_thread_objects(void)
{
    (void)has_local(NULL);
    for (unsigned i = 0; i < 4; i++) {
        storm_thread(i % 2 == 0 ? has_local : pauses_with_local, NULL);
    }
}

static void replayed(void)
{
    hk_executor *world = storm_open("replay:7?name=world");

    for (unsigned i = 0; i < 4; i++) {
        submit(world, i % 2 == 0 ? storm_works : storm_waits_for_more, NULL);
    }
    if (hk_replay_run(world, 1 + storm_draw(20), NULL) != HK_OK) {
        storm_broken("replay");
    }
}

static void all_at_once(void)
{
    queued_processes();
    tasks_that_submit();
    ranges();
    locks_and_queues();
}

const struct storm_scene storm_scenes[] = {
    {"idle_threads", idle_threads},
    {"busy_threads", busy_threads},
    {"queued_tasks", queued_tasks},
    {"tasks_that_submit", tasks_that_submit},
    {"tasks_that_wait", tasks_that_wait},
    {"drained_threads", drained_threads},
    {"serial", serial_tasks},
    {"inline", inline_tasks},
    {"callbacks", callbacks},
    {"timers", timers},
    {"scopes", scopes},
    {"ranges", ranges},
    {"maps", maps},
    {"idle_processes", idle_processes},
    {"busy_processes", busy_processes},
    {"queued_processes", queued_processes},
    {"drained_processes", drained_processes},
    {"dying_processes", dying_processes},
    {"courier", courier},
    {"locks_and_queues", locks_and_queues},
    {"watched_waits", watched_waits},
    {"per_thread_objects", per_thread_objects},
    {"replay", replayed},
    {"all_at_once", all_at_once},
};
const size_t storm_scene_count = sizeof(storm_scenes) / sizeof(storm_scenes[0]);
