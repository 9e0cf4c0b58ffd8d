/* SPDX-License-Identifier: MIT */
#include <isa-l.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "inflate.h"

static bool reset(void *state)
{
    isal_inflate_init(state);
    /* crc_flag stays ISAL_DEFLATE: raw data. */
    return true;
}

static void *create(void)
{
    return malloc(sizeof(struct inflate_state));
}

static void destroy(void *state)
{
    free(state);
}

static uint32_t clamp(size_t size)
{
    return size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
}

/* ISA-L reads up to 8 bytes ahead into a register and leaves those behind the end
 * of the stream there. They are the trailer's, or the next member's: give them
 * back. */
static void give_back_lookahead(const struct inflate_state *stream, struct inflate_step *step)
{
    uint64_t bits = stream->read_in >> (stream->read_in_length % 8);
    size_t count = stream->read_in_length < 0 ? 0 : (size_t)stream->read_in_length / 8;

    step->in -= count;
    step->in_left += count;
    for (size_t i = 0; i < count; i++) {
        step->in[i] = (unsigned char)(bits >> (8 * i));
    }
}

static enum inflate_status run(void *state, struct inflate_step *step)
{
    struct inflate_state *stream = state;
    uint32_t in_given = clamp(step->in_left), out_given = clamp(step->out_left);
    int result;

    stream->next_in = step->in;
    stream->avail_in = in_given;
    stream->next_out = step->out;
    stream->avail_out = out_given;
    result = isal_inflate(stream);
    step->in = stream->next_in;
    step->in_left -= in_given - stream->avail_in;
    step->out = stream->next_out;
    step->out_left -= out_given - stream->avail_out;
    if (result < 0) {
        return INFLATE_BAD;
    }
    if (stream->block_state == ISAL_BLOCK_FINISH) {
        give_back_lookahead(stream, step);
        return INFLATE_END;
    }
    return INFLATE_MORE;
}

static uint32_t checksum(uint32_t crc, const void *data, size_t size)
{
    return crc32_gzip_refl(crc, data, size);
}

const struct inflate_backend inflate_isal = {
    .name = "isal",
    .create = create,
    .destroy = destroy,
    .reset = reset,
    .run = run,
    .crc32 = checksum,
};
