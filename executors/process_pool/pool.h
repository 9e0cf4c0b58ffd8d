/* SPDX-License-Identifier: MIT */
/*
 * A pool of processes from the inside: the parent's side.
 *
 * The way of a job
 *   queue      submit.c puts it in, or straight into a cell
 *   cell       give.c fills one; the entry with the same number in the seat's book says so
 *   take.c     reads the result out of the cell, trusting nothing
 *   collect.c  ends the future, outside of the lock
 *   deaths.c   judges what a dead worker leaves in its cells
 *
 * Who collects
 *   A caller that waits for a future of the pool is its leader: it looks for results itself,
 *   and sleeps on the workers' bells (caller_wait.c). Without one the supervisor does, the
 *   thread that also hears of deaths (attend.c). Callbacks run on neither: a leader holds
 *   locks of the application, and the supervisor must not be kept; they have a thread of
 *   their own, the courier (courier.c).
 *
 * One lock guards all of it. It is a leaf, but for those of the arena, of the timers, and of
 * the zygote's socket; no code of the application runs under it.
 *
 * The life of a seat
 *   EMPTY -> STARTING -> READY -> LEAVING -> EMPTY
 *                `---------`-> DYING ----->
 *   LEAVING: told to leave after what it was given. DYING: a signal is on its way. Every life
 *   ends with the zygote's word that the process is dead, or that it was never born.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_POOL_H
#define HOCKET_EXECUTORS_PROCESS_POOL_POOL_H

#include <limits.h>
#include <pthread.h>

#include <hocket/log.h>

#include "executors/call.h"
#include "executors/process_pool/arena.h"
#include "executors/process_pool/zygote.h"
#include "executors/task_queue.h"
#include "sync/agent.h"
#include "sync/condition.h"

enum {
    HKI_PROCESSES_MAX = HKI_CHANNELS_MAX,
    HKI_SEATS_LEAST = 16, /* Room for resizing. */
    HKI_BATCH = 64,       /* Results taken out at a time. */
    HKI_LEARNED = 64,     /* Tasks whose size of result is remembered. */
    HKI_INIT_FAILURES_MAX = 3,
    HKI_DEPTH_LEAST = 2, /* Jobs given to a worker at a time, at first. */
};

#define HKI_MEMORY_DEFAULT ((uint64_t)256 << 20)
#define HKI_MEMORY_MAX     (SIZE_MAX / 4)
#define HKI_SPIN_NS        50000
#define HKI_NAP_NS         300000

struct process_pool;

/* A piece of the pool's memory that outlives its cell: an input, or a result that is shown. */
struct chunk {
    struct hki_arena *arena; /* One reference. */
    uint64_t at;
    uint64_t capacity;
};

/* The parent's book of one cell. */
struct entry {
    struct seat *seat;
    uint32_t request;
    hk_job *job;            /* The back end's reference; NULL: nothing to come. */
    bool forced;            /* Its future was ended by force: the result is dropped. */
    bool told;              /* A shutdown has asked it to stop. */
    struct chunk *input;    /* Our copy of the input, or NULL. */
    struct chunk *reserved; /* Room for the result, or NULL. */
};

enum seat_life { SEAT_EMPTY, SEAT_STARTING, SEAT_READY, SEAT_LEAVING, SEAT_DYING };

struct seat {
    struct process_pool *pool;
    struct hki_channel *channel;
    uint32_t index;
    uint32_t generation; /* Of the worker that sits here, from 1. */
    enum seat_life life;
    bool is_ready; /* Its initialiser has succeeded. */
    bool born;     /* The zygote gave its pid. */
    int32_t pid;
    int socket;     /* -1: none. */
    int stop_event; /* -1: none. */
    /* Read without the lock by a leader that spins, so atomic; written under it. */
    _Atomic(uint32_t) tail;
    _Atomic(uint32_t) done;
    struct entry entries[HKI_CELLS];
    unsigned tasks_left; /* UINT_MAX: no limit. */
    uint64_t ended;      /* Tasks of this worker that ended. */
    int64_t idle_since_ns;
    int64_t started_ns; /* When the worker was asked for. */
    int64_t killed_ns;  /* When SIGKILL was sent to it; 0: never. */
    int signal;         /* What it is to get at signal_at_ns; 0: nothing. */
    int64_t signal_at_ns;
    uint32_t signal_request; /* The task it is for, unless the worker is to die in any case. */
    int64_t passes_since_ns; /* Since when it has to pass over `passes`; 0: nothing. */
    uint32_t passes;         /* The oldest request, if it was taken back. */
    int64_t suspected_at_ns; /* When it was found not to have done so in time; 0: never. */
    bool asked_to_die;       /* By us. */
    atomic_bool broke_rules; /* It wrote what it should not have. */
    struct hki_list idle;    /* In pool->idle while READY with nothing to do. */
};

struct learned {
    const hk_task *task;
    uint64_t bytes; /* Of its larger results of late. */
};

struct process_pool {
    struct hki_zygote_client client; /* First. */
    hk_executor *executor;
    struct hki_pool_memory *memory;
    struct hki_pool_page *page;
    struct hki_arena *arena;

    pthread_mutex_t lock;
    struct hki_condition settled; /* A worker came or went, or a job ended. */
    struct hki_task_queue queue;
    struct seat *seats;
    unsigned seat_count;
    atomic_uint high_seat; /* Seats from here on were never used. */
    struct hki_list idle;  /* Seats, the last that worked first. */
    unsigned target;
    unsigned live;        /* Seats that are not EMPTY. */
    unsigned standing;    /* Workers there were of late, and are replaced when they die. */
    unsigned prestarting; /* Callers that want workers though no task waits. */
    unsigned starting;    /* Of these, not READY yet. */
    atomic_uint busy;     /* Seats with something outstanding. */
    size_t outstanding;
    size_t given;      /* Jobs in entries. */
    size_t forced;     /* Of these, ended by force. */
    size_t concluding; /* Jobs taken out, whose futures are about to end. */
    unsigned depth;    /* Jobs that a worker may have at a time. */
    bool exact;        /* Only one, as a capacity or policy was asked for: what lies ahead in a
                        * worker's cells would wait beyond the capacity. Never changes. */
    int64_t mean_ns;   /* Of a task's time; 0: unknown. */
    unsigned rotation; /* Where the search for the least loaded begins. */
    /* When to look again at a worker that rests while another one has jobs that it has not
     * begun. HKI_NEVER: there was none. */
    int64_t rebalance_at_ns;
    bool crowded;  /* No worker takes more until something ends. */
    bool stalled;  /* The first in the queue waits for memory, and so do others behind it. */
    bool may_pass; /* There may be tasks in the queue that need no memory. */
    uint64_t started_ever;
    bool closing;
    bool killing;
    bool broken;
    bool lost; /* The zygote is gone. */

    /* Who collects. */
    bool has_leader;             /* It alone sets the attention then. */
    _Atomic(uint32_t) newcomers; /* Workers started ever; a futex word for the leader. */
    bool leader_rests;           /* It sleeps until it is rung, not only for a nap. */
    unsigned followers;          /* Callers that wait while another one leads. */
    bool minded;                 /* The supervisor sleeps for a nap at most, and looks then. */
    bool attended;               /* It dispatches, and asks behind that how long it may sleep. */
    bool quiet;                  /* Nobody leads, and nobody is rung until that look. */
    unsigned submits;            /* Ever; it may wrap. */
    unsigned left;               /* How often a leader left; it may wrap. */
    unsigned left_seen;          /* By the supervisor, when it last lay down. */
    uint32_t attention;          /* What the page says. */
    unsigned cpus;

    /* Replacing workers. */
    unsigned init_failures;
    double tokens;
    int64_t tokens_at_ns;
    int64_t refill_ns;
    int64_t respawn_at_ns;      /* INT64_MAX: nothing is waiting for a token. */
    int64_t no_worker_since_ns; /* 0: there is one that is ready, or none is wanted. */
    int64_t heard_ns;           /* When the zygote said something last. */
    int64_t suspected_at_ns; /* When the zygote was found not to have answered in time; 0: not. */
    hk_duration start_timeout;

    /* Options. */
    hk_duration idle_exit;
    int64_t idle_look_at_ns; /* When the supervisor looks for idle workers; HKI_NEVER: not. */
    hk_duration kill_grace;
    unsigned tasks_per_worker;
    size_t worker_rss_limit;
    unsigned jitter; /* State of its generator. */

    struct learned learned[HKI_LEARNED];

    struct courier *courier;
    /* Its thread, for the wait-for graph. */
    _Atomic(struct hki_agent *) courier_agent;
};

/* --- process_pool.c --- */

static inline struct process_pool *hki_pool_of_client(struct hki_zygote_client *client)
{
    return (struct process_pool *)(void *)client;
}

static inline uint32_t hki_seat_outstanding(const struct seat *seat)
{
    /* relaxed: under the lock, or only a hint. */
    return atomic_load_explicit(&((struct seat *)seat)->tail, memory_order_relaxed) -
           /* relaxed: likewise. */
           atomic_load_explicit(&((struct seat *)seat)->done, memory_order_relaxed);
}

static inline struct hki_cell *hki_seat_cell(const struct seat *seat, uint32_t request)
{
    return &seat->channel->cells[request % HKI_CELLS];
}

static inline struct entry *hki_seat_entry(struct seat *seat, uint32_t request)
{
    return &seat->entries[request % HKI_CELLS];
}

/* Under the lock: whether the worker has come to a request that was taken back before it began.
 * Whoever may be the first to see that rings the supervisor, which minds that it passes over it. */
static inline bool hki_seat_has_to_pass(struct seat *seat)
{
    uint32_t request = atomic_load(&seat->done);

    return (seat->life == SEAT_READY || seat->life == SEAT_LEAVING) &&
           hki_seat_outstanding(seat) != 0 && hki_seat_entry(seat, request)->job == NULL &&
           atomic_load(&seat->channel->done) == request;
}

/* "worker procs_1 (pid 4711)" */
void hki_seat_where(const struct seat *seat, char *text, size_t size);

/* --- dispatch.c --- */

/* Under the lock: gives queued jobs to workers, and asks for workers if they are missing. */
void hki_pool_dispatch(struct process_pool *pool);
hk_status hki_pool_submit(void *self, hk_job *job, hk_duration queue_wait);

/* --- give.c --- */

/* Under the lock: puts a job in the next cell of a seat; the worker is woken if it sleeps.
 * HK_OK; HK_EFULL: not now, the pool's memory is full; HK_EWORKER: not to this worker, which had
 * nothing to do and cannot be sent anything any more; any other status: it can never be given.
 * The job stays the caller's then. */
hk_status hki_seat_give(struct seat *seat, hk_job *job);

/* Whether its input needs a place in the pool's memory that it does not have yet. */
bool hki_job_needs_room(const struct process_pool *pool, const hk_job *job);

/* Whether it needs a descriptor sent, which waits for a worker with nothing to do. */
bool hki_job_needs_socket(const struct process_pool *pool, const hk_job *job);

/* Wakes a worker that sleeps. */
void hki_seat_wake(struct seat *seat);

void hki_chunk_release(struct chunk *chunk);
/* HK_EFULL: one that is given back makes room. HK_ENOMEM: none will. */
hk_status hki_chunk_reserve(struct process_pool *pool, uint64_t bytes, struct chunk **out);

/* --- take.c --- */

/* Under the lock: the result of a request that is DONE. */
void hki_seat_take(struct seat *seat, uint32_t request, struct hki_outcome *outcome);

/* Brings a future's progress up to date with what the worker says. */
void hki_cell_show_progress(const struct hki_cell *cell, hk_job *job);

/* Empties the entry; what is not shown by the outcome goes. */
void hki_seat_clear(struct seat *seat, uint32_t request);

/* --- collect.c --- */

struct finished {
    hk_job *job;
    struct chunk *left; /* Where a dead worker was writing its result, or NULL. */
    struct hki_outcome outcome;
};

/* Takes what is done, ends the futures, and gives new work. Without the lock. True if there
 * was anything. */
bool hki_pool_collect(struct process_pool *pool);

/* Under the lock: takes the results of one seat, as many as fit; how many. */
unsigned hki_seat_collect(struct seat *seat, struct finished *batch, unsigned room);

/* Without the lock: ends their futures. */
void hki_pool_conclude(struct process_pool *pool, struct finished *batch, unsigned count);

/* Under the lock: after hki_pool_conclude(). */
void hki_pool_concluded(struct process_pool *pool, unsigned count);

/* Whether there is something to collect: a few loads for each busy seat, no lock. */
bool hki_pool_has_results(const struct process_pool *pool);

/* Says who is to be woken; gives what the workers compare with. */
void hki_pool_set_attention(struct process_pool *pool, uint32_t when);

/* --- courier.c --- */

/* Starts its thread; HK_ENOMEM, HK_ESYS. */
hk_status hki_courier_start(struct process_pool *pool);

/* Hands over a job whose callbacks have to run, or whose last reference may: takes a
 * reference over. Without the lock, as all that follows. */
void hki_courier_send(struct process_pool *pool, hk_job *job, bool drain);

/* A line of the log: as much the application's as a callback. */
__attribute__((format(printf, 3, 4))) void hki_courier_say(struct process_pool *pool,
                                                           hk_log_level level, const char *format,
                                                           ...);

/* Gives the pool's reference back; by way of the courier if something of the application's is
 * left to run. drain: callbacks are. */
void hki_courier_give_back(struct process_pool *pool, hk_job *job, bool drain);

/* hk_job_discard() on a thread that must not run what is the application's. */
void hki_courier_discard(struct process_pool *pool, hk_job *job, hk_status status,
                         const char *message);
void hki_courier_discard_all(struct process_pool *pool, struct hki_list *jobs, hk_status status,
                             const char *message);

/* Ends its thread, after all that was sent. */
void hki_courier_end(struct process_pool *pool);

/* --- caller_wait.c --- */

void hki_pool_assist(void *self, hk_job *job, int64_t deadline_ns);
bool hki_pool_park(void *self, hk_job *job, struct hki_parker *parker, int64_t deadline_ns);

/* Collects what there is, if nobody else is at it. Without the lock. */
void hki_pool_look(struct process_pool *pool);

/* Under the lock: somebody waits from now on who does not look. True: it has to look once, as
 * what ended before was told to nobody. */
bool hki_pool_end_quiet(struct process_pool *pool, uint32_t when);

/* --- attend.c --- */

int64_t hki_pool_attend(struct hki_zygote_client *client);

/* --- seats.c --- */

/* Under the lock. Asks for one more worker; false: not now (no token, no descriptor, ...). */
bool hki_pool_hire(struct process_pool *pool);
/* Under the lock: starts as many as are wanted now. */
void hki_pool_staff(struct process_pool *pool);

/* A worker was lost, or could not be had: the next one may have to wait. */
void hki_pool_spend_token(struct process_pool *pool);
void hki_seat_retire(struct seat *seat);
void hki_seat_signal(struct seat *seat, int signal, hk_duration later);
/* Under the lock: what it says, or does not, cannot be: what it has not begun goes to others, and
 * it is killed. */
void hki_seat_expel(struct seat *seat);
/* Under the lock: its process is gone, and its cells are judged. */
void hki_seat_vacate(struct seat *seat);
/* Under the lock: a worker that has just reported READY, or a failed initialiser. */
void hki_seat_check_stage(struct seat *seat);
/* Under the lock: it has nothing to do. */
void hki_seat_rests(struct seat *seat);
/* Under the lock: whether it should leave now that its task has ended. */
void hki_seat_review(struct seat *seat);

/* --- deaths.c --- */

void hki_pool_spawned(struct hki_zygote_client *client, uint32_t index, uint32_t generation,
                      int32_t pid, int sys_errno);
void hki_pool_died(struct hki_zygote_client *client, uint32_t index, uint32_t generation,
                   int32_t pid, int wait_status, bool out_of_memory);
void hki_pool_zygote_lost(struct hki_zygote_client *client);
/* Under the lock: it can serve no more; queued jobs go to *jobs for the caller to discard. */
void hki_pool_break(struct process_pool *pool, struct hki_error *error, struct hki_list *jobs);

/* --- stopping.c --- */

/* Under the lock: takes back a request that has not begun; its job is the caller's then. */
bool hki_seat_withdraw(struct seat *seat, uint32_t request);
/* Under the lock: the job leaves its entry, and what force there was with it. */
void hki_entry_unforce(struct entry *entry);
/* Under the lock: puts all that has not begun back into the queue. */
void hki_pool_withdraw_queued(struct seat *seat);

bool hki_pool_remove(void *self, hk_job *job);
bool hki_pool_recall(void *self, hk_job *job, bool *removed);
void hki_pool_refresh(void *self, hk_job *job);
void hki_pool_stop(void *self, hk_job *job);
enum hki_force hki_pool_overrun(void *self, hk_job *job);
enum hki_force hki_pool_kill(void *self, hk_job *job);
/* Under the lock: the time has come for the seat's signal. */
void hki_seat_carry_out(struct seat *seat);
int64_t hki_pool_run_end_ns(void *self, hk_job *job, hk_duration timeout);
void hki_pool_shutdown(void *self, hk_shutdown_how how);
/* Under the lock: the entry of a job; NULL if it is in none. */
static inline struct entry *hki_pool_find(const hk_job *job)
{
    return job->slot;
}

/* --- pool_buffer.c --- */

hk_status hki_pool_buffer_create(void *self, size_t size, hk_buffer **out);
/* The chunk of a buffer made for this pool, or NULL. */
struct chunk *hki_pool_buffer_chunk(const struct process_pool *pool, const hk_job *job);

#endif
