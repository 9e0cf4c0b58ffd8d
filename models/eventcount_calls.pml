/* SPDX-License-Identifier: MIT */
/*
 * The calls of sync/eventcount.c, for eventcount.pml and ring.pml.
 *
 * The model that includes this says what a read-modify-write and the kernel's barrier do
 * to stores under way: drain(thread), drain_all(). SIDES eventcounts are numbered from 0.
 */
#define PENDING 1
#define SLEEPER 2

byte state[SIDES]; /* Twice the sleepers, plus PENDING. */
byte epoch[SIDES];

/* hki_eventcount_enter(): sets key. */
inline enter(side)
{
#ifndef MUTANT_KEY_AFTER_LOOK
    key = epoch[side];
#endif
    d_step {
        drain(me);
        state[side] = state[side] + SLEEPER
    };
#if defined(HAS_BARRIER) && !defined(MUTANT_NO_BARRIER)
    drain_all()
#endif
}

/* hki_eventcount_sleep(): sets result. */
inline sleep(side)
{
#ifdef MUTANT_KEY_AFTER_LOOK
    key = epoch[side];
#endif
#ifdef MUTANT_SLEEP_BLINDLY
    futex_wait(side + 1, true, TIMED, result)
#else
    futex_wait(side + 1, epoch[side] == key, TIMED, result)
#endif
}

/* hki_eventcount_leave(). */
inline leave(side)
{
    d_step {
        drain(me);
        state[side] = state[side] - SLEEPER;
#if defined(MUTANT_TAKEN_BACK_BY_WAKER)
        if
        :: slept && result == WOKEN -> state[side] = state[side] & ~PENDING
        :: else
        fi
#elif !defined(MUTANT_PENDING_KEPT)
        state[side] = state[side] & ~PENDING
#else
        skip
#endif
    }
}

/* hki_eventcount_wake(). */
inline wake(side)
{
    do
    :: true ->
#ifdef MUTANT_PENDING_BY_LOAD
        seen = state[side];
#else
        d_step {
            drain(me);
            seen = state[side]
        };
#endif
        if
        :: seen < SLEEPER || (seen & PENDING) -> break
        :: else
        fi;
#ifdef MUTANT_CLAIM_UNCOUNTED
        d_step {
            drain(me);
            claimed = true;
            state[side] = state[side] | PENDING
        };
#else
        d_step {
            drain(me);
            claimed = state[side] == seen;
            if
            :: claimed -> state[side] = seen | PENDING
            :: else
            fi
        };
#endif
        if
        :: claimed ->
#ifndef MUTANT_NO_BUMP
            epoch[side]++;
#endif
            futex_wake_one(side + 1, woken);
#ifdef MUTANT_TAKEN_BACK_BY_WAKER
            if
            :: woken == 0 -> state[side] = state[side] & ~PENDING
            :: else
            fi;
#endif
            break
        :: else
        fi
    od
}

/* hki_eventcount_wake_all(). */
inline wake_all(side)
{
    d_step {
        drain(me);
        seen = state[side]
    };
    if
    :: seen >= SLEEPER ->
        epoch[side]++;
        futex_wake_all(side + 1)
    :: else
    fi
}

/* hki_eventcount_notify(). */
inline notify(side)
{
#if defined(HAS_BARRIER) || defined(MUTANT_PLAIN_LOOK)
    seen = state[side];
#else
    d_step {
        drain(me);
        seen = state[side]
    };
#endif
    if
    :: seen != 0 -> wake(side)
    :: else
    fi
}
