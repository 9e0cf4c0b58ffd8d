/* SPDX-License-Identifier: MIT */
/* Files in memory, which are shared between processes, and sealed. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/no_cancel.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* Some kernels undo a whole fallocate() when a signal comes, so a long one might never end. */
enum { ALLOCATE_STEP = 1024 * 1024 };

/* The kernel sends SIGXFSZ to the thread that exceeds a limit on the size of files; so it is
 * held back here, and taken away, unless one was pending before. */
static int resize(int fd, off_t bytes)
{
    static const struct timespec at_once = {0};
    sigset_t exceeded;
    sigset_t mask;
    sigset_t pending;
    int result;
    int error;
    HKI_NO_CANCEL;

    sigemptyset(&exceeded);
    sigaddset(&exceeded, SIGXFSZ);
    sigemptyset(&pending);
    pthread_sigmask(SIG_BLOCK, &exceeded, &mask);
    sigpending(&pending);
    do {
        result = ftruncate(fd, bytes);
    } while (result != 0 && errno == EINTR);
    error = errno;
    if (result != 0 && error == EFBIG && !sigismember(&pending, SIGXFSZ)) {
        while (sigtimedwait(&exceeded, NULL, &at_once) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    errno = error;
    return result;
}

int hki_os_memfd_create(const char *name, uint64_t bytes)
{
    int fd;
    int error;

    if (bytes > INT64_MAX) {
        errno = EFBIG;
        return -1;
    }
    fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        /* Kernels before 6.3 do not know that a file in memory need not be executable. */
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    if (fd >= 0) {
        (void)fchmod(fd, S_IRUSR | S_IWUSR); /* By /proc others might open it, too. */
    }
    if (fd >= 0 && resize(fd, (off_t)bytes) != 0) {
        error = errno;
        hki_os_close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

bool hki_os_memfd_allocate(int fd, uint64_t at, uint64_t bytes)
{
    HKI_NO_CANCEL;

    while (bytes > 0) {
        uint64_t step = bytes < ALLOCATE_STEP ? bytes : ALLOCATE_STEP;

        if (fallocate(fd, 0, (off_t)at, (off_t)step) == 0) {
            at += step;
            bytes -= step;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool hki_os_memfd_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
}

bool hki_os_memfd_freeze(int fd)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0;
}

static bool has_seals(int fd, int wanted, uint64_t bytes, struct stat *status)
{
    int seals = fcntl(fd, F_GET_SEALS); /* Fails for all that is no file in memory. */

    return seals >= 0 && (seals & wanted) == wanted && fstat(fd, status) == 0 &&
           S_ISREG(status->st_mode) && status->st_size >= 0 && (uint64_t)status->st_size >= bytes;
}

bool hki_os_memfd_sealed(int fd, uint64_t bytes)
{
    struct stat status;

    return has_seals(fd, F_SEAL_SHRINK, bytes, &status);
}

bool hki_os_memfd_frozen(int fd, uint64_t bytes)
{
    enum { BLOCK = 512 };
    struct stat status;

    return has_seals(fd, F_SEAL_SHRINK | F_SEAL_WRITE, bytes, &status) &&
           (uint64_t)status.st_blocks >= (bytes + BLOCK - 1) / BLOCK;
}
