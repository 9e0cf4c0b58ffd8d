/* SPDX-License-Identifier: MIT */
/* Random and concurrent traffic in a pool's shared memory: no two chunks overlap, and what is
 * free goes back to the system when it is much. */
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/arena_fixture.h"

enum {
    LEAST = HKI_ARENA_LEAST,
    PAGE = 64 * 1024,
    MIB = 1024 * 1024,
    CHUNKS = 200,
    THREADS = 4,
};

/* The same numbers in every run. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* --- Random traffic --------------------------------------------------------------------- */

/* Mostly small, some large. */
static uint64_t random_size(uint32_t *state)
{
    uint32_t order = next_random(state) % 11;

    return 1 + next_random(state) % ((uint64_t)LEAST << order);
}

static void let_go(struct hkt_chunk *chunk)
{
    HKT_TRUE(hkt_chunk_is_intact(chunk));
    hki_arena_give_back(hkt_arena, chunk->at);
    chunk->at = 0;
}

static void take_and_give_back(uint32_t seed, unsigned steps)
{
    struct hkt_chunk chunks[CHUNKS] = {{0}};
    uint32_t state = seed;

    for (unsigned i = 0; i < steps; i++) {
        struct hkt_chunk *chunk = &chunks[next_random(&state) % CHUNKS];

        if (chunk->at != 0) {
            let_go(chunk);
        } else if ((chunk->at = hki_arena_take(hkt_arena, random_size(&state), &chunk->bytes)) !=
                   0) {
            hkt_chunk_fill(chunk, (unsigned char)(next_random(&state) | 1));
        }
    }
    for (size_t i = 0; i < CHUNKS; i++) {
        if (chunks[i].at != 0) {
            let_go(&chunks[i]);
        }
    }
}

static void random_chunks_never_overlap(void)
{
    static const uint64_t sizes[] = {MIB, 3 * MIB + PAGE, 16 * MIB};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        hkt_arena_open(sizes[i]);
        for (uint32_t seed = 1; seed <= 5; seed++) {
            take_and_give_back(seed * 2654435761U, 20000 / hkt_slowness());
            hkt_arena_expect_whole();
        }
        hkt_arena_close();
    }
}

static struct hkt_barrier start;

static void *be_traffic(void *arg)
{
    hkt_barrier_wait(&start);
    take_and_give_back((uint32_t)(uintptr_t)arg * 40503U + 1, 20000 / hkt_slowness());
    return NULL;
}

/* A small hkt_arena, so that chunks are scarce and pages are discarded all the time. */
static void threads_take_and_give_back_at_once(void)
{
    pthread_t threads[THREADS];

    hkt_arena_open(4 * MIB);
    hkt_barrier_init(&start, THREADS, "start");
    for (uintptr_t i = 0; i < THREADS; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, be_traffic, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    hkt_barrier_fini(&start);
    hkt_arena_expect_whole();
    hkt_arena_close();
}

/* Two threads and two halves: there is always one, also while the other thread gives the
 * pages of its half to the system. */
static void *want_it_all(void *arg)
{
    unsigned *got = arg;

    hkt_barrier_wait(&start);
    for (unsigned i = 0; i < 2000 / hkt_slowness(); i++) {
        uint64_t at = hkt_arena_take(MIB / 2);

        HKT_TRUE(at != 0);
        if (at != 0) {
            *(volatile unsigned char *)hki_pool_at(hkt_memory->page, at) = 1;
            hki_arena_give_back(hkt_arena, at);
            (*got)++;
        }
    }
    return NULL;
}

static void nobody_is_refused_for_what_is_just_being_discarded(void)
{
    pthread_t threads[2];
    unsigned got[2] = {0};

    hkt_arena_open(MIB);
    hkt_barrier_init(&start, 2, "start");
    for (size_t i = 0; i < 2; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, want_it_all, &got[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        HKT_EQ_INT(got[i], 2000 / hkt_slowness());
    }
    hkt_barrier_fini(&start);
    hkt_arena_expect_whole();
    hkt_arena_close();
}

/* --- Memory of the system --------------------------------------------------------------- */

/* Memory that the system has given for the file. */
static uint64_t resident_bytes(void)
{
    struct stat status = {0};

    HKT_EQ_INT(fstat(hkt_memory->fd, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

static void little_free_memory_is_kept(void)
{
    uint64_t before;
    struct hkt_chunk chunk = {0};

    hkt_arena_open(16 * MIB);
    before = resident_bytes();
    chunk.at = hki_arena_take(hkt_arena, 4 * MIB, &chunk.bytes);
    hkt_chunk_fill(&chunk, 7);
    hki_arena_give_back(hkt_arena, chunk.at);
    HKT_EQ_INT(resident_bytes(), before + 4 * MIB);
    HKT_EQ_INT(hkt_arena_take(4 * MIB), chunk.at); /* The warm one first. */
    HKT_EQ_INT(resident_bytes(), before + 4 * MIB);
    hki_arena_give_back(hkt_arena, chunk.at);
    hkt_arena_close();
}

static void much_free_memory_goes_back(void)
{
    static const uint64_t sizes[] = {4096, PAGE, MIB, 8 * MIB, 64 * MIB};
    static struct hkt_chunk chunks[64 * MIB / 4096];
    uint64_t before;

    hkt_arena_open(64 * MIB);
    before = resident_bytes();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t count = (size_t)(64 * MIB / sizes[i]);

        for (size_t n = 0; n < count; n++) {
            chunks[n].at = hki_arena_take(hkt_arena, sizes[i], &chunks[n].bytes);
            HKT_TRUE_FATAL(chunks[n].at != 0);
            hkt_chunk_fill(&chunks[n], 9);
        }
        HKT_EQ_INT(resident_bytes(), before + 64 * MIB);
        for (size_t n = 0; n < count; n++) {
            hki_arena_give_back(hkt_arena, chunks[n].at);
        }
        HKT_TRUE(resident_bytes() <= before + 16 * MIB + PAGE);
    }
    hkt_arena_expect_whole();
    hkt_arena_close();
}

static void just_the_pages_that_were_touched_go_back(void)
{
    static const uint64_t pages[] = {1, 2, 8}; /* Lie at 0, 2 and 8 of 16. */
    struct hkt_chunk chunks[3] = {{0}};
    uint64_t before;

    hkt_arena_open(16 * PAGE);
    before = resident_bytes();
    for (int i = 0; i < 3; i++) {
        chunks[i].at = hki_arena_take(hkt_arena, pages[i] * PAGE, &chunks[i].bytes);
        HKT_EQ_INT(chunks[i].at, hkt_memory->page->arena_at + (i == 0 ? 0 : pages[i] * PAGE));
        hkt_chunk_fill(&chunks[i], 1);
    }
    for (int i = 0; i < 3; i++) {
        hki_arena_give_back(hkt_arena, chunks[i].at);
    }
    HKT_EQ_INT(resident_bytes(), before);
    hkt_arena_expect_whole();
    hkt_arena_close();
}

static void a_chunk_that_was_discarded_is_zero(void)
{
    struct hkt_chunk chunk = {0};

    hkt_arena_open(MIB);
    for (unsigned char mark = 1; mark < 5; mark++) {
        chunk.at = hki_arena_take(hkt_arena, MIB, &chunk.bytes);
        HKT_TRUE_FATAL(chunk.at != 0);
        chunk.mark = 0;
        HKT_TRUE(hkt_chunk_is_intact(&chunk));
        hkt_chunk_fill(&chunk, mark);
        hki_arena_give_back(hkt_arena, chunk.at);
    }
    hkt_arena_close();
}

static CU_TestInfo traffic_tests[] = {
    HKT_TEST(random_chunks_never_overlap),
    HKT_TEST(threads_take_and_give_back_at_once),
    HKT_TEST(nobody_is_refused_for_what_is_just_being_discarded),
    HKT_TEST(little_free_memory_is_kept),
    HKT_TEST(much_free_memory_goes_back),
    HKT_TEST(just_the_pages_that_were_touched_go_back),
    HKT_TEST(a_chunk_that_was_discarded_is_zero),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "pool arena traffic", .pTests = traffic_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
