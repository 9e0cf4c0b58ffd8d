/* SPDX-License-Identifier: MIT */
/*
 * Workers that may not do all that the application may: what the sandboxes of SECURITY.md
 * forbid, and what they leave.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"
#include "tests/process_fixture.h"
#include "tests/security_fixture.h"

static hk_executor *confined(hk_sandbox sandbox)
{
    return hkt_processes((hk_executor_options){.workers = hkt_worker_count(), .sandbox = sandbox});
}

/* --- What is forbidden --- */

static char somewhere[] = "/tmp/hocket-must-not-be-there";
static char shell[] = "/bin/sh";

static void expect_all_forbidden(hk_sandbox sandbox)
{
    const long parent = getpid();
    const long nobody = 1 << 22; /* A process that there may or may not be. */
    const struct hkt_deed deeds[] = {
        {SYS_execve, {(long)shell}, "(execve)"},
        {SYS_execveat, {AT_FDCWD, (long)shell}, "(execveat)"},
        {SYS_fork, {0}, "(fork)"},
        {SYS_clone, {SIGCHLD}, "(clone)"},
        {SYS_socket, {AF_INET, SOCK_STREAM}, "(socket)"},
        {SYS_socket, {AF_UNIX, SOCK_STREAM}, "(socket)"},
        {SYS_connect, {1}, "(connect)"},
        {SYS_accept4, {1}, "(accept4)"},
        {SYS_ptrace, {PTRACE_SEIZE, parent}, "(ptrace)"},
        {SYS_process_vm_readv, {parent}, "(process_vm_readv)"},
        {SYS_process_vm_writev, {parent}, "(process_vm_writev)"},
        {SYS_pidfd_open, {parent}, "(pidfd_open)"},
        {SYS_kill, {parent, 0}, "(kill)"},
        {SYS_kill, {0, 0}, "(kill)"},
        {SYS_kill, {-1, 0}, "(kill)"},
        {SYS_tgkill, {parent, parent, 0}, "(tgkill)"},
        {SYS_tkill, {nobody, 0}, "(tkill)"},
        {SYS_rt_sigqueueinfo, {parent, 0}, "(rt_sigqueueinfo)"},
        {SYS_open, {(long)somewhere, O_WRONLY}, "(open)"},
        {SYS_open, {(long)somewhere, O_RDONLY | O_CREAT, 0600}, "(open)"},
        {SYS_openat, {AT_FDCWD, (long)somewhere, O_RDWR}, "(openat)"},
        {SYS_openat, {AT_FDCWD, (long)somewhere, O_WRONLY | O_CREAT, 0600}, "(openat)"},
        {SYS_openat, {AT_FDCWD, (long)somewhere, O_RDONLY | O_TRUNC}, "(openat)"},
        {SYS_openat, {AT_FDCWD, (long)"/tmp", O_TMPFILE | O_RDWR, 0600}, "(openat)"},
        {SYS_creat, {(long)somewhere, 0600}, "(creat)"},
        {SYS_unlink, {(long)somewhere}, "(unlink)"},
        {SYS_rename, {(long)somewhere, (long)somewhere}, "(rename)"},
        {SYS_mkdir, {(long)somewhere, 0700}, "(mkdir)"},
        {SYS_io_uring_setup, {8}, "(io_uring_setup)"},
        {SYS_bpf, {0}, "(bpf)"},
        {SYS_userfaultfd, {0}, "(userfaultfd)"},
        {SYS_unshare, {0}, "(unshare)"},
        {SYS_setpgid, {0, 0}, "(setpgid)"},
        {SYS_prctl, {PR_SET_PDEATHSIG, 0}, "(prctl)"},
        {SYS_prctl, {PR_SET_DUMPABLE, 1}, "(prctl)"},
        {SYS_seccomp, {0}, "(seccomp)"},
        {SYS_prlimit64, {parent, RLIMIT_NOFILE, 0, 0}, "(prlimit64)"},
        {SYS_prlimit64, {0, RLIMIT_CORE, (long)somewhere, 0}, "(prlimit64)"},
        {SYS_fcntl, {2, F_SETFL, 0}, "(fcntl)"},
        {SYS_ioctl, {0, 0x5412 /* TIOCSTI */}, "(ioctl)"},
        {SYS_rt_sigaction, {SIGSYS, 0, 0, 8}, "(rt_sigaction)"},
        {SYS_mprotect, {0, 4096, PROT_READ | PROT_EXEC}, "(mprotect)"},
        {SYS_mmap, {0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS}, "(mmap)"},
        {SYS_memfd_create, {(long)somewhere, MFD_HUGETLB}, "(memfd_create)"},
        {SYS_remap_file_pages, {0}, "(remap_file_pages)"},
        {999, {0}, "system call 999"}, /* One that there is not yet. */
    };
    hk_executor *pool = confined(sandbox);

    for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
        hkt_expect_forbidden(pool, &deeds[i]);
        hkt_expect_health(pool); /* Where no task ever ends, workers come later and later. */
    }
    HKT_EQ_INT(access(somewhere, F_OK), -1);
    hkt_processes_end(pool);
}

static void computing_forbids_what_reaches_beyond_the_worker(void)
{
    expect_all_forbidden(HK_SANDBOX_COMPUTE);
}

static void reading_files_forbids_the_same(void)
{
    expect_all_forbidden(HK_SANDBOX_READ_FILES);
}

/* The same numbers, as programs for x32 would call them. */
static void calls_of_another_architecture_end_the_worker(void)
{
    const struct hkt_deed x32 = {0x40000000 + SYS_getpid, {0}, "perhaps a filter"};
    hk_executor *pool = confined(HK_SANDBOX_COMPUTE);

    hkt_expect_forbidden(pool, &x32);
#if defined(__x86_64__)
    {
        const struct hkt_deed own = {SYS_getpid, {0}, ""};
        hk_future *future = hkt_deed_submit(pool, &own);

        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED); /* It could. */
        hk_future_unref(future);
    }
#endif
    hkt_processes_end(pool);
}

/* --- Refused by a status --- */

HK_TASK(opens)
{
    char path[256];
    int error = 0;
    int fd;

    if (in_size == 0 || in_size > sizeof(path)) {
        return hk_fail(call, 1, "no path");
    }
    memcpy(path, in, in_size);
    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        error = errno;
    } else {
        error = read(fd, path, sizeof(path)) < 0 ? errno : 0;
        close(fd);
    }
    return hk_return(call, &error, sizeof(error));
}

static int open_in(hk_executor *pool, const char *path)
{
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, opens, path, strlen(path) + 1, NULL, &future));
    return hkt_take_int(future);
}

static void files_are_read_where_that_is_allowed(void)
{
    static const char path[] = "/proc/self/stat";
    hk_executor *pool = confined(HK_SANDBOX_READ_FILES);

    HKT_EQ_INT(open_in(pool, path), 0);
    hkt_processes_end(pool);
    pool = confined(HK_SANDBOX_COMPUTE);
    HKT_EQ_INT(open_in(pool, path), EACCES);
    HKT_EQ_INT(open_in(pool, "/proc/self/mem"), EACCES);
    HKT_EQ_INT(hkt_stats(pool).workers_started <= hkt_worker_count(), true);
    hkt_processes_end(pool);
}

/* The C library asks for these by itself, and does without. */
static void what_can_be_done_without_is_refused_by_a_status(void)
{
    static const struct {
        struct hkt_deed deed;
        int error;
    } cases[] = {
        {{SYS_mremap, {0}, ""}, ENOMEM},
        {{SYS_clone3, {0}, ""}, ENOSYS},
        {{SYS_openat2, {0}, ""}, ENOSYS},
        {{SYS_sched_setaffinity, {0}, ""}, EPERM},
        {{SYS_setpriority, {0}, ""}, EPERM},
        {{SYS_newfstatat, {AT_FDCWD, (long)somewhere, 0, 0}, ""}, EACCES},
    };
    hk_executor *pool = confined(HK_SANDBOX_COMPUTE);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hk_future *future = hkt_deed_submit(pool, &cases[i].deed);
        const hk_error *error = NULL;

        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED);
        HKT_OK(hk_future_error(future, 0, &error));
        HKT_EQ_INT(error == NULL ? 0 : error->app_code, cases[i].error);
        hk_future_unref(future);
    }
    hkt_processes_end(pool);
}

/* --- What is left --- */

static void *counts(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return NULL;
}

/* What tasks are full of, each with its own line of failure. */
HK_TASK(computes)
{
    enum { LARGE = 8 << 20, THREADS = 3 };
    atomic_int counted = 0;
    pthread_t threads[THREADS];
    unsigned char *memory = malloc(100);
    struct tm local;
    time_t now = time(NULL);
    struct stat status;

    (void)in;
    (void)in_size;
    for (size_t bytes = 200; memory != NULL && bytes <= LARGE; bytes *= 4) {
        unsigned char *larger = realloc(memory, bytes);

        if (larger == NULL) {
            free(memory);
            return hk_fail(call, 1, "realloc of %zu", bytes);
        }
        memory = larger;
        memory[bytes - 1] = 1;
    }
    free(memory);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, counts, &counted) != 0) {
            return hk_fail(call, 2, "a thread");
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    if (localtime_r(&now, &local) == NULL || fstat(STDERR_FILENO, &status) != 0) {
        return hk_fail(call, 3, "the time, or a look at a descriptor");
    }
    if (hk_sleep(call, HK_US(100)) != HK_OK || hk_should_stop(call)) {
        return hk_fail(call, 4, "a sleep");
    }
    hk_progress(call, 1, 2);
    printf("%s", ""); /* The first makes its buffer. */
    fflush(stdout);
    return hk_return(call, &(int){atomic_load(&counted)}, sizeof(int));
}

static void expect_computing(hk_sandbox sandbox)
{
    hk_executor *pool = confined(sandbox);

    for (unsigned i = 0; i < 2 * hkt_worker_count(); i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, computes, 0)), 3);
    }
    HKT_TRUE(hkt_stats(pool).workers_started <= hkt_worker_count());
    hkt_processes_end(pool);
}

static void memory_threads_time_and_output_stay(void)
{
    expect_computing(HK_SANDBOX_COMPUTE);
    expect_computing(HK_SANDBOX_READ_FILES);
}

HK_TASK(returns_bytes)
{
    size_t size = 0;
    void *out = NULL;
    hk_status status;

    if (in_size != sizeof(size)) {
        return hk_fail(call, 1, "no size");
    }
    memcpy(&size, in, sizeof(size));
    if ((status = hk_return_reserve(call, size, &out)) == HK_OK) {
        memset(out, 'x', size);
    }
    return status;
}

/* In the cell, beside it, in the arena, in the worker's extent, in a file of its own. */
static void values_of_every_size_arrive(void)
{
    static const size_t sizes[] = {1, 100, 5000, 1 << 20, 20 << 20};
    hk_executor *pool = confined(HK_SANDBOX_COMPUTE);

    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i / 2];
        const void *value = NULL;
        size_t got = 0;
        hk_future *future = NULL;

        HKT_OK_FATAL(hk_submit(pool, returns_bytes, &size, sizeof(size), NULL, &future));
        HKT_OK(hk_future_result(future, HK_FOREVER, &value, &got));
        if (HKT_EQ_INT(got, size)) {
            HKT_EQ_INT(((const char *)value)[size - 1], 'x');
        }
        hk_future_unref(future);
    }
    HKT_TRUE(hkt_stats(pool).workers_started <= hkt_worker_count());
    hkt_processes_end(pool);
}

static void other_deaths_are_told_as_ever(void)
{
    hk_executor *pool = confined(HK_SANDBOX_COMPUTE);

    hkt_expect_lost(hkt_submit_int(pool, hkt_ends_by, SIGSEGV), SIGSEGV, 0);
    hkt_expect_lost(hkt_submit_int(pool, hkt_ends_by, SIGABRT), SIGABRT, 0);
    hkt_expect_lost(hkt_submit_int(pool, hkt_ends_by, SIGKILL), SIGKILL, 0);
    hkt_expect_lost(hkt_submit_int(pool, hkt_ends_by, -3), 0, 3);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

HK_TASK(waits_to_be_stopped)
{
    (void)in;
    (void)in_size;
    return hk_sleep(call, HK_FOREVER);
}

static void limits_and_kills_hold(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = hkt_worker_count(),
                                                            .sandbox = HK_SANDBOX_COMPUTE,
                                                            .worker_rss_limit = (size_t)1 << 40});
    hk_submit_options limits = {.timeout = HK_MS(5)};
    hk_future *future = NULL;

    HKT_OK_FATAL(hk_submit(pool, waits_to_be_stopped, NULL, 0, &limits, &future));
    HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EDEADLINE);
    hk_future_unref(future);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

/* --- The limit on memory, which is read from a file --- */

HK_TASK(keeps_memory)
{
    enum { KEPT = 32 << 20 };
    int pid = getpid();
    void *memory = mmap(NULL, KEPT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)in;
    (void)in_size;
    if (memory == MAP_FAILED) {
        return hk_fail(call, 1, "no memory");
    }
    memset(memory, 1, KEPT);
    return hk_return(call, &pid, sizeof(pid));
}

static bool another_came(void *arg)
{
    hk_executor *pool = arg;

    (void)hkt_take_int(hkt_submit_int(pool, keeps_memory, 0));
    return hkt_stats(pool).workers_started > 1;
}

static void a_worker_without_files_is_still_measured(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){
        .workers = 1, .sandbox = HK_SANDBOX_COMPUTE, .worker_rss_limit = (size_t)400 << 20});

    /* A measurement is due every 64 tasks, or every second. */
    HKT_TRUE(hkt_eventually(another_came, pool));
    hkt_processes_end(pool);
}

/* --- The initialiser comes before --- */

static hk_status opens_a_file(hk_call *call, void *arg, void **local)
{
    static int fd;

    (void)arg;
    if ((fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC)) < 0) {
        return hk_fail(call, 1, "cannot open");
    }
    *local = &fd;
    return HK_OK;
}

HK_TASK(reads_what_was_opened)
{
    const int *fd = hk_call_worker_local(call);
    int got;
    char byte;

    (void)in;
    (void)in_size;
    got = (int)pread(*fd, &byte, 1, 0);
    return hk_return(call, &got, sizeof(got));
}

static void the_initialiser_may_still_do_all(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){
        .workers = hkt_worker_count(), .sandbox = HK_SANDBOX_COMPUTE, .initializer = opens_a_file});

    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, reads_what_was_opened, 0)), 1);
    hkt_processes_end(pool);
}

/* --- Threads that the initialiser started --- */

static _Atomic(int) helper_may_go;

static void *calls_later(void *arg)
{
    (void)arg;
    while (atomic_load(&helper_may_go) == 0) {
        sched_yield();
    }
    (void)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    return NULL;
}

static hk_status starts_a_thread(hk_call *call, void *arg, void **local)
{
    pthread_t thread;

    (void)arg;
    (void)local;
    if (pthread_create(&thread, NULL, calls_later, NULL) != 0) {
        return hk_fail(call, 1, "no thread");
    }
    pthread_detach(thread);
    return HK_OK;
}

HK_TASK(lets_it_go)
{
    (void)in;
    (void)in_size;
    atomic_store(&helper_may_go, 1);
    return hk_sleep(call, HK_FOREVER);
}

static void it_holds_for_threads_that_were_there_before(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = hkt_worker_count(),
                                                            .sandbox = HK_SANDBOX_COMPUTE,
                                                            .initializer = starts_a_thread});

    hkt_expect_lost(hkt_submit_int(pool, lets_it_go, 0), SIGSYS, 0);
    hkt_processes_end(pool);
}

/* --- Privileges --- */

HK_TASK(asks_for_privileges)
{
    int no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

    (void)in;
    (void)in_size;
    return hk_return(call, &no_new_privs, sizeof(no_new_privs));
}

static void privileges_are_given_up_when_asked(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, asks_for_privileges, 0)), 0);
    hkt_processes_end(pool);
    pool =
        hkt_processes((hk_executor_options){.workers = hkt_worker_count(), .no_new_privs = true});
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, asks_for_privileges, 0)), 1);
    hkt_processes_end(pool);
    HKT_EQ_INT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
}

/* Spares are forked before anybody knows for which pool. */
static void pools_beside_are_not_confined(void)
{
    const struct hkt_deed socket_deed = {SYS_socket, {AF_UNIX, SOCK_STREAM}, "(socket)"};
    hk_executor *tight = confined(HK_SANDBOX_COMPUTE);
    hk_executor *loose = hkt_processes((hk_executor_options){.workers = hkt_worker_count()});

    for (int round = 0; round < 3; round++) {
        hk_future *future = hkt_deed_submit(loose, &socket_deed);

        HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EFAILED); /* It could. */
        hk_future_unref(future);
        hkt_expect_forbidden(tight, &socket_deed);
        hkt_expect_lost(hkt_submit_int(loose, hkt_ends_by, SIGKILL), SIGKILL, 0);
    }
    hkt_processes_end(loose);
    hkt_processes_end(tight);
}

/* --- Where there are no processes --- */

static void executors_without_processes_refuse_a_sandbox(void)
{
    const hk_executor_options options[] = {{.workers = 1, .sandbox = HK_SANDBOX_COMPUTE},
                                           {.workers = 1, .no_new_privs = true}};
    static const char *const specs[] = {"inline?sandbox=compute", "threads:2?no_new_privs=1",
                                        "serial?sandbox=read_files", "processes?sandbox=all"};
    hk_executor *executor = NULL;
    char why[256];

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        HKT_STATUS(hk_thread_pool_create(&options[i], &executor), HK_EINVAL);
        HKT_STATUS(hk_inline_create(&options[i], &executor), HK_EINVAL);
    }
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
        HKT_STATUS(hk_executor_check_spec(specs[i], why, sizeof(why)), HK_EINVAL);
        HKT_TRUE(strstr(why, "sandbox") != NULL || strstr(why, "no_new_privs") != NULL);
    }
    HKT_OK_FATAL(hk_executor_open("processes:1?sandbox=compute&no_new_privs=1", &executor));
    HKT_EQ_INT(open_in(executor, "/proc/self/stat"), EACCES);
    hkt_processes_end(executor);
}

static CU_TestInfo forbidden_tests[] = {
    HKT_TEST(computing_forbids_what_reaches_beyond_the_worker),
    HKT_TEST(reading_files_forbids_the_same),
    HKT_TEST(calls_of_another_architecture_end_the_worker),
    HKT_TEST(files_are_read_where_that_is_allowed),
    HKT_TEST(what_can_be_done_without_is_refused_by_a_status),
    HKT_TEST(it_holds_for_threads_that_were_there_before),
    HKT_TEST(privileges_are_given_up_when_asked),
    HKT_TEST(pools_beside_are_not_confined),
    HKT_TEST(executors_without_processes_refuse_a_sandbox),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo left_tests[] = {
    HKT_TEST(memory_threads_time_and_output_stay),
    HKT_TEST(values_of_every_size_arrive),
    HKT_TEST(other_deaths_are_told_as_ever),
    HKT_TEST(limits_and_kills_hold),
    HKT_TEST(a_worker_without_files_is_still_measured),
    HKT_TEST(the_initialiser_may_still_do_all),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "what is forbidden", .pTests = forbidden_tests},
    {.pName = "what is left", .pTests = left_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    if (!hki_os_sandbox_available()) {
        hkt_none_here("this system has no filters of system calls");
    }
    return hkt_process_main(argc, argv, suites);
}
