/* SPDX-License-Identifier: MIT */
/*
 * What the suites of the futures layer share: futures brought into a state by
 * hand, threads that can be seen to wait, callbacks that write down their order,
 * and the library's log as text.
 */
#ifndef HOCKET_TESTS_PROMISE_FIXTURE_H
#define HOCKET_TESTS_PROMISE_FIXTURE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include <hocket/hocket.h>

#include "tests/fixture.h"
#include "tests/harness.h"

/* --- Futures in a state ------------------------------------------------------- */

/* What hkt_pair_end() leaves in a future. */
enum { HKT_VALUE = 42, HKT_APP_CODE = 7 };
#define HKT_MESSAGE "no luck"

/* A promise and its future, both held. */
struct hkt_pair {
    hk_promise *promise;
    hk_future *future;
};

/* The test ends here when there is none to be had. */
void hkt_pair_open(struct hkt_pair *pair);

/* Brings a PENDING future into a state: the value is the int HKT_VALUE, the
 * failure HKT_MESSAGE with HKT_APP_CODE. */
void hkt_pair_end(struct hkt_pair *pair, hk_state state);

/* Both at once. */
void hkt_pair_open_in(struct hkt_pair *pair, hk_state state);

/* Gives both back; a failure counts as read. Either may be NULL by then. */
void hkt_pair_close(struct hkt_pair *pair);

void hkt_pairs_open(struct hkt_pair *pairs, hk_future **futures, size_t count);
void hkt_pairs_close(struct hkt_pair *pairs, size_t count);

/* Ends a promise with an int. */
hk_status hkt_set_int(hk_promise *promise, int value);

/* The int in a DONE future; INT_MIN when there is none, which fails the test. */
int hkt_peek_int(hk_future *future);

/* --- Threads ------------------------------------------------------------------ */

struct hkt_thread {
    pthread_t thread;
    pid_t id; /* Of the kernel. */
    struct hkt_gate begun;
    void (*fn)(void *arg);
    void *arg;
};

/* Returns once the thread runs. */
void hkt_thread_start(struct hkt_thread *thread, void (*fn)(void *arg), void *arg);

/* Returns once the thread sleeps in the kernel; else the test fails. The thread
 * must have nothing else to sleep on than what the test wants it to. */
void hkt_thread_await_sleep(struct hkt_thread *thread);

void hkt_thread_join(struct hkt_thread *thread);

/* --- Callbacks ---------------------------------------------------------------- */

enum { HKT_ORDER_MAX = 32 };

/* Who ran, in which order. Filled in by one thread at a time. */
struct hkt_order {
    int who[HKT_ORDER_MAX];
    int count;
};

/* What a callback saw. */
struct hkt_seen {
    struct hkt_order *order; /* May be NULL. */
    int who;
    int calls;
    hk_state state;
    hk_status status; /* Of hk_future_result(). */
    int value;        /* If DONE with an int. */
    int app_code;     /* If FAILED. */
    pthread_t thread;
};

/* A hk_done_fn; arg is a struct hkt_seen. */
void hkt_see(hk_future *future, void *arg);

/* Adds hkt_see() without a place and without a handle. */
void hkt_watch(hk_future *future, struct hkt_seen *seen);

/* A hk_done_fn; arg is an atomic_uint, which counts one up. */
void hkt_count_call(hk_future *future, void *arg);

void hkt_order_note(struct hkt_order *order, int who);

/* Checks the whole order; count numbers follow. */
void hkt_order_expect(const struct hkt_order *order, int count, const int *who);

/* --- The log ------------------------------------------------------------------ */

struct hkt_log {
    pthread_mutex_t mutex;
    unsigned lines;
    hk_log_level level; /* Of the last line. */
    char text[2048];    /* All lines, each ended by a newline; cut to fit. */
};

/* Takes the library's lines until hkt_log_end(). */
void hkt_log_begin(struct hkt_log *log);
void hkt_log_end(struct hkt_log *log);

/* Whether any line so far holds the text. */
bool hkt_log_has(struct hkt_log *log, const char *text);

#endif
