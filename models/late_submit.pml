/* SPDX-License-Identifier: MIT */
/*
 * Submits against a shutdown: the last worker leaves, and a task comes after all.
 * executors/thread_pool.c, executors/workers.c, executors/executor.c
 *
 * A task that was accepted ends, by a worker or by who finds that there is none, and the
 * shutdown returns (else an invalid end state); then no worker is left and every task has ended,
 * unless a submit that began before the close counts its task later still. A worker may not start (threads may be refused) as often as REFUSALS says. What wakes sleepers
 * is park.pml's matter: workers here look again and again, until they leave.
 *
 * CHECK two      SUBMITTERS=2 REFUSALS=0
 * CHECK refused  SUBMITTERS=2 REFUSALS=2
 * CHECK manned   SUBMITTERS=2 REFUSALS=1 MANNED
 *
 * MUTANT SUBMIT_BLIND      manned: who has put a task does not look at the word
 * MUTANT CLOSE_UNMARKED    manned: neither the close nor the last worker sets the word
 * MUTANT LEAVES_BLINDLY    manned: the last worker does not look before it leaves
 * MUTANT NO_ABANDON        refused: nobody ends what no worker can be started for
 * MUTANT LEAVER_SILENT     manned: a worker that leaves does not tell who waits for the counts
 * MUTANT JOINS_ONCE        manned: the shutdown waits for the workers before the counts alone
 */
#define acquire atomic { !lock -> lock = true }
#define release lock = false

byte refusals = REFUSALS;

bool lock;
bool closing;
bool wants;   /* The crew word asks whoever brings work to look under the lock. */
bool manned;  /* A hint for submits. */
byte live;    /* Workers; counted under the lock. */
byte present; /* Those that have not handed themselves over. */

byte waiting; /* In the lane. */
byte accepted;
byte resolved; /* By workers and by others. */

/* resolve_lock, with its condition variable: a thread that waits, and whether it was told. */
bool sleeps;

/* Somebody who shares counts with others looks for the sleeper; a worker does not. */
inline resolve_shared(count)
{
    atomic {
        resolved = resolved + count;
        sleeps = false
    }
}

inline update_wants()
{
    manned = live != 0;
#ifndef MUTANT_CLOSE_UNMARKED
    wants = closing || live == 0
#else
    wants = live == 0 && !closing
#endif
}

/* hki_pool_start_worker() */
inline start_worker(is_started)
{
    if
    :: atomic { refusals > 0 -> refusals-- };
        is_started = false
    :: atomic {
           is_started = true;
           live++;
           present++;
           run worker()
       };
        update_wants()
    fi
}

/* hki_pool_grow(): the pool has one worker at most. */
inline grow()
{
    if
    :: waiting != 0 && live == 0 -> start_worker(is_started)
    :: else
    fi
}

/* hki_pool_abandon() */
inline abandon()
{
    atomic {
        left = 0;
        if
#ifndef MUTANT_NO_ABANDON
        :: live == 0 ->
            left = waiting;
            waiting = 0
#endif
        :: else
        fi
    }
}

proctype worker()
{
    bool is_started;
    byte left;

    acquire;
    do
    :: waiting != 0 ->
        release;
        if
        :: atomic { waiting != 0 -> waiting--; left = 1 };
            resolved++; /* Its own counts: nobody is told. */
            left = 0
        :: else
        fi;
        acquire
    :: waiting == 0 && closing -> break
    :: waiting == 0 && !closing -> /* Idle for as long as it may, or it looks again. */
        if
        :: break
        :: release;
            closing || waiting != 0;
            acquire
        fi
    od;
    /* leave() */
    live--;
    update_wants();
#ifndef MUTANT_LEAVES_BLINDLY
    grow();
    abandon();
#endif
    release;
    if
    :: left != 0 -> resolve_shared(left)
    :: else
    fi;
#ifndef MUTANT_LEAVER_SILENT
    sleeps = false;
#endif
    acquire;
    present--;
    release
}

/* hki_submit(): the check, the count of the job, submit_to_lane(), call_for_help(). */
proctype submitter()
{
    bool is_started, is_open;
    byte left;

    if
    :: closing -> goto over /* HK_ECLOSED */
    :: else
    fi;
    accepted++;
    if
    :: !manned ->
        /* prepare_lane() */
        acquire;
        is_open = !closing;
        if
        :: is_open && live == 0 ->
            start_worker(is_started);
            is_open = is_started
        :: else
        fi;
        release;
        if
        :: !is_open ->
            resolve_shared(1); /* take_back() */
            goto over
        :: else
        fi
    :: else
    fi;
    waiting++;
#ifndef MUTANT_SUBMIT_BLIND
    if
    :: wants ->
        acquire;
        grow();
        abandon();
        release;
        if
        :: left != 0 -> resolve_shared(left)
        :: else
        fi
    :: else
    fi;
#endif
    resolved == accepted;
over:
    skip
}

/* hk_executor_shutdown(HK_SHUTDOWN_DRAIN, HK_FOREVER), after those submits that it does not meet. */
proctype closer()
{
    byte seen;

    acquire;
    closing = true;
    update_wants();
    release;
    /* join() */
    present == 0;
    /* await_resolved(): the look and the falling asleep are one step, under its lock. */
    do
    :: atomic { resolved == accepted -> seen = accepted; break }
    :: atomic { resolved != accepted -> sleeps = true };
        !sleeps
    od;
#ifndef MUTANT_JOINS_ONCE
    present == 0;
#endif
    atomic {
        /* But for a submit that has looked before the close and counts its job only now. */
        assert(accepted != seen || (present == 0 && waiting == 0 && resolved == seen))
    }
}

init {
    atomic {
        byte n;
#ifdef MANNED
        live = 1;
        present = 1;
        manned = true;
        run worker();
#else
        wants = true;
#endif
        for (n : 1 .. SUBMITTERS) {
            run submitter()
        };
        run closer()
    }
}
