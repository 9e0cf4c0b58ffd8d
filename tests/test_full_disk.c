/* SPDX-License-Identifier: MIT */
/* A disk without room for what the library writes to files: it is said, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/lock_fixture.h"

static hk_lock one = HK_LOCK_INIT("one");
static hk_lock other = HK_LOCK_INIT("other");

static void write_report(const hk_lock_report *report, void *arg)
{
    int full = *(const int *)arg;

    errno = 0;
    HKT_STATUS(hk_lock_report_write(report, HK_LOCK_TEXT, full), HK_ESYS);
    HKT_EQ_INT(errno, ENOSPC);
    errno = 0;
    HKT_STATUS(hk_lock_report_write(report, HK_LOCK_DOT, full), HK_ESYS);
    HKT_EQ_INT(errno, ENOSPC);
    *(int *)arg = -1;
}

static void what_is_known_of_locks_is_not_written(void)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int fd = full;

    HKT_TRUE_FATAL(full >= 0);
    hk_on_lock_report(write_report, &fd);
    HKT_OK(hkt_nest(&one, &other));
    HKT_STATUS(hkt_nest(&other, &one), HK_EORDER);
    HKT_EQ_INT(fd, -1); /* It was called. */
    hk_on_lock_report(NULL, NULL);
    errno = 0;
    HKT_STATUS(hk_lock_graph_write(full), HK_ESYS);
    HKT_EQ_INT(errno, ENOSPC);
    errno = 0;
    HKT_STATUS(hk_waits_dump(full), HK_ESYS);
    HKT_EQ_INT(errno, ENOSPC);
    close(full);
    HKT_OK(hkt_nest(&one, &other));
    HKT_OK(hk_lock_destroy(&one));
    HKT_OK(hk_lock_destroy(&other));
}

/* Nobody reads what the log says, but it does not stop the program either. */
static void log_to_full_disk(void *nothing)
{
    hk_executor *executor = NULL;
    hk_future *future = NULL;

    (void)nothing;
    HKT_CHILD_TRUE(dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDERR_FILENO) >= 0);
    HKT_CHILD_STATUS(hk_executor_open("threads:1", &executor), HK_OK);
    HKT_CHILD_STATUS(hk_submit(executor, hkt_fails, NULL, 0, NULL, NULL), HK_OK);
    HKT_CHILD_STATUS(hk_submit(executor, hkt_nothing, NULL, 0, NULL, &future), HK_OK);
    HKT_CHILD_STATUS(hk_future_result(future, HK_FOREVER, NULL, NULL), HK_OK);
    hk_future_unref(future);
    HKT_CHILD_STATUS(hk_executor_destroy(executor), HK_OK);
}

static void a_log_that_cannot_be_written_stops_nothing(void)
{
    hkt_expect_good_child(log_to_full_disk, NULL);
}

static CU_TestInfo tests[] = {
    HKT_CASE("what is known of locks and waits is HK_ESYS on a full disk",
             what_is_known_of_locks_is_not_written),
    HKT_CASE("a log that cannot be written stops nothing",
             a_log_that_cannot_be_written_stops_nothing),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "full_disk", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
