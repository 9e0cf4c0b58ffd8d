/* SPDX-License-Identifier: MIT */
/* Descriptors that travel with a task, on executors of this process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "tests/fixture.h"

static struct hkt_gate gate;

/* Descriptors that are open below a bound that no test reaches. */
static int open_count(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

struct same_count {
    int expected;
};

static bool is_same_count(void *arg)
{
    return open_count() == ((struct same_count *)arg)->expected;
}

static int open_file(void)
{
    FILE *file = tmpfile();
    int fd;

    HKT_TRUE_FATAL(file != NULL);
    fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 0);
    fclose(file);
    HKT_TRUE_FATAL(fd >= 0);
    return fd;
}

static ino_t inode_of(int fd)
{
    struct stat stat;

    return fstat(fd, &stat) == 0 ? stat.st_ino : 0;
}

/* How many to take -> the inodes of those it took. */
HK_TASK(takes_fds)
{
    size_t count;
    ino_t inodes[16];
    int fd;

    memcpy(&count, in, sizeof(count));
    for (size_t i = 0; i < count; i++) {
        HKT_OK(hk_call_take_fd(call, i, &fd));
        HKT_TRUE((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        inodes[i] = inode_of(fd);
        close(fd);
        HKT_STATUS(hk_call_take_fd(call, i, &fd), HK_ESTATE);
    }
    return hk_return(call, inodes, count * sizeof(inodes[0]));
}

HK_TASK(asks_wrongly)
{
    int fd;

    HKT_STATUS(hk_call_take_fd(call, 1, &fd), HK_EINVAL);
    HKT_STATUS(hk_call_take_fd(call, SIZE_MAX, &fd), HK_EINVAL);
    HKT_STATUS(hk_call_take_fd(call, 0, NULL), HK_EINVAL);
    HKT_STATUS(hk_call_take_fd(NULL, 0, &fd), HK_EINVAL);
    return HK_OK;
}

HK_TASK(has_none)
{
    int fd;

    return hk_call_take_fd(call, 0, &fd) == HK_EINVAL ? HK_OK : hk_fail(call, 1, "it has one");
}

HK_TASK(keeps_one)
{
    int fd;

    HKT_OK(hk_call_take_fd(call, 0, &fd));
    return hk_return(call, &fd, sizeof(fd));
}

HK_TASK(stands)
{
    hkt_gate_wait(&gate);
    return HK_OK;
}

static void the_task_takes_what_was_sent(void)
{
    int fds[16];
    ino_t inodes[16];
    size_t count = 16;
    hk_submit_options options = {.fds = fds, .fd_count = count};
    struct same_count before = {open_count()};
    hk_future *future;
    const void *value;
    size_t size;

    for (size_t i = 0; i < count; i++) {
        fds[i] = open_file();
        inodes[i] = inode_of(fds[i]);
    }
    HKT_OK_FATAL(hk_submit(hkt_executor, takes_fds, &count, sizeof(count), &options, &future));
    for (size_t i = 0; i < count; i++) {
        close(fds[i]); /* The caller's are not the task's. */
    }
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, &size));
    HKT_EQ_INT(size, sizeof(inodes));
    HKT_TRUE(memcmp(value, inodes, sizeof(inodes)) == 0);
    hk_future_unref(future);
    HKT_TRUE(hkt_eventually(is_same_count, &before));
}

static void what_is_not_taken_is_closed(void)
{
    int fds[3] = {open_file(), open_file(), open_file()};
    hk_submit_options options = {.fds = fds, .fd_count = 3};
    struct same_count before = {open_count()};
    hk_future *future;
    size_t one = 1;

    HKT_OK_FATAL(hk_submit(hkt_executor, takes_fds, &one, sizeof(one), &options, &future));
    hkt_expect_end(hk_future_ref(future), HK_OK);
    /* Although the future lives on. */
    HKT_TRUE(hkt_eventually(is_same_count, &before));
    hk_future_unref(future);
    for (size_t i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

static void what_was_taken_stays_open(void)
{
    int sent = open_file();
    hk_submit_options options = {.fds = &sent, .fd_count = 1};
    hk_future *future;
    ino_t inode = inode_of(sent);
    int kept;

    HKT_OK_FATAL(hk_submit(hkt_executor, keeps_one, NULL, 0, &options, &future));
    kept = hkt_take_int(future);
    HKT_TRUE(kept != sent);
    HKT_EQ_INT(inode_of(kept), inode);
    HKT_EQ_INT(close(kept), 0);
    close(sent);
}

static void absurd_questions_are_refused(void)
{
    int sent = open_file();
    hk_submit_options options = {.fds = &sent, .fd_count = 1};
    hk_future *future;

    HKT_OK_FATAL(hk_submit(hkt_executor, asks_wrongly, NULL, 0, &options, &future));
    hkt_expect_end(future, HK_OK);
    HKT_OK_FATAL(hk_submit(hkt_executor, has_none, NULL, 0, NULL, &future));
    hkt_expect_end(future, HK_OK);
    options = (hk_submit_options){.label = "without descriptors"};
    HKT_OK_FATAL(hk_submit(hkt_executor, has_none, NULL, 0, &options, &future));
    hkt_expect_end(future, HK_OK);
    close(sent);
}

static void absurd_descriptors_are_refused(void)
{
    int fds[17];
    hk_submit_options options = {.fds = fds, .fd_count = 17};
    int before;
    hk_future *future;

    for (size_t i = 0; i < 17; i++) {
        fds[i] = STDERR_FILENO;
    }
    before = open_count();
    HKT_STATUS(hk_submit(hkt_executor, has_none, NULL, 0, &options, &future), HK_EINVAL);
    options = (hk_submit_options){.fd_count = 1};
    HKT_STATUS(hk_submit(hkt_executor, has_none, NULL, 0, &options, &future), HK_EINVAL);
    options = (hk_submit_options){.fds = fds, .fd_count = 16};
    fds[15] = -1;
    HKT_STATUS(hk_submit(hkt_executor, has_none, NULL, 0, &options, &future), HK_EINVAL);
    fds[15] = 250; /* Not open. */
    HKT_STATUS(hk_submit(hkt_executor, has_none, NULL, 0, &options, &future), HK_EINVAL);
    HKT_EQ_INT(open_count(), before);
}

static void a_full_table_is_told(void)
{
    int fds[4] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
    hk_submit_options options = {.fds = fds, .fd_count = 4};
    struct rlimit limit;
    struct rlimit tight;
    hk_future *future;
    hk_status status;
    int why;
    int before = open_count();
    int lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

    close(lowest);
    HKT_EQ_INT_FATAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    tight = limit;
    tight.rlim_cur = (rlim_t)lowest + 2; /* Room for less than four. */
    HKT_EQ_INT_FATAL(setrlimit(RLIMIT_NOFILE, &tight), 0);
    status = hk_submit(hkt_executor, has_none, NULL, 0, &options, &future);
    why = errno;
    HKT_EQ_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    HKT_STATUS(status, HK_ESYS);
    HKT_EQ_INT(why, EMFILE);
    HKT_EQ_INT(open_count(), before);
}

static void without_memory_nothing_stays_open(void)
{
    int fds[2] = {STDERR_FILENO, STDERR_FILENO};
    hk_submit_options options = {.fds = fds, .fd_count = 2};
    struct same_count before = {open_count()};
    hk_status status;

    for (long nth = 1;; nth++) {
        hk_future *future = NULL;

        (void)hki_memory_fail_at(nth);
        status = hk_submit(hkt_executor, hkt_nothing, NULL, 0, &options, &future);
        (void)hki_memory_fail_at(0);
        if (status == HK_OK) {
            hkt_expect_end(future, HK_OK);
            break;
        }
        HKT_STATUS(status, HK_ENOMEM);
        HKT_EQ_INT(open_count(), before.expected);
    }
    HKT_TRUE(hkt_eventually(is_same_count, &before));
}

static void a_cancelled_task_leaves_none_open(void)
{
    int sent = STDERR_FILENO;
    hk_submit_options options = {.fds = &sent, .fd_count = 1};
    struct hkt_plug plug;
    int before = open_count();
    hk_future *future;
    hk_cancel_token *token;

    if (hkt_is_inline()) {
        /* Nothing is ever queued there; a fired token refuses at the door. */
        HKT_OK_FATAL(hk_cancel_token_create(NULL, &token));
        HKT_OK(hk_cancel_token_fire(token, NULL));
        options.token = token;
        HKT_STATUS(hk_submit(hkt_executor, has_none, NULL, 0, &options, &future), HK_ECANCELED);
        hk_cancel_token_unref(token);
        HKT_EQ_INT(open_count(), before);
        return;
    }
    hkt_plug_insert(&plug, hkt_executor, hkt_worker_count());
    HKT_OK_FATAL(hk_submit(hkt_executor, has_none, NULL, 0, &options, &future));
    HKT_EQ_INT(open_count(), before + 1);
    HKT_OK(hk_future_cancel(future, HK_CANCEL_REQUEST));
    HKT_EQ_INT(open_count(), before);
    hk_future_unref(future);
    hkt_plug_pull(&plug);
}

static void a_task_that_ran_over_leaves_none_open(void)
{
    int sent = STDERR_FILENO;
    hk_submit_options options = {.fds = &sent, .fd_count = 1, .timeout = HK_MS(1)};
    struct same_count before = {open_count()};
    hk_future *future;

    hkt_gate_init(&gate, "a task with a time limit");
    if (hkt_is_inline()) {
        /* Judged on return: nothing to hold still. */
        hkt_gate_open(&gate);
        options.timeout = HK_FOREVER;
    }
    HKT_OK_FATAL(hk_submit(hkt_executor, stands, NULL, 0, &options, &future));
    hkt_expect_end(future, hkt_is_inline() ? HK_OK : HK_EDEADLINE);
    hkt_gate_open(&gate);
    HKT_TRUE(hkt_eventually(is_same_count, &before));
    HKT_TRUE(hkt_becomes(hkt_executor, hkt_straggling, 0));
    hkt_gate_fini(&gate);
}

static void a_refused_submit_leaves_none_open(void)
{
    int sent = STDERR_FILENO;
    hk_submit_options options = {.fds = &sent, .fd_count = 1};
    int before = open_count();
    hk_future *future;

    HKT_OK(hk_executor_shutdown(hkt_executor, HK_SHUTDOWN_DRAIN, HK_FOREVER));
    HKT_STATUS(hk_submit(hkt_executor, has_none, NULL, 0, &options, &future), HK_ECLOSED);
    HKT_TRUE(open_count() <= before);
}

static CU_TestInfo tests[] = {
    HKT_CASE("a task takes the descriptors that were sent with it", the_task_takes_what_was_sent),
    HKT_CASE("what a task does not take is closed after it", what_is_not_taken_is_closed),
    HKT_CASE("what a task has taken stays open", what_was_taken_stays_open),
    HKT_CASE("asking for what was not sent is refused", absurd_questions_are_refused),
    HKT_CASE("too many, none, and closed descriptors are refused", absurd_descriptors_are_refused),
    HKT_CASE("a submit tells when no descriptor is left", a_full_table_is_told),
    HKT_CASE("without memory no descriptor stays open", without_memory_nothing_stays_open),
    HKT_CASE("a task that never ran leaves none open", a_cancelled_task_leaves_none_open),
    HKT_CASE("a task that ran over its limit leaves none open",
             a_task_that_ran_over_leaves_none_open),
    HKT_CASE("a refused submit leaves none open", a_refused_submit_leaves_none_open),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "task descriptors",
     .pSetUpFunc = hkt_executor_set_up,
     .pTearDownFunc = hkt_executor_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
