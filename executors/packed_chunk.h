/* SPDX-License-Identifier: MIT */
/*
 * A chunk of a map as bytes, for executors that do not share memory.
 *
 * The items travel as one input, from which a task of the library's own runs each item
 * with a call of its own. What they end with comes back as one value: a header, and what
 * each item that has ended left, in order.
 *
 *     input   header, name and file of the task, then the items side by side; if their sizes
 *             differ, each behind its size
 *     result  header, then values side by side, as long as all items succeed with values of
 *             one size; then phase, size and bytes (or the packed error) of each other item
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

/* Adds so many items of one size that lie side by side. False: there is no memory, and none was
 * added. */
bool hki_packed_chunk_add_array(struct hki_chunk *chunk, const void *items, size_t count,
                                size_t size);

/* Bytes that it will send so far. */
size_t hki_packed_chunk_bytes(const struct hki_chunk *chunk);

/* Bytes that a result needs for so many items with so many bytes of value each. */
size_t hki_packed_chunk_room(size_t count, size_t value_bytes);

/* Finishes the input, for a result of `expects` bytes; after the last item, also again if it
 * was refused. The value is a job's to drop, and holds a reference to the chunk until then. */
struct hki_value hki_packed_chunk_seal(struct hki_chunk *chunk, size_t expects);

/* It was accepted: the input is the job's. Not needed if it was refused. */
void hki_packed_chunk_sent(struct hki_chunk *chunk);

/* Releases what was never sent, and what was salvaged. */
void hki_packed_chunk_drop(struct hki_chunk *chunk);

/* The job has ended: from now on its value, or what was salvaged, is read. */
void hki_packed_chunk_open(struct hki_chunk *chunk);

/* The next item's end. Values are shown where they lie. */
void hki_packed_chunk_deliver(struct hki_chunk *chunk, hk_map_item *item);

/* The worker of a packed chunk's job died, and left these bytes where its result was to be:
 * copies what had been finished. For a job's `salvage`: after the claim of the job's end, and
 * before that is published and the input is dropped, so that nobody else looks at the chunk. */
void hki_packed_chunk_salvage(hk_job *job, const void *bytes, size_t size);

#endif
