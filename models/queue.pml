/* SPDX-License-Identifier: MIT */
/*
 * The queue: one mutex, two sides that sleep, at most one wake in flight on each.
 * sync/waiters.h, hki_queue_unlock(), hki_queue_sleep()
 *
 * What happens under the mutex is one step here; what comes after it, the wakes and the
 * sleep, is not. Nobody sleeps for ever (an invalid end state), every item that was put
 * is got, and the invariant of sync/waiters.h holds whenever the mutex is free. A call
 * that runs out of time is made again, so TIMEOUTS bounds only how often.
 *
 * CHECK capacity_one  PUTTERS=2 GETTERS=2 ITEMS=2 CAPACITY=1
 * CHECK capacity_two  PUTTERS=2 GETTERS=2 ITEMS=2 CAPACITY=2
 * CHECK timeouts      PUTTERS=2 GETTERS=2 ITEMS=2 CAPACITY=1 TIMEOUTS=1
 * CHECK one_putter    PUTTERS=1 GETTERS=2 ITEMS=2 CAPACITY=1 TIMEOUTS=2 CYCLES
 * CHECK batches       PUTTERS=1 GETTERS=3 ITEMS=3 CAPACITY=3 BATCH TIMEOUTS=1
 * CHECK closed        PUTTERS=2 GETTERS=2 ITEMS=1 CAPACITY=1 CLOSES
 * CHECK closed_getters PUTTERS=1 GETTERS=3 ITEMS=2 CAPACITY=2 CLOSES TIMEOUTS=1
 * CHECK joined        PUTTERS=1 GETTERS=2 ITEMS=2 CAPACITY=2 JOINERS=2 TIMEOUTS=1 CYCLES
 *
 * MUTANT NO_SIBLING_WAKE    batches: who has got something leaves its own side asleep
 * MUTANT PENDING_BY_WAKER   capacity_one: the waker takes pending back after its wake
 * MUTANT TIMEOUT_KEEPS_PENDING one_putter: who runs out of time leaves pending set
 * MUTANT PENDING_KEPT       capacity_one: nobody takes pending back
 * MUTANT CLOSE_WAKES_ONE    closed_getters: who finds it closed and empty wakes nobody
 * MUTANT EPOCH_OUTSIDE      timeouts: the epoch moves after the mutex is free
 * MUTANT SLEEP_BLINDLY      capacity_one: the sleep does not compare the epoch
 * MUTANT EPOCH_READ_OUTSIDE capacity_one: the sleeper reads the epoch after the mutex
 * MUTANT NO_PUTTER_WAKE     capacity_one: a getter does not tell the putters of the room
 * MUTANT DONE_WAKES_ONE     joined: the last task_done wakes one joiner
 * MUTANT JOIN_LATE          joined: a joiner takes its epoch after it let go of the mutex
 */
#include "machine.pml"

#ifndef JOINERS
#define JOINERS 0
#endif
#ifdef TIMEOUTS
#define TIMED true
#else
#define TIMED false
#endif

/* The sides, and the numbers of their futexes less one. */
#define GET 0
#define PUT 1
#define JOIN 2

/* What came of a look. */
#define NOTHING 0
#define SERVED 1
#define CLOSED 2

/* Under the mutex. */
byte count;
byte unfinished;
bool closed;
byte waiting[3];
bool pending[3];

byte epoch[3]; /* Read by the kernel without the mutex. */

/* For the assertions. */
byte put_items;
byte got_items;
bool was_done[SLEEPERS]; /* All was done at some moment of this thread's join. */

#define OWES_PUT (count < CAPACITY || closed)
#ifdef MUTANT_CLOSE_WAKES_ONE
#define OWES_GET (count > 0)
#else
#define OWES_GET (count > 0 || closed)
#endif

inline advance(side)
{
#ifdef MUTANT_EPOCH_OUTSIDE
    skip
#else
    epoch[side]++
#endif
}

/* hki_waiters_claim(), if something is there for that side. */
inline claim(side, owes, claimed)
{
    if
    :: waiting[side] > 0 && (owes) && !pending[side] ->
        pending[side] = true;
        advance(side);
        claimed = true
    :: else -> claimed = false
    fi
}

/* The first half of hki_queue_unlock(): the mutex is free at the end of this step. */
inline claim_all(own)
{
#ifdef MUTANT_NO_SIBLING_WAKE
    if
    :: own != GET -> claim(GET, OWES_GET, wake_get)
    :: else
    fi;
#else
    claim(GET, OWES_GET, wake_get);
#endif
#ifdef MUTANT_NO_PUTTER_WAKE
    if
    :: own != GET -> claim(PUT, OWES_PUT, wake_put)
    :: else
    fi
#else
    claim(PUT, OWES_PUT, wake_put)
#endif
#if !defined(MUTANT_NO_SIBLING_WAKE) && !defined(MUTANT_NO_PUTTER_WAKE) && \
    !defined(MUTANT_CLOSE_WAKES_ONE)
    ;
    assert(!(waiting[GET] > 0 && OWES_GET) || pending[GET]);
    assert(!(waiting[PUT] > 0 && OWES_PUT) || pending[PUT])
#endif
}

/* hki_waiters_wake(). */
inline wake(side, claimed)
{
    if
    :: claimed ->
#ifdef MUTANT_EPOCH_OUTSIDE
        seen = epoch[side];
        epoch[side] = seen + 1;
#endif
        futex_wake_one(side + 1, woken);
#ifdef MUTANT_PENDING_BY_WAKER
        pending[side] = false;
#endif
        claimed = false
    :: else
    fi
}

inline wake_all_claimed()
{
    wake(GET, wake_get);
    wake(PUT, wake_put)
}

/* The second half of hki_queue_sleep(), if the thread slept: hki_waiters_leave(). */
inline leave(side)
{
    if
    :: slept ->
        slept = false;
        waiting[side]--;
#if defined(MUTANT_TIMEOUT_KEEPS_PENDING)
        if
        :: result != TIMED_OUT -> pending[side] = false
        :: else
        fi
#elif !defined(MUTANT_PENDING_BY_WAKER) && !defined(MUTANT_PENDING_KEPT)
        pending[side] = false
#else
        skip
#endif
    :: else
    fi
}

inline enter(side)
{
    slept = true;
    waiting[side]++;
    key = epoch[side]
}

inline sleep(side)
{
#ifdef MUTANT_EPOCH_READ_OUTSIDE
    key = epoch[side];
#endif
#ifdef MUTANT_SLEEP_BLINDLY
    futex_wait(side + 1, true, TIMED, result)
#else
    futex_wait(side + 1, epoch[side] == key, TIMED, result)
#endif
}

inline put_what_fits()
{
    outcome = NOTHING;
    if
    :: closed -> outcome = CLOSED
#ifdef BATCH
    :: !closed && count < CAPACITY ->
        do
        :: left > 0 && count < CAPACITY -> count++; put_items++; unfinished++; left--
        :: else -> break
        od;
        outcome = SERVED
#else
    :: !closed && count < CAPACITY ->
        count++;
        put_items++;
        unfinished++;
        left--;
        outcome = SERVED
#endif
    :: else
    fi
}

/* hk_queue_put(), hk_queue_put_many(). */
inline put()
{
    do
    :: true ->
        d_step {
            leave(PUT);
            put_what_fits();
            if
            :: outcome == NOTHING -> enter(PUT)
            :: else
            fi;
            claim_all(PUT)
        };
        wake_all_claimed();
        if
        :: outcome != NOTHING -> break
        :: else -> sleep(PUT)
        fi
    od
}

/* hk_queue_get(). */
inline get()
{
    do
    :: true ->
        d_step {
            leave(GET);
            outcome = NOTHING;
            if
            :: count > 0 -> count--; got_items++; outcome = SERVED
            :: count == 0 && closed -> outcome = CLOSED
            :: else -> enter(GET)
            fi;
            claim_all(GET)
        };
        wake_all_claimed();
        if
        :: outcome != NOTHING -> break
        :: else -> sleep(GET)
        fi
    od
}

/* hk_queue_task_done(): joiners know no pending, all of them are woken. */
inline task_done()
{
    d_step {
        unfinished--;
        woken = unfinished == 0;
        if
        :: unfinished == 0 ->
            epoch[JOIN]++;
            was_done[0] = true;
            was_done[1] = true;
            was_done[2] = true;
            was_done[3] = true;
            was_done[4] = true
        :: else
        fi
    };
    if
    :: woken ->
#ifdef MUTANT_DONE_WAKES_ONE
        futex_wake_one(JOIN + 1, woken)
#else
        futex_wake_all(JOIN + 1)
#endif
    :: else
    fi
}

proctype putter(byte me)
{
    byte left = ITEMS;
    byte outcome, key, result, woken, seen;
    bool slept, wake_get, wake_put;

    do
    :: left > 0 ->
        put();
        if
        :: outcome == CLOSED -> break
        :: else
        fi
    :: else -> break
    od
}

proctype getter(byte me)
{
    byte left = PUTTERS * ITEMS / GETTERS;
    byte outcome, key, result, woken, seen;
    bool slept, wake_get, wake_put;

    do
#ifdef CLOSES
    :: true ->
#else
    :: left == 0 -> break
    :: left > 0 ->
        left--;
#endif
        get();
        if
        :: outcome == CLOSED ->
            assert(count == 0 && put_items == got_items);
            break
        :: else
        fi;
#if JOINERS > 0
        task_done()
#else
        skip
#endif
    od
}

proctype closer()
{
    byte woken, seen;
    bool wake_get, wake_put;

    d_step {
        closed = true;
#ifdef MUTANT_CLOSE_WAKES_ONE
        claim(GET, true, wake_get);
        claim(PUT, OWES_PUT, wake_put)
#else
        claim_all(JOIN)
#endif
    };
    wake_all_claimed()
}

/* hk_queue_join(): until the epoch is another than when the call began. */
proctype joiner(byte me)
{
    byte begun, key, result;
    bool slept, done;

    d_step {
        was_done[me] = unfinished == 0;
        done = unfinished == 0;
        begun = epoch[JOIN]
    };
#ifdef MUTANT_JOIN_LATE
    begun = epoch[JOIN];
#endif
    do
    :: done -> break
    :: else ->
        d_step {
            leave(JOIN);
            if
            :: epoch[JOIN] != begun -> done = true
            :: else -> enter(JOIN)
            fi
        };
        if
        :: !done -> sleep(JOIN)
        :: else
        fi
    od;
    assert(was_done[me])
}

init {
    atomic {
        byte i;
        for (i : 1 .. PUTTERS) {
            run putter(i - 1)
        }
        for (i : 1 .. GETTERS) {
            run getter(PUTTERS + i - 1)
        }
#if JOINERS > 0
        for (i : 1 .. JOINERS) {
            run joiner(PUTTERS + GETTERS + i - 1)
        }
#endif
#ifdef CLOSES
        run closer()
#endif
    }
}
