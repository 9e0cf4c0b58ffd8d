/* SPDX-License-Identifier: MIT */
#include "executors/process_pool/fd_passing.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "base/no_cancel.h"
#include "base/os.h"

enum { FDS_ROOM = HKI_FDS_MAX + 1 };

/* Aligned for its first header, as the kernel wants it. */
union ancillary {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * FDS_ROOM)];
};

bool hki_socket_pair(int pair[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0;
}

bool hki_send_fds(int socket, const void *bytes, size_t size, const int *fds, size_t count,
                  bool wait)
{
    HKI_NO_CANCEL;
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union ancillary ancillary;
    ssize_t sent;

    HKI_ASSERT(count <= FDS_ROOM);
    if (count > 0) {
        memset(&ancillary, 0, sizeof(ancillary));
        message.msg_control = &ancillary;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        ancillary.header.cmsg_level = SOL_SOCKET;
        ancillary.header.cmsg_type = SCM_RIGHTS;
        ancillary.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(&ancillary.header), fds, sizeof(int) * count);
    }
    do {
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

/* Takes the descriptors out of a message; closes those for which there is no place. */
static size_t take_fds(struct msghdr *message, int *fds, size_t max)
{
    size_t count = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL;
         header = CMSG_NXTHDR(message, header)) {
        size_t bytes = header->cmsg_len - CMSG_LEN(0);

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
            int fd;

            memcpy(&fd, CMSG_DATA(header) + at, sizeof(fd));
            if (count < max) {
                fds[count++] = fd;
            } else {
                hki_os_close(fd);
            }
        }
    }
    return count;
}

ssize_t hki_receive_fds(int socket, void *bytes, size_t size, int *fds, size_t max, size_t *count,
                        bool wait)
{
    HKI_NO_CANCEL;
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    union ancillary ancillary;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &ancillary,
                             .msg_controllen = sizeof(ancillary)};
    ssize_t got;

    *count = 0;
    do {
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return -1;
    }
    *count = take_fds(&message, fds, max);
    if ((message.msg_flags & MSG_TRUNC) != 0) {
        while (*count > 0) {
            hki_os_close(fds[--*count]);
        }
        errno = EMSGSIZE;
        return -1;
    }
    return got;
}
