/* SPDX-License-Identifier: MIT */
/* Where locks, conditions, waits and the ends of threads meet: what one of them alone
 * does not show. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lock_fixture.h"

/* --- Before main -------------------------------------------------------------- */

static hk_lock early = HK_LOCK_INIT("early");
static hk_status early_status = HK_ESTATE;

__attribute__((constructor)) static void take_early(void)
{
    early_status = hk_lock_acquire(&early);
    (void)hk_lock_release(&early);
}

static void a_constructor_may_take_locks(void)
{
    HKT_OK(early_status);
}

/* --- Threads that end ---------------------------------------------------------- */

/* More than the C library keeps for the next thread, so that what is per thread is gone
 * with it. */
enum { LARGE_STACK_BYTES = 64 * 1024 * 1024 };

static void *bind_and_end(void *queue)
{
    HKT_OK(hk_queue_bind(queue, HK_QUEUE_PUTTER));
    return NULL;
}

static void a_bound_thread_that_ends_is_forgotten(void)
{
    hk_lock lock = HK_LOCK_INIT("getter");
    hk_queue *queue;
    pthread_attr_t attributes;
    pthread_t thread;
    void *item;

    HKT_OK_FATAL(hk_queue_create(NULL, &queue));
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, LARGE_STACK_BYTES);
    HKT_EQ_INT(pthread_create(&thread, &attributes, bind_and_end, queue), 0);
    HKT_EQ_INT(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
    HKT_OK(hk_lock_acquire(&lock)); /* So that its wait is looked at. */
    HKT_STATUS(hk_queue_get(queue, HK_MS(1), &item), HK_ETIMEDOUT);
    HKT_OK(hk_lock_release(&lock));
    HKT_OK(hk_queue_destroy(queue));
    HKT_OK(hk_lock_destroy(&lock));
}

/* A queue may be destroyed while threads are bound to it that do something else. */
struct binding {
    hk_queue *queue;
    struct hkt_barrier bound;
};

static void bind_and_wait_elsewhere(void *arg)
{
    struct binding *binding = arg;
    hk_event never = HK_EVENT_INIT("never");

    HKT_OK(hk_queue_bind(binding->queue, HK_QUEUE_PUTTER));
    hkt_barrier_wait(&binding->bound);
    for (int i = 0; i < 10; i++) {
        HKT_STATUS(hk_event_wait(&never, HK_US(10)), HK_ETIMEDOUT);
    }
}

static void a_queue_forgets_who_waits_elsewhere(void)
{
    for (unsigned round = 0; round < 100 / hkt_slowness(); round++) {
        struct binding binding;
        struct hkt_thread thread;

        HKT_OK_FATAL(hk_queue_create(NULL, &binding.queue));
        hkt_barrier_init(&binding.bound, 2, "bound");
        hkt_thread_start(&thread, bind_and_wait_elsewhere, &binding);
        hkt_barrier_wait(&binding.bound);
        HKT_OK(hk_queue_destroy(binding.queue));
        hkt_thread_join(&thread);
        hkt_barrier_fini(&binding.bound);
    }
}

static hk_lock kept = HK_LOCK_INIT("kept");

static void release_kept(void *lock)
{
    HKT_OK(hk_lock_release(lock));
}

static void take_and_leave_it_to_a_key(void *key)
{
    HKT_EQ_INT(pthread_setspecific(*(pthread_key_t *)key, &kept), 0);
    HKT_OK(hk_lock_acquire(&kept));
}

static void the_destructor_of_a_key_may_release(void)
{
    struct hkt_thread thread;
    struct hkt_log log;
    pthread_key_t key;

    HKT_EQ_INT(pthread_key_create(&key, release_kept), 0);
    hkt_log_begin(&log);
    hkt_thread_start(&thread, take_and_leave_it_to_a_key, &key);
    hkt_thread_join(&thread);
    HKT_EQ_INT(log.lines, 0);
    hkt_log_end(&log);
    HKT_OK(hk_lock_try(&kept));
    HKT_OK(hk_lock_release(&kept));
    HKT_EQ_INT(pthread_key_delete(key), 0);
}

/* --- Contention ----------------------------------------------------------------- */

static const hk_lock_contention *line_of_name(const hk_lock_contention *lines, size_t count,
                                              const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (lines[i].name != NULL && strcmp(lines[i].name, name) == 0) {
            return &lines[i];
        }
    }
    return NULL;
}

/* A line of its own, so that this is the lock that it first waited for. */
static hk_status acquire_here(void *lock)
{
    return hk_lock_acquire((hk_lock *)lock);
}

static void contention_outlives_the_name_of_a_lock(void)
{
    static char name[] = "the name of an object";
    hk_lock_options options = {.name = name};
    hk_lock_contention *lines = calloc(1024, sizeof(*lines));
    struct hkt_puppet other;
    hk_lock lock;

    HKT_OK(hk_lock_init(&lock, &options));
    HKT_OK(hk_lock_acquire(&lock));
    hkt_puppet_make(&other);
    hkt_puppet_begin_asleep(&other, acquire_here, &lock);
    HKT_OK(hk_lock_release(&lock));
    HKT_OK(hkt_puppet_finish(&other));
    HKT_OK(hkt_puppet_do(&other, hkt_release, &lock));
    hkt_puppet_retire(&other);
    HKT_OK(hk_lock_destroy(&lock));
    snprintf(name, sizeof(name), "memory of others");
    HKT_TRUE(line_of_name(lines, hk_lock_contentions(lines, 1024), "the name of an object") !=
             NULL);
    free(lines);
}

/* --- Conditions ------------------------------------------------------------------- */

static void a_condition_does_not_hide_an_order(void)
{
    hk_lock outer = HK_LOCK_INIT("outer");
    hk_lock inner = HK_LOCK_INIT("inner");
    hk_cond cond = HK_COND_INIT("cond");
    static struct hkt_reports reports;

    hkt_reports_begin(&reports);
    HKT_OK(hkt_nest(&outer, &inner));
    HKT_OK(hk_lock_acquire(&inner));
    HKT_OK(hk_lock_try(&outer)); /* Never waits, so it may. */
    HKT_STATUS(hk_cond_wait(&cond, &outer, 0), HK_EORDER);
    HKT_TRUE(hk_lock_is_held_by_me(&outer));
    HKT_OK(hk_lock_release(&outer));
    HKT_OK(hk_lock_release(&inner));
    HKT_EQ_INT(hkt_reports_count(&reports), 1);
    hkt_reports_end(&reports);
    HKT_OK(hk_lock_destroy(&outer));
    HKT_OK(hk_lock_destroy(&inner));
}

/* What was taken first is still the first to be named, with its own line. */
static void a_refused_condition_leaves_the_list_as_it_was(void)
{
    hk_lock locks[3] = {HK_LOCK_INIT("first"), HK_LOCK_INIT("second"), HK_LOCK_INIT("third")};
    hk_cond cond = HK_COND_INIT("cond");
    static struct hkt_reports reports;
    const char *held;
    const char *first;
    const char *second;

    hkt_reports_begin(&reports);
    HKT_OK(hkt_nest(&locks[2], &locks[0]));
    HKT_OK(hk_lock_acquire(&locks[0]));
    HKT_OK(hk_lock_acquire(&locks[1]));
    HKT_STATUS(hk_cond_wait(&cond, &locks[0], 0), HK_EORDER);
    HKT_STATUS(hk_lock_acquire(&locks[2]), HK_EORDER);
    held = strstr(reports.text, "This thread holds");
    HKT_TRUE_FATAL(held != NULL);
    first = strstr(held, "\"first\"");
    second = strstr(held, "\"second\"");
    HKT_TRUE(first != NULL && second != NULL && first < second);
    HKT_OK(hk_lock_release(&locks[1]));
    HKT_OK(hk_lock_release(&locks[0]));
    hkt_reports_end(&reports);
    for (int i = 0; i < 3; i++) {
        HKT_OK(hk_lock_destroy(&locks[i]));
    }
}

static void a_condition_warns_of_other_locks_alone(void)
{
    hk_lock outer = HK_LOCK_INIT("outer");
    hk_lock inner = HK_LOCK_INIT("inner");
    hk_cond cond = HK_COND_INIT("cond");
    struct hkt_log log;

    hk_waits_warn_blocking(true);
    hkt_log_begin(&log);
    HKT_OK(hk_lock_acquire(&inner));
    HKT_STATUS(hk_cond_wait(&cond, &inner, 0), HK_ETIMEDOUT);
    HKT_EQ_INT(log.lines, 0);
    HKT_OK(hk_lock_release(&inner));
    HKT_OK(hk_lock_acquire(&outer));
    HKT_OK(hk_lock_acquire(&inner));
    HKT_STATUS(hk_cond_wait(&cond, &inner, 0), HK_ETIMEDOUT);
    HKT_EQ_INT(log.lines, 1);
    HKT_TRUE(hkt_log_has(&log, "while it holds lock"));
    HKT_TRUE(hkt_log_has(&log, "(outer)"));
    HKT_OK(hk_lock_release(&inner));
    HKT_OK(hk_lock_release(&outer));
    hkt_log_end(&log);
    hk_waits_warn_blocking(false);
    HKT_OK(hk_lock_destroy(&outer));
    HKT_OK(hk_lock_destroy(&inner));
}

/* --- Signals in the middle of a wait ------------------------------------------------- */

static void do_nothing(int signal)
{
    (void)signal;
}

static void handle(int number, void (*handler)(int number))
{
    struct sigaction action = {.sa_handler = handler};

    sigemptyset(&action.sa_mask);
    HKT_EQ_INT(sigaction(number, &action, NULL), 0);
}

struct timed_wait {
    hk_lock lock;
    hk_cond cond;
    unsigned returns;
    atomic_bool over;
};

/* The usual loop, with a time for each call. */
static void wait_in_a_loop(void *arg)
{
    struct timed_wait *wait = arg;
    hk_status status = HK_OK;

    HKT_OK(hk_lock_acquire(&wait->lock));
    while (status == HK_OK && wait->returns < 1000) {
        status = hk_cond_wait(&wait->cond, &wait->lock, HK_MS(50));
        wait->returns++;
    }
    HKT_STATUS(status, HK_ETIMEDOUT);
    HKT_OK(hk_lock_release(&wait->lock));
    atomic_store(&wait->over, true);
}

static void signals_do_not_lengthen_a_timed_wait(void)
{
    struct timed_wait wait = {.lock = HK_LOCK_INIT("lock")};
    struct hkt_thread thread;

    handle(SIGUSR1, do_nothing);
    hkt_thread_start(&thread, wait_in_a_loop, &wait);
    while (!atomic_load(&wait.over)) {
        pthread_kill(thread.thread, SIGUSR1);
        sched_yield();
    }
    hkt_thread_join(&thread);
    HKT_EQ_INT(wait.returns, 1);
    handle(SIGUSR1, SIG_DFL);
    HKT_OK(hk_lock_destroy(&wait.lock));
}

/* --- The watch ------------------------------------------------------------------------- */

static void watch_and_stop(void *fd)
{
    for (unsigned round = 0; round < 200 / hkt_slowness(); round++) {
        HKT_OK(hk_waits_watch(HK_MS(1), *(int *)fd));
        HKT_OK(hk_waits_watch(0, -1));
    }
}

static void the_watch_starts_and_ends_from_any_thread(void)
{
    struct hkt_thread threads[3];
    FILE *file = tmpfile();
    int fd;

    HKT_TRUE_FATAL(file != NULL);
    fd = fileno(file);
    for (int i = 0; i < 3; i++) {
        hkt_thread_start(&threads[i], watch_and_stop, &fd);
    }
    for (int i = 0; i < 3; i++) {
        hkt_thread_join(&threads[i]);
    }
    fclose(file);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_constructor_may_take_locks),
    HKT_TEST(a_bound_thread_that_ends_is_forgotten),
    HKT_TEST(a_queue_forgets_who_waits_elsewhere),
    HKT_TEST(the_destructor_of_a_key_may_release),
    HKT_TEST(contention_outlives_the_name_of_a_lock),
    HKT_TEST(a_condition_does_not_hide_an_order),
    HKT_TEST(a_refused_condition_leaves_the_list_as_it_was),
    HKT_TEST(a_condition_warns_of_other_locks_alone),
    HKT_TEST(signals_do_not_lengthen_a_timed_wait),
    HKT_TEST(the_watch_starts_and_ends_from_any_thread),
    CU_TEST_INFO_NULL,
};

int main(int argc, char **argv)
{
    static CU_SuiteInfo suites[] = {{.pName = "sync review", .pTests = tests}, CU_SUITE_INFO_NULL};

    return hkt_main(argc, argv, suites);
}
