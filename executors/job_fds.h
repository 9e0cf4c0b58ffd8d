/* SPDX-License-Identifier: MIT */
/* The descriptors that go with a job: copies of the submitter's, until the task takes them. */
#ifndef HOCKET_EXECUTORS_JOB_FDS_H
#define HOCKET_EXECUTORS_JOB_FDS_H

#include <hocket/executor.h>

#include <stdbool.h>

enum { HKI_JOB_FDS_MAX = 16 };

struct hki_job_fds {
    size_t count;
    int fds[HKI_JOB_FDS_MAX]; /* -1 once taken, or closed. */
};

/* Whether options name descriptors as they should; that these are open shows later. */
bool hki_job_fds_valid(const hk_submit_options *options);

/* Duplicates those of the options; *out is NULL when there are none. HK_EINVAL (one is not
 * open), HK_ESYS with errno (no more to be had), HK_ENOMEM; nothing is left open then. */
hk_status hki_job_fds_create(const hk_submit_options *options, struct hki_job_fds **out);

/* HK_EINVAL (there is none), HK_ESTATE (taken before). fds may be NULL: there is none. */
hk_status hki_job_fds_take(struct hki_job_fds *fds, size_t index, int *fd);

/* Closes those that were not taken; may be NULL, and may come again. */
void hki_job_fds_close(struct hki_job_fds *fds);

/* The same, and the end of it. */
void hki_job_fds_destroy(struct hki_job_fds *fds);

#endif
