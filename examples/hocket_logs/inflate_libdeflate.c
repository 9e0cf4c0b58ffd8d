/* SPDX-License-Identifier: MIT */
#include <libdeflate.h>

#include "inflate.h"

static void *create(void)
{
    return libdeflate_alloc_decompressor();
}

static void destroy(void *state)
{
    libdeflate_free_decompressor(state);
}

static bool reset(void *state)
{
    (void)state; /* Nothing is kept between streams. */
    return true;
}

static enum inflate_status run(void *state, struct inflate_step *step)
{
    size_t used, produced;
    enum libdeflate_result result = libdeflate_deflate_decompress_ex(
        state, step->in, step->in_left, step->out, step->out_left, &used, &produced);

    if (result == LIBDEFLATE_SUCCESS) {
        step->in += used;
        step->in_left -= used;
        step->out += produced;
        step->out_left -= produced;
        return INFLATE_END;
    }
    return result == LIBDEFLATE_INSUFFICIENT_SPACE ? INFLATE_LARGE : INFLATE_BAD;
}

static uint32_t checksum(uint32_t crc, const void *data, size_t size)
{
    return libdeflate_crc32(crc, data, size);
}

const struct inflate_backend inflate_libdeflate = {
    .name = "libdeflate",
    .whole_only = true,
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .run = run,
    .crc32 = checksum,
};
