/* SPDX-License-Identifier: MIT */
/*
 * Signals without SA_RESTART rain on every thread of a busy process, and on its workers: every
 * kind of wait is interrupted again and again. None says so, none runs out early, and all
 * results are right.
 */
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/os.h"
#include "base/time.h"
#include "tests/fault_fixture.h"

enum { ROUNDS = 30, MANY = 24, DROPS_LEAST = 200 };

static atomic_uint drops; /* Signals that a handler of this process has seen. */
static atomic_bool rains;
static pthread_t cloud;
static _Atomic(int32_t) worker_pids[4];
static hk_lock lock = HK_LOCK_INIT("lock");
static hk_cond cond = HK_COND_INIT("cond");

static void see_drop(int number)
{
    (void)number;
    atomic_fetch_add(&drops, 1);
}

static void be_wet(void)
{
    struct sigaction action = {.sa_handler = see_drop}; /* No SA_RESTART. */

    HKT_CHILD_TRUE(sigaction(SIGUSR1, &action, NULL) == 0);
}

/* On each thread but this one; a thread that has gone meanwhile is no matter. */
static void wet_threads(void)
{
    DIR *dir = opendir("/proc/self/task");

    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        int thread = (int)strtol(entry->d_name, NULL, 10);

        if (thread > 0 && thread != hki_os_thread_id()) {
            (void)syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static void *rain(void *nothing)
{
    static _Atomic(uint32_t) never;

    while (atomic_load(&rains)) {
        wet_threads();
        for (size_t i = 0; i < sizeof(worker_pids) / sizeof(worker_pids[0]); i++) {
            int32_t pid = atomic_load(&worker_pids[i]);

            if (pid > 0) {
                (void)kill(pid, SIGUSR1);
            }
        }
        (void)hki_os_futex_wait_shared(&never, 0, hki_deadline(HK_US(100)));
    }
    return nothing;
}

static void storm_begins(void)
{
    be_wet();
    atomic_store(&rains, true);
    HKT_CHILD_TRUE(pthread_create(&cloud, NULL, rain, NULL) == 0);
}

static bool is_wet(void *nothing)
{
    (void)nothing;
    return atomic_load(&drops) >= DROPS_LEAST;
}

static void storm_ends(void)
{
    HKT_CHILD_TRUE(hkt_eventually(is_wet, NULL)); /* Else nothing was proved. */
    atomic_store(&rains, false);
    HKT_CHILD_TRUE(pthread_join(cloud, NULL) == 0);
}

/* --- Waits that run out do so on time, and say that they did --- */

#define RUNS_OUT(call)                                                                             \
    do {                                                                                           \
        int64_t begun_ns = hk_now_ns();                                                            \
        HKT_CHILD_STATUS(call, HK_ETIMEDOUT);                                                      \
        HKT_CHILD_TRUE(hk_now_ns() - begun_ns >= LIMIT);                                           \
    } while (0)
#define LIMIT HK_MS(3)

static void waits_run_out(hk_future *pending)
{
    hk_event event = HK_EVENT_INIT("event");
    hk_semaphore semaphore = HK_SEMAPHORE_INIT("semaphore", 0, 1);
    hk_barrier barrier = HK_BARRIER_INIT("barrier", 2);
    hk_latch latch = HK_LATCH_INIT("latch", 1);
    hk_completion *completion = NULL;
    hk_queue *queue = NULL;
    hk_ring *ring = NULL;
    void *item = NULL;

    RUNS_OUT(hk_future_wait(pending, LIMIT));
    RUNS_OUT(hk_wait(&pending, 1, HK_ALL_COMPLETED, LIMIT, NULL, NULL));
    RUNS_OUT(hk_event_wait(&event, LIMIT));
    RUNS_OUT(hk_semaphore_acquire(&semaphore, 1, LIMIT));
    RUNS_OUT(hk_barrier_wait(&barrier, LIMIT, NULL));
    RUNS_OUT(hk_latch_wait(&latch, LIMIT));
    HKT_CHILD_STATUS(hk_completion_create(&completion), HK_OK);
    HKT_CHILD_STATUS(hk_completion_add(completion, pending, 0), HK_OK);
    RUNS_OUT(hk_completion_next(completion, LIMIT, NULL, NULL));
    hk_completion_destroy(completion);
    HKT_CHILD_STATUS(hk_queue_create(NULL, &queue), HK_OK);
    HKT_CHILD_STATUS(hk_ring_create(NULL, &ring), HK_OK);
    RUNS_OUT(hk_queue_get(queue, LIMIT, &item));
    RUNS_OUT(hk_queue_select(&queue, 1, LIMIT, &(size_t){0}));
    RUNS_OUT(hk_ring_get(ring, LIMIT, &item));
    HKT_CHILD_STATUS(hk_queue_destroy(queue), HK_OK);
    HKT_CHILD_STATUS(hk_ring_destroy(ring), HK_OK);
    HKT_CHILD_STATUS(hk_lock_acquire(&lock), HK_OK);
    RUNS_OUT(hk_cond_wait(&cond, &lock, LIMIT));
    HKT_CHILD_STATUS(hk_lock_release(&lock), HK_OK);
}

HKT_FAULT_CASE(no_wait_runs_out_early)
{
    hk_promise *promise = NULL;
    hk_future *pending = NULL;

    storm_begins();
    HKT_CHILD_STATUS(hk_promise_create(&promise, &pending), HK_OK);
    for (int i = 0; i < ROUNDS / 6; i++) {
        waits_run_out(pending);
    }
    storm_ends();
    hk_promise_destroy(promise);
    hk_future_unref(pending);
}

/* --- Work on threads --- */

static unsigned guarded; /* Under the lock. */

HK_TASK(counts_under_the_lock)
{
    hk_status status = hk_lock_acquire(&lock);

    if (status == HK_OK) {
        guarded++;
        status = hk_cond_wait(&cond, &lock, HK_US(50));
        status = status == HK_ETIMEDOUT || status == HK_OK ? hk_lock_release(&lock) : status;
    }
    return status;
}

HK_TASK(sleeps_its_time)
{
    int64_t begun_ns = hk_now_ns();
    hk_status status = hk_sleep(call, HK_MS(1));

    return status == HK_OK && hk_now_ns() - begun_ns < HK_MS(1) ? HK_EINVAL : status;
}

struct belt {
    hk_queue *queue;
    hk_ring *ring;
};

HK_TASK(takes_from_the_belt)
{
    struct belt *belt = (struct belt *)(uintptr_t)in;
    void *item = NULL;
    hk_status status = hk_queue_get(belt->queue, HK_FOREVER, &item);

    return status == HK_OK ? hk_ring_put(belt->ring, item, HK_FOREVER) : status;
}

static void await_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};

    while (poll(&one, 1, -1) != 1) { /* Our own poll is interrupted, too. */
    }
}

static void work(hk_executor *executor, const hk_task *task)
{
    hk_future *futures[MANY];
    size_t ended = 0;
    int fd = -1;

    for (int i = 0; i < MANY; i++) {
        HKT_CHILD_STATUS(hk_submit(executor, task, &i, sizeof(i), NULL, &futures[i]), HK_OK);
    }
    HKT_CHILD_STATUS(hk_future_fd(futures[0], &fd), HK_OK);
    await_readable(fd);
    HKT_CHILD_TRUE(hk_future_has_ended(futures[0]));
    HKT_CHILD_STATUS(hk_wait(futures, MANY, HK_ALL_COMPLETED, HK_FOREVER, NULL, &ended), HK_OK);
    HKT_CHILD_TRUE(ended == MANY);
    for (int i = 0; i < MANY; i++) {
        hkt_fault_ends(futures[i], HK_OK);
    }
}

static void run_belt(hk_executor *executor)
{
    hk_future *futures[MANY];
    struct belt belt;
    int items[MANY];
    void *item = NULL;

    HKT_CHILD_STATUS(hk_queue_create(&(hk_queue_options){.capacity = 2}, &belt.queue), HK_OK);
    HKT_CHILD_STATUS(hk_ring_create(&(hk_ring_options){.capacity = 2}, &belt.ring), HK_OK);
    for (int i = 0; i < MANY; i++) {
        HKT_CHILD_STATUS(
            hk_submit_ref(executor, takes_from_the_belt, &belt, NULL, NULL, &futures[i]), HK_OK);
    }
    for (int i = 0; i < MANY; i++) {
        HKT_CHILD_STATUS(hk_queue_put(belt.queue, &items[i], HK_FOREVER), HK_OK);
        HKT_CHILD_STATUS(hk_ring_get(belt.ring, HK_FOREVER, &item), HK_OK);
        HKT_CHILD_TRUE(item == &items[i]);
    }
    for (int i = 0; i < MANY; i++) {
        hkt_fault_ends(futures[i], HK_OK);
    }
    HKT_CHILD_STATUS(hk_queue_destroy(belt.queue), HK_OK);
    HKT_CHILD_STATUS(hk_ring_destroy(belt.ring), HK_OK);
}

HKT_FAULT_CASE(threads_work_in_the_rain)
{
    hk_executor *executor = NULL;

    storm_begins();
    for (int i = 0; i < ROUNDS; i++) {
        HKT_CHILD_STATUS(hk_executor_open("threads:3", &executor), HK_OK);
        HKT_CHILD_STATUS(hk_executor_prestart(executor, HK_FOREVER), HK_OK);
        work(executor, counts_under_the_lock);
        work(executor, sleeps_its_time);
        run_belt(executor);
        HKT_CHILD_STATUS(hk_executor_shutdown(executor, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_OK);
        HKT_CHILD_STATUS(hk_executor_destroy(executor), HK_OK);
    }
    HKT_CHILD_TRUE(guarded == ROUNDS * MANY);
    storm_ends();
}

/* --- Worker processes --- */

/* Before any signal may come, which would end the worker. */
static hk_status put_on_a_coat(hk_call *call, void *arg, void **local)
{
    (void)call;
    (void)arg;
    *local = NULL;
    be_wet();
    return HK_OK;
}

HK_TASK(echoes)
{
    return hk_return(call, in, in_size);
}

static void echo_much(hk_executor *pool)
{
    static unsigned char bytes[100000];
    hk_value value = {0};
    hk_future *future = NULL;

    HKT_CHILD_STATUS(hk_submit(pool, echoes, bytes, sizeof(bytes), NULL, &future), HK_OK);
    HKT_CHILD_STATUS(hk_future_take(future, HK_FOREVER, &value), HK_OK);
    HKT_CHILD_TRUE(value.size == sizeof(bytes));
    hk_value_drop(&value);
    hk_future_unref(future);
}

HKT_FAULT_CASE(processes_work_in_the_rain)
{
    hk_executor_options options = {.workers = 2, .initializer = put_on_a_coat};

    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
    for (int i = 0; i < ROUNDS / 3; i++) {
        hk_executor *pool = hkt_fault_pool(options);
        hk_future *held[2];

        if (i == 0) {
            storm_begins(); /* A second thread, which a zygote would not have. */
        }
        for (int k = 0; k < 2; k++) {
            int32_t pid = 0;

            held[k] = hkt_fault_stand(pool, &pid);
            atomic_store(&worker_pids[k], pid);
        }
        hkt_fault_open_gate();
        hkt_fault_ends(held[0], HK_OK);
        hkt_fault_ends(held[1], HK_OK);
        work(pool, echoes);
        work(pool, sleeps_its_time);
        echo_much(pool);
        atomic_store(&worker_pids[0], 0);
        atomic_store(&worker_pids[1], 0);
        atomic_store(&hkt_shared->gate, 0);
        HKT_CHILD_STATUS(hk_executor_shutdown(
                             pool, i % 2 == 0 ? HK_SHUTDOWN_DRAIN : HK_SHUTDOWN_KILL, HK_FOREVER),
                         HK_OK);
        hkt_fault_close(pool);
    }
    storm_ends();
}

static CU_TestInfo tests[] = {
    HKT_CASE("no wait that is interrupted runs out early, or says that it was",
             no_wait_runs_out_early),
    HKT_CASE("threads work right while signals interrupt all they do", threads_work_in_the_rain),
    HKT_CASE("so do worker processes", processes_work_in_the_rain),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "signal_storm", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
