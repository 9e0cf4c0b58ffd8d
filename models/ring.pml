/* SPDX-License-Identifier: MIT */
/*
 * The ring: tickets to cells, closing, joining; both sides sleep on an eventcount.
 * sync/ring_cells.h, sync/ring_wait.c, sync/ring_join.c
 *
 * Nothing slips in after the close; a get says closed exactly when all that was let in
 * has been taken; nobody sleeps for ever (an invalid end state); a join returns only if
 * all was done at some moment since it began. Store buffers are in eventcount.pml: here
 * every step is seen at once.
 *
 * CHECK put_and_get    PUTTERS=2 GETTERS=1 ITEMS=1 CAPACITY=1 CYCLES
 * CHECK one_each       PUTTERS=1 GETTERS=1 ITEMS=3 CAPACITY=1 TIMEOUTS=1
 * CHECK two_getters    PUTTERS=1 GETTERS=2 ITEMS=2 CAPACITY=2
 * CHECK close_getters  PUTTERS=1 GETTERS=2 ITEMS=1 CAPACITY=2 CLOSES
 * CHECK close_putters  PUTTERS=2 GETTERS=0 ITEMS=1 CAPACITY=1 CLOSES
 * CHECK close_both     PUTTERS=1 GETTERS=1 ITEMS=2 CAPACITY=1 CLOSES CYCLES
 * CHECK close_race     PUTTERS=2 GETTERS=1 ITEMS=1 CAPACITY=2 CLOSES
 * CHECK join           PUTTERS=1 GETTERS=1 ITEMS=2 CAPACITY=2 JOINERS=1
 * CHECK join_shared    PUTTERS=1 GETTERS=2 ITEMS=2 CAPACITY=2 PUTTERS_JOIN
 *
 * MUTANT CLOSED_IS_A_FLAG      close_race: closed is a word of its own, read before the ticket
 * MUTANT CLOSED_IF_NOT_READY   close_race: a get says closed though a put is under way
 * MUTANT NO_SIBLING_AT_END     close_getters: who finds it closed and drained tells nobody
 * MUTANT CLOSE_LEAVES_PUTTERS  close_putters: a close wakes the getters alone
 * MUTANT TAKE_TELLS_NOBODY     put_and_get: a get does not tell of the room
 * MUTANT PUT_BEFORE_FREE       put_and_get: a put does not look whether the cell is free
 * MUTANT NO_SECOND_LOOK        put_and_get: the sleeper does not look once it is counted
 * MUTANT ROUNDS                join_shared: a join returns for any moment in which all was
 *                              done that is told of later, even if it was before the join
 * MUTANT JOIN_READS_TAIL_FIRST join: a join reads the tickets before what is done
 * MUTANT JOIN_NO_SECOND_LOOK   join: a joiner sleeps without a look once it is counted
 */
#include "machine.pml"

#define SIDES 3
#define GET 0 /* Getters sleep here, for items. */
#define PUT 1 /* Putters, for room. */
#define END 2 /* Joiners. */

#ifndef JOINERS
#define JOINERS 0
#endif
#ifdef TIMEOUTS
#define TIMED true
#else
#define TIMED false
#endif

#define CLOSED_BIT 128
#define TICKETS(word) ((word) & ~CLOSED_BIT)
#define CELL(ticket) ((ticket) % CAPACITY)

/* What came of a try. */
#define NOT_NOW 0
#define DONE 1
#define CLOSED 2

byte sequence[CAPACITY];
byte tail;
byte head;
byte done;
byte idle; /* The highest ticket up to which all was done at one moment, as told. */
#ifdef MUTANT_CLOSED_IS_A_FLAG
bool closed_flag;
#endif
#ifdef MUTANT_ROUNDS
byte rounds;
#endif

/* For the assertions. */
bool drained;            /* A get has said closed. */
bool was_done[SLEEPERS]; /* All was done at some moment of this thread's join. */

inline note_done()
{
    if
    :: done == TICKETS(tail) ->
        was_done[0] = true;
        was_done[1] = true;
        was_done[2] = true;
        was_done[3] = true
    :: else
    fi
}

/* No stores under way here. */
inline drain(thread)
{
    skip
}

#include "eventcount_calls.pml"

#ifdef MUTANT_PUT_BEFORE_FREE
#define IS_FREE(ticket) true
#else
#define IS_FREE(ticket) (sequence[CELL(ticket)] == 2 * (ticket))
#endif
#define IS_FULL(ticket) (sequence[CELL(ticket)] == 2 * (ticket) + 1)

#ifdef MUTANT_CLOSED_IS_A_FLAG
#define IS_CLOSED(word) closed_flag
#define SAYS_DRAINED(word, ticket) (closed_flag && (word) == (ticket))
#else
#define IS_CLOSED(word) ((word) & CLOSED_BIT)
#ifdef MUTANT_CLOSED_IF_NOT_READY
#define SAYS_DRAINED(word, ticket) ((word) & CLOSED_BIT)
#else
#define SAYS_DRAINED(word, ticket) ((word) == ((ticket) | CLOSED_BIT))
#endif
#endif

/* hki_cells_put(). A cell that is free for a ticket stays so until the ticket is taken,
 * so the look and the taking are one step if the ticket is still there. */
inline put_cell()
{
    outcome = NOT_NOW;
    do
    :: true ->
#ifdef MUTANT_CLOSED_IS_A_FLAG
        if
        :: closed_flag -> outcome = CLOSED; break
        :: else
        fi;
#endif
        d_step {
            ticket = tail;
            if
#ifndef MUTANT_CLOSED_IS_A_FLAG
            :: ticket & CLOSED_BIT -> outcome = CLOSED
            :: !(ticket & CLOSED_BIT) && IS_FREE(ticket) ->
#else
            :: IS_FREE(ticket) ->
#endif
                assert(!drained);
                tail++;
                note_done();
                outcome = DONE
            :: else
            fi
        };
        if
        :: outcome != NOT_NOW || tail == ticket -> break
        :: else /* The ticket was old. */
        fi
    od;
    if
    :: outcome == DONE ->
        assert(sequence[CELL(ticket)] == 2 * ticket);
        sequence[CELL(ticket)] = 2 * ticket + 1
    :: else
    fi
}

/* hki_cells_take(). */
inline take_cell()
{
    outcome = NOT_NOW;
    do
    :: true ->
        d_step {
            ticket = head;
            if
            :: IS_FULL(ticket) -> head++; outcome = DONE
            :: else
            fi
        };
        if
        :: outcome == DONE -> break
        :: else
        fi;
        if
        :: head == ticket ->
            d_step {
                if
                :: SAYS_DRAINED(tail, ticket) ->
                    assert(head == TICKETS(tail));
                    drained = true;
                    outcome = CLOSED
                :: else
                fi
            };
            break
        :: else
        fi
    od;
    if
    :: outcome == DONE -> sequence[CELL(ticket)] = 2 * (ticket + CAPACITY)
    :: else
    fi
}

inline try_put()
{
    put_cell();
    if
    :: outcome == DONE -> notify(GET)
    :: else
    fi
}

inline try_take()
{
    take_cell();
#ifndef MUTANT_TAKE_TELLS_NOBODY
    if
    :: outcome == DONE -> notify(PUT)
    :: else
    fi
#endif
}

/* hki_cells_can_put(), hki_cells_can_take(). */
#define CAN_PUT (IS_CLOSED(tail) || IS_FREE(TICKETS(tail)))
#ifdef MUTANT_NO_SIBLING_AT_END
#define CAN_TAKE IS_FULL(head)
#else
#define CAN_TAKE (SAYS_DRAINED(tail, head) || IS_FULL(head))
#endif

/* hki_ring_wait(), after the try of the call itself. */
inline put()
{
    try_put();
    if
    :: outcome == NOT_NOW ->
        do
        :: outcome != NOT_NOW -> break
        :: else ->
            enter(PUT);
#ifndef MUTANT_NO_SECOND_LOOK
            try_put();
#endif
            if
            :: outcome == NOT_NOW -> sleep(PUT)
            :: else
            fi;
            leave(PUT);
            if
            :: outcome == NOT_NOW -> try_put()
            :: else
            fi
        od;
        if
        :: CAN_PUT -> wake(PUT)
        :: else
        fi
    :: else
    fi
}

inline get()
{
    try_take();
    if
    :: outcome == NOT_NOW ->
        do
        :: outcome != NOT_NOW -> break
        :: else ->
            enter(GET);
#ifndef MUTANT_NO_SECOND_LOOK
            try_take();
#endif
            if
            :: outcome == NOT_NOW -> sleep(GET)
            :: else
            fi;
            leave(GET);
            if
            :: outcome == NOT_NOW -> try_take()
            :: else
            fi
        od;
        if
        :: CAN_TAKE -> wake(GET)
        :: else
        fi
    :: else
    fi
}

/* hk_ring_task_done(). */
inline task_done()
{
    d_step {
        done++;
        ticket = done;
        note_done()
    };
    if
    :: ticket == TICKETS(tail) ->
#ifdef MUTANT_ROUNDS
        rounds++;
#endif
        d_step {
            if
            :: idle < ticket -> idle = ticket
            :: else
            fi
        };
        wake_all(END)
    :: else
    fi
}

#ifdef MUTANT_ROUNDS
#define TOLD (rounds != begun)
#else
#define TOLD (idle >= begun)
#endif

/* Of hk_ring_join(): two reads, in this order. */
inline try_join()
{
    if
    :: TOLD -> joined = true
    :: else ->
#ifdef MUTANT_JOIN_READS_TAIL_FIRST
        ticket = TICKETS(tail);
        joined = ticket == done
#else
        ticket = done;
        joined = ticket == TICKETS(tail)
#endif
    fi
}

inline join()
{
    d_step {
        was_done[me] = done == TICKETS(tail);
#ifdef MUTANT_ROUNDS
        begun = rounds
#else
        begun = TICKETS(tail)
#endif
    };
    try_join();
    do
    :: joined -> break
    :: else ->
        enter(END);
#ifndef MUTANT_JOIN_NO_SECOND_LOOK
        try_join();
#endif
        if
        :: !joined -> sleep(END)
        :: else
        fi;
        leave(END);
        if
        :: !joined -> try_join()
        :: else
        fi
    od;
    assert(was_done[me])
}

proctype putter(byte me)
{
    byte left = ITEMS;
    byte outcome, ticket, key, result, seen, woken, begun;
    bool claimed, joined;

    do
    :: left > 0 ->
        left--;
        put();
        if
        :: outcome == CLOSED -> break
        :: else
        fi
    :: else -> break
    od;
#ifdef PUTTERS_JOIN
    join()
#endif
}

proctype getter(byte me)
{
#if GETTERS > 0
    byte left = PUTTERS * ITEMS / GETTERS;
#endif
    byte outcome, ticket, key, result, seen, woken;
    bool claimed;

    do
#ifdef CLOSES
    :: true ->
#else
    :: left == 0 -> break
    :: left > 0 ->
        left--;
#endif
        get();
        if
        :: outcome == CLOSED -> break
        :: else
        fi;
#if JOINERS > 0 || defined(PUTTERS_JOIN)
        task_done()
#else
        skip
#endif
    od
}

/* hk_ring_close(). */
proctype closer(byte me)
{
    byte seen;

#ifdef MUTANT_CLOSED_IS_A_FLAG
    closed_flag = true;
#else
    tail = tail | CLOSED_BIT;
#endif
    wake_all(GET);
#ifndef MUTANT_CLOSE_LEAVES_PUTTERS
    wake_all(PUT)
#endif
}

proctype joiner(byte me)
{
    byte ticket, key, result, seen, woken, begun;
    bool claimed, joined;

    join()
}

init {
    atomic {
        byte i;
        for (i : 0 .. CAPACITY - 1) {
            sequence[i] = 2 * i
        }
        for (i : 1 .. PUTTERS) {
            run putter(i - 1)
        }
#if GETTERS > 0
        for (i : 1 .. GETTERS) {
            run getter(PUTTERS + i - 1)
        }
#endif
#if JOINERS > 0
        for (i : 1 .. JOINERS) {
            run joiner(PUTTERS + GETTERS + i - 1)
        }
#endif
#ifdef CLOSES
        run closer(SLEEPERS - 1)
#endif
    }
}
