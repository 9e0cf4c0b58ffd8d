/* SPDX-License-Identifier: MIT */
/*
 * The child that the zygote has in store: who asks for a worker gets it, and who kills it, or
 * changes the pools that it knows, does no harm. As with the other tests of the zygote, each
 * runs in a process of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "executors/process_pool/fault_point.h"
#include "tests/zygote_fixture.h"

/* What a test waits for: a child of the zygote that it was not told of. */
struct search {
    int32_t known[4]; /* 0: nobody. */
    int32_t found;    /* The last child that is not one of these; 0: there is none. */
};

static bool is_known(const struct search *search, int32_t pid)
{
    for (size_t i = 0; i < sizeof(search->known) / sizeof(search->known[0]); i++) {
        if (search->known[i] == pid) {
            return true;
        }
    }
    return false;
}

static bool finds(void *arg)
{
    struct search *search = arg;
    int zygote = hki_zygote_pid();
    char path[64];
    FILE *file;
    int pid;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", zygote, zygote);
    file = fopen(path, "re");
    HKT_CHILD_TRUE(file != NULL);
    search->found = 0;
    while (fscanf(file, "%d", &pid) == 1) {
        search->found = is_known(search, pid) ? search->found : pid;
    }
    fclose(file);
    return search->found != 0;
}

static bool finds_none(void *arg)
{
    return !finds(arg);
}

static int32_t await_spare(int32_t first, int32_t second)
{
    struct search search = {.known = {first, second}};

    HKT_CHILD_TRUE(hkt_eventually(finds, &search));
    return search.found;
}

static void uses_the_spare(void *nothing)
{
    struct hkt_client client;
    int32_t pids[3];
    int32_t spare;

    (void)nothing;
    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&client);
    pids[0] = hkt_spawn(&client, 0, 1);
    spare = await_spare(pids[0], 0);
    pids[1] = hkt_spawn(&client, 1, 7);
    HKT_CHILD_TRUE(pids[1] == spare && client.seen[1].generation == 7);
    HKT_CHILD_STATUS(hki_zygote_kill(&client.zygote, 1, 7, SIGKILL), HK_OK);
    hkt_client_await(&client, &client.seen[1].died, 1);
    HKT_CHILD_TRUE(WTERMSIG(client.seen[1].wait_status) == SIGKILL);
    spare = await_spare(pids[0], pids[1]); /* There is another one by and by. */
    pids[2] = hkt_spawn(&client, 1, 8);
    HKT_CHILD_TRUE(pids[2] == spare);
    hkt_client_close(&client);
}

static void the_spare_becomes_the_next_worker(void)
{
    hkt_expect_good_child(uses_the_spare, NULL);
}

/* What the worker does shows that it is the one that was asked for. */
static void tells_of_the_spares_end(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    hkt_zygote_start(hkt_worker_ends);
    hkt_client_open(&client);
    for (int i = 0; i < 4; i++) {
        HKT_CHILD_TRUE(hkt_spawn(&client, (uint32_t)i, 20 + (uint32_t)i) > 0);
        hkt_client_await(&client, &client.seen[i].died, 1);
        HKT_CHILD_TRUE(WEXITSTATUS(client.seen[i].wait_status) == 20 + i);
        (void)await_spare(0, 0);
    }
    hkt_client_close(&client);
}

static void what_was_a_spare_is_told_of_as_any_worker(void)
{
    hkt_expect_good_child(tells_of_the_spares_end, NULL);
}

static void loses_the_spare(void *nothing)
{
    struct hkt_client client;
    struct search search = {{0}, 0};
    int32_t spare;

    (void)nothing;
    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&client);
    search.known[0] = hkt_spawn(&client, 0, 1);
    spare = await_spare(search.known[0], 0);
    HKT_CHILD_TRUE(kill(spare, SIGKILL) == 0);
    HKT_CHILD_TRUE(hkt_eventually(finds_none, &search)); /* It is reaped, and is no loss. */
    search.known[1] = hkt_spawn(&client, 1, 1);
    HKT_CHILD_TRUE(search.known[1] > 0 && search.known[1] != spare);
    HKT_CHILD_TRUE(hkt_client_count(&client, &client.seen[0].died) == 0 &&
                   hkt_client_count(&client, &client.seen[1].died) == 0);
    /* Killed just before it is used: the worker is born, and may be dead. */
    for (uint32_t generation = 1; generation <= 20; generation++) {
        int died = hkt_client_count(&client, &client.seen[2].died);

        spare = await_spare(search.known[0], search.known[1]);
        HKT_CHILD_TRUE(kill(spare, SIGKILL) == 0);
        HKT_CHILD_TRUE(hkt_spawn(&client, 2, generation) > 0);
        (void)hki_zygote_kill(&client.zygote, 2, generation, SIGKILL);
        hkt_client_await(&client, &client.seen[2].died, died + 1);
        HKT_CHILD_TRUE(hkt_client_count(&client, &client.seen[2].died) == died + 1);
    }
    hkt_client_close(&client);
}

static void a_spare_that_is_killed_is_no_loss(void)
{
    hkt_expect_good_child(loses_the_spare, NULL);
}

static void changes_the_pools(void *nothing)
{
    struct hkt_client first;
    struct hkt_client second;
    struct search search = {{0}, 0};
    int32_t spare;

    (void)nothing;
    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&first);
    search.known[0] = hkt_spawn(&first, 0, 1);
    (void)await_spare(search.known[0], 0);
    hkt_client_open(&second); /* Which it does not know. */
    HKT_CHILD_TRUE(hkt_eventually(finds_none, &search));
    search.known[1] = hkt_spawn(&second, 0, 1);
    spare = await_spare(search.known[0], search.known[1]);
    search.known[2] = hkt_spawn(&first, 1, 1); /* This one knows both. */
    HKT_CHILD_TRUE(search.known[2] == spare);
    (void)hkt_eventually(finds, &search);
    hkt_client_close(&second); /* Whose memory it holds. */
    HKT_CHILD_TRUE(hkt_eventually(finds_none, &search));
    HKT_CHILD_TRUE(hkt_spawn(&first, 2, 1) > 0);
    hkt_client_close(&first);
}

static void a_spare_does_not_outlive_the_pools_that_it_knows(void)
{
    hkt_expect_good_child(changes_the_pools, NULL);
}

static void has_no_spare(void *nothing)
{
    struct hkt_client client;

    (void)nothing;
    HKT_CHILD_TRUE(
        hki_fault_set("spare_fails", HKI_FAULT_ZYGOTE, HKI_FAULT_EVERY, HKI_FAULT_FAILS));
    hkt_zygote_start(hkt_worker_stays);
    hkt_client_open(&client);
    for (uint32_t i = 0; i < 4; i++) {
        HKT_CHILD_TRUE(hkt_spawn(&client, i, 1) > 0);
    }
    hkt_client_close(&client);
}

static void workers_start_without_a_spare(void)
{
    hkt_expect_good_child(has_no_spare, NULL);
}

static CU_TestInfo tests[] = {
    HKT_TEST(the_spare_becomes_the_next_worker),
    HKT_TEST(what_was_a_spare_is_told_of_as_any_worker),
    HKT_TEST(a_spare_that_is_killed_is_no_loss),
    HKT_TEST(a_spare_does_not_outlive_the_pools_that_it_knows),
    HKT_TEST(workers_start_without_a_spare),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "zygote.spare", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
