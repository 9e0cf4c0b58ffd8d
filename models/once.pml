/* SPDX-License-Identifier: MIT */
/*
 * Once: one runs, the others wait; a failed run is run again; who runs it and asks for
 * it again is refused. sync/once.c
 *
 * The function runs once at a time and succeeds once; who returns finds what it wrote;
 * nobody waits for ever (an invalid end state); and only who runs it is refused.
 *
 * CHECK two_threads  THREADS=2 FAILURES=2 CYCLES
 * CHECK three        THREADS=3 FAILURES=1 CYCLES
 * CHECK recursion    THREADS=3 FAILURES=1 RECURSES
 *
 * MUTANT NO_WAKE           three: the end wakes nobody
 * MUTANT WAKES_ONE         three: the end wakes one
 * MUTANT WAITED_BY_STORE   three: a waiter stores WAITED
 * MUTANT END_BY_STORE      three: the end looks for waiters, then stores
 * MUTANT WAITS_UNMARKED    three: a waiter sleeps without saying so
 * MUTANT SLEEP_BLINDLY     three: the sleep does not compare the state
 * MUTANT START_BY_STORE    three: who finds it undone stores RUNNING
 * MUTANT FAILURE_IS_DONE   three: a failed run counts as done
 * MUTANT NO_RECURSION_RULE recursion: who runs it waits for itself
 * MUTANT RUNNER_CLEARED_LATE recursion: the runner's name is wiped after the end is told
 */
#include "machine.pml"

#ifndef FAILURES
#define FAILURES 0
#endif

#define UNDONE 0
#define RUNNING 1
#define WAITED 2
#define DONE 3

#define STATE 1 /* The number of the futex. */

byte state;
byte runner; /* Thread + 1, or 0. */

byte failures = FAILURES; /* Runs that may still fail. */
byte running;             /* Threads inside the function. */
byte successes;
bool value; /* Plain data that the function writes. */

/* await(), without the graph: is_over(), and the sleep. */
inline await()
{
    seen = state;
    if
    :: seen == RUNNING ->
#if defined(MUTANT_WAITED_BY_STORE)
        state = WAITED;
        seen = WAITED
#elif defined(MUTANT_WAITS_UNMARKED)
        skip
#else
        compare_and_swap(state, RUNNING, WAITED, swapped);
        seen = (swapped -> WAITED : UNDONE)
#endif
    :: else
    fi;
    if
#ifdef MUTANT_WAITS_UNMARKED
    :: seen == WAITED || seen == RUNNING ->
#else
    :: seen == WAITED ->
#endif
#ifdef MUTANT_SLEEP_BLINDLY
        futex_wait(STATE, true, false, result)
#else
        futex_wait(STATE, state == seen, false, result)
#endif
    :: else
    fi
}

inline function()
{
    running++;
    assert(running == 1 && successes == 0);
#ifdef RECURSES
    /* hk_once_run() inside of it. */
    seen = state;
    assert(seen != DONE && seen != UNDONE);
#ifdef MUTANT_NO_RECURSION_RULE
    await();
#else
    if
    :: runner == me + 1 /* HK_EDEADLK */
    :: else -> await()
    fi;
#endif
#endif
    if
    :: d_step { failures > 0 -> failures-- };
        failed = true
    :: failed = false;
        value = true;
        successes++
    fi;
    running--
}

/* run() */
inline run_it()
{
    runner = me + 1;
    function();
#ifndef MUTANT_RUNNER_CLEARED_LATE
    runner = 0;
#endif
#ifdef MUTANT_FAILURE_IS_DONE
    failed = false;
#endif
#ifdef MUTANT_END_BY_STORE
    seen = state;
    state = (failed -> UNDONE : DONE);
#else
    exchange(state, (failed -> UNDONE : DONE), seen);
#endif
#ifdef MUTANT_RUNNER_CLEARED_LATE
    runner = 0;
#endif
    if
    :: seen == WAITED ->
#if defined(MUTANT_WAKES_ONE)
        futex_wake_one(STATE, woken)
#elif defined(MUTANT_NO_WAKE)
        skip
#else
        futex_wake_all(STATE)
#endif
    :: else
    fi
}

/* hk_once_run(), by a caller that tries again when it fails. */
proctype thread(byte me)
{
    byte seen, result, woken;
    bool swapped, failed;

    do
    :: state == DONE -> break
    :: state == UNDONE ->
#ifdef MUTANT_START_BY_STORE
        state = RUNNING;
        swapped = true;
#else
        compare_and_swap(state, UNDONE, RUNNING, swapped);
#endif
        if
        :: swapped -> run_it()
        :: else
        fi
    :: state == RUNNING || state == WAITED ->
        /* Only who runs it has this name in it. */
        assert(runner != me + 1);
        await()
    od;
    assert(value && successes == 1 && running == 0)
}

init {
    atomic {
        byte i;
        for (i : 0 .. THREADS - 1) {
            run thread(i)
        }
    }
}
