/* SPDX-License-Identifier: MIT */
/* Queues, rings, waits for several queues, objects of threads. */
#include <poll.h>
#include <stdlib.h>

#include "tests/soak/soak.h"

enum { PUTTERS = 2, GETTERS = 2, ITEMS = 300, BATCH = 16, QUEUES = 3 };

/* One of the two kinds, used in the same way. */
struct line {
    hk_queue *queue;
    hk_ring *ring;
    atomic_uint role;
    atomic_uint_fast64_t sum;
    atomic_uint got;
    bool in_batches;
};

static void *as_item(uint32_t number)
{
    return (void *)(uintptr_t)number;
}

static hk_status put_some(struct line *line, void **items, size_t count, size_t *put)
{
    if (line->ring != NULL) {
        return hk_ring_put_many(line->ring, items, count, HK_FOREVER, put);
    }
    return hk_queue_put_many(line->queue, items, count, HK_FOREVER, put);
}

static hk_status put_one(struct line *line, void *item)
{
    return line->ring != NULL ? hk_ring_put(line->ring, item, HK_FOREVER)
                              : hk_queue_put(line->queue, item, HK_FOREVER);
}

static void put_all(struct line *line)
{
    void *items[BATCH];
    size_t put = 0;

    for (uint32_t i = 0; i < ITEMS; i += line->in_batches ? BATCH : 1) {
        if (line->in_batches) {
            size_t count = ITEMS - i < BATCH ? ITEMS - i : BATCH;

            for (uint32_t j = 0; j < count; j++) {
                items[j] = as_item(i + j);
            }
            SOAK_EXPECT(put_some(line, items, count, &put) == HK_OK && put == count);
        } else {
            SOAK_EXPECT(put_one(line, as_item(i)) == HK_OK);
        }
    }
    soak_count(SOAK_PUTS, ITEMS);
}

static hk_status take_some(struct line *line, void **items, size_t *taken)
{
    *taken = 1;
    if (line->ring != NULL) {
        return line->in_batches ? hk_ring_get_many(line->ring, HK_FOREVER, items, BATCH, taken)
                                : hk_ring_get(line->ring, HK_FOREVER, items);
    }
    return line->in_batches ? hk_queue_get_many(line->queue, HK_FOREVER, items, BATCH, taken)
                            : hk_queue_get(line->queue, HK_FOREVER, items);
}

static void get_all(struct line *line)
{
    void *items[BATCH];
    size_t taken = 0;
    hk_status status;

    while ((status = take_some(line, items, &taken)) == HK_OK) {
        for (size_t i = 0; i < taken; i++) {
            atomic_fetch_add(&line->sum, (uintptr_t)items[i]);
        }
        atomic_fetch_add(&line->got, (unsigned)taken);
        SOAK_EXPECT((line->ring != NULL ? hk_ring_task_done(line->ring, taken)
                                        : hk_queue_task_done(line->queue, taken)) == HK_OK);
    }
    SOAK_EXPECT(status == HK_EDONE);
}

/* The first is the one that joins and closes. */
static void join_and_close(struct line *line)
{
    while (atomic_load(&line->role) <= PUTTERS || atomic_load(&line->got) < PUTTERS * ITEMS) {
        hk_status status = line->ring != NULL ? hk_ring_join(line->ring, HK_MS(1))
                                              : hk_queue_join(line->queue, HK_MS(1));

        SOAK_EXPECT(status == HK_OK || status == HK_ETIMEDOUT);
    }
    SOAK_EXPECT((line->ring != NULL ? hk_ring_close(line->ring) : hk_queue_close(line->queue)) ==
                HK_OK);
}

static void *stand_in_line(void *arg)
{
    struct line *line = arg;
    unsigned role = atomic_fetch_add(&line->role, 1);

    if (role == 0) {
        join_and_close(line);
    } else if (role <= PUTTERS) {
        put_all(line);
    } else {
        get_all(line);
    }
    return NULL;
}

static void run_line(struct line *line)
{
    soak_run_threads(1 + PUTTERS + GETTERS, stand_in_line, line);
    SOAK_EXPECT(atomic_load(&line->got) == PUTTERS * ITEMS);
    SOAK_EXPECT(atomic_load(&line->sum) == (uint64_t)PUTTERS * ITEMS * (ITEMS - 1) / 2);
}

void soak_piece_queues(struct soak_actor *actor)
{
    const hk_queue_options options = {.order = (hk_queue_order)soak_draw(actor, 4),
                                      .capacity = soak_draw(actor, 3) * 20};
    struct line line = {.in_batches = soak_draw(actor, 2) == 0};
    int fd = -1;

    if (!SOAK_EXPECT(hk_queue_create(&options, &line.queue) == HK_OK)) {
        return;
    }
    if (soak_draw(actor, 3) == 0) {
        SOAK_EXPECT(hk_queue_fd(line.queue, &fd) == HK_OK);
    }
    run_line(&line);
    SOAK_EXPECT(hk_queue_destroy(line.queue) == HK_OK);
}

void soak_piece_rings(struct soak_actor *actor)
{
    const hk_ring_options options = {.capacity = (size_t)4 << soak_draw(actor, 6)};
    struct line line = {.in_batches = soak_draw(actor, 2) == 0};
    int fd = -1;

    if (!SOAK_EXPECT(hk_ring_create(&options, &line.ring) == HK_OK)) {
        return;
    }
    if (soak_draw(actor, 3) == 0) {
        SOAK_EXPECT(hk_ring_fd(line.ring, &fd) == HK_OK);
    }
    run_line(&line);
    SOAK_EXPECT(hk_ring_destroy(line.ring) == HK_OK);
}

/* --- Several queues at once --- */

struct choice {
    hk_queue *queues[QUEUES];
    atomic_uint role;
    atomic_uint got;
    atomic_uint_fast64_t sum;
};

static void put_everywhere(struct choice *choice)
{
    for (uint32_t i = 0; i < ITEMS; i++) {
        hk_queue *queue = choice->queues[i % QUEUES];

        SOAK_EXPECT((i % QUEUES == 0 ? hk_queue_put(queue, as_item(i), HK_FOREVER)
                     : i % QUEUES == 1
                         ? hk_queue_put_priority(queue, as_item(i), (int)i, HK_FOREVER)
                         : hk_queue_put_delayed(queue, as_item(i), HK_US(i % 7), HK_FOREVER)) ==
                    HK_OK);
    }
    for (int i = 0; i < QUEUES; i++) {
        SOAK_EXPECT(hk_queue_close(choice->queues[i]) == HK_OK);
    }
    soak_count(SOAK_PUTS, ITEMS);
}

static void *choose(void *arg)
{
    struct choice *choice = arg;
    void *item = NULL;
    size_t which = 0;
    hk_status status;

    if (atomic_fetch_add(&choice->role, 1) == 0) {
        put_everywhere(choice);
        return NULL;
    }
    while ((status = hk_queue_get_any(choice->queues, QUEUES, HK_FOREVER, &item, &which)) ==
           HK_OK) {
        atomic_fetch_add(&choice->got, 1);
        atomic_fetch_add(&choice->sum, (uintptr_t)item);
        SOAK_EXPECT((uintptr_t)item % QUEUES == which);
    }
    SOAK_EXPECT(status == HK_EDONE);
    return NULL;
}

void soak_piece_selects(struct soak_actor *actor)
{
    static const hk_queue_order orders[QUEUES] = {HK_QUEUE_FIFO, HK_QUEUE_PRIORITY, HK_QUEUE_DELAY};
    struct choice choice = {.got = 0};
    size_t which = 0;

    for (int i = 0; i < QUEUES; i++) {
        const hk_queue_options options = {.order = orders[i], .capacity = 5 + soak_draw(actor, 50)};

        SOAK_EXPECT(hk_queue_create(&options, &choice.queues[i]) == HK_OK);
    }
    SOAK_EXPECT(hk_queue_select(choice.queues, QUEUES, 0, &which) == HK_ETIMEDOUT);
    soak_run_threads(3, choose, &choice);
    SOAK_EXPECT(atomic_load(&choice.got) == ITEMS);
    SOAK_EXPECT(atomic_load(&choice.sum) == (uint64_t)ITEMS * (ITEMS - 1) / 2);
    for (int i = 0; i < QUEUES; i++) {
        SOAK_EXPECT(hk_queue_destroy(choice.queues[i]) == HK_OK);
    }
}

/* --- Objects of threads that come and go --- */

static hk_status make_count(void *arg, void **object)
{
    (void)arg;
    *object = calloc(1, sizeof(atomic_uint_fast64_t));
    return *object != NULL ? HK_OK : HK_ENOMEM;
}

static void add_count(void *total, const void *object)
{
    atomic_fetch_add((atomic_uint_fast64_t *)total,
                     atomic_load((const atomic_uint_fast64_t *)object));
}

static atomic_uint_fast64_t retired;
static hk_local counts = HK_LOCAL_FOLD_INIT(make_count, free, NULL, add_count, &retired);
static atomic_uint_fast64_t counted;

struct own {
    hk_local *local;
    atomic_uint_fast64_t visited;
};

static void *count_here(void *arg)
{
    struct own *own = arg;

    for (int i = 0; i < ITEMS; i++) {
        atomic_uint_fast64_t *lasting = hk_local_get(&counts);
        atomic_uint_fast64_t *object = hk_local_get(own->local);

        if (SOAK_EXPECT(lasting != NULL) && SOAK_EXPECT(object != NULL)) {
            atomic_fetch_add(&counted, 1);
            atomic_fetch_add(lasting, 1);
            atomic_fetch_add(object, 1);
        }
    }
    return NULL;
}

void soak_piece_locals(struct soak_actor *actor)
{
    struct own own = {NULL, 0};
    atomic_uint_fast64_t total = 0;
    atomic_uint_fast64_t sum = 0;
    uint64_t before;

    if (!SOAK_EXPECT(hk_local_create(make_count, free, NULL, &own.local) == HK_OK) ||
        !SOAK_EXPECT(hk_local_retire(own.local, add_count, &own.visited) == HK_OK)) {
        return;
    }
    count_here(&own);
    soak_run_threads(1 + soak_draw(actor, 4), count_here, &own);
    SOAK_EXPECT(hk_local_fold(own.local, &total) == HK_OK);
    SOAK_EXPECT(total % ITEMS == 0 && total >= 2 * ITEMS);
    SOAK_EXPECT(hk_local_destroy(own.local) == HK_OK);
    before = atomic_load(&counted);
    SOAK_EXPECT(hk_local_fold(&counts, &sum) == HK_OK);
    /* What is counted meanwhile may be missing or there. */
    SOAK_EXPECT(sum + ITEMS >= before && sum <= atomic_load(&counted));
}
