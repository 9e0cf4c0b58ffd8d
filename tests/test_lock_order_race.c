/* SPDX-License-Identifier: MIT */
/* The checker of lock orders against a naive one, and with many threads at once. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sync/lock_chains.h"
#include "tests/harness.h"
#include "tests/order_fixture.h"

enum { THREADS = 4 };

static struct hkt_reports reports;

/* A generator for each thread, so that a failure can be repeated. */
static uint32_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

static unsigned below(uint64_t *state, unsigned bound)
{
    return next(state) % bound;
}

static unsigned rounds(unsigned count)
{
    return count / hkt_slowness() + 1;
}

/* Runs fn in all threads with a seed each, and waits for them. */
static void run_threads(void *(*fn)(void *seed))
{
    static uint64_t seeds[THREADS] = {1, 2, 3, 4};
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, fn, &seeds[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* --- Against a naive checker ---------------------------------------------------------- */

enum { MODEL_LOCKS = 24 };

struct model {
    struct hkt_lock locks[MODEL_LOCKS];
    bool learned[MODEL_LOCKS][MODEL_LOCKS];
    bool allowed[MODEL_LOCKS][MODEL_LOCKS];
};

static struct model model;

static bool leads_to(size_t from, size_t to, bool *seen)
{
    if (from == to) {
        return true;
    }
    seen[from] = true;
    for (size_t i = 0; i < MODEL_LOCKS; i++) {
        if (model.learned[from][i] && !seen[i] && leads_to(i, to, seen)) {
            return true;
        }
    }
    return false;
}

static bool is_wrong(const size_t *held, size_t count, size_t wanted)
{
    for (size_t i = 0; i < count; i++) {
        bool seen[MODEL_LOCKS] = {false};

        if (!model.allowed[held[i]][wanted] && leads_to(wanted, held[i], seen)) {
            return true;
        }
    }
    return false;
}

/* Takes some locks one inside the other, and asks the model each time; now and then by a
 * try, which is neither judged nor learned. */
static unsigned take_some(uint64_t *random)
{
    enum { LENGTH_MAX = 8 };
    struct hkt_holder holder = {.count = 0};
    size_t held[LENGTH_MAX] = {0};
    size_t length = 2 + below(random, LENGTH_MAX - 1);
    unsigned refused = 0;

    for (size_t i = 0; i < length; i++) {
        size_t wanted = below(random, MODEL_LOCKS);
        bool is_held = false;
        bool wrong;

        for (size_t k = 0; k < holder.count; k++) {
            is_held = is_held || held[k] == wanted;
        }
        if (is_held) {
            continue;
        }
        if (below(random, 8) == 0) {
            hkt_take_by_try(&holder, &model.locks[wanted]);
            held[holder.count - 1] = wanted;
            continue;
        }
        wrong = is_wrong(held, holder.count, wanted);
        HKT_STATUS(hkt_take(&holder, &model.locks[wanted]), wrong ? HK_EORDER : HK_OK);
        refused += wrong;
        for (size_t k = 0; !wrong && k + 1 < holder.count; k++) {
            model.learned[held[k]][wanted] |= !model.allowed[held[k]][wanted];
        }
        if (!wrong) {
            held[holder.count - 1] = wanted;
        }
    }
    return refused;
}

static void forget_one(size_t which)
{
    hki_order_forget(model.locks[which].identity);
    hkt_lock_init(&model.locks[which], "again");
    for (size_t i = 0; i < MODEL_LOCKS; i++) {
        model.learned[which][i] = model.learned[i][which] = false;
        model.allowed[which][i] = model.allowed[i][which] = false;
    }
}

static void allow_two(size_t one, size_t other)
{
    HKT_OK(hki_order_allow(model.locks[one].identity, model.locks[other].identity));
    model.learned[one][other] = model.learned[other][one] = false;
    model.allowed[one][other] = model.allowed[other][one] = true;
}

static size_t learned_count(void)
{
    size_t count = 0;

    for (size_t i = 0; i < MODEL_LOCKS; i++) {
        for (size_t k = 0; k < MODEL_LOCKS; k++) {
            count += model.learned[i][k];
        }
    }
    return count;
}

static void random_orders_agree_with_a_naive_checker(void)
{
    uint64_t random = 20240607;
    unsigned refused = 0;
    unsigned count = rounds(30000);
    size_t edges;
    size_t saved = 0;

    hkt_order_open(&reports);
    memset(&model, 0, sizeof(model));
    hkt_locks_init(model.locks, MODEL_LOCKS);
    for (unsigned i = 0; i < count && hkt_fail_count() == 0; i++) {
        unsigned what = below(&random, 100);

        if (what < 4) {
            forget_one(below(&random, MODEL_LOCKS));
        } else if (what == 4) {
            allow_two(below(&random, MODEL_LOCKS), below(&random, MODEL_LOCKS));
        } else {
            refused += take_some(&random);
        }
        /* The model has an edge for each pair, the graph none for what follows. */
        edges = hkt_order_stats().edges;
        HKT_TRUE(edges <= learned_count());
        saved += learned_count() - edges;
    }
    /* Both answers were given often, and it was worth it. */
    HKT_TRUE(refused > count / 4);
    HKT_TRUE(refused < count * 6);
    HKT_TRUE(saved > count);
    hkt_order_close();
}

/* Any order that some arrangement explains is accepted, in whichever sequence its
 * edges come. */
static void an_order_without_rings_is_never_refused(void)
{
    enum { NODES = 300 };
    static struct hkt_lock locks[NODES];
    uint64_t random = 7;
    unsigned count = rounds(20000);

    hkt_order_open(&reports);
    hkt_locks_init(locks, NODES);
    for (unsigned i = 0; i < count; i++) {
        unsigned one = below(&random, NODES);
        unsigned other = below(&random, NODES);

        if (one != other) {
            HKT_OK(hkt_order_nest(&locks[one < other ? one : other],
                                  &locks[one < other ? other : one]));
        }
    }
    for (unsigned i = 0; i < count; i++) {
        struct hkt_lock *wanted[3];
        unsigned first = below(&random, NODES - 2);

        wanted[0] = &locks[first + 2];
        wanted[1] = &locks[first];
        wanted[2] = &locks[first + 1];
        HKT_OK(hkt_order_sort(NULL, wanted, 3));
    }
    HKT_EQ_INT(reports.count, 0);
    hkt_order_close();
}

/* --- The set of chains ----------------------------------------------------------------- */

static void *use_chains(void *seed)
{
    uint64_t random = *(uint64_t *)seed;

    /* Keys of threads meet on the same lines; odd ones are never added. */
    for (unsigned i = rounds(200000); i > 0; i--) {
        uint64_t key = ((uint64_t)below(&random, 8) << 61 | (next(&random) & 0xFFF)) << 1;

        hki_chains_add(key);
        HKT_TRUE(!hki_chains_have(key | 1));
        HKT_TRUE(!hki_chains_have(0));
    }
    return NULL;
}

static void no_chain_is_known_that_was_not_added(void)
{
    uint64_t key = hki_order_new_identity();

    HKT_TRUE(!hki_order_known(key));
    hki_chains_add(key);
    HKT_TRUE(hki_order_known(key));
    run_threads(use_chains);
}

/* --- Threads that learn ------------------------------------------------------------------ */

enum { SHARED = 64 };

static struct hkt_lock shared[SHARED];
static int nowhere; /* A descriptor that takes everything. */

/* Chains that only go up, and end in a lock that comes and goes. */
static void *climb(void *seed)
{
    uint64_t random = *(uint64_t *)seed;

    for (unsigned i = rounds(5000); i > 0; i--) {
        struct hkt_holder holder = {.count = 0};
        struct hkt_lock own;

        hkt_lock_init(&own, "own");
        for (unsigned at = below(&random, 8); at < SHARED && holder.count < 6;) {
            HKT_OK(hkt_take(&holder, &shared[at]));
            at += 1 + below(&random, 16);
        }
        HKT_OK(hkt_take(&holder, &own));
        hki_order_forget(own.identity);
        if (i % 256 == 0) {
            HKT_OK(hk_lock_graph_write(nowhere));
        }
    }
    return NULL;
}

static void threads_of_one_order_are_never_refused(void)
{
    hkt_order_open(&reports);
    hkt_locks_init(shared, SHARED);
    nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    run_threads(climb);
    close(nowhere);
    HKT_TRUE(hkt_order_stats().nodes <= SHARED);
    HKT_EQ_INT(reports.count, 0);
    for (size_t i = 0; i + 1 < SHARED; i++) {
        HKT_OK(hkt_order_nest(&shared[i], &shared[i + 1]));
    }
    hkt_order_close();
}

/* Many new locks at once, so that several threads find the tables full. */
static void *spread(void *seed)
{
    enum { OWN = 600 };
    struct hkt_lock *own = calloc(OWN, sizeof(*own));

    (void)seed;
    HKT_TRUE_FATAL(own != NULL);
    hkt_locks_init(own, OWN);
    for (size_t i = 0; i + 3 < OWN; i++) {
        for (size_t k = 1; k <= 3; k++) {
            HKT_OK(hkt_order_nest(&own[i], &own[i + k]));
        }
    }
    for (size_t i = 0; i < OWN; i += 2) {
        hki_order_forget(own[i].identity);
    }
    free(own);
    return NULL;
}

static void tables_grow_under_many_threads(void)
{
    hkt_order_open(&reports);
    run_threads(spread);
    HKT_EQ_INT(hkt_order_stats().nodes, THREADS * 300);
    HKT_EQ_INT(hkt_order_stats().dropped, 0);
    hkt_order_close();
}

/* --- Threads that disagree ---------------------------------------------------------------- */

enum { DUELS = 400 };

static struct hkt_lock duel_locks[DUELS][2];
static hk_status duel_outcomes[DUELS][THREADS];
static struct hkt_barrier duel_start;
static atomic_uint duel_number;
static atomic_uint duel_reports;

/* Half of the threads take the two one way, half the other. */
static void *fight(void *seed)
{
    unsigned me = atomic_fetch_add(&duel_number, 1);

    (void)seed;
    for (size_t i = 0; i < rounds(DUELS) && i < DUELS; i++) {
        hkt_barrier_wait(&duel_start);
        duel_outcomes[i][me] = hkt_order_nest(&duel_locks[i][me % 2], &duel_locks[i][1 - me % 2]);
    }
    return NULL;
}

static void count_duel(const hk_lock_report *report, void *arg)
{
    (void)arg;
    HKT_EQ_INT(report->edge_count, 2);
    atomic_fetch_add(&duel_reports, 1);
}

static void of_two_orders_one_is_refused_and_told_once(void)
{
    unsigned count = rounds(DUELS) < DUELS ? rounds(DUELS) : DUELS;

    hkt_order_open(&reports);
    hk_on_lock_report(count_duel, NULL);
    atomic_store(&duel_number, 0);
    atomic_store(&duel_reports, 0);
    hkt_barrier_init(&duel_start, THREADS, "duel");
    hkt_locks_init(duel_locks[0], (size_t)DUELS * 2);
    run_threads(fight);
    for (unsigned i = 0; i < count; i++) {
        HKT_EQ_INT(duel_outcomes[i][0], duel_outcomes[i][2]);
        HKT_EQ_INT(duel_outcomes[i][1], duel_outcomes[i][3]);
        HKT_TRUE((duel_outcomes[i][0] == HK_OK) != (duel_outcomes[i][1] == HK_OK));
    }
    HKT_EQ_INT(atomic_load(&duel_reports), count);
    hkt_barrier_fini(&duel_start);
    hkt_order_close();
}

/* --- Threads that sort ----------------------------------------------------------------- */

enum { SORTED = 12, AT_ONCE = 5 };

/* Real locks: who does not agree on an order hangs, and the watchdog ends it. */
static pthread_mutex_t mutexes[SORTED];
static unsigned payload[SORTED]; /* Plain: only the mutexes guard it. */

/* Some of the shared locks, in any order. */
static size_t pick(uint64_t *random, struct hkt_lock **wanted)
{
    struct hkt_lock *all[SORTED];
    size_t count = 2 + below(random, AT_ONCE - 1);

    for (size_t i = 0; i < SORTED; i++) {
        all[i] = &shared[i];
    }
    for (size_t i = 0; i < count; i++) {
        size_t k = i + below(random, SORTED - (unsigned)i);

        wanted[i] = all[k];
        all[k] = all[i];
    }
    return count;
}

/* Takes some at once; turns the graph about by orders that are learned in between. */
static void *sort_and_take(void *seed)
{
    uint64_t random = *(uint64_t *)seed;

    for (unsigned i = rounds(4000); i > 0; i--) {
        struct hkt_lock *wanted[AT_ONCE];
        size_t count = pick(&random, wanted);
        struct hkt_lock passing;

        hkt_lock_init(&passing, "passing");
        (void)hkt_order_nest(&shared[below(&random, SORTED)], &passing);
        (void)hkt_order_nest(&passing, &shared[below(&random, SORTED)]);
        HKT_OK(hkt_order_sort(NULL, wanted, count));
        for (size_t k = 0; k < count; k++) {
            pthread_mutex_lock(&mutexes[wanted[k] - shared]);
            sched_yield(); /* Here the others may meet it. */
        }
        for (size_t k = 0; k < count; k++) {
            payload[wanted[k] - shared]++;
            pthread_mutex_unlock(&mutexes[wanted[k] - shared]);
        }
        hki_order_forget(passing.identity);
    }
    return NULL;
}

static void ignore(const hk_lock_report *report, void *arg)
{
    (void)report;
    (void)arg;
}

static void threads_that_sort_never_wait_in_a_ring(void)
{
    unsigned sum = 0;

    hkt_order_open(&reports);
    hk_on_lock_report(ignore, NULL);
    hkt_locks_init(shared, SORTED);
    /* Two that may go either way, and two of one class. */
    HKT_OK(hki_order_allow(shared[0].identity, shared[1].identity));
    shared[5].identity = shared[4].identity;
    memset(payload, 0, sizeof(payload));
    for (size_t i = 0; i < SORTED; i++) {
        pthread_mutex_init(&mutexes[i], NULL);
    }
    run_threads(sort_and_take);
    for (size_t i = 0; i < SORTED; i++) {
        sum += payload[i];
        pthread_mutex_destroy(&mutexes[i]);
    }
    HKT_TRUE(sum >= 2 * THREADS * rounds(4000));
    hkt_order_close();
}

/* --- A fork in between ----------------------------------------------------------------- */

static atomic_bool is_over;

static void *learn_until_over(void *arg)
{
    while (!atomic_load(&is_over)) {
        (void)spread(arg);
    }
    return NULL;
}

static void nest_in_child(void *arg)
{
    struct hkt_lock locks[2];

    (void)arg;
    hkt_locks_init(locks, 2);
    HKT_OK(hkt_order_nest(&locks[0], &locks[1]));
    HKT_STATUS(hkt_order_nest(&locks[1], &locks[0]), HK_EORDER);
}

static void a_child_goes_on_checking(void)
{
    pthread_t thread;

    hkt_order_open(&reports);
    atomic_store(&is_over, false);
    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, learn_until_over, NULL), 0);
    for (unsigned i = 0; i < rounds(20); i++) {
        struct hkt_child child;

        hkt_run_in_child(nest_in_child, NULL, &child);
        HKT_EQ_INT(child.term_signal, 0);
        HKT_EQ_STR(child.output, "");
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    hkt_order_close();
}

static CU_TestInfo models[] = {
    HKT_TEST(random_orders_agree_with_a_naive_checker),
    HKT_TEST(an_order_without_rings_is_never_refused),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo races[] = {
    HKT_TEST(no_chain_is_known_that_was_not_added),
    HKT_TEST(threads_of_one_order_are_never_refused),
    HKT_TEST(tables_grow_under_many_threads),
    HKT_TEST(of_two_orders_one_is_refused_and_told_once),
    HKT_TEST(threads_that_sort_never_wait_in_a_ring),
    HKT_TEST(a_child_goes_on_checking),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "models", .pTests = models},
    {.pName = "races", .pTests = races},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
