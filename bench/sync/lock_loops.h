/* SPDX-License-Identifier: MIT */
/*
 * The timed loops of one kind of lock, written once and compiled for each, so that
 * every peer is called as its users call it. The file that includes this defines
 * before:
 *
 *     lock_type                        the lock
 *     void lock_begin(lock_type *)     makes it
 *     void lock_end(lock_type *)       ends it
 *     void lock_take(lock_type *)      takes it
 *     void lock_give(lock_type *)      gives it back
 *
 * A file of C++ includes it inside an unnamed namespace.
 */

/* A lock and what it guards, on a cache line of their own. */
struct lock_cell {
    lock_type lock;
    uint64_t counter;
} __attribute__((aligned(64)));

static void *lock_create(size_t count)
{
    struct lock_cell *cells =
        (struct lock_cell *)bench_lines(count * sizeof(struct lock_cell) / 64);

    for (size_t i = 0; i < count; i++) {
        lock_begin(&cells[i].lock);
    }
    return cells;
}

static void lock_destroy(void *locks, size_t count)
{
    struct lock_cell *cells = (struct lock_cell *)locks;

    for (size_t i = 0; i < count; i++) {
        lock_end(&cells[i].lock);
    }
    free(locks);
}

static void lock_nest(void *locks, unsigned depth, uint64_t turns)
{
    struct lock_cell *cells = (struct lock_cell *)locks;

    for (uint64_t turn = 0; turn < turns; turn++) {
        for (unsigned i = 0; i < depth; i++) {
            lock_take(&cells[i].lock);
        }
        for (unsigned i = depth; i > 0; i--) {
            lock_give(&cells[i - 1].lock);
        }
    }
}

static void lock_take_child(void *locks, size_t children, uint64_t turns)
{
    struct lock_cell *cells = (struct lock_cell *)locks;
    uint32_t random = 2463534242u;

    for (uint64_t turn = 0; turn < turns; turn++) {
        /* The high half of the product: a random place without a division. */
        size_t child = 1 + (size_t)(((uint64_t)bench_random(&random) * children) >> 32);

        lock_take(&cells[0].lock);
        lock_take(&cells[child].lock);
        lock_give(&cells[child].lock);
        lock_give(&cells[0].lock);
    }
}

static void lock_take_two(void *locks, size_t first, size_t second)
{
    struct lock_cell *cells = (struct lock_cell *)locks;

    lock_take(&cells[first].lock);
    lock_take(&cells[second].lock);
    lock_give(&cells[second].lock);
    lock_give(&cells[first].lock);
}

static uint64_t lock_contend(void *locks, const struct lock_contest *contest)
{
    struct lock_cell *cell = (struct lock_cell *)locks;
    uint64_t turns = 0;

    /* Once at least, even if the time was over before this thread got a CPU. */
    do {
        lock_take(&cell->lock);
        cell->counter++;
        bench_spin(contest->inside);
        lock_give(&cell->lock);
        bench_spin(contest->outside);
        turns++;
    } while (!crew_stops(contest->stop));
    return turns;
}

static uint64_t lock_counter(void *locks)
{
    return ((struct lock_cell *)locks)->counter;
}

/* The loops of struct lock_peer, in its order. */
#define LOCK_LOOPS_MADE_BY(create)                                                                 \
    {                                                                                              \
        create, lock_destroy, lock_nest, lock_take_child, lock_take_two, lock_contend,             \
            lock_counter                                                                           \
    }
#define LOCK_LOOPS LOCK_LOOPS_MADE_BY(lock_create)
