/* SPDX-License-Identifier: MIT */
/* Spills: there and back, what is refused from the other side, and what limits do. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "executors/process_pool/spill.h"
#include "tests/child_fixture.h"

enum { MIB = 1024 * 1024 };

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0 || errno != EBADF;
}

/* A sealed one, full of a byte; its descriptor. */
static int make_spill(size_t size, int byte)
{
    void *data = NULL;
    int fd = -1;

    HKT_OK_FATAL(hki_spill_create(size, &fd, &data));
    memset(data, byte, size);
    HKT_OK(hki_spill_seal(fd, data, size));
    return fd;
}

static void a_spill_comes_back_as_it_went(void)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 3 * MIB + 1};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        struct stat status = {0};
        void *data = NULL;
        const char *bytes;
        int fd = make_spill(size, 'a');

        HKT_EQ_INT(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        HKT_EQ_INT(fstat(fd, &status), 0);
        HKT_EQ_INT(status.st_size, size);
        HKT_EQ_INT(ftruncate(fd, 0), -1);
        HKT_EQ_INT(ftruncate(fd, (off_t)size + 1), -1);
        HKT_OK_FATAL(hki_spill_open(fd, size, &data));
        HKT_TRUE(!is_open(fd));
        bytes = data;
        HKT_TRUE(bytes[0] == 'a' && memcmp(bytes, bytes + 1, size - 1) == 0);
        hki_spill_close(data, size);
    }
}

static void all_of_it_is_allocated_at_its_creation(void)
{
    struct stat status = {0};
    void *data = NULL;
    int fd = -1;

    HKT_OK_FATAL(hki_spill_create(3 * MIB, &fd, &data));
    HKT_EQ_INT(fstat(fd, &status), 0);
    HKT_EQ_INT(status.st_blocks * 512, 3 * MIB);
    HKT_OK(hki_spill_seal(fd, data, 3 * MIB));
    close(fd);
}

static void a_part_of_a_spill_may_be_opened(void)
{
    void *data = NULL;

    HKT_OK_FATAL(hki_spill_open(make_spill(8192, 'b'), 100, &data));
    HKT_EQ_INT(*(char *)data, 'b');
    hki_spill_close(data, 100);
}

static void expect_refused(int fd, size_t size)
{
    void *data = NULL;

    HKT_TRUE_FATAL(fd >= 0);
    HKT_STATUS(hki_spill_open(fd, size, &data), HK_EINVAL);
    HKT_EQ_PTR(data, NULL);
    HKT_TRUE(!is_open(fd));
}

static void what_is_no_spill_is_refused_and_closed(void)
{
    void *data = NULL;
    int pair[2];
    int fd = -1;

    expect_refused(make_spill(4096, 'c'), 4097); /* Too small: by a byte, by all. */
    expect_refused(make_spill(4096, 'c'), SIZE_MAX);
    expect_refused(make_spill(4096, 'c'), 0);
    HKT_OK_FATAL(hki_spill_create(4096, &fd, &data)); /* Not sealed. */
    hki_spill_close(data, 4096);
    expect_refused(fd, 4096);
    fd = memfd_create("can still shrink", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    HKT_TRUE(ftruncate(fd, 4096) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
    expect_refused(fd, 4096);
    fd = memfd_create("cannot be sealed", MFD_CLOEXEC);
    HKT_EQ_INT(ftruncate(fd, 4096), 0);
    expect_refused(fd, 4096);
    HKT_EQ_INT_FATAL(pipe(pair), 0);
    expect_refused(pair[0], 1);
    expect_refused(pair[1], 1);
    HKT_EQ_INT_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    expect_refused(pair[0], 1);
    expect_refused(pair[1], 1);
    expect_refused(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 1);
    expect_refused(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 1);
    expect_refused(open("/dev/zero", O_RDONLY | O_CLOEXEC), 1);
    HKT_STATUS(hki_spill_open(-1, 1, &data), HK_EINVAL);
}

static void what_was_sent_cannot_be_changed(void)
{
    int fd = make_spill(8192, 'd');
    int sender = dup(fd);
    void *data = NULL;

    HKT_OK_FATAL(hki_spill_open(fd, 8192, &data));
    HKT_EQ_INT(pwrite(sender, "x", 1, 0), -1);
    HKT_EQ_PTR(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, sender, 0), MAP_FAILED);
    HKT_EQ_INT(fallocate(sender, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    HKT_EQ_INT(*(char *)data, 'd');
    hki_spill_close(data, 8192);
    close(sender);
}

/* As when the task has forked a child that lives on. */
static void what_can_be_changed_is_copied(void)
{
    void *data = NULL;
    char *kept;
    int sender;
    int fd = -1;

    HKT_OK_FATAL(hki_spill_create(8192, &fd, &data));
    memset(data, 'e', 8192);
    kept = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    HKT_TRUE_FATAL(kept != MAP_FAILED);
    HKT_OK(hki_spill_seal(fd, data, 8192));
    sender = dup(fd);
    HKT_OK_FATAL(hki_spill_open(fd, 8192, &data));
    kept[0] = 'x';
    HKT_EQ_INT(fallocate(sender, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), 0);
    HKT_EQ_INT(((char *)data)[0], 'e');
    HKT_EQ_INT(((char *)data)[8191], 'e');
    hki_spill_close(data, 8192);
    HKT_EQ_INT(munmap(kept, 8192), 0);
    close(sender);
}

static void nobody_else_may_open_it(void)
{
    int fd = make_spill(4096, 'f');
    struct stat status = {0};

    HKT_EQ_INT(fstat(fd, &status), 0);
    HKT_EQ_INT(status.st_mode & 0777, 0600);
    close(fd);
}

static void nothing_and_too_much_cannot_be_spilled(void)
{
    void *data = NULL;
    int fd = -1;

    HKT_STATUS(hki_spill_create(0, &fd, &data), HK_EINVAL);
    HKT_STATUS(hki_spill_create(SIZE_MAX, &fd, &data), HK_ENOMEM);
    HKT_EQ_INT(fd, -1);
}

static void limit(unsigned resource, rlim_t value)
{
    struct rlimit now;

    HKT_CHILD_TRUE(getrlimit(resource, &now) == 0);
    now.rlim_cur = value;
    HKT_CHILD_TRUE(setrlimit(resource, &now) == 0);
}

static void spill_within_limits(void *arg)
{
    sigset_t pending;
    sigset_t mask;
    void *data = NULL;
    int fd = -1;

    (void)arg;
    limit(RLIMIT_FSIZE, MIB);
    HKT_CHILD_STATUS(hki_spill_create(MIB + 1, &fd, &data), HK_ENOMEM);
    HKT_CHILD_TRUE(sigpending(&pending) == 0 && !sigismember(&pending, SIGXFSZ));
    HKT_CHILD_TRUE(sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGXFSZ));
    HKT_CHILD_STATUS(hki_spill_create(MIB, &fd, &data), HK_OK);
    HKT_CHILD_STATUS(hki_spill_seal(fd, data, MIB), HK_OK);
    close(fd);
    limit(RLIMIT_NOFILE, 3);
    HKT_CHILD_STATUS(hki_spill_create(MIB, &fd, &data), HK_ESYS);
    HKT_CHILD_TRUE(errno == EMFILE);
    limit(RLIMIT_NOFILE, 64); /* A coverage build writes its counters at the exit. */
}

static void limits_are_told_by_a_status(void)
{
    hkt_expect_good_child(spill_within_limits, NULL);
}

static void on_signal(int signal)
{
    (void)signal;
}

/* Where the kernel lets each of them undo an allocation, 64 MiB in one go would never be
 * there. */
static void signals_do_not_hold_it_up(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigaction former;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec often = {{0, 2000000}, {0, 2000000}};
    timer_t timer;
    void *data = NULL;
    int fd = -1;

    HKT_EQ_INT(sigaction(SIGUSR1, &action, &former), 0);
    HKT_EQ_INT_FATAL(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    HKT_EQ_INT(timer_settime(timer, 0, &often, NULL), 0);
    HKT_OK_FATAL(hki_spill_create(64 * MIB, &fd, &data));
    HKT_EQ_INT(timer_delete(timer), 0);
    HKT_EQ_INT(sigaction(SIGUSR1, &former, NULL), 0);
    HKT_OK(hki_spill_seal(fd, data, 64 * MIB));
    close(fd);
}

static CU_TestInfo spill_tests[] = {
    HKT_TEST(a_spill_comes_back_as_it_went),
    HKT_TEST(all_of_it_is_allocated_at_its_creation),
    HKT_TEST(a_part_of_a_spill_may_be_opened),
    HKT_TEST(what_is_no_spill_is_refused_and_closed),
    HKT_TEST(what_was_sent_cannot_be_changed),
    HKT_TEST(what_can_be_changed_is_copied),
    HKT_TEST(nobody_else_may_open_it),
    HKT_TEST(nothing_and_too_much_cannot_be_spilled),
    HKT_TEST(limits_are_told_by_a_status),
    HKT_TEST(signals_do_not_hold_it_up),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "pool spill", .pTests = spill_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
