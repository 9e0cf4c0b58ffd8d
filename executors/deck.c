/* SPDX-License-Identifier: MIT */
#include "executors/deck.h"

#include "base/memory.h"

enum { LINE = 64 };

/* A block holds the deck at the next whole line. */
struct block {
    unsigned char room[sizeof(struct deck) + LINE];
};

static struct deck *create(void)
{
    struct block *block = hki_zalloc(sizeof(*block));
    struct deck *deck;
    size_t skip;

    if (block == NULL) {
        return NULL;
    }
    /* At least a byte, in which the way back is noted. */
    skip = LINE - (uintptr_t)block % LINE;
    block->room[skip - 1] = (unsigned char)skip;
    deck = (struct deck *)(void *)(block->room + skip);
    return deck;
}

static void destroy(struct deck *deck)
{
    unsigned char *start = (unsigned char *)deck;

    start -= start[-1];
    hki_free(start, sizeof(struct block));
}

struct deck *hki_deck_take(_Atomic(struct deck *) *list)
{
    struct deck *deck = atomic_load(list);

    while (deck != NULL && deck->is_taken) {
        deck = deck->next;
    }
    if (deck == NULL && (deck = create()) != NULL) {
        deck->next = atomic_load(list);
        atomic_store(list, deck);
    }
    if (deck != NULL) {
        deck->is_taken = true;
    }
    return deck;
}

/* Of those at this distance; HKI_DISTANCES: of all. */
static void *steal_at(_Atomic(struct deck *) *list, struct deck *own,
                      const struct hki_topology *topology, enum hki_distance distance)
{
    struct deck *deck = own->next == NULL ? atomic_load(list) : own->next;
    /* relaxed, both: a hint. */
    unsigned here = atomic_load_explicit(&own->cpu, memory_order_relaxed);

    while (deck != own) {
        if (distance == HKI_DISTANCES ||
            hki_topology_distance(topology, here,
                                  atomic_load_explicit(&deck->cpu, memory_order_relaxed)) ==
                distance) {
            void *item = hki_deque_take(&deck->deque);

            if (item != NULL) {
                return item;
            }
        }
        deck = deck->next == NULL ? atomic_load(list) : deck->next;
    }
    return NULL;
}

void *hki_deck_steal(_Atomic(struct deck *) *list, struct deck *own,
                     const struct hki_topology *topology)
{
    void *item = NULL;

    if (topology == NULL) {
        return steal_at(list, own, NULL, HKI_DISTANCES);
    }
    for (int distance = 0; distance < HKI_DISTANCES && item == NULL; distance++) {
        item = steal_at(list, own, topology, (enum hki_distance)distance);
    }
    return item;
}

void hki_decks_free(_Atomic(struct deck *) *list)
{
    struct deck *deck = atomic_load(list);

    while (deck != NULL) {
        struct deck *next = deck->next;

        destroy(deck);
        deck = next;
    }
    atomic_store(list, NULL);
}

uint64_t hki_decks_counted(_Atomic(struct deck *) *list, enum hki_counted what)
{
    uint64_t sum = 0;

    for (struct deck *deck = atomic_load(list); deck != NULL; deck = deck->next) {
        sum += hki_work_count_read(&deck->counts, what);
    }
    return sum;
}
