/* SPDX-License-Identifier: MIT */
/* Whom a worker tells, and when, that it is done with a request. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/os.h"
#include "tests/worker_fixture.h"

static struct hkt_worker worker;
static uint32_t value; /* Of attention: counts up above its bits. */

static void set_up(void)
{
    hkt_worker_open(&worker);
    value = 0;
}

static void tear_down(void)
{
    hkt_worker_close(&worker);
}

/* --- What is asked for, and what has come --- */

/* A new value, as if somebody went to sleep now. */
static void sleep_until(uint32_t when)
{
    value += HKI_RING_STEP;
    atomic_store(&worker.page->attention, value | when);
}

/* How often the supervisor was rung; asking again gives 0. */
static uint64_t supervisor_rings(void)
{
    uint64_t count = 0;

    return read(worker.ring, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static uint32_t caller_rings(void)
{
    static uint32_t before;
    uint32_t now = atomic_load(&worker.channel->bell);
    uint32_t rings = now - before;

    before = now;
    return rings;
}

/* Serves so many requests that were all given at once. One that is urgent, from 1; 0: none.
 * When it returns the worker is asleep, and has told all it had to. */
static bool is_asleep(void *arg)
{
    (void)arg;
    return atomic_load(&worker.channel->sleeping) != 0 &&
           atomic_load(&worker.channel->done) == worker.tail;
}

static void serve(unsigned count, unsigned urgent)
{
    HKT_TRUE_FATAL(hkt_eventually(is_asleep, NULL));
    for (unsigned i = 1; i <= count; i++) {
        (void)hkt_worker_prepare(&worker,
                                 &(struct hkt_request){.task = hkt_nothing, .urgent = i == urgent});
    }
    hkt_worker_give(&worker);
    HKT_TRUE_FATAL(hkt_eventually(is_asleep, NULL));
}

/* --- A task at whose end more is there --- */

static struct shared {
    atomic_int started;
    atomic_int go;
} * shared;

HK_TASK(stands)
{
    atomic_store(&shared->started, 1);
    while (atomic_load(&shared->go) == 0) {
        hki_os_pause();
    }
    return HK_OK;
}

static bool has_started(void *arg)
{
    (void)arg;
    return atomic_load(&shared->started) != 0;
}

/* --- Tests --- */

static void nobody_is_told_who_looks(void)
{
    (void)caller_rings();
    serve(10, 1);
    HKT_EQ_INT(supervisor_rings(), 0);
    HKT_EQ_INT(caller_rings(), 0);
}

static void the_first_rings_once(void)
{
    (void)caller_rings();
    sleep_until(HKI_RING_FIRST);
    serve(10, 0);
    HKT_EQ_INT(supervisor_rings(), 1);
    serve(10, 0);
    HKT_EQ_INT(supervisor_rings(), 0);
    sleep_until(HKI_RING_FIRST);
    serve(1, 0);
    HKT_EQ_INT(supervisor_rings(), 1);
    HKT_EQ_INT(caller_rings(), 0);
}

static void the_caller_is_rung_by_its_bell(void)
{
    (void)caller_rings();
    sleep_until(HKI_RING_FIRST | HKI_RING_CALLER);
    serve(10, 0);
    HKT_EQ_INT(caller_rings(), 1);
    HKT_EQ_INT(supervisor_rings(), 0);
}

static void coalesced_rings_when_nothing_is_left(void)
{
    uint32_t last;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    HKT_TRUE_FATAL(shared != MAP_FAILED);
    hkt_worker_close(&worker); /* The worker has to have the memory too. */
    hkt_worker_open(&worker);
    sleep_until(HKI_RING_COALESCED);
    (void)hkt_worker_prepare(&worker, &(struct hkt_request){.task = hkt_nothing});
    last = hkt_worker_prepare(&worker, &(struct hkt_request){.task = stands});
    hkt_worker_give(&worker);
    HKT_TRUE_FATAL(hkt_eventually(has_started, NULL));
    /* It is done with the first one, and has more to do. */
    HKT_EQ_INT(atomic_load(&worker.channel->done), 1);
    HKT_EQ_INT(supervisor_rings(), 0);
    atomic_store(&shared->go, 1);
    HKT_TRUE_FATAL(hkt_worker_await(&worker, last));
    HKT_TRUE_FATAL(hkt_eventually(is_asleep, NULL));
    HKT_EQ_INT(supervisor_rings(), 1);
    munmap(shared, sizeof(*shared));
}

/* How often it has rung after so many requests, when one that stands is next and some more lie
 * behind that. */
static void rings_before(unsigned count, unsigned urgent, unsigned behind, unsigned expected)
{
    uint32_t last;

    atomic_store(&shared->started, 0);
    atomic_store(&shared->go, 0);
    HKT_TRUE_FATAL(hkt_eventually(is_asleep, NULL));
    sleep_until(HKI_RING_COALESCED);
    for (unsigned i = 1; i <= count; i++) {
        (void)hkt_worker_prepare(&worker,
                                 &(struct hkt_request){.task = hkt_nothing, .urgent = i == urgent});
    }
    last = hkt_worker_prepare(&worker, &(struct hkt_request){.task = stands});
    for (unsigned i = 0; i < behind; i++) {
        last = hkt_worker_prepare(&worker, &(struct hkt_request){.task = hkt_nothing});
    }
    hkt_worker_give(&worker);
    HKT_TRUE_FATAL(hkt_eventually(has_started, NULL));
    HKT_EQ_INT(supervisor_rings(), expected);
    atomic_store(&shared->go, 1);
    HKT_TRUE_FATAL(hkt_worker_await(&worker, last));
    HKT_TRUE_FATAL(hkt_eventually(is_asleep, NULL));
    HKT_EQ_INT(supervisor_rings(), 1 - expected);
}

static void coalesced_rings_for_much_for_little_left_and_for_urgent(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    HKT_TRUE_FATAL(shared != MAP_FAILED);
    hkt_worker_close(&worker);
    hkt_worker_open(&worker);
    rings_before(HKI_CELLS / 2 - 1, 0, HKI_CELLS / 2, 0);
    rings_before(HKI_CELLS / 2, 0, HKI_CELLS / 2 - 1, 1);
    rings_before(2, 2, 0, 1);
    rings_before(2, 0, 0, 0);
    /* Of four, or of twelve, one part in four is left. */
    rings_before(3, 0, 0, 1);
    rings_before(8, 0, 3, 0);
    rings_before(9, 0, 2, 1);
    munmap(shared, sizeof(*shared));
}

static void passing_over_counts_too(void)
{
    uint32_t number;

    HKT_TRUE_FATAL(hkt_eventually(is_asleep, NULL));
    sleep_until(HKI_RING_COALESCED);
    number = hkt_worker_prepare(&worker, &(struct hkt_request){.task = hkt_nothing});
    atomic_store(&hkt_worker_cell(&worker, number)->state,
                 hki_cell_word(number, HKI_CELL_WITHDRAWN));
    hkt_worker_give(&worker);
    HKT_TRUE_FATAL(hkt_eventually(is_asleep, NULL));
    HKT_EQ_INT(supervisor_rings(), 1);
    HKT_EQ_INT(atomic_load(&worker.channel->served), 0);
}

/* Sleeps and wakes as a caller does, again and again: no ring may be lost. */
static void no_ring_is_lost(void)
{
    const unsigned rounds = 3000 / hkt_slowness();

    for (unsigned round = 0; round < rounds; round++) {
        uint32_t request = hkt_worker_push(&worker, &(struct hkt_request){.task = hkt_nothing});
        uint32_t bell = atomic_load(&worker.channel->bell);

        sleep_until((round % 2 == 0 ? HKI_RING_FIRST : HKI_RING_COALESCED) | HKI_RING_CALLER);
        /* It looks after it has said that it will sleep: that is the protocol. */
        while (atomic_load(&worker.channel->done) == request) {
            HKT_TRUE_FATAL(
                hki_os_futex_wait_shared(&worker.channel->bell, bell, hk_now_ns() + HK_MS(20000)));
        }
    }
}

/* The same for work that comes while the worker goes to sleep. */
static void no_work_is_lost(void)
{
    const unsigned rounds = 3000 / hkt_slowness();

    hkt_worker_close(&worker);
    hkt_worker_create(&worker);
    worker.page->spin_ns = HK_US(20);
    hkt_worker_start(&worker);
    for (unsigned round = 0; round < rounds; round++) {
        uint32_t request;

        atomic_store(&worker.channel->may_spin, round / 100 % 2);
        request = hkt_worker_push(&worker, &(struct hkt_request){.task = hkt_nothing});
        for (unsigned i = 0; i < round % 64; i++) {
            hki_os_pause();
        }
        HKT_TRUE_FATAL(hkt_worker_await(&worker, request));
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("who looks is not told", nobody_is_told_who_looks),
    HKT_CASE("FIRST rings once for one value", the_first_rings_once),
    HKT_CASE("a caller is rung by the bell alone", the_caller_is_rung_by_its_bell),
    HKT_CASE("COALESCED rings when nothing is left", coalesced_rings_when_nothing_is_left),
    HKT_CASE("COALESCED rings for half a ring, little left, and the urgent",
             coalesced_rings_for_much_for_little_left_and_for_urgent),
    HKT_CASE("what is passed over is told as well", passing_over_counts_too),
    HKT_CASE("no ring is lost between a look and a sleep", no_ring_is_lost),
    HKT_CASE("no work is lost while a worker goes to sleep", no_work_is_lost),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process worker, its rings",
     .pSetUpFunc = set_up,
     .pTearDownFunc = tear_down,
     .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
