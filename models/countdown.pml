/* SPDX-License-Identifier: MIT */
/*
 * A wait for all of several futures: watches that count down, and one wake.
 * futures/wait.c, futures/watch.c, futures/transition.c
 *
 * The waiter's group lies on its stack: nobody touches it once the wait has returned (an
 * assertion). A wait that has no limit in time returns when all have ended, and was woken at
 * most once; where it may give up, it does so at any moment. The parker's token is a flag
 * that a wake sets and a sleep consumes; a token of an earlier wait may be there.
 *
 * CHECK all      FUTURES=3
 * CHECK stale    FUTURES=2 STALE
 * CHECK timed    FUTURES=2 TIMED ROUNDS=2
 *
 * MUTANT ENDED_UNCOUNTED   all: one that has ended before it could be watched is not counted
 * MUTANT PUBLISH_BLIND     all: who publishes does not see that somebody came to watch
 * MUTANT WAKES_EACH        all: every end wakes the waiter
 * MUTANT WAKES_NEVER       all: the last end does not wake the waiter
 * MUTANT SLEEPS_ONCE       stale: a token of an earlier wait ends the wait
 * MUTANT STAYS_LINKED      timed: who gives up leaves its watches behind
 * MUTANT UNLINKS_UNLOCKED  timed: who gives up does not wait for an end that is being told
 */
#ifndef ROUNDS
#define ROUNDS 1
#endif

/* Of each future; the lock is that of its stripe. */
bool ended[FUTURES];
bool watched[FUTURES];
bool linked[FUTURES];
bool lock[FUTURES];

/* The group. */
bool is_alive;
byte missing;
byte wakes;

bool token;

#define acquire(i) atomic { !lock[i] -> lock[i] = true }
#define release(i) lock[i] = false

/* fire(), under the lock of the stripe: two steps, between which the waiter could go. */
inline fire(i)
{
    assert(is_alive);
    d_step {
        before = missing;
        missing--
    };
    if
#ifdef MUTANT_WAKES_EACH
    :: true ->
#elif defined(MUTANT_WAKES_NEVER)
    :: false ->
#else
    :: before == 1 ->
#endif
        assert(is_alive); /* The parker is the waiter's, and the group says which. */
        atomic {
            wakes++;
            token = true
        }
    :: else
    fi
}

/* hki_future_publish() */
proctype worker(byte i)
{
    byte before;
    bool is_published;

#ifdef MUTANT_PUBLISH_BLIND
    bool was_watched = watched[i];

    atomic {
        if
        :: !was_watched -> ended[i] = true; is_published = true
        :: else
        fi
    };
#else
    atomic {
        if
        :: !watched[i] -> ended[i] = true; is_published = true
        :: else
        fi
    };
#endif
    if
    :: is_published
    :: else ->
        acquire(i);
        atomic {
            ended[i] = true;
            watched[i] = false
        };
        if
        :: linked[i] ->
            linked[i] = false;
            fire(i)
        :: else
        fi;
        release(i)
    fi
}

/* watch_and_sleep() */
proctype waiter()
{
    byte i, round;
    bool was_ended, gives_up;

    for (round : 1 .. ROUNDS) {
        gives_up = false;
        atomic {
            missing = FUTURES;
            wakes = 0;
            is_alive = true
        };
        for (i : 0 .. FUTURES - 1) {
            acquire(i);
            atomic {
                was_ended = ended[i];
                if
                :: !was_ended ->
                    watched[i] = true;
                    linked[i] = true
                :: else
                fi
            };
            release(i);
            if
#ifndef MUTANT_ENDED_UNCOUNTED
            :: was_ended -> d_step { missing-- }
#endif
            :: else
            fi
        };
        do
        :: missing == 0 || gives_up -> break
        :: missing != 0 && !gives_up ->
            if
            :: atomic { token -> token = false }
#ifdef TIMED
            :: gives_up = true
#endif
            fi;
#ifdef MUTANT_SLEEPS_ONCE
            break
#endif
        od;
        for (i : 0 .. FUTURES - 1) {
#ifndef MUTANT_STAYS_LINKED
#ifdef MUTANT_UNLINKS_UNLOCKED
            linked[i] = false
#else
            acquire(i);
            linked[i] = false;
            release(i)
#endif
#else
            skip
#endif
        };
        is_alive = false;
        assert(wakes <= 1);
        if
        :: !gives_up ->
            for (i : 0 .. FUTURES - 1) {
                assert(ended[i])
            }
        :: else
        fi
    }
}

init {
    atomic {
        byte n;
#ifdef STALE
        token = true;
#endif
        for (n : 0 .. FUTURES - 1) {
            run worker(n)
        };
        run waiter()
    }
}
