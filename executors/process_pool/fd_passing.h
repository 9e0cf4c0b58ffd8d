/* SPDX-License-Identifier: MIT */
/* Messages with descriptors on a local socket. */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_FD_PASSING_H
#define HOCKET_EXECUTORS_PROCESS_POOL_FD_PASSING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "executors/process_pool/layout.h"

/* A pair of SOCK_SEQPACKET sockets, close-on-exec. False with errno. */
bool hki_socket_pair(int pair[2]);

/* Sends one message with up to HKI_FDS_MAX + 1 descriptors, again after interruptions.
 * `wait`: waits for room; else false with EAGAIN. Never SIGPIPE. False with errno. */
bool hki_send_fds(int socket, const void *bytes, size_t size, const int *fds, size_t count,
                  bool wait);

/* Receives one; the descriptors are close-on-exec, and those beyond `max` are closed.
 * Returns its bytes, 0 at the end of the other side, -1 with errno (EAGAIN: nothing there,
 * if not `wait`). */
ssize_t hki_receive_fds(int socket, void *bytes, size_t size, int *fds, size_t max, size_t *count,
                        bool wait);

#endif
