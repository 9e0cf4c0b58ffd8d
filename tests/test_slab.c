/* SPDX-License-Identifier: MIT */
/* Caches of objects (base/slab.h), also where a sanitizer would switch them off. */
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/depot.h"
#include "base/memory.h"
#include "base/slab.h"
#include "tests/fixture.h"

enum { SIZE = 200, BURST = 40000, FEW = 1000, THREADS = 8, PLACES = 512, ROUNDS = 30000 };

/* Magazines of 1 MiB. */
enum { KEPT = 1024 * 1024 / 256 / HKI_MAGAZINE };

static const struct hki_slab_class trials = {HKI_SLAB_TRIALS, SIZE};

static void *objects[BURST];
static pthread_barrier_t barrier;
static pthread_key_t late_key;

static struct hki_depot_view look(void)
{
    struct hki_depot_view view;

    hki_depot_look(HKI_SLAB_TRIALS, &view);
    return view;
}

static void make(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        objects[i] = hki_slab_alloc(&trials);
        HKT_TRUE_FATAL(objects[i] != NULL);
        memset(objects[i], (int)(i & 0xff), SIZE);
    }
}

static void release(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned char *bytes = objects[i];

        HKT_TRUE_FATAL(bytes[0] == (i & 0xff) && bytes[SIZE - 1] == (i & 0xff));
        hki_slab_free(&trials, objects[i]);
    }
}

static void *release_elsewhere(void *arg)
{
    for (size_t i = 0; i < *(const size_t *)arg; i++) {
        hki_slab_free(&trials, objects[i]);
    }
    return NULL;
}

static void run(void *(*fn)(void *), void *arg)
{
    pthread_t thread;

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, fn, arg), 0);
    pthread_join(thread, NULL);
}

static void nothing_is_kept_after_a_trim(void)
{
    hki_slab_trim();
    HKT_EQ_INT(look().blocks, 0);
    HKT_EQ_INT(look().slabs, 0);
    HKT_EQ_INT(look().complete, 0);
    HKT_EQ_INT(look().magazines, 0);
}

/* --- Recycling --------------------------------------------------------------------------- */

static void objects_are_apart_and_aligned(void)
{
    make(FEW);
    for (size_t i = 0; i < FEW; i++) {
        HKT_EQ_INT((uintptr_t)objects[i] % 64, 0);
    }
    release(FEW); /* Each still has its own bytes. */
    nothing_is_kept_after_a_trim();
}

static void what_one_thread_releases_another_finds(void)
{
    size_t count = BURST;
    size_t slabs;

    make(BURST);
    slabs = look().slabs;
    HKT_TRUE(slabs > 1);
    for (int i = 0; i < 5; i++) {
        run(release_elsewhere, &count);
        HKT_EQ_INT(look().magazines, BURST / HKI_MAGAZINE);
        make(BURST);
        HKT_EQ_INT(look().slabs, slabs);
    }
    release(BURST);
    nothing_is_kept_after_a_trim();
}

/* More than the 4 MiB of ordinary blocks. */
static void huge_blocks_hold_31_slabs_and_go_back(void)
{
    enum { MANY = 12 * 1024 * 1024 / SIZE };
    void **many = calloc(MANY, sizeof(*many));
    struct hki_depot_view before;
    struct hki_depot_view after;
    unsigned wrong = 0;

    HKT_TRUE_FATAL(many != NULL);
    for (size_t i = 0; i < MANY / 2; i++) {
        many[i] = hki_slab_alloc(&trials);
        HKT_TRUE_FATAL(many[i] != NULL);
        memset(many[i], (int)(i & 0xff), SIZE);
    }
    before = look();
    for (size_t i = MANY / 2; i < MANY; i++) {
        many[i] = hki_slab_alloc(&trials);
        HKT_TRUE_FATAL(many[i] != NULL);
        memset(many[i], (int)(i & 0xff), SIZE);
    }
    after = look();
    HKT_EQ_INT(after.slabs - before.slabs, 31 * (after.blocks - before.blocks));
    HKT_TRUE(after.blocks > before.blocks);
    for (size_t i = 0; i < MANY; i++) {
        const unsigned char *bytes = many[i];

        wrong +=
            (uintptr_t)bytes % 64 != 0 || bytes[0] != (i & 0xff) || bytes[SIZE - 1] != (i & 0xff);
        hki_slab_free(&trials, many[i]);
    }
    HKT_EQ_INT(wrong, 0);
    free(many);
    nothing_is_kept_after_a_trim();
}

static void *make_one(void *out)
{
    *(void **)out = hki_slab_alloc(&trials);
    return NULL;
}

static void a_thread_that_ends_leaves_its_magazines(void)
{
    void *one = NULL;

    run(make_one, &one);
    HKT_TRUE_FATAL(one != NULL);
    HKT_EQ_INT(look().slabs, 1);
    hki_slab_free(&trials, one);
    nothing_is_kept_after_a_trim();
}

/* In each of the rounds that destructors are given: in the last nobody comes for magazines.
 * ThreadSanitizer takes the thread apart in that one. */
static void use_late(void *value)
{
    static _Thread_local int rounds;
    void *one = hki_slab_alloc(&trials);
    void *two = hki_slab_alloc(&trials);

    HKT_TRUE(one != NULL && two != NULL && one != two);
    hki_slab_free(&trials, two);
    hki_slab_free(&trials, one);
    if (HKT_CHILDREN_START_THREADS || ++rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1) {
        pthread_setspecific(late_key, value);
    }
}

static void *end_late(void *arg)
{
    hki_slab_free(&trials, hki_slab_alloc(&trials));
    pthread_setspecific(late_key, &late_key);
    return arg;
}

static void destructors_may_use_objects_to_the_last(void)
{
    HKT_EQ_INT_FATAL(pthread_key_create(&late_key, use_late), 0);
    for (int i = 0; i < THREADS; i++) {
        run(end_late, NULL);
    }
    pthread_key_delete(late_key);
    nothing_is_kept_after_a_trim();
}

/* --- fork() ---------------------------------------------------------------------------------- */

static atomic_bool is_over;

/* Has the depot's lock nearly all the time. */
static void *keep_the_depot_busy(void *arg)
{
    uint32_t count;

    while (!atomic_load(&is_over)) {
        hki_depot_send_home(HKI_SLAB_TRIALS, hki_depot_take(HKI_SLAB_TRIALS, SIZE, &count));
    }
    return arg;
}

static void a_child_makes_and_releases_objects(void)
{
    pthread_t thread;
    int status = -1;

    atomic_store(&is_over, false);
    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, keep_the_depot_busy, NULL), 0);
    for (int i = 0; i < 20; i++) {
        pid_t child;

        make(FEW);
        if ((child = fork()) == 0) {
            release(FEW);
            make(FEW);
            release(FEW);
            _exit(0);
        }
        HKT_TRUE_FATAL(child > 0);
        HKT_EQ_INT(waitpid(child, &status, 0), child);
        HKT_EQ_INT(status, 0);
        release(FEW);
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    nothing_is_kept_after_a_trim();
}

/* --- To others they are allocations ------------------------------------------------------------
 */

static void the_nth_object_fails_once(void)
{
    for (long nth = 1; nth <= 2 * HKI_MAGAZINE; nth++) {
        hki_memory_fail_at(nth);
        for (long i = 0; i < nth - 1; i++) {
            objects[i] = hki_slab_alloc(&trials);
            HKT_TRUE_FATAL(objects[i] != NULL);
        }
        HKT_EQ_PTR(hki_slab_alloc(&trials), NULL);
        objects[nth - 1] = hki_slab_alloc(&trials);
        HKT_TRUE_FATAL(objects[nth - 1] != NULL);
        HKT_EQ_INT(hki_memory_fail_at(0), 0);
        for (long i = 0; i < nth; i++) {
            hki_slab_free(&trials, objects[i]);
        }
    }
    nothing_is_kept_after_a_trim();
}

static void statistics_show_objects_in_use(void)
{
    size_t count = FEW / 2;
    hk_memory_statistics before;
    hk_memory_statistics now;

    HKT_OK(hk_memory_stats(&before));
    make(FEW);
    HKT_OK(hk_memory_stats(&now));
    HKT_EQ_INT(now.live_blocks - before.live_blocks, FEW);
    HKT_EQ_INT(now.live_bytes - before.live_bytes, FEW * SIZE);
    HKT_EQ_INT(now.allocations - before.allocations, FEW);
    run(release_elsewhere, &count);
    HKT_OK(hk_memory_stats(&now));
    HKT_EQ_INT(now.live_blocks - before.live_blocks, FEW - FEW / 2);
    for (size_t i = count; i < FEW; i++) {
        hki_slab_free(&trials, objects[i]);
    }
    HKT_OK(hk_memory_stats(&now));
    HKT_EQ_INT(now.live_blocks, before.live_blocks);
    HKT_EQ_INT(now.live_bytes, before.live_bytes);
    HKT_EQ_INT(now.allocations - before.allocations, FEW);
    nothing_is_kept_after_a_trim();
}

static void *count_allocate(size_t size, void *context)
{
    ++*(int *)context;
    return malloc(size);
}

static void count_release(void *memory, size_t size, void *context)
{
    HKT_EQ_INT(size, SIZE);
    --*(int *)context;
    free(memory);
}

/* Has a magazine while the allocator changes and changes back. */
static void *stay_with_a_magazine(void *arg)
{
    void *one = hki_slab_alloc(&trials);

    hki_slab_free(&trials, one);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    one = hki_slab_alloc(&trials);
    HKT_EQ_INT(*(const int *)arg, 2);
    hki_slab_free(&trials, one);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    one = hki_slab_alloc(&trials);
    HKT_EQ_INT(*(const int *)arg, 0);
    hki_slab_free(&trials, one);
    return NULL;
}

static void an_allocator_of_ones_own_sees_each_object(void)
{
    int live = 0;
    const hk_allocator mine = {count_allocate, count_release, &live};
    pthread_t thread;
    void *one;

    pthread_barrier_init(&barrier, NULL, 2);
    one = hki_slab_alloc(&trials);
    HKT_STATUS(hk_allocator_set(&mine), HK_ESTATE);
    hki_slab_free(&trials, one);

    HKT_EQ_INT_FATAL(pthread_create(&thread, NULL, stay_with_a_magazine, &live), 0);
    pthread_barrier_wait(&barrier);
    HKT_OK_FATAL(hk_allocator_set(&mine));
    one = hki_slab_alloc(&trials);
    HKT_EQ_INT(live, 1);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    hki_slab_free(&trials, one);
    HKT_EQ_INT(live, 0);
    HKT_OK(hk_allocator_set(NULL));
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    HKT_EQ_INT(live, 0);
    pthread_barrier_destroy(&barrier);
    nothing_is_kept_after_a_trim();
}

/* --- What goes back ----------------------------------------------------------------------------
 */

/* At least one magazine goes from the depot and one comes. */
static void exchange(void)
{
    void *some[HKI_MAGAZINE * 3];

    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        some[i] = hki_slab_alloc(&trials);
    }
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        hki_slab_free(&trials, some[i]);
    }
}

static void bursts_that_come_again_find_their_memory(void)
{
    size_t slabs;
    size_t complete; /* What the first burst did not need. */

    make(BURST);
    slabs = look().slabs;
    complete = look().complete;
    release(BURST);
    for (int i = 0; i < 10; i++) {
        hki_depot_end_window(HKI_SLAB_TRIALS);
        make(BURST);
        HKT_EQ_INT(look().slabs, slabs);
        for (size_t k = 0; k < BURST; k++) {
            if (k == BURST / 2) {
                hki_depot_end_window(HKI_SLAB_TRIALS); /* All of it was used in this one. */
            }
            hki_slab_free(&trials, objects[k]);
        }
        HKT_EQ_INT(look().slabs, slabs);
        HKT_EQ_INT(look().complete, complete);
    }
    nothing_is_kept_after_a_trim();
}

static void what_lies_untouched_goes_back_bit_by_bit(void)
{
    size_t magazines;
    size_t slabs;

    make(BURST);
    slabs = look().slabs;
    release(BURST);
    hki_depot_end_window(HKI_SLAB_TRIALS);
    exchange(); /* Begins a window. In the one before, all of it was used. */
    hki_depot_end_window(HKI_SLAB_TRIALS);
    magazines = look().magazines;
    exchange();
    HKT_TRUE(look().magazines < magazines);
    HKT_TRUE(look().magazines > magazines - HKI_MAGAZINE); /* Nobody waits for all of it. */
    for (size_t i = 0; i < magazines; i++) {
        hki_depot_end_window(HKI_SLAB_TRIALS);
        exchange();
    }
    HKT_TRUE(look().magazines <= KEPT + 3); /* The last ones are in use now and then. */
    HKT_TRUE(look().magazines >= KEPT);
    HKT_TRUE(look().slabs < slabs / 2);
    nothing_is_kept_after_a_trim();
}

/* --- All at once ---------------------------------------------------------------------------------
 */

struct parcel {
    unsigned owner;
    unsigned check;
    unsigned char rest[SIZE - 2 * sizeof(unsigned)];
};

static _Atomic(struct parcel *) places[PLACES];
static atomic_uint broken;

/* Puts parcels into places and takes out what is there: made by anybody. */
static void *trade(void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg;
    unsigned random = number * 7919 + 1;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct parcel *parcel = hki_slab_alloc(&trials);

        if (parcel == NULL) {
            atomic_fetch_add(&broken, 1);
            return NULL;
        }
        random = random * 1664525 + 1013904223;
        *parcel = (struct parcel){.owner = number + i, .check = ~(number + i)};
        parcel = atomic_exchange(&places[(random >> 8) % PLACES], parcel);
        if (parcel != NULL) {
            if (parcel->owner != ~parcel->check) {
                atomic_fetch_add(&broken, 1);
            }
            parcel->check = parcel->owner; /* Who finds it twice sees it. */
            hki_slab_free(&trials, parcel);
        }
    }
    return NULL;
}

static void many_threads_trade_objects(void)
{
    pthread_t threads[THREADS];

    atomic_store(&broken, 0);
    for (size_t i = 0; i < THREADS; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, trade, (void *)(uintptr_t)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < PLACES; i++) {
        struct parcel *parcel = atomic_exchange(&places[i], NULL);

        if (parcel != NULL) {
            hki_slab_free(&trials, parcel);
        }
    }
    HKT_EQ_INT(atomic_load(&broken), 0);
    nothing_is_kept_after_a_trim();
}

static CU_TestInfo tests[] = {
    HKT_CASE("objects are apart and aligned", objects_are_apart_and_aligned),
    HKT_CASE("huge blocks hold 31 slabs and go back", huge_blocks_hold_31_slabs_and_go_back),
    HKT_CASE("what one thread releases another finds", what_one_thread_releases_another_finds),
    HKT_CASE("a thread that ends leaves its magazines", a_thread_that_ends_leaves_its_magazines),
    HKT_CASE("destructors may use objects to the last", destructors_may_use_objects_to_the_last),
    HKT_CASE("a child makes and releases objects", a_child_makes_and_releases_objects),
    HKT_CASE("the nth object fails, once", the_nth_object_fails_once),
    HKT_CASE("statistics show objects in use", statistics_show_objects_in_use),
    HKT_CASE("an allocator of one's own sees each object",
             an_allocator_of_ones_own_sees_each_object),
    HKT_CASE("bursts that come again find their memory", bursts_that_come_again_find_their_memory),
    HKT_CASE("what lies untouched goes back bit by bit", what_lies_untouched_goes_back_bit_by_bit),
    HKT_CASE("many threads trade objects", many_threads_trade_objects),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "slab", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    /* Before the first object is made. */
    if (setenv("HOCKET_ALLOC", "cache", 1) != 0) {
        return EXIT_FAILURE;
    }
    return hkt_main(argc, argv, suites);
}
