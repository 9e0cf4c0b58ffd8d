/* SPDX-License-Identifier: MIT */
#include "tests/fault_fixture.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/live.h"
#include "base/os.h"
#include "base/time.h"

struct hkt_shared *hkt_shared;

/* --- Cases --- */

static void say_nothing(hk_log_level level, const char *text, void *arg)
{
    (void)level;
    (void)text;
    (void)arg;
}

static void forget_failure(const hk_error *error, void *arg)
{
    (void)error;
    (void)arg;
}

static bool is_nothing_alive(void *nothing)
{
    (void)nothing;
    return hki_live_total(NULL, 0) == 0;
}

static void be_case(void (*inside)(void))
{
    if (getenv("HOCKET_TEST_TALKS") == NULL) {
        hk_on_log(say_nothing, NULL);
    }
    hk_on_unobserved(forget_failure, NULL);
    inside();
}

static void run_case(void *arg)
{
    void (**inside)(void) = arg;

    be_case(*inside);
    if (!hkt_eventually(is_nothing_alive, NULL)) {
        char text[512];

        hki_live_total(text, sizeof(text));
        hkt_child_is_wrong(__FILE__, __LINE__, text);
    }
}

static void run_to_end(void *arg)
{
    void (**inside)(void) = arg;

    be_case(*inside);
}

static void run(void (*in_child)(void *arg), void (*inside)(void), int term_signal, int exit_status)
{
    struct hkt_child child;

    hkt_shared =
        mmap(NULL, sizeof(*hkt_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    HKT_TRUE_FATAL(hkt_shared != MAP_FAILED);
    hkt_run_in_child(in_child, (void *)&inside, &child);
    if (!HKT_EQ_INT(child.term_signal, term_signal) ||
        !HKT_EQ_INT(child.exit_status, exit_status)) {
        fprintf(stderr, "%s\n", child.output);
    }
    munmap(hkt_shared, sizeof(*hkt_shared));
    hkt_shared = NULL;
    hki_fault_clear();
}

void hkt_fault_run(void (*inside)(void))
{
    run(run_case, inside, 0, 0);
}

void hkt_fault_run_to_end(void (*inside)(void), int term_signal, int exit_status)
{
    run(run_to_end, inside, term_signal, term_signal != 0 ? -1 : exit_status);
}

/* --- Pools --- */

hk_executor *hkt_fault_pool(hk_executor_options options)
{
    hk_executor *pool = NULL;

    HKT_CHILD_STATUS(hk_process_pool_create(&options, &pool), HK_OK);
    return pool;
}

void hkt_fault_close(hk_executor *pool)
{
    HKT_CHILD_STATUS(hk_executor_destroy(pool), HK_OK);
}

void hkt_fault_works(hk_executor *pool)
{
    hk_future *future = NULL;
    int n = 7;

    HKT_CHILD_STATUS(hk_submit(pool, hkt_square, &n, sizeof(n), NULL, &future), HK_OK);
    HKT_CHILD_TRUE(hkt_fault_int(future) == 49);
}

hk_executor_statistics hkt_fault_stats(hk_executor *pool)
{
    hk_executor_statistics statistics;

    HKT_CHILD_STATUS(hk_executor_stats(pool, &statistics), HK_OK);
    return statistics;
}

struct expectation {
    hk_executor *pool;
    hkt_counter_fn *counter;
    uint64_t value;
};

static bool is_reached(void *arg)
{
    struct expectation *expectation = arg;
    hk_executor_statistics statistics = hkt_fault_stats(expectation->pool);

    return expectation->counter(&statistics) >= expectation->value;
}

void hkt_fault_reaches(hk_executor *pool, hkt_counter_fn *counter, uint64_t value)
{
    struct expectation expectation = {pool, counter, value};

    HKT_CHILD_TRUE(hkt_eventually(is_reached, &expectation));
}

void hkt_fault_await(_Atomic(uint32_t) *word, uint32_t value)
{
    uint32_t now;

    /* Whoever counts may not wake: so it looks again by itself. */
    while ((now = atomic_load(word)) < value) {
        (void)hki_os_futex_wait_shared(word, now, hki_deadline(HK_MS(1)));
    }
}

static bool is_gone(void *pid)
{
    return kill(*(const int32_t *)pid, 0) != 0 && errno == ESRCH;
}

void hkt_fault_await_gone(int32_t pid)
{
    HKT_CHILD_TRUE(hkt_eventually(is_gone, &pid));
}

/* --- Tasks --- */

HK_TASK(hkt_fault_pid)
{
    int32_t pid = getpid();

    return hk_return(call, &pid, sizeof(pid));
}

HK_TASK_FLAGS(hkt_fault_stands, HK_TASK_IDEMPOTENT)
{
    uint32_t place = atomic_fetch_add(&hkt_shared->word[HKT_SHARED_WORDS - 1], 1);

    atomic_store(&hkt_shared->pid[place % HKT_SHARED_WORDS], getpid());
    atomic_fetch_add(&hkt_shared->arrived, 1);
    hki_os_futex_wake_shared(&hkt_shared->arrived, 1);
    while (atomic_load(&hkt_shared->gate) == 0) {
        (void)hki_os_futex_wait_shared(&hkt_shared->gate, 0, HKI_NEVER);
    }
    return HK_OK;
}

HK_TASK(hkt_fault_loops)
{
    atomic_fetch_add(&hkt_shared->arrived, 1);
    while (hkt_shared != NULL) {
        (void)sched_yield();
    }
    return HK_OK;
}

HK_TASK(hkt_fault_dies)
{
    atomic_fetch_add(&hkt_shared->runs, 1);
    (void)raise(SIGKILL);
    return HK_OK;
}

HK_TASK(hkt_fault_counts)
{
    atomic_fetch_add(&hkt_shared->runs, 1);
    return HK_OK;
}

hk_future *hkt_fault_submit(hk_executor *pool, const hk_task *task,
                            const hk_submit_options *options)
{
    hk_future *future = NULL;

    HKT_CHILD_STATUS(hk_submit(pool, task, NULL, 0, options, &future), HK_OK);
    return future;
}

hk_future *hkt_fault_stand(hk_executor *pool, int32_t *pid)
{
    uint32_t before = atomic_load(&hkt_shared->arrived);
    hk_future *future = hkt_fault_submit(pool, hkt_fault_stands, NULL);

    hkt_fault_await(&hkt_shared->arrived, before + 1);
    if (pid != NULL) {
        *pid = atomic_load(&hkt_shared->pid[before % HKT_SHARED_WORDS]);
    }
    return future;
}

void hkt_fault_open_gate(void)
{
    atomic_store(&hkt_shared->gate, 1);
    hki_os_futex_wake_shared(&hkt_shared->gate, UINT32_MAX >> 1);
}

/* --- Ends --- */

void hkt_fault_ends(hk_future *future, hk_status status)
{
    hk_status seen = hk_future_result(future, HK_FOREVER, NULL, NULL);

    if (seen != status) {
        fprintf(stderr, "%s, not %s: %s\n", hk_status_name(seen), hk_status_name(status),
                hk_future_why(future));
    }
    HKT_CHILD_TRUE(seen == status);
    hk_future_unref(future);
}

static const hk_error *wait_for_loss(hk_future *future)
{
    const hk_error *error = NULL;
    hk_status seen = hk_future_result(future, HK_FOREVER, NULL, NULL);

    if (seen != HK_EWORKER) {
        fprintf(stderr, "%s, not HK_EWORKER: %s\n", hk_status_name(seen), hk_future_why(future));
    }
    HKT_CHILD_TRUE(seen == HK_EWORKER);
    HKT_CHILD_STATUS(hk_future_error(future, 0, &error), HK_OK);
    HKT_CHILD_TRUE(error->status == HK_EWORKER);
    return error;
}

void hkt_fault_ends_by_signal(hk_future *future, int term_signal)
{
    const hk_error *error = wait_for_loss(future);

    if (error->term_signal != term_signal) {
        fprintf(stderr, "another signal than %d: %s\n", term_signal, hk_future_why(future));
    }
    HKT_CHILD_TRUE(error->term_signal == term_signal && error->exit_status == 0);
    hk_future_unref(future);
}

void hkt_fault_ends_by_exit(hk_future *future, int exit_status)
{
    const hk_error *error = wait_for_loss(future);

    if (error->exit_status != exit_status) {
        fprintf(stderr, "another exit code than %d: %s\n", exit_status, hk_future_why(future));
    }
    HKT_CHILD_TRUE(error->term_signal == 0 && error->exit_status == exit_status);
    hk_future_unref(future);
}

int hkt_fault_int(hk_future *future)
{
    const void *value = NULL;
    size_t size = 0;
    hk_status status = hk_future_result(future, HK_FOREVER, &value, &size);
    int number;

    if (status != HK_OK) {
        fprintf(stderr, "%s\n", hk_future_why(future));
    }
    HKT_CHILD_TRUE(status == HK_OK && size == sizeof(number));
    memcpy(&number, value, sizeof(number));
    hk_future_unref(future);
    return number;
}

void hkt_squares_submit(struct hkt_squares *squares, hk_executor *pool, int count)
{
    HKT_CHILD_TRUE(count <= HKT_SQUARES_MAX);
    squares->count = count;
    for (int i = 0; i < count; i++) {
        HKT_CHILD_STATUS(hk_submit(pool, hkt_square, &i, sizeof(i), NULL, &squares->futures[i]),
                         HK_OK);
    }
}

void hkt_squares_expect(struct hkt_squares *squares)
{
    for (int i = 0; i < squares->count; i++) {
        HKT_CHILD_TRUE(hkt_fault_int(squares->futures[i]) == i * i);
    }
}
