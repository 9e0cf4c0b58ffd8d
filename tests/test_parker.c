/* SPDX-License-Identifier: MIT */
/* Parkers: a token comes with what its bringer has written. */
#include <sched.h>

#include "base/time.h"
#include "sync/parker.h"
#include "tests/race_fixture.h"

static struct hki_parker parkers[HKT_ROUNDS];
static unsigned used;

static void open_parker(struct hkt_round *round)
{
    struct hki_parker *parker = &parkers[used++];

    atomic_init(&parker->token, 0);
    round->object = parker;
}

static void write_and_wake(struct hkt_round *round, unsigned who)
{
    round->payload[who] = HKT_PAYLOAD;
    hki_parker_wake(round->object);
}

static void park_and_read(struct hkt_round *round, unsigned who)
{
    HKT_TRUE(hki_parker_park(round->object, HKI_NEVER));
    round->payload[who] = round->payload[0];
}

static void try_and_read(struct hkt_round *round, unsigned who)
{
    while (!hki_parker_try(round->object)) {
        sched_yield();
    }
    round->payload[who] = round->payload[0];
}

static void it_came_with_the_token(struct hkt_round *round)
{
    struct hki_parker *parker = round->object;

    HKT_EQ_INT(round->payload[1], HKT_PAYLOAD);
    HKT_TRUE(!hki_parker_try(parker)); /* One token, taken once. */
}

static void what_was_written_before_a_wake_is_seen_after_a_park(void)
{
    static const struct hkt_race race = {
        open_parker, {write_and_wake, park_and_read}, it_came_with_the_token};

    used = 0;
    hkt_race(&race);
}

static void what_was_written_before_a_wake_is_seen_by_who_tries(void)
{
    static const struct hkt_race race = {
        open_parker, {write_and_wake, try_and_read}, it_came_with_the_token};

    used = 0;
    hkt_race(&race);
}

static void a_wake_that_comes_first_is_kept(void)
{
    struct hki_parker *own = hki_parker_self();

    hki_parker_wake(own);
    hki_parker_wake(own);
    HKT_TRUE(hki_parker_park(own, HKI_NEVER));
    HKT_TRUE(!hki_parker_try(own));
    HKT_TRUE(!hki_parker_park(own, hki_deadline(HK_US(50))));
}

static CU_TestInfo tests[] = {
    HKT_TEST(what_was_written_before_a_wake_is_seen_after_a_park),
    HKT_TEST(what_was_written_before_a_wake_is_seen_by_who_tries),
    HKT_TEST(a_wake_that_comes_first_is_kept),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "parker", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
