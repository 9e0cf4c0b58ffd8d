/* SPDX-License-Identifier: MIT */
/*
 * The cells of a ring (sync/ring_cells.h) under relacy, a checker that runs threads as
 * fibers in many orders and lets loads see every value that the memory model of C11 allows:
 * also what no x86 shows. It tells a race on plain data from the lack of an order; items, and
 * what they point at, are such data.
 *
 *     relacy_ring [RUNS]         all scenarios, then all mutants, each of which must fail
 *     relacy_ring NAME [RUNS]    one scenario or mutant, with the steps of a failure
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include <relacy/relacy.hpp>

/* A plain word that relacy watches; in place of the pointer in a cell. */
class plain_item
{
  public:
    plain_item &operator=(void *value)
    {
        item_(RL_INFO) = value;
        return *this;
    }

    operator void *() const
    {
        return item_(RL_INFO);
    }

  private:
    rl::var<void *> item_;
};

/* Made of sync/ring_cells.h: the item of a cell is a plain_item. */
#include "ring_cells_watched.h"

namespace
{

enum { PRODUCERS = 2, CONSUMERS = 2, EACH = 2, ITEMS = PRODUCERS * EACH, CELLS_MAX = 2 };

/* One place of sync/ring_cells.h whose order is taken away. */
struct mutant {
    const char *name;
    const char *function;
    const char *operation;
    rl::memory_order order;
};

const mutant mutants[] = {
    {"put_release", "hki_cells_put", "store", rl::mo_release},
    {"take_release", "hki_cells_take", "store", rl::mo_release},
    {"ready_acquire", "hki_cells_ready", "load", rl::mo_acquire},
    {"closed_acquire", "hki_cells_take", "load", rl::mo_acquire},
    {"close_release", "hki_cells_close", "or", rl::mo_seq_cst},
};

const mutant *chosen; /* NULL: the code as it is. */

/* A ring, its threads, and what came of them. Shape says how it is used. */
template <typename Shape, unsigned Threads> struct ring_suite : rl::test_suite<Shape, Threads> {
    struct payload {
        rl::var<unsigned> number;
    };

    hki_cell cell[CELLS_MAX];
    hki_cells cells;
    payload payloads[ITEMS];
    rl::var<unsigned> last_words; /* Written before the close, read after its end is seen. */
    rl::atomic<unsigned> producing;
    bool put[ITEMS];       /* By the one thread that puts it. */
    unsigned taken[ITEMS]; /* Fibers change turns only where relacy is called. */

    void before()
    {
        std::memset(put, 0, sizeof(put));
        std::memset(taken, 0, sizeof(taken));
        cells.cell = cell;
        cells.mask = Shape::CELLS - 1;
        for (unsigned i = 0; i < Shape::CELLS; i++) {
            cell[i].sequence($).store(2 * i, rl::mo_relaxed);
        }
        cells.tail($).store(0, rl::mo_relaxed);
        cells.head($).store(0, rl::mo_relaxed);
        producing($).store(PRODUCERS, rl::mo_relaxed);
        last_words($) = 0;
    }

    void close()
    {
        last_words($) = 1;
        hki_cells_close(&cells);
    }

    /* Puts its items, at most so many at once, until all are in or the ring is closed. */
    void produce(unsigned who)
    {
        void *items[EACH];
        size_t at = 0;

        for (unsigned i = 0; i < EACH; i++) {
            payloads[who * EACH + i].number($) = who * EACH + i;
            items[i] = &payloads[who * EACH + i];
        }
        while (at < EACH) {
            size_t wanted = EACH - at < Shape::AT_ONCE ? EACH - at : size_t(Shape::AT_ONCE);
            size_t done = 0;
            hki_cells_result result = hki_cells_put(&cells, items + at, wanted, &done);

            if (result == HKI_CELLS_CLOSED_FOR_GOOD) {
                break;
            }
            if (result == HKI_CELLS_NOT_NOW) {
                rl::yield(1, $);
            }
            for (size_t i = 0; i < done; i++) {
                put[who * EACH + at + i] = true;
            }
            at += done;
        }
    }

    void produce_and_close(unsigned who)
    {
        produce(who);
        /* relaxed: nothing but who is last, so that no order comes with it. */
        if (producing($).fetch_sub(1, rl::mo_relaxed) == 1) {
            close();
        }
    }

    void consume()
    {
        for (;;) {
            void *items[EACH];
            size_t done = 0;
            hki_cells_result result = hki_cells_take(&cells, items, Shape::AT_ONCE, &done);

            if (result == HKI_CELLS_CLOSED_FOR_GOOD) {
                RL_ASSERT(unsigned(last_words($)) == 1);
                return;
            }
            if (result == HKI_CELLS_NOT_NOW) {
                rl::yield(1, $);
            }
            for (size_t i = 0; i < done; i++) {
                unsigned number = static_cast<payload *>(items[i])->number($);

                RL_ASSERT(number < ITEMS);
                taken[number]++;
            }
        }
    }

    /* Each item that a put accepted came out once, and no other. */
    void after()
    {
        for (unsigned i = 0; i < ITEMS; i++) {
            RL_ASSERT(taken[i] == (put[i] ? 1U : 0U));
            RL_ASSERT(put[i] || Shape::CLOSES_EARLY);
        }
    }
};

/* Two producers and two consumers; the last producer closes. */
template <typename Shape> struct crowd : ring_suite<Shape, PRODUCERS + CONSUMERS> {
    void thread(unsigned index)
    {
        if (index < PRODUCERS) {
            this->produce_and_close(index);
        } else {
            this->consume();
        }
    }
};

/* One cell: full after each put, empty after each get. */
struct single_cell : crowd<single_cell> {
    enum { CELLS = 1, AT_ONCE = 1, CLOSES_EARLY = 0 };
};

struct two_cells : crowd<two_cells> {
    enum { CELLS = 2, AT_ONCE = 1, CLOSES_EARLY = 0 };
};

/* Several at once, as far as they fit. */
struct batches : crowd<batches> {
    enum { CELLS = 2, AT_ONCE = 2, CLOSES_EARLY = 0 };
};

/* A fourth thread closes whenever it likes: what was accepted still comes out. */
struct early_close : ring_suite<early_close, PRODUCERS + 2> {
    enum { CELLS = 2, AT_ONCE = 1, CLOSES_EARLY = 1 };

    void thread(unsigned index)
    {
        if (index < PRODUCERS) {
            produce(index);
        } else if (index == PRODUCERS) {
            consume();
        } else {
            for (unsigned turns = rl::rand(12); turns > 0; turns--) {
                rl::yield(1, $);
            }
            close();
        }
    }
};

/* Whether it holds in so many runs. What was seen is printed, or goes nowhere: relacy has
 * an allocator of its own in force meanwhile, so a stream that allocates is none to give it. */
template <typename Suite> bool holds(unsigned long runs, bool is_talkative)
{
    std::ostream nowhere(NULL);
    rl::test_params params;

    params.iteration_count = runs;
    params.execution_depth_limit = 20000;
    params.output_stream = is_talkative ? &std::cout : &nowhere;
    params.progress_stream = &nowhere;
    return rl::simulate<Suite>(params) && params.stop_iteration == runs;
}

struct scenario {
    const char *name;
    bool (*holds)(unsigned long runs, bool is_talkative);
};

const scenario scenarios[] = {
    {"single_cell", holds<single_cell>},
    {"two_cells", holds<two_cells>},
    {"batches", holds<batches>},
    {"early_close", holds<early_close>},
};

/* A mutant must fail in one of the scenarios; the code as it is in none. */
bool is_as_it_must_be(const mutant *now, const char *only, unsigned long runs, bool is_talkative)
{
    bool all_hold = true;

    chosen = now;
    for (const scenario &one : scenarios) {
        if (only == NULL || std::strcmp(only, one.name) == 0) {
            bool held = one.holds(runs, is_talkative);

            if (!held && now == NULL) {
                one.holds(runs, true);
            }

            all_hold = all_hold && held;
            if (now == NULL || !held) {
                std::printf("%-14s %-12s %s\n", now != NULL ? now->name : "", one.name,
                            held ? "holds" : "fails");
            }
            if (!held) {
                break;
            }
        }
    }
    if (now != NULL && all_hold) {
        std::printf("%-14s is not noticed\n", now->name);
    }
    return all_hold == (now == NULL);
}

} // namespace

rl::memory_order relacy_order(const char *function, const char *operation, rl::memory_order order)
{
    bool is_chosen = chosen != NULL && order == chosen->order &&
                     std::strcmp(function, chosen->function) == 0 &&
                     std::strcmp(operation, chosen->operation) == 0;

    return is_chosen ? rl::mo_relaxed : order;
}

int main(int argc, char **argv)
{
    const char *only = argc > 1 && std::strtoul(argv[1], NULL, 10) == 0 ? argv[1] : NULL;
    const char *number = only == NULL ? (argc > 1 ? argv[1] : NULL) : (argc > 2 ? argv[2] : NULL);
    unsigned long runs = number != NULL ? std::strtoul(number, NULL, 10) : 100000;
    const mutant *named = NULL;
    bool is_good = true;

    for (const mutant &one : mutants) {
        named = only != NULL && std::strcmp(only, one.name) == 0 ? &one : named;
    }
    if (named != NULL) {
        return is_as_it_must_be(named, NULL, runs, true) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    is_good = is_as_it_must_be(NULL, only, runs, false);
    for (const mutant &one : mutants) {
        is_good = (only != NULL || is_as_it_must_be(&one, NULL, runs, false)) && is_good;
    }
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
