/* SPDX-License-Identifier: MIT */
/* Promises: the producing side of a future. */
#include "futures/promise_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/slab.h"
#include "futures/relay.h"
#include "futures/wait_impl.h"

static const struct hki_slab_class promises = {HKI_SLAB_PROMISES, sizeof(hk_promise)};

void hki_promise_init(hk_promise *promise, const struct hki_origin *origin, const hk_site *site)
{
    hki_future_init(&promise->future, &promise->rest, origin, 2);
    promise->site = site;
    atomic_init(&promise->following, false);
    atomic_init(&promise->is_kept, false);
    atomic_init(&promise->source, NULL);
    promise->source_watch.fire = NULL;
}

void hki_promise_release(hk_promise *promise)
{
    hk_future_unref(atomic_load(&promise->source));
}

static void destroy(hk_future *future)
{
    hk_promise *promise = HKI_CONTAINER(future, hk_promise, future);

    hki_promise_release(promise);
    hki_slab_free(&promises, promise);
}

enum hki_wait_kind hki_promise_look(hk_future *future, size_t *count)
{
    hk_promise *promise = HKI_CONTAINER(future, hk_promise, future);

    /* Anybody may set a promise; only one that follows depends on its source. */
    if (atomic_load(&promise->source) == NULL) {
        return HKI_WAIT_MOVES;
    }
    *count = 1;
    return HKI_WAIT_ALL;
}

struct hki_wait_node hki_promise_next(hk_future *future, size_t i)
{
    hk_future *source = atomic_load(&HKI_CONTAINER(future, hk_promise, future)->source);

    (void)i;
    return source == NULL ? (struct hki_wait_node){NULL, NULL} : hki_source_node(source);
}

hk_future *hki_promise_kept(hk_future *future, size_t i)
{
    return i == 0 ? atomic_load(&HKI_CONTAINER(future, hk_promise, future)->source) : NULL;
}

void hki_promise_stop(hk_future *future, hk_cancel_level level)
{
    hk_promise *promise = HKI_CONTAINER(future, hk_promise, future);

    /* seq_cst: STOP was set before. Who follows looks for it after this. */
    if (atomic_load(&promise->is_kept)) {
        hki_relay_cancel(atomic_load(&promise->source), level);
    }
}

const hk_site *hki_promise_site(const hk_future *future)
{
    return ((const hk_promise *)(const void *)future)->site;
}

static const struct hki_origin promise_origin = {
    .is_derived = true, /* If it follows. */
    .destroy = destroy,
    .stop = hki_promise_stop,
    .look = hki_promise_look,
    .next = hki_promise_next,
    .kept = hki_promise_kept,
    .site = hki_promise_site,
};

hk_status hk_promise_create_at(const hk_site *site, hk_promise **out, hk_future **future)
{
    hk_promise *promise;

    if (out == NULL || future == NULL) {
        return HK_EINVAL;
    }
    if ((promise = hki_slab_alloc(&promises)) == NULL) {
        return HK_ENOMEM;
    }
    hki_promise_init(promise, &promise_origin, site);
    *out = promise;
    *future = &promise->future;
    return HK_OK;
}

hk_status hk_promise_start(hk_promise *promise)
{
    if (promise == NULL) {
        return HK_EINVAL;
    }
    if (hki_future_foreign(&promise->future)) {
        return HK_EFORKED;
    }
    return hki_future_start(&promise->future, NULL);
}

/* HK_OK if the promise can be ended, or why not. */
static hk_status open_state(hk_promise *promise)
{
    if (atomic_load(&promise->following) || hki_future_ended(&promise->future)) {
        return HK_ESTATE;
    }
    return hki_future_usable(&promise->future);
}

hk_status hk_promise_set(hk_promise *promise, const void *bytes, size_t size)
{
    struct hki_value value = {(void *)bytes, size, NULL, NULL};
    unsigned phase = HKI_DONE;
    void *block = NULL;
    hk_status status;

    if (promise == NULL || (bytes == NULL && size != 0) || size == HK_BY_REF) {
        return HK_EINVAL;
    }
    if ((status = open_state(promise)) != HK_OK) {
        return status;
    }
    if (size > PTRDIFF_MAX) {
        return HK_ENOMEM; /* More than any allocator should be asked for. */
    }
    /* Memory first: after the claim there is no way back. */
    if (size > HKI_SMALL_VALUE && (block = hki_block_alloc(size)) == NULL) {
        return HK_ENOMEM;
    }
    if (!hki_future_begin_end(&promise->future)) {
        hki_block_free(block);
        return HK_ESTATE;
    }
    if (block != NULL) {
        memcpy(block, bytes, size);
        value = (struct hki_value){block, size, hki_block_free, block};
    }
    (void)hki_future_put_value(&promise->future, &value, &phase); /* It has a rest: it fits. */
    hki_future_finish_end(&promise->future, phase);
    return HK_OK;
}

hk_status hk_promise_set_ref(hk_promise *promise, void *value, hk_drop_fn *drop)
{
    struct hki_value reference = {value, HK_BY_REF, drop, value};
    hk_status status;

    if (promise == NULL) {
        return HK_EINVAL;
    }
    status = open_state(promise);
    return status != HK_OK ? status : hki_future_end_done(&promise->future, &reference);
}

hk_status hk_promise_fail_at(const hk_site *site, hk_promise *promise, int app_code,
                             const char *format, ...)
{
    char message[512];
    va_list arguments;
    hk_status status;

    if (promise == NULL || format == NULL) {
        return HK_EINVAL;
    }
    if ((status = open_state(promise)) != HK_OK) {
        return status;
    }
    va_start(arguments, format);
    hki_error_message(message, sizeof(message), format, arguments);
    va_end(arguments);
    return hki_future_end_failed(&promise->future, hki_error_make(&(struct hki_error_facts){
                                                       .status = HK_EFAILED,
                                                       .app_code = app_code,
                                                       .message = message,
                                                       .site = site,
                                                       .submit_site = promise->site,
                                                   }));
}

hk_status hki_promise_break(hk_promise *promise, hk_status status, const char *message,
                            struct hki_error *cause)
{
    return hki_future_end_failed(&promise->future, hki_error_make(&(struct hki_error_facts){
                                                       .status = status,
                                                       .message = message,
                                                       .submit_site = promise->site,
                                                       .cause = cause,
                                                   }));
}

void hki_promise_end_as(hk_promise *promise, hk_future *source)
{
    struct hki_value value;
    hk_status status;

    switch (hki_phase(hki_future_state(source))) {
    case HKI_DONE:
        if ((status = hki_value_share(&value, source)) != HK_OK) {
            (void)hki_promise_break(promise, HK_EFAILED, "its source's value was taken away",
                                    hki_error_plain(status));
        } else if (hki_future_end_done(&promise->future, &value) != HK_OK) {
            hki_value_drop(&value);
        }
        return;
    case HKI_FAILED:
        hki_future_observe(source);
        (void)hki_future_end_failed(&promise->future, hki_error_ref(source->body.error));
        return;
    default:
        (void)hki_future_end_cancelled(&promise->future);
        return;
    }
}

/* The source ended: the linked watch held a reference to the promise. */
static void source_ended(struct hki_watch *watch)
{
    hk_promise *promise = HKI_CONTAINER(watch, hk_promise, source_watch);

    hki_relay_expect(&promise->future);
    hki_promise_end_as(promise, atomic_load(&promise->source));
    hk_future_unref(&promise->future);
}

struct ending {
    hk_promise *promise;
    hk_future *source;
};

static void end_as_ended(void *arg)
{
    const struct ending *ending = arg;

    hki_promise_end_as(ending->promise, ending->source);
}

/* Takes back what was published for looks. */
static void forget_source(hk_promise *promise)
{
    atomic_store(&promise->source, NULL);
    hki_wait_graph_settle();
}

/* --- What futures keep: a graph that looks walk like that of waits --- */

static enum hki_wait_kind look_at_kept(void *object, size_t *count)
{
    hk_future *future = object;

    *count = 0;
    while (future->origin->kept != NULL && future->origin->kept(future, *count) != NULL) {
        ++*count;
    }
    return *count == 0 ? HKI_WAIT_MOVES : HKI_WAIT_ALL;
}

static struct hki_wait_node next_kept(void *object, size_t i);

static struct hki_wait_node keeping_node(hk_future *future)
{
    static const struct hki_wait_ops ops = {.look = look_at_kept, .next = next_kept};

    return (struct hki_wait_node){&ops, future};
}

static struct hki_wait_node next_kept(void *object, size_t i)
{
    hk_future *future = object;
    hk_future *kept = future->origin->kept(future, i);

    /* NULL: a follow that was refused has just taken it back. */
    return kept == NULL ? (struct hki_wait_node){NULL, NULL} : keeping_node(kept);
}

/* HK_EDEADLK: the source keeps this very promise, from which it is derived; if each kept the
 * other, neither would ever be released. What waits let pass may do so: a limit in time, or
 * another part, may end it. HK_ENOMEM. */
static hk_status check_keeping(hk_promise *promise, hk_future *source)
{
    return hki_wait_graph_reaches(keeping_node(source), keeping_node(&promise->future));
}

/* Ended, or about to: by a cancel beside the follow, say, which is the end of what is derived from
 * it, too. */
static bool is_late(hk_promise *promise)
{
    return hki_phase(hki_future_state(&promise->future)) > HKI_RUNNING;
}

/* What has ended without a value need not be kept. */
static bool is_without_value(hk_future *source)
{
    unsigned phase = hki_phase(hki_future_state(source));

    return phase == HKI_FAILED || phase == HKI_CANCELLED;
}

static hk_status follow_ended(hk_promise *promise, hk_future *source)
{
    struct ending ending = {promise, source};

    forget_source(promise);
    hki_relay_run(&promise->future, end_as_ended, &ending);
    return HK_OK;
}

static hk_status follow(hk_promise *promise, hk_future *source)
{
    bool expected = false;
    hk_status status;

    if (hki_future_ended(&promise->future) ||
        !atomic_compare_exchange_strong(&promise->following, &expected, true)) {
        return HK_ESTATE;
    }
    /* Published first, looked at second: of two that close a ring at least one sees it. */
    atomic_store(&promise->source, source);
    status = hki_wait_graph_reaches(hki_future_node(source), hki_future_node(&promise->future));
    if (status == HK_OK && is_late(promise)) {
        status = HK_ESTATE;
    }
    if (status == HK_OK && is_without_value(source)) {
        return follow_ended(promise, source);
    }
    if (status == HK_OK) {
        status = check_keeping(promise, source);
    }
    if (status != HK_OK) {
        forget_source(promise);
        atomic_store(&promise->following, false);
        return status;
    }
    hk_future_ref(source);
    atomic_store(&promise->is_kept, true);
    (void)hki_future_start(&promise->future, NULL);
    promise->source_watch.run = source_ended;
    hk_future_ref(&promise->future); /* The watch's. */
    if (hki_future_watch(source, &promise->source_watch) == HKI_WATCH_ENDED) {
        hki_relay_watch(&promise->future, &promise->source_watch);
    }
    if ((hki_future_state_now(&promise->future) & HKI_STOP) != 0) {
        /* Cancelled meanwhile. */
        (void)hki_future_cancel_why(source, HK_CANCEL_REQUEST, NULL);
    }
    return HK_OK;
}

hk_status hk_promise_follow(hk_promise *promise, hk_future *source)
{
    hk_status status;

    if (promise == NULL || source == NULL) {
        return HK_EINVAL;
    }
    if ((status = hki_future_usable(source)) != HK_OK ||
        (status = hki_future_usable(&promise->future)) != HK_OK) {
        return status;
    }
    /* Who waits for its end may destroy the promise, once the source can end it. */
    hk_future_ref(&promise->future);
    status = follow(promise, source);
    hk_future_unref(&promise->future);
    return status;
}

hk_status hk_promise_token(hk_promise *promise, hk_cancel_token **out)
{
    if (promise == NULL || out == NULL) {
        return HK_EINVAL;
    }
    *out = hki_future_stop_token(&promise->future);
    return *out == NULL ? HK_ENOMEM : HK_OK;
}

void hk_promise_destroy(hk_promise *promise)
{
    if (promise == NULL) {
        return;
    }
    if (open_state(promise) == HK_OK) {
        (void)hki_promise_break(promise, HK_EBROKEN, "the promise was destroyed before it was set",
                                NULL);
    }
    hk_future_unref(&promise->future);
}
