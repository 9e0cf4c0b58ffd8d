/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "inflate.h"

static void *create(void)
{
    z_stream *stream = calloc(1, sizeof(*stream));

    /* A negative window size means raw deflate data. */
    if (stream != NULL && inflateInit2(stream, -MAX_WBITS) != Z_OK) {
        free(stream);
        return NULL;
    }
    return stream;
}

static void destroy(void *state)
{
    inflateEnd(state);
    free(state);
}

static bool reset(void *state)
{
    return inflateReset(state) == Z_OK;
}

static uInt clamp(size_t size)
{
    return size > UINT_MAX ? UINT_MAX : (uInt)size;
}

static enum inflate_status run(void *state, struct inflate_step *step)
{
    z_stream *stream = state;
    uInt in_given = clamp(step->in_left), out_given = clamp(step->out_left);
    int result;

    stream->next_in = step->in;
    stream->avail_in = in_given;
    stream->next_out = step->out;
    stream->avail_out = out_given;
    result = inflate(stream, Z_NO_FLUSH);
    step->in = stream->next_in;
    step->in_left -= in_given - stream->avail_in;
    step->out = stream->next_out;
    step->out_left -= out_given - stream->avail_out;
    if (result == Z_STREAM_END) {
        return INFLATE_END;
    }
    /* Z_BUF_ERROR only says that there was nothing to do. */
    return result == Z_OK || result == Z_BUF_ERROR ? INFLATE_MORE : INFLATE_BAD;
}

static uint32_t checksum(uint32_t crc, const void *data, size_t size)
{
    return (uint32_t)crc32_z(crc, data, size);
}

const struct inflate_backend inflate_zlib = {
    .name = "zlib",
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .run = run,
    .crc32 = checksum,
};
