/* SPDX-License-Identifier: MIT */
/*
 * All files in and below the paths that were given.
 *
 * Depth first, in the order of the folders. At most WALK_OPEN_MAX folders are open
 * at once and memory grows with the depth only, however many files there are.
 * Symbolic links are followed where they were given, not where they are met inside
 * a folder: so no link makes a loop, or a file count twice.
 */
#ifndef HOCKET_LOGS_WALK_H
#define HOCKET_LOGS_WALK_H

#include <dirent.h>
#include <limits.h>
#include <stdint.h>

#include "span.h"

#define WALK_OPEN_MAX 8

/* A folder that is being read. */
struct walk_folder {
    size_t path_size; /* Of the walk's path, up to and without the slash after it. */
    DIR *dir;         /* NULL while it is closed to save descriptors. */
    long position;    /* Where to go on after it was closed. */
};

struct walk {
    char *const *paths; /* Borrowed; what was given. */
    size_t path_count;
    size_t next_path;
    struct walk_folder *folders; /* From the given one to the deepest. */
    size_t folder_count, folder_capacity;
    char path[PATH_MAX]; /* Of the entry under way. */
    char error[PATH_MAX + 128];
};

/* A file, or something that was wrong. The path is borrowed until the next call and
 * ends with a zero byte; of the error text likewise. */
struct walk_entry {
    struct span path;
    uint64_t size;     /* Of the file in bytes. */
    const char *error; /* NULL for a file; else what is wrong with the path. */
};

void walk_init(struct walk *walk, char *const *paths, size_t path_count);
void walk_fini(struct walk *walk);

/* False: nothing is left. */
bool walk_next(struct walk *walk, struct walk_entry *entry);

#endif
