/* SPDX-License-Identifier: MIT */
/* Case G22: inputs and results of every size, and memory that is full. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "executors/process_pool/layout.h"
#include "tests/fault_fixture.h"

/* The bytes of a payload of this size; each size has its own. */
static unsigned char byte_at(size_t size, size_t at)
{
    return (unsigned char)(size * 31 + at * 7);
}

static bool is_right(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != byte_at(size, i)) {
            return false;
        }
    }
    return true;
}

/* A number of bytes -> so many. */
HK_TASK(makes_bytes)
{
    size_t size;
    void *out = NULL;
    hk_status status;

    memcpy(&size, in, sizeof(size));
    if ((status = hk_return_reserve(call, size, &out)) != HK_OK) {
        return status;
    }
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)out)[i] = byte_at(size, i);
    }
    return HK_OK;
}

/* Bytes -> whether they are right. */
HK_TASK(checks_bytes)
{
    int right = is_right(in, in_size);

    return hk_return(call, &right, sizeof(right));
}

static hk_future *ask_for(hk_executor *pool, size_t size)
{
    hk_future *future = NULL;

    HKT_CHILD_STATUS(hk_submit(pool, makes_bytes, &size, sizeof(size), NULL, &future), HK_OK);
    return future;
}

static void expect_bytes(hk_future *future, size_t size)
{
    const void *value = NULL;
    size_t got = 0;

    HKT_CHILD_STATUS(hk_future_result(future, HK_FOREVER, &value, &got), HK_OK);
    HKT_CHILD_TRUE(got == size && is_right(value, size));
    hk_future_unref(future);
}

static hk_future *send_bytes(hk_executor *pool, size_t size)
{
    unsigned char *bytes = malloc(size + 1);
    hk_future *future = NULL;

    HKT_CHILD_TRUE(bytes != NULL);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = byte_at(size, i);
    }
    HKT_CHILD_STATUS(hk_submit(pool, checks_bytes, bytes, size, NULL, &future), HK_OK);
    free(bytes);
    return future;
}

static void expect_arrival(hk_executor *pool, size_t size)
{
    HKT_CHILD_TRUE(hkt_fault_int(send_bytes(pool, size)) == 1);
}

static const size_t sizes[] = {
    0,
    1,
    HKI_CELL_OUTPUT - 1,
    HKI_CELL_OUTPUT,
    HKI_CELL_OUTPUT + 1,
    HKI_CELL_INPUT - 1,
    HKI_CELL_INPUT,
    HKI_CELL_INPUT + 1,
    HKI_CELL_PAGE - 1,
    HKI_CELL_PAGE,
    HKI_CELL_PAGE + 1,
    HKI_OVERFLOW_UNIT - 1,
    HKI_OVERFLOW_UNIT,
    HKI_OVERFLOW_UNIT + 1,
    HKI_OVERFLOW_UNIT * 3,
    1 << 20,
    (1 << 20) + 1,
};

enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

HKT_FAULT_CASE(every_size)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hk_future *futures[SIZES];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < SIZES; i++) {
            expect_arrival(pool, sizes[i]);
            expect_bytes(ask_for(pool, sizes[i]), sizes[i]);
        }
        for (int i = 0; i < SIZES; i++) {
            futures[i] = ask_for(pool, sizes[SIZES - 1 - i]);
        }
        for (int i = 0; i < SIZES; i++) {
            expect_bytes(futures[i], sizes[SIZES - 1 - i]);
        }
    }
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(too_large)
{
    enum { MOST = 10000 };
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1, .max_payload = MOST});
    int32_t pid = hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL));
    hk_future *future = ask_for(pool, MOST + 1);
    const hk_error *error = NULL;
    static const unsigned char bytes[MOST + 1];

    HKT_CHILD_STATUS(hk_future_error(future, HK_FOREVER, &error), HK_OK);
    HKT_CHILD_TRUE(error != NULL && error->status == HK_EFAILED && error->cause != NULL &&
                   error->cause->status == HK_ETOOBIG);
    hk_future_unref(future);
    future = NULL;
    HKT_CHILD_STATUS(hk_submit(pool, checks_bytes, bytes, sizeof(bytes), NULL, &future),
                     HK_ETOOBIG);
    HKT_CHILD_TRUE(future == NULL);
    expect_bytes(ask_for(pool, MOST), MOST);
    expect_arrival(pool, MOST);
    /* The worker has lived through it. */
    HKT_CHILD_TRUE(hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL)) == pid);
    hkt_fault_close(pool);
}

/* More than the arena and a worker's extent hold at a time: results that are kept, so that
 * later ones find no room there. */
HKT_FAULT_CASE(memory_is_full)
{
    enum { KEPT = 24, LARGE = 3 << 20 };
    hk_executor *pool =
        hkt_fault_pool((hk_executor_options){.workers = 2, .memory_bytes = 8 << 20});
    hk_future *futures[KEPT];
    const void *value = NULL;
    size_t size = 0;

    for (int i = 0; i < KEPT; i++) {
        futures[i] = ask_for(pool, LARGE + (size_t)i);
    }
    for (int i = 0; i < KEPT; i++) {
        HKT_CHILD_STATUS(hk_future_result(futures[i], HK_FOREVER, &value, &size), HK_OK);
    }
    expect_arrival(pool, LARGE);
    for (int i = 0; i < KEPT; i++) {
        expect_bytes(futures[i], LARGE + (size_t)i);
    }
    hkt_fault_close(pool);
}

/* Far beyond the arena: each payload is a file of its own. */
HKT_FAULT_CASE(spilled)
{
    enum { HUGE = 20 << 20 };
    hk_executor *pool =
        hkt_fault_pool((hk_executor_options){.workers = 1, .memory_bytes = 1 << 20});
    hk_future *futures[3];

    for (int i = 0; i < 3; i++) {
        futures[i] = ask_for(pool, HUGE);
    }
    expect_arrival(pool, HUGE);
    for (int i = 0; i < 3; i++) {
        expect_bytes(futures[i], HUGE);
    }
    hkt_fault_close(pool);
}

/* The worker dies when several spilled results of it lie in its socket. */
HKT_FAULT_CASE(spilled_by_a_dead_worker)
{
    enum { HUGE = 20 << 20, COUNT = 6 };
    hk_executor *pool;
    hk_future *futures[COUNT];

    HKT_CHILD_TRUE(hki_fault_set("published", 0, COUNT - 1, HKI_FAULT_DIES));
    pool = hkt_fault_pool((hk_executor_options){.workers = 1, .memory_bytes = 1 << 20});
    for (int i = 0; i < COUNT; i++) {
        futures[i] = ask_for(pool, HUGE);
    }
    for (int i = 0; i < COUNT; i++) {
        expect_bytes(futures[i], HUGE);
    }
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 2);
    hkt_fault_close(pool);
}

/* Spilled results go on from a dead worker's socket, in their order. */
HKT_FAULT_CASE(spilled_and_not_collected)
{
    enum { HUGE = 20 << 20 };
    hk_executor *pool;
    hk_future *futures[2];

    /* Two results are there, and nobody was told: none was counted. */
    HKT_CHILD_TRUE(hki_fault_set("published", 0, 1, HKI_FAULT_DIES));
    pool = hkt_fault_pool((hk_executor_options){.workers = 1, .memory_bytes = 1 << 20});
    futures[0] = ask_for(pool, HUGE);
    futures[1] = ask_for(pool, HUGE + 1);
    expect_bytes(futures[1], HUGE + 1);
    expect_bytes(futures[0], HUGE);
    hkt_fault_close(pool);
}

/* --- Descriptors --- */

/* The inode of the one descriptor that came with it. */
HK_TASK(tells_inode)
{
    struct stat found = {0};
    int fd = -1;

    (void)in;
    (void)in_size;
    if (hk_call_take_fd(call, 0, &fd) != HK_OK || fstat(fd, &found) != 0) {
        return hk_fail(call, 1, "no descriptor");
    }
    close(fd);
    return hk_return(call, &found.st_ino, sizeof(found.st_ino));
}

/* What it is told is the inode of the pipe that it was given. */
static hk_future *send_descriptor(hk_executor *pool, struct stat *own)
{
    hk_future *future = NULL;
    int ends[2];
    const hk_submit_options options = {.fds = ends, .fd_count = 1};

    HKT_CHILD_TRUE(pipe(ends) == 0 && fstat(ends[0], own) == 0);
    HKT_CHILD_STATUS(hk_submit(pool, tells_inode, NULL, 0, &options, &future), HK_OK);
    close(ends[0]);
    close(ends[1]);
    return future;
}

static void expect_inode(hk_future *future, const struct stat *own)
{
    const void *inode = NULL;

    HKT_CHILD_STATUS(hk_future_result(future, HK_FOREVER, &inode, NULL), HK_OK);
    HKT_CHILD_TRUE(memcmp(inode, &own->st_ino, sizeof(own->st_ino)) == 0);
    hk_future_unref(future);
}

static void expect_own_descriptor(hk_executor *pool)
{
    struct stat own;

    expect_inode(send_descriptor(pool, &own), &own);
}

static long failing;

/* One of the allocations is that of its timer: it fails when all else is on its way. */
static void given_without_memory_inside(void)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *future = NULL;
    int ends[2];
    const hk_submit_options options = {.fds = ends, .fd_count = 1, .timeout = HK_SEC(100)};
    hk_status status;

    hkt_fault_works(pool);
    HKT_CHILD_TRUE(pipe(ends) == 0);
    hki_memory_fail_at(failing);
    status = hk_submit(pool, tells_inode, NULL, 0, &options, &future);
    (void)hki_memory_fail_at(0);
    HKT_CHILD_TRUE(status == HK_OK || status == HK_ENOMEM);
    if (status == HK_OK) {
        status = hk_future_result(future, HK_FOREVER, NULL, NULL);
        HKT_CHILD_TRUE(status == HK_OK || status == HK_ENOMEM);
        hk_future_unref(future);
    }
    close(ends[0]);
    close(ends[1]);
    expect_own_descriptor(pool);
    hkt_fault_close(pool);
}

static void given_without_memory(void)
{
    for (failing = 1; failing <= 8; failing++) {
        hkt_fault_run(given_without_memory_inside);
    }
}

/* --- Workers that nothing can be sent to --- */

/* It dies, and nobody tells: the zygote stands still. */
static void kill_unseen(hk_executor *pool)
{
    int32_t pid = hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL));

    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGSTOP) == 0);
    while (hkt_process_state(hki_zygote_pid()) != 'T') {
    }
    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    while (hkt_process_state(pid) != 'Z') {
    }
}

/* Too large for the pool's memory: a file of its own goes to the worker. */
enum { SPILLED = 2 << 20 };

static hk_executor *small_pool(void)
{
    return hkt_fault_pool((hk_executor_options){.workers = 1, .memory_bytes = 1 << 20});
}

HKT_FAULT_CASE(sent_to_a_dead_worker)
{
    hk_executor *pool = small_pool();
    hk_future *large;
    hk_future *small;
    struct stat own;

    kill_unseen(pool);
    small = send_descriptor(pool, &own);
    large = send_bytes(pool, SPILLED);
    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGCONT) == 0);
    expect_inode(small, &own);
    HKT_CHILD_TRUE(hkt_fault_int(large) == 1);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 2);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(spilled_to_a_dead_worker)
{
    hk_executor *pool = small_pool();
    hk_future *large;

    kill_unseen(pool);
    large = send_bytes(pool, SPILLED);
    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGCONT) == 0);
    HKT_CHILD_TRUE(hkt_fault_int(large) == 1);
    hkt_fault_close(pool);
}

/* Closes what is its worker's. */
HK_TASK(closes_sockets)
{
    struct stat found;

    (void)call;
    (void)in;
    (void)in_size;
    for (int fd = 3; fd < 256; fd++) {
        if (fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode)) {
            close(fd);
        }
    }
    return HK_OK;
}

HKT_FAULT_CASE(sent_to_a_closed_socket)
{
    hk_executor *pool = small_pool();

    hkt_fault_ends(hkt_fault_submit(pool, closes_sockets, NULL), HK_OK);
    expect_own_descriptor(pool);
    hkt_fault_ends(hkt_fault_submit(pool, closes_sockets, NULL), HK_OK);
    expect_arrival(pool, SPILLED);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 3);
    hkt_fault_close(pool);
}

/* --- What cannot be sent at all --- */

struct ended {
    hk_future *other;
    char thread[16];
    hk_status wait;
    struct hkt_gate told;
};

static void waits_for_another(hk_future *future, void *given)
{
    struct ended *ended = given;

    (void)future;
    HKT_CHILD_TRUE(pthread_getname_np(pthread_self(), ended->thread, sizeof(ended->thread)) == 0);
    ended->wait = hk_future_result(ended->other, HK_MS(1), NULL, NULL);
    hkt_gate_open(&ended->told);
}

/* It is found by who collects what has ended before it: a thread that waits, or the supervisor. */
HKT_FAULT_CASE(callback_of_what_cannot_be_sent)
{
    hk_executor *pool = small_pool();
    struct ended ended = {.wait = HK_OK};
    hk_promise *promise = NULL;
    hk_future *standing;
    hk_future *large;
    int32_t pid;

    hkt_gate_init(&ended.told, "told");
    HKT_CHILD_STATUS(hk_promise_create(&promise, &ended.other), HK_OK);
    standing = hkt_fault_stand(pool, &pid);
    HKT_CHILD_TRUE(hki_fault_set("spill_fails", HKI_FAULT_PARENT, 1, HKI_FAULT_FAILS));
    large = send_bytes(pool, SPILLED);
    HKT_CHILD_STATUS(hk_future_on_done(large, NULL, waits_for_another, &ended, NULL), HK_OK);
    hkt_fault_open_gate();
    hkt_fault_ends(standing, HK_OK);
    hkt_fault_ends(large, HK_ESYS);
    hkt_gate_wait(&ended.told);
    HKT_CHILD_TRUE(strcmp(ended.thread, "hk-courier") == 0);
    HKT_CHILD_STATUS(ended.wait, HK_ETIMEDOUT);
    hkt_fault_close(pool);
    hk_promise_destroy(promise);
    hk_future_unref(ended.other);
}

static CU_TestInfo tests[] = {
    HKT_CASE("G22 inputs and results of every size arrive, at the edges of every place",
             every_size),
    HKT_CASE("G22 what is larger than max_payload is refused or fails, and the worker lives",
             too_large),
    HKT_CASE("G22 results that find no room in the pool's memory arrive all the same",
             memory_is_full),
    HKT_CASE("G22 payloads larger than the pool's memory arrive", spilled),
    HKT_CASE("G22 results that were spilled outlive their worker", spilled_by_a_dead_worker),
    HKT_CASE("G22 also when none of them was told of", spilled_and_not_collected),
    HKT_CASE("a task that cannot be sent leaves no descriptor to the next one",
             given_without_memory),
    HKT_CASE("descriptors go to another worker when the idle one is dead", sent_to_a_dead_worker),
    HKT_CASE("so does an input that is spilled", spilled_to_a_dead_worker),
    HKT_CASE("so do both when a task has closed its worker's socket", sent_to_a_closed_socket),
    HKT_CASE("callbacks of what could not be sent may wait", callback_of_what_cannot_be_sent),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "faults.results", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
