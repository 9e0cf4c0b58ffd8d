/* SPDX-License-Identifier: MIT */
/* A spill's memory is allocated at its creation: without memory that is a status, and not a
 * signal in the midst of a task that fills it. */
#include "executors/process_pool/spill.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/no_cancel.h"
#include "base/os.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/memory.h"

static hk_status close_refused(int fd)
{
    int error = errno;
    hk_status status = hki_pool_memory_refused();

    hki_os_close(fd);
    errno = error;
    return status;
}

hk_status hki_spill_create(size_t size, int *fd, void **data)
{
    void *memory;
    int file;

    if (size == 0) {
        return HK_EINVAL;
    }
    if (HKI_FAULT("spill_fails")) {
        errno = EMFILE;
        return hki_pool_memory_refused();
    }
    if ((file = hki_os_memfd_create("hocket-spill", size)) < 0) {
        return hki_pool_memory_refused();
    }
    if (!hki_os_memfd_allocate(file, 0, size)) {
        return close_refused(file);
    }
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) {
        return close_refused(file);
    }
    *fd = file;
    *data = memory;
    return HK_OK;
}

hk_status hki_spill_seal(int fd, void *data, size_t size)
{
    hki_spill_close(data, size);
    /* A child of the task may have it mapped still: then the reader copies it. */
    return hki_os_memfd_freeze(fd) || hki_os_memfd_seal(fd) ? HK_OK : HK_ESYS;
}

/* A copy of what its sender can still change. It is read as a file: in a mapping, pages that the
 * sender takes away meanwhile would have to be found anew, which may fail by a signal. */
static void *copy(int fd, size_t size)
{
    unsigned char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t at = 0;
    HKI_NO_CANCEL;

    while (memory != MAP_FAILED && at < size) {
        ssize_t got = pread(fd, memory + at, size - at, (off_t)at);

        if (got > 0) {
            at += (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            (void)munmap(memory, size);
            errno = EINVAL;
            return MAP_FAILED;
        }
    }
    return memory;
}

hk_status hki_spill_open(int fd, size_t size, void **data)
{
    void *memory = MAP_FAILED;
    hk_status status = HK_EINVAL;

    if (size != 0 && hki_os_memfd_sealed(fd, size)) {
        /* Kernels before 6.7 map what is sealed against writing only as private. */
        memory = hki_os_memfd_frozen(fd, size) ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0)
                                               : copy(fd, size);
        status = memory != MAP_FAILED ? HK_OK : errno == ENOMEM ? HK_ENOMEM : HK_EINVAL;
    }
    hki_os_close(fd);
    if (status == HK_OK) {
        *data = memory;
    }
    return status;
}

void hki_spill_close(void *data, size_t size)
{
    munmap(data, size);
}
