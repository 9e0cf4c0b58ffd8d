/* SPDX-License-Identifier: MIT */
/*
 * The cells of a ring (sync/ring_cells.h) under relacy, a checker that runs threads as
 * fibers in many orders and lets loads see every value that the memory model of C11 allows:
 * also what no x86 shows. It tells a race on plain data from the lack of an order; items, and
 * what they point at, are such data.
 */
#include "checker.h"

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

const mutant mutants[] = {
    {"put_release", "hki_cells_put", "store", "", rl::mo_release, rl::mo_relaxed},
    {"take_release", "hki_cells_take", "store", "", rl::mo_release, rl::mo_relaxed},
    {"ready_acquire", "hki_cells_ready", "load", "", rl::mo_acquire, rl::mo_relaxed},
    {"closed_acquire", "hki_cells_take", "load", "", rl::mo_acquire, rl::mo_relaxed},
    {"close_release", "hki_cells_close", "or", "", rl::mo_seq_cst, rl::mo_relaxed},
};

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

const scenario scenarios[] = {
    {"single_cell", holds<single_cell>},
    {"two_cells", holds<two_cells>},
    {"batches", holds<batches>},
    {"early_close", holds<early_close>},
};

} // namespace

int main(int argc, char **argv)
{
    return check_main(argc, argv, scenarios, mutants);
}
