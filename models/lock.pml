/* SPDX-License-Identifier: MIT */
/*
 * The lock: one word, owner << 1 | waiters bit; 0 is free. sync/lock.c
 *
 * Mutual exclusion, and no lost wake-up: the threads' programs are finite, so a
 * sleeper that nobody will wake is an invalid end state. No retry goes in circles.
 * With ENDS the first thread may end while it holds the lock: whoever waits leaves.
 *
 * CHECK three_threads   THREADS=3 ROUNDS=2 CYCLES
 * CHECK one_timed       THREADS=3 ROUNDS=2 TIMED=1 CYCLES
 * CHECK interrupted     THREADS=3 ROUNDS=2 INTERRUPTS=1
 * CHECK four_threads    THREADS=4 ROUNDS=1 TIMED=1
 * CHECK owner_ends      THREADS=3 ROUNDS=1 ENDS CYCLES
 *
 * MUTANT NO_WAKE            three_threads: release leaves the sleepers alone
 * MUTANT NO_BIT_AFTER_SLEEP three_threads: who has slept takes the lock without the bit
 * MUTANT BIT_BY_STORE       three_threads: the bit is stored, not swapped in
 * MUTANT SLEEP_BLINDLY      three_threads: the sleep does not compare the word
 * MUTANT RELEASE_BY_STORE   three_threads: the bit is read, then the word cleared
 * MUTANT TAKE_BY_STORE      three_threads: a free word is taken by a store
 * MUTANT WOKEN_GIVES_UP     one_timed: who is woken as its time runs out leaves at once
 * MUTANT GIVES_UP_UNMARKED  one_timed: it leaves a new owner without the bit
 * MUTANT END_WAKES_ONE      owner_ends: an owner that ends wakes one waiter
 * MUTANT END_KEEPS_WORD     owner_ends: it wakes all, but tells it beside the word
 */
#include "machine.pml"

#ifndef TIMED
#define TIMED 0 /* How many of the threads give up at any moment. */
#endif

#define WAITERS 1
#define OWNER ((me + 1) << 1)
#define ABANDONED 128 /* The owner has ended. */
#define LOCK 1 /* The number of the futex. */

byte word;
byte holders; /* Threads that believe they hold the lock. */
#ifdef MUTANT_END_KEEPS_WORD
bool ended; /* Beside the word: the owner that it names has ended. */
#define IS_ABANDONED(word) (ended && (word) >> 1 == 1)
#else
#define IS_ABANDONED(word) ((word) & ABANDONED)
#endif

/* sleep_on(): until the word may be free. */
inline sleep_on()
{
    swapped = true;
    if
    :: !(seen & WAITERS) ->
#ifdef MUTANT_BIT_BY_STORE
        word = seen | WAITERS;
#else
        compare_and_swap(word, seen, seen | WAITERS, swapped);
#endif
        seen = seen | WAITERS
    :: else
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

/* try_word(), in the slow path. */
inline try_marked()
{
#if defined(MUTANT_TAKE_BY_STORE)
    if
    :: word == 0 -> word = OWNER | WAITERS; swapped = true
    :: else -> swapped = false
    fi
#elif defined(MUTANT_NO_BIT_AFTER_SLEEP)
    compare_and_swap(word, 0, OWNER, swapped)
#else
    /* With the bit: others may sleep still. */
    compare_and_swap(word, 0, OWNER | WAITERS, swapped)
#endif
}

/* await_word(). */
inline await_word()
{
    do
    :: true ->
#ifdef MUTANT_WOKEN_GIVES_UP
        if
        :: timed && slept -> break
        :: true
        fi;
#endif
        try_marked();
        if
        :: swapped || result == TIMED_OUT -> break
        :: else
        fi;
        seen = word;
        if
        :: seen == 0
        :: seen != 0 && IS_ABANDONED(seen) -> break
#ifdef MUTANT_GIVES_UP_UNMARKED
        :: seen != 0 && timed && slept -> break
#endif
        :: seen != 0 && !IS_ABANDONED(seen) -> sleep_on()
        fi
    od
}

inline acquire()
{
    slept = false;
    result = WOKEN;
    compare_and_swap(word, 0, OWNER, swapped);
    if
    :: !swapped -> await_word()
    :: else
    fi
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

/* hki_lock_abandon(): the end of a thread that holds the lock. */
inline end()
{
#ifdef MUTANT_END_KEEPS_WORD
    ended = true;
#else
    d_step { word = word | ABANDONED };
#endif
#ifdef MUTANT_END_WAKES_ONE
    futex_wake_one(LOCK, woken)
#else
    futex_wake_all(LOCK)
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
            if
#ifdef ENDS
            :: me == 0 -> end()
#endif
            :: true -> release()
            fi
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
