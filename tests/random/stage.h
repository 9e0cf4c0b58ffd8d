/* SPDX-License-Identifier: MIT */
/*
 * Where a program runs: its objects, and what is known of each future.
 *
 * Before an operation makes something possible (a cancel, the loss of a worker) it writes that
 * down; after a call has promised something it writes that down, too. So whatever a future
 * ended with can be judged when all is over, in whichever order things happened; see verdict.c.
 *
 * What worker processes see as well lies in shared memory: struct hkt_stage.
 */
#ifndef HKT_RANDOM_STAGE_H
#define HKT_RANDOM_STAGE_H

#include <hocket/hocket.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/random/program.h"

enum { HKT_UNITS_OF_OP = 4, HKT_UNITS_MAX = HKT_OPS_MAX * HKT_UNITS_OF_OP, HKT_FAILURE_MAX = 512 };

/* One future of an operation; only HKT_MANY has several. */
struct hkt_unit {
    atomic_bool is_accepted;           /* The call that makes it gave HK_OK. */
    atomic_uint began;                 /* Runs of its task or step. */
    atomic_uint under_way;             /* Of these, not ended; stays up when a worker dies. */
    atomic_uint drops;                 /* Of its input by reference. */
    atomic_uint made;                  /* Values by reference that it made, */
    atomic_uint dropped;               /* and that were dropped. */
    atomic_uint pid;                   /* Of the process that ran it last. */
    atomic_bool may_cancel;            /* Something can have cancelled it. */
    atomic_bool may_lose;              /* Somebody can have killed its worker. */
    atomic_bool may_break;             /* Its promise can have been given up. */
    atomic_bool may_take;              /* Its value can have been taken, */
    atomic_uint takes;                 /* and so often it was. */
    atomic_bool must_be_cancelled;     /* A cancel said that it is, */
    atomic_bool must_not_be_cancelled; /* or that it is too late. */
    _Atomic(uint64_t) seen; /* What a reader saw it end with: hkt_end_of(); 0: nobody did. */
};

/* What is known of an operation. */
struct hkt_known {
    atomic_bool is_claimed; /* Somebody runs it, or has: it runs once. */
    atomic_bool is_made;    /* What it makes was made. */
    atomic_bool is_far;     /* A worker process ran it, which may have died in it. */
    /* Executors. */
    atomic_bool may_be_closed;
    atomic_bool is_closed;
    atomic_bool may_cancel_queued;
    atomic_bool may_cancel_all;
    atomic_bool may_kill;
    atomic_uint accepted;   /* Futures of submits, not of maps and ranges. */
    atomic_bool is_drained; /* A shutdown that waited returned HK_OK. */
    /* Tokens. */
    atomic_bool may_fire;
    atomic_bool is_fired;
    /* Callbacks, and steps. */
    atomic_uint calls;
    atomic_bool is_removed;
    atomic_bool is_through; /* It has returned. */
    /* Completion queues: futures added and delivered. */
    atomic_uint added;
    atomic_uint delivered;
    atomic_uint tag_of_op[HKT_OPS_MAX]; /* Times each operation's future is yet to be delivered. */
    /* Promises. */
    atomic_uint sets;    /* How many ends were accepted. */
    atomic_int ended_by; /* The operation that did it, plus 1. */
};

/* Shared with worker processes, and with the process that looks on. */
struct hkt_stage {
    struct hkt_program program;
    uint64_t seed;
    struct hkt_unit units[HKT_UNITS_MAX];
    struct hkt_known known[HKT_OPS_MAX];
    atomic_bool mercy; /* All is to end: long sleeps are over. */
    atomic_uint kills; /* Workers killed from outside. */
    atomic_uint ops_run;
    atomic_int main_pid;
    atomic_bool is_failed;
    char failure[HKT_FAILURE_MAX]; /* The first. */
    /* Of the process that looks on; kept from one program to the next. */
    atomic_ullong programs_run;
    atomic_ullong all_ops_run;
    atomic_llong started_ns; /* When the present program began; 0: none has. */
    atomic_ullong running_seed;
    atomic_uint fault; /* enum hkt_fault, see faults.h. */
};

extern struct hkt_stage *hkt_stage;

/* Forgets the last program, but not what is counted over all. */
void hkt_stage_reset(void);

/* Says once, for good, that the program has failed. */
__attribute__((format(printf, 1, 2))) void hkt_fail_program(const char *format, ...);

#define HKT_MUST(condition)                                                                        \
    ((condition) ? (void)0 : hkt_fail_program("%s:%d: %s", __FILE__, __LINE__, #condition))

/* Fails unless the status is one of those, the last of which is 1. */
#define HKT_ONE_OF(op, status, ...)                                                                \
    do {                                                                                           \
        /* First the call, then what it may give: others may make something possible meanwhile. */ \
        hk_status hkt_given_ = (status);                                                           \
        hkt_one_of((op), hkt_given_, (const int[]){__VA_ARGS__, 1}, __FILE__, __LINE__);           \
    } while (0)
void hkt_one_of(int op, hk_status status, const int *allowed, const char *file, int line);

/* A status that is allowed if so; else the one that always is. */
#define HKT_IF(condition, status) ((condition) ? (int)(status) : (int)HK_OK)

/* --- Where a thread stands --- */

struct hkt_place {
    hk_call *call; /* Of the innermost task; NULL: none. */
    int task;      /* Its operation; -1: in no task. */
    int callbacks; /* How many callbacks and steps it is in: it must not wait in one. */
    int in;        /* Whose operations it runs. */
};

extern _Thread_local struct hkt_place hkt_place;

bool hkt_is_worker_process(void);

/* Runs the operations that stand in this place. */
void hkt_run_place(int in);

/* One operation, if nobody has yet (perform.c). */
void hkt_perform(int op);

/* How long an operation that is given so many microseconds may wait here. */
hk_duration hkt_patience(int time_us);

hk_duration hkt_time_of(int time_us);

void hkt_work_for(int time_us);

/* Whether the program has an executor of a kind. */
bool hkt_has_executor(enum hkt_executor_kind kind);

/* --- Objects, by the operation that made them --- */

/* New references; NULL: there is none (yet, any more, or in this process). */
hk_future *hkt_future_get(int op, unsigned index);
hk_cancel_token *hkt_token_get(int op);

void hkt_future_put(int op, unsigned index, hk_future *future);
void hkt_token_put(int op, hk_cancel_token *token);

/* Takes the program's own reference back; NULL: there is none. */
hk_future *hkt_future_take(int op, unsigned index);
hk_cancel_token *hkt_token_take(int op);

/* Executors, promises and completion queues are in use until they are released; who takes one
 * waits for that. */
enum hkt_slot { HKT_SLOT_EXECUTOR, HKT_SLOT_PROMISE, HKT_SLOT_COMPLETION };
void *hkt_use(int op, enum hkt_slot slot);
void hkt_release(int op);
void hkt_put(int op, void *object);
void *hkt_take(int op);

/* Destroys a promise as soon as nobody uses it; what that can lead to has been written down. */
void hkt_promise_condemn(int op);

/* A handle of a callback, which only one may have. */
hk_hook *hkt_hook_take(int op);
void hkt_hook_put(int op, hk_hook *hook);

/* The executor that an operation names; -1 is the one of the task that this thread runs. NULL:
 * none. Ended by hkt_executor_release(). */
hk_executor *hkt_executor_get(int executor_op);
void hkt_executor_release(int op);

struct hkt_unit *hkt_unit(int op, unsigned index);
unsigned hkt_unit_count(int op);

/* --- Values --- */

/* By reference: input of a task, or what one gives. Freed by its drop. */
struct hkt_object {
    uint32_t magic;
    uint32_t hash;
    uint16_t op;
    uint16_t index;
    bool is_input;
};

struct hkt_object *hkt_object_new(int op, unsigned index, uint32_t hash, bool is_input);
void hkt_object_drop(void *dropped);

uint32_t hkt_mix(uint32_t value);

/* The smallest value that is filled, and what a large input has behind its beginning. */
enum { HKT_VALUE_BYTES = 12, HKT_LARGE_INPUT = 300 };

/* Writes size bytes that tell their hash, and are right for this size alone; the second reads and
 * checks them. */
void hkt_fill(void *data, size_t size, uint32_t hash);
uint32_t hkt_hash_of(const void *data, size_t size);

/* What an input begins with. */
struct hkt_input {
    uint16_t op;
    uint16_t index;
    uint32_t check;
};

struct hkt_input hkt_input_of(int op, unsigned index);

extern const hk_task hkt_task_plain;
extern const hk_task hkt_task_idempotent;
extern const hk_task hkt_task_item;

/* --- Ends --- */

/* What a future ended with: a status, and the hash of a value that was seen. */
uint64_t hkt_end_of(hk_status status, bool has_hash, uint32_t hash);
hk_status hkt_end_status(uint64_t end);
bool hkt_end_has_hash(uint64_t end);
uint32_t hkt_end_hash(uint64_t end);

/* A reader has seen it end so; all must agree. */
void hkt_saw(int op, unsigned index, hk_status status, const void *value, size_t size);
void hkt_saw_hash(int op, unsigned index, hk_status status, bool has_hash, uint32_t hash);

/* Reads an ended future without waiting, and notes what it sees. */
void hkt_look_at(int op, unsigned index, hk_future *future);

#endif
