/* SPDX-License-Identifier: MIT */
#ifndef HOCKET_EXECUTORS_BUFFER_IMPL_H
#define HOCKET_EXECUTORS_BUFFER_IMPL_H

#include <hocket/buffer.h>

/* Header of a buffer; the bytes follow, aligned. */
struct hk_buffer {
    hk_executor *executor; /* Compared, never followed: a buffer may outlive it. */
    size_t size;           /* Bytes in use. */
    size_t capacity;       /* Bytes there are. */
    size_t block_bytes;    /* The whole allocation. */
    void *data;
    void (*release)(hk_buffer *buffer); /* Of bytes that lie elsewhere; NULL: they follow. */
};

#endif
