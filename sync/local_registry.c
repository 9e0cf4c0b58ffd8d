/* SPDX-License-Identifier: MIT */
#include "sync/local_impl.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/no_cancel.h"
#include "sync/block.h"
#include "sync/thread_end.h"

enum { KEYS_MIN = 16, SLOTS_MIN = 8 };

/* A place, either of a local or free. */
struct place {
    hk_local *local;
    uint32_t next_free;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;

/* All under the lock. */
static uint64_t changes;
static struct hki_list threads = {&threads, &threads};
static struct hki_list orphans = {&orphans, &orphans}; /* Of a parent process. */
static uint64_t last_thread;
static uint64_t last_key;
static struct place *places;
static uint32_t place_count; /* Place 0 is never given out. */
static uint32_t first_free;  /* 0: none. */

/* What a thread without objects looks at: no key is all ones. */
static struct hk_local_slot_ no_slots[1] = {{.key = UINT64_MAX}};

__thread struct hk_local_table_ hk_local_table_ = {no_slots, 0};

static _Thread_local struct hki_local_thread *own;
static _Thread_local struct hki_local_call *calls;
static _Thread_local bool builds_no_more;

void hki_local_lock(void)
{
    pthread_mutex_lock(&lock);
}

void hki_local_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

struct hki_local_call **hki_local_calls(void)
{
    return &calls;
}

void hki_local_stop_building(void)
{
    builds_no_more = true;
}

/* --- Waiting for each other --- */

/* Whoever visits, folds or drops is at work. */
static enum hki_wait_kind look(void *object, size_t *count)
{
    (void)object;
    *count = 0;
    return HKI_WAIT_MOVES;
}

static void describe(void *object, char *text, size_t size)
{
    (void)object;
    snprintf(text, size, "%s", "a per-thread object in use");
}

void hki_local_changed(void)
{
    changes++;
    pthread_cond_broadcast(&change);
}

void hki_local_await_change(void)
{
    static const struct hki_wait_ops ops = {.look = look, .next = NULL, .describe = describe};
    struct hki_agent *agent = hki_agent_self();
    uint64_t seen = changes;
    hk_status status;
    HKI_NO_CANCEL;

    pthread_mutex_unlock(&lock);
    /* Without memory the wait goes on unseen, and likewise within another one: it is for somebody
     * who is at work, so it could not have been refused. */
    status = hki_block_begin(agent, (struct hki_wait_node){&ops, NULL}, false);
    pthread_mutex_lock(&lock);
    while (changes == seen) {
        pthread_cond_wait(&change, &lock);
    }
    if (status == HK_OK) {
        pthread_mutex_unlock(&lock);
        hki_block_end(agent);
        pthread_mutex_lock(&lock);
    }
}

/* --- Keys --- */

static _Atomic(uint64_t) *key_of(const hk_local *local)
{
    return (_Atomic(uint64_t) *)&local->key_;
}

/* Under the lock, which is let go while memory is asked for. */
static hk_status make_places(void)
{
    uint32_t count = place_count;
    uint32_t wanted = count == 0 ? KEYS_MIN : count * 2;
    struct place *more;
    struct place *old;

    if (wanted > HKI_LOCAL_PLACE_MASK + 1) {
        return HK_ENOMEM;
    }
    pthread_mutex_unlock(&lock);
    more = hki_zalloc(wanted * sizeof(*more));
    pthread_mutex_lock(&lock);
    if (more == NULL) {
        return HK_ENOMEM;
    }
    old = more;
    if (place_count == count) { /* Else somebody was faster. */
        if (count > 0) {
            memcpy(more, places, count * sizeof(*more));
        }
        for (uint32_t i = wanted - 1; i >= (count == 0 ? 1 : count); i--) {
            more[i].next_free = first_free;
            first_free = i;
        }
        old = places;
        places = more;
        place_count = wanted;
        wanted = count;
    }
    pthread_mutex_unlock(&lock);
    hki_free(old, wanted * sizeof(*old));
    pthread_mutex_lock(&lock);
    return HK_OK;
}

hk_status hki_local_key(hk_local *local, uint64_t *key)
{
    hk_status status = HK_OK;
    uint32_t place;

    /* relaxed: the number says nothing about any other memory. */
    *key = atomic_load_explicit(key_of(local), memory_order_relaxed);
    if (*key != 0) {
        return HK_OK;
    }
    pthread_mutex_lock(&lock);
    while (status == HK_OK && local->key_ == 0 && first_free == 0) {
        status = make_places();
    }
    if (status == HK_OK && local->key_ == 0) {
        place = first_free;
        first_free = places[place].next_free;
        places[place].local = local;
        /* relaxed: as above. */
        atomic_store_explicit(key_of(local), ++last_key << HKI_LOCAL_PLACE_BITS | place,
                              memory_order_relaxed);
    }
    *key = local->key_;
    pthread_mutex_unlock(&lock);
    return status;
}

void hki_local_forget_key(hk_local *local)
{
    uint32_t place = (uint32_t)(local->key_ & HKI_LOCAL_PLACE_MASK);

    places[place] = (struct place){NULL, first_free};
    first_free = place;
    /* relaxed: nobody else uses the local. */
    atomic_store_explicit(key_of(local), 0, memory_order_relaxed);
}

hk_local *hki_local_of(uint64_t key)
{
    return places[key & HKI_LOCAL_PLACE_MASK].local;
}

/* --- Threads --- */

struct hki_local_thread *hki_local_thread_self(void)
{
    return own;
}

struct hk_local_slot_ *hki_local_slot(struct hki_local_thread *thread, uint64_t key)
{
    struct hk_local_slot_ *slot = &thread->slots[key & thread->mask];

    return slot->key == key ? slot : NULL;
}

void hki_local_thread_free(struct hki_local_thread *thread)
{
    hki_free(thread->slots, (thread->mask + 1) * sizeof(*thread->slots));
    hki_free(thread, sizeof(*thread));
}

/* Memory of threads that a fork left in the parent; no time for that in the fork. */
static void free_orphans(void)
{
    struct hki_list gone;
    struct hki_list *link;

    hki_list_init(&gone);
    pthread_mutex_lock(&lock);
    hki_list_append_all(&gone, &orphans);
    pthread_mutex_unlock(&lock);
    while ((link = hki_list_take_first(&gone)) != NULL) {
        hki_local_thread_free(HKI_CONTAINER(link, struct hki_local_thread, link));
    }
}

static struct hk_local_slot_ *make_slots(size_t count)
{
    struct hk_local_slot_ *slots = hki_zalloc(count * sizeof(*slots));

    if (slots != NULL) {
        slots[0].key = UINT64_MAX;
    }
    return slots;
}

static size_t room_for(uint64_t key)
{
    size_t room = SLOTS_MIN;

    while (room <= (key & HKI_LOCAL_PLACE_MASK)) {
        room *= 2;
    }
    return room;
}

static hk_status make_thread(uint64_t key)
{
    size_t room = room_for(key);
    struct hki_local_thread *thread = hki_zalloc(sizeof(*thread));

    if (thread == NULL) {
        return HK_ENOMEM;
    }
    thread->slots = make_slots(room);
    if (thread->slots == NULL) {
        hki_free(thread, sizeof(*thread));
        return HK_ENOMEM;
    }
    thread->mask = room - 1;
    free_orphans();
    pthread_mutex_lock(&lock);
    thread->serial = ++last_thread;
    hki_list_append(&threads, &thread->link);
    pthread_mutex_unlock(&lock);
    own = thread;
    hk_local_table_ = (struct hk_local_table_){thread->slots, thread->mask};
    return HK_OK;
}

static hk_status enlarge(struct hki_local_thread *thread, uint64_t key)
{
    size_t room = room_for(key);
    struct hk_local_slot_ *slots = make_slots(room);
    struct hk_local_slot_ *old = thread->slots;
    size_t old_room = thread->mask + 1;

    if (slots == NULL) {
        return HK_ENOMEM;
    }
    pthread_mutex_lock(&lock);
    memcpy(slots, old, old_room * sizeof(*slots));
    thread->slots = slots;
    thread->mask = room - 1;
    pthread_mutex_unlock(&lock);
    hk_local_table_ = (struct hk_local_table_){slots, thread->mask};
    hki_free(old, old_room * sizeof(*old));
    return HK_OK;
}

hk_status hki_local_thread_ready(uint64_t key, struct hki_local_thread **thread)
{
    hk_status status = HK_OK;

    if (builds_no_more) {
        return HK_ESTATE;
    }
    if (!hki_thread_end_watch()) {
        return HK_ENOMEM;
    }
    if (own == NULL) {
        status = make_thread(key);
    } else if ((key & HKI_LOCAL_PLACE_MASK) > own->mask) {
        status = enlarge(own, key);
    }
    *thread = own;
    return status;
}

void hki_local_thread_remove(struct hki_local_thread *thread)
{
    hki_list_remove(&thread->link);
    own = NULL;
    hk_local_table_ = (struct hk_local_table_){no_slots, 0};
}

struct hki_local_thread *hki_local_thread_after(uint64_t serial, uint64_t limit)
{
    for (struct hki_list *at = threads.next; at != &threads; at = at->next) {
        struct hki_local_thread *thread = HKI_CONTAINER(at, struct hki_local_thread, link);

        if (thread->serial > serial) {
            return thread->serial <= limit ? thread : NULL;
        }
    }
    return NULL;
}

struct hki_local_thread *hki_local_thread_next(struct hki_local_thread *thread, uint64_t limit)
{
    struct hki_list *next = thread->link.next;

    return next == &threads ? NULL
           : HKI_CONTAINER(next, struct hki_local_thread, link)->serial <= limit
               ? HKI_CONTAINER(next, struct hki_local_thread, link)
               : NULL;
}

uint64_t hki_local_last_serial(void)
{
    return last_thread;
}

/* --- Forks --- */

/* What the threads of the parent were doing is not being done here: their objects are
 * forgotten, and nobody visits, folds or drops but this thread. */
static void keep_own(void)
{
    struct hki_list all;
    struct hki_list *link;

    pthread_cond_init(&change, NULL);
    hki_list_init(&all);
    hki_list_append_all(&all, &threads);
    while ((link = hki_list_take_first(&all)) != NULL) {
        bool is_own = own != NULL && link == &own->link;

        hki_list_append(is_own ? &threads : &orphans, link);
    }
    for (uint64_t i = 0; own != NULL && i <= own->mask; i++) {
        own->slots[i].visits = 0;
    }
    for (uint32_t i = 1; i < place_count; i++) {
        if (places[i].local != NULL) {
            places[i].local->folder_ = NULL;
            places[i].local->uses_ = 0;
        }
    }
    for (const struct hki_local_call *call = calls; call != NULL; call = call->outer) {
        hk_local *local = (hk_local *)call->local;

        local->folder_ = call->kind == HKI_LOCAL_FOLDS ? &calls : local->folder_;
        local->uses_ += call->kind != HKI_LOCAL_VISITS ? 1 : 0;
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&lock);
    (void)pthread_atfork(NULL, NULL, keep_own);
}
