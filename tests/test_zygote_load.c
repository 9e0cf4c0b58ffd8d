/* SPDX-License-Identifier: MIT */
/*
 * The zygote under load: many clients, many workers, many signals; and that nothing stays
 * behind. Processes are as in test_zygote.c.
 */
#include <dirent.h>
#include <errno.h>
#include <hocket/process_pool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/os.h"
#include "executors/process_pool/fault_point.h"
#include "tests/zygote_fixture.h"

/* --- Nothing stays behind ------------------------------------------------------ */

static size_t count_mappings(int32_t pid)
{
    char path[64];
    char line[512];
    size_t count = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    file = fopen(path, "re");
    HKT_CHILD_TRUE(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, "memfd") != NULL;
    }
    fclose(file);
    return count;
}

static size_t count_descriptors(int32_t pid)
{
    char path[64];
    size_t count = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    dir = opendir(path);
    HKT_CHILD_TRUE(dir != NULL);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

struct census {
    int32_t pid;
    size_t descriptors;
};

/* The zygote unmaps later than it is asked to, and what it had in store is gone by then. */
static bool has_unmapped(void *pid)
{
    return count_mappings(*(int32_t *)pid) == 0;
}

static bool is_as_before(void *arg)
{
    const struct census *before = arg;

    return count_mappings(before->pid) == 0 &&
           count_descriptors(before->pid) == before->descriptors;
}

static void comes_and_goes(void *nothing)
{
    int cycles = 500 / (int)hkt_slowness();
    int32_t pids[2];
    size_t descriptors[2];
    struct hkt_client client;

    (void)nothing;
    hkt_zygote_start(hkt_worker_ends);
    pids[0] = getpid();
    pids[1] = hki_zygote_pid();
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_spawn(&client, 0, 1) > 0); /* So it has begun its life. */
    hkt_client_await(&client, &client.died, 1);
    hkt_client_close(&client);
    HKT_CHILD_TRUE(hkt_eventually(has_unmapped, &pids[1]));
    for (int i = 0; i < 2; i++) {
        descriptors[i] = count_descriptors(pids[i]);
    }
    for (int i = 0; i < cycles; i++) {
        hkt_client_open(&client);
        if (i % 8 == 0) {
            HKT_CHILD_TRUE(hkt_spawn(&client, 1, 5) > 0);
            hkt_client_await(&client, &client.died, 1);
        }
        hkt_client_close(&client);
    }
    for (int i = 0; i < 2; i++) {
        HKT_CHILD_TRUE(hkt_eventually(is_as_before, &(struct census){pids[i], descriptors[i]}));
    }
    HKT_CHILD_TRUE(hki_zygote_pid() == pids[1]);
}

static void registering_many_times_leaves_nothing(void)
{
    hkt_expect_good_child(comes_and_goes, NULL);
}

static void is_refused(void *nothing)
{
    struct hkt_client client;
    size_t descriptors;

    (void)nothing;
    HKT_CHILD_TRUE(hki_fault_set("zygote_fails", HKI_FAULT_PARENT, 1, HKI_FAULT_FAILS));
    descriptors = count_descriptors(getpid());
    HKT_CHILD_STATUS(hk_zygote_start(), HK_ESYS);
    HKT_CHILD_TRUE(errno == EAGAIN && count_descriptors(getpid()) == descriptors);
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_init(&client, 2);
    descriptors = count_descriptors(getpid());
    HKT_CHILD_TRUE(hki_fault_set("zygote_map_fails", HKI_FAULT_ZYGOTE, 1, HKI_FAULT_FAILS));
    HKT_CHILD_STATUS(hki_zygote_register(&client.zygote), HK_ENOMEM);
    HKT_CHILD_TRUE(count_descriptors(getpid()) == descriptors);
    HKT_CHILD_STATUS(hki_zygote_register(&client.zygote), HK_OK);
    hkt_client_close(&client);
}

static void what_is_refused_changes_nothing(void)
{
    hkt_expect_good_child(is_refused, NULL);
}

/* --- Many at once -------------------------------------------------------------- */

enum { WIDE = 300, THREADS = 4, KILLED_AFTER = 40 };

/* More than the socket has room for is said while nobody listens. */
static void is_deaf_for_a_while(void *nothing)
{
    struct hkt_client client;
    struct hkt_gate gate;

    (void)nothing;
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open_wide(&client, WIDE);
    hkt_gate_init(&gate, "listen again");
    client.gate = &gate;
    for (uint32_t i = 0; i < WIDE; i++) {
        hkt_spawn_asked(&client, i, i % 100);
    }
    for (uint32_t i = 0; i < WIDE; i++) {
        hkt_await_gone(&client, i);
    }
    hkt_gate_open(&gate);
    hkt_client_await(&client, &client.died, WIDE);
    for (uint32_t i = 0; i < WIDE; i++) {
        HKT_CHILD_TRUE(client.seen[i].spawned == 1 && client.seen[i].died == 1);
        HKT_CHILD_TRUE(WEXITSTATUS(client.seen[i].wait_status) == (int)(i % 100));
    }
    hkt_client_close(&client);
    hkt_gate_fini(&gate);
}

static void no_death_is_lost_on_a_busy_parent(void)
{
    hkt_expect_good_child(is_deaf_for_a_while, NULL);
}

static void *registers_often(void *unused)
{
    unsigned rounds = 60 / hkt_slowness() + 1;

    for (unsigned i = 0; i < rounds; i++) {
        struct hkt_client client;

        hkt_client_open(&client);
        HKT_CHILD_TRUE(hkt_spawn(&client, i % 4, i % 100) > 0);
        if (i % 3 != 0) {
            hkt_client_await(&client, &client.died, 1);
            HKT_CHILD_TRUE(WEXITSTATUS(client.seen[i % 4].wait_status) == (int)(i % 100));
        }
        hki_zygote_ring();
        hkt_client_close(&client); /* Now and then as the worker's death is told. */
    }
    return unused;
}

static void registers_on_threads(void *nothing)
{
    pthread_t threads[THREADS];

    (void)nothing;
    hkt_zygote_start(hkt_worker_ends);
    for (int i = 0; i < THREADS; i++) {
        HKT_CHILD_TRUE(pthread_create(&threads[i], NULL, registers_often, NULL) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void threads_may_register_at_once(void)
{
    hkt_expect_good_child(registers_on_threads, NULL);
}

static void loses_busy_zygote(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open_wide(&client, KILLED_AFTER);
    for (uint32_t i = 0; i < KILLED_AFTER; i++) {
        hkt_spawn_asked(&client, i, 1);
    }
    HKT_CHILD_TRUE(kill(hki_zygote_pid(), SIGKILL) == 0);
    hkt_client_await(&client, &client.lost, 1);
    for (uint32_t i = 0; i < KILLED_AFTER; i++) {
        hkt_await_gone(&client, i);
    }
    hkt_client_close(&client);
}

static void a_zygote_killed_while_it_forks_leaves_nobody(void)
{
    for (unsigned round = 0; round < 20 / hkt_slowness() + 1; round++) {
        hkt_expect_good_child(loses_busy_zygote, NULL);
    }
}

/* --- Signals and time ---------------------------------------------------------- */

static volatile sig_atomic_t ticks;

static void on_tick(int number)
{
    (void)number;
    ticks++;
}

static void is_interrupted(void *nothing)
{
    struct sigaction action = {.sa_handler = on_tick}; /* Without SA_RESTART. */
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct itimerspec often = {{0, 200000}, {0, 200000}};
    timer_t timer;

    (void)nothing;
    HKT_CHILD_TRUE(sigaction(SIGUSR2, &action, NULL) == 0);
    HKT_CHILD_TRUE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    HKT_CHILD_TRUE(timer_settime(timer, 0, &often, NULL) == 0);
    hkt_zygote_start(hkt_worker_ends);
    do {
        registers_often(NULL);
    } while (ticks < 100);
    timer_delete(timer);
}

static void interruptions_do_no_harm(void)
{
    hkt_expect_good_child(is_interrupted, NULL);
}

static void is_attended(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open(&client);
    HKT_CHILD_TRUE(hkt_client_count(&client, &client.attended) == 0);
    hki_zygote_ring();
    hkt_client_await(&client, &client.attended, 1);
    hkt_client_set_next(&client, hk_now_ns() + 5 * 1000000);
    hki_zygote_ring();
    hkt_client_await(&client, &client.attended, 3); /* Once for the ring, once for the time. */
    hki_os_event_signal(hki_zygote_ring_fd());      /* As a worker does. */
    hkt_client_await(&client, &client.attended, 4);
    hkt_client_close(&client);
}

static void a_ring_and_the_time_make_a_client_attend(void)
{
    hkt_expect_good_child(is_attended, NULL);
}

static CU_TestInfo load_tests[] = {
    HKT_TEST(registering_many_times_leaves_nothing),
    HKT_TEST(what_is_refused_changes_nothing),
    HKT_TEST(no_death_is_lost_on_a_busy_parent),
    HKT_TEST(threads_may_register_at_once),
    HKT_TEST(a_zygote_killed_while_it_forks_leaves_nobody),
    HKT_TEST(interruptions_do_no_harm),
    HKT_TEST(a_ring_and_the_time_make_a_client_attend),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "zygote.load", .pTests = load_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
