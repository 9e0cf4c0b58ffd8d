/* SPDX-License-Identifier: MIT */
/*
 * The lock: one word, owner << 1 | waiters bit; 0 is free.
 *
 * Mutual exclusion, and no lost wake-up: the threads' programs are finite, so a
 * sleeper that nobody will wake is an invalid end state. No retry goes in circles.
 *
 * CHECK three_threads   THREADS=3 ROUNDS=2 CYCLES
 * CHECK one_timed       THREADS=3 ROUNDS=2 TIMED=1 CYCLES
 * CHECK interrupted     THREADS=3 ROUNDS=2 INTERRUPTS=1
 * CHECK four_threads    THREADS=4 ROUNDS=1 TIMED=1
 *
 * MUTANT NO_WAKE            three_threads: release leaves the sleepers alone
 * MUTANT NO_BIT_AFTER_SLEEP three_threads: who has slept takes the lock without the bit
 * MUTANT BIT_BY_STORE       three_threads: the bit is stored, not swapped in
 * MUTANT SLEEP_BLINDLY      three_threads: the sleep does not compare the word
 * MUTANT RELEASE_BY_STORE   three_threads: the bit is read, then the word cleared
 * MUTANT TAKE_BY_STORE      three_threads: a free word is taken by a store
 * MUTANT WOKEN_GIVES_UP     one_timed: who is woken as its time runs out leaves at once
 * MUTANT GIVES_UP_UNMARKED  one_timed: it leaves a new owner without the bit
 */
#include "machine.pml"

#ifndef TIMED
#define TIMED 0 /* How many of the threads give up at any moment. */
#endif

#define WAITERS 1
#define OWNER ((me + 1) << 1)
#define LOCK 1 /* The number of the futex. */

byte word;
byte holders; /* Threads that believe they hold the lock. */

inline mark_and_sleep()
{
    if
    :: !(seen & WAITERS) ->
#ifdef MUTANT_BIT_BY_STORE
        word = seen | WAITERS;
        swapped = true;
#else
        compare_and_swap(word, seen, seen | WAITERS, swapped);
#endif
        seen = seen | WAITERS
    :: else ->
        swapped = true
    fi;
    if
    :: swapped ->
        swapped = false;
#ifdef MUTANT_SLEEP_BLINDLY
        futex_wait(LOCK, true, timed, result);
#else
        futex_wait(LOCK, word == seen, timed, result);
#endif
        slept = true
    :: else /* The word has changed: look again. */
    fi
}

inline acquire()
{
    slept = false;
    result = WOKEN;
    compare_and_swap(word, 0, OWNER, swapped);
    do
    :: swapped || result == TIMED_OUT -> break
    :: else ->
#ifdef MUTANT_WOKEN_GIVES_UP
        if
        :: timed && slept -> result = TIMED_OUT; break
        :: true
        fi;
#endif
        seen = word;
        if
        :: seen == 0 ->
#if defined(MUTANT_TAKE_BY_STORE)
            word = OWNER | (slept -> WAITERS : 0);
            swapped = true
#elif defined(MUTANT_NO_BIT_AFTER_SLEEP)
            compare_and_swap(word, 0, OWNER, swapped)
#else
            /* Others may sleep still: this thread, when it slept, was not alone. */
            compare_and_swap(word, 0, OWNER | (slept -> WAITERS : 0), swapped)
#endif
#ifdef MUTANT_GIVES_UP_UNMARKED
        :: seen != 0 && timed && slept -> result = TIMED_OUT
#endif
        :: seen != 0 ->
            mark_and_sleep()
        fi
    od
}

inline release()
{
#ifdef MUTANT_RELEASE_BY_STORE
    seen = word;
    word = 0;
#else
    exchange(word, 0, seen);
#endif
#ifndef MUTANT_NO_WAKE
    if
    :: seen & WAITERS -> futex_wake_one(LOCK, woken)
    :: else
    fi
#endif
}

proctype thread(byte me; bool timed)
{
    byte round, seen, result, woken;
    bool swapped, slept;

    do
    :: round < ROUNDS ->
        round++;
        acquire();
        if
        :: swapped ->
            holders++;
            assert(holders == 1);
            assert(word >> 1 == OWNER >> 1);
            holders--;
            release()
        :: else /* Gave up. */
        fi
    :: else -> break
    od
}

init {
    atomic {
        byte i;
        for (i : 0 .. THREADS - 1) {
            run thread(i, i < TIMED)
        }
    }
}
