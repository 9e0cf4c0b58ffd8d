/* SPDX-License-Identifier: MIT */
/* The allocator of a pool's shared memory: what it gives, that no two chunks overlap, that all
 * joins again, and that free memory goes back to the system. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "executors/process_pool/arena.h"
#include "tests/allocation_fixture.h"
#include "tests/child_fixture.h"

enum {
    LEAST = HKI_ARENA_LEAST,
    PAGE = 64 * 1024,
    MIB = 1024 * 1024,
    CHUNKS = 200,
    THREADS = 4,
};

/* --- An arena and the memory below it --------------------------------------------------- */

static struct hki_pool_memory *memory;
static struct hki_arena *arena;

static void open_arena(uint64_t bytes)
{
    HKT_OK_FATAL(hki_pool_memory_create(1, bytes, &memory));
    HKT_OK_FATAL(hki_arena_create(memory, &arena));
}

static void close_arena(void)
{
    hki_arena_unref(arena);
    hki_pool_memory_unref(memory);
}

static uint64_t take(uint64_t bytes)
{
    uint64_t capacity = 0;
    uint64_t at = hki_arena_take(arena, bytes, &capacity);

    HKT_TRUE(at == 0 || capacity >= bytes);
    return at;
}

/* That it is one piece again, and nothing is out. */
static void expect_whole(void)
{
    uint64_t at;

    HKT_EQ_INT(hki_arena_used(arena), 0);
    at = take(hki_arena_largest(arena));
    HKT_TRUE(at != 0);
    if (at != 0) {
        hki_arena_give_back(arena, at);
    }
    HKT_EQ_INT(hki_arena_used(arena), 0);
}

/* Memory that the system has given for the file. */
static uint64_t resident_bytes(void)
{
    struct stat status = {0};

    HKT_EQ_INT(fstat(memory->fd, &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

/* The same numbers in every run. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* --- Sizes ------------------------------------------------------------------------------ */

static void sizes_are_rounded_up_to_powers_of_two(void)
{
    static const uint64_t asked[] = {0,    1,       255,     256,     257,     512,
                                     4096, 4097,    32768,   32769,   65536,   65537,
                                     MIB,  MIB + 1, 5 * MIB, 8 * MIB, 16 * MIB};
    static const uint64_t given[] = {256,  256,     256,     256,     512,     512,
                                     4096, 8192,    32768,   65536,   65536,   131072,
                                     MIB,  2 * MIB, 8 * MIB, 8 * MIB, 16 * MIB};

    open_arena(16 * MIB);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        uint64_t capacity = 0;
        uint64_t at = hki_arena_take(arena, asked[i], &capacity);

        HKT_TRUE(at >= memory->page->arena_at);
        HKT_EQ_INT(capacity, given[i]);
        HKT_EQ_INT(hki_arena_used(arena), given[i]);
        hki_arena_give_back(arena, at);
    }
    HKT_EQ_INT(take(16 * MIB + 1), 0);
    HKT_EQ_INT(take(UINT64_MAX), 0);
    expect_whole();
    close_arena();
}

static void chunks_are_aligned_to_their_size_up_to_a_page(void)
{
    open_arena(16 * MIB);
    for (uint64_t bytes = LEAST; bytes <= MIB; bytes *= 2) {
        uint64_t align = bytes < 4096 ? bytes : 4096;
        uint64_t small = take(LEAST); /* Sets the next one off. */
        uint64_t at = take(bytes);

        HKT_EQ_INT((memory->page->base + at) % align, 0);
        hki_arena_give_back(arena, small);
        hki_arena_give_back(arena, at);
    }
    expect_whole();
    close_arena();
}

static void an_arena_need_be_no_power_of_two(void)
{
    uint64_t pages[13];
    uint64_t large[3];

    open_arena(13 * PAGE - 1);
    HKT_EQ_INT(hki_arena_largest(arena), 8 * PAGE);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 13; i++) {
            pages[i] = take(PAGE);
            HKT_TRUE(pages[i] != 0 && pages[i] + PAGE <= memory->page->bytes);
        }
        HKT_EQ_INT(take(1), 0);
        for (int i = 0; i < 13; i++) {
            hki_arena_give_back(arena, pages[i]);
        }
        large[0] = take(8 * PAGE);
        large[1] = take(4 * PAGE);
        large[2] = take(PAGE);
        HKT_EQ_INT(hki_arena_used(arena), 13 * PAGE);
        HKT_EQ_INT(take(1), 0);
        for (int i = 0; i < 3; i++) {
            HKT_TRUE_FATAL(large[i] != 0);
            hki_arena_give_back(arena, large[i]);
        }
    }
    expect_whole();
    close_arena();
}

static void an_arena_of_nothing_gives_nothing(void)
{
    open_arena(0);
    HKT_EQ_INT(hki_arena_largest(arena), 0);
    HKT_EQ_INT(take(0), 0);
    HKT_EQ_INT(take(1), 0);
    HKT_TRUE(!hki_arena_inside(arena, memory->page->arena_at, memory->page->arena_at, 0));
    close_arena();
}

/* --- Exhaustion and joining --------------------------------------------------------------- */

/* Takes all there is in chunks of one size, and gives it back in steps, so that buddies come
 * back at different times. */
static void take_all(uint64_t bytes, uint64_t whole)
{
    static uint64_t chunks[MIB / LEAST];
    size_t count = (size_t)(whole / bytes);

    for (size_t i = 0; i < count; i++) {
        chunks[i] = take(bytes);
        HKT_TRUE_FATAL(chunks[i] != 0);
    }
    HKT_EQ_INT(take(1), 0);
    HKT_EQ_INT(hki_arena_used(arena), whole);
    hki_arena_give_back(arena, chunks[count / 2]);
    HKT_EQ_INT(take(bytes), chunks[count / 2]);
    for (size_t step = 0; step < 3; step++) {
        for (size_t i = step; i < count; i += 3) {
            hki_arena_give_back(arena, chunks[i]);
        }
    }
    expect_whole();
}

static void all_of_it_can_be_taken_and_joins_again(void)
{
    open_arena(MIB);
    for (uint64_t bytes = LEAST; bytes <= MIB; bytes *= 2) {
        take_all(bytes, MIB);
    }
    close_arena();
}

static void a_full_arena_takes_its_kept_page_for_a_large_chunk(void)
{
    uint64_t small;

    open_arena(PAGE);
    small = take(1);
    HKT_EQ_INT(take(PAGE), 0);
    hki_arena_give_back(arena, small);
    expect_whole();
    close_arena();
}

/* --- Looking ---------------------------------------------------------------------------- */

static void only_what_lies_in_the_chunk_is_inside(void)
{
    static const uint64_t sizes[] = {512, 32768, PAGE, 4 * PAGE};

    open_arena(MIB);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t size = sizes[i];
        uint64_t at = take(size);

        HKT_TRUE(hki_arena_inside(arena, at, at, size));
        HKT_TRUE(hki_arena_inside(arena, at, at + size, 0));
        HKT_TRUE(hki_arena_inside(arena, at, at + size - 1, 1));
        HKT_TRUE(!hki_arena_inside(arena, at, at + size, 1));
        HKT_TRUE(!hki_arena_inside(arena, at, at - 1, 1));
        HKT_TRUE(!hki_arena_inside(arena, at, at, size + 1));
        HKT_TRUE(!hki_arena_inside(arena, at, at + 1, UINT64_MAX));
        HKT_TRUE(!hki_arena_inside(arena, at, 0, 1));
        HKT_TRUE(!hki_arena_inside(arena, at + LEAST, at + LEAST, 1)); /* No chunk's begin. */
        HKT_TRUE(!hki_arena_inside(arena, at + 1, at + 1, 1));
        HKT_TRUE(!hki_arena_inside(arena, 0, 0, 1));
        HKT_TRUE(!hki_arena_inside(arena, UINT64_MAX, UINT64_MAX, 0));
        hki_arena_give_back(arena, at);
        HKT_TRUE(!hki_arena_inside(arena, at, at, 0));
    }
    close_arena();
}

/* --- Random traffic --------------------------------------------------------------------- */

struct chunk {
    uint64_t at;
    uint64_t bytes;
    unsigned char mark;
};

/* Whoever overlaps writes another mark over it. */
static void fill(struct chunk *chunk, unsigned char mark)
{
    chunk->mark = mark;
    memset(hki_pool_at(memory->page, chunk->at), mark, chunk->bytes);
}

static bool is_intact(const struct chunk *chunk)
{
    const unsigned char *bytes = hki_pool_at(memory->page, chunk->at);

    return bytes[0] == chunk->mark && memcmp(bytes, bytes + 1, chunk->bytes - 1) == 0;
}

/* Mostly small, some large. */
static uint64_t random_size(uint32_t *state)
{
    uint32_t order = next_random(state) % 11;

    return 1 + next_random(state) % ((uint64_t)LEAST << order);
}

static void let_go(struct chunk *chunk)
{
    HKT_TRUE(is_intact(chunk));
    hki_arena_give_back(arena, chunk->at);
    chunk->at = 0;
}

static void take_and_give_back(uint32_t seed, unsigned steps)
{
    struct chunk chunks[CHUNKS] = {{0}};
    uint32_t state = seed;

    for (unsigned i = 0; i < steps; i++) {
        struct chunk *chunk = &chunks[next_random(&state) % CHUNKS];

        if (chunk->at != 0) {
            let_go(chunk);
        } else if ((chunk->at = hki_arena_take(arena, random_size(&state), &chunk->bytes)) != 0) {
            fill(chunk, (unsigned char)(next_random(&state) | 1));
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
        open_arena(sizes[i]);
        for (uint32_t seed = 1; seed <= 5; seed++) {
            take_and_give_back(seed * 2654435761U, 20000 / hkt_slowness());
            expect_whole();
        }
        close_arena();
    }
}

static struct hkt_barrier start;

static void *be_traffic(void *arg)
{
    hkt_barrier_wait(&start);
    take_and_give_back((uint32_t)(uintptr_t)arg * 40503U + 1, 20000 / hkt_slowness());
    return NULL;
}

/* A small arena, so that chunks are scarce and pages are discarded all the time. */
static void threads_take_and_give_back_at_once(void)
{
    pthread_t threads[THREADS];

    open_arena(4 * MIB);
    hkt_barrier_init(&start, THREADS, "start");
    for (uintptr_t i = 0; i < THREADS; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, be_traffic, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    hkt_barrier_fini(&start);
    expect_whole();
    close_arena();
}

/* Two threads and two halves: there is always one, also while the other thread gives the
 * pages of its half to the system. */
static void *want_it_all(void *arg)
{
    unsigned *got = arg;

    hkt_barrier_wait(&start);
    for (unsigned i = 0; i < 2000 / hkt_slowness(); i++) {
        uint64_t at = take(MIB / 2);

        HKT_TRUE(at != 0);
        if (at != 0) {
            *(volatile unsigned char *)hki_pool_at(memory->page, at) = 1;
            hki_arena_give_back(arena, at);
            (*got)++;
        }
    }
    return NULL;
}

static void nobody_is_refused_for_what_is_just_being_discarded(void)
{
    pthread_t threads[2];
    unsigned got[2] = {0};

    open_arena(MIB);
    hkt_barrier_init(&start, 2, "start");
    for (size_t i = 0; i < 2; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, want_it_all, &got[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        HKT_EQ_INT(got[i], 2000 / hkt_slowness());
    }
    hkt_barrier_fini(&start);
    expect_whole();
    close_arena();
}

/* --- Memory of the system --------------------------------------------------------------- */

static void little_free_memory_is_kept(void)
{
    uint64_t before;
    struct chunk chunk = {0};

    open_arena(16 * MIB);
    before = resident_bytes();
    chunk.at = hki_arena_take(arena, 4 * MIB, &chunk.bytes);
    fill(&chunk, 7);
    hki_arena_give_back(arena, chunk.at);
    HKT_EQ_INT(resident_bytes(), before + 4 * MIB);
    HKT_EQ_INT(take(4 * MIB), chunk.at); /* The warm one first. */
    HKT_EQ_INT(resident_bytes(), before + 4 * MIB);
    hki_arena_give_back(arena, chunk.at);
    close_arena();
}

static void much_free_memory_goes_back(void)
{
    static const uint64_t sizes[] = {4096, PAGE, MIB, 8 * MIB, 64 * MIB};
    static struct chunk chunks[64 * MIB / 4096];
    uint64_t before;

    open_arena(64 * MIB);
    before = resident_bytes();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t count = (size_t)(64 * MIB / sizes[i]);

        for (size_t n = 0; n < count; n++) {
            chunks[n].at = hki_arena_take(arena, sizes[i], &chunks[n].bytes);
            HKT_TRUE_FATAL(chunks[n].at != 0);
            fill(&chunks[n], 9);
        }
        HKT_EQ_INT(resident_bytes(), before + 64 * MIB);
        for (size_t n = 0; n < count; n++) {
            hki_arena_give_back(arena, chunks[n].at);
        }
        HKT_TRUE(resident_bytes() <= before + 16 * MIB + PAGE);
    }
    expect_whole();
    close_arena();
}

static void a_chunk_that_was_discarded_is_zero(void)
{
    struct chunk chunk = {0};

    open_arena(MIB);
    for (unsigned char mark = 1; mark < 5; mark++) {
        chunk.at = hki_arena_take(arena, MIB, &chunk.bytes);
        HKT_TRUE_FATAL(chunk.at != 0);
        chunk.mark = 0;
        HKT_TRUE(is_intact(&chunk));
        fill(&chunk, mark);
        hki_arena_give_back(arena, chunk.at);
    }
    close_arena();
}

static void its_own_records_are_small(void)
{
    hk_memory_statistics before = {0};
    hk_memory_statistics after = {0};

    HKT_OK(hk_memory_stats(&before));
    open_arena((uint64_t)256 * MIB);
    HKT_OK(hk_memory_stats(&after));
    HKT_TRUE(after.live_bytes - before.live_bytes < MIB);
    close_arena();
}

/* --- Lifetime and failures ----------------------------------------------------------------- */

static void a_view_outlives_the_pool(void)
{
    struct hki_arena *view;
    struct chunk chunk = {0};

    open_arena(MIB);
    chunk.at = hki_arena_take(arena, 1000, &chunk.bytes);
    fill(&chunk, 3);
    view = hki_arena_ref(arena);
    close_arena();
    HKT_TRUE(is_intact(&chunk));
    hki_arena_give_back(view, chunk.at);
    hki_arena_unref(view);
}

static void an_arena_may_end_with_chunks_out(void)
{
    open_arena(MIB);
    HKT_TRUE(take(1) != 0);
    HKT_TRUE(take(PAGE) != 0);
    close_arena();
}

static void prepare_memory(void)
{
    HKT_OK_FATAL(hki_pool_memory_create(1, MIB, &memory));
    arena = NULL;
}

static hk_status create_arena(void)
{
    return hki_arena_create(memory, &arena);
}

static void clean_up(void)
{
    if (arena != NULL) {
        hki_arena_unref(arena);
    }
    hki_pool_memory_unref(memory);
}

static void prepare_arena(void)
{
    prepare_memory();
    HKT_OK_FATAL(create_arena());
}

static hk_status take_small(void)
{
    return take(1) != 0 ? HK_OK : HK_ENOMEM;
}

static void without_memory_nothing_happens(void)
{
    static const struct hkt_allocation_case cases[] = {
        {"create", prepare_memory, create_arena, NULL, NULL, clean_up, false},
        {"take", prepare_arena, take_small, expect_whole, NULL, clean_up, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hkt_fail_each_allocation(&cases[i]);
    }
}

static void use_in_child(void *arg)
{
    uint64_t capacity = 0;
    uint64_t at = *(uint64_t *)arg;
    const unsigned char *seen = hki_pool_at(memory->page, at);

    HKT_CHILD_TRUE(hki_arena_take(arena, 1, &capacity) == 0);
    HKT_CHILD_TRUE(!hki_arena_inside(arena, at, at, 1));
    HKT_CHILD_TRUE(hki_arena_used(arena) == 0);
    hki_arena_give_back(arena, at);
    close_arena();
    /* The mapping stays: a worker would live by it. */
    HKT_CHILD_TRUE(*seen == 5);
}

static void a_child_leaves_its_parents_arena_alone(void)
{
    struct chunk chunk = {0};

    open_arena(MIB);
    chunk.at = hki_arena_take(arena, 1000, &chunk.bytes);
    fill(&chunk, 5);
    hkt_expect_good_child(use_in_child, &chunk.at);
    HKT_TRUE(is_intact(&chunk));
    HKT_TRUE(hki_arena_inside(arena, chunk.at, chunk.at, 1000));
    hki_arena_give_back(arena, chunk.at);
    expect_whole();
    close_arena();
}

static void give_back_twice(void *arg)
{
    uint64_t at;

    (void)arg;
    open_arena(MIB);
    at = take(1000);
    hki_arena_give_back(arena, at);
    hki_arena_give_back(arena, at);
}

static void giving_back_twice_is_noticed(void)
{
    struct hkt_child child;

    hkt_run_in_child(give_back_twice, NULL, &child);
    HKT_EQ_INT(child.term_signal, SIGABRT);
    HKT_TRUE(strstr(child.output, "chunk") != NULL);
}

static CU_TestInfo arena_tests[] = {
    HKT_TEST(sizes_are_rounded_up_to_powers_of_two),
    HKT_TEST(chunks_are_aligned_to_their_size_up_to_a_page),
    HKT_TEST(an_arena_need_be_no_power_of_two),
    HKT_TEST(an_arena_of_nothing_gives_nothing),
    HKT_TEST(all_of_it_can_be_taken_and_joins_again),
    HKT_TEST(a_full_arena_takes_its_kept_page_for_a_large_chunk),
    HKT_TEST(only_what_lies_in_the_chunk_is_inside),
    HKT_TEST(random_chunks_never_overlap),
    HKT_TEST(threads_take_and_give_back_at_once),
    HKT_TEST(nobody_is_refused_for_what_is_just_being_discarded),
    HKT_TEST(little_free_memory_is_kept),
    HKT_TEST(much_free_memory_goes_back),
    HKT_TEST(a_chunk_that_was_discarded_is_zero),
    HKT_TEST(its_own_records_are_small),
    HKT_TEST(a_view_outlives_the_pool),
    HKT_TEST(an_arena_may_end_with_chunks_out),
    HKT_TEST(without_memory_nothing_happens),
    HKT_TEST(a_child_leaves_its_parents_arena_alone),
    HKT_TEST(giving_back_twice_is_noticed),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "pool arena", .pTests = arena_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
