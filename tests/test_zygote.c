/* SPDX-License-Identifier: MIT */
/*
 * The zygote and its workers, without a pool: workers run what a test says.
 *
 * Every test runs in a process of its own, which starts a zygote of its own. The harness
 * reads that process's output up to its end, and the zygote and its workers have inherited
 * it: so a test whose processes stay behind never ends, and the watchdog says so.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hocket/process_pool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fork.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/oom_watch.h"
#include "tests/zygote_fixture.h"

/* --- Starting ----------------------------------------------------------------- */

static void starts_once(void *nothing)
{
    int32_t pid;

    (void)nothing;
    HKT_CHILD_TRUE(hki_zygote_pid() == 0);
    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
    pid = hki_zygote_pid();
    HKT_CHILD_TRUE(pid > 0 && getpgid(pid) == pid);
    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
    HKT_CHILD_TRUE(hki_zygote_pid() == pid);
}

static void starting_twice_gives_one_zygote(void)
{
    hkt_expect_good_child(starts_once, NULL);
}

static void *starts_off_main(void *gate)
{
    HKT_CHILD_STATUS(hk_zygote_start(), HK_ETHREADS);
    hkt_gate_open(gate);
    return NULL;
}

static void starts_late(void *nothing)
{
    pthread_t thread;
    struct hkt_gate gate;

    (void)nothing;
    hkt_gate_init(&gate, "refused");
    HKT_CHILD_TRUE(pthread_create(&thread, NULL, starts_off_main, &gate) == 0);
    hkt_gate_wait(&gate);
    pthread_join(thread, NULL);
    HKT_CHILD_TRUE(hki_zygote_pid() == 0);
}

static void a_process_with_two_threads_gets_no_zygote(void)
{
    hkt_expect_good_child(starts_late, NULL);
}

static void starts_without_streams(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 7) > 0);
    hkt_client_await(&client, &client.seen[0].died, 1);
    HKT_CHILD_TRUE(WEXITSTATUS(client.seen[0].wait_status) == 7);
    hkt_client_close(&client);
}

static void closed_standard_streams_do_no_harm(void)
{
    hkt_expect_good_child(starts_without_streams, NULL);
}

/* --- Workers ------------------------------------------------------------------ */

static void sees_ends(void *nothing)
{
    static const int signals[] = {SIGKILL, SIGTERM, SIGUSR1, SIGABRT};
    struct hkt_client client;
    struct rlimit no_core = {0, 0};

    (void)nothing;
    setrlimit(RLIMIT_CORE, &no_core);
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open(&client);
    for (int code = 0; code < 20; code++) {
        HKT_CHILD_TRUE(hkt_spawn(&client, 1, (uint32_t)code) > 0);
        hkt_client_await(&client, &client.seen[1].died, code + 1);
        HKT_CHILD_TRUE(WIFEXITED(client.seen[1].wait_status));
        HKT_CHILD_TRUE(WEXITSTATUS(client.seen[1].wait_status) == code);
        HKT_CHILD_TRUE(!client.seen[1].out_of_memory);
    }
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        HKT_CHILD_TRUE(hkt_spawn(&client, 2, (uint32_t)signals[i] + 100) > 0);
        hkt_client_await(&client, &client.seen[2].died, (int)i + 1);
        HKT_CHILD_TRUE(WIFSIGNALED(client.seen[2].wait_status));
        HKT_CHILD_TRUE(WTERMSIG(client.seen[2].wait_status) == signals[i]);
        HKT_CHILD_TRUE(!client.seen[2].out_of_memory);
    }
    hkt_client_close(&client);
}

static void the_parent_hears_how_a_worker_ended(void)
{
    hkt_expect_good_child(sees_ends, NULL);
}

static void kills_by_generation(void *nothing)
{
    struct hkt_client client;
    int32_t pid;

    (void)nothing;
    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&client);
    pid = hkt_spawn(&client, 0, 5);
    HKT_CHILD_TRUE(pid > 0 && getpgid(pid) == pid);
    HKT_CHILD_STATUS(hki_zygote_kill(&client.zygote, 0, 4, SIGKILL), HK_OK);
    HKT_CHILD_STATUS(hki_zygote_kill(&client.zygote, 1, 5, SIGKILL), HK_OK);
    HKT_CHILD_STATUS(hki_zygote_kill(&client.zygote, 0, 5, SIGTERM), HK_OK);
    hkt_client_await(&client, &client.seen[0].died, 1);
    /* The zygote serves in order: SIGKILL would have come first. */
    HKT_CHILD_TRUE(WTERMSIG(client.seen[0].wait_status) == SIGTERM);
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 6) > 0);
    HKT_CHILD_STATUS(hki_zygote_kill(&client.zygote, 0, 5, SIGKILL), HK_OK);
    HKT_CHILD_STATUS(hki_zygote_kill(&client.zygote, 0, 6, SIGUSR2), HK_OK);
    hkt_client_await(&client, &client.seen[0].died, 2);
    HKT_CHILD_TRUE(WTERMSIG(client.seen[0].wait_status) == SIGUSR2);
    hkt_client_close(&client);
}

static void a_kill_for_an_old_generation_kills_nobody(void)
{
    hkt_expect_good_child(kills_by_generation, NULL);
}

/* Whether a signal is handled as the zygote has it for its workers: not at all, but for those of
 * a crash, whose handler is the library's and runs on a stack of its own. */
static bool is_handled_rightly(int number)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE,  SIGILL,
                                  SIGABRT, SIGSYS, SIGTRAP, SIGXCPU};
    struct sigaction action;

    if (sigaction(number, NULL, &action) != 0) {
        return true; /* The C library keeps it to itself. */
    }
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        if (number == crashes[i]) {
            return (action.sa_flags & SA_SIGINFO) != 0 && (action.sa_flags & SA_ONSTACK) != 0;
        }
    }
    return action.sa_handler == (number == SIGPIPE ? SIG_IGN : SIG_DFL);
}

/* Exits with 0 if it has only what it should have, else with what is wrong. */
static void worker_looks_around(const struct hki_worker_start *start)
{
    DIR *dir = opendir("/proc/self/fd");
    sigset_t blocked;
    char target[64] = "";

    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] != '.' && fd > STDERR_FILENO && fd != dirfd(dir) &&
            fd != start->socket && fd != start->stop_event && fd != start->ring) {
            fprintf(stderr, "descriptor %d\n", fd);
            _exit(1);
        }
    }
    if (readlink("/proc/self/fd/0", target, sizeof(target) - 1) < 0 ||
        strcmp(target, "/dev/null") != 0) {
        _exit(2);
    }
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int number = 1; number < SIGRTMAX; number++) {
        if (sigismember(&blocked, number) == 1) {
            _exit(3);
        }
        if (!is_handled_rightly(number)) {
            fprintf(stderr, "signal %d\n", number);
            _exit(4);
        }
    }
    if (getppid() != start->zygote_pid || getpgrp() != getpid() ||
        getpgid(getppid()) != getppid()) {
        _exit(5);
    }
    if (hki_fork_is_alone()) {
        _exit(6); /* Its tasks' forks would not hold the locks of their threads. */
    }
    _exit(0);
}

static void on_usr1(int number)
{
    (void)number;
}

static void has_foreign_things(void *nothing)
{
    struct hkt_client client;
    int ends[2];
    sigset_t some;

    (void)nothing;
    HKT_CHILD_TRUE(pipe(ends) == 0 && dup2(ends[0], 200) == 200);
    HKT_CHILD_TRUE(signal(SIGUSR1, on_usr1) != SIG_ERR && signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, NULL);
    hkt_zygote_start(worker_looks_around);
    hkt_client_open(&client);
    for (int i = 0; i < 3; i++) {
        HKT_CHILD_TRUE(hkt_spawn(&client, 3, 1) > 0);
        hkt_client_await(&client, &client.seen[3].died, i + 1);
        HKT_CHILD_TRUE(client.seen[3].wait_status == 0);
    }
    hkt_client_close(&client);
}

static void a_worker_has_no_descriptor_and_no_signal_of_the_application(void)
{
    hkt_expect_good_child(has_foreign_things, NULL);
}

static int oom_blame_of(int32_t pid)
{
    char path[64];
    int blame = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
    file = fopen(path, "re");
    HKT_CHILD_TRUE(file != NULL && fscanf(file, "%d", &blame) == 1);
    fclose(file);
    return blame;
}

static bool zygote_bears(void *blame)
{
    return oom_blame_of(hki_zygote_pid()) == *(int *)blame;
}

static void blames_workers(void *nothing)
{
    struct hkt_client client;
    int own = oom_blame_of(getpid());
    int32_t pid;

    (void)nothing;
    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&client);
    for (uint32_t i = 0; i < 2; i++) { /* The second one gets no more than the first. */
        pid = hkt_spawn(&client, i, 1);
        HKT_CHILD_TRUE(oom_blame_of(pid) == (own > 500 ? 1000 : own + 500));
        HKT_CHILD_TRUE(hkt_eventually(zygote_bears, &own)); /* More as long as it forks. */
    }
    hkt_client_close(&client);
}

static void want_of_memory_takes_workers_before_the_zygote(void)
{
    hkt_expect_good_child(blames_workers, NULL);
}

static bool is_mapped(const void *address)
{
    unsigned char there;
    int ends[2];
    bool readable;

    /* The kernel reads it for us, and says EFAULT where the program would die. */
    if (pipe(ends) != 0) {
        _exit(9);
    }
    readable = write(ends[1], address, 1) == 1 && read(ends[0], &there, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return readable;
}

/* The address of another pool's page lies in worker_arg. */
static void worker_looks_at_memory(const struct hki_worker_start *start)
{
    if (is_mapped(start->page->worker_arg)) {
        _exit(1);
    }
    if (!is_mapped(start->page)) {
        _exit(2);
    }
    hki_channel_of(start->page, start->index)->failure_size = start->index + 42;
    _exit(0);
}

static void shares_memory(void *nothing)
{
    struct hkt_client clients[2];

    (void)nothing;
    hkt_zygote_start(worker_looks_at_memory);
    hkt_client_open(&clients[0]);
    hkt_client_open(&clients[1]);
    for (int i = 0; i < 2; i++) {
        struct hkt_client *client = &clients[i];
        struct hki_pool_page *page = client->zygote.memory->page;

        page->worker_arg = clients[1 - i].zygote.memory->page;
        HKT_CHILD_TRUE(hkt_spawn(client, 3, 1) > 0);
        hkt_client_await(client, &client->seen[3].died, 1);
        HKT_CHILD_TRUE(client->seen[3].wait_status == 0);
        HKT_CHILD_TRUE(hki_channel_of(page, 3)->failure_size == 45);
    }
    hkt_client_close(&clients[1]);
    hkt_client_close(&clients[0]);
}

static void a_worker_shares_its_own_pools_memory_alone(void)
{
    hkt_expect_good_child(shares_memory, NULL);
}

static void fails_to_fork(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open(&client);
    for (uint32_t generation = 1; generation <= 2; generation++) {
        HKT_CHILD_TRUE(hki_fault_set("fork_fails", HKI_FAULT_ZYGOTE, 1, HKI_FAULT_FAILS));
        HKT_CHILD_TRUE(hkt_spawn(&client, 0, generation) == -1);
        HKT_CHILD_TRUE(client.seen[0].sys_errno == EAGAIN);
        HKT_CHILD_TRUE(client.seen[0].generation == generation);
    }
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 3) > 0);
    hkt_client_await(&client, &client.seen[0].died, 1);
    HKT_CHILD_TRUE(WEXITSTATUS(client.seen[0].wait_status) == 3);
    hkt_client_close(&client);
}

static void a_spawn_that_fails_says_why_and_the_next_may_succeed(void)
{
    hkt_expect_good_child(fails_to_fork, NULL);
}

/* The real one, told to leave before it has come. */
static void runs_library_worker(void *nothing)
{
    struct hkt_client client;
    struct hki_channel *channel;

    (void)nothing;
    hkt_zygote_start(hki_worker_main);
    hkt_client_open(&client);
    channel = hki_channel_of(client.zygote.memory->page, 2);
    channel->index = 2;
    channel->generation = 1;
    atomic_store(&channel->retire, 1);
    HKT_CHILD_TRUE(hkt_spawn(&client, 2, 1) > 0);
    hkt_client_await(&client, &client.died, 1);
    HKT_CHILD_TRUE(client.seen[2].wait_status == 0);
    HKT_CHILD_TRUE(atomic_load(&channel->stage) == HKI_WORKER_LEAVING);
    hkt_client_await(&client, &client.attended, 1); /* It rang. */
    hkt_client_close(&client);
}

static void the_librarys_own_worker_comes_and_goes(void)
{
    hkt_expect_good_child(runs_library_worker, NULL);
}

/* --- Want of memory --- */

static void write_counter(const char *path, int kills)
{
    FILE *file = fopen(path, "we");

    HKT_TRUE_FATAL(file != NULL);
    fprintf(file, "low 7\nhigh 9\nmax 3\noom 5\noom_kill %d\noom_group_kill 8\n", kills);
    fclose(file);
}

static void each_step_of_the_counter_explains_one_death(void)
{
    char path[] = "/tmp/hocket-oom-XXXXXX";
    struct hki_oom_watch watch;
    int fd = mkstemp(path);

    HKT_TRUE_FATAL(fd >= 0);
    close(fd);
    HKT_TRUE(!hki_oom_watch_open(&watch, path)); /* It is empty yet. */
    write_counter(path, 2);
    HKT_TRUE_FATAL(hki_oom_watch_open(&watch, path));
    hki_oom_watch_read(&watch, HK_SEC(10));
    HKT_TRUE(!hki_oom_watch_explains(&watch));
    write_counter(path, 4);
    hki_oom_watch_read(&watch, HK_SEC(20));
    HKT_TRUE(hki_oom_watch_explains(&watch));
    HKT_TRUE(hki_oom_watch_explains(&watch));
    HKT_TRUE(!hki_oom_watch_explains(&watch));
    write_counter(path, 5);
    hki_oom_watch_read(&watch, HK_SEC(30)); /* Another one has died meanwhile. */
    hki_oom_watch_read(&watch, HK_SEC(31));
    HKT_TRUE(hki_oom_watch_explains(&watch));
    HKT_TRUE(!hki_oom_watch_explains(&watch));
    write_counter(path, 6);
    hki_oom_watch_read(&watch, HK_SEC(40)); /* Somebody else's: nobody asks for long. */
    hki_oom_watch_read(&watch, HK_SEC(50));
    HKT_TRUE(!hki_oom_watch_explains(&watch));
    HKT_EQ_INT(unlink(path), 0);
    hki_oom_watch_read(&watch, HK_SEC(51));
    HKT_TRUE(!hki_oom_watch_explains(&watch));
    hki_oom_watch_end(&watch);
    hki_oom_watch_start(&watch); /* Whatever this system has. */
    HKT_TRUE(!hki_oom_watch_explains(&watch));
    hki_oom_watch_end(&watch);
}

static CU_TestInfo start_tests[] = {
    HKT_TEST(starting_twice_gives_one_zygote),
    HKT_TEST(a_process_with_two_threads_gets_no_zygote),
    HKT_TEST(closed_standard_streams_do_no_harm),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo worker_tests[] = {
    HKT_TEST(the_parent_hears_how_a_worker_ended),
    HKT_TEST(a_kill_for_an_old_generation_kills_nobody),
    HKT_TEST(a_worker_has_no_descriptor_and_no_signal_of_the_application),
    HKT_TEST(want_of_memory_takes_workers_before_the_zygote),
    HKT_TEST(a_worker_shares_its_own_pools_memory_alone),
    HKT_TEST(a_spawn_that_fails_says_why_and_the_next_may_succeed),
    HKT_TEST(the_librarys_own_worker_comes_and_goes),
    HKT_TEST(each_step_of_the_counter_explains_one_death),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "zygote.start", .pTests = start_tests},
    {.pName = "zygote.workers", .pTests = worker_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
