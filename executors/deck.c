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
