/* SPDX-License-Identifier: MIT */
/* Images whose memory is bounded: all of them together never take more than a budget. */
#ifndef HOCKET_EXAMPLES_IMAGE_PIPELINE_IMAGE_H
#define HOCKET_EXAMPLES_IMAGE_PIPELINE_IMAGE_H

#include <hocket/hocket.h>

#include <stdatomic.h>
#include <stdio.h>

/*
 * Memory is reserved in units of 1 KiB before it is allocated, and given back after it was freed.
 * What is live is counted where it is allocated and freed, apart from the units: the peak proves
 * the bound instead of repeating it.
 */
struct budget {
    hk_semaphore units;
    uint32_t unit_count;
    atomic_size_t live_bytes;
    atomic_size_t peak_bytes;
    atomic_size_t total_bytes;
    atomic_uint waits; /* How often there was no room: the back pressure. */
};

enum { UNIT_BYTES = 1024 };

struct image {
    struct budget *budget;
    uint32_t units; /* What it gives back; of a copy as well, which brought none. */
    unsigned number;
    unsigned width;
    unsigned height;
    unsigned channels; /* 1: PGM, 3: PPM. */
    unsigned char *pixels;
};

hk_status budget_init(struct budget *budget, uint32_t kib);

/*
 * Decodes the image of a number; there are no files, so it is made up, sizes and colours alike.
 * Reserves twice its memory, for itself and for what the filter makes of it: a stage that held
 * one image and waited for the room of another could wait for itself. Waits for that room.
 */
hk_status image_decode(struct budget *budget, unsigned number, struct image **out);

/* Blurs; the result takes over half of what the image had reserved, and the image stays. */
hk_status image_blur(struct image *image, struct image **out);

/* As PGM or PPM to a file, row by row: no second copy in memory. */
bool image_encode(const struct image *image, FILE *file);

/* Of the pixels; what is compared in the end. */
uint64_t image_checksum(const struct image *image);

void image_destroy(struct image *image);

#endif
