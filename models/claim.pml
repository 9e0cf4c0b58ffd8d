/* SPDX-License-Identifier: MIT */
/*
 * A task of a thread pool and all who want to end it: a worker that takes it, a wait that runs
 * it instead, a cancel, a deadline; and who waits for its end.
 * futures/transition.c, futures/watch.c, executors/pending.c, executors/serve.c
 *
 * It runs once at most and ends once; its outcome is written before anybody sees the end; no
 * waiter is missed (an invalid end state); and `dead`, which counts tasks that stay in the lane
 * though they have ended or run, is 0 when it has been taken out.
 *
 * CHECK claim    CLAIMS=1 CANCELS=1
 * CHECK claims   CLAIMS=2
 * CHECK deck     CLAIMS=1 CANCELS=1 IN_DECK
 * CHECK limits   CANCELS=1 DEADLINE
 * CHECK waiters  CANCELS=1 WAITERS=2
 *
 * MUTANT START_BY_STORE    claims: who starts it looks, then stores
 * MUTANT END_BY_STORE      limits: who ends it looks, then stores
 * MUTANT VALUE_LATE        waiters: the outcome is written after it is published
 * MUTANT PUBLISH_BY_STORE  waiters: who publishes looks for waiters, then stores
 * MUTANT FIRE_FIRST        waiters: waiters are told before the phase changes
 * MUTANT WATCH_UNLOCKED    waiters: a waiter says so, and is in the list only later
 * MUTANT CLAIM_UNCOUNTED   claim: a wait that runs it does not count it as dead
 * MUTANT LOST_CLAIM_KEPT   claim: one that comes too late leaves it counted
 * MUTANT CANCEL_UNCOUNTED  claim: a cancel does not count it
 * MUTANT ENDED_KEPT        claim: who takes an ended one out leaves it counted
 * MUTANT PUT_BLINDLY       limits: a submit does not look whether it has ended on its way
 * MUTANT BACK_COUNTED      deck: one that was taken back is counted as if it stayed
 */
#ifndef CLAIMS
#define CLAIMS 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef WAITERS
#define WAITERS 0
#endif

#define PENDING 0
#define RUNNING 1
#define ENDING 2
#define ENDED 3
#define WATCHED 4 /* A bit beside the phase. */
#define PHASE(word) ((word) & 3)

#define take_stripe atomic { !stripe -> stripe = true }
#define give_stripe stripe = false
#define take_lock atomic { !lock -> lock = true }
#define give_lock lock = false

byte state;
bool has_outcome; /* Plain data. */
bool stripe;
byte watching; /* In the list, as bits. */
bool fired[3];

bool lock; /* The pool's. */
bool in_lane;
bool is_marked; /* It ended before it was put. */
bool is_there;  /* In the lane or deck, to be taken. */
bool is_put;
short dead;

byte runs;
byte ends;

/* hki_future_claim_end(), and what the winner does. */
inline claim_end(limit, won)
{
    won = false;
    do
    :: seen = state;
        if
        :: PHASE(seen) > limit -> break
#ifdef MUTANT_END_BY_STORE
        :: else ->
            state = (seen & WATCHED) | ENDING;
            won = true;
            break
#else
        :: else ->
            atomic {
                if
                :: state == seen ->
                    state = (seen & WATCHED) | ENDING;
                    won = true;
                    break
                :: else
                fi
            }
#endif
        fi
    od;
    if
    :: won ->
        ends++;
        assert(ends == 1)
    :: else
    fi
}

inline fire_all()
{
    atomic {
        if :: (watching & 1) != 0 -> fired[0] = true :: else fi;
        if :: (watching & 2) != 0 -> fired[1] = true :: else fi;
        if :: (watching & 4) != 0 -> fired[2] = true :: else fi;
        watching = 0
    }
}

inline publish()
{
#ifndef MUTANT_VALUE_LATE
    has_outcome = true;
#endif
    do
    :: seen = state;
        assert(PHASE(seen) == ENDING);
        if
        :: (seen & WATCHED) != 0 ->
            take_stripe;
#ifdef MUTANT_FIRE_FIRST
            fire_all();
            give_stripe;
            state = ENDED;
#else
            state = ENDED; /* With WATCHED set nobody else writes it but under this lock. */
            fire_all();
            give_stripe;
#endif
            break
#ifdef MUTANT_PUBLISH_BY_STORE
        :: else ->
            state = ENDED;
            break
#else
        :: else ->
            atomic {
                if
                :: state == seen ->
                    state = ENDED;
                    break
                :: else
                fi
            }
#endif
        fi
    od;
#ifdef MUTANT_VALUE_LATE
    has_outcome = true
#endif
}

/* hki_job_run(): whether it did. */
inline run_it(ran)
{
    ran = false;
    do
    :: seen = state;
        if
        :: PHASE(seen) != PENDING -> break
#ifdef MUTANT_START_BY_STORE
        :: else ->
            state = (seen & WATCHED) | RUNNING;
            ran = true;
            break
#else
        :: else ->
            atomic {
                if
                :: state == seen ->
                    state = (seen & WATCHED) | RUNNING;
                    ran = true;
                    break
                :: else
                fi
            }
#endif
        fi
    od;
    if
    :: ran ->
        runs++;
        assert(runs == 1);
        claim_end(RUNNING, won);
        if
        :: won -> publish()
        :: else
        fi
    :: else
    fi
}

/* hki_pool_withdraw() */
inline withdraw()
{
    take_lock;
    if
    :: in_lane ->
#ifndef MUTANT_CANCEL_UNCOUNTED
        dead++
#else
        skip
#endif
    :: else -> is_marked = true
    fi;
    give_lock
}

/* hki_pool_put(); with limits it may have ended already. */
proctype submitter()
{
    take_lock;
    in_lane = true;
    if
#ifndef MUTANT_PUT_BLINDLY
    :: is_marked -> dead++
#endif
    :: else
    fi;
    give_lock;
    atomic {
        is_there = true;
        is_put = true
    }
}

/* A worker takes it out: run_taken(). */
proctype worker()
{
    bool ran, won;
    byte seen;

    if
    :: atomic { is_there -> is_there = false };
        run_it(ran);
        if
#ifndef MUTANT_ENDED_KEPT
        :: !ran -> dead--
#endif
        :: else
        fi
    :: atomic { is_put && !is_there } /* A wait has taken it back out of the deck. */
    fi
}

inline wait_for_end(which)
{
#ifdef MUTANT_WATCH_UNLOCKED
    is_added = false;
#else
    take_stripe;
#endif
    do
    :: seen = state;
        if
        :: PHASE(seen) == ENDED -> is_added = false; break
        :: else ->
            atomic {
                if
                :: state == seen ->
                    state = seen | WATCHED;
                    is_added = true;
                    break
                :: else
                fi
            }
        fi
    od;
#ifdef MUTANT_WATCH_UNLOCKED
    take_stripe;
#endif
    if
    :: is_added -> watching = watching | (1 << which)
    :: else
    fi;
    give_stripe;
    if
    :: is_added -> fired[which]
    :: else
    fi;
    assert(PHASE(state) == ENDED);
    assert(has_outcome)
}

/* A wait on a worker: hki_worker_claim(), and if it came too late, the sleep. */
proctype claimer(byte which)
{
    bool ran, won, is_added, is_mine;
    byte seen;

    is_put;
    if
    :: PHASE(state) == PENDING ->
#ifdef IN_DECK
        atomic {
            is_mine = is_there;
            is_there = false
        };
#endif
#ifdef MUTANT_BACK_COUNTED
        dead++;
#elif !defined(MUTANT_CLAIM_UNCOUNTED)
        if
        :: !is_mine -> dead++
        :: else
        fi;
#endif
        run_it(ran);
        if
#ifndef MUTANT_LOST_CLAIM_KEPT
        :: !ran -> dead--
#endif
        :: else
        fi
    :: else
    fi;
    wait_for_end(which)
}

proctype waiter(byte which)
{
    byte seen;
    bool is_added;

    wait_for_end(which)
}

/* hki_future_cancel_why(), by a token perhaps before the task is put; out_of_time(). */
proctype ender(byte limit)
{
    byte seen;
    bool won;

    /* Which it was, the claim says: nobody goes back to PENDING. */
    claim_end(PENDING, won);
    if
    :: won ->
        withdraw();
        publish()
    :: !won && limit == RUNNING ->
        claim_end(RUNNING, won);
        if
        :: won -> publish()
        :: else
        fi
    :: else
    fi
}

init {
    atomic {
        run submitter();
        run worker();
#if CLAIMS > 0
        run claimer(0);
#endif
#if CLAIMS > 1
        run claimer(1);
#endif
#if CANCELS > 0
        run ender(PENDING);
#endif
#ifdef DEADLINE
        run ender(RUNNING);
#endif
#if WAITERS > 0
        run waiter(1);
#endif
#if WAITERS > 1
        run waiter(2)
#endif
    };
    _nr_pr == 1;
    assert(ends == 1 && runs <= 1 && PHASE(state) == ENDED);
    assert(!is_there && dead == 0)
}
