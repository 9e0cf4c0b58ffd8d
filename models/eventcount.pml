/* SPDX-License-Identifier: MIT */
/*
 * The eventcount: sleeping for a state that no lock guards. sync/eventcount.c
 *
 * Producers publish items by plain stores, which may stay in the processor's store
 * buffer while its later loads go ahead; read-modify-writes of that processor empty it,
 * and so does the kernel's barrier, everywhere. Consumers take all items in order of
 * their tickets. Who sleeps for ever is an invalid end state. BATCH: one notify for all
 * items of a producer.
 *
 * CHECK barrier        PRODUCERS=2 CONSUMERS=2 ITEMS=1 HAS_BARRIER CYCLES
 * CHECK no_barrier     PRODUCERS=2 CONSUMERS=2 ITEMS=1 CYCLES
 * CHECK timeouts       PRODUCERS=2 CONSUMERS=2 ITEMS=1 HAS_BARRIER TIMEOUTS=1
 * CHECK more_items     PRODUCERS=1 CONSUMERS=2 ITEMS=3 HAS_BARRIER
 * CHECK more_consumers PRODUCERS=1 CONSUMERS=3 ITEMS=3 HAS_BARRIER BATCH
 * CHECK more_producers PRODUCERS=3 CONSUMERS=1 ITEMS=1 HAS_BARRIER
 *
 * MUTANT NO_BARRIER            barrier: the sleeper makes nobody empty his buffer
 * MUTANT PLAIN_LOOK            no_barrier: without the kernel's help, notify looks by a load
 * MUTANT PENDING_BY_LOAD       timeouts: the wake that relies on another reads by a load
 * MUTANT NO_SECOND_LOOK        barrier: the sleeper does not look once it is counted
 * MUTANT KEY_AFTER_LOOK        barrier: the sleeper reads the epoch after its second look
 * MUTANT NO_BUMP               barrier: a wake does not move the epoch
 * MUTANT SLEEP_BLINDLY         barrier: the sleep does not compare the epoch
 * MUTANT NO_SIBLING_WAKE       more_consumers: who slept does not tell of what is left
 * MUTANT PENDING_KEPT          barrier: nobody takes pending back
 * MUTANT CLAIM_UNCOUNTED       more_items: pending is set after the count was looked at
 * MUTANT TAKEN_BACK_BY_WAKER   timeouts: a wake that found nobody takes pending back, and
 *                              so does who was woken: the first design
 */
#include "machine.pml"

#define SIDES 1
#define TOTAL (PRODUCERS * ITEMS)
#ifdef TIMEOUTS
#define TIMED true
#else
#define TIMED false
#endif

byte tail;
byte head;
bool published[TOTAL + 1]; /* What everybody sees of the cells; the last is never. */
byte buffered[SLEEPERS];   /* A thread's store under way: ticket + 1, or 0. */

inline drain(thread)
{
    if
    :: buffered[thread] != 0 ->
        published[buffered[thread] - 1] = true;
        buffered[thread] = 0
    :: else
    fi
}

inline drain_all()
{
    d_step {
        for (each : 0 .. PRODUCERS - 1) {
            drain(each)
        }
    }
}

#include "eventcount_calls.pml"

/* A store leaves the buffer when it likes. */
active [PRODUCERS] proctype store_buffer()
{
end:
    do
    :: atomic { buffered[_pid] != 0 -> published[buffered[_pid] - 1] = true; buffered[_pid] = 0 }
    od
}

proctype producer(byte me)
{
    byte each, left = ITEMS;
    byte seen, woken;
    bool claimed;

    do
    :: left > 0 ->
        left--;
        /* The ticket is a read-modify-write; the item is a plain store. */
        d_step {
            drain(me);
            buffered[me] = tail + 1;
            tail++
        };
#ifdef BATCH
        if
        :: left == 0 -> notify(0)
        :: else
        fi
#else
        notify(0)
#endif
    :: else -> break
    od
}

/* hki_cells_take(). */
inline attempt()
{
    d_step {
        if
        :: published[head] -> head++; got = true
        :: else -> got = false
        fi
    }
}

/* hki_ring_wait(). */
inline wait()
{
    result = WOKEN;
    do
    :: got || result == TIMED_OUT -> break
    :: else ->
        slept = false;
        enter(0);
#ifndef MUTANT_NO_SECOND_LOOK
        attempt();
#endif
        if
        :: !got -> sleep(0); slept = true
        :: else
        fi;
        leave(0);
        if
        :: !got -> attempt()
        :: else
        fi
    od;
#ifndef MUTANT_NO_SIBLING_WAKE
    if
    :: published[head] -> wake(0)
    :: else
    fi
#endif
}

proctype consumer(byte me; byte left)
{
    byte each, key, result, seen, woken;
    bool got, slept, claimed;

    do
    :: left > 0 ->
        attempt();
        if
        :: !got -> wait()
        :: else
        fi;
        if
        :: got -> left--; got = false
        :: else
        fi
    :: else -> break
    od
}

init {
    atomic {
        byte i;
        for (i : 0 .. PRODUCERS - 1) {
            run producer(i)
        }
        /* The first takes what does not divide. */
        for (i : 0 .. CONSUMERS - 1) {
            run consumer(PRODUCERS + i, TOTAL / CONSUMERS + (i == 0 -> TOTAL % CONSUMERS : 0))
        }
    }
}
