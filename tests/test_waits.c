/* SPDX-License-Identifier: MIT */
/*
 * hk_waits_dump: exactly what it says of each kind of wait, where it cannot write, what it
 * does without memory, and that threads may come and go meanwhile. The watch over waits is
 * in test_watch_waits.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hocket/barrier.h>
#include <hocket/event.h>
#include <hocket/latch.h>
#include <hocket/once.h>
#include <hocket/queue.h>
#include <hocket/semaphore.h>

#include "tests/allocation_fixture.h"
#include "tests/ring_fixture.h"

enum { TEXT_ROOM = 16384 };

/* The dump as a text, normalised. */
static const char *dump(void)
{
    static char text[TEXT_ROOM];
    int fd = memfd_create("waits", MFD_CLOEXEC);
    ssize_t length;

    HKT_TRUE_FATAL(fd >= 0);
    HKT_OK(hk_waits_dump(fd));
    length = pread(fd, text, sizeof(text) / 2, 0);
    HKT_TRUE_FATAL(length >= 0);
    text[length] = '\0';
    close(fd);
    hkt_normalise(text);
    return text;
}

#define HEAD "waits of this process:\n"

/* --- Texts --- */

static void no_waits(void)
{
    HKT_EQ_STR(dump(), HEAD "  none\n");
}

static struct hkt_gate standing;

static void open_standing(void)
{
    hkt_gate_open(&standing);
}

static hk_status stand(void)
{
    hkt_gate_wait(&standing);
    return HK_OK;
}

/* Actors wait in order, the text is compared, and something lets them go on. */
static void expect_dump(struct hkt_actor *const *actors, unsigned count, void (*move)(void),
                        const char *expected)
{
    hkt_actors_begin(actors, count);
    for (unsigned i = 0; i < count; i++) {
        hkt_actor_sleeps(actors[i]);
    }
    HKT_EQ_STR(dump(), expected);
    move();
    hkt_actors_end(actors, count);
    for (unsigned i = 0; i < count; i++) {
        HKT_OK(actors[i]->status);
    }
}

static void futures_and_locks(void)
{
    struct hkt_actor ledger = {.name = "ledger",
                               .prepare = hkt_take_accounts,
                               .wait = hkt_wait_for_one,
                               .release = hkt_give_accounts};
    struct hkt_actor clerk = {
        .name = "clerk", .wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor task = {.pool = hkt_a, .task = sum, .wait = stand};
    struct hkt_actor *actors[] = {&ledger, &clerk};

    hkt_gate_init(&standing, "a task");
    hkt_await_actors(&task, NULL);
    hkt_actors_begin((struct hkt_actor *[]){&task}, 1);
    hkt_actor_goes(&task);
    expect_dump(actors, 2, open_standing,
                HEAD "  thread ledger (#) waits, since T s, for future 0x.. (sum, " HKT_SUBMITTED
                     ") run by worker a_0\n"
                     "    holds lock 0x.. (accounts) since " HKT_TAKEN "\n"
                     "  thread clerk (#) waits, since T s, for lock 0x.. (accounts) held by thread "
                     "ledger (#) since " HKT_TAKEN
                     ", which waits for future 0x.. (sum, " HKT_SUBMITTED ") run by worker a_0\n");
    hkt_actors_end((struct hkt_actor *[]){&task}, 1);
    hkt_gate_fini(&standing);
}

static void give_both(void)
{
    hkt_give_accounts();
    hkt_give_table();
}

/* A holder that runs says nothing of itself; one that waits is named. */
static void read_write_locks(void)
{
    struct hkt_actor reader = {.name = "reader",
                               .prepare = hkt_read_table,
                               .wait = hkt_want_accounts,
                               .release = give_both};
    struct hkt_actor writer = {
        .name = "writer", .wait = hkt_want_to_write, .release = hkt_give_table};
    struct hkt_actor *actors[] = {&reader, &writer};

    hkt_take_accounts();
    expect_dump(actors, 2, hkt_give_accounts,
                HEAD "  thread reader (#) waits, since T s, for lock 0x.. (accounts) held by "
                     "thread test_waits (#) since " HKT_TAKEN "\n"
                     "    holds as a reader, lock 0x.. (table) since " HKT_READ "\n"
                     "  thread writer (#) waits, since T s, for read-write lock 0x.. (table) held "
                     "by thread reader (#) as a reader since " HKT_READ ", which waits for lock "
                     "0x.. (accounts) held by thread test_waits (#) since " HKT_TAKEN "\n");
}

static void joins(void)
{
    struct hkt_actor task = {
        .pool = hkt_a, .task = sum, .wait = hkt_want_accounts, .release = hkt_give_accounts};
    struct hkt_actor joiner = {.name = "joiner", .wait = hkt_join_a};
    struct hkt_actor *actors[] = {&task, &joiner};

    hkt_take_accounts();
    expect_dump(actors, 2, hkt_give_accounts,
                HEAD "  worker a_0 waits, since T s, for lock 0x.. (accounts) held by thread "
                     "test_waits (#) since " HKT_TAKEN "\n"
                     "  thread joiner (#) waits, since T s, for the end of executor a held up by "
                     "worker a_0, which waits for lock 0x.. (accounts) held by thread test_waits "
                     "(#) since " HKT_TAKEN "\n");
    hkt_renew(&hkt_a, "a");
}

static struct hkt_pair pair;

static hk_status wait_for_all(void)
{
    hk_future *futures[] = {pair.future, pair.future};

    return hk_wait(futures, 2, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL);
}

static hk_status wait_for_next(void)
{
    hk_completion *completion = NULL;
    hk_status status;

    HKT_OK_FATAL(hk_completion_create(&completion));
    HKT_OK(hk_completion_add(completion, pair.future, 1));
    status = hk_completion_next(completion, HK_FOREVER, NULL, NULL);
    hk_completion_destroy(completion);
    return status;
}

static void set_promise(void)
{
    HKT_OK(hk_promise_set(pair.promise, NULL, 0));
}

static void several_futures(void)
{
    struct hkt_actor set = {.name = "set", .wait = wait_for_all};
    struct hkt_actor next = {.name = "next", .wait = wait_for_next};
    struct hkt_actor *actors[] = {&set, &next};

    HKT_OK_FATAL(HKT_AT("promise", hk_promise_create(&pair.promise, &pair.future)));
    expect_dump(actors, 2, set_promise,
                HEAD "  thread set (#) waits, since T s, for all of 2 futures including future "
                     "0x.. (made at test_waits.c:{promise}) (and 1 more)\n"
                     "  thread next (#) waits, since T s, for the next of completion queue 0x.. "
                     "awaiting future 0x.. (made at test_waits.c:{promise})\n");
    hkt_pair_close(&pair);
}

/* --- What has no owner --- */

static hk_cond changed = HK_COND_INIT("changed");
static hk_event event = HK_EVENT_INIT("ready");
static hk_semaphore semaphore = HK_SEMAPHORE_INIT("places", 0, 1);
static hk_latch latch = HK_LATCH_INIT("parts", 1);
static hk_barrier barrier = HK_BARRIER_INIT("step", 2);
static hk_queue *queue;

static hk_status wait_for_condition(void)
{
    hk_status status;

    hkt_take_accounts();
    status = hk_cond_wait(&changed, &hkt_accounts, HK_FOREVER);
    hkt_give_accounts();
    return status;
}

static hk_status wait_for_event(void)
{
    return hk_event_wait(&event, HK_FOREVER);
}

static hk_status wait_for_place(void)
{
    return hk_semaphore_acquire(&semaphore, 1, HK_FOREVER);
}

static hk_status wait_for_latch(void)
{
    return hk_latch_wait(&latch, HK_FOREVER);
}

static hk_status wait_for_step(void)
{
    return hk_barrier_wait(&barrier, HK_FOREVER, NULL);
}

static hk_status wait_for_item(void)
{
    void *item;

    return hk_queue_get(queue, HK_FOREVER, &item);
}

static void serve_all(void)
{
    HKT_OK(hk_cond_signal(&changed));
    HKT_OK(hk_event_set(&event));
    HKT_OK(hk_semaphore_release(&semaphore, 1));
    HKT_OK(hk_latch_count_down(&latch, 1));
    HKT_OK(hk_barrier_wait(&barrier, HK_FOREVER, NULL));
    HKT_OK(hk_queue_put(queue, NULL, HK_FOREVER));
}

static void what_has_no_owner(void)
{
    struct hkt_actor cond = {.name = "cond", .wait = wait_for_condition};
    struct hkt_actor on_event = {.name = "event", .wait = wait_for_event};
    struct hkt_actor place = {.name = "place", .wait = wait_for_place};
    struct hkt_actor on_latch = {.name = "latch", .wait = wait_for_latch};
    struct hkt_actor step = {.name = "step", .wait = wait_for_step};
    struct hkt_actor item = {.name = "item", .wait = wait_for_item};
    struct hkt_actor *actors[] = {&cond, &on_event, &place, &on_latch, &step, &item};
    hk_queue_options options = {.name = "jobs"};

    HKT_OK_FATAL(hk_queue_create(&options, &queue));
    expect_dump(actors, 6, serve_all,
                HEAD "  thread cond (#) waits, since T s, for condition 0x.. (changed)\n"
                     "  thread event (#) waits, since T s, for event 0x.. (ready)\n"
                     "  thread place (#) waits, since T s, for semaphore 0x.. (places)\n"
                     "  thread latch (#) waits, since T s, for latch 0x.. (parts)\n"
                     "  thread step (#) waits, since T s, for barrier 0x.. (step)\n"
                     "  thread item (#) waits, since T s, for an item of queue 0x.. (jobs)\n");
    HKT_OK(hk_queue_destroy(queue));
}

/* --- Where it cannot be written --- */

static void bad_descriptors(void)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int closed = dup(full);

    HKT_TRUE_FATAL(full >= 0 && closed >= 0);
    HKT_STATUS(hk_waits_dump(-1), HK_EINVAL);
    close(closed);
    HKT_STATUS(hk_waits_dump(closed), HK_ESYS);
    HKT_EQ_INT(errno, EBADF);
    HKT_STATUS(hk_waits_dump(full), HK_ESYS);
    HKT_EQ_INT(errno, ENOSPC);
    close(full);
}

static void a_full_pipe(void)
{
    static const char zeros[4096];
    int ends[2];

    HKT_EQ_INT_FATAL(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(ends[1], zeros, sizeof(zeros)) > 0) {
    }
    HKT_STATUS(hk_waits_dump(ends[1]), HK_ESYS);
    HKT_EQ_INT(errno, EAGAIN);
    close(ends[0]);
    close(ends[1]);
}

/* --- Without memory --- */

static int dump_fd;
static struct hkt_actor waiter;

static void prepare_dump(void)
{
    dump_fd = memfd_create("waits", MFD_CLOEXEC);
    HKT_TRUE_FATAL(dump_fd >= 0);
}

static hk_status call_dump(void)
{
    return hk_waits_dump(dump_fd);
}

static void nothing_is_written(void)
{
    HKT_EQ_INT(lseek(dump_fd, 0, SEEK_END), 0);
}

static void clean_dump(void)
{
    close(dump_fd);
}

static void without_memory(void)
{
    static const struct hkt_allocation_case one = {.name = "hk_waits_dump",
                                                   .prepare = prepare_dump,
                                                   .call = call_dump,
                                                   .unchanged = nothing_is_written,
                                                   .clean = clean_dump};
    struct hkt_actor *actors[] = {&waiter};

    waiter = (struct hkt_actor){.name = "waiter", .wait = hkt_want_accounts};
    waiter.release = hkt_give_accounts;
    hkt_take_accounts();
    hkt_actors_begin(actors, 1);
    hkt_actor_sleeps(&waiter);
    hkt_fail_each_allocation(&one);
    hkt_give_accounts();
    hkt_actors_end(actors, 1);
}

/* --- While threads come and go --- */

enum { THREADS = 4, TURNS = 200, LIVES = 10 };

static atomic_uint alive;

/* One life: short waits for locks and futures, and an end. */
static void live_and_end(void *arg)
{
    (void)arg;
    for (int i = 0; i < TURNS; i++) {
        hk_future *future = NULL;

        HKT_OK(hk_rwlock_read(&hkt_table));
        HKT_OK(hk_submit(hkt_a, hkt_nothing, NULL, 0, NULL, &future));
        hkt_expect_end(future, HK_OK);
        HKT_OK(hk_rwlock_release(&hkt_table));
        HKT_OK(hk_rwlock_write(&hkt_table));
        HKT_OK(hk_rwlock_release(&hkt_table));
        HKT_OK(hk_lock_acquire(&hkt_accounts));
        HKT_OK(hk_lock_release(&hkt_accounts));
    }
    atomic_fetch_sub(&alive, 1);
}

static void while_threads_come_and_go(void)
{
    struct hkt_thread threads[THREADS];
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    HKT_TRUE_FATAL(fd >= 0);
    for (unsigned life = 0; life < LIVES / hkt_slowness() + 1; life++) {
        atomic_store(&alive, THREADS);
        for (int i = 0; i < THREADS; i++) {
            hkt_thread_start(&threads[i], live_and_end, NULL);
        }
        while (atomic_load(&alive) != 0) {
            HKT_OK(hk_waits_dump(fd));
        }
        for (int i = 0; i < THREADS; i++) {
            hkt_thread_join(&threads[i]);
        }
    }
    HKT_EQ_INT(hkt_refusals_count(), 0);
    close(fd);
}

static CU_TestInfo tests[] = {
    HKT_CASE("no waits", no_waits),
    HKT_CASE("futures and locks", futures_and_locks),
    HKT_CASE("read-write locks", read_write_locks),
    HKT_CASE("joins", joins),
    HKT_CASE("several futures", several_futures),
    HKT_CASE("what has no owner", what_has_no_owner),
    HKT_CASE("bad descriptors", bad_descriptors),
    HKT_CASE("a full pipe", a_full_pipe),
    HKT_CASE("without memory", without_memory),
    HKT_CASE("while threads come and go", while_threads_come_and_go),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "waits",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
