/* SPDX-License-Identifier: MIT */
/*
 * A descriptor that somebody else may have closed: applications run closefrom(). What it
 * pointed to is remembered, so that a number that has a new owner is neither used nor closed.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_OWN_FD_H
#define HOCKET_EXECUTORS_PROCESS_POOL_OWN_FD_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/os.h"

struct hki_own_fd {
    int fd; /* -1: none. */
    dev_t device;
    ino_t inode;
};

#define HKI_OWN_FD_NONE                                                                            \
    {                                                                                              \
        -1, 0, 0                                                                                   \
    }

static inline void hki_own_fd_set(struct hki_own_fd *own, int fd)
{
    struct stat now;

    own->fd = fstat(fd, &now) == 0 ? fd : -1;
    own->device = own->fd >= 0 ? now.st_dev : 0;
    own->inode = own->fd >= 0 ? now.st_ino : 0;
}

/* Whether it still points to what it did. All event descriptors share one inode, so of
 * these it says only that the number has one. Cost: a system call. */
static inline bool hki_own_fd_valid(const struct hki_own_fd *own)
{
    struct stat now;

    return own->fd >= 0 && fstat(own->fd, &now) == 0 && now.st_dev == own->device &&
           now.st_ino == own->inode;
}

/* Closes it if it is ours; leaves none. */
static inline void hki_own_fd_close(struct hki_own_fd *own)
{
    if (hki_own_fd_valid(own)) {
        hki_os_close(own->fd);
    }
    own->fd = -1;
}

#endif
