/* SPDX-License-Identifier: MIT */
/*
 * The deque (sync/deque.h), with two places, under relacy: see ring.cc. What its items point
 * at is plain data, and each must come out once.
 *
 * Two orders have no mutant: the load of top in hki_deque_take_if(), and the acquire in
 * hki_deque_write_(). They keep a load before what comes after it in the same thread, and
 * relacy runs the steps of a thread in their order.
 */
#include "checker.h"

/* Made of sync/deque.h: two places. */
#include "deque_small.h"

namespace
{

enum { THIEVES = 2, ITEMS = 4 };

const mutant mutants[] = {
    /* The item is published. */
    {"put_release", "hki_deque_put", "store", "&deque->bottom", rl::mo_seq_cst, rl::mo_relaxed},
    {"quiet_release", "hki_deque_put_quietly", "store", "&deque->bottom", rl::mo_release,
     rl::mo_relaxed},
    {"take_acquire", "hki_deque_take_if", "load", "&deque->bottom", rl::mo_seq_cst, rl::mo_relaxed},
    /* Who puts looks whether somebody sleeps, who is about to sleep looks for an item. */
    {"put_seq_cst", "hki_deque_put", "store", "&deque->bottom", rl::mo_seq_cst, rl::mo_release},
    {"count_seq_cst", "hki_deque_count", "load", "&deque->bottom", rl::mo_seq_cst, rl::mo_acquire},
    /* D3 */
    {"back_store", "hki_deque_take_back", "store", "&deque->bottom", rl::mo_seq_cst,
     rl::mo_release},
    {"back_load", "hki_deque_take_back", "load", "&deque->top", rl::mo_seq_cst, rl::mo_acquire},
    {"take_load_bottom", "hki_deque_take_if", "load", "&deque->bottom", rl::mo_seq_cst,
     rl::mo_acquire},
};

/* Shape says how the owner uses it. */
template <typename Shape> struct deque_suite : rl::test_suite<Shape, 1 + THIEVES> {
    struct payload {
        rl::var<unsigned> number;
    };

    hki_deque deque;
    payload payloads[ITEMS];
    rl::atomic<unsigned> left;
    unsigned taken[ITEMS]; /* Fibers change turns only where relacy is called. */

    void before()
    {
        std::memset(taken, 0, sizeof(taken));
        deque.top($).store(0, rl::mo_relaxed);
        deque.bottom($).store(0, rl::mo_relaxed);
        deque.top_seen = 0;
        for (rl::atomic<void *> &place : deque.place) {
            place($).store(NULL, rl::mo_relaxed);
        }
        left($).store(ITEMS, rl::mo_relaxed);
    }

    void meet(void *item)
    {
        unsigned number = static_cast<payload *>(item)->number($);

        RL_ASSERT(number < ITEMS && item == &payloads[number]);
        taken[number]++;
        /* relaxed: it says nothing of the items. */
        left($).fetch_sub(1, rl::mo_relaxed);
    }

    void *make(unsigned number)
    {
        payloads[number].number($) = number;
        return &payloads[number];
    }

    void put(unsigned number)
    {
        void *item = make(number);

        while (!hki_deque_put(&deque, item)) {
            rl::yield(1, $);
        }
    }

    void take_back(unsigned number)
    {
        if (hki_deque_take_back(&deque, &payloads[number])) {
            meet(&payloads[number]);
        }
    }

    void steal()
    {
        while (left($).load(rl::mo_relaxed) != 0) {
            void *item = hki_deque_take(&deque);

            if (item != NULL) {
                meet(item);
            } else {
                rl::yield(1, $);
            }
        }
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            static_cast<Shape *>(this)->own();
        } else {
            steal();
        }
    }

    void after()
    {
        for (unsigned count : taken) {
            RL_ASSERT(count == 1);
        }
    }
};

/* Full again and again, so that places are used again. */
struct stealing : deque_suite<stealing> {
    void own()
    {
        for (unsigned i = 0; i < ITEMS; i++) {
            put(i);
        }
    }
};

/* Each is wanted back at once: the last one by all three. */
struct taking_back : deque_suite<taking_back> {
    void own()
    {
        for (unsigned i = 0; i < ITEMS; i++) {
            put(i);
            take_back(i);
        }
    }
};

struct two_back : deque_suite<two_back> {
    void own()
    {
        for (unsigned i = 0; i < ITEMS; i += 2) {
            put(i);
            put(i + 1);
            take_back(i + 1);
            take_back(i);
        }
    }
};

/* As forks are: put without the order of hki_deque_put(), and wanted back. */
struct quiet : deque_suite<quiet> {
    void fork(unsigned number)
    {
        void *item = make(number);

        while (!hki_deque_put_quietly(&deque, item)) {
            rl::yield(1, $);
        }
    }

    void own()
    {
        for (unsigned i = 0; i < ITEMS; i += 2) {
            fork(i);
            fork(i + 1);
            take_back(i + 1);
            take_back(i);
        }
        RL_ASSERT(hki_deque_newest(&deque) == NULL);
    }
};

/* Work and sleep: one of the two sees the other, also when the place was used before. */
struct looks : rl::test_suite<looks, 2> {
    hki_deque deque;
    rl::atomic<unsigned> sleeping;
    int item;
    bool was_seen;
    bool was_called;

    void before()
    {
        deque.top($).store(0, rl::mo_relaxed);
        deque.bottom($).store(0, rl::mo_relaxed);
        deque.top_seen = 0;
        sleeping($).store(0, rl::mo_relaxed);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            RL_ASSERT(hki_deque_put(&deque, &item));
            was_called = sleeping($).load(rl::mo_seq_cst) != 0;
        } else {
            sleeping($).fetch_add(1, rl::mo_seq_cst);
            was_seen = hki_deque_count(&deque) != 0;
        }
    }

    void after()
    {
        RL_ASSERT(was_seen || was_called);
    }
};

const scenario scenarios[] = {
    {"stealing", holds<stealing>}, {"taking_back", holds<taking_back>},
    {"two_back", holds<two_back>}, {"quiet", holds<quiet>},
    {"looks", holds<looks>},
};

} // namespace

int main(int argc, char **argv)
{
    return check_main(argc, argv, scenarios, mutants);
}
