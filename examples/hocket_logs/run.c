/* SPDX-License-Identifier: MIT */
/*
 * Every unit is a task. hk_map() asks the source for the next one whenever it has
 * room, so only a few units exist at a time, and their results are added up here,
 * on the main thread, in the order in which they come.
 */
#include "run.h"

#include <errno.h>
#include <stdio.h>

#include "attendant.h"
#include "count_slice.h"
#include "source.h"

/* Adds what one unit brought. */
static void take_result(struct run *run, struct progress *progress, const hk_map_item *item)
{
    struct unpacker unpacker = {item->data, item->size, false};
    struct outcome outcome;

    outcome_unpack(&unpacker, &outcome);
    tally_merge_packed(&unpacker, &run->tally);
    if (unpacker.failed) {
        fprintf(stderr, "hocket-logs: a worker returned %zu bytes that are no tally\n", item->size);
        run->has_failed = true;
        return;
    }
    if (outcome.error.size > 0) {
        complaints_add(&run->complaints, outcome.number, outcome.path, outcome.error);
    }
    progress_add(progress, outcome.read_bytes);
}

static void take_failure(struct run *run, const hk_map_item *item)
{
    char why[512];

    /* What was queued when somebody pressed Ctrl-C is not a failure. */
    if (item->status == HK_ECANCELED && run->is_interrupted) {
        return;
    }
    if (item->error != NULL) {
        (void)hk_error_format(item->error, why, sizeof(why));
    }
    fprintf(stderr, "hocket-logs: a part of the input is missing: %s\n",
            item->error != NULL ? why : hk_strerror(item->status));
    run->has_failed = true;
}

/* Reads the map to its end. */
static void collect(struct run *run, hk_map_iterator *iterator, const hk_cancel_token *token,
                    struct progress *progress)
{
    hk_map_item item;
    hk_status status;
    int errors = 0;

    /* When the source or a submit fails, the map says so once and what is in flight
     * still comes. Twice would be for ever. */
    while (errors < 2 && (status = hk_map_next(iterator, HK_FOREVER, &item)) != HK_EDONE) {
        run->is_interrupted = hk_cancel_token_is_fired(token);
        if (status == HK_OK) {
            if (item.status == HK_OK) {
                take_result(run, progress, &item);
            } else {
                take_failure(run, &item);
            }
            hk_map_item_drop(&item);
            continue;
        }
        errors++;
        if (!(status == HK_ECANCELED && run->is_interrupted)) {
            fprintf(stderr, "hocket-logs: a part of the input is missing: %s\n",
                    hk_strerror(status));
            run->has_failed = true;
        }
    }
    run->is_interrupted = hk_cancel_token_is_fired(token);
}

/* Maps the task over the units on an open executor. */
static void map_units(struct run *run, hk_executor *executor, struct unit_source *source,
                      hk_cancel_token *token, struct progress *progress)
{
    /* Units are large and uneven: each travels alone, and whichever is ready comes
     * first. */
    hk_map_options options = {
        .size = sizeof(options), .chunk = 1, .unordered = true, .token = token};
    hk_map_iterator *iterator;
    hk_status status = hk_map(executor, count_slice, source_next, source, &options, &iterator);

    if (status != HK_OK) {
        fprintf(stderr, "hocket-logs: cannot begin: %s\n", hk_strerror(status));
        run->has_failed = true;
        return;
    }
    collect(run, iterator, token, progress);
    hk_map_destroy(iterator);
}

static void run_on(struct run *run, hk_executor *executor, hk_cancel_token *token)
{
    const struct options *options = run->options;
    struct unit_source source;
    struct progress progress;
    struct attendant attendant;

    source_init(&source, &options->job, options->slice_size, token, options->paths,
                options->path_count, &run->complaints);
    progress_init(&progress, options->paths, options->path_count);
    if (attendant_start(&attendant, token, options->shows_progress ? &progress : NULL)) {
        map_units(run, executor, &source, token, &progress);
        attendant_stop(&attendant);
    } else {
        fprintf(stderr, "hocket-logs: cannot start a thread: %s\n", strerror(errno));
        run->has_failed = true;
    }
    run->files = source.files;
    progress_fini(&progress);
    source_fini(&source);
}

/* A worker leaves for no other reason, but if the executor's text says so. */
static uint64_t count_lost_workers(hk_executor *executor)
{
    hk_executor_statistics statistics;
    hk_status status = hk_executor_stats(executor, &statistics);

    return status == HK_OK ? statistics.workers_started - statistics.workers : 0;
}

/* Opens the executor that was asked for. */
static hk_status open_executor(const struct options *options, hk_executor **executor)
{
    char text[1024];
    int length;

    if (options->job.chaos.period == 0) {
        return hk_executor_open(options->executor, executor);
    }
    /* The last one counts, if retries were given before. */
    length = snprintf(text, sizeof(text), "%s%cretries=%d", options->executor,
                      strchr(options->executor, '?') == NULL ? '?' : '&', CHAOS_ATTEMPTS - 1);
    return length < (int)sizeof(text) ? hk_executor_open(text, executor) : HK_EINVAL;
}

void run_all(struct run *run, const struct options *options)
{
    hk_executor *executor;
    hk_cancel_token *token;
    hk_status status;

    *run = (struct run){.options = options};
    tally_init(&run->tally);
    status = open_executor(options, &executor);
    if (status == HK_OK) {
        status = hk_cancel_token_create(NULL, &token);
        if (status == HK_OK) {
            run_on(run, executor, token);
            hk_cancel_token_unref(token);
        }
        run->workers_lost = count_lost_workers(executor);
        (void)hk_executor_destroy(executor);
    }
    if (status != HK_OK) {
        fprintf(stderr, "hocket-logs: executor '%s': %s\n", options->executor, hk_strerror(status));
        run->has_failed = true;
    }
}

void run_fini(struct run *run)
{
    tally_fini(&run->tally);
    complaints_fini(&run->complaints);
}
