/* SPDX-License-Identifier: MIT */
/* The allocator of a pool's shared memory: what it gives, that all joins again, and how long
 * it lives. */
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "tests/allocation_fixture.h"
#include "tests/arena_fixture.h"
#include "tests/child_fixture.h"

enum {
    LEAST = HKI_ARENA_LEAST,
    PAGE = 64 * 1024,
    MIB = 1024 * 1024,
};

/* --- Sizes ------------------------------------------------------------------------------ */

static void sizes_are_rounded_up_to_powers_of_two(void)
{
    static const uint64_t asked[] = {0,    1,       255,     256,     257,     512,
                                     4096, 4097,    32768,   32769,   65536,   65537,
                                     MIB,  MIB + 1, 5 * MIB, 8 * MIB, 16 * MIB};
    static const uint64_t given[] = {256,  256,     256,     256,     512,     512,
                                     4096, 8192,    32768,   65536,   65536,   131072,
                                     MIB,  2 * MIB, 8 * MIB, 8 * MIB, 16 * MIB};

    hkt_arena_open(16 * MIB);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        uint64_t capacity = 0;
        uint64_t at = hki_arena_take(hkt_arena, asked[i], &capacity);

        HKT_TRUE(at >= hkt_memory->page->arena_at);
        HKT_EQ_INT(capacity, given[i]);
        HKT_EQ_INT(hki_arena_used(hkt_arena), given[i]);
        hki_arena_give_back(hkt_arena, at);
    }
    HKT_EQ_INT(hkt_arena_take(16 * MIB + 1), 0);
    HKT_EQ_INT(hkt_arena_take(UINT64_MAX), 0);
    hkt_arena_expect_whole();
    hkt_arena_close();
}

static void chunks_are_aligned_to_their_size_up_to_a_page(void)
{
    hkt_arena_open(16 * MIB);
    for (uint64_t bytes = LEAST; bytes <= MIB; bytes *= 2) {
        uint64_t align = bytes < 4096 ? bytes : 4096;
        uint64_t small = hkt_arena_take(LEAST); /* Sets the next one off. */
        uint64_t at = hkt_arena_take(bytes);

        HKT_EQ_INT((hkt_memory->page->base + at) % align, 0);
        hki_arena_give_back(hkt_arena, small);
        hki_arena_give_back(hkt_arena, at);
    }
    hkt_arena_expect_whole();
    hkt_arena_close();
}

static void an_arena_need_be_no_power_of_two(void)
{
    uint64_t pages[13];
    uint64_t large[3];

    hkt_arena_open(13 * PAGE - 1);
    HKT_EQ_INT(hki_arena_largest(hkt_arena), 8 * PAGE);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 13; i++) {
            pages[i] = hkt_arena_take(PAGE);
            HKT_TRUE(pages[i] != 0 && pages[i] + PAGE <= hkt_memory->page->bytes);
        }
        HKT_EQ_INT(hkt_arena_take(1), 0);
        for (int i = 0; i < 13; i++) {
            hki_arena_give_back(hkt_arena, pages[i]);
        }
        large[0] = hkt_arena_take(8 * PAGE);
        large[1] = hkt_arena_take(4 * PAGE);
        large[2] = hkt_arena_take(PAGE);
        HKT_EQ_INT(hki_arena_used(hkt_arena), 13 * PAGE);
        HKT_EQ_INT(hkt_arena_take(1), 0);
        for (int i = 0; i < 3; i++) {
            HKT_TRUE_FATAL(large[i] != 0);
            hki_arena_give_back(hkt_arena, large[i]);
        }
    }
    hkt_arena_expect_whole();
    hkt_arena_close();
}

static void an_arena_of_nothing_gives_nothing(void)
{
    hkt_arena_open(0);
    HKT_EQ_INT(hki_arena_largest(hkt_arena), 0);
    HKT_EQ_INT(hkt_arena_take(0), 0);
    HKT_EQ_INT(hkt_arena_take(1), 0);
    HKT_TRUE(
        !hki_arena_inside(hkt_arena, hkt_memory->page->arena_at, hkt_memory->page->arena_at, 0));
    hkt_arena_close();
}

/* --- Exhaustion and joining --------------------------------------------------------------- */

/* Takes all there is in chunks of one size, and gives it back in steps, so that buddies come
 * back at different times. */
static void take_all(uint64_t bytes, uint64_t whole)
{
    static uint64_t chunks[MIB / LEAST];
    size_t count = (size_t)(whole / bytes);

    for (size_t i = 0; i < count; i++) {
        chunks[i] = hkt_arena_take(bytes);
        HKT_TRUE_FATAL(chunks[i] != 0);
    }
    HKT_EQ_INT(hkt_arena_take(1), 0);
    HKT_EQ_INT(hki_arena_used(hkt_arena), whole);
    hki_arena_give_back(hkt_arena, chunks[count / 2]);
    HKT_EQ_INT(hkt_arena_take(bytes), chunks[count / 2]);
    for (size_t step = 0; step < 3; step++) {
        for (size_t i = step; i < count; i += 3) {
            hki_arena_give_back(hkt_arena, chunks[i]);
        }
    }
    hkt_arena_expect_whole();
}

static void all_of_it_can_be_taken_and_joins_again(void)
{
    hkt_arena_open(MIB);
    for (uint64_t bytes = LEAST; bytes <= MIB; bytes *= 2) {
        take_all(bytes, MIB);
    }
    hkt_arena_close();
}

static void free_parts_of_a_page_join(void)
{
    uint64_t units[PAGE / LEAST];

    hkt_arena_open(PAGE);
    for (size_t i = 0; i < PAGE / LEAST; i++) {
        units[i] = hkt_arena_take(LEAST);
    }
    for (size_t i = 0; i < PAGE / LEAST; i++) {
        if (i != 77) {
            hki_arena_give_back(hkt_arena, units[i]);
        }
    }
    /* All but one: a chunk of every size. */
    for (uint64_t bytes = PAGE / 2; bytes >= LEAST; bytes /= 2) {
        HKT_TRUE(hkt_arena_take(bytes) != 0);
    }
    HKT_EQ_INT(hki_arena_used(hkt_arena), PAGE);
    HKT_TRUE(hki_arena_inside(hkt_arena, units[77], units[77], LEAST));
    hkt_arena_close();
}

static void a_full_arena_takes_its_kept_page_for_a_large_chunk(void)
{
    uint64_t small;

    hkt_arena_open(PAGE);
    small = hkt_arena_take(1);
    HKT_EQ_INT(hkt_arena_take(PAGE), 0);
    hki_arena_give_back(hkt_arena, small);
    hkt_arena_expect_whole();
    hkt_arena_close();
}

/* --- Looking ---------------------------------------------------------------------------- */

static void only_what_lies_in_the_chunk_is_inside(void)
{
    static const uint64_t sizes[] = {512, 32768, PAGE, 4 * PAGE};

    hkt_arena_open(MIB);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t size = sizes[i];
        uint64_t at = hkt_arena_take(size);

        HKT_TRUE(hki_arena_inside(hkt_arena, at, at, size));
        HKT_TRUE(hki_arena_inside(hkt_arena, at, at + size, 0));
        HKT_TRUE(hki_arena_inside(hkt_arena, at, at + size - 1, 1));
        HKT_TRUE(!hki_arena_inside(hkt_arena, at, at + size, 1));
        HKT_TRUE(!hki_arena_inside(hkt_arena, at, at - 1, 1));
        HKT_TRUE(!hki_arena_inside(hkt_arena, at, at, size + 1));
        HKT_TRUE(!hki_arena_inside(hkt_arena, at, at + 1, UINT64_MAX));
        HKT_TRUE(!hki_arena_inside(hkt_arena, at, 0, 1));
        HKT_TRUE(!hki_arena_inside(hkt_arena, at + LEAST, at + LEAST, 1)); /* No chunk's begin. */
        HKT_TRUE(!hki_arena_inside(hkt_arena, at + 1, at + 1, 1));
        HKT_TRUE(!hki_arena_inside(hkt_arena, 0, 0, 1));
        HKT_TRUE(!hki_arena_inside(hkt_arena, UINT64_MAX, UINT64_MAX, 0));
        hki_arena_give_back(hkt_arena, at);
        HKT_TRUE(!hki_arena_inside(hkt_arena, at, at, 0));
    }
    hkt_arena_close();
}

/* --- Lifetime and failures ----------------------------------------------------------------- */

static void its_own_records_are_small(void)
{
    hk_memory_statistics before = {0};
    hk_memory_statistics after = {0};

    HKT_OK(hk_memory_stats(&before));
    hkt_arena_open((uint64_t)256 * MIB);
    HKT_OK(hk_memory_stats(&after));
    HKT_TRUE(after.live_bytes - before.live_bytes < MIB);
    hkt_arena_close();
}

static void a_view_outlives_the_pool(void)
{
    struct hki_arena *view;
    struct hkt_chunk chunk = {0};

    hkt_arena_open(MIB);
    chunk.at = hki_arena_take(hkt_arena, 1000, &chunk.bytes);
    hkt_chunk_fill(&chunk, 3);
    view = hki_arena_ref(hkt_arena);
    hkt_arena_close();
    HKT_TRUE(hkt_chunk_is_intact(&chunk));
    hki_arena_give_back(view, chunk.at);
    hki_arena_unref(view);
}

static void an_arena_may_end_with_chunks_out(void)
{
    hkt_arena_open(MIB);
    HKT_TRUE(hkt_arena_take(1) != 0);
    HKT_TRUE(hkt_arena_take(PAGE) != 0);
    hkt_arena_close();
}

static void prepare_memory(void)
{
    HKT_OK_FATAL(hki_pool_memory_create(1, MIB, &hkt_memory));
    hkt_arena = NULL;
}

static hk_status create_arena(void)
{
    return hki_arena_create(hkt_memory, &hkt_arena);
}

static void clean_up(void)
{
    if (hkt_arena != NULL) {
        hki_arena_unref(hkt_arena);
    }
    hki_pool_memory_unref(hkt_memory);
}

static void prepare_arena(void)
{
    prepare_memory();
    HKT_OK_FATAL(create_arena());
}

static hk_status take_small(void)
{
    return hkt_arena_take(1) != 0 ? HK_OK : HK_ENOMEM;
}

static void without_memory_nothing_happens(void)
{
    static const struct hkt_allocation_case cases[] = {
        {"create", prepare_memory, create_arena, NULL, NULL, clean_up, false},
        {"take", prepare_arena, take_small, hkt_arena_expect_whole, NULL, clean_up, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hkt_fail_each_allocation(&cases[i]);
    }
}

static void use_in_child(void *arg)
{
    uint64_t capacity = 0;
    uint64_t at = *(uint64_t *)arg;
    const unsigned char *seen = hki_pool_at(hkt_memory->page, at);

    HKT_CHILD_TRUE(hki_arena_take(hkt_arena, 1, &capacity) == 0);
    HKT_CHILD_TRUE(!hki_arena_inside(hkt_arena, at, at, 1));
    HKT_CHILD_TRUE(hki_arena_used(hkt_arena) == 0);
    hki_arena_give_back(hkt_arena, at);
    hkt_arena_close();
    /* The mapping stays: a worker would live by it. */
    HKT_CHILD_TRUE(*seen == 5);
}

static void a_child_leaves_its_parents_arena_alone(void)
{
    struct hkt_chunk chunk = {0};

    hkt_arena_open(MIB);
    chunk.at = hki_arena_take(hkt_arena, 1000, &chunk.bytes);
    hkt_chunk_fill(&chunk, 5);
    hkt_expect_good_child(use_in_child, &chunk.at);
    HKT_TRUE(hkt_chunk_is_intact(&chunk));
    HKT_TRUE(hki_arena_inside(hkt_arena, chunk.at, chunk.at, 1000));
    hki_arena_give_back(hkt_arena, chunk.at);
    hkt_arena_expect_whole();
    hkt_arena_close();
}

static void give_back_twice(void *arg)
{
    uint64_t at;

    (void)arg;
    hkt_arena_open(MIB);
    at = hkt_arena_take(1000);
    hki_arena_give_back(hkt_arena, at);
    hki_arena_give_back(hkt_arena, at);
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
    HKT_TEST(free_parts_of_a_page_join),
    HKT_TEST(a_full_arena_takes_its_kept_page_for_a_large_chunk),
    HKT_TEST(only_what_lies_in_the_chunk_is_inside),
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
