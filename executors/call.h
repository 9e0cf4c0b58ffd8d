/* SPDX-License-Identifier: MIT */
/* One run of a task, on the stack of the thread that runs it. */
#ifndef HOCKET_EXECUTORS_CALL_H
#define HOCKET_EXECUTORS_CALL_H

#include "executors/job.h"
#include "sync/parker.h"

/*
 * Where a call has no job of this process behind it, because it serves one of another: what
 * it asks and says goes through these. All functions are called on the call's thread.
 *
 * No thread here hears of a stop. So the call's token, made when first asked for, is fired
 * when the task is found to be stopped: by what the task asks of this call, and by what
 * calls inside it ask of theirs.
 */
struct hki_call_link;

struct hki_call_link_ops {
    bool (*should_stop)(struct hki_call_link *link);
    /* When its time is over; HKI_NEVER: it has no limit. */
    int64_t (*end_ns)(struct hki_call_link *link);
    /* Sleeps until then, or until the task shall stop. */
    void (*sleep)(struct hki_call_link *link, int64_t until_ns);
    /* A descriptor that becomes readable when the task shall stop; not the caller's to close.
     * -1 with errno. */
    int (*stop_fd)(struct hki_call_link *link);
    void (*progress)(struct hki_call_link *link, uint64_t done, uint64_t total);
    /* Room for a value of the call, which replaces what was reserved before. */
    hk_status (*reserve)(struct hki_call_link *link, size_t size, struct hki_value *value);
    /* Whether these bytes lie where the reader of the result can see them, so that they need
     * not be copied; then *value shows them. May be NULL. */
    bool (*share)(struct hki_call_link *link, const void *bytes, size_t size,
                  struct hki_value *value);
    hk_status (*take_fd)(struct hki_call_link *link, size_t index, int *fd);
    /* Which try this is, from 1. */
    unsigned (*attempt)(struct hki_call_link *link);
};

struct hki_call_link {
    const struct hki_call_link_ops *ops;
};

struct hk_call {
    hk_executor *executor;
    struct hki_call_link *link; /* NULL: the job is here. */
    hk_cancel_token *token;     /* With a link alone: NULL until asked for. */
    hk_job *job;                /* NULL with a link, and in a worker's initialiser. */
    const hk_task *task;        /* For error texts. */
    const char *where;
    void *local;
    int64_t item_end_ns;   /* End of this item's time in a map's chunk; 0: none. */
    struct hk_call *outer; /* The call below this one on the stack of the thread. */
    /* What the task said so far. */
    struct hki_value value;
    unsigned char *small;    /* Home of a small value. */
    struct hki_error *error; /* From hk_fail(). */
    hk_status refused;       /* Why a value was not taken, or HK_OK. */
    int stop_fd;             /* -1 until asked for. */
    bool stop_fd_watched;
    struct hki_cancel_watch stop_watch; /* If stop_fd_watched. */
};

/* As zeroed, but for what is only read once it has been set: to zero all of it would take a
 * tenth of the time of a short task. */
static inline void hki_call_init(hk_call *call, hk_executor *executor)
{
    call->executor = executor;
    call->link = NULL;
    call->token = NULL;
    call->job = NULL;
    call->task = NULL;
    call->where = NULL;
    call->local = NULL;
    call->item_end_ns = 0;
    call->value.data = NULL;
    call->value.size = 0;
    call->value.drop = NULL;
    call->value.owner = NULL;
    call->small = NULL;
    call->error = NULL;
    call->refused = HK_OK;
    call->stop_fd_watched = false;
}

/* How a task ended, as its future will tell. */
struct hki_outcome {
    unsigned phase;
    struct hki_value value;
    struct hki_error *error;
};

/* The chain of the thread's calls, innermost first. */
extern _Thread_local hk_call *hki_innermost_call __attribute__((tls_model("initial-exec")));

/* What the task asked for while it ran. */
void hki_call_let_go(hk_call *call);

/* Brackets a call. */
static inline void hki_call_enter(hk_call *call)
{
    call->outer = hki_innermost_call;
    call->stop_fd = -1;
    hki_innermost_call = call;
}

static inline void hki_call_leave(hk_call *call)
{
    hki_innermost_call = call->outer;
    if (__builtin_expect(call->stop_fd >= 0 || call->token != NULL, false)) {
        hki_call_let_go(call);
    }
}

/* Whether the calling thread is inside a call of this executor. */
bool hki_call_inside(const hk_executor *executor);

/* From what the task returned and said; empties the call. */
void hki_call_outcome(hk_call *call, hk_status returned, struct hki_outcome *outcome);

void hki_outcome_drop(struct hki_outcome *outcome);

#endif
