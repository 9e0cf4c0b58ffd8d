/* SPDX-License-Identifier: MIT */
/*
 * hocket-logs: counts over web-server logs, as a map and a reduce.
 *
 *   options     what is asked for
 *   source      walks the paths and makes units of work, lazily
 *   count_slice the task: a unit in, a tally out, on any executor
 *   unit, gunzip, lines, line   how a unit becomes a tally
 *   run         hands units out and adds tallies up
 *   chaos       kills workers on request, to show that this changes nothing
 *   report      prints the sum
 */
#include <hocket/hocket.h>
#include <stdio.h>

#include "count_slice.h"
#include "report.h"
#include "run.h"

/* Workers are forked from the program as it is now: with one thread, and next to no memory. */
static bool prepare_processes(void)
{
    hk_status status;

    count_slice_share_live_bytes();
    status = hk_zygote_start();
    if (status != HK_OK) {
        fprintf(stderr, "hocket-logs: cannot start processes: %s\n", hk_strerror(status));
    }
    return status == HK_OK;
}

int main(int argc, char **argv)
{
    /* Static: together they are large, and there is one of each. */
    static struct options options;
    static struct run run;
    struct answer answer;
    int exit_status = EXIT_ALL_WELL;

    options_parse(&options, argc, argv);
    if (options_use_processes(&options) && !prepare_processes()) {
        return EXIT_SOME_FAILED;
    }
    run_all(&run, &options);
    complaints_print(&run.complaints);
    answer = (struct answer){
        .options = &options,
        .tally = &run.tally,
        .files = run.files,
        .files_failed = run.complaints.count,
        .is_interrupted = run.is_interrupted,
    };
    if (run.complaints.count > 0 || run.has_failed) {
        exit_status = EXIT_SOME_FAILED;
    }
    if (!report_print(&answer)) {
        exit_status = EXIT_SOME_FAILED;
    }
    if (!options.is_quiet) {
        report_malformed(&run.tally);
    }
    if (run.is_interrupted) {
        fprintf(stderr, "hocket-logs: interrupted: the report covers %llu lines, not all\n",
                (unsigned long long)run.tally.lines);
        exit_status = EXIT_INTERRUPTED;
    }
    if (options.job.chaos.period != 0) {
        fprintf(stderr, "hocket-logs: chaos: %llu worker processes were lost on the way\n",
                (unsigned long long)run.workers_lost);
    }
    run_fini(&run);
    return exit_status;
}
