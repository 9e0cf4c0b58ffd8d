/* SPDX-License-Identifier: MIT */
/*
 * What a pool and its worker processes share: plain memory, mapped at the same address
 * in all of them.
 *
 *     attention      written by the parent, read by all workers
 *     settings       of the pool; written once. Workers have a copy of the zygote's own
 *     channel i      written by both sides, seen by the parent and worker i alone
 *     arena          inputs and reserved results; owned by the parent (arena.h), and written by
 *                    all workers of the pool: it is common ground
 *
 * A channel is a ring of cells with one producer and one consumer. Request number r (from
 * 0, modulo 2^32) lies in cell r % HKI_CELLS. The parent fills the cell, sets its state to
 * QUEUED, and counts `tail` up; the worker serves the requests in this order, leaves the
 * result in the same cell, and counts `done` up. So the two counters are both rings in
 * one: nothing that a worker writes is ever an index, and the parent, which keeps its own
 * book of who has which job, checks `done` against it before it believes it.
 *
 * The state of a cell is one word, the request's generation and a phase, and every change
 * is one compare-and-swap:
 *
 *     FREE -> QUEUED -> RUNNING -> DONE
 *               |          `-----> KILLING     by the parent, before it kills the worker
 *               `----------------> WITHDRAWN   by the parent; the worker passes over it
 *
 * Whoever loses at RUNNING knows: a worker that cannot go to DONE waits for its death, so a
 * kill never hits the next task; a parent that cannot go to KILLING does not kill.
 *
 * No lock lies in this memory, and no word of one worker is waited for by another.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_LAYOUT_H
#define HOCKET_EXECUTORS_PROCESS_POOL_LAYOUT_H

#include <hocket/executor.h>
#include <hocket/task.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/os.h"

enum {
    HKI_CHANNELS_MAX = 1024,
    HKI_CELLS = 64,       /* Requests that one worker can have at a time. */
    HKI_CELL_INPUT = 48,  /* Inputs up to here travel in the cell. */
    HKI_CELL_OUTPUT = 16, /* So do results up to here. */
    HKI_CELL_PAGE = 4096, /* Results and errors up to here have a place by the cell. */
    HKI_FDS_MAX = 16,     /* Descriptors that can go with a task. */
    HKI_FRAMES_MAX = 32,  /* Of a crash. */
    HKI_WORKER_NAME_MAX = 48,
    HKI_SETUP_BYTES = 32768, /* Environment strings of a pool. */
    HKI_RLIMITS_MAX = 16,
    HKI_CPUS_WORDS = 16, /* A mask of 1024 CPUs. */
};

#define HKI_LINE __attribute__((aligned(64)))

/* Phases of a cell. */
enum hki_cell_phase {
    HKI_CELL_FREE,
    HKI_CELL_QUEUED,
    HKI_CELL_RUNNING,
    HKI_CELL_DONE,
    HKI_CELL_WITHDRAWN,
    HKI_CELL_KILLING,
};

/* Of request r: the word of its cell in a phase. */
static inline uint32_t hki_cell_word(uint32_t request, enum hki_cell_phase phase)
{
    return request << 8 | (uint32_t)phase;
}

static inline enum hki_cell_phase hki_cell_phase(uint32_t word)
{
    return (enum hki_cell_phase)(word & 0xff);
}

/* Whether one of the two sides may have written this for a request that was given. */
static inline bool hki_cell_word_possible(uint32_t request, uint32_t word)
{
    enum hki_cell_phase phase = hki_cell_phase(word);

    return word == hki_cell_word(request, phase) && phase > HKI_CELL_FREE &&
           phase <= HKI_CELL_KILLING;
}

/* Where the bytes of an input lie. */
enum hki_input_place {
    HKI_INPUT_CELL,  /* In the cell. */
    HKI_INPUT_ARENA, /* At input_at, in the arena. */
    HKI_INPUT_SPILL, /* In a sealed memfd, the first descriptor sent for this request. */
};

/* Where the bytes of a result, or of a packed error, lie. */
enum hki_output_place {
    HKI_OUTPUT_CELL,     /* In the cell. */
    HKI_OUTPUT_PAGE,     /* In the cell's page. */
    HKI_OUTPUT_RESERVED, /* In what the parent reserved, at reserved_at. */
    HKI_OUTPUT_INPUT,    /* A part of the input, in the arena: output_at says where. */
    HKI_OUTPUT_OVERFLOW, /* In the worker's own extent: output_at says where. */
    HKI_OUTPUT_SPILL,    /* In a sealed memfd, sent before the request was done. */
};

struct hki_cell {
    /* The parent writes these before QUEUED. */
    _Atomic(uint32_t) state HKI_LINE;
    _Atomic(uint32_t) stop;   /* 1: the task shall stop. */
    _Atomic(uint32_t) urgent; /* 1: somebody sleeps until this very task has ended. */
    uint8_t input_place;
    uint8_t fd_count; /* Descriptors that go with it, after a spilled input. */
    uint16_t attempt; /* From 1. */
    hk_task_fn *run;
    const hk_task *task; /* NULL unless the worker knew it at its fork. */
    uint64_t input_at;   /* Offset from the pool's base. */
    uint64_t input_size;
    uint64_t reserved_at;   /* Room for the result; offset from the pool's base. */
    uint64_t reserved_size; /* 0: none. */
    int64_t deadline_ns;    /* INT64_MAX: none. */
    int64_t timeout_ns;     /* From the start; 0: none. */
    unsigned char input[HKI_CELL_INPUT];
    /* The worker writes these. */
    _Atomic(int64_t) started_ns HKI_LINE; /* Valid while RUNNING; before it says what it said. */
    int64_t ran_ns;                       /* How long the task took. */
    uint64_t output_at;
    uint64_t output_size;
    int32_t
        outcome; /* HK_OK: a result; HK_ECANCELED, HK_EDEADLINE: no bytes; else a packed error. */
    uint8_t output_place;
    unsigned char output[HKI_CELL_OUTPUT];
    _Atomic(uint64_t) progress_done HKI_LINE;
    _Atomic(uint64_t) progress_total;
};

/* What a worker says of its own death, from a signal handler. */
struct hki_crash {
    _Atomic(uint32_t) said; /* 1 once the rest is there, and one frame; then the others
                             * follow, if the stack can be walked. */
    int32_t signal;
    int32_t code; /* si_code. */
    int32_t call; /* The system call that a filter forbade; -1: none. */
    _Atomic(uint32_t) frames;
    uint64_t address; /* si_addr. */
    void *frame[HKI_FRAMES_MAX];
};

enum hki_worker_stage {
    HKI_WORKER_STARTING,     /* Nothing is given to it yet. */
    HKI_WORKER_INITIALISING, /* The application's initialiser is under way. */
    HKI_WORKER_READY,
    HKI_WORKER_FAILED,  /* Its initialiser: the error is packed in `failure`. */
    HKI_WORKER_LEAVING, /* It takes nothing more. */
};

/* Extent of a worker for results that are larger than what was reserved. */
enum { HKI_OVERFLOW_UNITS = 256, HKI_OVERFLOW_UNIT = 65536 };

struct hki_channel {
    /* The parent writes these. */
    _Atomic(uint32_t) tail HKI_LINE;    /* Requests given. */
    _Atomic(uint32_t) may_spin;         /* The worker may look for work for a moment. */
    _Atomic(uint32_t) retire;           /* 1: leave after what was given. */
    _Atomic(uint32_t) doorbell;         /* Futex word; counts up to wake the worker. */
    uint32_t index;                     /* Of the worker in its pool. */
    uint32_t generation;                /* Of the worker in this channel. */
    _Atomic(uint32_t) overflow_allowed; /* 0: views of a former worker's extent are left. */
    /* The worker writes these. */
    _Atomic(uint32_t) done HKI_LINE; /* Requests done with. */
    _Atomic(uint32_t) sleeping;      /* 1: it must be woken by the doorbell; whoever does so
                                      * sets it to 0. */
    _Atomic(uint32_t) bell HKI_LINE; /* Futex word; counts up to wake a waiting caller. */
    _Atomic(uint32_t) stage;         /* enum hki_worker_stage */
    _Atomic(uint64_t) served;        /* Tasks run to their end. */
    _Atomic(uint64_t) rss_bytes;     /* Resident and not shared; with page->rss_limit alone. */
    struct hki_crash crash;
    uint32_t failure_size;
    unsigned char failure[2048];
    /* How often the parent gave back the chunk of overflow that begins at each unit. */
    _Atomic(uint32_t) returned[HKI_OVERFLOW_UNITS] HKI_LINE;
    struct hki_cell cells[HKI_CELLS];
    unsigned char pages[HKI_CELLS][HKI_CELL_PAGE] __attribute__((aligned(4096)));
};

/*
 * When, and whom, a worker has to wake after it has done with a request. The parent sets
 * it; the value above these bits changes whenever somebody goes to sleep, and a worker
 * rings at most once for one value.
 */
enum {
    HKI_RING_NEVER = 0,     /* Somebody is looking. */
    HKI_RING_FIRST = 1,     /* After the first request. */
    HKI_RING_COALESCED = 2, /* When it has done most of what it was given, half the ring is
                             * unreported, or the request is urgent. */
    HKI_RING_WHEN = 3,      /* The mask of these. */
    HKI_RING_CALLER = 4,    /* Wake a caller by `bell`; else the supervisor by its pipe. */
    HKI_RING_STEP = 8,
};

struct hki_rlimit {
    int32_t resource;
    struct rlimit limit;
};

struct hki_pool_page {
    _Atomic(uint32_t) attention HKI_LINE;
    /* The settings, from here on: written before the pool is registered. They begin on a page of
     * their own, for the zygote replaces them by a copy: what a worker believes about itself before
     * any limit holds for it must not be another worker's to write. */
    uint64_t base __attribute__((aligned(4096))); /* Address of this struct. */
    uint64_t bytes;                               /* Of the whole region. */
    uint64_t channels_at; /* Offset; channel i lies at channels_at + i * channel_stride. */
    uint64_t channel_stride;
    uint32_t channel_count;
    uint64_t overflow_at; /* Offset; the extent of worker i at overflow_at + i * extent. */
    uint64_t arena_at;
    uint64_t arena_bytes;
    int64_t spin_ns;    /* How long an idle worker may spin. */
    uint64_t rss_limit; /* 0: the workers need not look at their memory. */
    uint64_t max_payload;
    char name[HKI_WORKER_NAME_MAX]; /* Of the pool. */
    hk_worker_initializer_fn *initializer;
    hk_worker_finalizer_fn *finalizer;
    void *worker_arg;
    uint32_t has_nice;
    int32_t nice;
    uint32_t rlimit_count;
    struct hki_rlimit rlimits[HKI_RLIMITS_MAX];
    uint32_t has_cpus;
    uint64_t cpus[HKI_CPUS_WORDS];
    uint32_t no_new_privs;
    uint32_t sandbox;                  /* enum hki_os_sandbox */
    uint32_t filter_count;             /* 0: no filter of the application's. */
    uint32_t depth;                    /* How many pools of processes are around this one. */
    uint32_t environment_count;        /* Strings NAME=VALUE, or NAME alone to remove it. */
    char environment[HKI_SETUP_BYTES]; /* Each ended by a zero byte. */
    struct hki_os_filter_step filter[HKI_OS_FILTER_MAX];
};

/* Whether its workers may not do all that the application may. */
static inline bool hki_pool_confines(const struct hki_pool_page *page)
{
    return page->sandbox != HKI_OS_SANDBOX_NONE || page->filter_count != 0;
}

#define HKI_OVERFLOW_EXTENT ((uint64_t)HKI_OVERFLOW_UNITS * HKI_OVERFLOW_UNIT)

static inline struct hki_channel *hki_channel_of(const struct hki_pool_page *page, uint32_t index)
{
    return (struct hki_channel *)(uintptr_t)(page->base + page->channels_at +
                                             index * page->channel_stride);
}

static inline void *hki_pool_at(const struct hki_pool_page *page, uint64_t offset)
{
    return (void *)(uintptr_t)(page->base + offset);
}

#endif
