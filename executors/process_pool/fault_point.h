/* SPDX-License-Identifier: MIT */
/*
 * Fault points: places in the protocol between processes at which a test can make one of
 * them die, or a call fail. The shipped library has none: they exist where HOCKET_FAULTS
 * is defined, which the tests' own build of these sources does.
 *
 *     HKI_FAULT("claimed");                       the process may die here
 *     if (HKI_FAULT("fork_fails")) { ... }        and here it may be told to fail
 *
 * What to do is kept in memory that all processes of a program share, so that a test in
 * the parent can speak of a worker that does not exist yet.
 */
#ifndef HOCKET_EXECUTORS_PROCESS_POOL_FAULT_POINT_H
#define HOCKET_EXECUTORS_PROCESS_POOL_FAULT_POINT_H

#include <stdbool.h>
#include <stdint.h>

enum hki_fault_action {
    HKI_FAULT_DIES,    /* SIGKILL, sent by itself. */
    HKI_FAULT_CRASHES, /* SIGSEGV, likewise. */
    HKI_FAULT_EXITS,   /* exit(HKI_FAULT_EXIT_STATUS). */
    HKI_FAULT_FAILS,   /* HKI_FAULT() is true. */
    HKI_FAULT_HOLDS,   /* Waits there until hki_fault_release(), or hki_fault_clear(). */
};

/* Who passes a point: the index of a worker in its pool, or one of these. */
enum {
    HKI_FAULT_ANYBODY = -1,
    HKI_FAULT_PARENT = -2, /* Any process that has not said otherwise. */
    HKI_FAULT_ZYGOTE = -3,
};

enum {
    HKI_FAULT_EVERY = 0, /* A value for nth. */
    HKI_FAULT_EXIT_STATUS = 23,
};

#ifdef HOCKET_FAULTS

/* At the nth pass from now (1: the next one), once; HKI_FAULT_EVERY: at each. A later call
 * for the same name and who replaces it. False: there are too many of them. */
bool hki_fault_set(const char *name, int32_t who, uint32_t nth, enum hki_fault_action action);

/* Forgets one of them; who is held there goes on. */
void hki_fault_release(const char *name, int32_t who);

/* Forgets all of them. */
void hki_fault_clear(void);

/* How often the point was passed since it was set; it may have been set with an nth that never
 * comes. */
uint32_t hki_fault_passes(const char *name, int32_t who);

/* Says who this process is; a forked child is who its parent was until it says otherwise. */
void hki_fault_i_am(int32_t who);

bool hki_fault_point(const char *name);

#define HKI_FAULT(name)     hki_fault_point(name)
#define HKI_FAULT_I_AM(who) hki_fault_i_am(who)

#else

static inline bool hki_fault_none(void)
{
    return false;
}

#define HKI_FAULT(name)     hki_fault_none()
#define HKI_FAULT_I_AM(who) ((void)(who))

#endif

#endif
