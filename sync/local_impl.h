/* SPDX-License-Identifier: MIT */
/*
 * Per-thread objects from the inside.
 *
 * Every local in use has a key: a number that is never used again, and in its low bits
 * the place that its objects have in the slots of every thread. A slot that holds the
 * key holds the local's object of that thread; so a slot left over from an earlier
 * local of the same place is told apart.
 *
 * The registry knows all threads that have slots, and all keys. Its lock guards
 *   - the list of threads, the table of keys, and the counters in the locals,
 *   - every change of a slot, and every look at a slot of another thread.
 * A thread looks at its own slots without it: nobody else writes to those of locals
 * that it may use. Keys of slots are atomic, since a look at a place of one's own may
 * hit the slot of a local that is just being destroyed.
 *
 * No function of the application runs under the lock. What must not change meanwhile
 * is marked: visits of a slot keep its object, folder_ of a local keeps its total (no
 * object is retired or folded by another thread), uses_ of a local keeps the local.
 */
#ifndef HOCKET_SYNC_LOCAL_IMPL_H
#define HOCKET_SYNC_LOCAL_IMPL_H

#include <hocket/local.h>

#include "base/list.h"

enum { HKI_LOCAL_PLACE_BITS = 24 };
#define HKI_LOCAL_PLACE_MASK ((UINT64_C(1) << HKI_LOCAL_PLACE_BITS) - 1)

/* A thread that has slots. Linked in the order in which threads came. */
struct hki_local_thread {
    struct hki_list link;
    uint64_t serial;
    struct hk_local_slot_ *slots; /* mask + 1 of them; the first is never used. */
    uint64_t mask;
    /* The ends of two chains of full slots, in the order in which they were built; 0: none. */
    uint32_t newest;  /* What is here to stay. */
    uint32_t leaving; /* What is being dropped, for the thread ends. */
};

/* A function of the application that the library calls for a local, innermost
 * first: who calls back is known by it. */
enum hki_local_call_kind { HKI_LOCAL_VISITS = 1, HKI_LOCAL_FOLDS = 2, HKI_LOCAL_DROPS = 4 };
struct hki_local_call {
    const hk_local *local;
    enum hki_local_call_kind kind;
    struct hki_local_call *outer;
};

/* --- local_registry.c --- */

void hki_local_lock(void);
void hki_local_unlock(void);

/* Under the lock: something that others may wait for has changed. */
void hki_local_changed(void);

/* Lets go of the lock, sleeps until something has changed since it was taken last, and
 * takes it again. */
void hki_local_await_change(void);

/* The key of a local, made if it has none. HK_ENOMEM. */
hk_status hki_local_key(hk_local *local, uint64_t *key);

/* Under the lock: gives the key back, and the local has none. */
void hki_local_forget_key(hk_local *local);

/* Under the lock: who has a key. */
hk_local *hki_local_of(uint64_t key);

/* The calling thread's; NULL if it has none. */
struct hki_local_thread *hki_local_thread_self(void);

/* The calling thread's, with a slot for the key; made and enlarged if need be.
 * HK_ENOMEM; HK_ESTATE in the last round of a thread's end. */
hk_status hki_local_thread_ready(uint64_t key, struct hki_local_thread **thread);

/* Under the lock: lets go of the calling thread's record, which holds no object any
 * more. The caller frees it after that with hki_local_thread_free(). */
void hki_local_thread_remove(struct hki_local_thread *thread);
void hki_local_thread_free(struct hki_local_thread *thread);

/* Under the lock: the first thread that came after serial, and no later than limit; NULL
 * if there is none. */
struct hki_local_thread *hki_local_thread_after(uint64_t serial, uint64_t limit);

/* Under the lock: the one that came after this one. */
struct hki_local_thread *hki_local_thread_next(struct hki_local_thread *thread, uint64_t limit);

/* Under the lock: the number of the thread that came last. */
uint64_t hki_local_last_serial(void);

/* Under the lock: the slot that holds the key; NULL if none does. */
struct hk_local_slot_ *hki_local_slot(struct hki_local_thread *thread, uint64_t key);

/* The innermost call of the calling thread. */
struct hki_local_call **hki_local_calls(void);

/* --- local.c --- */

/* One round of a thread's end. True if there is something to do for another one: drop functions
 * have built objects. */
bool hki_local_leave(void);

/* From now on the calling thread builds nothing. */
void hki_local_stop_building(void);

#endif
