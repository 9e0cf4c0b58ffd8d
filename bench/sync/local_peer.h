/* SPDX-License-Identifier: MIT */
/*
 * What bench_local wants of per-thread objects. local_loops.h makes most of it out of
 * two functions.
 */
#ifndef BENCH_SYNC_LOCAL_PEER_H
#define BENCH_SYNC_LOCAL_PEER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { LOCALS_MAX = 100 };

struct local_object {
    uint64_t counter;
    char more[56];
};

struct local_peer {
    /* Declares so many locals, and forgets them. */
    void (*begin)(size_t count);
    void (*end)(void);
    /* Adds 1 to the calling thread's counter of the first local, so often; gives it. */
    uint64_t (*count_up)(uint64_t times);
    /* The calling thread's first access to each local. NULL: nothing is built. */
    void (*touch)(size_t count);
    /* Called by the thread when it has touched them; NULL: the end of the thread drops. */
    void (*leave)(void);
    /* Adds up the counters of all threads of the first local. NULL: cannot. */
    uint64_t (*add_up)(void);
};

/* Every peer builds with these, so that what is compared is the rest. */
struct local_object *local_make(void);
void local_drop(void *object);

/* Objects that were made and not dropped. */
size_t local_live(void);

/* A peer that was not built is NULL: its package is not here. */
#define LOCAL_PEER(name) extern const struct local_peer name __attribute__((weak))

LOCAL_PEER(local_hocket);
LOCAL_PEER(local_hocket_fold);
LOCAL_PEER(local_alone);
LOCAL_PEER(local_thread);
LOCAL_PEER(local_thread_so);
LOCAL_PEER(local_pthread);
LOCAL_PEER(local_c11);
LOCAL_PEER(local_glib);
LOCAL_PEER(local_apr);
LOCAL_PEER(local_tbb);
LOCAL_PEER(local_tbb_key);
LOCAL_PEER(local_boost);

#ifdef __cplusplus
}
#endif

#endif
