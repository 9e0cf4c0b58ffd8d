/* SPDX-License-Identifier: MIT */
/*
 * Tasks that wait for later tasks of their own pool: other workers come in their stead.
 * executors/serve.c, executors/workers.c
 *
 * Task n waits for task n + 1, as far as WAITING says, or if n is odd; none can be run on the
 * stack of who waits. All end, if there are spare workers enough (else an invalid end state); workers compute
 * beyond the target only until the tasks of those that have come back have ended (an assertion);
 * and when all is quiet the superfluous ones have left. Counts change under the pool's lock: each
 * piece under it is a step.
 *
 * CHECK chain    TARGET=1 SPARES=2 TASKS=3
 * CHECK two      TARGET=2 SPARES=2 TASKS=4
 * CHECK after    TARGET=1 SPARES=1 TASKS=4 WAITING=1
 * CHECK again    TARGET=1 SPARES=1 TASKS=4 EVERY_OTHER
 *
 * MUTANT BLOCKS_SILENTLY   chain: who waits does not say so
 * MUTANT NO_GROWTH         chain: it says so, but nobody is started or called
 * MUTANT RETURNS_SILENTLY  after: who comes back does not say so, and two go on working
 * MUTANT LEAVES_SILENTLY   again: who has left starts nobody for those who counted on it
 */
#ifndef WAITING
#define WAITING (TASKS - 1) /* So many wait for the one after them. */
#endif
#ifdef EVERY_OTHER
#define WAITS(task) (task % 2 == 1)
#else
#define WAITS(task) (task <= WAITING)
#endif
#define MOST (TARGET + SPARES)

byte queued = TASKS;
byte next = 1;  /* To be taken. */
byte done;      /* How many have ended. */
bool ended[TASKS + 2];
byte live, idle, busy, blocked, leaving;
byte returned;  /* Of the busy ones, those that have been blocked and still run that task. */
byte attention; /* Busy workers look at the rest again. */
byte calls;     /* Wakes that no sleeper has taken yet. */

/* hki_pool_grow(), as a part of a step */
inline grow()
{
    if
    :: queued != 0 && busy < TARGET && idle > calls -> calls++
    :: queued != 0 && busy < TARGET && idle <= calls && live - blocked < TARGET && live < MOST ->
        live++;
        run worker()
    :: else
    fi
}

#define IS_SUPERFLUOUS (live - leaving - blocked > TARGET)

/* run_item() of a task that waits, or does not */
inline run_task()
{
    if
    :: WAITS(task) ->
#ifndef MUTANT_BLOCKS_SILENTLY
        atomic { /* block() */
            busy--;
            blocked++;
#ifndef MUTANT_NO_GROWTH
            grow()
#endif
        };
#endif
        ended[task + 1];
#ifndef MUTANT_BLOCKS_SILENTLY
        atomic { /* unblock() */
            blocked--;
            busy++;
            returned++;
#ifndef MUTANT_RETURNS_SILENTLY
            if
            :: busy > TARGET -> attention++
            :: else
            fi
#endif
        };
        atomic { returned--; ended[task] = true; done++ }
#else
        atomic { ended[task] = true; done++ }
#endif
    :: else ->
        atomic { ended[task] = true; done++ }
    fi
}

proctype worker()
{
    byte task, seen_attention;

    do
    :: atomic {
           queued != 0 && busy < TARGET -> /* hki_worker_serve() */
           busy++;
           seen_attention = attention;
           task = 0
       };
        /* work(): from task to task, until it is told to look again. */
        do
        :: atomic {
               queued != 0 && seen_attention == attention ->
               assert(busy <= TARGET + returned);
               queued--;
               task = next;
               next++
           };
            run_task()
        :: queued == 0 || seen_attention != attention -> break
        od;
        atomic {
            busy--;
            grow()
        }
    :: atomic { IS_SUPERFLUOUS && (queued == 0 || busy >= TARGET) -> leaving++ };
        /* Its finaliser; then leave(). */
        atomic {
            leaving--;
            live--;
#ifndef MUTANT_LEAVES_SILENTLY
            grow()
#endif
        };
        break
    :: atomic { done == TASKS -> live-- };
        break
    :: atomic { (queued == 0 || busy >= TARGET) && done != TASKS && !IS_SUPERFLUOUS -> idle++ };
        /* Called, or told to look again. */
        atomic {
            calls != 0 || done == TASKS || IS_SUPERFLUOUS ->
            idle--;
            if
            :: calls != 0 -> calls--
            :: else
            fi
        }
    od
}

init {
    atomic {
        byte n;
        for (n : 1 .. TARGET) {
            live++;
            run worker()
        }
    };
    done == TASKS && live == 0
}
