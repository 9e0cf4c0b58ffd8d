/* SPDX-License-Identifier: MIT */
/* A worker process among its own files. */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_WORKER_IMPL_H
#define HOCKET_EXECUTORS_PROCESS_POOL_WORKER_IMPL_H

#include "executors/call.h"
#include "executors/process_pool/own_fd.h"
#include "executors/process_pool/worker.h"
#include "executors/worker_init.h"

/* Descriptors that came for one request. */
struct hki_mail {
    bool held; /* The rest says something. */
    uint32_t request;
    size_t count;
    int fds[HKI_FDS_MAX + 1]; /* -1 once taken. */
};

/* The worker's own extent, in units. Private memory: the parent learns of a chunk only by
 * the result that lies in it, and says only how often it gave that back. */
struct hki_overflow {
    uint16_t units[HKI_OVERFLOW_UNITS];    /* At the first unit of a chunk, how many; else 0. */
    bool shown[HKI_OVERFLOW_UNITS];        /* The parent has it. */
    uint32_t returned[HKI_OVERFLOW_UNITS]; /* The parent's count when it was shown. */
};

struct hki_worker {
    struct hki_pool_page *page;
    struct hki_channel *channel;
    uint32_t index;
    uint32_t process; /* hki_fork_generation() of this process. */
    int socket;
    int stop_event;
    int ring;
    struct hki_own_fd witness; /* The socket: who closes it closes the ring as well. */
    struct hki_own_fd memory;  /* What its size is read from; none if nobody asks for it. */
    hk_executor *executor;     /* Inline, for what tasks submit. */
    struct hki_worker_hooks hooks;
    void *local;
    char where[HKI_WORKER_NAME_MAX + 24]; /* "worker NAME_3", for texts. */
    struct hki_mail mail;
    struct hki_overflow overflow;
    uint32_t attention;  /* The value seen last. */
    bool rung;           /* For that value. */
    uint32_t reported;   /* What `done` was, at least, when the parent last looked. */
    int64_t ended_ns;    /* When the last task did, if the next one was there already; else 0. */
    int64_t looked_ns;   /* When its memory was last measured. */
    uint32_t until_look; /* Tasks until it is, at the latest. */
};

/* One request under way. */
struct hki_worker_call {
    struct hki_call_link link; /* First: the two convert. */
    struct hki_worker *worker;
    struct hki_cell *cell;
    uint32_t request;
    const void *in;
    size_t in_size;
    int64_t end_ns; /* HKI_NEVER: no limit. */
    size_t fds_at;  /* Where the task's descriptors begin in the mail. */
    size_t fd_count;
    unsigned attempt;
    unsigned char small[HKI_CELL_OUTPUT] __attribute__((aligned(16)));
};

/* --- worker_setup.c --- */

/* Before anything else; what can go wrong is said in *failure. */
hk_status hki_worker_prepare(struct hki_worker *worker, const struct hki_worker_start *start,
                             struct hki_error **failure);

/* Limits of the system. */
hk_status hki_worker_limit(struct hki_worker *worker, struct hki_error **failure);

/* After that: filters of system calls. */
hk_status hki_worker_confine(struct hki_worker *worker, struct hki_error **failure);

/* Last: whether what is the worker's is still there, behind an initialiser that may have closed
 * it. */
hk_status hki_worker_check(struct hki_worker *worker, struct hki_error **failure);

/* Gives the worker a new executor of its own if a task has shut the old one down. */
void hki_worker_keep_open(struct hki_worker *worker);

/* Ends the process without what the application asked for at its own exit. */
_Noreturn void hki_worker_leave(int status);

/* --- worker_call.c --- */

/* Runs the task of a request that is RUNNING and leaves the result, or the error, in the
 * cell; all but the state. */
void hki_worker_run(struct hki_worker *worker, uint32_t request, int64_t started_ns);

/* --- worker_mail.c --- */

/* Makes the mail of a request the one held; those of earlier ones are closed. False: it
 * did not come, and errno may say why. `wait`: until it comes. */
bool hki_mail_fetch(struct hki_worker *worker, uint32_t request, bool wait);

/* Closes what is left of the mail of a request, and of earlier ones. */
void hki_mail_drop(struct hki_mail *mail, uint32_t request);

/* --- worker_overflow.c --- */

/* Room in the worker's extent; NULL when there is none. */
void *hki_overflow_take(struct hki_worker *worker, size_t size);

/* Whether the address is the beginning of a chunk of the extent. */
bool hki_overflow_is_chunk(const struct hki_worker *worker, const void *address);

/* It was not shown to the parent, and is free again. */
void hki_overflow_give_back(struct hki_worker *worker, void *chunk);

/* From now on it is the parent's, until it counts `returned` up. Gives its offset. */
uint64_t hki_overflow_show(struct hki_worker *worker, const void *chunk);

#endif
