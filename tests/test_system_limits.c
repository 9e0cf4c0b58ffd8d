/* SPDX-License-Identifier: MIT */
/*
 * Limits of the system that a pool of processes meets while it runs, real ones: the kernel
 * kills a worker for want of memory, or refuses the zygote a process or a descriptor. Nothing
 * is lost, the error says what it was, and when the limit goes the pool is as it was.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/cgroup_fixture.h"
#include "tests/fault_fixture.h"

/* --- Memory --- */

enum { TIMES = 3, ROOM = 256 << 20, PIECE = 4 << 20, PIECES = 512, NOBODY = 65534 };

static struct hkt_cgroup cgroup;

/* Takes twice what there may ever be, and keeps it. */
HK_TASK(takes_all_memory)
{
    for (int i = 0; i < PIECES; i++) {
        void *piece = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (piece == MAP_FAILED) {
            return hk_fail(call, 1, "mmap: %s", strerror(errno));
        }
        memset(piece, 1, PIECE);
    }
    return hk_fail(call, 2, "there was memory for all of it");
}

static void expect_killed(hk_executor *pool, const hk_task *task, bool for_memory)
{
    hk_future *future = hkt_fault_submit(pool, task, NULL);
    bool says_so;

    HKT_CHILD_STATUS(hk_future_wait(future, HK_FOREVER), HK_OK);
    says_so = strstr(hk_future_why(future), "its memory cgroup counted the kill") != NULL;
    if (says_so != for_memory) {
        fprintf(stderr, "%s\n", hk_future_why(future));
    }
    HKT_CHILD_TRUE(says_so == for_memory);
    hkt_fault_ends_by_signal(future, SIGKILL);
}

static void run_out_of_memory(void)
{
    hk_executor *pool;
    hk_future *neighbour;
    int32_t pid;

    HKT_CHILD_TRUE(hkt_cgroup_enter(&cgroup));
    pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    neighbour = hkt_fault_stand(pool, &pid);
    for (int i = 0; i < TIMES; i++) {
        expect_killed(pool, takes_all_memory, true);
        hkt_fault_works(pool);
    }
    expect_killed(pool, hkt_fault_dies, false);
    hkt_fault_open_gate();
    hkt_fault_ends(neighbour, HK_OK);
    HKT_CHILD_TRUE(kill(pid, 0) == 0);
    hkt_fault_close(pool);
}

static void a_worker_that_is_killed_for_want_of_memory_says_so(void)
{
    if (!hkt_cgroup_make(&cgroup, ROOM)) {
        hkt_not_here("no cgroup with a limit of memory is to be had");
        return;
    }
    hkt_fault_run(run_out_of_memory);
    HKT_TRUE(hkt_cgroup_remove(&cgroup));
}

/* --- Processes and descriptors --- */

/* A limit of the zygote: it forks the workers, and receives their descriptors. */
static void limit_zygote(int resource, rlim_t soft)
{
    struct rlimit limit;

    HKT_CHILD_TRUE(prlimit(hki_zygote_pid(), (enum __rlimit_resource)resource, NULL, &limit) == 0);
    limit.rlim_cur = soft == RLIM_INFINITY ? limit.rlim_max : soft;
    HKT_CHILD_TRUE(prlimit(hki_zygote_pid(), (enum __rlimit_resource)resource, &limit, NULL) == 0);
}

/* Limits on processes do not bind root. */
static void be_nobody(void)
{
    if (geteuid() == 0) {
        HKT_CHILD_TRUE(setresgid(NOBODY, NOBODY, NOBODY) == 0);
        HKT_CHILD_TRUE(setresuid(NOBODY, NOBODY, NOBODY) == 0);
        HKT_CHILD_TRUE(prctl(PR_SET_DUMPABLE, 1) == 0); /* A leak checker looks at it. */
    }
    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
}

/* So that no spare is left: it stands for a process that was made before. */
static hk_executor *pool_without_spare(hk_executor_options options)
{
    HKT_CHILD_TRUE(
        hki_fault_set("spare_fails", HKI_FAULT_ZYGOTE, HKI_FAULT_EVERY, HKI_FAULT_FAILS));
    return hkt_fault_pool(options);
}

/* As long as the limit stands no task runs and none ends; then all of them do. */
static void heals(hk_executor *pool, int resource, rlim_t soft)
{
    enum { TASKS = 20 };
    struct hkt_squares squares;

    limit_zygote(resource, soft);
    hkt_squares_submit(&squares, pool, TASKS);
    HKT_CHILD_STATUS(hk_future_wait(squares.futures[0], HK_MS(300)), HK_ETIMEDOUT);
    for (int i = 0; i < TASKS; i++) {
        HKT_CHILD_TRUE(!hk_future_has_ended(squares.futures[i]));
    }
    limit_zygote(resource, RLIM_INFINITY);
    hkt_squares_expect(&squares);
}

/* A worker that dies under the limit costs its task, and the next one waits. */
static void heals_after_a_death(hk_executor *pool, int resource, rlim_t soft)
{
    int32_t pid;
    hk_future *lost = hkt_fault_stand(pool, &pid);
    hk_future *behind = hkt_fault_submit(pool, hkt_fault_counts, NULL);

    limit_zygote(resource, soft);
    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    hkt_fault_ends_by_signal(lost, SIGKILL);
    HKT_CHILD_STATUS(hk_future_wait(behind, HK_MS(50)), HK_ETIMEDOUT);
    limit_zygote(resource, RLIM_INFINITY);
    hkt_fault_ends(behind, HK_OK);
}

/* No worker for start_timeout: every task says so, and so does the pool. */
static void ends_as_documented(hk_executor *pool)
{
    enum { TASKS = 20 };
    hk_future *futures[TASKS];
    uint32_t runs = atomic_load(&hkt_shared->runs);

    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    }
    for (int i = 0; i < TASKS; i++) {
        hkt_fault_ends(futures[i], HK_EBROKEN);
    }
    HKT_CHILD_STATUS(hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, NULL), HK_EBROKEN);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) == runs);
}

HKT_FAULT_CASE(no_process_is_to_be_had)
{
    hk_executor *pool;

    be_nobody();
    pool = pool_without_spare((hk_executor_options){.workers = 2});
    heals(pool, RLIMIT_NPROC, 1);
    hkt_fault_close(pool);
    pool = pool_without_spare((hk_executor_options){.workers = 1});
    heals_after_a_death(pool, RLIMIT_NPROC, 1);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(no_process_is_to_be_had_in_time)
{
    hk_executor *pool;

    be_nobody();
    pool = hkt_fault_pool((hk_executor_options){.workers = 2, .start_timeout = HK_MS(100)});
    limit_zygote(RLIMIT_NPROC, 1);
    ends_as_documented(pool);
    hkt_fault_close(pool);
    limit_zygote(RLIMIT_NPROC, RLIM_INFINITY);
    pool = hkt_fault_pool((hk_executor_options){.workers = 2}); /* The zygote is as it was. */
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* Fewer processes than workers: those that are there do all the work. */
HKT_FAULT_CASE(one_process_is_to_be_had)
{
    enum { TASKS = 100 };
    hk_future *futures[TASKS];
    hk_executor *pool;
    int pid;

    be_nobody();
    pool = pool_without_spare((hk_executor_options){.workers = 4});
    pid = hkt_fault_int(hkt_fault_submit(pool, hkt_fault_pid, NULL));
    limit_zygote(RLIMIT_NPROC, 1);
    for (int i = 0; i < TASKS; i++) {
        futures[i] = hkt_fault_submit(pool, hkt_fault_pid, NULL);
    }
    for (int i = 0; i < TASKS; i++) {
        HKT_CHILD_TRUE(hkt_fault_int(futures[i]) == pid);
    }
    limit_zygote(RLIMIT_NPROC, RLIM_INFINITY);
    HKT_CHILD_STATUS(hk_executor_prestart(pool, HK_FOREVER), HK_OK);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers == 4);
    hkt_fault_close(pool);
}

/* The zygote has no room for the descriptors that belong to a worker. */
HKT_FAULT_CASE(no_descriptor_in_the_zygote)
{
    hk_executor *pool = pool_without_spare((hk_executor_options){.workers = 2});

    heals(pool, RLIMIT_NOFILE, 3);
    hkt_fault_close(pool);
    pool = pool_without_spare((hk_executor_options){.workers = 1});
    heals_after_a_death(pool, RLIMIT_NOFILE, 3);
    hkt_fault_close(pool);
    pool = hkt_fault_pool((hk_executor_options){.workers = 2, .start_timeout = HK_MS(100)});
    limit_zygote(RLIMIT_NOFILE, 3);
    ends_as_documented(pool);
    hkt_fault_close(pool);
}

/* It has no room for the memory of a new pool; which is then refused, and the others live. */
HKT_FAULT_CASE(no_descriptor_for_a_new_pool)
{
    hk_executor *first = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_executor *second = NULL;

    hkt_fault_works(first);
    limit_zygote(RLIMIT_NOFILE, 3);
    HKT_CHILD_TRUE(hk_process_pool_create(NULL, &second) < 0);
    HKT_CHILD_TRUE(second == NULL);
    hkt_fault_works(first);
    limit_zygote(RLIMIT_NOFILE, RLIM_INFINITY);
    second = hkt_fault_pool((hk_executor_options){.workers = 1});
    hkt_fault_works(second);
    hkt_fault_close(second);
    hkt_fault_close(first);
}

/* --- Limits of the application itself, on pools that run --- */

static struct rlimit limit_self(int resource, rlim_t soft)
{
    struct rlimit before;
    struct rlimit limit;

    HKT_CHILD_TRUE(getrlimit((enum __rlimit_resource)resource, &before) == 0);
    limit = (struct rlimit){soft, before.rlim_max};
    HKT_CHILD_TRUE(setrlimit((enum __rlimit_resource)resource, &limit) == 0);
    return before;
}

static void unlimit_self(int resource, struct rlimit before)
{
    HKT_CHILD_TRUE(setrlimit((enum __rlimit_resource)resource, &before) == 0);
}

/* What needs a descriptor is refused, and all the rest goes on; then it is had again. */
static void lacks_descriptors(hk_executor *executor)
{
    static const int fds[] = {STDERR_FILENO};
    hk_submit_options with_fd = {.fds = fds, .fd_count = 1};
    hk_future *future = NULL;
    hk_future *refused = NULL;
    hk_completion *completion = NULL;
    hk_cancel_token *token = NULL;
    struct rlimit before = limit_self(RLIMIT_NOFILE, 3);
    int fd = -7;
    int n = 3;

    HKT_CHILD_STATUS(hk_submit(executor, hkt_square, &n, sizeof(n), &with_fd, &refused), HK_ESYS);
    HKT_CHILD_TRUE(refused == NULL);
    HKT_CHILD_STATUS(hk_submit(executor, hkt_square, &n, sizeof(n), NULL, &future), HK_OK);
    HKT_CHILD_STATUS(hk_future_wait(future, HK_FOREVER), HK_OK);
    HKT_CHILD_STATUS(hk_future_fd(future, &fd), HK_ESYS);
    HKT_CHILD_STATUS(hk_completion_create(&completion), HK_OK);
    HKT_CHILD_STATUS(hk_completion_fd(completion, &fd), HK_ESYS);
    HKT_CHILD_STATUS(hk_cancel_token_create(NULL, &token), HK_OK);
    HKT_CHILD_STATUS(hk_cancel_token_fd(token, &fd), HK_ESYS);
    HKT_CHILD_TRUE(fd == -7);
    unlimit_self(RLIMIT_NOFILE, before);
    HKT_CHILD_STATUS(hk_future_fd(future, &fd), HK_OK);
    HKT_CHILD_STATUS(hk_completion_fd(completion, &fd), HK_OK);
    HKT_CHILD_STATUS(hk_cancel_token_fd(token, &fd), HK_OK);
    hk_cancel_token_unref(token);
    hk_completion_destroy(completion);
    HKT_CHILD_TRUE(hkt_fault_int(future) == 9);
    HKT_CHILD_STATUS(hk_submit(executor, hkt_square, &n, sizeof(n), &with_fd, &future), HK_OK);
    HKT_CHILD_TRUE(hkt_fault_int(future) == 9);
}

HKT_FAULT_CASE(no_descriptor_in_the_application)
{
    hk_executor *executor = hkt_fault_pool((hk_executor_options){.workers = 1});

    hkt_fault_works(executor);
    lacks_descriptors(executor);
    hkt_fault_close(executor);
    HKT_CHILD_STATUS(hk_executor_open("threads:2", &executor), HK_OK);
    lacks_descriptors(executor);
    hkt_fault_close(executor);
}

/* A worker that dies is replaced as soon as there are descriptors for the next one. */
HKT_FAULT_CASE(no_descriptor_for_the_next_worker)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *behind;
    struct rlimit before;
    int32_t pid;
    hk_future *lost = hkt_fault_stand(pool, &pid);

    behind = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    before = limit_self(RLIMIT_NOFILE, 3);
    HKT_CHILD_TRUE(kill(pid, SIGKILL) == 0);
    hkt_fault_ends_by_signal(lost, SIGKILL);
    HKT_CHILD_STATUS(hk_future_wait(behind, HK_MS(50)), HK_ETIMEDOUT);
    unlimit_self(RLIMIT_NOFILE, before);
    hkt_fault_ends(behind, HK_OK);
    hkt_fault_close(pool);
}

/* A limit on files: the memory of a pool is one, and what it says is no signal. */
HKT_FAULT_CASE(no_file_so_large)
{
    hk_executor *first = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_executor *second = NULL;
    struct rlimit before;

    hkt_fault_works(first);
    before = limit_self(RLIMIT_FSIZE, 4096);
    HKT_CHILD_STATUS(hk_process_pool_create(NULL, &second), HK_ENOMEM);
    HKT_CHILD_TRUE(errno == EFBIG && second == NULL);
    hkt_fault_works(first);
    unlimit_self(RLIMIT_FSIZE, before);
    second = hkt_fault_pool((hk_executor_options){.workers = 1});
    hkt_fault_works(second);
    hkt_fault_close(second);
    hkt_fault_close(first);
}

#if !HKI_ADDRESS_SANITIZER && !HKI_THREAD_SANITIZER /* They own most of the addresses. */
/* No address space for a new pool, nor for large threads; those that run go on. */
HKT_FAULT_CASE(no_address_space)
{
    hk_executor *first;
    hk_executor *second = NULL;
    struct rlimit before;

    HKT_CHILD_STATUS(hk_executor_open("threads:1", &first), HK_OK);
    hkt_fault_works(first);
    before = limit_self(RLIMIT_AS, 1 << 20); /* Less than there is already. */
    HKT_CHILD_TRUE(hk_executor_open("threads:2", &second) <= 0);
    if (second != NULL) {
        HKT_CHILD_TRUE(hk_executor_prestart(second, HK_FOREVER) < 0);
        HKT_CHILD_STATUS(hk_executor_destroy(second), HK_OK);
    }
    hkt_fault_works(first);
    unlimit_self(RLIMIT_AS, before);
    HKT_CHILD_STATUS(hk_executor_open("threads:2", &second), HK_OK);
    hkt_fault_works(second);
    hkt_fault_close(second);
    hkt_fault_close(first);
}
#endif

/* Threads count as processes. A pool that has one goes on with it. */
HKT_FAULT_CASE(no_thread_is_to_be_had)
{
    hk_executor *pool;
    hk_executor *second = NULL;
    hk_future *future = NULL;
    struct rlimit before;
    int n = 2;

    be_nobody();
    HKT_CHILD_STATUS(hk_executor_open("threads:4", &pool), HK_OK);
    hkt_fault_works(pool);
    before = limit_self(RLIMIT_NPROC, 1);
    for (int i = 0; i < 20; i++) {
        hkt_fault_works(pool);
    }
    HKT_CHILD_STATUS(hk_executor_prestart(pool, HK_FOREVER), HK_ESYS);
    HKT_CHILD_STATUS(hk_executor_open("threads:2", &second), HK_OK);
    HKT_CHILD_STATUS(hk_submit(second, hkt_square, &n, sizeof(n), NULL, &future), HK_ESYS);
    HKT_CHILD_TRUE(future == NULL);
    unlimit_self(RLIMIT_NPROC, before);
    hkt_fault_works(second);
    HKT_CHILD_STATUS(hk_executor_prestart(pool, HK_FOREVER), HK_OK);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers == 4);
    hkt_fault_close(second);
    hkt_fault_close(pool);
}

static CU_TestInfo self_tests[] = {
    HKT_TEST(no_descriptor_in_the_application),
    HKT_TEST(no_descriptor_for_the_next_worker),
    HKT_TEST(no_file_so_large),
    HKT_TEST(no_thread_is_to_be_had),
#if !HKI_ADDRESS_SANITIZER && !HKI_THREAD_SANITIZER /* They own most of the addresses. */
    HKT_TEST(no_address_space),
#endif
    CU_TEST_INFO_NULL,
};

static CU_TestInfo memory_tests[] = {
    HKT_TEST(a_worker_that_is_killed_for_want_of_memory_says_so),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo count_tests[] = {
    HKT_TEST(no_process_is_to_be_had),      HKT_TEST(no_process_is_to_be_had_in_time),
    HKT_TEST(one_process_is_to_be_had),     HKT_TEST(no_descriptor_in_the_zygote),
    HKT_TEST(no_descriptor_for_a_new_pool), CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "system_limits.memory", .pTests = memory_tests},
    {.pName = "system_limits.counts", .pTests = count_tests},
    {.pName = "system_limits.application", .pTests = self_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
