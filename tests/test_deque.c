/* SPDX-License-Identifier: MIT */
/* The deque that tasks are stolen from: what it does for one, and for its owner among thieves. */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "sync/deque.h"
#include "tests/fixture.h"
#include "tests/promise_fixture.h"

/* --- Alone --- */

static struct hki_deque deque;
static int things[3 * HKI_DEQUE_PLACES];

static void empty_it(void)
{
    memset(&deque, 0, sizeof(deque));
}

static void put_all(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        HKT_TRUE(hki_deque_put(&deque, &things[i]));
    }
}

static void take_all(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        HKT_EQ_PTR(hki_deque_take(&deque), &things[i]);
    }
}

static void the_oldest_comes_first(void)
{
    empty_it();
    HKT_EQ_PTR(hki_deque_take(&deque), NULL);
    put_all(0, 5);
    HKT_EQ_INT(hki_deque_count(&deque), 5);
    take_all(0, 3);
    put_all(5, 7);
    HKT_EQ_INT(hki_deque_count(&deque), 4);
    take_all(3, 7);
    HKT_EQ_PTR(hki_deque_take(&deque), NULL);
    HKT_EQ_INT(hki_deque_count(&deque), 0);
}

static void several_are_put_at_once_as_far_as_there_is_room(void)
{
    enum { MANY = 2 * HKI_DEQUE_PLACES };
    void *items[MANY];

    for (size_t i = 0; i < MANY; i++) {
        items[i] = &things[i];
    }
    empty_it();
    HKT_EQ_INT(hki_deque_put_many(&deque, items, 3), 3);
    HKT_EQ_INT(hki_deque_count(&deque), 3);
    take_all(0, 2);
    HKT_EQ_INT(hki_deque_put_many(&deque, items + 3, MANY - 3), HKI_DEQUE_PLACES - 1);
    HKT_EQ_INT(hki_deque_put_many(&deque, items, 1), 0);
    HKT_EQ_INT(hki_deque_count(&deque), HKI_DEQUE_PLACES);
    take_all(2, HKI_DEQUE_PLACES + 2);
    HKT_EQ_PTR(hki_deque_take(&deque), NULL);
}

static void a_full_one_takes_no_more_until_there_is_room(void)
{
    empty_it();
    put_all(0, HKI_DEQUE_PLACES);
    HKT_TRUE(!hki_deque_put(&deque, &things[0]));
    HKT_EQ_INT(hki_deque_count(&deque), HKI_DEQUE_PLACES);
    take_all(0, 1);
    put_all(HKI_DEQUE_PLACES, HKI_DEQUE_PLACES + 1);
    HKT_TRUE(!hki_deque_put(&deque, &things[0]));
    take_all(1, HKI_DEQUE_PLACES + 1);
    HKT_EQ_PTR(hki_deque_take(&deque), NULL);
}

static void places_are_used_again_and_again(void)
{
    empty_it();
    put_all(0, HKI_DEQUE_PLACES);
    for (size_t i = 0; i < 2 * HKI_DEQUE_PLACES; i++) {
        take_all(i, i + 1);
        put_all(i + HKI_DEQUE_PLACES, i + HKI_DEQUE_PLACES + 1);
        HKT_TRUE(!hki_deque_put(&deque, &things[0]));
    }
    HKT_EQ_INT(hki_deque_start(&deque), 2 * HKI_DEQUE_PLACES);
    HKT_EQ_INT(hki_deque_end(&deque), 3 * HKI_DEQUE_PLACES);
    take_all(2 * HKI_DEQUE_PLACES, 3 * HKI_DEQUE_PLACES);
}

static void only_the_newest_can_be_taken_back(void)
{
    empty_it();
    HKT_TRUE(!hki_deque_take_back(&deque, &things[0]));
    put_all(0, 3);
    HKT_TRUE(!hki_deque_take_back(&deque, &things[0]));
    HKT_TRUE(!hki_deque_take_back(&deque, &things[1]));
    HKT_TRUE(hki_deque_take_back(&deque, &things[2]));
    HKT_TRUE(!hki_deque_take_back(&deque, &things[2]));
    HKT_EQ_INT(hki_deque_count(&deque), 2);
    HKT_TRUE(hki_deque_take_back(&deque, &things[1]));
    put_all(3, 4);
    take_all(0, 1);
    take_all(3, 4);
    HKT_EQ_PTR(hki_deque_take(&deque), NULL);
}

/* Its place still has it, but top has passed. */
static void what_was_taken_cannot_be_taken_back(void)
{
    empty_it();
    put_all(0, 2);
    take_all(0, 2);
    HKT_TRUE(!hki_deque_take_back(&deque, &things[1]));
    put_all(2, 3);
    HKT_EQ_INT(hki_deque_count(&deque), 1);
    HKT_TRUE(hki_deque_take_back(&deque, &things[2]));
    HKT_EQ_PTR(hki_deque_take(&deque), NULL);
    put_all(3, 4);
    take_all(3, 4);
}

static void a_full_one_gives_the_newest_back(void)
{
    empty_it();
    put_all(0, HKI_DEQUE_PLACES);
    HKT_TRUE(hki_deque_take_back(&deque, &things[HKI_DEQUE_PLACES - 1]));
    put_all(HKI_DEQUE_PLACES - 1, HKI_DEQUE_PLACES);
    HKT_TRUE(!hki_deque_put(&deque, &things[0]));
    take_all(0, HKI_DEQUE_PLACES);
}

/* --- An owner among thieves --- */

enum { THIEVES = 3, ITEMS = 4000 };

struct item {
    size_t number;     /* Plain: only the deque brings it. */
    size_t *elsewhere; /* So is what it points at. */
    size_t there;
    atomic_uint seen;
};

struct den {
    struct hki_deque deque;
    struct item items[ITEMS];
    atomic_uint left;
    atomic_uint order_faults;
    unsigned tries_back; /* The owner takes the newest back so often: one in that many puts. */
};

static void meet(struct den *den, struct item *item)
{
    HKT_EQ_PTR(item, &den->items[item->number]);
    HKT_EQ_INT(*item->elsewhere, item->number + 1);
    HKT_EQ_INT(atomic_fetch_add(&item->seen, 1), 0);
    /* relaxed: counts down; what it guards is joined. */
    atomic_fetch_sub_explicit(&den->left, 1, memory_order_relaxed);
}

/* Each takes ever newer ones. */
static void steal_until_none_is_left(void *arg)
{
    struct den *den = arg;
    size_t least = 0;

    /* relaxed: it says nothing of the items. */
    while (atomic_load_explicit(&den->left, memory_order_relaxed) != 0) {
        struct item *item = hki_deque_take(&den->deque);

        if (item == NULL) {
            sched_yield();
            continue;
        }
        if (item->number < least) {
            atomic_fetch_add(&den->order_faults, 1);
        }
        least = item->number + 1;
        meet(den, item);
    }
}

static struct item *make_item(struct den *den, size_t i)
{
    struct item *item = &den->items[i];

    item->number = i;
    item->there = i + 1;
    item->elsewhere = &item->there;
    return item;
}

/* At once as many as there is room for, one by one what is left. */
static void put_some(struct den *den, void **items, size_t count)
{
    size_t put = count == 1 ? 0 : hki_deque_put_many(&den->deque, items, count);

    while (put < count) {
        if (hki_deque_put(&den->deque, items[put])) {
            put++;
        } else {
            struct item *oldest = hki_deque_take(&den->deque);

            if (oldest != NULL) {
                meet(den, oldest);
            }
        }
    }
}

static void own(struct den *den)
{
    enum { AT_ONCE = 5 };

    for (size_t i = 0; i < ITEMS; i++) {
        size_t count = i % 7 == 0 && i + AT_ONCE < ITEMS ? AT_ONCE : 1;
        void *items[AT_ONCE];
        struct item *item = NULL;

        for (size_t j = 0; j < count; j++) {
            items[j] = item = make_item(den, i + j);
        }
        put_some(den, items, count);
        i += count - 1;
        if (i % den->tries_back == 0 && hki_deque_take_back(&den->deque, item)) {
            meet(den, item);
        }
    }
}

static void each_item_is_met_once(unsigned tries_back)
{
    static struct den den;
    unsigned rounds = 120 / hkt_slowness() + 1;

    for (unsigned round = 0; round < rounds; round++) {
        struct hkt_thread thieves[THIEVES];

        memset(&den, 0, sizeof(den));
        den.tries_back = tries_back;
        atomic_store(&den.left, ITEMS);
        for (int i = 0; i < THIEVES; i++) {
            hkt_thread_start(&thieves[i], steal_until_none_is_left, &den);
        }
        own(&den);
        for (int i = 0; i < THIEVES; i++) {
            hkt_thread_join(&thieves[i]);
        }
        for (size_t i = 0; i < ITEMS; i++) {
            HKT_EQ_INT(atomic_load(&den.items[i].seen), 1);
        }
        HKT_EQ_INT(atomic_load(&den.order_faults), 0);
        HKT_EQ_INT(hki_deque_count(&den.deque), 0);
    }
}

static void thieves_and_owner_share_without_loss(void)
{
    each_item_is_met_once(ITEMS);
}

/* The last item, again and again: owner and thieves want the same. */
static void taking_back_and_stealing_are_one_or_the_other(void)
{
    each_item_is_met_once(1);
    each_item_is_met_once(3);
}

/* --- Its place is written again only after it was read --- */

static void places_turn_over_under_thieves(void)
{
    static struct den den;
    struct hkt_thread thieves[THIEVES];
    unsigned rounds = 60 / hkt_slowness() + 1;

    for (unsigned round = 0; round < rounds; round++) {
        memset(&den, 0, sizeof(den));
        den.tries_back = ITEMS;
        atomic_store(&den.left, ITEMS);
        /* Far along, where the number of a place has come around often, and nearly full. */
        atomic_store(&den.deque.top, (int64_t)1 << 40);
        atomic_store(&den.deque.bottom, (int64_t)1 << 40);
        den.deque.top_seen = (int64_t)1 << 40;
        for (int i = 0; i < THIEVES; i++) {
            hkt_thread_start(&thieves[i], steal_until_none_is_left, &den);
        }
        own(&den);
        for (int i = 0; i < THIEVES; i++) {
            hkt_thread_join(&thieves[i]);
        }
        HKT_EQ_INT(hki_deque_end(&den.deque) - ((int64_t)1 << 40), ITEMS);
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("the oldest comes first", the_oldest_comes_first),
    HKT_CASE("several are put at once as far as there is room",
             several_are_put_at_once_as_far_as_there_is_room),
    HKT_CASE("a full one takes no more until there is room",
             a_full_one_takes_no_more_until_there_is_room),
    HKT_CASE("places are used again and again", places_are_used_again_and_again),
    HKT_CASE("only the newest can be taken back", only_the_newest_can_be_taken_back),
    HKT_CASE("what was taken cannot be taken back", what_was_taken_cannot_be_taken_back),
    HKT_CASE("a full one gives the newest back", a_full_one_gives_the_newest_back),
    HKT_CASE("thieves and owner share without loss", thieves_and_owner_share_without_loss),
    HKT_CASE("taking back and stealing are one or the other",
             taking_back_and_stealing_are_one_or_the_other),
    HKT_CASE("places turn over under thieves", places_turn_over_under_thieves),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "deque", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
