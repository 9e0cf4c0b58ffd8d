/* SPDX-License-Identifier: MIT */
/* What an executor counts without a lock: what was done before is seen by who sees the count. */
#include <sched.h>
#include <string.h>

#include "executors/work_counts.h"
#include "tests/fixture.h"
#include "tests/promise_fixture.h"

enum { STEPS = 20000 };

struct ledger {
    struct hki_work_counts counts;
    unsigned written[STEPS]; /* Plain: only the count orders it. */
};

static unsigned steps(void)
{
    return STEPS / hkt_slowness();
}

static void write_and_count(void *arg)
{
    struct ledger *ledger = arg;

    for (unsigned i = 0; i < steps(); i++) {
        ledger->written[i] = i + 1;
        hki_work_count_own(&ledger->counts, HKI_ACCEPTED);
        hki_work_count_own(&ledger->counts, HKI_ENDED_WELL);
    }
}

static void read_what_is_counted(void *arg)
{
    struct ledger *ledger = arg;
    uint64_t seen = 0;

    while (seen < steps()) {
        uint64_t ended = hki_work_count_read(&ledger->counts, HKI_ENDED_WELL);

        /* What ended was accepted. */
        HKT_TRUE(hki_work_count_read(&ledger->counts, HKI_ACCEPTED) >= ended);
        if (ended == seen) {
            sched_yield();
        }
        for (; seen < ended; seen++) {
            HKT_EQ_INT(ledger->written[seen], seen + 1);
        }
    }
}

static void who_sees_a_count_sees_what_came_before(void)
{
    static struct ledger ledger;
    struct hkt_thread threads[2];

    for (unsigned round = 0; round < 5; round++) {
        memset(&ledger, 0, sizeof(ledger));
        hkt_thread_start(&threads[0], read_what_is_counted, &ledger);
        hkt_thread_start(&threads[1], write_and_count, &ledger);
        hkt_thread_join(&threads[0]);
        hkt_thread_join(&threads[1]);
        HKT_EQ_INT(hki_work_count_read(&ledger.counts, HKI_ACCEPTED), steps());
        HKT_EQ_INT(hki_work_count_read(&ledger.counts, HKI_STARTED), 0);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("who sees a count sees what came before", who_sees_a_count_sees_what_came_before),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "work_counts", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
