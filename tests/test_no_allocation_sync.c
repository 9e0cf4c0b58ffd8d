/* SPDX-License-Identifier: MIT */
/* Calls about locks, queues and what goes with them that need no memory: a row for each. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/no_allocation_fixture.h"
#include "tests/promise_fixture.h"

static void texts_and_time(void)
{
    hk_memory_statistics statistics;

    HKT_NEEDS_NO_MEMORY(hk_version, HKT_TRUE(hk_version() != NULL));
    HKT_NEEDS_NO_MEMORY(hk_status_name, HKT_EQ_STR(hk_status_name(HK_EDONE), "HK_EDONE"));
    HKT_NEEDS_NO_MEMORY(hk_strerror, HKT_TRUE(hk_strerror(HK_EDONE) != NULL));
    HKT_NEEDS_NO_MEMORY(hk_now_ns, HKT_TRUE(hk_now_ns() > 0));
    HKT_NEEDS_NO_MEMORY(hk_memory_stats, HKT_OK(hk_memory_stats(&statistics)));
    HKT_NEEDS_NO_MEMORY(hk_on_log, hk_on_log(NULL, NULL));
    HKT_NEEDS_NO_MEMORY(hk_on_unobserved, hk_on_unobserved(NULL, NULL));
    HKT_NEEDS_NO_MEMORY(hk_on_lock_report, hk_on_lock_report(NULL, NULL));
    HKT_NEEDS_NO_MEMORY(hk_waits_warn_blocking, hk_waits_warn_blocking(false));
}

static void *plain_allocate(size_t size, void *context)
{
    (void)context;
    return malloc(size);
}

static void plain_release(void *memory, size_t size, void *context)
{
    (void)size;
    (void)context;
    free(memory);
}

/* Whether it may be set depends on what is alive; it needs nothing either way. */
static void the_allocator_is_set(void)
{
    static const hk_allocator plain = {plain_allocate, plain_release, NULL};
    hk_status status;

    HKT_NEEDS_NO_MEMORY(hk_allocator_set, status = hk_allocator_set(&plain));
    HKT_TRUE(status == HK_OK || status == HK_ESTATE);
    if (status == HK_OK) {
        HKT_OK(hk_allocator_set(NULL));
    }
}

static void barriers(void)
{
    hk_barrier barrier;
    bool serial = false;

    HKT_NEEDS_NO_MEMORY(hk_barrier_init, HKT_OK(hk_barrier_init(&barrier, "barrier", 1)));
    HKT_NEEDS_NO_MEMORY(hk_barrier_wait, HKT_OK(hk_barrier_wait(&barrier, HK_FOREVER, &serial)));
    HKT_NEEDS_NO_MEMORY(hk_barrier_arrived, HKT_EQ_INT(hk_barrier_arrived(&barrier), 0));
    HKT_NEEDS_NO_MEMORY(hk_barrier_abort, HKT_OK(hk_barrier_abort(&barrier)));
    HKT_NEEDS_NO_MEMORY(hk_barrier_is_broken, HKT_TRUE(hk_barrier_is_broken(&barrier)));
    HKT_NEEDS_NO_MEMORY(hk_barrier_reset, HKT_OK(hk_barrier_reset(&barrier)));
    HKT_OK(hk_barrier_init(&barrier, "barrier", 2));
    HKT_NEEDS_NO_MEMORY(hk_barrier_wait,
                        HKT_STATUS(hk_barrier_wait(&barrier, HK_NS(1), NULL), HK_ETIMEDOUT));
}

static void counters_events_semaphores(void)
{
    static hk_counter counter = HK_COUNTER_INIT;
    hk_event event = HK_EVENT_INIT("event");
    hk_semaphore semaphore;

    HKT_NEEDS_NO_MEMORY(hk_counter_add, hk_counter_add(&counter, 3));
    HKT_NEEDS_NO_MEMORY(hk_counter_sum, HKT_EQ_INT(hk_counter_sum(&counter), 3));
    HKT_NEEDS_NO_MEMORY(hk_counter_reset, HKT_EQ_INT(hk_counter_reset(&counter), 3));
    HKT_NEEDS_NO_MEMORY(hk_event_wait, HKT_STATUS(hk_event_wait(&event, HK_NS(1)), HK_ETIMEDOUT));
    HKT_NEEDS_NO_MEMORY(hk_event_set, HKT_OK(hk_event_set(&event)));
    HKT_NEEDS_NO_MEMORY(hk_event_is_set, HKT_TRUE(hk_event_is_set(&event)));
    HKT_NEEDS_NO_MEMORY(hk_event_reset, HKT_OK(hk_event_reset(&event)));
    HKT_NEEDS_NO_MEMORY(hk_semaphore_init, HKT_OK(hk_semaphore_init(&semaphore, "one", 1, 1)));
    HKT_NEEDS_NO_MEMORY(hk_semaphore_acquire, HKT_OK(hk_semaphore_acquire(&semaphore, 1, 0)));
    HKT_NEEDS_NO_MEMORY(hk_semaphore_acquire,
                        HKT_STATUS(hk_semaphore_acquire(&semaphore, 1, 1), HK_ETIMEDOUT));
    HKT_NEEDS_NO_MEMORY(hk_semaphore_release, HKT_OK(hk_semaphore_release(&semaphore, 1)));
    HKT_NEEDS_NO_MEMORY(hk_semaphore_value, HKT_EQ_INT(hk_semaphore_value(&semaphore), 1));
}

static void latches(void)
{
    hk_latch latch;

    HKT_NEEDS_NO_MEMORY(hk_latch_init, HKT_OK(hk_latch_init(&latch, "latch", 1)));
    HKT_NEEDS_NO_MEMORY(hk_latch_add, HKT_OK(hk_latch_add(&latch, 1)));
    HKT_NEEDS_NO_MEMORY(hk_latch_count, HKT_EQ_INT(hk_latch_count(&latch), 2));
    HKT_NEEDS_NO_MEMORY(hk_latch_wait, HKT_STATUS(hk_latch_wait(&latch, 1), HK_ETIMEDOUT));
    HKT_OK(hk_latch_bind(&latch));
    HKT_NEEDS_NO_MEMORY(hk_latch_unbind, HKT_OK(hk_latch_unbind(&latch)));
    HKT_NEEDS_NO_MEMORY(hk_latch_count_down, HKT_OK(hk_latch_count_down(&latch, 2)));
    HKT_NEEDS_NO_MEMORY(hk_latch_destroy, hk_latch_destroy(&latch));
}

static hk_status do_nothing(void *arg)
{
    (void)arg;
    return HK_OK;
}

static hk_status give_argument(void *arg, void **value)
{
    *value = arg;
    return HK_OK;
}

static void once_and_lazy(void)
{
    int object = 1;
    void *value = NULL;
    hk_once once = HK_ONCE_INIT("once");
    hk_lazy lazy = HK_LAZY_INIT("lazy", give_argument, NULL, &object);

    HKT_NEEDS_NO_MEMORY(hk_once_run, HKT_OK(hk_once_run(&once, do_nothing, NULL)));
    HKT_NEEDS_NO_MEMORY(hk_once_is_done, HKT_TRUE(hk_once_is_done(&once)));
    HKT_NEEDS_NO_MEMORY(hk_lazy_build_, HKT_OK(hk_lazy_build_(&lazy, &value)));
    HKT_EQ_PTR(value, &object);
    HKT_NEEDS_NO_MEMORY(hk_lazy_destroy, hk_lazy_destroy(&lazy));
}

/* Once the thread has its list of what it holds, which the first lock makes. */
static void locks_and_conditions(void)
{
    static hk_lock lock;
    static hk_lock second = HK_LOCK_INIT("second");
    static hk_cond cond = HK_COND_INIT("cond");
    hk_lock *both[] = {&lock, &second};
    hk_lock_contention line;
    hk_lock_order_statistics statistics;

    HKT_NEEDS_NO_MEMORY(hk_lock_init, HKT_OK(hk_lock_init(&lock, NULL)));
    HKT_OK(hk_lock_acquire_many(both, 2));
    HKT_NEEDS_NO_MEMORY(hk_lock_is_held_by_me, HKT_TRUE(hk_lock_is_held_by_me(&lock)));
    HKT_NEEDS_NO_MEMORY(hk_lock_assert_held, hk_lock_assert_held(&lock));
    HKT_NEEDS_NO_MEMORY(hk_lock_release_many, HKT_OK(hk_lock_release_many(both, 2)));
    HKT_OK(hk_lock_acquire(&lock));
    HKT_NEEDS_NO_MEMORY(hk_cond_wait, HKT_STATUS(hk_cond_wait(&cond, &lock, 1), HK_ETIMEDOUT));
    HKT_NEEDS_NO_MEMORY(hk_cond_signal, HKT_OK(hk_cond_signal(&cond)));
    HKT_NEEDS_NO_MEMORY(hk_cond_broadcast, HKT_OK(hk_cond_broadcast(&cond)));
    HKT_NEEDS_NO_MEMORY(hk_lock_release, HKT_OK(hk_lock_release(&lock)));
    HKT_NEEDS_NO_MEMORY(hk_lock_contentions, HKT_TRUE(hk_lock_contentions(&line, 1) < 1000));
    HKT_NEEDS_NO_MEMORY(hk_lock_policy_set, HKT_OK(hk_lock_policy_set(HK_LOCK_REFUSE)));
    HKT_NEEDS_NO_MEMORY(hk_lock_policy_get, HKT_EQ_INT(hk_lock_policy_get(), HK_LOCK_REFUSE));
    HKT_NEEDS_NO_MEMORY(hk_lock_order_stats, HKT_OK(hk_lock_order_stats(&statistics)));
    HKT_NEEDS_NO_MEMORY(hk_lock_destroy, HKT_OK(hk_lock_destroy(&lock)));
    HKT_OK(hk_lock_destroy(&second));
}

static void read_write_locks(void)
{
    static hk_rwlock lock = HK_RWLOCK_INIT("rwlock");

    HKT_OK(hk_rwlock_read(&lock));
    HKT_NEEDS_NO_MEMORY(hk_rwlock_is_held_by_me, HKT_TRUE(hk_rwlock_is_held_by_me(&lock, false)));
    HKT_NEEDS_NO_MEMORY(hk_rwlock_release, HKT_OK(hk_rwlock_release(&lock)));
    HKT_NEEDS_NO_MEMORY(hk_rwlock_destroy, HKT_OK(hk_rwlock_destroy(&lock)));
}

static void write_report(const hk_lock_report *report, void *arg)
{
    int fd = *(const int *)arg;

    HKT_NEEDS_NO_MEMORY(hk_lock_report_write,
                        HKT_OK(hk_lock_report_write(report, HK_LOCK_TEXT, fd)));
    HKT_NEEDS_NO_MEMORY(hk_lock_report_write,
                        HKT_OK(hk_lock_report_write(report, HK_LOCK_DOT, fd)));
    *(int *)arg = -1;
}

static void reports_and_graphs(void)
{
    static hk_lock one = HK_LOCK_INIT("one");
    static hk_lock other = HK_LOCK_INIT("other");
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int fd = null;

    hk_on_lock_report(write_report, &fd);
    HKT_OK(hk_lock_acquire(&one));
    HKT_OK(hk_lock_acquire(&other));
    HKT_OK(hk_lock_release(&other));
    HKT_OK(hk_lock_release(&one));
    HKT_OK(hk_lock_acquire(&other));
    HKT_STATUS(hk_lock_acquire(&one), HK_EORDER);
    HKT_OK(hk_lock_release(&other));
    HKT_EQ_INT(fd, -1); /* It was reported. */
    hk_on_lock_report(NULL, NULL);
    HKT_NEEDS_NO_MEMORY(hk_lock_graph_write, HKT_OK(hk_lock_graph_write(null)));
    HKT_NEEDS_NO_MEMORY(hk_waits_watch, HKT_OK(hk_waits_watch(HK_SEC(1000), null)));
    HKT_NEEDS_NO_MEMORY(hk_waits_watch, HKT_OK(hk_waits_watch(0, -1)));
    HKT_OK(hk_lock_destroy(&one));
    HKT_OK(hk_lock_destroy(&other));
    close(null);
}

static void add_up(void *total, const void *object)
{
    *(int *)total += *(const int *)object;
}

static void visit(void *object, void *user)
{
    add_up(user, object);
}

static void locals(void)
{
    int object = 5;
    int total = 0;
    int retired = 0;
    hk_local *local = NULL;
    void *seen = NULL;

    HKT_OK(hk_local_create(give_argument, NULL, &object, &local));
    HKT_OK(hk_local_retire(local, add_up, &retired));
    HKT_OK(hk_local_build(local, &seen));
    HKT_NEEDS_NO_MEMORY(hk_local_each, HKT_OK(hk_local_each(local, visit, &total)));
    HKT_NEEDS_NO_MEMORY(hk_local_fold, HKT_OK(hk_local_fold(local, &total)));
    HKT_EQ_INT(total, 10);
    HKT_NEEDS_NO_MEMORY(hk_local_set, HKT_OK(hk_local_set(local, NULL)));
    HKT_NEEDS_NO_MEMORY(hk_local_destroy, HKT_OK(hk_local_destroy(local)));
    HKT_OK(hk_local_create(give_argument, NULL, &object, &local));
    HKT_NEEDS_NO_MEMORY(hk_local_retire, HKT_OK(hk_local_retire(local, add_up, &retired)));
    HKT_OK(hk_local_destroy(local));
    HKT_NEEDS_NO_MEMORY(hk_local_table_, HKT_TRUE(hk_local_table_.slots != NULL));
}

static void queues(void)
{
    int item;
    int fd = -1;
    void *taken[4];
    size_t count = 0;
    hk_queue *queue = NULL;

    HKT_OK(hk_queue_create(NULL, &queue));
    for (int i = 0; i < 4; i++) {
        HKT_OK(hk_queue_put(queue, &item, 0));
    }
    HKT_NEEDS_NO_MEMORY(hk_queue_length, HKT_EQ_INT(hk_queue_length(queue), 4));
    HKT_NEEDS_NO_MEMORY(hk_queue_capacity, HKT_TRUE(hk_queue_capacity(queue) == 0));
    HKT_NEEDS_NO_MEMORY(hk_queue_fd, HKT_OK(hk_queue_fd(queue, &fd)));
    HKT_NEEDS_NO_MEMORY(hk_queue_get, HKT_OK(hk_queue_get(queue, HK_FOREVER, &taken[0])));
    HKT_NEEDS_NO_MEMORY(hk_queue_get_many,
                        HKT_OK(hk_queue_get_many(queue, HK_FOREVER, taken, 4, &count)));
    HKT_NEEDS_NO_MEMORY(hk_queue_get, HKT_STATUS(hk_queue_get(queue, 1, taken), HK_ETIMEDOUT));
    HKT_NEEDS_NO_MEMORY(hk_queue_task_done, HKT_OK(hk_queue_task_done(queue, 4)));
    HKT_OK(hk_queue_bind(queue, HK_QUEUE_GETTER));
    HKT_NEEDS_NO_MEMORY(hk_queue_unbind, HKT_OK(hk_queue_unbind(queue, HK_QUEUE_GETTER)));
    HKT_NEEDS_NO_MEMORY(hk_queue_close, HKT_OK(hk_queue_close(queue)));
    HKT_NEEDS_NO_MEMORY(hk_queue_join, HKT_OK(hk_queue_join(queue, HK_FOREVER)));
    HKT_NEEDS_NO_MEMORY(hk_queue_destroy, HKT_OK(hk_queue_destroy(queue)));
}

static void rings(void)
{
    int item;
    int fd = -1;
    void *items[2] = {&item, &item};
    void *taken[4];
    size_t count = 0;
    hk_ring *ring = NULL;

    HKT_OK(hk_ring_create(&(hk_ring_options){.capacity = 4}, &ring));
    HKT_NEEDS_NO_MEMORY(hk_ring_put, HKT_OK(hk_ring_put(ring, &item, HK_FOREVER)));
    HKT_NEEDS_NO_MEMORY(hk_ring_put_many,
                        HKT_OK(hk_ring_put_many(ring, items, 2, HK_FOREVER, &count)));
    HKT_NEEDS_NO_MEMORY(hk_ring_length, HKT_EQ_INT(hk_ring_length(ring), 3));
    HKT_NEEDS_NO_MEMORY(hk_ring_capacity, HKT_EQ_INT(hk_ring_capacity(ring), 4));
    HKT_NEEDS_NO_MEMORY(hk_ring_fd, HKT_OK(hk_ring_fd(ring, &fd)));
    HKT_NEEDS_NO_MEMORY(hk_ring_get, HKT_OK(hk_ring_get(ring, HK_FOREVER, taken)));
    HKT_NEEDS_NO_MEMORY(hk_ring_get_many,
                        HKT_OK(hk_ring_get_many(ring, HK_FOREVER, taken, 4, &count)));
    HKT_NEEDS_NO_MEMORY(hk_ring_get, HKT_STATUS(hk_ring_get(ring, 1, taken), HK_ETIMEDOUT));
    HKT_NEEDS_NO_MEMORY(hk_ring_task_done, HKT_OK(hk_ring_task_done(ring, 3)));
    HKT_OK(hk_ring_bind(ring, HK_QUEUE_GETTER));
    HKT_NEEDS_NO_MEMORY(hk_ring_unbind, HKT_OK(hk_ring_unbind(ring, HK_QUEUE_GETTER)));
    HKT_NEEDS_NO_MEMORY(hk_ring_close, HKT_OK(hk_ring_close(ring)));
    HKT_NEEDS_NO_MEMORY(hk_ring_join, HKT_OK(hk_ring_join(ring, HK_FOREVER)));
    HKT_NEEDS_NO_MEMORY(hk_ring_destroy, HKT_OK(hk_ring_destroy(ring)));
}

static CU_TestInfo tests[] = {
    HKT_CASE("texts, time and hooks need no memory", texts_and_time),
    HKT_CASE("setting the allocator needs no memory", the_allocator_is_set),
    HKT_CASE("barriers need no memory", barriers),
    HKT_CASE("counters, events and semaphores need no memory", counters_events_semaphores),
    HKT_CASE("latches need memory only for who declares himself", latches),
    HKT_CASE("once and lazy need no memory", once_and_lazy),
    HKT_CASE("releasing and waiting with locks needs no memory", locks_and_conditions),
    HKT_CASE("releasing read-write locks needs no memory", read_write_locks),
    HKT_CASE("writing what is known of locks needs no memory", reports_and_graphs),
    HKT_CASE("visiting and giving back per-thread objects needs no memory", locals),
    HKT_CASE("taking from queues needs no memory", queues),
    HKT_CASE("rings need no memory once they are there", rings),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "no_allocation.sync", .pTests = tests},
                                CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
