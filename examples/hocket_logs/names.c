/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <stdlib.h>

enum {
    FIRST_SLOTS = 64,
    FIRST_CHUNK_SIZE = 4096,
    LARGEST_CHUNK_SIZE = 1 << 20,
};

struct name_chunk {
    struct name_chunk *next;
    size_t size; /* Of bytes. */
    size_t used;
    char bytes[];
};

void names_init(struct name_table *table)
{
    *table = (struct name_table){.slots = NULL};
}

void names_fini(struct name_table *table)
{
    struct name_chunk *chunk = table->chunks;

    while (chunk != NULL) {
        struct name_chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    free(table->slots);
    names_init(table);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Eight bytes a step, folded by a multiplication of which both halves are kept. */
static uint64_t hash_bytes(struct span text)
{
    const uint64_t first = 0x9e3779b97f4a7c15U, second = 0xd6e8feb86659fd93U;
    uint64_t hash = first ^ text.size;
    const char *p = text.data;
    size_t left = text.size;
    uint64_t word;

    while (left > 8) {
        memcpy(&word, p, 8);
        hash = mix(hash ^ word, second);
        p += 8;
        left -= 8;
    }
    word = 0;
    memcpy(&word, p, left);
    return mix(hash ^ word, second ^ first);
}

/* The slot of a name: the one that holds it, or the empty one where it belongs. */
static struct name_count *find_slot(struct name_count *slots, size_t slot_count, struct span name,
                                    uint64_t hash)
{
    size_t mask = slot_count - 1;
    size_t i = (size_t)hash & mask;

    while (slots[i].name.data != NULL &&
           !(slots[i].hash == hash && span_equal(slots[i].name, name))) {
        i = (i + 1) & mask;
    }
    return &slots[i];
}

static bool grow_slots(struct name_table *table)
{
    size_t slot_count = table->slot_count == 0 ? FIRST_SLOTS : table->slot_count * 2;
    struct name_count *slots = calloc(slot_count, sizeof(*slots));

    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->slot_count; i++) {
        const struct name_count *old = &table->slots[i];

        if (old->name.data != NULL) {
            *find_slot(slots, slot_count, old->name, old->hash) = *old;
        }
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    return true;
}

/* Room for the bytes of one name (N2); NULL: no memory. */
static char *reserve_text(struct name_table *table, size_t size)
{
    struct name_chunk *chunk = table->chunks;

    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t chunk_size = FIRST_CHUNK_SIZE;

        if (chunk != NULL) {
            chunk_size = chunk->size < LARGEST_CHUNK_SIZE ? chunk->size * 2 : chunk->size;
        }
        if (chunk_size < size) {
            chunk_size = size;
        }
        chunk = malloc(sizeof(*chunk) + chunk_size);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->size = chunk_size;
        chunk->used = 0;
        chunk->next = table->chunks;
        table->chunks = chunk;
    }
    char *text = chunk->bytes + chunk->used;
    chunk->used += size;
    return text;
}

bool names_add(struct name_table *table, struct span name, uint64_t count)
{
    uint64_t hash = hash_bytes(name);
    struct name_count *slot;
    char *text;

    if (table->used >= table->slot_count / 4 * 3 && !grow_slots(table)) {
        return false;
    }
    slot = find_slot(table->slots, table->slot_count, name, hash);
    if (slot->name.data != NULL) {
        slot->count += count;
        return true;
    }
    /* One byte for an empty name, whose data must not be NULL. */
    text = reserve_text(table, name.size == 0 ? 1 : name.size);
    if (text == NULL) {
        return false;
    }
    memcpy(text, name.data, name.size);
    *slot = (struct name_count){{text, name.size}, count, hash};
    table->used++;
    table->text_size += name.size;
    return true;
}

uint64_t names_get(const struct name_table *table, struct span name)
{
    if (table->slot_count == 0) {
        return 0;
    }
    return find_slot(table->slots, table->slot_count, name, hash_bytes(name))->count;
}

struct name_count *names_list(const struct name_table *table)
{
    struct name_count *list = malloc((table->used == 0 ? 1 : table->used) * sizeof(*list));
    size_t n = 0;

    if (list == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].name.data != NULL) {
            list[n++] = table->slots[i];
        }
    }
    return list;
}
