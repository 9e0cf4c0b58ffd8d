/* SPDX-License-Identifier: MIT */
/*
 * Completion queues: futures in the order in which they end.
 *
 * An entry is in one of two lists, both under `lock`: outstanding (its watch is
 * linked in the future) or ready. The fire of its watch moves it, under the
 * future's stripe; so lock ranks behind stripes and nothing is taken under it.
 * An entry holds one reference to its future and hands it to the reader.
 */
#include <hocket/completion.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/fork.h"
#include "base/live.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/slab.h"
#include "base/time.h"
#include "base/world.h"
#include "futures/wait_impl.h"
#include "sync/condition.h"

struct entry {
    struct hki_watch watch;
    struct hki_list link; /* outstanding or ready. */
    hk_completion *completion;
    hk_future *future;
    uintptr_t tag;
};

static const struct hki_slab_class entries = {HKI_SLAB_ENTRIES, sizeof(struct entry)};

struct hk_completion {
    pthread_mutex_t lock;
    struct hki_condition changed;
    struct hki_list outstanding;
    struct hki_list ready;
    size_t undelivered; /* Length of both lists. */
    size_t added;
    size_t made_ready;   /* How many have ever become ready. */
    unsigned looked_at;  /* Readers that sleep and are in the graph. */
    int64_t deadline_ns; /* For all of hk_as_completed(). */
    bool told;           /* The log knows that the time ran out. */
    int fd;              /* -1 until asked for. */
    uint32_t generation;
};

hk_status hk_completion_create(hk_completion **out)
{
    hk_completion *completion;

    if (out == NULL) {
        return HK_EINVAL;
    }
    if ((completion = hki_zalloc(sizeof(*completion))) == NULL) {
        return HK_ENOMEM;
    }
    pthread_mutex_init(&completion->lock, NULL);
    hki_condition_init(&completion->changed);
    hki_list_init(&completion->outstanding);
    hki_list_init(&completion->ready);
    completion->deadline_ns = HKI_NEVER;
    completion->fd = -1;
    completion->generation = hki_fork_generation();
    hki_live_add(HKI_LIVE_COMPLETIONS, 1);
    *out = completion;
    return HK_OK;
}

/* outstanding -> ready. */
static void make_ready(struct entry *entry)
{
    hk_completion *completion = entry->completion;

    pthread_mutex_lock(&completion->lock);
    if (hki_list_empty(&completion->ready) && completion->fd >= 0) {
        hki_os_event_signal(completion->fd);
    }
    hki_list_remove(&entry->link);
    hki_list_append(&completion->ready, &entry->link);
    completion->made_ready++;
    if (completion->looked_at != 0) {
        hki_condition_broadcast(&completion->changed); /* Who does not get it looks again. */
    } else {
        hki_condition_signal(&completion->changed);
    }
    pthread_mutex_unlock(&completion->lock);
}

static void fire(struct hki_watch *watch, unsigned phase)
{
    (void)phase;
    make_ready(HKI_CONTAINER(watch, struct entry, watch));
}

hk_status hk_completion_add(hk_completion *completion, hk_future *future, uintptr_t tag)
{
    struct entry *entry;
    hk_status status;

    if (completion == NULL || future == NULL) {
        return HK_EINVAL;
    }
    if ((status = hki_future_usable(future)) != HK_OK) {
        return status;
    }
    if (hki_fork_foreign(completion->generation)) {
        return HK_EFORKED;
    }
    if ((entry = hki_slab_zalloc(&entries)) == NULL) {
        return HK_ENOMEM;
    }
    entry->watch.fire = fire;
    entry->completion = completion;
    entry->future = hk_future_ref(future);
    entry->tag = tag;
    pthread_mutex_lock(&completion->lock);
    hki_list_append(&completion->outstanding, &entry->link);
    completion->undelivered++;
    completion->added++;
    pthread_mutex_unlock(&completion->lock);
    if (hki_future_watch(future, &entry->watch) == HKI_WATCH_ENDED) {
        make_ready(entry);
    }
    return HK_OK;
}

/* Under the lock: the first ready entry, or NULL. */
static struct entry *take_ready(hk_completion *completion)
{
    struct hki_list *first = hki_list_take_first(&completion->ready);

    if (first == NULL) {
        return NULL;
    }
    if (hki_list_empty(&completion->ready) && completion->fd >= 0) {
        hki_os_event_drain(completion->fd);
    }
    if (--completion->undelivered == 0) {
        hki_condition_broadcast(&completion->changed); /* Other readers: nothing is left. */
    }
    return HKI_CONTAINER(first, struct entry, link);
}

static void deliver(struct entry *entry, hk_future **future, uintptr_t *tag)
{
    /* A look may have found the future among the outstanding ones. */
    hki_wait_graph_settle();
    if (tag != NULL) {
        *tag = entry->tag;
    }
    if (future != NULL) {
        *future = entry->future;
    } else {
        hk_future_unref(entry->future);
    }
    hki_slab_free(&entries, entry);
}

/* Waiting for the next one is waiting for any that is outstanding. */
static enum hki_wait_kind look_at_completion(void *object, size_t *count)
{
    hk_completion *completion = object;
    bool ready;

    pthread_mutex_lock(&completion->lock);
    ready = !hki_list_empty(&completion->ready) || completion->undelivered == 0;
    *count = completion->undelivered;
    pthread_mutex_unlock(&completion->lock);
    return ready ? HKI_WAIT_MOVES : HKI_WAIT_ANY;
}

static struct hki_wait_node next_of_completion(void *object, size_t i)
{
    hk_completion *completion = object;
    struct hki_wait_node node = {NULL, NULL};
    struct hki_list *at;

    pthread_mutex_lock(&completion->lock);
    for (at = completion->outstanding.next; at != &completion->outstanding; at = at->next) {
        if (i-- == 0) {
            node = hki_future_node(HKI_CONTAINER(at, struct entry, link)->future);
            break;
        }
    }
    pthread_mutex_unlock(&completion->lock);
    return node;
}

static void describe_completion(void *object, char *text, size_t size)
{
    snprintf(text, size, "the next of completion queue %p", object);
}

/* Runs one outstanding task on this stack, if one may. */
static bool claim_one(hk_completion *completion, struct hki_agent *agent)
{
    hk_future *found = NULL;
    struct hki_list *at;

    pthread_mutex_lock(&completion->lock);
    for (at = completion->outstanding.next; at != &completion->outstanding; at = at->next) {
        hk_future *future = HKI_CONTAINER(at, struct entry, link)->future;

        if (hki_future_claimable(future, agent)) {
            found = hk_future_ref(future);
            break;
        }
    }
    pthread_mutex_unlock(&completion->lock);
    if (found == NULL) {
        return false;
    }
    (void)found->origin->claim(found, agent);
    hk_future_unref(found);
    return true;
}

/* Under the lock. */
static bool must_wait(const hk_completion *completion)
{
    return hki_list_empty(&completion->ready) && completion->undelivered != 0;
}

/* Looks for results for a moment, where those who run the futures let a waiting thread. False: it
 * had to end the block. */
static bool assist_one(hk_completion *completion, struct hki_agent *agent, int64_t deadline_ns)
{
    hk_future *found = NULL;
    struct hki_list *at;

    pthread_mutex_lock(&completion->lock);
    at = completion->outstanding.next;
    if (at != &completion->outstanding) {
        hk_future *first = HKI_CONTAINER(at, struct entry, link)->future;

        found = first->origin->assist == NULL ? NULL : hk_future_ref(first);
    }
    pthread_mutex_unlock(&completion->lock);
    if (found != NULL) {
        found->origin->assist(found, deadline_ns);
        if (!hki_future_unref_shared(found)) {
            /* The last reference to a failure that nobody read calls a hook, which may wait. */
            hki_block_end(agent);
            hk_future_unref(found);
            return false;
        }
    }
    return true;
}

/* Sleeps until an entry is ready or none is left. It looks at the graph before every
 * sleep, and sleeps only if no entry came and went since: the reader who took it need not
 * be in the graph, and who looked in that moment thought that this one moves. */
static hk_status sleep_for_next(hk_completion *completion, int64_t deadline_ns)
{
    static const struct hki_wait_ops ops = {.look = look_at_completion,
                                            .next = next_of_completion,
                                            .describe = describe_completion,
                                            .verb = "awaiting"};
    struct hki_agent *agent = hki_agent_self();
    struct hki_wait_node node = {&ops, completion};
    hk_status status = HK_OK;
    unsigned looks = 0;
    bool in_time = true;
    bool begun = false;

    pthread_mutex_lock(&completion->lock);
    while (status == HK_OK && in_time && must_wait(completion)) {
        size_t made_ready = completion->made_ready;

        pthread_mutex_unlock(&completion->lock); /* A look takes it. */
        status = begun ? hki_block_look_again(agent, node, deadline_ns != HKI_NEVER)
                       : hki_block_begin(agent, node, deadline_ns != HKI_NEVER);
        begun = status == HK_OK;
        begun = begun && assist_one(completion, agent, deadline_ns);
        pthread_mutex_lock(&completion->lock);
        if (begun && must_wait(completion) && completion->made_ready == made_ready) {
            unsigned one = hki_block_is_looked_at(agent) ? 1 : 0;
            int64_t until_ns = hki_block_until(agent, deadline_ns, &looks);

            completion->looked_at += one;
            in_time = hki_condition_wait(&completion->changed, &completion->lock, until_ns) ||
                      until_ns != deadline_ns;
            completion->looked_at -= one;
        }
    }
    if (!in_time && hki_list_empty(&completion->ready)) {
        status = hki_block_ran_out(deadline_ns);
    }
    pthread_mutex_unlock(&completion->lock);
    if (begun) {
        hki_block_end(agent);
    }
    return status;
}

/* Once, when the time for all has run out. */
static void tell_time_out(hk_completion *completion)
{
    size_t unfinished;
    size_t added;
    bool tell;

    pthread_mutex_lock(&completion->lock);
    tell = !completion->told && completion->deadline_ns != HKI_NEVER &&
           hk_now_ns() >= completion->deadline_ns;
    completion->told = completion->told || tell;
    unfinished = completion->undelivered;
    added = completion->added;
    pthread_mutex_unlock(&completion->lock);
    if (tell) {
        hki_log(HK_LOG_INFO, "as_completed ran out of time: %zu of %zu futures are unfinished",
                unfinished, added);
    }
}

hk_status hk_completion_next(hk_completion *completion, hk_duration timeout, hk_future **future,
                             uintptr_t *tag)
{
    struct hki_agent *agent = hki_agent_self();
    int64_t deadline_ns;

    if (completion == NULL || !hki_duration_valid(timeout)) {
        return HK_EINVAL;
    }
    if (hki_fork_foreign(completion->generation)) {
        return HK_EFORKED;
    }
    if (timeout == 0) {
        hki_world_poll();
    }
    deadline_ns = hki_earlier(completion->deadline_ns, timeout == 0 ? 0 : hki_deadline(timeout));
    for (;;) {
        hk_status status;
        struct entry *entry;
        size_t undelivered;

        pthread_mutex_lock(&completion->lock);
        undelivered = completion->undelivered;
        entry = take_ready(completion);
        pthread_mutex_unlock(&completion->lock);
        if (entry != NULL) {
            deliver(entry, future, tag);
            return HK_OK;
        }
        if (undelivered == 0) {
            return HK_EDONE;
        }
        if (agent->depth > 0 && deadline_ns == HKI_NEVER && claim_one(completion, agent)) {
            continue;
        }
        status = deadline_ns != HKI_NEVER && hk_now_ns() >= deadline_ns
                     ? HK_ETIMEDOUT
                     : sleep_for_next(completion, deadline_ns);
        if (status != HK_OK) {
            if (status == HK_ETIMEDOUT) {
                tell_time_out(completion);
            }
            return status;
        }
    }
}

size_t hk_completion_outstanding(const hk_completion *completion)
{
    hk_completion *counted = (hk_completion *)completion;
    size_t count;

    if (completion == NULL || hki_fork_foreign(completion->generation)) {
        return 0;
    }
    pthread_mutex_lock(&counted->lock);
    count = counted->undelivered;
    pthread_mutex_unlock(&counted->lock);
    return count;
}

hk_status hk_completion_fd(hk_completion *completion, int *fd)
{
    hk_status status = HK_OK;

    if (completion == NULL || fd == NULL) {
        return HK_EINVAL;
    }
    if (hki_fork_foreign(completion->generation)) {
        return HK_EFORKED;
    }
    pthread_mutex_lock(&completion->lock);
    if (completion->fd < 0) {
        if ((completion->fd = hki_os_event_create()) < 0) {
            status = HK_ESYS;
        } else if (!hki_list_empty(&completion->ready)) {
            hki_os_event_signal(completion->fd);
        }
    }
    if (status == HK_OK) {
        *fd = completion->fd;
    }
    pthread_mutex_unlock(&completion->lock);
    return status;
}

/* Any entry at all, unlinked from the lists; NULL when none is left. */
static struct entry *take_any(hk_completion *completion)
{
    struct entry *entry = NULL;

    for (;;) {
        struct hki_list *first;

        pthread_mutex_lock(&completion->lock);
        first = hki_list_take_first(&completion->ready);
        if (first == NULL && !hki_list_empty(&completion->outstanding)) {
            entry = HKI_CONTAINER(completion->outstanding.next, struct entry, link);
        }
        pthread_mutex_unlock(&completion->lock);
        if (first != NULL) {
            return HKI_CONTAINER(first, struct entry, link);
        }
        if (entry == NULL) {
            return NULL;
        }
        /* Without the lock: stripes come first. If it fires meanwhile it is ready. */
        if (hki_future_unwatch(entry->future, &entry->watch)) {
            pthread_mutex_lock(&completion->lock);
            hki_list_remove(&entry->link);
            pthread_mutex_unlock(&completion->lock);
            return entry;
        }
        entry = NULL;
    }
}

void hk_completion_destroy(hk_completion *completion)
{
    struct entry *entry;

    if (completion == NULL || hki_fork_foreign(completion->generation)) {
        return; /* In a child its lock may be held by a thread that is not here. */
    }
    while ((entry = take_any(completion)) != NULL) {
        deliver(entry, NULL, NULL);
    }
    if (completion->fd >= 0) {
        hki_os_close(completion->fd);
    }
    pthread_mutex_destroy(&completion->lock);
    hki_free(completion, sizeof(*completion));
    hki_live_add(HKI_LIVE_COMPLETIONS, -1);
}

struct place {
    hk_future *future;
    size_t index;
};

/* By future, then by place: the first of equals is the first in the array. */
static int compare_places(const void *one, const void *other)
{
    const struct place *a = one;
    const struct place *b = other;

    if (a->future != b->future) {
        return (uintptr_t)a->future < (uintptr_t)b->future ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_indexes(const void *one, const void *other)
{
    const struct place *a = one;
    const struct place *b = other;

    return a->index < b->index ? -1 : a->index > b->index;
}

static hk_status add_each_once(hk_completion *completion, struct place *places, size_t count)
{
    size_t kept = 0;

    qsort(places, count, sizeof(*places), compare_places);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || places[kept - 1].future != places[i].future) {
            places[kept++] = places[i];
        }
    }
    /* Back in the caller's order: ended ones are delivered as they stand there. */
    qsort(places, kept, sizeof(*places), compare_indexes);
    for (size_t i = 0; i < kept; i++) {
        hk_status status = hk_completion_add(completion, places[i].future, places[i].index);

        if (status != HK_OK) {
            return status;
        }
    }
    return HK_OK;
}

hk_status hk_as_completed(hk_future *const *futures, size_t count, hk_duration limit,
                          hk_completion **out)
{
    hk_completion *completion;
    struct place *places = NULL;
    hk_status status;

    if (out == NULL || (futures == NULL && count != 0) || !hki_duration_valid(limit) ||
        !hki_array_exists(count, sizeof(*places))) {
        return HK_EINVAL;
    }
    if (count != 0 && (places = hki_alloc(count * sizeof(*places))) == NULL) {
        return HK_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        places[i] = (struct place){futures[i], i};
    }
    if ((status = hk_completion_create(&completion)) == HK_OK) {
        completion->deadline_ns = hki_deadline(limit);
        status = count == 0 ? HK_OK : add_each_once(completion, places, count);
        if (status == HK_OK) {
            *out = completion;
        } else {
            hk_completion_destroy(completion);
        }
    }
    if (places != NULL) {
        hki_free(places, count * sizeof(*places));
    }
    return status;
}
