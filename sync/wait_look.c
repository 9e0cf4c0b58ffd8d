/* SPDX-License-Identifier: MIT */
#include "sync/wait_look.h"

#include <string.h>

#include "base/memory.h"

static void prepare(struct hki_look *look)
{
    look->visits = look->few_visits;
    look->table = look->few_table;
    look->used = 0;
    look->room = HKI_LOOK_FEW;
    look->short_of_memory = false;
    memset(look->few_table, 0, sizeof(look->few_table));
}

void hki_look_release(struct hki_look *look)
{
    if (look->visits == look->few_visits) {
        return;
    }
    hki_free(look->visits, look->room * sizeof(*look->visits));
    hki_free(look->table, look->room * 2 * sizeof(*look->table));
}

/* The node's place in the table: its own, or the free one where it belongs. */
static uint32_t *place_of(struct hki_look *look, struct hki_wait_node node)
{
    size_t mask = look->room * 2 - 1;
    uint64_t mixed = (uint64_t)(uintptr_t)node.object * UINT64_C(0x9E3779B97F4A7C15);

    for (size_t at = (size_t)(mixed >> 32) & mask;; at = (at + 1) & mask) {
        uint32_t position = look->table[at];
        struct hki_wait_node found;

        if (position == 0) {
            return &look->table[at];
        }
        found = look->visits[position - 1].node;
        if (found.object == node.object && found.ops == node.ops) {
            return &look->table[at];
        }
    }
}

struct hki_visit *hki_look_find(struct hki_look *look, struct hki_wait_node node)
{
    uint32_t position = *place_of(look, node);

    return position == 0 ? NULL : &look->visits[position - 1];
}

static bool make_room(struct hki_look *look)
{
    size_t room = look->room * 2;
    struct hki_visit *visits;
    uint32_t *table;

    if (look->used < look->room) {
        return true;
    }
    visits = hki_alloc(room * sizeof(*visits));
    table = hki_zalloc(room * 2 * sizeof(*table));
    if (visits == NULL || table == NULL) {
        hki_free(visits, room * sizeof(*visits));
        hki_free(table, room * 2 * sizeof(*table));
        look->short_of_memory = true;
        return false;
    }
    memcpy(visits, look->visits, look->used * sizeof(*visits));
    hki_look_release(look);
    look->visits = visits;
    look->table = table;
    look->room = room;
    for (size_t i = 0; i < look->used; i++) {
        *place_of(look, visits[i].node) = (uint32_t)i + 1;
    }
    return true;
}

/* Adds a node unless it is there; true if it can move by itself. */
static bool visit(struct hki_look *look, struct hki_wait_node node)
{
    struct hki_visit *place;

    if (node.ops == NULL) {
        return true;
    }
    if ((place = hki_look_find(look, node)) != NULL) {
        return place->moves;
    }
    if (!make_room(look)) {
        return true;
    }
    place = &look->visits[look->used++];
    *place_of(look, node) = (uint32_t)look->used;
    *place = (struct hki_visit){.node = node};
    place->kind = node.ops->look(node.object, &place->count);
    place->moves = place->kind == HKI_WAIT_MOVES;
    return place->moves;
}

/* Breadth first. Of an ANY node nothing more is asked once a successor can move:
 * waits for the next of thousands of futures stay cheap. */
static void collect(struct hki_look *look, struct hki_wait_node start)
{
    visit(look, start);
    for (size_t at = 0; at < look->used && !look->short_of_memory; at++) {
        struct hki_wait_node node = look->visits[at].node;
        size_t count = look->visits[at].count;

        for (size_t i = 0; i < count; i++) {
            bool moves = visit(look, node.ops->next(node.object, i));

            if (moves && look->visits[at].kind == HKI_WAIT_ANY) {
                look->visits[at].moves = true;
                break;
            }
        }
    }
}

static bool can_move(struct hki_look *look, const struct hki_visit *place)
{
    size_t movable = 0;

    for (size_t i = 0; i < place->count; i++) {
        struct hki_wait_node next = place->node.ops->next(place->node.object, i);
        struct hki_visit *found = next.ops == NULL ? NULL : hki_look_find(look, next);

        /* Not found: it changed since it was collected, so it is moving. */
        movable += found == NULL || found->moves ? 1 : 0;
    }
    return place->kind == HKI_WAIT_ANY ? movable > 0 : movable == place->count;
}

/* From the last to the first: what a node waits for was mostly found after it, so that a chain of
 * any length is settled at once, and not link by link. */
static void settle(struct hki_look *look)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = look->used; i > 0; i--) {
            struct hki_visit *place = &look->visits[i - 1];

            if (!place->moves && can_move(look, place)) {
                place->moves = true;
                changed = true;
            }
        }
    }
}

/* Breadth first over the stuck ones; `after` chains those that are still to be looked at.
 * Returns the position of the target, or of the last one reached. */
static uint32_t reach(struct hki_look *look, struct hki_wait_node target)
{
    uint32_t last = 1;

    look->visits[0].before = 1;
    for (uint32_t at = 1; at != 0; at = look->visits[at - 1].after) {
        const struct hki_visit *place = &look->visits[at - 1];

        for (size_t i = 0; i < place->count; i++) {
            struct hki_wait_node next = place->node.ops->next(place->node.object, i);
            uint32_t found = next.ops == NULL ? 0 : *place_of(look, next);

            if (found == 0 || look->visits[found - 1].moves ||
                look->visits[found - 1].before != 0) {
                continue;
            }
            look->visits[found - 1].before = at;
            look->visits[last - 1].after = found;
            last = found;
            if (next.ops == target.ops && next.object == target.object) {
                return found;
            }
        }
    }
    return last;
}

void hki_look_way(struct hki_look *look, struct hki_wait_node target)
{
    uint32_t end = reach(look, target);
    uint32_t after = 0;

    for (uint32_t at = end;; at = look->visits[at - 1].before) {
        look->visits[at - 1].after = after;
        after = at;
        if (at == 1) {
            return;
        }
    }
}

struct hki_visit *hki_look_after(struct hki_look *look, const struct hki_visit *place)
{
    return place->after == 0 ? NULL : &look->visits[place->after - 1];
}

void hki_look_from(struct hki_look *look, struct hki_wait_node start)
{
    prepare(look);
    collect(look, start);
    if (!look->short_of_memory) {
        settle(look);
    }
}
