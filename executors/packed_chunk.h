/* SPDX-License-Identifier: MIT */
/*
 * A chunk of a map as bytes, for executors that do not share memory.
 *
 * The items travel as one input, from which a task of the library's own runs each item
 * with a call of its own. What they end with comes back as one value: a header, and one
 * record for each item that has ended, in order.
 *
 *     input   header, name and file of the task, then size and bytes of each item
 *     result  header, then phase, size and bytes (or the packed error) of each item
 *
 * The task writes the result into memory that it reserves when it begins, and counts an
 * item as finished after its record is whole. So whoever sees this memory after the
 * worker has died finds there all that was finished. Nothing in a result is trusted.
 */
#ifndef HOCKET_EXECUTORS_PACKED_CHUNK_H
#define HOCKET_EXECUTORS_PACKED_CHUNK_H

#include "executors/map_chunk.h"

struct hki_packed_input;

/* The task that runs a packed chunk. */
extern const hk_task hki_packed_chunk_task;

/* Adds an item's bytes to what the chunk will send. HK_ENOMEM, HK_EINVAL. */
hk_status hki_packed_chunk_add(struct hki_chunk *chunk, const hk_map_input *input);

/* Bytes that it will send so far. */
size_t hki_packed_chunk_bytes(const struct hki_chunk *chunk);

/* Bytes that a result needs for so many items with so many bytes of value each. */
size_t hki_packed_chunk_room(size_t count, size_t value_bytes);

/* Finishes the input, for a result of `expects` bytes; after the last item, also again if it
 * was refused. The value is a job's to drop, and holds a reference to the chunk until then. */
struct hki_value hki_packed_chunk_seal(struct hki_chunk *chunk, size_t expects);

/* It was accepted: the input is the job's. Not needed if it was refused. */
void hki_packed_chunk_sent(struct hki_chunk *chunk);

/* Releases what was never sent. */
void hki_packed_chunk_drop(struct hki_chunk *chunk);

/* The job has ended: fills the slots from its value, which they show from now on. */
void hki_packed_chunk_unpack(struct hki_chunk *chunk);

/* The worker of a packed chunk's job died, and left these bytes where its result was to be:
 * copies what had been finished into the slots. For a job's `salvage`: after the claim of the
 * job's end, and before its input is dropped, so that nobody else looks at the slots. */
void hki_packed_chunk_salvage(hk_job *job, const void *bytes, size_t size);

#endif
