/* SPDX-License-Identifier: MIT */
/*
 * Making files, with what goes wrong told on standard error.
 */
#ifndef HOCKET_MAKE_LOGS_FILES_H
#define HOCKET_MAKE_LOGS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#define ZLIB_CONST /* Input is not written to. */
#include <zlib.h>

/* Makes a folder unless it is there. */
bool files_make_folder(const char *path);

/* Makes a file in a folder. NULL: it has been said. */
FILE *files_create(const char *folder, const char *name);

/* Ends a file; NULL is a failure that was told before. False: something was not
 * written; it has been said. */
bool files_close(FILE *file, const char *folder, const char *name);

/* A log file, plain or gzip. */
struct log_file {
    const char *folder;
    char name[40];
    FILE *file;
    bool is_gzip, has_failed;
    z_stream deflate;
    uint32_t crc;
    uint64_t text_size;
};

/* Begins the file NAME, with ".gz" added for gzip. False: it has been said. */
bool log_file_begin(struct log_file *log, const char *folder, const char *name, bool is_gzip);
void log_file_write(struct log_file *log, const void *text, size_t size);
bool log_file_end(struct log_file *log);

#endif
