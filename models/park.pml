/* SPDX-License-Identifier: MIT */
/*
 * The crew of a thread pool: who brings work, who looks for it, who sleeps.
 * executors/crew.h, executors/pending.c, executors/serve.c
 *
 * The tasks of a round each block until all of them run, and there are as many as workers:
 * a worker that sleeps while a task waits, with nobody searching or called, is a state
 * from which nothing goes on (an invalid end state), and so is a lost task. A worker may
 * sleep for ever when the rounds are over.
 *
 * CHECK outside  WORKERS=2 ROUNDS=2
 * CHECK three    WORKERS=3 ROUNDS=1 ASLEEP
 * CHECK batch    WORKERS=3 ROUNDS=1 BATCH=3 ASLEEP
 * CHECK inside   WORKERS=2 ROUNDS=2 INSIDE
 * CHECK brought  WORKERS=3 ROUNDS=1 INSIDE ASLEEP
 * CHECK gap      WORKERS=2 ROUNDS=1 SUBMITTERS=2
 *
 * MUTANT NO_RECHECK        outside: who falls asleep does not look once more
 * MUTANT RECHECK_FIRST     outside: it looks, and only then is counted as asleep
 * MUTANT SUBMIT_BLIND      outside: who submits does not look at the word
 * MUTANT LOOK_FIRST        outside: it looks at the word, and only then publishes
 * MUTANT FINDER_SILENT     three: the last searcher finds a task and does not call
 * MUTANT FINDER_SEARCHES   outside: who has found a task stays counted as searching
 * MUTANT BATCH_EARLY       batch: who takes a batch looks before the rest can be stolen, not after
 * MUTANT DECK_SILENT       inside: a task that submits does not look at the word
 */
#ifndef SUBMITTERS
#define SUBMITTERS 1
#endif
#ifndef BATCH
#define BATCH 1
#endif

#define TASKS WORKERS
#define MOST (WORKERS / 2) /* Searchers; at least one. */

/* The crew word, which is read and written as one. */
byte searching;
byte sleeping;

/* The lane: counted, reachable, taken; and its consumer's lock. */
byte put;
byte linked;
byte taken;
bool consumer;

byte deck[WORKERS];

bool lock;
byte busy;
byte idle;
bool asleep[WORKERS]; /* In the list of sleepers. */
bool woken[WORKERS];

byte goal; /* Tasks of all rounds so far. */
byte started;
byte ended;
byte to_bring; /* By the first task of a round. */

#define acquire atomic { !lock -> lock = true }
#define release lock = false

/* hki_pool_has_work(): one place after the other. */
inline has_work(result)
{
    result = put != taken;
    if
    :: !result -> result = deck[0] != 0
    :: else
    fi;
    if
    :: !result -> result = deck[1] != 0
    :: else
    fi;
#if WORKERS > 2
    if
    :: !result -> result = deck[2] != 0
    :: else
    fi
#endif
}

/* hki_pool_grow(), under the lock. */
inline grow()
{
    if
    :: busy < WORKERS ->
        has_work(there_is);
        if
        :: atomic {
               there_is && idle != 0 && searching == 0 ->
               if
               :: asleep[0] -> asleep[0] = false; woken[0] = true
               :: asleep[1] -> asleep[1] = false; woken[1] = true
#if WORKERS > 2
               :: asleep[2] -> asleep[2] = false; woken[2] = true
#endif
               fi;
               idle--;
               busy++;
               sleeping--;
               searching++
           }
        :: else
        fi
    :: else
    fi;
    there_is = false
}

/* hki_crew_calls(), and what follows. */
inline call_if_needed()
{
    if
    :: searching == 0 && sleeping != 0 ->
        acquire;
        grow();
        release
    :: else
    fi
}

/* take_from_lane(): the consumer's lock is only tried; the first node is run, the others go
 * to the deck, in between they are nowhere. */
inline take_from_lane()
{
    if
    :: atomic { put != taken && !consumer -> consumer = true };
        atomic {
            if
            :: linked - taken < BATCH -> got = linked - taken
            :: else -> got = BATCH
            fi;
            taken = taken + got
        };
#ifdef MUTANT_BATCH_EARLY
        call_if_needed();
#endif
        if
        :: got > 1 -> deck[me] = deck[me] + got - 1
        :: else
        fi;
        consumer = false;
#ifndef MUTANT_BATCH_EARLY
        if
        :: got > 1 -> call_if_needed()
        :: else
        fi;
#endif
        atomic {
            has_task = got != 0;
            got = 0
        }
    :: else
    fi
}

inline take_from_deck(which)
{
    atomic {
        if
        :: !has_task && deck[which] != 0 ->
            deck[which]--;
            has_task = true
        :: else
        fi
    }
}

/* hki_pool_take() */
inline take()
{
    take_from_deck(me);
    if
    :: !has_task -> take_from_lane()
    :: else
    fi;
    take_from_deck(0);
    take_from_deck(1);
#if WORKERS > 2
    take_from_deck(2)
#endif
}

/* A task: perhaps it brings the others; then it needs them all. */
inline run_task()
{
    has_task = false;
    bring = 0;
    atomic {
        bring = to_bring;
        to_bring = 0
    };
    do
    :: bring > 0 ->
        deck[me]++;
        bring--;
#ifndef MUTANT_DECK_SILENT
        call_if_needed()
#endif
    :: else -> break
    od;
    atomic {
        started++;
        assert(started <= goal)
    };
    started == goal;
    ended++
}

/* find(), and found(). */
inline work()
{
    looks = true; /* It is counted as searching at first. */
    do
    :: take();
        if
        :: !has_task && !looks ->
            if
            :: atomic { searching < (MOST > 1 -> MOST : 1) -> searching++ };
                looks = true;
                take()
            :: else
            fi
        :: else
        fi;
        if
        :: has_task ->
#ifndef MUTANT_FINDER_SEARCHES
            if
            :: looks -> searching--
            :: else
            fi;
#endif
            looks = false;
#if !defined(MUTANT_FINDER_SILENT) && !defined(MUTANT_BATCH_EARLY)
            call_if_needed();
#endif
            run_task()
        :: else -> break
        fi
    od;
    if
    :: looks -> searching--
    :: else
    fi
}

proctype worker(byte me)
{
    bool has_task, looks, there_is;
    byte got, bring;

#ifdef ASLEEP
    goto end_asleep;
#endif
    acquire;
    do
    :: woken[me] ->
        woken[me] = false;
        release;
        work();
        acquire;
        busy--
    :: !woken[me] ->
        has_work(there_is);
        if
        :: there_is && busy < WORKERS ->
            atomic {
                there_is = false;
                busy++;
                searching++
            };
            release;
            work();
            acquire;
            busy--
        :: else ->
            /* sleep_for_a_while() */
#ifdef MUTANT_RECHECK_FIRST
            grow();
#endif
            atomic {
                idle++;
                asleep[me] = true
            };
            sleeping++;
#if !defined(MUTANT_NO_RECHECK) && !defined(MUTANT_RECHECK_FIRST)
            grow();
#endif
            release;
end_asleep:
            woken[me];
            acquire
        fi
    od
}

/* Brings the tasks of each round, or the first of them; several share those of one round. */
proctype submitter(byte tasks)
{
    byte round, i;
    bool there_is;

    for (round : 1 .. ROUNDS) {
#if SUBMITTERS == 1
        atomic {
            goal = goal + TASKS;
#ifdef INSIDE
            to_bring = TASKS - 1
#endif
        };
#endif
        for (i : 1 .. tasks) {
#ifdef MUTANT_LOOK_FIRST
            call_if_needed();
#endif
            put++;
            linked++;
#if !defined(MUTANT_SUBMIT_BLIND) && !defined(MUTANT_LOOK_FIRST)
            call_if_needed()
#endif
        };
        ended == TASKS * round
    }
}

init {
    atomic {
        byte n;
#ifdef ASLEEP
        idle = WORKERS;
        sleeping = WORKERS;
        for (n : 0 .. WORKERS - 1) {
            asleep[n] = true
        };
#endif
#if SUBMITTERS > 1
        goal = TASKS;
#endif
        for (n : 0 .. WORKERS - 1) {
            run worker(n)
        };
        for (n : 1 .. SUBMITTERS) {
#ifdef INSIDE
            run submitter(1)
#else
            run submitter(TASKS / SUBMITTERS)
#endif
        }
    }
}
