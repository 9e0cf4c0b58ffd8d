/* SPDX-License-Identifier: MIT */
/*
 * Linking and unlinking interest in a future's end (I3, I4).
 *
 * The list: next leads from the first to the last, and is NULL there; previous leads back, and
 * from the first to the last. So one word of the future is enough, and both ends are at hand.
 */
#include "futures/future_impl.h"

/* Under the stripe lock, like all that follows: the word that has the first one. */
static void set_first(hk_future *future, struct hki_watch *first)
{
    struct hki_future_rest *rest = hki_future_rest(future);

    if (rest != NULL) {
        rest->watches = first;
    } else {
        /* relaxed: read under the lock alone. */
        atomic_store_explicit(&future->more, (uintptr_t)first, memory_order_relaxed);
    }
}

struct hki_watch *hki_future_first_watch(const hk_future *future)
{
    struct hki_future_rest *rest = hki_future_rest(future);

    /* relaxed: written under the lock alone. */
    return rest != NULL ? rest->watches
                        : (struct hki_watch *)atomic_load_explicit(&((hk_future *)future)->more,
                                                                   memory_order_relaxed);
}

static void link_watch(hk_future *future, struct hki_watch *watch)
{
    struct hki_watch *first = hki_future_first_watch(future);

    watch->next = NULL;
    if (first == NULL) {
        watch->previous = watch;
        set_first(future, watch);
    } else {
        watch->previous = first->previous;
        first->previous->next = watch;
        first->previous = watch;
    }
}

void hki_future_unlink_watch(hk_future *future, struct hki_watch *watch)
{
    struct hki_watch *first = hki_future_first_watch(future);

    if (watch->next != NULL) {
        watch->next->previous = watch->previous;
    } else {
        first->previous = watch->previous; /* It was the last; itself, if also the first. */
    }
    if (watch == first) {
        set_first(future, watch->next);
    } else {
        watch->previous->next = watch->next;
    }
    watch->next = NULL;
    watch->previous = NULL;
}

enum hki_watch_result hki_future_watch(hk_future *future, struct hki_watch *watch)
{
    struct hki_stripe *stripe = hki_stripe_of(future);
    enum hki_watch_result result = HKI_WATCH_ADDED;
    uint64_t word;

    if (watch->run != NULL) {
        /* So that a look finds who runs the callbacks; without memory it thinks they move. */
        (void)hki_future_need_rest(future);
    }
    watch->next = NULL;
    watch->previous = NULL;
    pthread_mutex_lock(&stripe->lock);
    if (hki_life_watch(&future->life, &word) ||
        (watch->run != NULL && (word & HKI_DRAINING) != 0)) {
        link_watch(future, watch);
    } else {
        result = HKI_WATCH_ENDED;
    }
    pthread_mutex_unlock(&stripe->lock);
    return result;
}

bool hki_future_unwatch(hk_future *future, struct hki_watch *watch)
{
    struct hki_stripe *stripe = hki_stripe_of(future);
    bool linked;

    pthread_mutex_lock(&stripe->lock);
    linked = watch->previous != NULL;
    if (linked) {
        hki_future_unlink_watch(future, watch);
    }
    pthread_mutex_unlock(&stripe->lock);
    return linked;
}
