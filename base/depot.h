/* SPDX-License-Identifier: MIT */
/*
 * Where the magazines of a class of objects (base/slab.h) are exchanged, and where their
 * memory comes from.
 *
 * Memory comes in blocks, of plain malloc; a block is cut into slabs of 64 KiB at
 * addresses that are multiples of that, so an object tells its slab. A slab knows by a bit which
 * of its objects are at home in it. The others are in use, in a thread's magazine, or in a
 * magazine of the depot.
 *
 * What goes back, and when: full magazines stay in the depot, whose lock is then all that 64
 * objects cost; a program that makes a million objects again and again must not buy its pages
 * from the kernel each time. But what lay there for a whole window (a second) untouched, beyond
 * 1 MiB, is halved window by window: one magazine goes home with each that comes, so nobody has to
 * wait for thousands, and a burst that comes again finds its memory. A block whose slabs are all
 * complete is released, but for about 1 MiB of such slabs. A program that stands still keeps what
 * it has.
 */
#ifndef HOCKET_BASE_DEPOT_H
#define HOCKET_BASE_DEPOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/slab.h"

enum { HKI_MAGAZINE = 64 };

/* A free object. */
struct hki_spare {
    struct hki_spare *next;  /* In its magazine. */
    struct hki_spare *below; /* In the first of a magazine: the next magazine of the depot. */
};

/* To HKI_MAGAZINE objects, as a chain, in the order of their addresses if they are from one
 * slab; *count says how many. NULL: no memory. */
struct hki_spare *hki_depot_take(enum hki_slab_slot slot, uint32_t size, uint32_t *count);

/* HKI_MAGAZINE objects. */
void hki_depot_put(enum hki_slab_slot slot, struct hki_spare *magazine);

/* Any number of objects, straight to their slabs. */
void hki_depot_send_home(enum hki_slab_slot slot, struct hki_spare *chain);

/* Everything goes home, and every complete block back. */
void hki_depot_trim(enum hki_slab_slot slot);

/* Every block goes back, as no object is in use, nor in any thread's magazine. */
void hki_depot_dissolve(enum hki_slab_slot slot);

/* --- For tests --- */

struct hki_depot_view {
    size_t magazines;
    size_t blocks;
    size_t slabs;
    size_t complete; /* Slabs. */
};

void hki_depot_look(enum hki_slab_slot slot, struct hki_depot_view *view);

/* The window ends with the next magazine that comes, whatever the time. */
void hki_depot_end_window(enum hki_slab_slot slot);

#endif
