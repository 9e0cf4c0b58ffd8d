/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <stdlib.h>

enum { WIDTH_MOST = 320, HEIGHT_MOST = 240 };

static size_t pixel_bytes(const struct image *image)
{
    return (size_t)image->width * image->height * image->channels;
}

static uint32_t units_of(const struct image *image)
{
    return (uint32_t)((pixel_bytes(image) + sizeof *image + UNIT_BYTES - 1) / UNIT_BYTES);
}

hk_status budget_init(struct budget *budget, uint32_t kib)
{
    /* The largest image, twice, must fit, or its decoder would wait for ever. */
    if (kib < 2 * (WIDTH_MOST * HEIGHT_MOST * 3 / UNIT_BYTES + 1)) {
        return HK_EINVAL;
    }
    budget->unit_count = kib;
    return hk_semaphore_init(&budget->units, "image memory", kib, kib);
}

static hk_status reserve(struct budget *budget, uint32_t units)
{
    hk_status status = hk_semaphore_acquire(&budget->units, units, 0);

    if (status != HK_ETIMEDOUT) {
        return status;
    }
    atomic_fetch_add(&budget->waits, 1);
    return hk_semaphore_acquire(&budget->units, units, HK_FOREVER);
}

/* More given back than was taken would be a fault of this program, and would undo the bound. */
static void give_back(struct budget *budget, uint32_t units)
{
    if (units > 0 && hk_semaphore_release(&budget->units, units) != HK_OK) {
        fprintf(stderr, "image_pipeline: more memory was given back than was reserved\n");
        abort();
    }
}

/* Allocates what was reserved; the shape is that of like. */
static struct image *image_create(const struct image *like)
{
    struct budget *budget = like->budget;
    struct image *image = malloc(sizeof *image);
    size_t bytes = pixel_bytes(like), live, peak;

    if (image == NULL) {
        return NULL;
    }
    *image = *like;
    image->pixels = malloc(bytes);
    if (image->pixels == NULL) {
        free(image);
        return NULL;
    }
    bytes += sizeof *image;
    atomic_fetch_add(&budget->total_bytes, bytes);
    live = atomic_fetch_add(&budget->live_bytes, bytes) + bytes;
    peak = atomic_load(&budget->peak_bytes);
    while (live > peak && !atomic_compare_exchange_weak(&budget->peak_bytes, &peak, live)) {
    }
    return image;
}

void image_destroy(struct image *image)
{
    if (image != NULL) {
        struct budget *budget = image->budget;
        uint32_t units = image->units;

        atomic_fetch_sub(&budget->live_bytes, pixel_bytes(image) + sizeof *image);
        free(image->pixels);
        free(image);
        give_back(budget, units);
    }
}

hk_status image_decode(struct budget *budget, unsigned number, struct image **out)
{
    struct image shape = {.budget = budget,
                          .number = number,
                          .width = WIDTH_MOST / 2 + number * 37 % (WIDTH_MOST / 2 + 1),
                          .height = HEIGHT_MOST / 2 + number * 53 % (HEIGHT_MOST / 2 + 1),
                          .channels = number % 2 == 0 ? 1 : 3};
    uint32_t bits = number * 2654435761U + 1;
    hk_status status;

    shape.units = 2 * units_of(&shape);
    status = reserve(budget, shape.units);
    if (status != HK_OK) {
        return status;
    }
    *out = image_create(&shape);
    if (*out == NULL) {
        give_back(budget, shape.units);
        return HK_ENOMEM;
    }
    for (size_t i = 0; i < pixel_bytes(*out); i++) {
        bits = bits * 1664525U + 1013904223U;
        (*out)->pixels[i] = (unsigned char)(bits >> 24);
    }
    return HK_OK;
}

/* The mean of a pixel and its neighbours, in one channel; at the edges there are fewer. */
static unsigned char mean(const struct image *image, unsigned x, unsigned y, unsigned channel)
{
    unsigned sum = 0, count = 0;

    for (unsigned row = y > 0 ? y - 1 : 0; row <= y + 1 && row < image->height; row++) {
        for (unsigned column = x > 0 ? x - 1 : 0; column <= x + 1 && column < image->width;
             column++) {
            size_t at = ((size_t)row * image->width + column) * image->channels + channel;

            sum += image->pixels[at];
            count++;
        }
    }
    return (unsigned char)(sum / count);
}

hk_status image_blur(struct image *image, struct image **out)
{
    struct image shape = *image;
    unsigned char *pixel;

    shape.units = image->units / 2;
    *out = image_create(&shape);
    if (*out == NULL) {
        return HK_ENOMEM;
    }
    image->units -= shape.units;
    pixel = (*out)->pixels;
    for (unsigned y = 0; y < image->height; y++) {
        for (unsigned x = 0; x < image->width; x++) {
            for (unsigned channel = 0; channel < image->channels; channel++) {
                *pixel++ = mean(image, x, y, channel);
            }
        }
    }
    return HK_OK;
}

bool image_encode(const struct image *image, FILE *file)
{
    size_t row = (size_t)image->width * image->channels;

    fprintf(file, "P%d\n%u %u\n255\n", image->channels == 1 ? 5 : 6, image->width, image->height);
    for (unsigned y = 0; y < image->height; y++) {
        if (fwrite(image->pixels + y * row, 1, row, file) != row) {
            return false;
        }
    }
    return fflush(file) == 0;
}

/* FNV-1a. */
uint64_t image_checksum(const struct image *image)
{
    uint64_t sum = UINT64_C(0xCBF29CE484222325);

    for (size_t i = 0; i < pixel_bytes(image); i++) {
        sum = (sum ^ image->pixels[i]) * UINT64_C(0x100000001B3);
    }
    return sum;
}
