/* SPDX-License-Identifier: MIT */
/*
 * The state word of a future: every change of phase, and nowhere else.
 *
 * Ending takes two steps. Claiming ENDING picks one winner among a finished
 * task, a deadline, a cancel and a dropped promise; the winner writes the outcome
 * in peace. Publishing makes it visible to everybody at one moment.
 *
 * Orders here are seq_cst where a second variable takes part: the stop token
 * (set STOP, then load the token / store the token, then load STOP) and the
 * graph's count of looks (publish, then load looks / add a look, then load the
 * state). On x86-64 a compare-and-swap costs the same either way.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "futures/relay.h"

/* Cancelled, or about to be: who comes between claim and publication is told the
 * same as who comes after. */
static bool is_cancelled(unsigned state)
{
    return hki_phase(state) == HKI_CANCELLED ||
           (hki_phase(state) == HKI_ENDING && (state & HKI_CANCELLING) != 0);
}

bool hki_future_is_cancelled(const hk_future *future)
{
    return is_cancelled(hki_future_state(future));
}

hk_status hki_future_start(hk_future *future, struct hki_agent *runner)
{
    struct hki_future_rest *rest;
    uint64_t word;

    if (!hki_life_start(&future->life, &word)) {
        return is_cancelled((unsigned)word) ? HK_ECANCELED : HK_ESTATE;
    }
    if (runner != NULL && (rest = hki_future_rest(future)) != NULL) {
        atomic_store(&rest->runner, runner);
    }
    return HK_OK;
}

bool hki_future_claim_end(hk_future *future, bool only_pending, unsigned *was)
{
    uint64_t word;

    if (!hki_life_claim_end(&future->life, only_pending ? HKI_PENDING : HKI_RUNNING, &word)) {
        return false;
    }
    if (was != NULL) {
        *was = hki_phase((unsigned)word);
    }
    return true;
}

static bool has_callback(const hk_future *future)
{
    const struct hki_watch *at = hki_future_first_watch(future);

    while (at != NULL && at->run == NULL) {
        at = at->next;
    }
    return at != NULL;
}

/* Under the stripe lock: wakes those who wait, leaves the callbacks. */
static void fire_all(hk_future *future, unsigned phase)
{
    struct hki_watch *at = hki_future_first_watch(future);

    while (at != NULL) {
        struct hki_watch *watch = at;

        at = at->next;
        if (watch->fire != NULL) {
            hki_future_unlink_watch(future, watch);
            watch->fire(watch, phase);
        }
    }
}

static void tell_origin(hk_future *future)
{
    if (future->origin->published != NULL) {
        future->origin->published(future);
    }
}

/* Publishing with an audience: phase, waiters and the right to run the callbacks
 * change hands under one lock, so nobody can be added in between and missed. */
static bool publish_watched(hk_future *future, unsigned phase, struct hki_agent *elsewhere)
{
    struct hki_stripe *stripe = hki_stripe_of(future);
    uint64_t word;
    bool drain;

    pthread_mutex_lock(&stripe->lock);
    drain = has_callback(future);
    if (drain) {
        hki_future_set_drainer(future, elsewhere == NULL ? hki_agent_self() : elsewhere);
    }
    word = hki_future_word(future);
    while (!hki_future_swap(future, &word,
                            (hki_with_phase(word, phase) & ~(unsigned)HKI_WATCHED) |
                                (drain ? HKI_DRAINING : 0U))) {
    }
    fire_all(future, hki_phase(phase));
    pthread_mutex_unlock(&stripe->lock);
    tell_origin(future);
    if (drain && elsewhere == NULL && !hki_relay_takes(future)) {
        hki_future_drain(future);
    }
    return drain;
}

static bool publish(hk_future *future, unsigned phase, struct hki_agent *elsewhere)
{
    HKI_ASSERT(!hki_future_ended(future));
    if (!hki_life_publish(&future->life, phase)) {
        return publish_watched(future, phase, elsewhere);
    }
    tell_origin(future);
    return false;
}

void hki_future_publish(hk_future *future, unsigned phase)
{
    (void)publish(future, phase, NULL);
}

bool hki_future_publish_only(hk_future *future, unsigned phase, struct hki_agent *drainer)
{
    HKI_ASSERT(drainer != NULL);
    return publish(future, phase, drainer);
}

bool hki_future_set_flag(hk_future *future, unsigned flag, unsigned unless)
{
    uint64_t word = hki_future_word(future);

    do {
        if ((word & unless) != 0) {
            return false;
        }
    } while (!hki_future_swap(future, &word, (unsigned)word | flag));
    return true;
}

/* Keeps the first reason; without memory there is none to show. */
void hki_future_set_reason(hk_future *future, const char *why)
{
    struct hki_future_rest *rest;
    char *reason;
    char *none = NULL;

    if (why == NULL || why[0] == '\0' || (rest = hki_future_need_rest(future)) == NULL ||
        (reason = hki_block_text(why)) == NULL) {
        return;
    }
    if (!atomic_compare_exchange_strong(&rest->reason, &none, reason)) {
        hki_block_free(reason);
    }
}

bool hki_future_request_stop(hk_future *future, const char *why)
{
    struct hki_future_rest *rest;
    hk_cancel_token *token;

    hki_future_set_reason(future, why);
    if (!hki_future_set_flag(future, HKI_STOP, HKI_STOP)) {
        return false;
    }
    /* STOP first, then the token: who makes the token looks at STOP after it. */
    rest = hki_future_rest_now(future);
    token = rest == NULL ? NULL : atomic_load(&rest->stop_token);
    if (token != NULL) {
        (void)hk_cancel_token_fire(token, why);
    }
    return true;
}

bool hki_future_begin_end(hk_future *future)
{
    return hki_life_claim_end_and_hold(&future->life);
}

void hki_future_finish_end(hk_future *future, unsigned phase)
{
    bool is_last = false;

    if (future->origin->published != NULL ||
        !hki_future_publish_and_let_go(future, phase, &is_last)) {
        hki_future_publish(future, phase);
        hk_future_unref(future);
    } else if (is_last) {
        hki_future_destroy(future);
    }
}

hk_status hki_future_end_done(hk_future *future, const struct hki_value *value)
{
    unsigned phase = HKI_DONE;

    if (!hki_future_begin_end(future)) {
        return HK_ESTATE;
    }
    if (!hki_future_put_value(future, value, &phase)) {
        hki_value_drop(&(struct hki_value){value->data, value->size, value->drop, value->owner});
        future->body.error = hki_error_static(HK_ENOMEM);
        phase = HKI_FAILED;
    }
    hki_future_finish_end(future, phase);
    return HK_OK;
}

hk_status hki_future_end_failed(hk_future *future, struct hki_error *error)
{
    if (!hki_future_begin_end(future)) {
        hki_error_unref(error);
        return HK_ESTATE;
    }
    future->body.error = error;
    hki_future_finish_end(future, HKI_FAILED);
    return HK_OK;
}

hk_status hki_future_end_cancelled(hk_future *future)
{
    if (!hki_future_claim_cancel(future, false)) {
        return HK_ESTATE;
    }
    hki_future_publish(future, HKI_CANCELLED);
    return HK_OK;
}

bool hki_future_claim_cancel(hk_future *future, bool only_pending)
{
    uint64_t word = hki_future_word(future);

    do {
        if (hki_phase((unsigned)word) > (only_pending ? HKI_PENDING : HKI_RUNNING)) {
            return false;
        }
    } while (!hki_future_swap(future, &word, hki_with_phase(word, HKI_ENDING) | HKI_CANCELLING));
    return true;
}

/* The drop function of its input runs before the publication: what that ends or cancels is not left
 * to any loop. */
static hk_status cancel_pending(hk_future *future, bool along)
{
    if (future->origin->cancelled != NULL) {
        future->origin->cancelled(future);
    }
    if (along) {
        hki_relay_publish(future, HKI_CANCELLED);
    } else {
        hki_future_publish(future, HKI_CANCELLED);
    }
    return HK_OK;
}

hk_status hki_future_cancel_this(hk_future *future, hk_cancel_level level, const char *why,
                                 bool along)
{
    unsigned state;
    bool recalled = false;
    bool claimed;
    hk_status status = hki_future_usable(future);

    if (status != HK_OK) {
        return status; /* A token or a chain of the parent process, in its child. */
    }
    /* The caller's reference may go in a callback: keep the future to the end. */
    hk_future_ref(future);
    /* What has ended, or begun, is asked nothing: its executor may be gone, or be the parent
     * process's. */
    if (future->origin->recall == NULL) {
        claimed = hki_future_claim_cancel(future, true);
    } else {
        claimed = hki_phase(hki_future_state(future)) == HKI_PENDING &&
                  future->origin->recall(future, &recalled);
    }
    if (claimed) {
        (void)hki_future_request_stop(future, why);
        status = cancel_pending(future, along);
        if (future->origin->stop != NULL) {
            future->origin->stop(future, level);
        }
    } else {
        state = hki_future_state(future);
        if (is_cancelled(state) || hki_phase_ended(state)) {
            status = is_cancelled(state) ? HK_OK : HK_ESTATE;
        } else if (level == HK_CANCEL_PENDING) {
            status = HK_ESTATE;
        } else if (level == HK_CANCEL_KILL && future->origin->kill != NULL) {
            status = future->origin->kill(future, why);
        } else {
            (void)hki_future_request_stop(future, why);
            if (future->origin->stop != NULL) {
                future->origin->stop(future, level);
            }
        }
    }
    if (recalled) {
        hk_future_unref(future); /* Of who would have run it. */
    }
    hk_future_unref(future);
    return status;
}
