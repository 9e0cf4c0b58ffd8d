/* SPDX-License-Identifier: MIT */
/* Every call about locks, queues and what goes with them that allocates, without memory. */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "sync/lock_order.h"
#include "tests/allocation_fixture.h"
#include "tests/promise_fixture.h"

enum { MANY = 40, ITEMS = 3 }; /* More than a call keeps on its stack. */

/* What the cases work on: made by prepare, taken away by clean. */
static hk_lock locks[MANY];
static hk_lock *lock_list[MANY];
static hk_rwlock rwlock;
static hk_latch latch;
static hk_queue *queues[MANY];
static hk_ring *ring;
static hk_local *local;
static int objects[ITEMS];
static int null_fd;

static hk_status give_object(void *arg, void **object)
{
    *object = arg;
    return HK_OK;
}

static void prepare_with(hk_queue_order order)
{
    for (int i = 0; i < MANY; i++) {
        HKT_OK(hk_lock_init(&locks[i], &(hk_lock_options){.name = "one of many"}));
        lock_list[i] = &locks[i];
        HKT_OK(hk_queue_create(&(hk_queue_options){.order = order}, &queues[i]));
    }
    rwlock = (hk_rwlock)HK_RWLOCK_INIT("rwlock");
    HKT_OK(hk_latch_init(&latch, "latch", 1));
    HKT_OK(hk_ring_create(NULL, &ring));
    HKT_OK(hk_local_create(give_object, NULL, &objects[0], &local));
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static void prepare(void)
{
    prepare_with(HK_QUEUE_FIFO);
}

static void prepare_priority(void)
{
    prepare_with(HK_QUEUE_PRIORITY);
}

static void prepare_delay(void)
{
    prepare_with(HK_QUEUE_DELAY);
}

/* What was learned stays; so that it is the same before and after each round, it is forgotten. */
static void clean(void)
{
    for (int i = 0; i < MANY; i++) {
        HKT_OK(hk_lock_destroy(&locks[i]));
        HKT_OK(hk_queue_destroy(queues[i]));
    }
    HKT_OK(hk_rwlock_destroy(&rwlock));
    (void)hk_latch_unbind(&latch);
    HKT_OK(hk_latch_count_down(&latch, 1));
    hk_latch_destroy(&latch);
    HKT_OK(hk_ring_destroy(ring));
    HKT_OK(hk_local_destroy(local));
    close(null_fd);
    hki_order_reset();
}

/* --- A thread that never held anything ------------------------------------------------ */

struct errand {
    hk_status (*fn)(void);
    hk_status status;
};

static void *do_errand(void *arg)
{
    struct errand *errand = arg;

    errand->status = errand->fn();
    return NULL;
}

static hk_status on_new_thread(hk_status (*fn)(void))
{
    struct errand errand = {fn, HK_ESYS};
    pthread_t thread;

    if (HKT_EQ_INT(pthread_create(&thread, NULL, do_errand, &errand), 0)) {
        pthread_join(thread, NULL);
    }
    return errand.status;
}

/* --- Locks ---------------------------------------------------------------------------- */

static hk_status first_lock(void)
{
    hk_status status = hk_lock_acquire(&locks[0]);

    HKT_EQ_INT(hk_lock_is_held_by_me(&locks[0]), status == HK_OK);
    return status == HK_OK ? hk_lock_release(&locks[0]) : status;
}

static hk_status acquire_first(void)
{
    return on_new_thread(first_lock);
}

static hk_status first_timed_lock(void)
{
    hk_status status = hk_lock_acquire_timed(&locks[0], HK_SEC(100));

    return status == HK_OK ? hk_lock_release(&locks[0]) : status;
}

static hk_status acquire_first_timed(void)
{
    return on_new_thread(first_timed_lock);
}

static void locks_are_free(void)
{
    for (int i = 0; i < MANY; i++) {
        HKT_OK(hk_lock_try(&locks[i]));
        HKT_OK(hk_lock_release(&locks[i]));
    }
}

static hk_status first_lock_many(void)
{
    hk_status status = hk_lock_acquire_many(lock_list, MANY);

    for (int i = 0; i < MANY; i++) {
        HKT_EQ_INT(hk_lock_is_held_by_me(&locks[i]), status == HK_OK);
    }
    return status == HK_OK ? hk_lock_release_many(lock_list, MANY) : status;
}

static hk_status acquire_many(void)
{
    return on_new_thread(first_lock_many);
}

/* The 33rd at once. What is held when it fails stays held. */
static hk_status hold_many(void)
{
    hk_status status = HK_OK;
    int held = 0;

    while (held < MANY && (status = hk_lock_acquire(&locks[held])) == HK_OK) {
        held++;
    }
    for (int i = 0; i < MANY; i++) {
        HKT_EQ_INT(hk_lock_is_held_by_me(&locks[i]), i < held);
    }
    while (held-- > 0) {
        HKT_OK(hk_lock_release(&locks[held]));
    }
    return status;
}

static hk_status acquire_deeply(void)
{
    return on_new_thread(hold_many);
}

/* What cannot be learned is no reason to refuse a lock; but what is wrong is then not seen. */
static hk_status nest_both_ways(void)
{
    hk_status status = hk_lock_acquire(&locks[0]);

    if (status == HK_OK) {
        HKT_OK(hk_lock_acquire(&locks[1]));
        HKT_OK(hk_lock_release(&locks[1]));
        HKT_OK(hk_lock_release(&locks[0]));
        HKT_OK(hk_lock_acquire(&locks[1]));
        status = hk_lock_acquire(&locks[0]);
        HKT_TRUE(status == HK_OK || status == HK_EORDER);
        if (status == HK_OK) {
            HKT_OK(hk_lock_release(&locks[0]));
        }
        HKT_OK(hk_lock_release(&locks[1]));
        status = HK_OK;
    }
    return status;
}

static hk_status learn_and_report(void)
{
    return on_new_thread(nest_both_ways);
}

static hk_status allow(void)
{
    return hk_lock_allow(&locks[0], &locks[1]);
}

static hk_status nest(hk_lock *outer, hk_lock *inner)
{
    hk_status status;

    HKT_OK(hk_lock_acquire(outer));
    if ((status = hk_lock_acquire(inner)) == HK_OK) {
        HKT_OK(hk_lock_release(inner));
    }
    HKT_OK(hk_lock_release(outer));
    return status;
}

static void not_allowed(void)
{
    HKT_OK(nest(&locks[0], &locks[1]));
    HKT_STATUS(nest(&locks[1], &locks[0]), HK_EORDER);
}

static void allowed(void)
{
    HKT_OK(nest(&locks[0], &locks[1]));
    HKT_OK(nest(&locks[1], &locks[0]));
}

static hk_status first_read(void)
{
    hk_status status = hk_rwlock_read(&rwlock);

    HKT_EQ_INT(hk_rwlock_is_held_by_me(&rwlock, false), status == HK_OK);
    return status == HK_OK ? hk_rwlock_release(&rwlock) : status;
}

static hk_status read_first(void)
{
    return on_new_thread(first_read);
}

static hk_status first_write(void)
{
    hk_status status = hk_rwlock_write(&rwlock);

    HKT_EQ_INT(hk_rwlock_is_held_by_me(&rwlock, true), status == HK_OK);
    return status == HK_OK ? hk_rwlock_release(&rwlock) : status;
}

static hk_status write_first(void)
{
    return on_new_thread(first_write);
}

static void rwlock_is_free(void)
{
    HKT_OK(hk_rwlock_write_timed(&rwlock, 0));
    HKT_OK(hk_rwlock_release(&rwlock));
}

/* --- Who declares himself ---------------------------------------------------------------- */

static hk_status bind_latch(void)
{
    return hk_latch_bind(&latch);
}

static hk_status bind_queue(void)
{
    return hk_queue_bind(queues[0], HK_QUEUE_PUTTER | HK_QUEUE_GETTER);
}

/* Of two sides both are declared or none. */
static void queue_is_not_bound(void)
{
    HKT_STATUS(hk_queue_unbind(queues[0], HK_QUEUE_PUTTER), HK_ESTATE);
    HKT_STATUS(hk_queue_unbind(queues[0], HK_QUEUE_GETTER), HK_ESTATE);
}

static void queue_is_bound(void)
{
    HKT_OK(hk_queue_unbind(queues[0], HK_QUEUE_PUTTER | HK_QUEUE_GETTER));
}

static hk_status bind_ring(void)
{
    return hk_ring_bind(ring, HK_QUEUE_PUTTER | HK_QUEUE_GETTER);
}

static void ring_is_not_bound(void)
{
    HKT_STATUS(hk_ring_unbind(ring, HK_QUEUE_PUTTER), HK_ESTATE);
    HKT_STATUS(hk_ring_unbind(ring, HK_QUEUE_GETTER), HK_ESTATE);
}

static void ring_is_bound(void)
{
    HKT_OK(hk_ring_unbind(ring, HK_QUEUE_PUTTER | HK_QUEUE_GETTER));
}

/* --- Queues ------------------------------------------------------------------------------- */

static hk_status create_queue(void)
{
    hk_queue *one = NULL;
    hk_status status = hk_queue_create(NULL, &one);

    HKT_EQ_INT(one != NULL, status == HK_OK);
    return status == HK_OK ? hk_queue_destroy(one) : status;
}

static hk_status create_ring(void)
{
    hk_ring *one = NULL;
    hk_status status = hk_ring_create(NULL, &one);

    HKT_EQ_INT(one != NULL, status == HK_OK);
    return status == HK_OK ? hk_ring_destroy(one) : status;
}

static hk_status put(void)
{
    return hk_queue_put(queues[0], &objects[0], 0);
}

static hk_status put_priority(void)
{
    return hk_queue_put_priority(queues[0], &objects[0], 1, 0);
}

static hk_status put_delayed(void)
{
    return hk_queue_put_delayed(queues[0], &objects[0], 0, 0);
}

static void nothing_was_put(void)
{
    void *item = NULL;

    HKT_EQ_INT(hk_queue_length(queues[0]), 0);
    HKT_STATUS(hk_queue_get(queues[0], 0, &item), HK_ETIMEDOUT);
    HKT_OK(hk_queue_put(queues[0], &objects[0], 0));
    HKT_OK(hk_queue_get(queues[0], 0, &item));
    HKT_EQ_PTR(item, &objects[0]);
}

static void one_was_put(void)
{
    void *item = NULL;

    HKT_OK(hk_queue_get(queues[0], HK_FOREVER, &item));
    HKT_EQ_PTR(item, &objects[0]);
    HKT_EQ_INT(hk_queue_length(queues[0]), 0);
}

static hk_status put_many(void)
{
    void *items[ITEMS] = {&objects[0], &objects[1], &objects[2]};
    size_t count = 9;
    hk_status status = hk_queue_put_many(queues[0], items, ITEMS, 0, &count);

    HKT_EQ_INT(count, status == HK_OK ? ITEMS : 0);
    return status;
}

static hk_status select_among_many(void)
{
    size_t which = 0;
    hk_status status = hk_queue_select(queues, MANY, HK_NS(1), &which);

    return status == HK_ETIMEDOUT ? HK_OK : status;
}

static hk_status get_among_many(void)
{
    void *item = NULL;
    size_t which = 0;
    hk_status status = hk_queue_get_any(queues, MANY, HK_NS(1), &item, &which);

    HKT_EQ_PTR(item, NULL);
    return status == HK_ETIMEDOUT ? HK_OK : status;
}

/* --- Per-thread objects, and waits -------------------------------------------------------- */

static hk_status create_local(void)
{
    hk_local *one = NULL;
    hk_status status = hk_local_create(give_object, NULL, &objects[0], &one);

    HKT_EQ_INT(one != NULL, status == HK_OK);
    return status == HK_OK ? hk_local_destroy(one) : status;
}

static hk_status first_build(void)
{
    void *object = NULL;
    hk_status status = hk_local_build(local, &object);

    HKT_EQ_PTR(object, status == HK_OK ? &objects[0] : NULL);
    HKT_EQ_PTR(hk_local_peek(local), object);
    return status;
}

static hk_status build_local(void)
{
    return on_new_thread(first_build);
}

static hk_status first_set(void)
{
    hk_status status = hk_local_set(local, &objects[1]);

    HKT_EQ_PTR(hk_local_peek(local), status == HK_OK ? &objects[1] : NULL);
    return status;
}

static hk_status set_local(void)
{
    return on_new_thread(first_set);
}

static hk_status dump_waits(void)
{
    return hk_waits_dump(null_fd);
}

/* More keys than the table begins with, so that it grows; it never shrinks. */
static void keys_come_or_not(void)
{
    enum { KEYS = 300 };
    static hk_local *keys[KEYS];
    int made = 0;
    hk_status status = HK_OK;
    long left = 0;

    for (long nth = 1; left == 0 && nth < KEYS * 4; nth++) {
        hki_memory_fail_at(nth);
        for (made = 0; made < KEYS && status == HK_OK; made++) {
            status = hk_local_create(give_object, NULL, &objects[0], &keys[made]);
        }
        left = hki_memory_fail_at(0);
        made -= status != HK_OK;
        HKT_TRUE(status == HK_OK || status == HK_ENOMEM);
        HKT_TRUE((status == HK_OK) == (left > 0));
        status = HK_OK;
        while (made > 0) {
            HKT_OK(hk_local_destroy(keys[--made]));
        }
    }
    HKT_TRUE(left > 0);
}

static const struct hkt_allocation_case cases[] = {
    {"hk_lock_acquire", prepare, acquire_first, locks_are_free, locks_are_free, clean, false},
    {"hk_lock_acquire_timed", prepare, acquire_first_timed, locks_are_free, NULL, clean, false},
    {"hk_lock_acquire_many", prepare, acquire_many, locks_are_free, locks_are_free, clean, true},
    {"hk_lock_acquire of 40", prepare, acquire_deeply, locks_are_free, locks_are_free, clean, true},
    {"hk_lock_acquire and its report", prepare, learn_and_report, NULL, NULL, clean, true},
    {"hk_lock_allow", prepare, allow, not_allowed, allowed, clean, false},
    {"hk_rwlock_read", prepare, read_first, rwlock_is_free, rwlock_is_free, clean, false},
    {"hk_rwlock_write", prepare, write_first, rwlock_is_free, rwlock_is_free, clean, false},
    {"hk_latch_bind", prepare, bind_latch, NULL, NULL, clean, false},
    {"hk_queue_bind", prepare, bind_queue, queue_is_not_bound, queue_is_bound, clean, false},
    {"hk_ring_bind", prepare, bind_ring, ring_is_not_bound, ring_is_bound, clean, false},
    {"hk_queue_create", prepare, create_queue, NULL, NULL, clean, false},
    {"hk_ring_create", prepare, create_ring, NULL, NULL, clean, false},
    {"hk_queue_put", prepare, put, nothing_was_put, one_was_put, clean, false},
    {"hk_queue_put_priority", prepare_priority, put_priority, nothing_was_put, one_was_put, clean,
     false},
    {"hk_queue_put_delayed", prepare_delay, put_delayed, nothing_was_put, one_was_put, clean,
     false},
    {"hk_queue_put_many", prepare, put_many, nothing_was_put, NULL, clean, false},
    {"hk_queue_select", prepare, select_among_many, NULL, NULL, clean, false},
    {"hk_queue_get_any", prepare, get_among_many, NULL, NULL, clean, false},
    {"hk_local_create", prepare, create_local, NULL, NULL, clean, false},
    {"hk_local_build", prepare, build_local, NULL, NULL, clean, false},
    {"hk_local_set", prepare, set_local, NULL, NULL, clean, false},
    {"hk_waits_dump", prepare, dump_waits, NULL, NULL, clean, false},
};

static void every_call_survives_without_memory(void)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hkt_check_true(HKT_SITE(false), hkt_fail_each_allocation(&cases[i]) > 0, cases[i].name);
    }
}

/* What the suite's own thread keeps for its life is there before anything is counted. */
static void quiet(void)
{
    void *object = NULL;

    hkt_be_quiet();
    prepare();
    HKT_OK(nest(&locks[0], &locks[1]));
    HKT_OK(hk_local_build(local, &object));
    clean();
}

static CU_TestInfo tests[] = {
    HKT_CASE("every call about locks and queues survives without memory",
             every_call_survives_without_memory),
    HKT_CASE("keys of per-thread objects come, or not", keys_come_or_not),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "allocation.sync",
     .pSetUpFunc = quiet,
     .pTearDownFunc = hkt_be_loud,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
