/* SPDX-License-Identifier: MIT */
/* Bad arguments for what threads meet at: events, latches, barriers, semaphores, locks. */
#include <signal.h>

#include "tests/misuse/rows.h"

#include "tests/child_fixture.h"

static hk_status some_status; /* What is refused writes nothing here. */

/* --- barriers, events, latches, semaphores, counters --- */

static hk_barrier barrier = HK_BARRIER_INIT("meets", 2);

ROW(hk_barrier_abort, barrier, hk_barrier_abort(NULL) == HK_EINVAL);
ROW(hk_barrier_arrived, barrier, hk_barrier_arrived(NULL) == 0);
ROW(hk_barrier_init, barrier, hk_barrier_init(NULL, "meets", 2) == HK_EINVAL);
ROW(hk_barrier_init, name, hk_barrier_init(&(hk_barrier){0}, NULL, 2) == HK_OK);
ROW(hk_barrier_init, size, hk_barrier_init(&barrier, "meets", 0) == HK_EINVAL);
ROW(hk_barrier_is_broken, barrier, !hk_barrier_is_broken(NULL));
ROW(hk_barrier_reset, barrier, hk_barrier_reset(NULL) == HK_EINVAL);
ROW(hk_barrier_wait, barrier,
    hk_barrier_wait(NULL, 0, NULL) == HK_EINVAL &&
        hk_barrier_wait(&(hk_barrier){0}, 0, NULL) == HK_ESTATE);
ROW(hk_barrier_wait, serial,
    hk_barrier_wait(&(hk_barrier)HK_BARRIER_INIT("alone", 1), 0, NULL) == HK_OK);
ROW(hk_barrier_wait, timeout,
    REFUSES_DURATIONS(hk_barrier_wait(&barrier, bad, NULL)) && hk_barrier_arrived(&barrier) == 0 &&
        !hk_barrier_is_broken(&barrier));

static hk_event event = HK_EVENT_INIT("set");

ROW(hk_event_is_set, event, !hk_event_is_set(NULL));
ROW(hk_event_reset, event, hk_event_reset(NULL) == HK_EINVAL);
ROW(hk_event_set, event, hk_event_set(NULL) == HK_EINVAL);
ROW(hk_event_wait, event, hk_event_wait(NULL, 0) == HK_EINVAL);
ROW(hk_event_wait, timeout,
    REFUSES_DURATIONS(hk_event_wait(&event, bad)) && hk_event_set(&event) == HK_OK &&
        REFUSES_DURATIONS(hk_event_wait(&event, bad)) && hk_event_wait(&event, INT64_MAX) == HK_OK);

static hk_latch latch = HK_LATCH_INIT("counts", 1);

ROW(hk_latch_add, latch, hk_latch_add(NULL, 1) == HK_EINVAL);
ROW(hk_latch_add, count,
    hk_latch_add(&latch, 0) == HK_EINVAL && hk_latch_add(&latch, UINT32_MAX) == HK_ESTATE &&
        hk_latch_add(&latch, HK_LATCH_MAX) == HK_ESTATE && hk_latch_count(&latch) == 1);
ROW(hk_latch_bind, latch, hk_latch_bind(NULL) == HK_EINVAL);
ROW(hk_latch_count, latch, hk_latch_count(NULL) == 0);
ROW(hk_latch_destroy, latch, DOES_NOTHING(hk_latch_destroy(NULL)));
ROW(hk_latch_count_down, latch, hk_latch_count_down(NULL, 1) == HK_EINVAL);
ROW(hk_latch_count_down, count,
    hk_latch_count_down(&latch, 0) == HK_EINVAL && hk_latch_count_down(&latch, 2) == HK_ESTATE &&
        hk_latch_count_down(&latch, UINT32_MAX) == HK_ESTATE && hk_latch_count(&latch) == 1);
ROW(hk_latch_init, latch, hk_latch_init(NULL, "counts", 1) == HK_EINVAL);
ROW(hk_latch_init, name, hk_latch_init(&(hk_latch){0}, NULL, 1) == HK_OK);
ROW(hk_latch_init, count,
    hk_latch_init(&(hk_latch){0}, NULL, HK_LATCH_MAX + 1) == HK_EINVAL &&
        hk_latch_init(&(hk_latch){0}, NULL, UINT32_MAX) == HK_EINVAL);
ROW(hk_latch_unbind, latch,
    hk_latch_unbind(NULL) == HK_EINVAL && hk_latch_unbind(&latch) == HK_ESTATE);
ROW(hk_latch_wait, latch, hk_latch_wait(NULL, 0) == HK_EINVAL);
ROW(hk_latch_wait, timeout,
    REFUSES_DURATIONS(hk_latch_wait(&latch, bad)) &&
        hk_latch_wait(&(hk_latch){0}, INT64_MAX) == HK_OK);

static hk_semaphore semaphore = HK_SEMAPHORE_INIT("units", 1, 2);

ROW(hk_semaphore_acquire, semaphore, hk_semaphore_acquire(NULL, 1, 0) == HK_EINVAL);
ROW(hk_semaphore_acquire, count,
    hk_semaphore_acquire(&semaphore, 0, 0) == HK_EINVAL &&
        hk_semaphore_acquire(&semaphore, 3, 0) == HK_EINVAL &&
        hk_semaphore_acquire(&semaphore, UINT32_MAX, HK_FOREVER) == HK_EINVAL);
ROW(hk_semaphore_acquire, timeout, REFUSES_DURATIONS(hk_semaphore_acquire(&semaphore, 1, bad)));
ROW(hk_semaphore_init, semaphore, hk_semaphore_init(NULL, "units", 1, 1) == HK_EINVAL);
ROW(hk_semaphore_init, name, hk_semaphore_init(&(hk_semaphore){0}, NULL, 1, 1) == HK_OK);
ROW(hk_semaphore_init, initial,
    hk_semaphore_init(&(hk_semaphore){0}, NULL, 2, 1) == HK_EINVAL &&
        hk_semaphore_init(&(hk_semaphore){0}, NULL, UINT32_MAX, 0) == HK_EINVAL);
ROW(hk_semaphore_init, maximum,
    hk_semaphore_init(&(hk_semaphore){0}, NULL, 0, UINT32_MAX) == HK_EINVAL);
ROW(hk_semaphore_release, semaphore, hk_semaphore_release(NULL, 1) == HK_EINVAL);
ROW(hk_semaphore_release, count,
    hk_semaphore_release(&semaphore, 0) == HK_EINVAL &&
        hk_semaphore_release(&semaphore, 2) == HK_ESTATE &&
        hk_semaphore_release(&semaphore, UINT32_MAX) == HK_ESTATE &&
        hk_semaphore_value(&semaphore) == 1);
ROW(hk_semaphore_value, semaphore, hk_semaphore_value(NULL) == 0);

ROW(hk_counter_add, counter, DOES_NOTHING(hk_counter_add(NULL, 1)));
ROW(hk_counter_reset, counter, hk_counter_reset(NULL) == 0);
ROW(hk_counter_sum, counter, hk_counter_sum(NULL) == 0);

/* --- locks --- */

static hk_lock lock = HK_LOCK_INIT("held");
static hk_lock other = HK_LOCK_INIT("other");
static hk_cond cond = HK_COND_INIT("changes");

static hk_status wait_with_lock(hk_duration timeout)
{
    hk_status status = hk_lock_acquire(&lock);

    status = status != HK_OK ? status : hk_cond_wait(&cond, &lock, timeout);
    (void)hk_lock_release(&lock);
    return status;
}

ROW(hk_cond_broadcast, cond, hk_cond_broadcast(NULL) == HK_EINVAL);
ROW(hk_cond_signal, cond, hk_cond_signal(NULL) == HK_EINVAL);
ROW(hk_cond_wait_at, cond, hk_cond_wait(NULL, &lock, 0) == HK_EINVAL);
ROW(hk_cond_wait_at, lock,
    hk_cond_wait(&cond, NULL, 0) == HK_EINVAL && hk_cond_wait(&cond, &lock, 0) == HK_EPERM);
ROW(hk_cond_wait_at, timeout, REFUSES_DURATIONS(wait_with_lock(bad)));

static void asserts_null(void *arg)
{
    (void)arg;
    hk_lock_assert_held(NULL);
}

static bool stops_the_program(void)
{
    struct hkt_child child;

    hkt_run_in_child(asserts_null, NULL, &child);
    return child.term_signal == SIGABRT && strstr(child.output, "rows_sync.c") != NULL;
}

ROW(hk_lock_acquire_at, lock, hk_lock_acquire(NULL) == HK_EINVAL);
ROW(hk_lock_allow, one, hk_lock_allow(NULL, &lock) == HK_EINVAL);
ROW(hk_lock_allow, other, hk_lock_allow(&lock, NULL) == HK_EINVAL);
ROW(hk_lock_assert_held_at, lock, stops_the_program());
ROW(hk_lock_contentions, lines, hk_lock_contentions(NULL, 8) == 0);
ROW(hk_lock_contentions, max,
    hk_lock_contentions(&(hk_lock_contention){.site = NULL}, 0) == 0 &&
        hk_lock_contentions(NULL, SIZE_MAX) == 0);
ROW(hk_lock_destroy, lock, hk_lock_destroy(NULL) == HK_OK);
ROW(hk_lock_is_held_by_me, lock, !hk_lock_is_held_by_me(NULL));
ROW(hk_lock_init, lock, hk_lock_init(NULL, NULL) == HK_EINVAL);
ROW(hk_lock_init, options,
    hk_lock_init(&other, NULL) == HK_OK &&
        hk_lock_init(&other, &(hk_lock_options){.flags = 4}) == HK_EINVAL &&
        hk_lock_init(&other, &(hk_lock_options){.flags = UINT_MAX}) == HK_EINVAL &&
        hk_lock_init(&other, &(hk_lock_options){.policy = (hk_lock_policy)99}) == HK_EINVAL &&
        hk_lock_init(&other, &(hk_lock_options){.policy = (hk_lock_policy)-1}) == HK_EINVAL &&
        hk_lock_init(&other, &(hk_lock_options){.subclass = HK_LOCK_SUBCLASSES}) == HK_EINVAL &&
        hk_lock_init(&other, &(hk_lock_options){.subclass = UINT_MAX}) == HK_EINVAL);
ROW(hk_lock_acquire_many_at, locks,
    hk_lock_acquire_many(NULL, 2) == HK_EINVAL &&
        hk_lock_acquire_many(((hk_lock *[]){&lock, NULL}), 2) == HK_EINVAL &&
        !hk_lock_is_held_by_me(&lock) && hk_lock_acquire_many(NULL, 0) == HK_OK);
ROW(hk_lock_acquire_many_at, count,
    REFUSES_SIZES(hk_lock_acquire_many((&(hk_lock *){&lock}), bad), HK_EINVAL) &&
        !hk_lock_is_held_by_me(&lock));
ROW(hk_lock_acquire_many_at, timeout,
    REFUSES_DURATIONS(hk_lock_acquire_many_timed((&(hk_lock *){&lock}), 1, bad)) &&
        !hk_lock_is_held_by_me(&lock));
ROW(hk_lock_order_stats, statistics, hk_lock_order_stats(NULL) == HK_EINVAL);
ROW(hk_lock_policy_set, policy,
    hk_lock_policy_set((hk_lock_policy)5) == HK_EINVAL &&
        hk_lock_policy_set((hk_lock_policy)-1) == HK_EINVAL);
ROW(hk_lock_release, lock,
    hk_lock_release(NULL) == HK_EINVAL && hk_lock_release(&lock) == HK_EPERM);
ROW(hk_lock_release_many, locks,
    hk_lock_release_many(NULL, 1) == HK_EINVAL &&
        hk_lock_release_many((hk_lock *[]){&lock, NULL}, 2) == HK_EINVAL);
ROW(hk_lock_release_many, count,
    REFUSES_SIZES(hk_lock_release_many(&(hk_lock *){&lock}, bad), HK_EINVAL));
ROW(hk_lock_report_write, report, hk_lock_report_write(NULL, HK_LOCK_TEXT, 1) == HK_EINVAL);
ROW(hk_lock_report_write, format,
    hk_lock_report_write(&(hk_lock_report){.text = ""}, (hk_lock_format)9, 1) == HK_EINVAL &&
        hk_lock_report_write(&(hk_lock_report){.text = ""}, HK_LOCK_TEXT, -1) == HK_EINVAL &&
        hk_lock_report_write(&(hk_lock_report){.text = ""}, HK_LOCK_DOT, -1) == HK_EINVAL);
ROW(hk_lock_acquire_timed_at, lock, hk_lock_acquire_timed(NULL, 0) == HK_EINVAL);
ROW(hk_lock_acquire_timed_at, timeout,
    REFUSES_DURATIONS(hk_lock_acquire_timed(&lock, bad)) && !hk_lock_is_held_by_me(&lock));
ROW(hk_on_lock_report, fn, DOES_NOTHING(hk_on_lock_report(NULL, NULL)));

static hk_rwlock rwlock = HK_RWLOCK_INIT("shared");

ROW(hk_rwlock_destroy, lock, hk_rwlock_destroy(NULL) == HK_OK);
ROW(hk_rwlock_is_held_by_me, lock, !hk_rwlock_is_held_by_me(NULL, true));
ROW(hk_rwlock_read_at, lock, hk_rwlock_read(NULL) == HK_EINVAL);
ROW(hk_rwlock_read_at, timeout, REFUSES_DURATIONS(hk_rwlock_read_timed(&rwlock, bad)));
ROW(hk_rwlock_release, lock,
    hk_rwlock_release(NULL) == HK_EINVAL && hk_rwlock_release(&rwlock) == HK_EPERM);
ROW(hk_rwlock_write_at, lock, hk_rwlock_write(NULL) == HK_EINVAL);
ROW(hk_rwlock_write_at, timeout, REFUSES_DURATIONS(hk_rwlock_write_timed(&rwlock, bad)));

/* --- once, lazy values, per-thread objects --- */

static hk_status makes(void *arg, void **object)
{
    static int value;

    (void)arg;
    *object = &value;
    return HK_OK;
}

static hk_status runs(void *arg)
{
    (void)arg;
    return HK_OK;
}

static void folds(void *total, const void *object)
{
    (void)total;
    (void)object;
}

static void visits(void *object, void *user)
{
    (void)object;
    (void)user;
}

static void *value;
static hk_once once = HK_ONCE_INIT("once");
static hk_lazy lazy = HK_LAZY_INIT("lazy", makes, NULL, NULL);
static hk_local local = HK_LOCAL_INIT(makes, NULL, NULL);
static hk_local folded = HK_LOCAL_FOLD_INIT(makes, NULL, NULL, folds, &some_status);

ROW(hk_once_is_done, once, !hk_once_is_done(NULL));
ROW(hk_once_run, once, hk_once_run(NULL, runs, NULL) == HK_EINVAL);
ROW(hk_once_run, fn, hk_once_run(&once, NULL, NULL) == HK_EINVAL && !hk_once_is_done(&once));
ROW(hk_lazy_destroy, lazy, DOES_NOTHING(hk_lazy_destroy(NULL)));
ROW(hk_lazy_get, lazy, hk_lazy_get(NULL, &value) == HK_EINVAL);
ROW(hk_lazy_get, value, hk_lazy_get(&lazy, NULL) == HK_EINVAL);
ROW(hk_local_build, local,
    hk_local_build(NULL, &value) == HK_EINVAL &&
        hk_local_build(&(hk_local)HK_LOCAL_INIT(NULL, NULL, NULL), &value) == HK_ESTATE);
ROW(hk_local_build, object, hk_local_build(&local, NULL) == HK_EINVAL);
ROW(hk_local_create, make,
    hk_local_create(NULL, NULL, NULL, (hk_local **)&value) == HK_OK &&
        hk_local_build(value, &(void *){NULL}) == HK_ESTATE && hk_local_destroy(value) == HK_OK);
ROW(hk_local_create, drop,
    hk_local_create(makes, NULL, NULL, (hk_local **)&value) == HK_OK &&
        hk_local_get(value) != NULL && hk_local_destroy(value) == HK_OK);
ROW(hk_local_create, out, hk_local_create(makes, NULL, NULL, NULL) == HK_EINVAL);
ROW(hk_local_destroy, local, hk_local_destroy(NULL) == HK_OK);
ROW(hk_local_each, local, hk_local_each(NULL, visits, NULL) == HK_EINVAL);
ROW(hk_local_each, visit, hk_local_each(&local, NULL, NULL) == HK_EINVAL);
ROW(hk_local_fold, local,
    hk_local_fold(NULL, &value) == HK_EINVAL && hk_local_fold(&local, &value) == HK_ESTATE);
ROW(hk_local_fold, total, hk_local_fold(&folded, NULL) == HK_EINVAL);
ROW(hk_local_get, local, hk_local_get(NULL) == NULL);
ROW(hk_local_peek, local, hk_local_peek(NULL) == NULL);
ROW(hk_local_retire, local, hk_local_retire(NULL, folds, &value) == HK_EINVAL);
ROW(hk_local_retire, fold, hk_local_retire(&local, NULL, &value) == HK_EINVAL);
ROW(hk_local_retire, retired, hk_local_retire(&local, folds, NULL) == HK_EINVAL);
ROW(hk_local_set, local, hk_local_set(NULL, &value) == HK_EINVAL);
ROW(hk_local_set, object, hk_local_set(&local, NULL) == HK_OK && hk_local_peek(&local) == NULL);

/* --- waits --- */

ROW(hk_waits_watch, limit,
    REFUSES_DURATIONS(hk_waits_watch(bad, 2)) && hk_waits_watch(1, 2) == HK_EINVAL &&
        hk_waits_watch(HK_FOREVER, 2) == HK_EINVAL && hk_waits_watch(HK_SEC(1), -1) == HK_EINVAL &&
        hk_waits_dump(-1) == HK_EINVAL && hk_lock_graph_write(-1) == HK_EINVAL);
