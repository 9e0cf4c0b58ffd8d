/* SPDX-License-Identifier: MIT */
/* Counters of which each thread has cells of its own (base/tally.h). */
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/live.h"
#include "base/sanitizers.h"
#include "base/tally.h"
#include "tests/fixture.h"

enum { THREADS = 8, ROUNDS = 20000 };

static pthread_barrier_t barrier;
static pthread_key_t late_key;

static int64_t blocks(void)
{
    return hki_tally_sum(HKI_TALLY_BLOCKS);
}

static void *count_up(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        hki_tally_add(HKI_TALLY_BLOCKS, 3);
        hki_tally_add(HKI_TALLY_BLOCKS, -2);
    }
    return NULL;
}

static void what_ended_threads_counted_stays(void)
{
    pthread_t threads[THREADS];
    int64_t before = blocks();

    for (int i = 0; i < THREADS; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, count_up, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    HKT_EQ_INT(blocks() - before, THREADS * ROUNDS);
    hki_tally_add(HKI_TALLY_BLOCKS, -THREADS * ROUNDS);
    HKT_EQ_INT(blocks(), before);
}

/* Counts one, and stays until it is let go. */
static void *count_and_stay(void *arg)
{
    hki_tally_add(HKI_TALLY_BLOCKS, 1);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return arg;
}

static void living_threads_are_in_the_sum(void)
{
    int64_t before = blocks();
    pthread_t thread;

    pthread_barrier_init(&barrier, NULL, 2);
    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, count_and_stay, NULL), 0);
    pthread_barrier_wait(&barrier);
    HKT_EQ_INT(blocks() - before, 1);
    hki_tally_add(HKI_TALLY_BLOCKS, -1); /* One cell is 1, the other -1. */
    HKT_EQ_INT(blocks(), before);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    HKT_EQ_INT(blocks(), before);
    pthread_barrier_destroy(&barrier);
}

/* clang's ThreadSanitizer takes itself down in the last round, and what it has instrumented must
 * not run after that. */
#if HKI_THREAD_SANITIZER && defined(__clang__)
#define LATE_ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#define LATE_ROUNDS (2 * PTHREAD_DESTRUCTOR_ITERATIONS)
#endif

/* The key is younger than the tally's, so its destructor runs later. In each of the rounds that
 * destructors are given: in the last nobody comes to collect. */
static void count_late(void *value)
{
    static _Thread_local int rounds;

    hki_tally_add(HKI_TALLY_BLOCKS, 1);
    if (++rounds < LATE_ROUNDS) {
        pthread_setspecific(late_key, value);
    }
}

static void *end_late(void *arg)
{
    hki_tally_add(HKI_TALLY_BLOCKS, 1);
    pthread_setspecific(late_key, arg);
    return NULL;
}

static void destructors_may_count_to_the_last(void)
{
    int64_t before = blocks();
    pthread_t thread;

    HKT_EQ_INT_FATAL(pthread_key_create(&late_key, count_late), 0);
    for (int i = 0; i < THREADS; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, end_late, &barrier), 0);
        pthread_join(thread, NULL);
    }
    pthread_key_delete(late_key);
    HKT_TRUE(blocks() - before > THREADS);
    HKT_EQ_INT((blocks() - before) % THREADS, 0);
    hki_tally_add(HKI_TALLY_BLOCKS, before - blocks());
}

/* In the child the other thread is gone; its memory is overwritten by new ones. */
static int child_of(int64_t expected)
{
    pthread_t threads[THREADS];

    if (blocks() != expected) {
        return 1;
    }
    if (!HKT_CHILDREN_START_THREADS) {
        return 0;
    }
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, count_up, NULL) != 0) {
            return 2;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return blocks() == expected + THREADS * ROUNDS ? 0 : 3;
}

static void a_child_keeps_what_was_counted(void)
{
    pthread_t thread;
    int status = -1;
    int64_t expected;
    pid_t child;

    pthread_barrier_init(&barrier, NULL, 2);
    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, count_and_stay, NULL), 0);
    pthread_barrier_wait(&barrier);
    expected = blocks();
    child = fork();
    if (child == 0) {
        _exit(child_of(expected));
    }
    HKT_TRUE_FATAL(child > 0);
    HKT_EQ_INT(waitpid(child, &status, 0), child);
    HKT_EQ_INT(status, 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    hki_tally_add(HKI_TALLY_BLOCKS, -1);
    pthread_barrier_destroy(&barrier);
}

static void counters_are_apart(void)
{
    long futures = hki_live_count(HKI_LIVE_FUTURES);
    long errors = hki_live_count(HKI_LIVE_ERRORS);

    hki_live_add(HKI_LIVE_ERRORS, 2);
    HKT_EQ_INT(hki_live_count(HKI_LIVE_FUTURES), futures);
    HKT_EQ_INT(hki_live_count(HKI_LIVE_ERRORS), errors + 2);
    hki_live_add(HKI_LIVE_ERRORS, -2);
}

static CU_TestInfo tests[] = {
    HKT_CASE("what ended threads counted stays", what_ended_threads_counted_stays),
    HKT_CASE("living threads are in the sum", living_threads_are_in_the_sum),
    HKT_CASE("destructors may count to the last", destructors_may_count_to_the_last),
    HKT_CASE("a child keeps what was counted", a_child_keeps_what_was_counted),
    HKT_CASE("counters are apart", counters_are_apart),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "tally", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
