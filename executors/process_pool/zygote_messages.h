/* SPDX-License-Identifier: MIT */
/*
 * What parent and zygote tell each other: one message of fixed size in each direction's
 * packets. Both are the same program, forked; yet whoever receives one checks its size and
 * kind, so that a mistake ends the zygote and not somebody's memory.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_ZYGOTE_MESSAGES_H
#define HOCKET_EXECUTORS_PROCESS_POOL_ZYGOTE_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum hki_zygote_message_kind {
    /* From the parent. */
    HKI_ZYGOTE_REGISTER = 1, /* number, index (channels), address, bytes; memfd, answer */
    HKI_ZYGOTE_UNREGISTER,   /* number */
    HKI_ZYGOTE_SPAWN,        /* number, index, generation; socket, stop event */
    HKI_ZYGOTE_KILL,         /* number, index, generation, value (the signal) */
    /* From the zygote. */
    HKI_ZYGOTE_SPAWNED, /* number, index, generation, pid or -1, value (errno) */
    HKI_ZYGOTE_DIED,    /* number, index, generation, pid, value (wait status), out_of_memory */
};

/*
 * The answer to REGISTER is one int32_t, 0 or an errno, written to the pipe that came with
 * it. So it reaches the thread that asked, whatever the supervisor does meanwhile, and the
 * zygote never has to keep it; and the pipe's end tells both sides that the other gave up.
 */
struct hki_zygote_message {
    uint32_t kind;
    uint32_t index;
    uint64_t number; /* Of the pool. */
    uint32_t generation;
    int32_t pid;
    int32_t value;
    uint32_t out_of_memory;
    uint64_t address;
    uint64_t bytes;
};

enum { HKI_ZYGOTE_MESSAGE_FDS = 2 };

_Static_assert(sizeof(struct hki_zygote_message) == 48, "no padding travels");

/* Whether what was received is a message of one of these kinds. */
static inline bool hki_zygote_message_valid(const struct hki_zygote_message *message, ssize_t size,
                                            uint32_t first, uint32_t last)
{
    return size == (ssize_t)sizeof(*message) && message->kind >= first && message->kind <= last;
}

#endif
