/* SPDX-License-Identifier: MIT */
/*
 * What every model takes from the machine: compare-and-swap, and a futex.
 *
 * A model that includes this defines `me` in its proctypes: the number of the
 * thread, from 0 to SLEEPERS - 1. Everything between two statements can be
 * interleaved; what stands in atomic or d_step is one step of the machine.
 */
#define SLEEPERS 5

/* What a sleep ended with. */
#define WOKEN 0     /* Somebody's wake took it out of the queue. */
#define CHANGED 1   /* The word was not as expected; also an interrupted sleep. */
#define TIMED_OUT 2 /* The deadline passed: no wake was spent on it. */

/* Interrupted sleeps that are still to come, of all threads together. */
#ifndef INTERRUPTS
#define INTERRUPTS 0
#endif
byte interrupts = INTERRUPTS;

/* How often sleepers may still run out of time, of all threads together, where a model
 * bounds that: a sleeper that can always leave cannot be stuck. */
#ifdef TIMEOUTS
byte timeouts = TIMEOUTS;
#define MAY_TIME_OUT (timeouts > 0)
#define COUNT_TIMEOUT timeouts--
#else
#define MAY_TIME_OUT true
#define COUNT_TIMEOUT skip
#endif

/* Which futex each thread sleeps on; 0: awake. Futexes are numbered from 1. */
byte sleeps_on[SLEEPERS];

inline compare_and_swap(word, expected, desired, swapped)
{
    d_step {
        if
        :: word == (expected) ->
            word = desired;
            swapped = true
        :: else ->
            swapped = false
        fi
    }
}

inline exchange(word, desired, old)
{
    d_step {
        old = word;
        word = desired
    }
}

/* The comparison and the falling asleep are one step: the kernel holds the lock of
 * its queue. A sleeper is woken, or runs out if timed, never both. */
inline futex_wait(futex, condition, timed, result)
{
    if
    :: atomic { (condition) -> sleeps_on[me] = futex };
        if
        :: sleeps_on[me] == 0 ->
            result = WOKEN
        :: atomic {
               (timed) && MAY_TIME_OUT && sleeps_on[me] != 0 ->
               COUNT_TIMEOUT;
               sleeps_on[me] = 0;
               result = TIMED_OUT
           }
        :: atomic {
               interrupts > 0 && sleeps_on[me] != 0 ->
               interrupts--;
               sleeps_on[me] = 0;
               result = CHANGED
           }
        fi
    :: !(condition) ->
        result = CHANGED
    fi
}

/* Wakes one sleeper, whichever: nothing may depend on the order of the queue. */
inline futex_wake_one(futex, woken)
{
    atomic {
        woken = 1;
        if
        :: sleeps_on[0] == futex -> sleeps_on[0] = 0
        :: sleeps_on[1] == futex -> sleeps_on[1] = 0
        :: sleeps_on[2] == futex -> sleeps_on[2] = 0
        :: sleeps_on[3] == futex -> sleeps_on[3] = 0
        :: sleeps_on[4] == futex -> sleeps_on[4] = 0
        :: else -> woken = 0
        fi
    }
}

inline futex_wake_all(futex)
{
    d_step {
        if :: sleeps_on[0] == futex -> sleeps_on[0] = 0 :: else fi;
        if :: sleeps_on[1] == futex -> sleeps_on[1] = 0 :: else fi;
        if :: sleeps_on[2] == futex -> sleeps_on[2] = 0 :: else fi;
        if :: sleeps_on[3] == futex -> sleeps_on[3] = 0 :: else fi;
        if :: sleeps_on[4] == futex -> sleeps_on[4] = 0 :: else fi
    }
}
