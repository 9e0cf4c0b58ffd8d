/* SPDX-License-Identifier: MIT */
/* Linking and unlinking interest in a future's end (I3, I4). */
#include "futures/future_impl.h"

enum hki_watch_result hki_future_watch(hk_future *future, struct hki_watch *watch)
{
    struct hki_stripe *stripe = hki_stripe_of(future);
    enum hki_watch_result result = HKI_WATCH_ADDED;
    unsigned state;

    hki_list_init(&watch->link);
    pthread_mutex_lock(&stripe->lock);
    state = hki_future_state(future);
    while (!hki_phase_ended(state) && (state & HKI_WATCHED) == 0) {
        if (atomic_compare_exchange_weak(&future->state, &state, state | HKI_WATCHED)) {
            state |= HKI_WATCHED;
        }
    }
    if (!hki_phase_ended(state) || (watch->run != NULL && (state & HKI_DRAINING) != 0)) {
        hki_list_append(&future->watches, &watch->link);
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
    linked = hki_list_linked(&watch->link);
    if (linked) {
        hki_list_remove(&watch->link);
    }
    pthread_mutex_unlock(&stripe->lock);
    return linked;
}
