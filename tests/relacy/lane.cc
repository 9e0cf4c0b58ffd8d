/* SPDX-License-Identifier: MIT */
/*
 * The lane (sync/lane.h) with its consumer's lock (sync/brief_lock.h) under relacy: see ring.cc.
 * What its nodes carry is plain data, and so is its head.
 */
#include "checker.h"

struct hki_lane_node;

/* A plain pointer that relacy watches; in place of the head. */
class plain_node
{
  public:
    plain_node &operator=(hki_lane_node *value)
    {
        node_(RL_INFO) = value;
        return *this;
    }

    operator hki_lane_node *() const
    {
        return node_(RL_INFO);
    }

  private:
    rl::var<hki_lane_node *> node_;
};

/* Made of sync/lane.h: the head is a plain_node. */
#include "lane_watched.h"

void hki_brief_lock_contend(struct hki_brief_lock *lock)
{
    (void)lock;
    RL_ASSERT(false); /* It is only tried here. */
}

namespace
{

enum { PRODUCERS = 2, CONSUMERS = 2, EACH = 2, ITEMS = PRODUCERS * EACH };

const mutant mutants[] = {
    {"link_release", "hki_lane_link_chain", "store", "&before->next", rl::mo_release,
     rl::mo_relaxed},
    {"unlink_acquire", "hki_lane_unlink", "load", "&head->next", rl::mo_acquire, rl::mo_relaxed},
    {"lock_acquire", "hki_brief_lock_try", "exchange", "&lock->word", rl::mo_acquire,
     rl::mo_relaxed},
    {"lock_release", "hki_brief_lock_release", "exchange", "&lock->word", rl::mo_release,
     rl::mo_relaxed},
    /* L1 */
    {"put_seq_cst", "hki_lane_put_chain", "add", "&lane->put", rl::mo_seq_cst, rl::mo_relaxed},
    {"count_seq_cst", "hki_lane_count", "load", "&lane->put", rl::mo_seq_cst, rl::mo_acquire},
    /* The same for who waits for room. */
    {"taken_seq_cst", "hki_lane_take", "store", "&lane->taken", rl::mo_seq_cst, rl::mo_relaxed},
    {"room_seq_cst", "hki_lane_count", "load", "&lane->taken", rl::mo_seq_cst, rl::mo_acquire},
};

struct parcel {
    hki_lane_node node; /* First: the two convert. */
    rl::var<unsigned> number;
};

template <typename Shape, unsigned Producers, unsigned Consumers>
struct lane_suite : rl::test_suite<Shape, Producers + Consumers> {
    hki_lane lane;
    parcel parcels[ITEMS];
    rl::atomic<unsigned> left;
    rl::var<unsigned> turns; /* The consumer's lock guards it. */
    unsigned taken[ITEMS];
    unsigned next[PRODUCERS];

    void before()
    {
        std::memset(taken, 0, sizeof(taken));
        std::memset(next, 0, sizeof(next));
        hki_lane_init(&lane);
        left($).store(Producers * EACH, rl::mo_relaxed);
        turns($) = 0;
    }

    void produce(unsigned who)
    {
        for (unsigned i = who * EACH; i < (who + 1) * EACH; i++) {
            parcels[i].number($) = i;
            if (!Shape::IN_CHAINS) {
                hki_lane_put(&lane, &parcels[i].node);
            } else if (i + 1 < (who + 1) * EACH) {
                parcels[i].node.next($).store(&parcels[i + 1].node, rl::mo_relaxed);
            }
        }
        if (Shape::IN_CHAINS) {
            hki_lane_put_chain(&lane, &parcels[who * EACH].node,
                               &parcels[who * EACH + EACH - 1].node, EACH);
        }
    }

    void consume()
    {
        while (left($).load(rl::mo_relaxed) != 0) {
            hki_lane_node *nodes[Shape::AT_ONCE];
            size_t count = 0;

            if (hki_brief_lock_try(&lane.consumer)) {
                count = hki_lane_take(&lane, nodes, Shape::AT_ONCE);
                for (size_t i = 0; i < count; i++) {
                    unsigned number = reinterpret_cast<parcel *>(nodes[i])->number($);

                    RL_ASSERT(number < ITEMS);
                    taken[number]++;
                    /* In the order of its producer. */
                    RL_ASSERT(number == number / EACH * EACH + next[number / EACH]);
                    next[number / EACH]++;
                }
                turns($) = unsigned(turns($)) + 1;
                hki_brief_lock_release(&lane.consumer);
                /* relaxed: it says nothing of the items. */
                left($).fetch_sub(unsigned(count), rl::mo_relaxed);
            }
            if (count == 0) {
                rl::yield(1, $);
            }
        }
    }

    void thread(unsigned index)
    {
        if (index < Producers) {
            produce(index);
        } else {
            consume();
        }
    }

    void after()
    {
        for (unsigned i = 0; i < Producers * EACH; i++) {
            RL_ASSERT(taken[i] == 1);
        }
        RL_ASSERT(hki_lane_count(&lane) == 0);
    }
};

struct one_by_one : lane_suite<one_by_one, 2, 1> {
    enum { AT_ONCE = 1, IN_CHAINS = false };
};

struct in_turn : lane_suite<in_turn, 2, 2> {
    enum { AT_ONCE = 1, IN_CHAINS = false };
};

struct batches : lane_suite<batches, 2, 2> {
    enum { AT_ONCE = 3, IN_CHAINS = false };
};

struct chains : lane_suite<chains, 2, 2> {
    enum { AT_ONCE = 3, IN_CHAINS = true };
};

/* Work and sleep, room and waiting for it: one of the two sees the other. */
template <typename Shape> struct meeting : rl::test_suite<Shape, 2> {
    hki_lane lane;
    hki_lane_node node;
    rl::atomic<unsigned> waiting;
    bool was_seen;
    bool was_called;

    void before()
    {
        hki_lane_init(&lane);
        waiting($).store(0, rl::mo_relaxed);
        if (Shape::IS_FULL) {
            hki_lane_put(&lane, &node);
        }
    }

    void thread(unsigned index)
    {
        if (index == 1) {
            /* It comes early or late: a take has many steps. */
            for (unsigned turns = rl::rand(16); turns > 0; turns--) {
                rl::yield(1, $);
            }
            waiting($).fetch_add(1, rl::mo_seq_cst);
            was_seen = (hki_lane_count(&lane) != 0) != Shape::IS_FULL;
            return;
        }
        if (Shape::IS_FULL) {
            hki_lane_node *got;

            RL_ASSERT(hki_lane_take(&lane, &got, 1) == 1);
        } else {
            hki_lane_put(&lane, &node);
        }
        was_called = waiting($).load(rl::mo_seq_cst) != 0;
    }

    void after()
    {
        RL_ASSERT(was_seen || was_called);
    }
};

struct work : meeting<work> {
    enum { IS_FULL = false };
};

struct room : meeting<room> {
    enum { IS_FULL = true };
};

const scenario scenarios[] = {
    {"one_by_one", holds<one_by_one>}, {"in_turn", holds<in_turn>}, {"batches", holds<batches>},
    {"chains", holds<chains>},         {"work", holds<work>},       {"room", holds<room>},
};

} // namespace

int main(int argc, char **argv)
{
    return check_main(argc, argv, scenarios, mutants);
}
