/* SPDX-License-Identifier: MIT */
/* Which CPUs are near each other, of machines that are not here; and who is stolen from first. */
#include <stdio.h>
#include <string.h>

#include "base/os.h"
#include "base/topology.h"
#include "executors/deck.h"
#include "tests/fixture.h"

enum { CPUS_MAX = 16 };

/* A machine as the kernel would tell of it; NULL: nothing is known of that CPU. */
struct machine {
    unsigned cpus;
    const char *cache[CPUS_MAX];
    const char *package[CPUS_MAX];
    unsigned asked;
};

static bool tell(void *arg, unsigned cpu, enum hki_distance what, char *text, size_t size)
{
    struct machine *machine = arg;
    const char *list = what == HKI_SAME_CACHE ? machine->cache[cpu] : machine->package[cpu];

    HKT_TRUE(cpu < machine->cpus);
    machine->asked++;
    if (list != NULL) {
        snprintf(text, size, "%s", list);
    }
    return list != NULL;
}

static struct hki_topology topology;

static void make(struct machine *machine)
{
    machine->asked = 0;
    hki_topology_make(&topology, machine->cpus, tell, machine);
}

/* Two packages of two caches of two cores each, numbered as hyper-threads often are. */
static struct machine large = {
    .cpus = 16,
    .cache = {"0-1,8-9\n", "0-1,8-9\n", "2-3,10-11\n", "2-3,10-11\n", "4-5,12-13\n", "4-5,12-13\n",
              "6-7,14-15\n", "6-7,14-15\n", "0-1,8-9\n", "0-1,8-9\n", "2-3,10-11\n", "2-3,10-11\n",
              "4-5,12-13\n", "4-5,12-13\n", "6-7,14-15\n", "6-7,14-15\n"},
    .package = {"0-3,8-11\n", "0-3,8-11\n", "0-3,8-11\n", "0-3,8-11\n", "4-7,12-15\n",
                "4-7,12-15\n", "4-7,12-15\n", "4-7,12-15\n", "0-3,8-11\n", "0-3,8-11\n",
                "0-3,8-11\n", "0-3,8-11\n", "4-7,12-15\n", "4-7,12-15\n", "4-7,12-15\n",
                "4-7,12-15\n"},
};

static void near_and_far_are_told_apart(void)
{
    make(&large);
    HKT_EQ_INT(topology.caches, 4);
    HKT_EQ_INT(large.asked, 6); /* Once for each group. */
    HKT_EQ_INT(hki_topology_distance(&topology, 0, 0), HKI_SAME_CACHE);
    HKT_EQ_INT(hki_topology_distance(&topology, 0, 9), HKI_SAME_CACHE);
    HKT_EQ_INT(hki_topology_distance(&topology, 9, 2), HKI_SAME_PACKAGE);
    HKT_EQ_INT(hki_topology_distance(&topology, 3, 4), HKI_ELSEWHERE);
    HKT_EQ_INT(hki_topology_distance(&topology, 15, 4), HKI_SAME_PACKAGE);
    HKT_EQ_INT(hki_topology_distance(&topology, 0, HKI_CPUS_KNOWN), HKI_ELSEWHERE);
}

static void one_cache_is_one_group(void)
{
    struct machine small = {.cpus = 4, .cache = {"0-3\n"}, .package = {"0-3\n"}};

    make(&small);
    HKT_EQ_INT(topology.caches, 1);
    HKT_EQ_INT(hki_topology_distance(&topology, 0, 3), HKI_SAME_CACHE);
}

static void a_cpu_that_is_switched_off_is_of_no_group(void)
{
    struct machine gap = {.cpus = 4,
                          .cache = {"0", NULL, "2-3", "2-3"},
                          .package = {"0,2-3", NULL, "0,2-3", "0,2-3"}};

    make(&gap);
    HKT_EQ_INT(topology.caches, 2);
    HKT_EQ_INT(hki_topology_distance(&topology, 0, 2), HKI_SAME_PACKAGE);
    HKT_EQ_INT(hki_topology_distance(&topology, 0, 1), HKI_ELSEWHERE);
}

static void what_is_not_known_is_one_group(void)
{
    static const char *const odd[] = {"", "all", "0-", "0-1;2-3", "1-3", "-", ","};
    struct machine none = {.cpus = 4};

    make(&none);
    HKT_EQ_INT(topology.caches, 1);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct machine wrong = {.cpus = 4,
                                .cache = {odd[i], odd[i], odd[i], odd[i]},
                                .package = {"0-3", "0-3", "0-3", "0-3"}};

        make(&wrong);
        HKT_EQ_INT(topology.caches, 1);
        HKT_EQ_INT(hki_topology_distance(&topology, 0, 3), HKI_SAME_CACHE);
    }
    large.cpus = 0;
    make(&large);
    large.cpus = CPUS_MAX;
    HKT_EQ_INT(topology.caches, 1);
}

static void this_machine_is_one(void)
{
    const struct hki_topology *here = hki_topology_here();

    HKT_TRUE(here->caches >= 1);
    HKT_EQ_PTR(hki_topology_here(), here);
    HKT_TRUE(hki_os_cpu_here() <= hki_os_cpu_highest());
}

/* --- Who is stolen from --- */

enum { DECKS = 6 };

/* Takes everything away from the others; what comes must be of these, in this order. */
static void expect_order(const struct hki_topology *of, const unsigned cpus[DECKS],
                         const unsigned expected[DECKS - 1])
{
    _Atomic(struct deck *) list = NULL;
    struct deck *decks[DECKS];
    int things[DECKS];

    /* The list is in the reverse order, and goes round: 5 4 3 2 1 0 5 ... */
    for (unsigned i = 0; i < DECKS; i++) {
        HKT_TRUE_FATAL((decks[i] = hki_deck_take(&list)) != NULL);
        atomic_store(&decks[i]->cpu, cpus[i]);
        HKT_TRUE(hki_deque_put(&decks[i]->deque, &things[i]));
    }
    for (unsigned i = 0; i < DECKS - 1; i++) {
        HKT_EQ_PTR(hki_deck_steal(&list, decks[2], of), &things[expected[i]]);
    }
    HKT_EQ_PTR(hki_deck_steal(&list, decks[2], of), NULL);
    HKT_EQ_INT(hki_deque_count(&decks[2]->deque), 1); /* Its own is none to be stolen. */
    hki_decks_free(&list);
}

static void the_nearest_are_stolen_from_first(void)
{
    static const unsigned cpus[DECKS] = {4, 2, 0, 9, 3, 7};
    static const unsigned nearest_first[DECKS - 1] = {3, 1, 4, 0, 5};
    static const unsigned in_line[DECKS - 1] = {1, 0, 5, 4, 3};

    make(&large);
    expect_order(&topology, cpus, nearest_first);
    expect_order(NULL, cpus, in_line);
}

static void a_deck_alone_finds_nobody(void)
{
    _Atomic(struct deck *) list = NULL;
    struct deck *deck = hki_deck_take(&list);

    HKT_TRUE_FATAL(deck != NULL);
    make(&large);
    HKT_EQ_PTR(hki_deck_steal(&list, deck, &topology), NULL);
    HKT_EQ_PTR(hki_deck_steal(&list, deck, NULL), NULL);
    hki_decks_free(&list);
}

static CU_TestInfo tests[] = {
    HKT_TEST(near_and_far_are_told_apart),
    HKT_TEST(one_cache_is_one_group),
    HKT_TEST(a_cpu_that_is_switched_off_is_of_no_group),
    HKT_TEST(what_is_not_known_is_one_group),
    HKT_TEST(this_machine_is_one),
    HKT_TEST(the_nearest_are_stolen_from_first),
    HKT_TEST(a_deck_alone_finds_nobody),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "topology", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
