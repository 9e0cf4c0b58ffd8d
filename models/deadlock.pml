/* SPDX-License-Identifier: MIT */
/*
 * Refusing waits that can never end, for locks: sync/wait_graph.c with lock nodes.
 *
 * Each thread takes any lock and then any other. Nobody hangs (an invalid end state);
 * and who is refused closes a ring in which, at that moment, each thread really waits
 * without a limit for what the next one holds. The refused one leaves the ring in the
 * same breath, so none of the others is refused for it: exactly one is.
 *
 * CHECK three_threads  THREADS=3 CYCLES
 * CHECK one_timed      THREADS=3 TIMED=1 CYCLES
 * CHECK two_timed      THREADS=3 TIMED=2
 * CHECK single_walk    THREADS=3 TIMED=1 SINGLE_WALK
 * CHECK each_sleep     THREADS=3 TIMED=1 EACH_SLEEP
 * CHECK four_threads   THREADS=4 LOCKS=2 TIMED=1
 *
 * MUTANT WALK_UNLOCKED      three_threads: the walk comes after the graph lock's release
 * MUTANT PUBLISH_AFTER_WALK three_threads: the wait is published in a second critical section
 * MUTANT NO_OWN_RULE        three_threads: who has got its lock still counts as waiting for it
 * MUTANT NOT_WITHDRAWN      three_threads: a refused thread's wait stays published
 * MUTANT END_FORGOTTEN      three_threads: a served thread's wait stays published
 * MUTANT TIMED_AS_UNTIMED   one_timed: a look takes a timed wait for an endless one
 * MUTANT UNTIMED_AS_TIMED   three_threads: a look takes an endless wait for a timed one
 */
#ifndef LOCKS
#define LOCKS 3
#endif
#ifndef TIMED
#define TIMED 0
#endif

#define NOBODY 0 /* Threads and locks are numbered from 1. */

byte owner[LOCKS + 1];
bool graph_locked;

/* Under the graph's lock: what each agent has published. */
byte waits_for[THREADS + 1];
bool waits_timed[THREADS + 1];

/* The truth, for the assertion alone: what a thread waits for without a limit. */
byte wants[THREADS + 1];

inline graph_lock()
{
    atomic { !graph_locked -> graph_locked = true }
}

inline graph_unlock()
{
    graph_locked = false
}

/* Reads one lock at a time, while their owners act. */
inline walk()
{
    at = wanted;
    steps = 0;
    do
    :: true ->
        step_owner = owner[at];
        if
        :: step_owner == NOBODY -> stuck = false; break
        :: step_owner == me || steps > THREADS -> stuck = true; break
        :: else
        fi;
        if
        :: waits_for[step_owner] == NOBODY -> stuck = false; break
#ifdef MUTANT_UNTIMED_AS_TIMED
        :: true -> stuck = false; break
#endif
#ifndef MUTANT_TIMED_AS_UNTIMED
        :: waits_timed[step_owner] -> stuck = false; break
#endif
        :: else
        fi;
        at = waits_for[step_owner];
#ifndef MUTANT_NO_OWN_RULE
        /* It has the lock it is published to wait for: it is on its way. */
        if
        :: owner[at] == step_owner -> stuck = false; break
        :: else
        fi;
#endif
        steps++
    od
}

inline check_refusal()
{
    d_step {
        at = wanted;
        steps = 0;
        do
        :: owner[at] == me -> break
        :: else ->
            assert(owner[at] != NOBODY);       /* It is free. */
            assert(wants[owner[at]] != NOBODY); /* Its owner can move. */
            assert(steps <= THREADS);          /* A ring that me is not in. */
            steps++;
            at = wants[owner[at]]
        od;
        wants[me] = NOBODY
    }
}

inline publish()
{
    d_step {
        waits_for[me] = wanted;
        waits_timed[me] = timed
    }
}

/* hki_wait_graph_begin(): refused tells. */
inline begin()
{
    d_step {
        wants[me] = (timed -> NOBODY : wanted)
    };
    graph_lock();
#ifndef MUTANT_PUBLISH_AFTER_WALK
    publish();
#endif
#ifdef MUTANT_WALK_UNLOCKED
    graph_unlock();
#endif
    walk();
#ifndef SINGLE_WALK
    if
    :: stuck -> walk()
    :: else
    fi;
#endif
#ifdef MUTANT_PUBLISH_AFTER_WALK
    if
    :: !stuck ->
        graph_unlock();
        graph_lock();
        publish()
    :: else
    fi;
#endif
    refused = stuck;
    if
    :: refused ->
        check_refusal();
#ifdef MUTANT_WALK_UNLOCKED
        graph_lock();
#endif
#ifndef MUTANT_NOT_WITHDRAWN
        waits_for[me] = NOBODY;
#endif
        graph_unlock()
    :: else ->
#ifndef MUTANT_WALK_UNLOCKED
        graph_unlock()
#endif
    fi
}

inline end()
{
    graph_lock();
#ifndef MUTANT_END_FORGOTTEN
    waits_for[me] = NOBODY;
#endif
    graph_unlock()
}

/* One compare-and-swap. */
inline take()
{
    d_step {
        if
        :: owner[wanted] == NOBODY ->
            owner[wanted] = me;
            wants[me] = NOBODY;
            got = true
        :: else ->
            got = false
        fi
    }
}

/* Sleeps are proved in lock.pml: this one ends when the lock is free, for a look. */
inline sleep()
{
    if
    :: owner[wanted] == NOBODY
    :: timed -> timed_out = true
    fi
}

inline acquire_holding()
{
    take();
#ifdef EACH_SLEEP
    do
    :: got || refused || timed_out -> break
    :: else ->
        begin();
        if
        :: !refused ->
            sleep();
            end();
            if
            :: !timed_out -> take()
            :: else
            fi
        :: else
        fi
    od
#else
    if
    :: !got ->
        begin();
        do
        :: got || refused || timed_out -> break
        :: else ->
            sleep();
            if
            :: !timed_out -> take()
            :: else
            fi
        od;
        if
        :: !refused -> end()
        :: else
        fi
    :: else
    fi
#endif
}

proctype thread(byte me; bool timed)
{
    byte first, wanted, at, steps, step_owner;
    bool got, refused, timed_out, stuck;

    /* Holding nothing, it can close no ring, and is not published. */
    select(first : 1 .. LOCKS);
    atomic { owner[first] == NOBODY -> owner[first] = me };
    select(wanted : 1 .. LOCKS);
    if
    :: wanted != first ->
        acquire_holding();
        if
        :: got -> owner[wanted] = NOBODY
        :: else
        fi
    :: else
    fi;
    owner[first] = NOBODY
}

init {
    atomic {
        byte i;
        for (i : 1 .. THREADS) {
            run thread(i, i <= TIMED)
        }
    }
}
