/* SPDX-License-Identifier: MIT */
#include "executors/job_fds.h"

#include <errno.h>
#include <fcntl.h>

#include "base/memory.h"
#include "base/os.h"

bool hki_job_fds_valid(const hk_submit_options *options)
{
    if (options == NULL || options->fd_count == 0) {
        return true;
    }
    return options->fds != NULL && options->fd_count <= HKI_JOB_FDS_MAX;
}

hk_status hki_job_fds_create(const hk_submit_options *options, struct hki_job_fds **out)
{
    struct hki_job_fds *copies;

    *out = NULL;
    if (options == NULL || options->fd_count == 0) {
        return HK_OK;
    }
    if ((copies = hki_alloc(sizeof(*copies))) == NULL) {
        return HK_ENOMEM;
    }
    for (copies->count = 0; copies->count < options->fd_count; copies->count++) {
        int copy = fcntl(options->fds[copies->count], F_DUPFD_CLOEXEC, 0);

        if (copy < 0) {
            int why = errno;

            hki_job_fds_destroy(copies);
            errno = why;
            return why == EBADF ? HK_EINVAL : HK_ESYS;
        }
        copies->fds[copies->count] = copy;
    }
    *out = copies;
    return HK_OK;
}

hk_status hki_job_fds_take(struct hki_job_fds *fds, size_t index, int *fd)
{
    if (fds == NULL || index >= fds->count) {
        return HK_EINVAL;
    }
    if (fds->fds[index] < 0) {
        return HK_ESTATE;
    }
    *fd = fds->fds[index];
    fds->fds[index] = -1;
    return HK_OK;
}

void hki_job_fds_close(struct hki_job_fds *fds)
{
    if (fds == NULL) {
        return;
    }
    for (size_t i = 0; i < fds->count; i++) {
        if (fds->fds[i] >= 0) {
            hki_os_close(fds->fds[i]);
            fds->fds[i] = -1;
        }
    }
}

void hki_job_fds_destroy(struct hki_job_fds *fds)
{
    if (fds != NULL) {
        hki_job_fds_close(fds);
        hki_free(fds, sizeof(*fds));
    }
}
