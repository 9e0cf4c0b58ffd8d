/* SPDX-License-Identifier: MIT */
/*
 * A program over the public interface, as data: a list of operations, each with the place that
 * runs it, the operations whose objects it uses, and some numbers. So it can be drawn from a
 * seed, printed, read back, and made smaller by leaving operations out: one whose objects are
 * not there does nothing.
 *
 * An operation refers to lower numbers only. Whatever it refers to can thus be there, and futures
 * made of futures form no ring.
 */
#ifndef HKT_RANDOM_PROGRAM_H
#define HKT_RANDOM_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    HKT_OPS_MAX = 64,
    HKT_REFS_MAX = 4,
    HKT_NUMBERS_MAX = 10,
    HKT_PLACES_OF_THREADS = 3, /* The first thread and two more. */
};

/* Who runs an operation: a thread, by a negative number, or what another operation calls: the body
 * of its task, its callback or its step, by that operation's number. */
enum { HKT_FIRST_THREAD = -1, HKT_NOWHERE = -100, HKT_NO_REF = -1 };

enum hkt_kind {
    HKT_NO_OP,
    HKT_EXECUTOR,
    HKT_SUBMIT,
    HKT_MANY,
    HKT_READ,
    HKT_WAIT,
    HKT_AS_COMPLETED,
    HKT_COMPLETION,
    HKT_ADD,
    HKT_NEXT,
    HKT_CANCEL,
    HKT_TOKEN,
    HKT_FIRE,
    HKT_CALLBACK,
    HKT_REMOVE,
    HKT_FORGET,
    HKT_UNREF,
    HKT_THEN,
    HKT_CATCH,
    HKT_GROUP,
    HKT_WITHIN,
    HKT_PROMISE,
    HKT_PROMISE_END,
    HKT_MAP,
    HKT_RANGE,
    HKT_SHUTDOWN,
    HKT_KILL_WORKER,
    HKT_CHANGE,
    HKT_PAUSE,
    HKT_KINDS
};

/* Places among refs[] and numbers[]; one that a kind does not have is HKT_NO_REF or 0. */
enum hkt_ref {
    HKT_TARGET = 0, /* Executor, future, token, callback, promise: what the operation is about. */
    HKT_TOKEN_REF = 1,
    HKT_WHERE = 1,
    HKT_ADDED = 1,
    HKT_FOLLOWED = 2,
};

enum hkt_number {
    HKT_HOW = 0,   /* Each kind has its own list, below. */
    HKT_VALUE = 1, /* What values are made from. */
    HKT_TIME = 2,  /* Microseconds: of work, of a wait (-1: for ever), of a limit. */
    HKT_COUNT = 3,
    HKT_FORM = 4, /* enum hkt_form */
    HKT_TIMEOUT = 5,
    HKT_DEADLINE = 6,
    HKT_RETRIES = 7,
    HKT_PRIORITY = 8,
    HKT_FORGOTTEN = 9, /* The submit wants no future. */
    /* Of executors. */
    HKT_WORKERS = 3,
    HKT_QUEUE = 4,
    HKT_WHEN_FULL = 6,
    HKT_NO_SPARES = 7,
    HKT_END = 8, /* How it is shut down in the end; see HKT_DESTROYED. */
    /* Of maps and ranges. */
    HKT_CHUNK = 4,
    HKT_WINDOW = 6,
    HKT_UNORDERED = 7,
    HKT_BAD = 8,   /* Each so manieth fails; 0: none. */
    HKT_READS = 9, /* How many results are read before the close; 0: all. */
};

enum hkt_executor_kind { HKT_INLINE, HKT_THREADS, HKT_PROCESSES, HKT_SERIAL, HKT_REPLAY };

/* Beyond those of hk_shutdown_how. */
enum { HKT_DESTROYED = 4 };

enum hkt_task {
    HKT_GIVES,
    HKT_GIVES_LARGE,
    HKT_GIVES_REF,
    HKT_GIVES_BUFFER,
    HKT_FAILS,
    HKT_CANCELS,
    HKT_SPINS,
    HKT_SLEEPS,
    HKT_FORKS,
    HKT_RUNS_BODY,
    HKT_CRASHES,
    HKT_CRASHES_ONCE,
    HKT_TASKS
};

enum hkt_form { HKT_COPY, HKT_LARGE_COPY, HKT_REF, HKT_BUFFER };

enum hkt_read {
    HKT_READ_STATE,
    HKT_READ_WAIT,
    HKT_READ_RESULT,
    HKT_READ_TAKE,
    HKT_READ_ERROR,
    HKT_READ_SNAPSHOT,
    HKT_READ_WHY,
    HKT_READ_FD,
};

enum hkt_step {
    HKT_STEP_SET,
    HKT_STEP_REF,
    HKT_STEP_FAIL,
    HKT_STEP_STATUS,
    HKT_STEP_EMPTY,
    HKT_STEP_FOLLOW
};

enum hkt_group { HKT_WHEN_ALL, HKT_SETTLE_ALL, HKT_WHEN_ANY };

enum hkt_promise_end {
    HKT_PROMISE_START,
    HKT_PROMISE_SET,
    HKT_PROMISE_SET_REF,
    HKT_PROMISE_FAIL,
    HKT_PROMISE_FOLLOW,
    HKT_PROMISE_DESTROY
};

enum hkt_change { HKT_RESIZE, HKT_RESTART, HKT_PRESTART, HKT_LOOK };

struct hkt_op {
    enum hkt_kind kind;
    int in;
    int refs[HKT_REFS_MAX];
    int numbers[HKT_NUMBERS_MAX];
};

struct hkt_program {
    unsigned count; /* Places in ops; some may be HKT_NO_OP. */
    struct hkt_op ops[HKT_OPS_MAX];
};

struct hkt_op hkt_op_of(enum hkt_kind kind, int in);

/* Forgets what operations of its kind do not have, so that its text says all. */
void hkt_op_trim(struct hkt_op *op);

unsigned hkt_program_size(const struct hkt_program *program);

/* Whether it makes a future, or several. */
bool hkt_makes_future(enum hkt_kind kind);

/* Whether operations can be in it. */
bool hkt_has_body(const struct hkt_op *op);

/* Writes it as text, one operation a line; the second reads that. */
void hkt_program_print(const struct hkt_program *program, FILE *file);

/* False, with a line on standard error, if it is none. */
bool hkt_program_read(struct hkt_program *program, FILE *file);

/* Draws one from a seed. */
void hkt_program_draw(struct hkt_program *program, uint64_t seed);

#endif
