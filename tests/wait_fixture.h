/* SPDX-License-Identifier: MIT */
/*
 * What the suites of the wait-for graph share: actors that are led into a wait one after
 * the other, and the library's reports as texts that can be compared.
 *
 * An actor prepares (takes a lock, say), stands at its gate, waits, and cleans up. The test
 * opens the gates in the order it wants: that which closes a ring comes last.
 */
#ifndef HOCKET_TESTS_WAIT_FIXTURE_H
#define HOCKET_TESTS_WAIT_FIXTURE_H

#include <hocket/cond.h>
#include <hocket/hocket.h>
#include <hocket/lock.h>
#include <hocket/rwlock.h>
#include <hocket/waits.h>

#include "tests/promise_fixture.h"

/* --- Actors ------------------------------------------------------------------- */

struct hkt_actor {
    /* The test's. */
    const char *name;      /* Of a thread of its own; not asked of tasks. */
    hk_executor *pool;     /* NULL: a thread of its own. */
    hk_executor *workers;  /* Whose workers run it, if not the pool's own. */
    const hk_task *task;   /* By reference; calls hkt_act(). */
    void (*prepare)(void); /* May be NULL, as release. */
    hk_status (*wait)(void);
    void (*release)(void); /* After the wait, whatever came of it. */
    /* In place of hkt_act() on a thread of its own, when something else is to call that:
     * a callback, an inline executor. */
    void (*start)(struct hkt_actor *self);
    /* The fixture's. */
    hk_future *future; /* Of the task; held until hkt_actors_end(). */
    struct hkt_thread thread;
    struct hkt_gate go;
    _Atomic pid_t id;  /* Set right before the wait. */
    atomic_bool ended; /* Right after it. */
    hk_status status;  /* Of the wait. */
};

/* What the task of an actor does; and a task that does it, under any name. */
hk_status hkt_act(struct hkt_actor *actor);

#define HKT_ACTOR_TASK(task_name)                                                                  \
    HK_TASK(task_name)                                                                             \
    {                                                                                              \
        (void)call;                                                                                \
        (void)in_size;                                                                             \
        return hkt_act((struct hkt_actor *)(uintptr_t)in);                                         \
    }

/* Starts them in order; each has prepared when the next one starts. */
void hkt_actors_begin(struct hkt_actor *const *actors, unsigned count);

/* Lets an actor into its wait, and returns once it sleeps there: for good, that is, after
 * its pool was told (see hki_block_begin_briefly). Or when it is back, if its time ran out. */
void hkt_actor_sleeps(struct hkt_actor *actor);

/* Lets an actor into its wait and returns without waiting. */
void hkt_actor_goes(struct hkt_actor *actor);

/* Waits for their ends and gives back what they have. */
void hkt_actors_end(struct hkt_actor *const *actors, unsigned count);

/* One actor after another, as in order; then everybody's end: the last one's wait is
 * refused, all others come through. */
void hkt_expect_last_refused(struct hkt_actor *const *actors, unsigned count,
                             const unsigned *order);

/* --- Texts -------------------------------------------------------------------- */

/* A name for the line that a call stands in: so that expected texts hold no numbers. */
void hkt_mark_line(const char *file, int line, const char *mark);
#define HKT_AT(mark, call) (hkt_mark_line(__FILE__, __LINE__, mark), (call))

/* In place: addresses become "0x..", thread ids "(#)", times "T", paths lose their folders,
 * and marked lines get their names: "x.c:{sum}". */
void hkt_normalise(char *text);

/* Takes the library's lines; warnings of refused waits are kept, without their
 * beginning, and normalised when they are compared. */
void hkt_refusals_begin(void);
void hkt_refusals_end(void);
unsigned hkt_refusals_count(void);

/* The last report is exactly this. */
void hkt_report_expect(struct hkt_site site, const char *expected);
#define HKT_REPORT(expected) hkt_report_expect(HKT_SITE(false), expected)

#endif
