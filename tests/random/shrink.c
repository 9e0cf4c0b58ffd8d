/* SPDX-License-Identifier: MIT */
/*
 * Delta debugging: ever smaller blocks of operations are left out, then numbers and places made
 * plain. A program that fails is one that fails in one of several runs, as many as it takes for
 * the whole to fail for sure.
 */
#include "tests/random/shrink.h"

#include <stdio.h>
#include <string.h>

enum { RUNS_FIRST = 400, RUNS_LEAST = 10, RUNS_FACTOR = 5 };

struct shrinking {
    struct hkt_trial *trial;
    struct hkt_trial_setup setup;
    struct hkt_program *best;
    char failure[HKT_FAILURE_MAX]; /* Of the best. */
    bool is_quiet;
};

/* Numbers are of operations, bytes and times, which change: what is before the first one tells a
 * hang from a signal, an exit, or something that was noticed. */
static bool is_same_kind(const char *text, const char *other)
{
    static const char digits[] = "0123456789";
    size_t length = strcspn(text, digits);

    return strcspn(other, digits) == length && strncmp(text, other, length) == 0;
}

static bool is_late(const struct shrinking *shrinking)
{
    return hkt_clock_ns() >= shrinking->setup.until_ns;
}

/* A failure of another kind than the one that is looked for is none: the runs go on after it. */
static bool fails(struct shrinking *shrinking, const struct hkt_program *program)
{
    struct hkt_trial *trial = shrinking->trial;
    struct hkt_trial_setup setup = shrinking->setup;
    unsigned long long end = atomic_load(&trial->stage->programs_run) + setup.programs;

    trial->stage->program = *program;
    while (setup.programs > 0 && !is_late(shrinking) && !hkt_trial_run(trial, &setup)) {
        unsigned long long now = atomic_load(&trial->stage->programs_run);

        if (is_same_kind(trial->failure, shrinking->failure)) {
            memcpy(shrinking->failure, trial->failure, sizeof(shrinking->failure));
            return true;
        }
        end--; /* One that hangs or crashes is not counted; of the others few fail. */
        setup.programs = now < end ? (unsigned)(end - now) : 0;
    }
    return false;
}

static bool adopt(struct shrinking *shrinking, const struct hkt_program *candidate)
{
    if (is_late(shrinking) || !fails(shrinking, candidate)) {
        return false;
    }
    *shrinking->best = *candidate;
    if (!shrinking->is_quiet) {
        fprintf(stderr, "\r  %u operations ", hkt_program_size(candidate));
    }
    return true;
}

/* Without so many operations from the one at this place on, counting those that are there. */
static bool leave_out(struct shrinking *shrinking, unsigned first, unsigned count)
{
    struct hkt_program candidate = *shrinking->best;
    unsigned place = 0;

    for (unsigned i = 0; i < candidate.count; i++) {
        if (candidate.ops[i].kind != HKT_NO_OP) {
            if (place >= first && place < first + count) {
                candidate.ops[i] = hkt_op_of(HKT_NO_OP, HKT_FIRST_THREAD);
            }
            place++;
        }
    }
    return adopt(shrinking, &candidate);
}

static bool leave_out_blocks(struct shrinking *shrinking)
{
    bool has_changed = false;

    for (unsigned count = hkt_program_size(shrinking->best) / 2; count > 0; count /= 2) {
        for (unsigned first = 0; first < hkt_program_size(shrinking->best);) {
            if (leave_out(shrinking, first, count)) {
                has_changed = true;
            } else {
                first += count;
            }
        }
    }
    return has_changed;
}

static bool make_plain(struct shrinking *shrinking)
{
    bool has_changed = false;

    for (unsigned i = 0; i < shrinking->best->count; i++) {
        for (int number = HKT_TIME; number < HKT_NUMBERS_MAX; number++) {
            struct hkt_program candidate = *shrinking->best;

            if (candidate.ops[i].kind != HKT_NO_OP && candidate.ops[i].numbers[number] != 0) {
                candidate.ops[i].numbers[number] = 0;
                has_changed = adopt(shrinking, &candidate) || has_changed;
            }
        }
        if (shrinking->best->ops[i].kind != HKT_NO_OP && shrinking->best->ops[i].in < -1) {
            struct hkt_program candidate = *shrinking->best;

            candidate.ops[i].in = HKT_FIRST_THREAD;
            has_changed = adopt(shrinking, &candidate) || has_changed;
        }
    }
    return has_changed;
}

bool hkt_shrink(struct hkt_trial *trial, const struct hkt_trial_setup *setup,
                struct hkt_program *program, unsigned seconds, bool is_quiet)
{
    struct shrinking shrinking = {
        .trial = trial, .setup = *setup, .best = program, .is_quiet = is_quiet};
    unsigned long long before;
    unsigned long long runs;

    memcpy(shrinking.failure, trial->failure, sizeof(shrinking.failure));
    shrinking.setup.limit_seconds = setup->limit_seconds / 5 + 1; /* For many that hang. */
    shrinking.setup.is_given = true;
    shrinking.setup.is_quiet = true;
    shrinking.setup.until_ns = hkt_clock_ns() + seconds * 1000000000LL;
    shrinking.setup.programs = RUNS_FIRST;
    before = atomic_load(&trial->stage->programs_run);
    if (!fails(&shrinking, program)) {
        return false;
    }
    runs = atomic_load(&trial->stage->programs_run) - before;
    shrinking.setup.programs =
        (unsigned)(runs * RUNS_FACTOR > RUNS_LEAST ? runs * RUNS_FACTOR : RUNS_LEAST);
    while (!is_late(&shrinking) && (leave_out_blocks(&shrinking) || make_plain(&shrinking))) {
    }
    memcpy(trial->failure, shrinking.failure, sizeof(trial->failure));
    if (!is_quiet) {
        fprintf(stderr, "\n");
    }
    return true;
}
