/* SPDX-License-Identifier: MIT */
/*
 * The condition variable: an epoch, read under the lock, slept on after its release.
 * sync/cond.c; sync/condition.h is the same, with all calls under the mutex.
 *
 * As many items come as there are untimed waiters; each takes one. A timed waiter runs
 * out, or passes its item on. Who still sleeps in the end is an invalid end state. The
 * lock is a plain one here: lock.pml proves the real one.
 *
 * CHECK signal_inside   WAITERS=3 SIGNALLERS=3 CYCLES
 * CHECK signal_outside  WAITERS=3 SIGNALLERS=3 SIGNAL_OUTSIDE
 * CHECK one_timed       WAITERS=3 SIGNALLERS=2 TIMED=1 SIGNAL_OUTSIDE INTERRUPTS=1
 * CHECK broadcast       WAITERS=3 SIGNALLERS=1 BROADCAST TIMED=1 INTERRUPTS=1 CYCLES
 *
 * MUTANT EPOCH_AFTER_RELEASE  signal_inside: the waiter reads the epoch after the release
 * MUTANT COUNTED_AFTER_RELEASE signal_inside: the waiter counts itself after the release
 * MUTANT UNCOUNTS_ALL        signal_outside: a woken waiter uncounts the others, too
 * MUTANT WAKE_BEFORE_BUMP     signal_inside: the wake comes before the new epoch
 * MUTANT NO_BUMP              signal_inside: the signal is a wake alone
 * MUTANT SLEEP_BLINDLY        signal_inside: the sleep does not compare the epoch
 * MUTANT PREDICATE_UNLOCKED   signal_outside: the predicate changes outside the lock, too
 * MUTANT TORN_BUMP            signal_outside: outside the lock, the epoch is read, then stored
 * MUTANT WOKEN_SAYS_TIMED_OUT one_timed: a late but woken waiter is told that time ran out
 * MUTANT BROADCAST_WAKES_ONE  broadcast: a broadcast wakes one
 */
#include "machine.pml"

#ifndef TIMED
#define TIMED 0
#endif
#ifdef BROADCAST
#define ITEMS_EACH WAITERS
#else
#define ITEMS_EACH 1
#endif

#define EPOCH 1 /* The number of the futex. */

byte epoch;
byte waiters;
bool locked;
byte items; /* The predicate, guarded by the lock: more than 0. */

inline acquire()
{
    atomic { !locked -> locked = true }
}

inline release()
{
    locked = false
}

/* sleep_and_return(): called and left with the lock held. */
inline wait()
{
#ifndef MUTANT_COUNTED_AFTER_RELEASE
    waiters++;
#endif
#ifdef MUTANT_EPOCH_AFTER_RELEASE
    release();
    seen = epoch;
#else
    seen = epoch;
    release();
#endif
#ifdef MUTANT_COUNTED_AFTER_RELEASE
    waiters++;
#endif
    /* Woken without a signal it goes on sleeping. */
    do
    :: true ->
#ifdef MUTANT_SLEEP_BLINDLY
        futex_wait(EPOCH, true, timed, result);
#else
        futex_wait(EPOCH, epoch == seen, timed, result);
#endif
        if
        :: result == TIMED_OUT || epoch != seen -> break
        :: else
        fi
    od;
#ifdef MUTANT_UNCOUNTS_ALL
    waiters = 0;
#else
    waiters--;
#endif
#ifdef MUTANT_WOKEN_SAYS_TIMED_OUT
    if
    :: timed -> result = TIMED_OUT
    :: true
    fi;
#endif
    acquire()
}

inline bump()
{
#ifdef MUTANT_TORN_BUMP
    seen = epoch;
    epoch = seen + 1
#elif defined(MUTANT_NO_BUMP)
    skip
#else
    epoch++
#endif
}

inline wake()
{
#if defined(BROADCAST) && !defined(MUTANT_BROADCAST_WAKES_ONE)
    futex_wake_all(EPOCH)
#else
    futex_wake_one(EPOCH, woken)
#endif
}

/* hk_cond_signal(), hk_cond_broadcast(). */
inline signal()
{
    if
    :: waiters != 0 ->
#ifdef MUTANT_WAKE_BEFORE_BUMP
        wake();
        bump()
#else
        bump();
        wake()
#endif
    :: else
    fi
}

proctype waiter(byte me; bool timed)
{
    byte seen, result, woken;

    acquire();
    do
    :: items > 0 && !timed -> items--; break
    :: items > 0 && timed -> signal(); break
    :: items == 0 && result == TIMED_OUT -> break
    :: items == 0 && result != TIMED_OUT -> wait()
#ifdef MUTANT_WOKEN_SAYS_TIMED_OUT
        ;
        if
        :: result == TIMED_OUT -> break
        :: else
        fi
#endif
    od;
    release()
}

proctype signaller()
{
    byte seen, woken;

#ifndef MUTANT_PREDICATE_UNLOCKED
    acquire();
#endif
    items = items + ITEMS_EACH;
#ifdef SIGNAL_OUTSIDE
#ifndef MUTANT_PREDICATE_UNLOCKED
    release();
#endif
    signal()
#else
    signal();
    release()
#endif
}

init {
    atomic {
        byte i;
        for (i : 0 .. WAITERS - 1) {
            run waiter(i, i < TIMED)
        }
        for (i : 0 .. SIGNALLERS - 1) {
            run signaller()
        }
    }
}
