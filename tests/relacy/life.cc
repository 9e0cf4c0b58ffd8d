/* SPDX-License-Identifier: MIT */
/*
 * The life of a future (futures/life.h) under relacy: see ring.cc. What ends with it is plain
 * data, and so is what its last owner does to it.
 */
#include "checker.h"

#include "life_copy.h"

namespace
{

const mutant mutants[] = {
    {"see_acquire", "hki_life_see", "load", "&life->word", rl::mo_acquire, rl::mo_relaxed},
    {"swap_release", "hki_life_swap", "exchange", "&life->word", rl::mo_seq_cst, rl::mo_acquire},
    {"publish_release", "hki_life_publish_and_let_go", "exchange", "&life->word", rl::mo_seq_cst,
     rl::mo_acquire},
    {"publish_acquire", "hki_life_publish_and_let_go", "exchange", "&life->word", rl::mo_seq_cst,
     rl::mo_release},
    {"let_go_release", "hki_life_let_go", "sub", "&life->word", rl::mo_acq_rel, rl::mo_acquire},
    {"let_go_acquire", "hki_life_let_go", "sub", "&life->word", rl::mo_acq_rel, rl::mo_release},
    {"shared_release", "hki_life_let_go_shared", "exchange", "&life->word", rl::mo_release,
     rl::mo_relaxed},
};

enum { THREADS = 3, FREED = 99 };

/* Every thread is an owner, and uses the object until it lets go. */
template <typename Scenario> struct life_suite : rl::test_suite<Scenario, THREADS> {
    hki_life life;
    rl::var<unsigned> outcome;
    rl::var<unsigned> mark[THREADS];
    rl::atomic<unsigned> last_owners;

    void before()
    {
        hki_life_init(&life, THREADS, HKI_PENDING);
        last_owners($).store(0, rl::mo_relaxed);
        outcome($) = 0;
        for (unsigned i = 0; i < THREADS; i++) {
            mark[i]($) = 0;
        }
    }

    void after()
    {
        RL_ASSERT(last_owners($).load(rl::mo_relaxed) == 1);
        RL_ASSERT(unsigned(outcome($)) == FREED);
    }

    /* Each write is a race if anybody else's use could come at the same time. */
    void destroy()
    {
        last_owners($).fetch_add(1, rl::mo_relaxed);
        outcome($) = FREED;
        for (unsigned i = 0; i < THREADS; i++) {
            mark[i]($) = FREED;
        }
    }

    void let_go(unsigned index)
    {
        mark[index]($) = 1;
        if (hki_life_let_go(&life)) {
            destroy();
        }
    }

    unsigned await_end()
    {
        uint64_t word;

        while (!hki_phase_ended(unsigned(word = hki_life_see(&life)))) {
            rl::yield(1, $);
        }
        return hki_phase(unsigned(word));
    }

    void publish_and_let_go(unsigned index)
    {
        bool last = false;

        mark[index]($) = 1;
        RL_ASSERT(hki_life_publish_and_let_go(&life, HKI_DONE, &last));
        if (last) {
            destroy();
        }
    }
};

/* One runs, the others wait for it, or do not. */
struct runs : life_suite<runs> {
    void thread(unsigned index)
    {
        uint64_t word;

        if (index == 0) {
            RL_ASSERT(hki_life_start(&life, &word));
            outcome($) = 1;
            publish_and_let_go(index);
            return;
        }
        if (index == 1) {
            RL_ASSERT(await_end() == HKI_DONE);
            RL_ASSERT(unsigned(outcome($)) == 1);
        }
        let_go(index);
    }
};

/* One runs, and nobody wants to know. */
struct unwanted : life_suite<unwanted> {
    void thread(unsigned index)
    {
        uint64_t word;

        if (index != 0) {
            let_go(index);
            return;
        }
        RL_ASSERT(hki_life_start(&life, &word));
        outcome($) = 1;
        publish_and_let_go(index);
    }
};

/* Who starts and who cancels: one of the two. */
struct cancelled : life_suite<cancelled> {
    void thread(unsigned index)
    {
        uint64_t word;

        if (index == 0 && hki_life_start(&life, &word)) {
            RL_ASSERT(hki_life_claim_end(&life, HKI_RUNNING, &word));
            outcome($) = HKI_DONE;
            RL_ASSERT(hki_life_publish(&life, HKI_DONE));
        } else if (index == 1 && hki_life_claim_end(&life, HKI_PENDING, &word)) {
            outcome($) = HKI_CANCELLED;
            RL_ASSERT(hki_life_publish(&life, HKI_CANCELLED));
        } else if (index == 2) {
            unsigned phase = await_end();

            RL_ASSERT(unsigned(outcome($)) == phase);
        }
        let_go(index);
    }
};

/* Who watches is told, or finds that it has ended. */
struct watched : life_suite<watched> {
    rl::atomic<unsigned> told;

    void before()
    {
        life_suite<watched>::before();
        told($).store(0, rl::mo_relaxed);
    }

    void thread(unsigned index)
    {
        uint64_t word;
        bool last = false;

        if (index == 1 && hki_life_watch(&life, &word)) {
            while (told($).load(rl::mo_acquire) == 0) {
                rl::yield(1, $);
            }
        }
        if (index == 1) {
            RL_ASSERT(await_end() == HKI_DONE && unsigned(outcome($)) == 1);
        }
        if (index != 0) {
            let_go(index);
            return;
        }
        RL_ASSERT(hki_life_start(&life, &word));
        outcome($) = 1;
        mark[0]($) = 1;
        if (hki_life_publish_and_let_go(&life, HKI_DONE, &last)) {
            if (last) {
                destroy();
            }
            return;
        }
        word = hki_life_see(&life);
        while (
            !hki_life_swap(&life, &word, hki_with_phase(word, HKI_DONE) & ~unsigned(HKI_WATCHED))) {
        }
        told($).store(1, rl::mo_release);
        let_go(0);
    }
};

/* Some give up theirs only while it is not the last; new ones come meanwhile. */
struct shared : life_suite<shared> {
    void thread(unsigned index)
    {
        uint64_t word;

        if (index == 0) {
            RL_ASSERT(hki_life_start(&life, &word));
            outcome($) = 1;
            RL_ASSERT(hki_life_publish(&life, HKI_DONE));
        } else if (index == 1) {
            hki_life_hold(&life);
            let_go(index);
        }
        mark[index]($) = 2;
        if (!hki_life_let_go_shared(&life)) {
            let_go(index);
        }
    }
};

/* Who ends it has none of his own: whoever sees the end may be the last owner. */
struct lent : life_suite<lent> {
    void before()
    {
        life_suite<lent>::before();
        hki_life_init(&life, THREADS - 1, HKI_PENDING);
    }

    void thread(unsigned index)
    {
        if (index == 0) {
            RL_ASSERT(hki_life_claim_end_and_hold(&life));
            outcome($) = 1;
            publish_and_let_go(index);
            return;
        }
        RL_ASSERT(await_end() == HKI_DONE);
        RL_ASSERT(index != 1 || unsigned(outcome($)) == 1);
        let_go(index);
    }
};

const scenario scenarios[] = {
    {"runs", holds<runs>},       {"unwanted", holds<unwanted>}, {"cancelled", holds<cancelled>},
    {"watched", holds<watched>}, {"shared", holds<shared>},     {"lent", holds<lent>},
};

} // namespace

int main(int argc, char **argv)
{
    return check_main(argc, argv, scenarios, mutants);
}
