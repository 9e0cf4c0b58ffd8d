/* SPDX-License-Identifier: MIT */
/*
 * The read-write lock: a word with readers, waiting writers, the writer and SLEEPERS,
 * and an epoch to sleep on. sync/rwlock.c
 *
 * A writer is alone; nobody sleeps for ever (an invalid end state); no retry goes in
 * circles. With ENDS the first thread may end while it holds the lock: whoever has to
 * wait leaves.
 *
 * CHECK two_writers    READERS=1 WRITERS=2 ROUNDS=1 CYCLES
 * CHECK two_readers    READERS=2 WRITERS=1 ROUNDS=1 INTERRUPTS=1
 * CHECK again          READERS=1 WRITERS=1 ROUNDS=2 CYCLES
 * CHECK timed_writer   READERS=2 WRITERS=1 ROUNDS=1 TIMED_WRITERS
 * CHECK writer_gives_up READERS=1 WRITERS=2 ROUNDS=1 REFUSED
 * CHECK holder_ends    READERS=1 WRITERS=2 ROUNDS=1 ENDS
 *
 * MUTANT NO_BUMP            two_writers: who opens the word does not move the epoch
 * MUTANT EPOCH_AFTER_WORD   two_writers: the sleeper reads the epoch after the word
 * MUTANT BUMP_BEFORE_CLEAR  two_writers: the epoch moves before the word opens
 * MUTANT SLEEPERS_UNMARKED  two_writers: a sleeper does not say that it sleeps
 * MUTANT WAKES_ONE          two_readers: who opens the word wakes one
 * MUTANT CHANGE_BY_STORE    two_writers: a release reads the word, then stores it
 * MUTANT WAITING_KEPT       writer_gives_up: a writer that gives up still keeps readers out
 * MUTANT GIVES_UP_SILENTLY  writer_gives_up: it lets them in, but wakes nobody
 * MUTANT END_WITHOUT_EPOCH  holder_ends: a holder that ends does not move the epoch
 */
#include "machine.pml"

#define READER 1
#define READER_MASK 3
#define WAITING 4 /* One writer that waits. */
#define WAITING_MASK 12
#define WRITER 16
#define SLEEPS 32 /* SLEEPERS in the code. */
#define ABANDONED 64

#define EPOCH 1 /* The number of the futex. */

/* admits() */
#define ADMITS_WRITER(word) (((word) & (READER_MASK | WRITER)) == 0)
#define ADMITS_READER(word) (((word) & (WAITING_MASK | WRITER)) == 0)
#define ADMITS(word) ((write && ADMITS_WRITER(word)) || (!write && ADMITS_READER(word)))

byte word;
byte epoch;
byte reading;
byte writing;

/* enter() */
inline enter()
{
    do
    :: true ->
        seen = word;
        if
        :: ADMITS(seen) ->
            compare_and_swap(word, seen, seen - own + (write -> WRITER : READER), entered);
            if
            :: entered -> break
            :: else
            fi
        :: else -> entered = false; break
        fi
    od
}

/* change() */
inline change(minus)
{
    do
    :: true ->
        seen = word;
        wanted = seen - (minus);
        opens = (wanted & SLEEPS) && (ADMITS_WRITER(wanted) || ADMITS_READER(wanted));
        if
        :: opens -> wanted = wanted & ~SLEEPS
        :: else
        fi;
#ifdef MUTANT_BUMP_BEFORE_CLEAR
        if
        :: opens -> epoch++
        :: else
        fi;
#endif
#ifdef MUTANT_CHANGE_BY_STORE
        word = wanted;
        entered = true;
#else
        compare_and_swap(word, seen, wanted, entered);
#endif
        if
        :: entered -> break
        :: else
        fi
    od;
    if
    :: opens ->
#if !defined(MUTANT_NO_BUMP) && !defined(MUTANT_BUMP_BEFORE_CLEAR)
        epoch++;
#endif
#ifdef MUTANT_WAKES_ONE
        futex_wake_one(EPOCH, woken)
#else
        futex_wake_all(EPOCH)
#endif
    :: else
    fi
}

/* sleep_on() */
inline sleep_on()
{
#ifdef MUTANT_EPOCH_AFTER_WORD
    seen = word;
#else
    key = epoch;
    seen = word;
#endif
    if
    :: !ADMITS(seen) && (seen & ABANDONED) -> gone = true
    :: ADMITS(seen)
    :: !ADMITS(seen) && !(seen & ABANDONED) ->
#ifdef MUTANT_SLEEPERS_UNMARKED
        entered = true;
#else
        compare_and_swap(word, seen, seen | SLEEPS, entered);
#endif
#ifdef MUTANT_EPOCH_AFTER_WORD
        key = epoch;
#endif
        if
        :: entered ->
            entered = false;
            if
#ifdef REFUSED
            /* The look at the graph before the sleep says no. */
            :: me == 1 -> gone = true
#endif
            :: futex_wait(EPOCH, epoch == key, timed, result)
            fi
        :: else
        fi
    fi
}

/* take(): entered tells. */
inline take()
{
    own = 0;
    result = WOKEN;
    enter();
    if
    :: !entered ->
        own = (write && !timed -> WAITING : 0);
        d_step { word = word + own };
        do
        :: true ->
            enter();
            if
            :: entered || gone || result == TIMED_OUT -> break
            :: else
            fi;
            sleep_on()
        od;
        if
        :: !entered ->
#if defined(MUTANT_WAITING_KEPT)
            skip
#elif defined(MUTANT_GIVES_UP_SILENTLY)
            d_step { word = word - own }
#else
            change(own);
            entered = false
#endif
        :: else
        fi
    :: else
    fi
}

proctype thread(byte me; bool write; bool timed)
{
    byte round, seen, wanted, own, key, result, woken;
    bool entered, opens, gone;

    do
    :: round < ROUNDS && !gone ->
        round++;
        take();
        if
        :: entered ->
            d_step {
                if
                :: write -> writing++
                :: else -> reading++
                fi;
                assert(writing <= 1 && (writing == 0 || reading == 0))
            };
            d_step {
                if
                :: write -> writing--
                :: else -> reading--
                fi
            };
            if
#ifdef ENDS
            :: me == 0 ->
                d_step { word = word | ABANDONED };
#ifndef MUTANT_END_WITHOUT_EPOCH
                epoch++;
#endif
                futex_wake_all(EPOCH)
#endif
            :: true -> change((write -> WRITER : READER))
            fi
        :: else
        fi
    :: else -> break
    od
}

init {
    atomic {
        byte i;
        for (i : 1 .. WRITERS) {
#ifdef TIMED_WRITERS
            run thread(i - 1, true, true)
#else
            run thread(i - 1, true, false)
#endif
        }
        for (i : 1 .. READERS) {
            run thread(WRITERS + i - 1, false, false)
        }
    }
}
