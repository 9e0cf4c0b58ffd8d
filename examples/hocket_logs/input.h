/* SPDX-License-Identifier: MIT */
/*
 * Reading a file in pieces, with what goes wrong kept as one sentence, and with
 * somebody asked now and then whether to go on.
 */
#ifndef HOCKET_LOGS_INPUT_H
#define HOCKET_LOGS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INPUT_ERROR_SIZE 256

/* Asked after each piece. */
struct input_watch {
    /* Told how many more bytes of input were read; true: stop here. */
    bool (*should_stop)(void *arg, size_t bytes_read);
    void *arg;
};

struct input {
    int fd;
    uint64_t offset; /* Of the next byte to be read. */
    uint64_t read_bytes;
    struct input_watch watch;
    bool is_stopped;              /* The watch said so. */
    char error[INPUT_ERROR_SIZE]; /* The first thing that went wrong; "" if nothing did. */
};

/* Opens a file for reading from its beginning. False: the error says why. */
bool input_open(struct input *input, const char *path, struct input_watch watch);
void input_close(struct input *input);

/* Reads up to size bytes at offset and moves on. 0: the end, a stop or an error. */
size_t input_read(struct input *input, void *bytes, size_t size);

/* Keeps a sentence about what went wrong, unless there is one already. */
__attribute__((format(printf, 2, 3))) void input_complain(struct input *input, const char *format,
                                                          ...);

#endif
