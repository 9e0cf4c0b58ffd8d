/* SPDX-License-Identifier: MIT */
/*
 * Tasks that try to escape a kill, and that lie to their pool about their results: what the parent
 * believes of SECURITY.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "executors/process_pool/fd_passing.h"
#include "tests/process_fixture.h"
#include "tests/promise_fixture.h"
#include "tests/security_fixture.h"

enum { MIB = 1 << 20, ENDLESS = 20 };

/* --- Escaping a kill --- */

struct fugitive {
    enum hki_cell_phase pretended; /* HKI_CELL_FREE: what no side ever writes. */
    atomic_int pid;
    struct hkt_gate gate; /* What it waits for before it ends. */
};

static _Noreturn void run_for_ever(void)
{
    for (;;) {
        hki_os_yield();
    }
}

/* Into the zygote's group, where nobody looks for it. */
HK_TASK(leaves_its_group)
{
    struct fugitive *fugitive = hkt_pointer(in, in_size);

    if (setpgid(0, getpgid(getppid())) != 0) {
        return hk_fail(call, errno, "it cannot leave");
    }
    atomic_store(&fugitive->pid, getpid());
    run_for_ever();
}

/* So that it looks neither running nor done, or as if it had been seen to already. */
HK_TASK(forges_its_state)
{
    struct fugitive *fugitive = hkt_pointer(in, in_size);
    struct hki_channel *channel = NULL;
    uint32_t request = 0;
    struct hki_cell *cell = hkt_running_cell(&channel, &request);

    if (cell == NULL) {
        return hk_fail(call, 1, "no pool");
    }
    atomic_store(&cell->state, fugitive->pretended == HKI_CELL_FREE
                                   ? 0xdeadbeef
                                   : hki_cell_word(request, fugitive->pretended));
    atomic_store(&fugitive->pid, getpid());
    run_for_ever();
}

static void expect_caught(const hk_task *task, enum hki_cell_phase pretended)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct fugitive *fugitive = hkt_shared_new(sizeof(*fugitive));
    hk_future *future;

    fugitive->pretended = pretended;
    future = hkt_submit_shared(pool, task, fugitive, NULL);
    while (atomic_load(&fugitive->pid) == 0 && !hk_future_has_ended(future)) {
        hki_os_yield();
    }
    HKT_OK(hk_future_cancel(future, HK_CANCEL_KILL));
    HKT_TRUE(hk_future_result(future, HK_FOREVER, NULL, NULL) != HK_OK);
    hk_future_unref(future);
    HKT_TRUE(hkt_goes(atomic_load(&fugitive->pid)));
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void a_task_that_leaves_its_process_group_is_killed_all_the_same(void)
{
    expect_caught(leaves_its_group, HKI_CELL_FREE);
}

static void a_task_that_overwrites_its_state_is_killed_all_the_same(void)
{
    expect_caught(forges_its_state, HKI_CELL_FREE);
}

/* Which nobody but the parent says, with its job out of the cell. */
static void a_task_that_pretends_to_be_taken_back_is_killed_all_the_same(void)
{
    expect_caught(forges_its_state, HKI_CELL_WITHDRAWN);
}

static void a_task_that_pretends_to_be_killed_already_is_killed_all_the_same(void)
{
    expect_caught(forges_its_state, HKI_CELL_KILLING);
}

/* Which is taken back, and its worker does not pass over it. No task is lost with it whose error
 * would say so: the log does. */
static void a_task_that_pretends_not_to_have_begun_is_killed_all_the_same(void)
{
    struct hkt_log log;

    hkt_log_begin(&log);
    expect_caught(forges_its_state, HKI_CELL_QUEUED);
    HKT_TRUE(hkt_log_has(&log, " has gone: "));
    hkt_log_end(&log);
}

/* Out of time, it looks as if it had not begun, and is taken back. */
HK_TASK(forges_its_beginning_when_stopped)
{
    struct fugitive *fugitive = hkt_pointer(in, in_size);

    if (!hkt_deny_beginning()) {
        return hk_fail(call, 1, "no pool");
    }
    atomic_store(&fugitive->pid, getpid());
    hkt_gate_wait(&fugitive->gate);
    _exit(0);
}

static void a_task_that_pretends_not_to_have_begun_is_no_straggler_for_ever(void)
{
    hk_executor *pool =
        hkt_processes((hk_executor_options){.workers = 1, .kill_grace = HK_MS(60000)});
    struct fugitive *fugitive = hkt_shared_new(sizeof(*fugitive));
    hk_submit_options options = {.timeout = HK_MS(20)};
    hk_future *future;

    hkt_gate_init(&fugitive->gate, "forged");
    future = hkt_submit_shared(pool, forges_its_beginning_when_stopped, fugitive, &options);
    hkt_expect_end(future, HK_EDEADLINE);
    while (atomic_load(&fugitive->pid) == 0) {
        hki_os_yield();
    }
    HKT_EQ_INT(hkt_stats(pool).straggling, 1);
    (void)hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0);
    HKT_EQ_INT(hkt_stats(pool).straggling, 0);
    hkt_gate_open(&fugitive->gate);
    HKT_TRUE(hkt_goes(atomic_load(&fugitive->pid)));
    hkt_processes_end(pool);
}

/* Its worker's death is then to look as if it had nothing to do with it. */
HK_TASK(forges_its_beginning_and_exits)
{
    atomic_uint *runs = hkt_pointer(in, in_size);
    struct hki_channel *channel = NULL;
    uint32_t request = 0;
    struct hki_cell *cell = hkt_running_cell(&channel, &request);

    if (cell == NULL) {
        return hk_fail(call, 1, "no pool");
    }
    if (atomic_fetch_add(runs, 1) < ENDLESS) {
        atomic_store(&cell->state, hki_cell_word(request, HKI_CELL_QUEUED));
    }
    _exit(0);
}

static void a_task_that_pretends_not_to_have_begun_is_not_run_for_ever(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    atomic_uint *runs = hkt_shared_new(sizeof(*runs));
    hk_future *future = hkt_submit_shared(pool, forges_its_beginning_and_exits, runs, NULL);
    hk_future *good = hkt_submit_int(pool, hkt_square, 3);

    hkt_expect_lost(future, 0, 0);
    HKT_EQ_INT(hkt_take_int(good), 9);
    HKT_TRUE(atomic_load(runs) <= 3);
    hkt_processes_end(pool);
}

/* --- Lying about the result --- */

enum lie {
    HUGE_VALUE,    /* In a file that is smaller. */
    SHRINKING,     /* In a file that may shrink. */
    SPARSE,        /* In a file of holes. */
    HUGE_PAGES,    /* In a file whose pages may be missing. */
    NO_FILE,       /* In a socket. */
    STALE_FLOOD,   /* Behind more than there can be. */
    OUTSIDE_INPUT, /* Where its input is not. */
    OUTSIDE_EXTENT,
    NO_PLACE,
    LARGE_CELL,
    LIES
};

static int worker_socket(void)
{
    enum { MOST = 256 };

    for (int fd = STDERR_FILENO + 1; fd < MOST; fd++) {
        struct stat status;

        if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) {
            return fd;
        }
    }
    return -1;
}

/* A file for a lie, sealed so far that it looks good. */
static int make_file(enum lie lie, size_t size)
{
    unsigned flags = lie == HUGE_PAGES ? MFD_HUGETLB : 0U;
    int fd = memfd_create("lie", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

    if (lie == NO_FILE) {
        return dup(worker_socket());
    }
    if (fd < 0 && lie == HUGE_PAGES) {
        fd = memfd_create("lie", MFD_CLOEXEC | MFD_ALLOW_SEALING); /* There are none. */
    }
    if (fd < 0 || ftruncate(fd, lie == HUGE_VALUE ? 4096 : (off_t)size) != 0 ||
        (lie != SHRINKING && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0)) {
        return -1;
    }
    return fd;
}

static bool send_file(enum lie lie, uint32_t request, size_t size)
{
    int fd = make_file(lie, size);
    uint32_t number = lie == STALE_FLOOD ? request - 1 : request;
    int room = 1 << 20;

    if (fd < 0) {
        return false;
    }
    if (lie != STALE_FLOOD) {
        return hki_send_fds(worker_socket(), &number, sizeof(number), &fd, 1, true);
    }
    (void)setsockopt(worker_socket(), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    for (int i = 0; i < 2000; i++) { /* As many as the system takes. */
        if (!hki_send_fds(worker_socket(), &number, sizeof(number), &fd, 1, false)) {
            break;
        }
    }
    return true;
}

/* Says that it is done, as the worker would have, and is gone before that can look. */
HK_TASK(lies)
{
    struct hki_channel *channel = NULL;
    uint32_t request = 0;
    struct hki_cell *cell = hkt_running_cell(&channel, &request);
    size_t size = (size_t)2 * MIB;
    int lie = NO_PLACE;

    memcpy(&lie, in, in_size < sizeof(lie) ? in_size : sizeof(lie));
    if (cell == NULL || (lie <= STALE_FLOOD && !send_file((enum lie)lie, request, size))) {
        return hk_fail(call, 1, "it cannot even lie");
    }
    cell->outcome = HK_OK;
    cell->output_size = size;
    cell->output_at = lie == OUTSIDE_INPUT ? UINT64_MAX - 5 : 4096;
    cell->output_place = lie <= STALE_FLOOD      ? HKI_OUTPUT_SPILL
                         : lie == OUTSIDE_INPUT  ? HKI_OUTPUT_INPUT
                         : lie == OUTSIDE_EXTENT ? HKI_OUTPUT_OVERFLOW
                         : lie == LARGE_CELL     ? HKI_OUTPUT_CELL
                                                 : 77;
    atomic_store(&cell->state, hki_cell_word(request, HKI_CELL_DONE));
    atomic_store(&channel->done, request + 1);
    raise(SIGKILL);
    return HK_OK;
}

/* Holes read as zero, and cost what was announced. */
static void expect_zeros(const hk_future *future)
{
    const void *value = NULL;
    size_t size = 0;

    HKT_OK(hk_future_result((hk_future *)future, HK_FOREVER, &value, &size));
    if (HKT_EQ_INT(size, 2 * MIB)) {
        const char *bytes = value;

        HKT_TRUE(bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
    }
}

static void a_worker_that_lies_about_its_result_costs_that_result(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    for (int lie = 0; lie < LIES; lie++) {
        hk_future *future = hkt_submit_int(pool, lies, lie);

        if (lie == SPARSE || lie == HUGE_PAGES) {
            expect_zeros(future);
        } else {
            HKT_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_EWORKER);
        }
        hk_future_unref(future);
        hkt_expect_health(pool);
    }
    hkt_processes_end(pool);
}

static CU_TestInfo tests[] = {
    HKT_TEST(a_task_that_leaves_its_process_group_is_killed_all_the_same),
    HKT_TEST(a_task_that_overwrites_its_state_is_killed_all_the_same),
    HKT_TEST(a_task_that_pretends_to_be_taken_back_is_killed_all_the_same),
    HKT_TEST(a_task_that_pretends_to_be_killed_already_is_killed_all_the_same),
    HKT_TEST(a_task_that_pretends_not_to_have_begun_is_killed_all_the_same),
    HKT_TEST(a_task_that_pretends_not_to_have_begun_is_no_straggler_for_ever),
    HKT_TEST(a_task_that_pretends_not_to_have_begun_is_not_run_for_ever),
    HKT_TEST(a_worker_that_lies_about_its_result_costs_that_result),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "escape", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
