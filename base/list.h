/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked list without allocation: the link is a field of the element.
 *
 * Invariant: a link is either in exactly one list, or "loose" (it points to
 * itself). So removing is idempotent and asking whether an element is queued
 * needs no second field.
 */
#ifndef HOCKET_BASE_LIST_H
#define HOCKET_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct hki_list {
    struct hki_list *next;
    struct hki_list *previous;
};

#define HKI_CONTAINER(pointer, type, member)                                                       \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Makes an empty list, or a loose link. */
static inline void hki_list_init(struct hki_list *list)
{
    list->next = list;
    list->previous = list;
}

static inline bool hki_list_empty(const struct hki_list *list)
{
    return list->next == list;
}

static inline bool hki_list_linked(const struct hki_list *link)
{
    return link->next != link;
}

static inline void hki_list_append(struct hki_list *list, struct hki_list *link)
{
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

static inline void hki_list_prepend(struct hki_list *list, struct hki_list *link)
{
    hki_list_append(list->next, link);
}

/* Leaves the link loose. */
static inline void hki_list_remove(struct hki_list *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    hki_list_init(link);
}

/* The first link, taken out; NULL from an empty list. */
static inline struct hki_list *hki_list_take_first(struct hki_list *list)
{
    struct hki_list *first = list->next;

    if (first == list) {
        return NULL;
    }
    hki_list_remove(first);
    return first;
}

/* Appends all of source to list and leaves source empty. */
static inline void hki_list_append_all(struct hki_list *list, struct hki_list *source)
{
    if (hki_list_empty(source)) {
        return;
    }
    source->next->previous = list->previous;
    list->previous->next = source->next;
    source->previous->next = list;
    list->previous = source->previous;
    hki_list_init(source);
}

#endif
