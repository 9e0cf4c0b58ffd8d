/* SPDX-License-Identifier: MIT */
/*
 * The watch over waits, the warning about waits with a lock held, and what becomes of
 * threads that others may look at: their ends, their slots, forks.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hocket/latch.h>
#include <hocket/queue.h>

#include "sync/agent.h"
#include "tests/child_fixture.h"
#include "tests/ring_fixture.h"

enum { TEXT_ROOM = 16384 };

static char text[TEXT_ROOM];

static const char *read_all(int fd)
{
    ssize_t length = pread(fd, text, sizeof(text) / 2, 0);

    HKT_TRUE_FATAL(length >= 0);
    text[length] = '\0';
    return text;
}

/* --- The watch --- */

#define LIMIT HK_MS(2)

static int watched;

static unsigned count_reports(void)
{
    const char *at = read_all(watched);
    unsigned count = 0;

    while ((at = strstr(at, "waits of this process:")) != NULL) {
        count++;
        at++;
    }
    return count;
}

static bool has_reports(void *count)
{
    return count_reports() >= *(unsigned *)count;
}

/* The number, from 1, of the first report in which a thread has waited for as long as the
 * limit; 0: none yet. */
static unsigned report_about(const char *name)
{
    const char *at = read_all(watched);
    unsigned number = 0;

    while ((at = strstr(at, "waits of this process:")) != NULL) {
        const char *line = strstr(++at, name);
        const char *end = strstr(at, "waits of this process:");
        long long seconds = 0;
        long long milliseconds = 0;

        number++;
        if (line != NULL && (end == NULL || line < end) &&
            sscanf(line + strlen(name), " (%*d) waits, since %lld.%lld", &seconds, &milliseconds) ==
                2 &&
            HK_SEC(seconds) + HK_MS(milliseconds) >= LIMIT) {
            return number;
        }
    }
    return 0;
}

static bool is_told(void *name)
{
    return report_about(name) != 0;
}

/* It is told of in just that report. If others were told again and again, there would be
 * more of them by the time in which it has waited for as long as the limit. */
static void expect_told(char *name, unsigned number)
{
    HKT_TRUE(hkt_eventually(is_told, name));
    HKT_EQ_INT(report_about(name), number);
}

static void expect_reports(unsigned count)
{
    HKT_TRUE(hkt_eventually(has_reports, &count));
    HKT_EQ_INT(count_reports(), count);
}

static void open_watched(void)
{
    watched = memfd_create("waits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    HKT_TRUE_FATAL(watched >= 0);
}

static hk_event opened[3];

static hk_status wait_for_first(void)
{
    return hk_event_wait(&opened[0], HK_FOREVER);
}

static hk_status wait_for_second(void)
{
    return hk_event_wait(&opened[1], HK_FOREVER);
}

static hk_status wait_for_third(void)
{
    return hk_event_wait(&opened[2], HK_FOREVER);
}

static struct hkt_actor first;
static struct hkt_actor second;
static struct hkt_actor third;
static struct hkt_actor *const watched_actors[] = {&first, &second, &third};

static void begin_watch_test(void)
{
    first = (struct hkt_actor){.name = "first", .wait = wait_for_first};
    second = (struct hkt_actor){.name = "second", .wait = wait_for_second};
    third = (struct hkt_actor){.name = "third", .wait = wait_for_third};
    open_watched();
    for (int i = 0; i < 3; i++) {
        opened[i] = (hk_event)HK_EVENT_INIT("opened");
    }
    hkt_actors_begin(watched_actors, 3);
}

static void end_watch_test(void)
{
    HKT_OK(hk_waits_watch(0, -1));
    for (int i = 0; i < 3; i++) {
        hkt_actor_goes(watched_actors[i]);
        HKT_OK(hk_event_set(&opened[i]));
    }
    hkt_actors_end(watched_actors, 3);
    close(watched);
}

static void each_wait_is_told_once(void)
{
    static char names[3][16] = {"thread first", "thread second", "thread third"};

    begin_watch_test();
    HKT_OK(hk_waits_watch(LIMIT, watched));
    for (unsigned i = 0; i < 3; i++) {
        hkt_actor_sleeps(watched_actors[i]);
        expect_told(names[i], i + 1);
    }
    end_watch_test();
}

static void a_watch_stops_and_starts_again(void)
{
    begin_watch_test();
    HKT_OK(hk_waits_watch(LIMIT, watched));
    hkt_actor_sleeps(&first);
    expect_reports(1);
    HKT_OK(hk_waits_watch(0, -1));
    HKT_OK(hk_waits_watch(0, -1));
    hkt_actor_sleeps(&second);
    HKT_EQ_INT(count_reports(), 1); /* Its thread has ended. */
    HKT_OK(hk_waits_watch(LIMIT, watched));
    expect_reports(2);
    end_watch_test();
}

/* A long limit becomes a short one, and the text goes elsewhere. */
static void a_watch_can_be_changed(void)
{
    int other = memfd_create("other", MFD_CLOEXEC);

    begin_watch_test();
    HKT_OK(hk_waits_watch(HK_SEC(3600), other));
    hkt_actor_sleeps(&first);
    HKT_OK(hk_waits_watch(LIMIT, watched));
    expect_reports(1);
    HKT_EQ_INT(lseek(other, 0, SEEK_END), 0);
    end_watch_test();
    close(other);
}

static void bad_arguments(void)
{
    HKT_STATUS(hk_waits_watch(-2, 1), HK_EINVAL);
    HKT_STATUS(hk_waits_watch(HK_FOREVER, 1), HK_EINVAL);
    HKT_STATUS(hk_waits_watch(HK_MS(1) - 1, 1), HK_EINVAL);
    HKT_STATUS(hk_waits_watch(HK_MS(1), -1), HK_EINVAL);
    HKT_OK(hk_waits_watch(0, -1));
}

/* A descriptor that is closed under the watch is nobody's harm. */
static void a_watch_whose_descriptor_is_closed(void)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    char second_name[] = "second";

    begin_watch_test();
    HKT_TRUE_FATAL(fd >= 0);
    HKT_OK(hk_waits_watch(LIMIT, fd));
    hkt_actor_sleeps(&first);
    HKT_OK(hk_waits_watch(LIMIT, watched));
    hkt_actor_sleeps(&second);
    HKT_TRUE(hkt_eventually(is_told, second_name));
    close(fd);
    end_watch_test();
}

static void many_change_it_at_once(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        HKT_OK(hk_waits_watch(i % 2 == 0 ? HK_MS(1) : 0, watched));
    }
}

static void several_threads_change_it(void)
{
    struct hkt_thread threads[3];

    open_watched();
    for (int i = 0; i < 3; i++) {
        hkt_thread_start(&threads[i], many_change_it_at_once, NULL);
    }
    for (int i = 0; i < 3; i++) {
        hkt_thread_join(&threads[i]);
    }
    HKT_OK(hk_waits_watch(0, -1));
    close(watched);
}

/* --- Forks --- */

static hk_status dump_into_text(void)
{
    int fd = memfd_create("waits", MFD_CLOEXEC);
    hk_status status = hk_waits_dump(fd);

    (void)read_all(fd);
    close(fd);
    return status;
}

static void look_in_child(void *arg)
{
    bool *starts = arg;

    HKT_CHILD_STATUS(dump_into_text(), HK_OK);
    HKT_CHILD_TRUE(strcmp(text, "waits of this process:\n  none\n") == 0);
    HKT_CHILD_STATUS(hk_waits_watch(0, -1), HK_OK);
    if (*starts) {
        HKT_CHILD_STATUS(hk_waits_watch(HK_MS(1), watched), HK_OK);
        HKT_CHILD_STATUS(hk_waits_watch(0, -1), HK_OK);
    }
}

/* The child has none of the parent's waits, and no watch. */
static void a_child_begins_anew(void)
{
    bool starts = HKT_CHILDREN_START_THREADS;

    begin_watch_test();
    HKT_OK(hk_waits_watch(LIMIT, watched));
    hkt_actor_sleeps(&first);
    expect_reports(1);
    hkt_expect_good_child(look_in_child, &starts);
    hkt_actor_sleeps(&second);
    expect_reports(2);
    end_watch_test();
}

/* --- The warning --- */

static void expect_warning(struct hkt_log *log, const char *expected)
{
    hkt_log_end(log);
    snprintf(text, sizeof(text), "%s", log->text);
    hkt_normalise(text);
    HKT_EQ_STR(text, expected);
    hkt_refusals_begin();
}

static hk_cond changed = HK_COND_INIT("changed");

/* All that is no reason to warn, and two waits that are. */
static void wait_with_a_lock(void)
{
    static hk_lock other = HK_LOCK_INIT("other");
    struct hkt_pair pair;

    HKT_OK_FATAL(HKT_AT("promise", hk_promise_create(&pair.promise, &pair.future)));
    HKT_OK(hk_lock_acquire(&other));
    HKT_STATUS(hk_cond_wait(&changed, &other, HK_MS(1)), HK_ETIMEDOUT); /* Its own. */
    HKT_OK(hk_lock_release(&other));
    hkt_take_accounts();
    HKT_OK(hk_lock_acquire(&other));
    HKT_STATUS(hk_cond_wait(&changed, &other, HK_MS(1)), HK_ETIMEDOUT);
    HKT_OK(hk_lock_release(&other));
    HKT_STATUS(hk_future_wait(pair.future, 0), HK_ETIMEDOUT);
    HKT_STATUS(hk_future_wait(pair.future, HK_MS(1)), HK_ETIMEDOUT);
    hkt_give_accounts();
    HKT_STATUS(hk_future_wait(pair.future, HK_MS(1)), HK_ETIMEDOUT);
    hkt_pair_close(&pair);
}

static void a_wait_with_a_lock_is_warned_of(void)
{
    struct hkt_log log;

    hkt_log_begin(&log);
    wait_with_a_lock();
    expect_warning(&log, "");
    hkt_log_begin(&log);
    hk_waits_warn_blocking(true);
    wait_with_a_lock();
    hk_waits_warn_blocking(false);
    expect_warning(&log, "thread test_watch_wait (#) blocks on condition 0x.. (changed) while it "
                         "holds lock 0x.. (accounts) since ring_fixture.c:{take_accounts}\n"
                         "thread test_watch_wait (#) blocks on future 0x.. (made at "
                         "test_watch_waits.c:{promise}) while it holds lock 0x.. (accounts) since "
                         "ring_fixture.c:{take_accounts}\n");
    hkt_log_begin(&log);
    wait_with_a_lock();
    expect_warning(&log, "");
}

/* --- Ends of threads --- */

static hk_queue *queue;
static hk_latch latch = HK_LATCH_INIT("parts", 1);

/* One object at a time: each has to see to it by itself that the end is noticed. */
static void bind_and_end(void *arg)
{
    if (arg == NULL) {
        HKT_OK(hk_queue_bind(queue, HK_QUEUE_PUTTER | HK_QUEUE_GETTER));
    } else {
        HKT_OK(hk_latch_bind(arg));
    }
}

/* A party that has ended is none: nobody looks at it, and with it gone anybody might act. */
static void a_party_may_end(void)
{
    struct hkt_thread thread;
    void *item = NULL;

    HKT_OK_FATAL(hk_queue_create(&(hk_queue_options){.name = "jobs"}, &queue));
    hkt_take_accounts(); /* So that this thread's waits are looked at. */
    for (int i = 0; i < 10; i++) {
        hkt_thread_start(&thread, bind_and_end, i % 2 == 0 ? NULL : &latch);
        hkt_thread_join(&thread);
        HKT_STATUS(hk_queue_get(queue, HK_MS(1), &item), HK_ETIMEDOUT);
        HKT_STATUS(hk_latch_wait(&latch, HK_MS(1)), HK_ETIMEDOUT);
    }
    hkt_give_accounts();
    HKT_OK(hk_queue_destroy(queue));
    HKT_EQ_INT(hkt_refusals_count(), 0);
}

static struct hkt_gate bound;
static atomic_bool over;

static void bind_and_go_on(void *arg)
{
    (void)arg;
    HKT_OK(hk_queue_bind(queue, HK_QUEUE_PUTTER));
    hkt_gate_open(&bound);
    while (!atomic_load(&over)) {
        hk_future *future = NULL;

        HKT_OK(hk_submit(hkt_a, hkt_nothing, NULL, 0, NULL, &future));
        hkt_expect_end(future, HK_OK);
    }
}

/* Its party does other things meanwhile, and ends later. */
static void a_queue_ends_before_its_party(void)
{
    for (unsigned i = 0; i < 200 / hkt_slowness(); i++) {
        struct hkt_thread thread;

        HKT_OK_FATAL(hk_queue_create(NULL, &queue));
        hkt_gate_init(&bound, "a party");
        atomic_store(&over, false);
        hkt_thread_start(&thread, bind_and_go_on, NULL);
        hkt_gate_wait(&bound);
        HKT_OK(hk_queue_destroy(queue));
        atomic_store(&over, true);
        hkt_thread_join(&thread);
        hkt_gate_fini(&bound);
    }
}

HK_TASK(binds_itself)
{
    HKT_OK(hk_queue_bind(queue, HK_QUEUE_PUTTER));
    return HK_OK;
}

/* What a task declares holds until it ends: its worker is free of it. */
static void a_task_that_was_a_party(void)
{
    struct hkt_actor getter = {.pool = hkt_a, .task = sum, .wait = hkt_want_accounts};
    hk_future *future = NULL;
    void *item = NULL;

    HKT_OK_FATAL(hk_queue_create(&(hk_queue_options){.name = "jobs"}, &queue));
    HKT_OK_FATAL(hk_submit(hkt_a, binds_itself, NULL, 0, NULL, &future));
    hkt_expect_end(future, HK_OK);
    /* The worker waits for this thread, which waits for an item: anybody might put it. */
    getter.release = hkt_give_accounts;
    hkt_take_accounts();
    hkt_actors_begin((struct hkt_actor *[]){&getter}, 1);
    hkt_actor_sleeps(&getter);
    HKT_STATUS(hk_queue_get(queue, HK_MS(1), &item), HK_ETIMEDOUT);
    hkt_give_accounts();
    hkt_actors_end((struct hkt_actor *[]){&getter}, 1);
    HKT_OK(hk_queue_destroy(queue));
    HKT_EQ_INT(hkt_refusals_count(), 0);
}

enum { THREADS_IN_SEQUENCE = 5000, SLOTS_AT_MOST = 64 };

static void take_a_lock(void *arg)
{
    (void)arg;
    HKT_OK(hk_lock_acquire(&hkt_accounts));
    HKT_OK(hk_lock_release(&hkt_accounts));
}

static void slots_are_used_again(void)
{
    for (unsigned i = 0; i < THREADS_IN_SEQUENCE / hkt_slowness(); i++) {
        struct hkt_thread thread;

        hkt_thread_start(&thread, take_a_lock, NULL);
        hkt_thread_join(&thread);
    }
    HKT_TRUE(hki_slot_last() <= SLOTS_AT_MOST);
}

static CU_TestInfo tests[] = {
    HKT_CASE("each wait is told once", each_wait_is_told_once),
    HKT_CASE("a watch stops and starts again", a_watch_stops_and_starts_again),
    HKT_CASE("a watch can be changed", a_watch_can_be_changed),
    HKT_CASE("bad arguments", bad_arguments),
    HKT_CASE("a watch whose descriptor cannot be written", a_watch_whose_descriptor_is_closed),
    HKT_CASE("several threads change it", several_threads_change_it),
    HKT_CASE("a child begins anew", a_child_begins_anew),
    HKT_CASE("a wait with a lock is warned of", a_wait_with_a_lock_is_warned_of),
    HKT_CASE("a party may end", a_party_may_end),
    HKT_CASE("a queue ends before its party", a_queue_ends_before_its_party),
    HKT_CASE("a task that was a party", a_task_that_was_a_party),
    HKT_CASE("slots are used again", slots_are_used_again),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "watch_waits",
     .pSetUpFunc = hkt_ring_set_up,
     .pTearDownFunc = hkt_ring_tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
