/* SPDX-License-Identifier: MIT */
/*
 * The system refuses a process, a thread, a descriptor or memory to pools of processes, at every
 * call in turn: in the application, the zygote, its spare child and the workers, which count
 * together. A status or failed futures tell, the shutdown returns, nobody is left; and when
 * the system gives again, everything works.
 */
#include <errno.h>

#include "tests/fault_fixture.h"
#include "tests/os_rounds_fixture.h"
#include "tests/use_fixture.h"

static const struct hkt_os_fault makers[] = {
    {HKT_OS_fork, EAGAIN},           {HKT_OS_fork, ENOMEM},
    {HKT_OS_pthread_create, EAGAIN}, {HKT_OS_pthread_key_create, EAGAIN},
    {HKT_OS_setpgid, EPERM},         {HKT_OS_prctl, EPERM},
    {HKT_OS_sigaltstack, ENOMEM},    {HKT_OS_putenv, ENOMEM},
    {HKT_OS_opendir, EMFILE},        {HKT_OS_open, EMFILE},
};

static const struct hkt_os_fault descriptors[] = {
    {HKT_OS_eventfd, EMFILE},      {HKT_OS_eventfd, ENFILE},  {HKT_OS_timerfd_create, EMFILE},
    {HKT_OS_memfd_create, EMFILE}, {HKT_OS_signalfd, EMFILE}, {HKT_OS_pipe2, EMFILE},
    {HKT_OS_socketpair, EMFILE},   {HKT_OS_fcntl, EMFILE},    {HKT_OS_fcntl, EPERM},
};

static const struct hkt_os_fault memory[] = {
    {HKT_OS_mmap, ENOMEM},         {HKT_OS_mmap, EPERM},       {HKT_OS_mprotect, ENOMEM},
    {HKT_OS_madvise, ENOMEM},      {HKT_OS_ftruncate, ENOSPC}, {HKT_OS_ftruncate, EFBIG},
    {HKT_OS_memfd_create, ENOMEM}, {HKT_OS_fallocate, ENOSPC}, {HKT_OS_malloc, ENOMEM},
};

/* A zygote that can neither speak nor hear for ten seconds counts as dead: too long for here. */
static const struct hkt_os_fault messages[] = {
    {HKT_OS_sendmsg, ENOBUFS}, {HKT_OS_sendmsg, ENOMEM}, {HKT_OS_recvmsg, ENOMEM},
    {HKT_OS_poll, ENOMEM},     {HKT_OS_ppoll, ENOMEM},   {HKT_OS_syscall, ENOSYS},
    {HKT_OS_pread, EIO},       {HKT_OS_pwrite, EPERM},
};

#define COUNT(faults) (sizeof(faults) / sizeof((faults)[0]))

static bool opens(void *out)
{
    return hk_process_pool_create(&(hk_executor_options){.workers = 1}, out) == HK_OK;
}

/* At once, or as soon as a zygote that was given up is gone. */
static void works_again(void)
{
    hk_executor *pool = NULL;

    HKT_CHILD_TRUE(hkt_eventually(opens, &pool));
    hkt_fault_works(pool);
    hkt_fault_close(pool);
}

/* The zygote is started under the fault, too. */
static void use_processes(void)
{
    static const char *const environment[] = {"HOCKET_TEST_WORD=1", NULL};
    hk_executor_options options = {
        .workers = 2, .start_timeout = HK_MS(200), .environment = environment};
    hk_executor *pool = NULL;
    hk_status status;

    hkt_os_arm();
    status = hk_zygote_start();
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    status = hk_process_pool_create(&options, &pool);
    HKT_CHILD_TRUE((pool != NULL) == (status == HK_OK));
    HKT_CHILD_TRUE(status == HK_OK || hkt_is_refusal(status));
    if (status == HK_OK) {
        /* With one worker of two it waits for the other, which may come. */
        status = hk_executor_prestart(pool, HK_MS(300));
        HKT_CHILD_TRUE(status == HK_OK || status == HK_ETIMEDOUT || hkt_is_refusal(status));
        hkt_use(pool);
        HKT_CHILD_STATUS(hk_executor_destroy(pool), HK_OK);
    }
    (void)hkt_os_relent();
    works_again();
}

/* In a pool that runs: a worker dies, another comes, and all that with what is missing. */
static void lose_a_worker(void)
{
    /* Short, as it is waited for where none can come; its first workers are to keep to it, too. */
    hk_duration start_timeout = HK_MS(200) * hkt_slowness();
    hk_executor *pool =
        hkt_fault_pool((hk_executor_options){.workers = 2, .start_timeout = start_timeout});

    hkt_fault_works(pool);
    hkt_os_arm();
    hkt_use_submit(pool, hkt_fault_dies, 1, false);
    hkt_use(pool);
    (void)hkt_os_relent();
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_OK);
    HKT_CHILD_STATUS(hk_executor_destroy(pool), HK_OK);
    works_again();
}

/* A hard end, while tasks run and wait. */
static void end_hard(void)
{
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_future *running = hkt_fault_stand(pool, NULL);
    hk_future *queued = hkt_fault_submit(pool, hkt_fault_counts, NULL);

    hkt_os_arm();
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER), HK_OK);
    HKT_CHILD_TRUE(hk_future_has_ended(running) && hk_future_has_ended(queued));
    hk_future_unref(running);
    hk_future_unref(queued);
    HKT_CHILD_STATUS(hk_executor_destroy(pool), HK_OK);
    (void)hkt_os_relent();
    works_again();
}

/* Each with a time limit of its own. */
static void processes_new_pool(void)
{
    hkt_os_fail_each(makers, COUNT(makers), use_processes);
}

static void descriptors_new_pool(void)
{
    hkt_os_fail_each(descriptors, COUNT(descriptors), use_processes);
}

static void memory_new_pool(void)
{
    hkt_os_fail_each(memory, COUNT(memory), use_processes);
}

static void messages_new_pool(void)
{
    hkt_os_fail_each_once(messages, COUNT(messages), use_processes);
}

static void processes_working_pool(void)
{
    hkt_os_fail_each(makers, COUNT(makers), lose_a_worker);
}

static void descriptors_working_pool(void)
{
    hkt_os_fail_each(descriptors, COUNT(descriptors), lose_a_worker);
}

static void memory_working_pool(void)
{
    hkt_os_fail_each(memory, COUNT(memory), lose_a_worker);
}

static void messages_working_pool(void)
{
    hkt_os_fail_each_once(messages, COUNT(messages), lose_a_worker);
}

static void processes_ending_pool(void)
{
    hkt_os_fail_each(makers, COUNT(makers), end_hard);
}

static void descriptors_ending_pool(void)
{
    hkt_os_fail_each(descriptors, COUNT(descriptors), end_hard);
}

static void memory_ending_pool(void)
{
    hkt_os_fail_each(memory, COUNT(memory), end_hard);
}

static void messages_ending_pool(void)
{
    hkt_os_fail_each_once(messages, COUNT(messages), end_hard);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a new pool that is refused processes loses no future", processes_new_pool),
    HKT_CASE("a new pool that is refused descriptors loses no future", descriptors_new_pool),
    HKT_CASE("a new pool that is refused memory loses no future", memory_new_pool),
    HKT_CASE("a new pool that is refused messages loses no future", messages_new_pool),
    HKT_CASE("a pool that loses a worker and is refused processes loses no future",
             processes_working_pool),
    HKT_CASE("a pool that loses a worker and is refused descriptors loses no future",
             descriptors_working_pool),
    HKT_CASE("a pool that loses a worker and is refused memory loses no future",
             memory_working_pool),
    HKT_CASE("a pool that loses a worker and is refused messages loses no future",
             messages_working_pool),
    HKT_CASE("a pool that ends hard and is refused processes loses no future",
             processes_ending_pool),
    HKT_CASE("a pool that ends hard and is refused descriptors loses no future",
             descriptors_ending_pool),
    HKT_CASE("a pool that ends hard and is refused memory loses no future", memory_ending_pool),
    HKT_CASE("a pool that ends hard and is refused messages loses no future", messages_ending_pool),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "os_faults.processes", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    hkt_os_prepare();
    return hkt_main(argc, argv, suites);
}
