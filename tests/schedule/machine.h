/* SPDX-License-Identifier: MIT */
/*
 * A machine that runs one thread at a time, and draws from a seed who goes on. The turn can
 * pass at each atomic operation, mutex, futex, start and end of a thread, and nowhere else; its
 * clock moves when nobody can go on, and now and then by chance. So a seed tells a whole round.
 *
 * Threads are real ones, each of which sleeps until it is its turn: what is theirs alone stays
 * so. Memory is sequentially consistent; for weaker orders see tests/interleave and
 * tests/relacy.
 *
 * A round has a process of its own, see round.h. The thread whose turn it is owns all of the
 * machine's state.
 */
#ifndef HKT_SCHEDULE_MACHINE_H
#define HKT_SCHEDULE_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/schedule/chance.h"

/* What goes wrong on purpose; a scenario must notice. See faults.c. */
enum hkt_fault {
    HKT_FAULTLESS,
    HKT_LOSES_WAKES,     /* Now and then a futex wakes nobody. */
    HKT_SLEEPS_BLINDLY,  /* A futex does not compare its word. */
    HKT_OPEN_MUTEXES,    /* Now and then a mutex lets a second one in. */
    HKT_FORGETS_LATE,    /* What comes while the last worker leaves. */
    HKT_FORGETS_JOINS,   /* Those who wait for the end of all futures of an executor. */
    HKT_FORGETS_ALERTS,  /* Workers are not told that their pool has changed. */
    HKT_FREES_TOO_SOON,  /* Nobody waits for those who look. */
    HKT_DISARMS_NOTHING, /* A timer fires although it was disarmed. */
    HKT_FAULTS
};

struct hkt_setup {
    uint64_t seed;
    enum hkt_strategy strategy;
    unsigned depth;
    enum hkt_fault fault;
    bool timeless; /* Nobody waits for time: that it is the last hope is a failure. */
    bool trace;    /* Prints each step. */
};

/* How a round went, in memory that outlives its process. */
struct hkt_report {
    bool ended; /* By itself, well or not. */
    uint64_t steps;
    uint64_t hash;      /* Of all turns. */
    char failure[8192]; /* Empty: none. */
};

/* Runs the function as thread 0 until it returns, and the checks after it. Then the process
 * has only to end. */
void hkt_machine_run(const struct hkt_setup *setup, struct hkt_report *report, void (*fn)(void));

/* In a round, whether a fault is the one to make. */
bool hkt_has_fault(enum hkt_fault fault);

/* Whether the calling thread is one of a round. Not in a child of a fork in the round: its only
 * thread goes on alone, and must not wait. */
bool hkt_is_in_round(void);

/* Ends the round with a failure, and with the process. */
__attribute__((noreturn, format(printf, 1, 2))) void hkt_fail(const char *format, ...);

/* --- For the system that the code under test sees: system.c, threads.c --- */

enum hkt_wait {
    HKT_GOES_ON,
    HKT_AT_MUTEX, /* Until nobody has it. */
    HKT_AT_FUTEX, /* Until it is woken, or the time has come. */
    HKT_AT_JOIN,  /* Until the thread has ended. */
    HKT_AT_COUNT, /* Until an int is as high as wanted. */
    HKT_ENDED
};

enum { HKT_SITES = 6 };

struct hkt_thread {
    pthread_t handle;
    void *(*fn)(void *);
    void *arg;
    void *result;
    enum hkt_wait wait;
    const volatile void *object; /* That it waits for. */
    int64_t deadline_ns;         /* At a futex. */
    int wanted;                  /* At a count. */
    uint64_t steps;
    bool is_gone;     /* Joined, or detached. */
    const char *what; /* Its last operation. */
    const char *sites[HKT_SITES];
    uint32_t turn; /* What it sleeps on while others go on. */
};

unsigned hkt_machine_self(void);
struct hkt_thread *hkt_machine_thread(unsigned number);
unsigned hkt_machine_count(void);

/* A new thread, which waits for its turn. */
int hkt_machine_start(const pthread_attr_t *attributes, void *(*fn)(void *), void *arg,
                      pthread_t *handle);

/* Gives the turn away until the calling thread can go on again. False: at a futex, and nobody
 * has woken it. */
bool hkt_machine_wait(enum hkt_wait wait, const volatile void *object, int64_t deadline_ns);

/* Waits until the count is so high, without the library's knowledge. */
void hkt_machine_wait_for(const volatile int *count, int wanted);

int64_t hkt_machine_now_ns(void);

/* The destructors of a thread's keys. */
void hkt_keys_end(void);

#endif
