/* SPDX-License-Identifier: MIT */
#include "job.h"

const char *job_report_name(enum report report)
{
    static const char *const names[REPORT_COUNT] = {
        [REPORT_ROBOTS] = "robots",
        [REPORT_TOP_HOSTS] = "top hosts",
        [REPORT_TOP_PATHS] = "top paths",
        [REPORT_TOP_AGENTS] = "top agents",
        [REPORT_TOP_REFERRERS] = "top referrers",
        [REPORT_STATUS] = "status",
        [REPORT_BYTES] = "bytes",
        [REPORT_HOURLY] = "hourly",
    };

    return report < REPORT_COUNT ? names[report] : "unknown report";
}

void job_pack(struct packer *packer, const struct job *job)
{
    pack_number(packer, (uint64_t)job->report);
    pack_text(packer, job->inflate);
    filter_pack(packer, &job->filters);
    chaos_pack(packer, &job->chaos);
}

void job_unpack(struct unpacker *unpacker, struct job *job)
{
    job->report = (enum report)unpack_number_up_to(unpacker, REPORT_COUNT - 1);
    job->inflate = unpack_text(unpacker);
    filter_unpack(unpacker, &job->filters);
    chaos_unpack(unpacker, &job->chaos);
}
