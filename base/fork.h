/* SPDX-License-Identifier: MIT */
/*
 * fork(): what a child may still do with objects of its parent.
 *
 * Objects remember the generation they were made in. In a child the number is
 * another, so they can be told apart without a system call. Locks that guard
 * process-wide state are held across a fork by their modules (each registers
 * here), so that a child never inherits one locked by a thread it does not have.
 */
#ifndef HOCKET_BASE_FORK_H
#define HOCKET_BASE_FORK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Both are written in a child of the zygote: together, as each page that is written costs it a
 * copy. */
extern struct hki_fork_self {
    uint32_t generation;  /* Changes only in a child of fork, which has one thread then. */
    atomic_bool is_alone; /* Atomic for threads that fork at a time; written where there is one. */
} hki_fork_self;

/* Number of this process among its forebears that use the library; from 1. */
static inline uint32_t hki_fork_generation(void)
{
    return hki_fork_self.generation;
}

/* Holds a process-wide lock across every fork. Called by constructors, once for a
 * lock; such locks are never taken one under the other. */
void hki_fork_guard(pthread_mutex_t *lock);

/* A process that has one thread says so: nobody else can hold a lock when it forks, and it holds
 * none itself, so the handlers leave the locks alone. For the zygote, where each would cost it and
 * its child a copy of the page that it lies in. Said in the child, it is for its own forks. */
void hki_fork_set_alone(bool alone);
bool hki_fork_is_alone(void);

/* Whether an object made in that generation belongs to a parent process. */
static inline bool hki_fork_foreign(uint32_t generation)
{
    return generation != hki_fork_generation();
}

#endif
