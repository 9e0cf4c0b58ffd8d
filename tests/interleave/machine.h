/* SPDX-License-Identifier: MIT */
/*
 * A machine whose threads take turns by choice (see choices.h), with store buffers, a
 * futex and mutexes. Real code runs on it, compiled with shim/stdatomic.h: a turn can
 * change at each atomic operation, mutex and system call, and nowhere else.
 *
 * What it stands for: an x86. A store stays in its thread's buffer, behind those before
 * it, while the thread's loads go ahead; whatever reads and writes at once empties the
 * buffer, as do seq_cst stores, system calls, and the kernel's barrier those of all.
 *
 * What is bounded, so that all runs can be tried: how often a turn is taken from a thread
 * that could go on, how many stores stay in a buffer, how many sleeps run out of time.
 */
#ifndef HKT_INTERLEAVE_MACHINE_H
#define HKT_INTERLEAVE_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* What the machine does wrong on purpose: code that does not mind relies on nothing. */
enum hkt_fault {
    HKT_FAULTLESS,
    HKT_NO_BARRIER,       /* The kernel's barrier does nothing. */
    HKT_ADD_ZERO_IS_LOAD, /* Adding nothing does not empty the buffer. */
    HKT_SLEEPS_BLINDLY,   /* A futex does not compare its word. */
    HKT_WAKES_ONE,        /* A futex wakes one, however many it should. */
    HKT_WAKES_NOBODY,
    HKT_FAULTS
};

struct hkt_bounds {
    unsigned turns;
    unsigned stores;
    unsigned timeouts;
};

struct hkt_machine {
    struct hkt_bounds bounds;
    enum hkt_fault fault;
    bool has_barrier; /* What hki_os_barrier_ready() says. */
    bool trace;       /* Prints each operation. */
};

/* The one in use; set it before a run. */
extern struct hkt_machine hkt_machine;

enum { HKT_THREADS_MAX = 5 };

typedef void hkt_thread_fn(void);

/* One run. NULL: all threads ended, and no check failed; else what went wrong. */
const char *hkt_machine_run(hkt_thread_fn *const *functions, unsigned count);

/* The number of the thread whose turn it is. */
unsigned hkt_machine_self(void);

/* Instead of the system's, by -Dpthread_mutex_lock=hkt_mutex_lock. A mutex that is all
 * zeros is free. */
int hkt_mutex_lock(pthread_mutex_t *mutex);
int hkt_mutex_unlock(pthread_mutex_t *mutex);

/* Ends the run if the condition does not hold. */
void hkt_must(bool holds, const char *what);

#define HKT_MUST(condition) hkt_must((condition), #condition)

#endif
