/* SPDX-License-Identifier: MIT */
/*
 * One row for each argument of each public function that can be bad: NULL for a pointer, an
 * impossible number for a duration, size, count, enumeration or set of flags. A row proves that
 * the call is refused as the header says, or, where the header allows the value, that it is of no
 * harm. tests/check_misuse_rows.py compares the rows with the headers.
 *
 *     ROW(hk_event_set, event, hk_event_set(NULL) == HK_EINVAL)
 *
 * Each row is a test of its own, with all of misuse.h's objects fresh, and a leak check.
 */
#ifndef HOCKET_TESTS_MISUSE_ROWS_H
#define HOCKET_TESTS_MISUSE_ROWS_H

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include <hocket/hocket.h>

#include "tests/fixture.h"

struct misuse_row {
    const char *function;
    const char *argument;
    void (*test)(void);
};

/* As tasks are: pointers in a section of the linker's, so that a row is one line. */
#define ROW(function, argument, holds)                                                             \
    static void bad_##argument##_of_##function(void)                                               \
    {                                                                                              \
        HKT_TRUE(holds);                                                                           \
    }                                                                                              \
    static const struct misuse_row row_##argument##_of_##function = {                              \
        #function, #argument, bad_##argument##_of_##function};                                     \
    __attribute__((used, section("misuse_rows"))) static const struct misuse_row                   \
        *const entry_##argument##_of_##function = &row_##argument##_of_##function

extern const struct misuse_row *const __start_misuse_rows[];
extern const struct misuse_row *const __stop_misuse_rows[];

/* What calls get that are good but for one argument. */
struct misuse {
    hk_executor *executor; /* Inline. */
    hk_promise *promise;   /* Of pending. */
    hk_future *pending;
    hk_future *done;
    hk_queue *queue; /* Empty; so is the ring. */
    hk_ring *ring;
    hk_completion *completion; /* Empty. */
    hk_cancel_token *token;
    hk_call *call; /* In a ROW_IN_TASK() alone. */
};

extern struct misuse m;

/* The same inside a task of an inline executor. */
#define ROW_IN_TASK(function, argument, holds)                                                     \
    static bool in_task_##argument##_of_##function(void)                                           \
    {                                                                                              \
        return (holds);                                                                            \
    }                                                                                              \
    ROW(function, argument, misuse_in_task(in_task_##argument##_of_##function))

bool misuse_in_task(bool (*holds)(void));

/* Negative, and not HK_FOREVER. */
enum { MISUSE_DURATIONS = 3 };
extern const hk_duration misuse_durations[MISUSE_DURATIONS];

/* Whether a call is refused for each of them; the call names `bad`. */
#define REFUSES_DURATIONS(call)                                                                    \
    (__extension__({                                                                               \
        bool refuses_ = true;                                                                      \
        for (size_t i_ = 0; i_ < MISUSE_DURATIONS; i_++) {                                         \
            const hk_duration bad = misuse_durations[i_];                                          \
            refuses_ = (call) == HK_EINVAL && refuses_;                                            \
        }                                                                                          \
        refuses_;                                                                                  \
    }))

/* Sizes of which there are no such objects. */
enum { MISUSE_SIZES = 3 };
extern const size_t misuse_sizes[MISUSE_SIZES];

#define REFUSES_SIZES(call, status)                                                                \
    (__extension__({                                                                               \
        bool refuses_ = true;                                                                      \
        for (size_t i_ = 0; i_ < MISUSE_SIZES; i_++) {                                             \
            const size_t bad = misuse_sizes[i_];                                                   \
            refuses_ = (call) == (status) && refuses_;                                             \
        }                                                                                          \
        refuses_;                                                                                  \
    }))

/* Runs a void call, and holds if it returns. */
#define DOES_NOTHING(call)                                                                         \
    (__extension__({                                                                               \
        call;                                                                                      \
        true;                                                                                      \
    }))

/* A job of a back end that is discarded so, or run so, ends its future. */
bool misuse_discards(hk_status status, const char *message);
bool misuse_runs_job(void *local, const char *where);

/* A pool of threads refuses to be resized so. */
bool misuse_pool_refuses_sizes(void);

/* Options that are absurd in one field: each function that takes some refuses them all. */
bool misuse_refuses_options(hk_status (*create)(const hk_executor_options *options,
                                                hk_executor **out));
bool misuse_refuses_submit_options(hk_status (*submit)(const hk_submit_options *options));

#endif
