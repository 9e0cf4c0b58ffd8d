/* SPDX-License-Identifier: MIT */
/*
 * A future from the inside: for futures/ and for the executors that end them.
 *
 * One word, half of which counts the references, and half of which is the state:
 *   phase     PENDING -> RUNNING -> ENDING -> DONE | FAILED | CANCELLED
 *             PENDING ------------> ENDING
 *   WATCHED   somebody is interested; publishing must go through the stripe lock
 *   DRAINING  ended, and a thread runs the callbacks; late ones join its list
 *   CANCELLING  with ENDING: it will be CANCELLED
 *   STOP      somebody asked the task to stop
 *   OBSERVED  a failure was read (or passed on), so it is not "unobserved"
 *   TAKEN     the value was moved out
 *   SHARED    a derived future shows this one's value: it may not be taken
 *   Beside these it holds, from the birth on, the process that made the future, and
 *   from the end on the size of a value that lies in the future itself.
 *
 * A future is 32 bytes, of which a task takes 32 more, so that one that has begun with little
 * is a single line of the cache. What few futures need is their rest: behind the future, for
 * those whose makers have room for it, or made when it is first asked for.
 *
 * Invariants
 *   I1  Each phase change is one compare-and-swap in futures/transition.c. Who
 *       wins ENDING, and nobody else, writes value and error, before publishing.
 *   I2  value and error do not change once published. TAKEN is won by
 *       compare-and-swap; from then on the value is the taker's to release.
 *       Of a value, body holds the bytes, or rest all else; of a failure body holds the error.
 *   I3  WATCHED is set only under the stripe lock and only before the end; so a
 *       publisher that finds it clear has nobody to tell, and needs no lock.
 *   I4  watches are linked and unlinked under the stripe lock. DRAINING is cleared
 *       under it, by the one thread that drains, when it finds no more callback.
 *   I5  Whoever is to end a future holds a reference until it has drained it.
 */
#ifndef HOCKET_FUTURES_FUTURE_IMPL_H
#define HOCKET_FUTURES_FUTURE_IMPL_H

#include <hocket/cancel.h>
#include <hocket/future.h>

#include <stdatomic.h>
#include <stdint.h>

#include "base/fork.h"
#include "base/list.h"
#include "base/tally.h"
#include "futures/error_impl.h"
#include "futures/life.h"
#include "sync/parker.h"
#include "sync/stripe.h"
#include "sync/wait_graph.h"

enum {
    HKI_BODY_BYTES = 8,   /* Values up to here fit into any future. */
    HKI_SMALL_VALUE = 16, /* Up to here they need no memory of their own if there is a rest. */
};

/* What ended well leaves behind. drop(owner) releases it. */
struct hki_value {
    void *data;
    size_t size;
    hk_drop_fn *drop;
    void *owner;
};

/* Interest in the end of a future. */
struct hki_watch {
    /* Stripe lock; see watch.c. previous NULL: loose, as before it is linked, and once fired. */
    struct hki_watch *next;
    struct hki_watch *previous;
    /* Exactly one of the two is set.
     * fire: called under the stripe lock with the final phase; quick, and takes no
     * lock but leaves. After hki_future_unwatch() it does not run any more.
     * run: a callback, called with no lock, in the order added. Whoever linked it
     * keeps it alive until then. */
    void (*fire)(struct hki_watch *watch, unsigned phase);
    void (*run)(struct hki_watch *watch);
};

/* Who stands behind a future: filled in by promises, chains and executors. */
struct hki_origin {
    /* It ends by the end of other futures, which it holds: see relay.h. It then has a rest. */
    bool is_derived;
    /* Frees the whole object; the future's own contents are released already. */
    void (*destroy)(hk_future *future);
    /* After a cancel won the PENDING future, before it is published: take it out
     * of queues, drop the input. May be NULL. */
    void (*cancelled)(hk_future *future);
    /* Right after the end became visible, before callbacks run. From then on others
     * may take apart what the future was made by. May be NULL. */
    void (*published)(hk_future *future);
    /* After STOP was set, or a cancel of the given level hit it: pass it on to
     * sources. No lock held. May be NULL. */
    void (*stop)(hk_future *future, hk_cancel_level level);
    /* Run it here if it has not started and may run on this stack. True if it
     * did. May be NULL. */
    bool (*claim)(hk_future *future, struct hki_agent *agent);
    /* The same as a question, for who cannot do it just now: quick, takes no lock. NULL with
     * claim. */
    bool (*claimable)(hk_future *future, const struct hki_agent *agent);
    /* The node's rule while it has not ended (see wait_graph.h). May be NULL: it
     * can move. */
    enum hki_wait_kind (*look)(hk_future *future, size_t *count);
    struct hki_wait_node (*next)(hk_future *future, size_t i);
    /* Source i of those that it holds until it is freed, ended or not; NULL: no more. May be
     * NULL: it holds none. */
    hk_future *(*kept)(hk_future *future, size_t i);
    /* Where the work is done out of this process's sight: brings the state word, and the
     * progress, up to date. No lock held. May be NULL. */
    void (*refresh)(hk_future *future);
    /* Likewise: hki_future_claim_cancel() of one that is PENDING, in one step with the look whether
     * that is the truth, so that it does not start unseen in between. *removed: it was taken out,
     * and the reference of who would have run it is the caller's. False: it has started, and the
     * state word says so now, or it has ended. May be NULL. */
    bool (*recall)(hk_future *future, bool *removed);
    /* Ends it CANCELLED now, also if it runs, and stops the work by force. May be NULL: it
     * cannot be stopped so. */
    hk_status (*kill)(hk_future *future, const char *why);
    /* As hki_parker_park() of the calling thread, doing meanwhile what brings the end of this
     * future nearer; at once if it has ended. The end wakes it. May be NULL. */
    bool (*park)(hk_future *future, struct hki_parker *parker, int64_t deadline_ns);
    /* The same for who sleeps in another way: a moment of it, before that. May be NULL. */
    void (*assist)(hk_future *future, int64_t deadline_ns);
    /* Name for texts; may be NULL. */
    const char *(*name)(const hk_future *future);
    /* Where the work was handed out; may be NULL. */
    const hk_site *(*site)(const hk_future *future);
};

/* What few futures need. */
struct hki_future_rest {
    struct hki_watch *watches; /* I4. The first; the line before this rest was there. */
    struct hki_value value;    /* I1, I2. */
    unsigned char small[HKI_SMALL_VALUE] __attribute__((aligned(16)));
    /* The thread that runs it, while RUNNING, and the one that runs the callbacks, while DRAINING;
     * NULL: not known. Else they say nothing, and may be gone. Two words, for who has started it
     * may come to say so behind an end by somebody else. */
    _Atomic(struct hki_agent *) runner;
    _Atomic(struct hki_agent *) drainer;
    atomic_uint_fast64_t progress_done;
    atomic_uint_fast64_t progress_total;
    _Atomic(hk_cancel_token *) stop_token; /* Fires with STOP. */
    _Atomic(char *) why;                   /* A block; hk_future_why(). */
    _Atomic(char *) reason;                /* A block; why it was cancelled. */
    atomic_int fd;                         /* -1 until asked for. */
    struct hki_watch fd_watch;
    hk_future *below; /* In a list of one thread's, see relay.h. */
    bool is_apart;    /* Made later: it is to be freed. */
};

struct hk_future {
    struct hki_life life;
    const struct hki_origin *origin;
    /* The first watch (I4); or the rest, marked by HKI_HAS_REST, which then has it. */
    atomic_uintptr_t more;
    union {
        unsigned char bytes[HKI_BODY_BYTES];
        struct hki_error *error; /* With FAILED; one reference. */
    } body;                      /* I1, I2. */
};

#define HKI_HAS_REST ((uintptr_t)1)

/* The same as hki_future_rest(), in one order with the state word. */
static inline struct hki_future_rest *hki_future_rest_now(const hk_future *future)
{
    uintptr_t more = atomic_load(&((hk_future *)future)->more);

    return (more & HKI_HAS_REST) == 0 ? NULL : (struct hki_future_rest *)(more & ~HKI_HAS_REST);
}

/* NULL: it has none. */
static inline struct hki_future_rest *hki_future_rest(const hk_future *future)
{
    /* acquire: pairs with the release of who made the rest. */
    uintptr_t more = atomic_load_explicit(&((hk_future *)future)->more, memory_order_acquire);

    return (more & HKI_HAS_REST) == 0 ? NULL : (struct hki_future_rest *)(more & ~HKI_HAS_REST);
}

static inline uint64_t hki_future_word(const hk_future *future)
{
    return hki_life_see(&((hk_future *)future)->life);
}

static inline unsigned hki_future_state(const hk_future *future)
{
    return (unsigned)hki_future_word(future);
}

/* The same in one order with other variables: for looks, and for the stop token. */
static inline unsigned hki_future_state_now(const hk_future *future)
{
    return (unsigned)atomic_load(&((hk_future *)future)->life.word);
}

/* Puts a state in the place of the one that was seen, see life.h. */
static inline bool hki_future_swap(hk_future *future, uint64_t *seen, unsigned state)
{
    return hki_life_swap(&future->life, seen, state);
}

static inline bool hki_future_ended(const hk_future *future)
{
    return hki_phase_ended(hki_future_state(future));
}

/* Whether it was made in a parent process. */
static inline bool hki_future_foreign(const hk_future *future)
{
    return (uint8_t)(hki_future_state(future) >> HKI_GENERATION_SHIFT) !=
           (uint8_t)hki_fork_generation();
}

/* --- future.c --- */

/* Sets up a future inside its surrounding object, PENDING, with references. rest: likewise
 * inside the object, or NULL. */
void hki_future_init(hk_future *future, struct hki_future_rest *rest,
                     const struct hki_origin *origin, unsigned references);

/* The same without a rest, and with what the state is to hold from the birth on. */
static inline void hki_future_init_plain(hk_future *future, const struct hki_origin *origin,
                                         unsigned references, unsigned state)
{
    state |= HKI_PENDING | (hki_fork_generation() & UINT8_MAX) << HKI_GENERATION_SHIFT;
    hki_life_init(&future->life, references, state);
    future->origin = origin;
    atomic_init(&future->more, 0);
    hki_tally_add(HKI_TALLY_LIVE + HKI_LIVE_FUTURES, 1);
}

/* Its rest, made if need be; NULL without memory. No stripe is held. */
struct hki_future_rest *hki_future_need_rest(hk_future *future);

/* The value of one that is DONE; drop and owner are not for who only reads it. */
static inline struct hki_value hki_future_value(const hk_future *future)
{
    unsigned in_body = (hki_future_state(future) & HKI_BODY_SIZE) >> HKI_BODY_SIZE_SHIFT;
    const struct hki_future_rest *rest;

    if (in_body != 0) {
        return (struct hki_value){in_body == 1 ? NULL : (void *)future->body.bytes, in_body - 1,
                                  NULL, NULL};
    }
    rest = hki_future_rest(future);
    return rest == NULL ? (struct hki_value){NULL, 0, NULL, NULL} : rest->value;
}

/* For who has won the end: puts a value in its place, I1. A small one without owner is copied.
 * What is to be published with DONE in *phase; false without memory: nothing was taken over. */
bool hki_future_put_value(hk_future *future, const struct hki_value *value, unsigned *phase);

/* The thread that runs it, and the one that runs its callbacks, as far as is known: NULL else. For
 * looks. */
struct hki_agent *hki_future_runner(const hk_future *future);
struct hki_agent *hki_future_drainer(const hk_future *future);
void hki_future_set_drainer(hk_future *future, struct hki_agent *drainer);

/* The token that fires with STOP, made when first asked for; NULL without memory. */
hk_cancel_token *hki_future_stop_token(hk_future *future);

/* For the last owner: what it ended with, and the object. */
void hki_future_destroy(hk_future *future);

/* Gives a reference back if it is not the last, whose end may call the application: true. */
bool hki_future_unref_shared(hk_future *future);

/* HK_OK, or HK_EFORKED for an unfinished future of a parent process. */
hk_status hki_future_usable(const hk_future *future);

/* Counts a failure as read. */
void hki_future_observe(hk_future *future);

const char *hki_future_name(const hk_future *future);

/* --- transition.c: I1 --- */

/* PENDING -> RUNNING. HK_OK, HK_ECANCELED, or HK_ESTATE. */
hk_status hki_future_start(hk_future *future, struct hki_agent *runner);

/* The same for one of which nobody asks who runs it; the state that it has now in *state. */
static inline bool hki_future_start_quickly(hk_future *future, unsigned *state)
{
    uint64_t word;

    if (!hki_life_start(&future->life, &word)) {
        return false;
    }
    *state = hki_with_phase(word, HKI_RUNNING);
    return true;
}

/* PENDING or RUNNING -> ENDING; only_pending: PENDING alone. False when somebody
 * else was first. was receives the phase before. */
bool hki_future_claim_end(hk_future *future, bool only_pending, unsigned *was);

/* Likewise, and says that it will be CANCELLED. */
bool hki_future_claim_cancel(hk_future *future, bool only_pending);

/* For who runs code of the application between claim and publication, and knows the phase: a cancel
 * from there is told what will be. */
static inline bool hki_future_claim(hk_future *future, unsigned phase, bool only_pending)
{
    return phase == HKI_CANCELLED ? hki_future_claim_cancel(future, only_pending)
                                  : hki_future_claim_end(future, only_pending, NULL);
}

/* CANCELLED, or claimed to be. */
bool hki_future_is_cancelled(const hk_future *future);

/* ENDING -> phase: tells everybody. Runs the callbacks. The caller won the claim, or is the
 * only one who could; and has put value or error. phase: with what hki_future_put_value()
 * added. */
void hki_future_publish(hk_future *future, unsigned phase);

/* The same, but runs no callback: true if there are any, and another thread, the drainer, has to
 * call hki_future_drain(), see relay.h. */
bool hki_future_publish_only(hk_future *future, unsigned phase, struct hki_agent *drainer);

/* As hki_future_publish(), and gives up the caller's reference in the same step: so nothing of
 * the future may be touched after it. If it was the last one, which *last tells, it is the
 * caller's to destroy. False: somebody waits, and nothing has happened. Says nothing to the
 * origin. */
static inline bool hki_future_publish_and_let_go(hk_future *future, unsigned phase, bool *last)
{
    return hki_life_publish_and_let_go(&future->life, phase, last);
}

/* For who shows a state to the application: see refresh above. */
static inline void hki_future_refresh(const hk_future *future)
{
    /* In a forked child nobody works on it, and locks may be held by threads that are not here. */
    if (future->origin->refresh != NULL && !hki_future_ended(future) &&
        !hki_future_foreign(future)) {
        future->origin->refresh((hk_future *)future);
    }
}

/* Why it was cancelled, for hk_future_why(): the first reason stays. */
void hki_future_set_reason(hk_future *future, const char *why);

/* Sets STOP and fires the token; false if it was set before. */
bool hki_future_request_stop(hk_future *future, const char *why);

/* Sets one of the flags OBSERVED, TAKEN, SHARED unless one of `unless` is set;
 * false if one is. */
bool hki_future_set_flag(hk_future *future, unsigned flag, unsigned unless);

/* To ENDING for who has perhaps no reference of his own: he holds the future from here to the
 * end of the other call, so that who waits for the end may drop all that there is meanwhile. False
 * when somebody was first. */
bool hki_future_begin_end(hk_future *future);

/* As hki_future_publish(), and gives up what the above took. */
void hki_future_finish_end(hk_future *future, unsigned phase);

/* Ends a future with a value or an error (one reference taken over); for those
 * who need no other step between. HK_ESTATE when somebody was first: the value is
 * then still the caller's, the error released. */
hk_status hki_future_end_done(hk_future *future, const struct hki_value *value);
hk_status hki_future_end_failed(hk_future *future, struct hki_error *error);
hk_status hki_future_end_cancelled(hk_future *future);

/* Cancels this one, and has its `stop` pass it on. along: its callbacks are left to the loop that
 * runs, see relay.h. */
hk_status hki_future_cancel_this(hk_future *future, hk_cancel_level level, const char *why,
                                 bool along);

/* --- watch.c --- */

enum hki_watch_result { HKI_WATCH_ADDED, HKI_WATCH_ENDED };

/* Links a watch; ENDED and loose if it is too late to be fired. A callback may
 * still join while callbacks run. */
enum hki_watch_result hki_future_watch(hk_future *future, struct hki_watch *watch);

/* Unlinks it; true if it had not been fired. After it no fire is under way. */
bool hki_future_unwatch(hk_future *future, struct hki_watch *watch);

/* Under the stripe lock: the list, oldest first. */
struct hki_watch *hki_future_first_watch(const hk_future *future);
void hki_future_unlink_watch(hk_future *future, struct hki_watch *watch);

/* --- value.c --- */

/* Room for size bytes: a few in small (HKI_SMALL_VALUE bytes, which live as long
 * as the value), more in a block. An earlier value is dropped. */
hk_status hki_value_reserve(unsigned char *small, struct hki_value *value, size_t size);

void hki_value_drop(struct hki_value *value);

/* Shows source's value through value, which then holds a reference to source.
 * HK_ESTATE if it was taken. */
hk_status hki_value_share(struct hki_value *value, hk_future *source);

/* --- relay.c --- */

/* Cancels a future and its sources; used by tokens and shutdowns, too. */
hk_status hki_future_cancel_why(hk_future *future, hk_cancel_level level, const char *why);

#endif
