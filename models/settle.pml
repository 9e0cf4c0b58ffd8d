/* SPDX-License-Identifier: MIT */
/*
 * Looking at what may vanish: the handshake of looks and owners.
 * hki_wait_graph_begin(), hki_wait_graph_settle() in sync/wait_graph.c
 *
 * An owner publishes the end of its object by a store, which may stay in the processor's
 * store buffer while its later loads go ahead, unless it is seq_cst; then it settles, and
 * frees what the object led to. A look that finds the object alive reads that. No look
 * reads freed memory; nobody waits for ever.
 *
 * CHECK two_looks   LOOKERS=2 OWNERS=1 ROUNDS=2 CYCLES
 * CHECK two_owners  LOOKERS=2 OWNERS=2 ROUNDS=1
 * CHECK three_looks LOOKERS=3 OWNERS=1 ROUNDS=1
 *
 * MUTANT CHECK_BEFORE_PUBLISH two_looks: the owner asks for looks, then publishes the end
 * MUTANT NO_COUNTER           two_looks: a look does not count itself
 * MUTANT COUNTED_LATE         two_looks: a look counts itself once it has seen the object
 * MUTANT UNCOUNTED_EARLY      two_looks: it stops counting before it is through
 * MUTANT NO_SETTLE            two_looks: the owner does not ask
 * MUTANT NO_WAIT              two_looks: the owner asks, and frees all the same
 * MUTANT BUFFERED_END         two_looks: the end is published by a plain store
 */
#define NOBODY 255

bool graph_locked;
byte looks;
bool alive[OWNERS] = true;  /* What everybody sees of the objects' states. */
bool ending[OWNERS];        /* A store under way: not alive. */
bool freed[OWNERS];

inline graph_lock()
{
    atomic { !graph_locked -> graph_locked = true }
}

inline graph_unlock()
{
    graph_locked = false
}

inline publish_end()
{
#ifdef MUTANT_BUFFERED_END
    ending[me] = true
#else
    alive[me] = false
#endif
}

/* hki_wait_graph_settle(): a load, and perhaps the lock, which empties the buffer. */
inline settle()
{
    if
    :: looks != 0 ->
#ifndef MUTANT_NO_WAIT
        graph_lock();
        graph_unlock()
#else
        skip
#endif
    :: else
    fi
}

proctype owner(byte me)
{
#ifdef MUTANT_CHECK_BEFORE_PUBLISH
    settle();
    publish_end();
#else
    publish_end();
#ifndef MUTANT_NO_SETTLE
    settle();
#endif
#endif
    /* The memory goes to the allocator, whose lock empties the buffer at last. */
    d_step {
        if
        :: ending[me] -> alive[me] = false; ending[me] = false
        :: else
        fi;
        freed[me] = true
    }
}

/* A store leaves the buffer when it likes. */
active [OWNERS] proctype store_buffer()
{
end:
    do
    :: atomic { ending[_pid] -> alive[_pid] = false; ending[_pid] = false }
    od
}

inline begin_look()
{
#ifndef MUTANT_NO_COUNTER
    looks++
#else
    skip
#endif
}

inline end_look()
{
#ifndef MUTANT_NO_COUNTER
    looks--
#else
    skip
#endif
}

proctype looker()
{
    byte round, at;
    bool seen;

    do
    :: round < ROUNDS ->
        round++;
        graph_lock();
#ifndef MUTANT_COUNTED_LATE
        begin_look();
#endif
        at = 0;
        do
        :: at < OWNERS ->
            seen = alive[at];
#ifdef MUTANT_COUNTED_LATE
            begin_look();
#endif
#ifdef MUTANT_UNCOUNTED_EARLY
            end_look();
#endif
            if
            :: seen -> assert(!freed[at])
            :: else
            fi;
#ifdef MUTANT_COUNTED_LATE
            end_look();
#endif
#ifdef MUTANT_UNCOUNTED_EARLY
            begin_look();
#endif
            at++
        :: else -> break
        od;
#ifndef MUTANT_COUNTED_LATE
        end_look();
#endif
        graph_unlock()
    :: else -> break
    od
}

init {
    atomic {
        byte i;
        for (i : 1 .. OWNERS) {
            run owner(i - 1)
        }
        for (i : 1 .. LOOKERS) {
            run looker()
        }
    }
}
