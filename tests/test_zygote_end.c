/* SPDX-License-Identifier: MIT */
/*
 * How the zygote, its workers and its parent end, in every order; what is left then, which is
 * nothing; and what happens in between under load. Processes are as in test_zygote.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hocket/process_pool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"
#include "executors/process_pool/fault_point.h"
#include "tests/zygote_fixture.h"

/* --- The parent's signals ------------------------------------------------------ */

static volatile sig_atomic_t children_heard;

static void on_child(int number)
{
    (void)number;
    children_heard++;
}

static void hears_no_child(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    HKT_CHILD_TRUE(signal(SIGCHLD, on_child) != SIG_ERR);
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open(&client);
    for (int i = 0; i < 10; i++) {
        HKT_CHILD_TRUE(hkt_spawn(&client, 0, 100 + SIGKILL) > 0);
        hkt_client_await(&client, &client.died, i + 1);
    }
    HKT_CHILD_TRUE(waitpid(-1, NULL, WNOHANG) == 0 && children_heard == 0);
    hkt_client_close(&client);
}

static void the_application_hears_nothing_of_workers(void)
{
    hkt_expect_good_child(hears_no_child, NULL);
}

/* --- The zygote's end ---------------------------------------------------------- */

static void loses_zygote(void *sigchld)
{
    struct hkt_client clients[2];
    int attended;
    int32_t zygote;

    HKT_CHILD_TRUE(sigchld == NULL || signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    hkt_zygote_start(hkt_worker_stays);
    zygote = hki_zygote_pid();
    hkt_client_open(&clients[0]);
    hkt_client_open(&clients[1]);
    HKT_CHILD_TRUE(hkt_spawn(&clients[0], 0, 1) > 0 && hkt_spawn(&clients[1], 2, 1) > 0);
    HKT_CHILD_TRUE(kill(zygote, SIGKILL) == 0);
    hkt_client_await(&clients[0], &clients[0].lost, 1);
    hkt_client_await(&clients[1], &clients[1].lost, 1);
    hkt_await_gone(&clients[0], 0);
    hkt_await_gone(&clients[1], 2);
    HKT_CHILD_TRUE(kill(zygote, 0) != 0 && errno == ESRCH); /* Not even a zombie. */
    HKT_CHILD_TRUE(hki_zygote_pid() == 0);
    HKT_CHILD_STATUS(hki_zygote_kill(&clients[0].zygote, 0, 1, SIGKILL), HK_EBROKEN);
    HKT_CHILD_STATUS(hk_zygote_start(), HK_ETHREADS); /* The supervisor is the second. */
    /* It still serves those who ring. */
    attended = hkt_client_count(&clients[0], &clients[0].attended);
    hkt_client_set_next(&clients[0], 1);
    hki_zygote_ring();
    hkt_client_await(&clients[0], &clients[0].attended, attended + 2); /* The ring, the time. */
    HKT_CHILD_TRUE(hkt_client_count(&clients[0], &clients[0].lost) == 1 &&
                   hkt_client_count(&clients[1], &clients[1].lost) == 1);
    hkt_client_close(&clients[0]);
    hkt_client_close(&clients[1]);
    /* A new one, in the process that has one thread again. */
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open(&clients[0]);
    HKT_CHILD_TRUE(hkt_spawn(&clients[0], 0, 9) > 0);
    hkt_client_await(&clients[0], &clients[0].died, 1);
    HKT_CHILD_TRUE(WEXITSTATUS(clients[0].seen[0].wait_status) == 9);
    hkt_client_close(&clients[0]);
}

static void a_killed_zygote_is_told_and_replaced(void)
{
    int ignore = 1;

    hkt_expect_good_child(loses_zygote, NULL);
    hkt_expect_good_child(loses_zygote, &ignore);
}

static void loses_idle_zygote(void *nothing)
{
    struct hkt_client client;
    int32_t zygote;

    (void)nothing;
    hkt_zygote_start(hkt_worker_ends);
    zygote = hki_zygote_pid();
    hkt_client_init(&client, 1);
    HKT_CHILD_TRUE(kill(zygote, SIGKILL) == 0);
    HKT_CHILD_TRUE(waitid(P_PID, (id_t)zygote, &(siginfo_t){0}, WEXITED | WNOWAIT) == 0);
    HKT_CHILD_STATUS(hki_zygote_register(&client.zygote), HK_EBROKEN);
    HKT_CHILD_TRUE(kill(zygote, 0) != 0 && errno == ESRCH);
    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
    HKT_CHILD_STATUS(hki_zygote_register(&client.zygote), HK_OK);
    hkt_client_close(&client);
}

static void a_zygote_that_died_idle_is_reaped_and_replaced(void)
{
    hkt_expect_good_child(loses_idle_zygote, NULL);
}

static void dies_at_fault(void *name)
{
    struct hkt_client client;

    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hki_fault_set(name, HKI_FAULT_ZYGOTE, 1, HKI_FAULT_DIES));
    hkt_spawn_asked(&client, 0, 1);
    hkt_client_await(&client, &client.lost, 1);
    hkt_await_gone(&client, 0);
    HKT_CHILD_TRUE(hkt_client_count(&client, &client.died) == 0 &&
                   hkt_client_count(&client, &client.spawned) == 0);
    hkt_client_close(&client);
}

static void a_zygote_that_dies_at_a_fork_leaves_nobody(void)
{
    hkt_expect_good_child(dies_at_fault, "spawning");
    hkt_expect_good_child(dies_at_fault, "forked");
}

static void stops_zygote(void *nothing)
{
    struct hkt_client client;
    struct hkt_client refused;

    (void)nothing;
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open(&client);
    hkt_client_init(&refused, 2);
    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGSTOP) == 0);
    HKT_CHILD_STATUS(hki_zygote_register(&refused.zygote), HK_EBROKEN);
    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGCONT) == 0);
    HKT_CHILD_STATUS(hki_zygote_register(&refused.zygote), HK_OK);
    HKT_CHILD_TRUE(hkt_spawn(&refused, 1, 4) > 0);
    hkt_client_await(&refused, &refused.died, 1);
    hkt_client_close(&refused);
    hkt_client_close(&client);
}

static void a_stopped_zygote_is_not_waited_for_for_ever(void)
{
    hkt_expect_good_child(stops_zygote, NULL);
}

/* --- The parent's end ---------------------------------------------------------- */

static void worker_ignores(const struct hki_worker_start *start)
{
    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, SIG_IGN);
    }
    hkt_worker_stays(start);
}

static void dies_with_workers(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    hkt_zygote_start(worker_ignores);
    hkt_client_open(&client);
    for (uint32_t i = 0; i < client.count; i++) {
        HKT_CHILD_TRUE(hkt_spawn(&client, i, 1) > 0);
    }
    (void)raise(SIGKILL);
}

static void a_killed_application_leaves_no_process(void)
{
    struct hkt_child child;

    hkt_run_in_child(dies_with_workers, NULL, &child);
    HKT_EQ_INT(child.term_signal, SIGKILL);
    HKT_EQ_STR(child.output, "");
}

/* The application's own child outlives it, and sees the worker go. */
static _Noreturn void outlives_parent(struct hkt_client *parents)
{
    HKT_CHILD_TRUE(hki_zygote_pid() == 0 && hki_zygote_ring_fd() == -1);
    hkt_await_gone(parents, 0);
    hki_zygote_unregister(&parents->zygote); /* Not its own: nothing happens. */
    _exit(0);
}

static void forks_and_dies(void *nothing)
{
    struct hkt_client client;
    pid_t child;

    (void)nothing;
    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 1) > 0);
    child = fork();
    HKT_CHILD_TRUE(child >= 0);
    if (child == 0) {
        outlives_parent(&client);
    }
    (void)raise(SIGKILL);
}

static void a_child_of_the_application_does_not_keep_the_zygote(void)
{
    struct hkt_child child;

    hkt_run_in_child(forks_and_dies, NULL, &child);
    HKT_EQ_INT(child.term_signal, SIGKILL);
    HKT_EQ_STR(child.output, "");
}

static void uses_zygote(void)
{
    struct hkt_client client;

    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_spawn(&client, 1, 3) > 0);
    hkt_client_await(&client, &client.died, 1);
    HKT_CHILD_TRUE(WEXITSTATUS(client.seen[1].wait_status) == 3);
    hkt_client_close(&client);
}

static void forks_and_shares_nothing(void *nothing)
{
    int status = -1;
    int32_t zygote;
    pid_t child;

    (void)nothing;
    hkt_zygote_start(hkt_worker_ends);
    zygote = hki_zygote_pid();
    child = fork();
    HKT_CHILD_TRUE(child >= 0);
    if (child == 0) {
        HKT_CHILD_TRUE(hki_zygote_pid() == 0);
        hkt_zygote_start(hkt_worker_ends);
        HKT_CHILD_TRUE(hki_zygote_pid() > 0 && hki_zygote_pid() != zygote);
        uses_zygote();
        _exit(0);
    }
    uses_zygote();
    HKT_CHILD_TRUE(waitpid(child, &status, 0) == child && status == 0);
    HKT_CHILD_TRUE(hki_zygote_pid() == zygote);
    uses_zygote();
}

static void a_child_of_the_application_may_have_a_zygote_of_its_own(void)
{
    hkt_expect_good_child(forks_and_shares_nothing, NULL);
}

/* --- What workers leave -------------------------------------------------------- */

static void worker_leaves_orphans(const struct hki_worker_start *start)
{
    int ready[2];
    char byte;

    if (pipe(ready) != 0) {
        _exit(1);
    }
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();

        if (child == 0) {
            if (i == 0) {
                (void)setsid(); /* Out of the worker's group. */
            }
            (void)!write(ready[1], "", 1);
            hkt_worker_stays(start);
        }
        if (child < 0 || read(ready[0], &byte, 1) != 1) {
            _exit(1);
        }
    }
    _exit(0);
}

static void leaves_orphans(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    hkt_zygote_start(worker_leaves_orphans);
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 1) > 0);
    hkt_client_await(&client, &client.died, 1);
    HKT_CHILD_TRUE(client.seen[0].wait_status == 0);
    hkt_await_gone(&client, 0); /* They had inherited the socket. */
    hkt_client_close(&client);
}

static void children_of_a_dead_worker_die_with_it(void)
{
    hkt_expect_good_child(leaves_orphans, NULL);
}

enum { MANY_WORKERS = 300 };

static void last_worker_leaves_orphans(const struct hki_worker_start *start)
{
    if (start->index == MANY_WORKERS) {
        worker_leaves_orphans(start);
    }
    hkt_worker_stays(start);
}

static void leaves_orphans_behind_many(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    hkt_zygote_start(last_worker_leaves_orphans);
    hkt_client_open_wide(&client, MANY_WORKERS + 1);
    for (uint32_t i = 0; i < MANY_WORKERS; i++) {
        HKT_CHILD_TRUE(hkt_spawn(&client, i, 1) > 0);
    }
    HKT_CHILD_TRUE(hkt_spawn(&client, MANY_WORKERS, 1) > 0);
    hkt_client_await(&client, &client.died, 1);
    HKT_CHILD_TRUE(client.seen[MANY_WORKERS].wait_status == 0);
    hkt_await_gone(&client, MANY_WORKERS);
    hkt_client_close(&client);
}

static void children_of_a_dead_worker_die_with_it_among_hundreds(void)
{
    hkt_expect_good_child(leaves_orphans_behind_many, NULL);
}

static void worker_nests(const struct hki_worker_start *start)
{
    struct hkt_client client;

    if (start->generation == 2) {
        hkt_worker_stays(start);
    }
    HKT_CHILD_TRUE(hki_zygote_pid() == 0);
    hkt_zygote_start(start->generation == 1 ? hkt_worker_ends : hkt_worker_stays);
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 17) > 0);
    if (start->generation == 3) {
        _exit(33); /* With a worker of its own at work. */
    }
    hkt_client_await(&client, &client.died, 1);
    HKT_CHILD_TRUE(WEXITSTATUS(client.seen[0].wait_status) == 17);
    hkt_client_close(&client);
    _exit(44);
}

static void nests(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    hkt_zygote_start(worker_nests);
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 1) > 0);
    HKT_CHILD_TRUE(hkt_spawn(&client, 1, 2) > 0);
    HKT_CHILD_TRUE(hkt_spawn(&client, 2, 3) > 0);
    hkt_client_await(&client, &client.died, 2);
    HKT_CHILD_TRUE(WEXITSTATUS(client.seen[0].wait_status) == 44);
    HKT_CHILD_TRUE(WEXITSTATUS(client.seen[2].wait_status) == 33);
    hkt_client_close(&client);
}

static void a_worker_may_have_a_zygote_of_its_own(void)
{
    hkt_expect_good_child(nests, NULL);
}

/* --- Foreign hands on descriptors ----------------------------------------------- */

enum { REUSED = 40 };

static void loses_descriptors(void *reuse)
{
    struct hkt_client client;
    int fds[REUSED];
    uint64_t count;

    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 1) > 0);
    client.seen[0].socket = -1;
    closefrom(STDERR_FILENO + 1);
    for (int i = 0; reuse != NULL && i < REUSED; i++) {
        fds[i] = i % 2 == 0 ? eventfd(0, EFD_NONBLOCK) : socket(AF_UNIX, SOCK_DGRAM, 0);
        HKT_CHILD_TRUE(fds[i] == i + STDERR_FILENO + 1);
    }
    HKT_CHILD_STATUS(hki_zygote_kill(&client.zygote, 0, 1, SIGTERM), HK_EBROKEN);
    hkt_client_await(&client, &client.lost, 1);
    hki_zygote_ring();
    HKT_CHILD_STATUS(hki_zygote_kill(&client.zygote, 0, 1, SIGTERM), HK_EBROKEN);
    hkt_client_close(&client);
    for (int i = 0; reuse != NULL && i < REUSED; i++) {
        HKT_CHILD_TRUE(fcntl(fds[i], F_GETFD) >= 0);
        if (i % 2 == 0) {
            HKT_CHILD_TRUE(read(fds[i], &count, sizeof(count)) < 0 && errno == EAGAIN);
        }
    }
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open(&client);
    hkt_client_close(&client);
}

static void closed_descriptors_are_a_lost_zygote(void)
{
    hkt_expect_good_child(loses_descriptors, NULL);
}

static void descriptors_with_new_owners_are_let_alone(void)
{
    int reuse = 1;

    hkt_expect_good_child(loses_descriptors, &reuse);
}

/* The supervisor looks after its descriptors for a second, then sleeps for good. Too short a
 * time here would make the test weaker, not fail. */
static void fall_asleep(struct hkt_client *client)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    pthread_mutex_lock(&client->lock);
    while (pthread_cond_timedwait(&client->changed, &client->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&client->lock);
}

/* Nothing is asked after the descriptors went: unregistering itself has to find out. */
static void unregisters_without_descriptors(void *asleep)
{
    struct hkt_client client;

    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 1) > 0);
    client.seen[0].socket = -1;
    if (asleep != NULL) {
        fall_asleep(&client);
    }
    closefrom(STDERR_FILENO + 1);
    hkt_client_close(&client);
}

static void unregistering_after_closefrom_returns(void)
{
    int asleep = 1;

    hkt_expect_good_child(unregisters_without_descriptors, NULL);
    hkt_expect_good_child(unregisters_without_descriptors, &asleep);
}

static CU_TestInfo end_tests[] = {
    HKT_TEST(the_application_hears_nothing_of_workers),
    HKT_TEST(a_killed_zygote_is_told_and_replaced),
    HKT_TEST(a_zygote_that_died_idle_is_reaped_and_replaced),
    HKT_TEST(a_zygote_that_dies_at_a_fork_leaves_nobody),
    HKT_TEST(a_stopped_zygote_is_not_waited_for_for_ever),
    HKT_TEST(a_killed_application_leaves_no_process),
    HKT_TEST(a_child_of_the_application_does_not_keep_the_zygote),
    HKT_TEST(a_child_of_the_application_may_have_a_zygote_of_its_own),
    HKT_TEST(children_of_a_dead_worker_die_with_it),
    HKT_TEST(children_of_a_dead_worker_die_with_it_among_hundreds),
    HKT_TEST(a_worker_may_have_a_zygote_of_its_own),
    HKT_TEST(closed_descriptors_are_a_lost_zygote),
    HKT_TEST(descriptors_with_new_owners_are_let_alone),
    HKT_TEST(unregistering_after_closefrom_returns),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "zygote.end", .pTests = end_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
