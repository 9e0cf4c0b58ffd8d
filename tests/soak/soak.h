/* SPDX-License-Identifier: MIT */
/*
 * A soak: mixed work over the whole public interface for as long as asked, in phases.
 *
 * In a phase some actors, each a thread, do pieces of work that a seed draws; every piece knows
 * what has to come out. At its end everything is at rest, and what the program and its worker
 * processes hold is counted; every third time the pools are destroyed before that, so that
 * nothing may be left at all. soak_judge.py judges the counts.
 */
#ifndef HOCKET_TESTS_SOAK_H
#define HOCKET_TESTS_SOAK_H

#include <hocket/hocket.h>
#include <hocket/process_pool.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The executors that live through several phases. */
struct soak_pools {
    hk_executor *threads;
    hk_executor *narrow; /* Few threads and a short queue. */
    hk_executor *serial; /* On threads. */
    hk_executor *processes;
    hk_executor *wild; /* Processes whose workers crash and are killed. */
};

/* One thread of a phase; what it does follows from its random numbers alone. */
struct soak_actor {
    uint64_t random;
    const struct soak_pools *pools;
};

/* A number below a bound. */
uint32_t soak_draw(struct soak_actor *actor, uint32_t below);

/* The bits of a number, well mixed: what tasks compute. */
uint32_t soak_mixed(uint32_t number);

/* --- Results ---------------------------------------------------------------------- */

/* Prints and counts a result that is not so; gives back whether it holds. Any thread. */
bool soak_check(bool holds, const char *file, int line, const char *text);
#define SOAK_EXPECT(value) soak_check((value), __FILE__, __LINE__, #value)

unsigned soak_wrong_count(void);

/* What is counted for the page. */
enum soak_counted {
    SOAK_PIECES,
    SOAK_TASKS,
    SOAK_FORKS,
    SOAK_TURNS,
    SOAK_ITEMS,
    SOAK_CANCELS,
    SOAK_OVERRUNS,
    SOAK_CRASHES,
    SOAK_KILLS,
    SOAK_LOST,
    SOAK_INVERSIONS,
    SOAK_LOCKINGS,
    SOAK_PUTS,
    SOAK_THREADS,
    SOAK_EXECUTORS,
    SOAK_COUNTED
};

void soak_count(enum soak_counted what, int64_t amount);
int64_t soak_counted(enum soak_counted what);
const char *soak_counted_name(enum soak_counted what);

/* --- Tasks ------------------------------------------------------------------------ */

/* Takes a number, gives soak_mixed() of it; runs for a number of turns before. */
struct soak_number {
    uint32_t number;
    uint32_t turns;
};
HK_TASK_DECLARE(soak_mix);

/* Takes a hk_duration, sleeps so long unless asked to stop, and gives nothing. */
HK_TASK_DECLARE(soak_nap);

/* Fails with the code of its input, an int. */
HK_TASK_DECLARE(soak_fail);

/* An executor of this machine's threads or processes, but never the wild one. */
hk_executor *soak_any_executor(struct soak_actor *actor);

/* The same, with memory that tasks share with their submitter. */
hk_executor *soak_any_sharing(struct soak_actor *actor);

/* Submits soak_mix for numbers from first on. Those that were refused are NULL. */
void soak_submit_mixes(struct soak_actor *actor, hk_executor *executor, uint32_t first,
                       hk_future **futures, size_t count);

/* The future has ended with soak_mixed(number); gives the reference back. */
void soak_expect_mixed(hk_future *future, uint32_t number);

/* --- Threads ---------------------------------------------------------------------- */

/* Runs fn(arg) on so many threads of their own, and waits for their end. */
void soak_run_threads(unsigned count, void *(*fn)(void *arg), void *arg);

/* --- Pieces of work --------------------------------------------------------------- */

typedef void soak_piece_fn(struct soak_actor *actor);

soak_piece_fn soak_piece_callbacks, soak_piece_cancels, soak_piece_chains, soak_piece_completions,
    soak_piece_crashes, soak_piece_descriptors, soak_piece_events, soak_piece_executors,
    soak_piece_forks, soak_piece_inversions, soak_piece_kills, soak_piece_limits, soak_piece_locals,
    soak_piece_lock_objects, soak_piece_locks, soak_piece_maps, soak_piece_meetings,
    soak_piece_nested, soak_piece_payloads, soak_piece_promises, soak_piece_queues,
    soak_piece_ranges, soak_piece_retries, soak_piece_rings, soak_piece_selects, soak_piece_submits,
    soak_piece_tokens, soak_piece_worker_changes;

/* Draws a piece and does it. */
void soak_do_piece(struct soak_actor *actor);

/* Does every piece once. */
void soak_do_all_pieces(struct soak_actor *actor);

#endif
