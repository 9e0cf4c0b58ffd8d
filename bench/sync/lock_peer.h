/* SPDX-License-Identifier: MIT */
/*
 * What bench_lock wants of a lock. lock_loops.h makes most of it out of four functions.
 */
#ifndef BENCH_SYNC_LOCK_PEER_H
#define BENCH_SYNC_LOCK_PEER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Locks that several threads fight for. */
struct lock_contest {
    /* Turns of an empty loop: with the lock held, and between two turns. */
    unsigned inside, outside;
    /* Set when the time is over. */
    const int *stop;
};

/* The loops that are timed. locks is what create() has made. */
struct lock_loops {
    void *(*create)(size_t count);
    void (*destroy)(void *locks, size_t count);
    /* Takes the first depth locks in order and gives them back in reverse, turns times. */
    void (*nest)(void *locks, unsigned depth, uint64_t turns);
    /* Takes the first lock and inside it a random one of the children after it. */
    void (*take_child)(void *locks, size_t children, uint64_t turns);
    /* Takes the lock at the place, and inside it another. */
    void (*take_two)(void *locks, size_t first, size_t second);
    /* Takes the first lock and adds 1 to its counter, until stopped; gives how often. */
    uint64_t (*contend)(void *locks, const struct lock_contest *contest);
    uint64_t (*counter)(void *locks);
};

struct lock_peer {
    struct lock_loops loops;
    /* Called before each run; NULL for nothing. */
    void (*prepare)(void);
    /* Takes the first count locks with one call, and gives them back; NULL: nest(). */
    void (*take_many)(void *locks, size_t count, uint64_t turns);
};

/* A peer that was not built is NULL: its package is not here. */
#define LOCK_PEER(name) extern const struct lock_peer name __attribute__((weak))

LOCK_PEER(lock_hocket);
LOCK_PEER(lock_hocket_each);
LOCK_PEER(lock_pthread);
LOCK_PEER(lock_pthread_errorcheck);
LOCK_PEER(lock_pthread_inherit);
LOCK_PEER(lock_absl);
LOCK_PEER(lock_absl_report);
LOCK_PEER(lock_nsync);
LOCK_PEER(lock_glib);
LOCK_PEER(lock_ck);
LOCK_PEER(lock_std);

#ifdef __cplusplus
}
#endif

#endif
