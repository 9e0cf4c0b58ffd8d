/* SPDX-License-Identifier: MIT */
#include "tests/random/faults.h"

#include <string.h>

#include "tests/random/stage.h"

const char *const hkt_fault_names[HKT_FAULTS] = {
    [HKT_FAULTLESS] = "none",
    [HKT_CANCELS_NOTHING] = "cancels-nothing",
    [HKT_FORGETS_DROPS] = "forgets-drops",
    [HKT_DROPS_EARLY] = "drops-early",
    [HKT_LOSES_CALLBACKS] = "loses-callbacks",
    [HKT_CALLS_TWICE] = "calls-twice",
    [HKT_GIVES_WRONG_BYTES] = "gives-wrong-bytes",
    [HKT_LEAKS_FUTURES] = "leaks-futures",
    [HKT_LOSES_DELIVERIES] = "loses-deliveries",
    [HKT_ENDS_WAITS_EARLY] = "ends-waits-early",
    [HKT_RUNS_TWICE] = "runs-twice",
    [HKT_LOSES_WAKES] = "loses-wakes",
    [HKT_SKIPS_ITEMS] = "skips-items",
    [HKT_ALARMS_FALSELY] = "alarms-falsely",
    [HKT_SHUTS_DOWN_EARLY] = "shuts-down-early",
    [HKT_LOSES_VALUES] = "loses-values",
    [HKT_LOSES_STEPS] = "loses-steps",
    [HKT_CUTS_INPUTS] = "cuts-inputs",
    [HKT_CUTS_VALUES] = "cuts-values",
    [HKT_PASSES_OVER_FUTURES] = "passes-over-futures",
};

enum { SELDOM = 8 };

static bool has_fault(enum hkt_fault fault)
{
    return hkt_stage != NULL && atomic_load(&hkt_stage->fault) == (unsigned)fault;
}

/* Each so manieth call of all. */
static bool strikes(enum hkt_fault fault)
{
    static atomic_uint calls;

    return has_fault(fault) && atomic_fetch_add(&calls, 1) % SELDOM == SELDOM - 1;
}

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
#define WRAPPED(type, name, parameters)                                                            \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters

WRAPPED(hk_status, hk_future_cancel, (hk_future * future, hk_cancel_level level))
{
    return strikes(HKT_CANCELS_NOTHING) ? HK_OK : __real_hk_future_cancel(future, level);
}

WRAPPED(hk_status, hk_submit_ref_at,
        (const hk_site *site, hk_executor *executor, const hk_task *task, void *arg,
         hk_drop_fn *drop, const hk_submit_options *options, hk_future **future))
{
    bool is_early = strikes(HKT_DROPS_EARLY);
    bool forgets = is_early || strikes(HKT_FORGETS_DROPS);
    hk_status status =
        __real_hk_submit_ref_at(site, executor, task, arg, forgets ? NULL : drop, options, future);

    if (is_early && status == HK_OK) {
        drop(arg);
    }
    return status;
}

WRAPPED(hk_status, hk_submit_at,
        (const hk_site *site, hk_executor *executor, const hk_task *task, const void *in,
         size_t in_size, const hk_submit_options *options, hk_future **future))
{
    bool is_cut = in_size > sizeof(struct hkt_input) && strikes(HKT_CUTS_INPUTS);
    hk_status status = __real_hk_submit_at(site, executor, task, in, is_cut ? in_size - 1 : in_size,
                                           options, future);

    if (status == HK_OK && strikes(HKT_RUNS_TWICE)) {
        (void)__real_hk_submit_at(site, executor, task, in, in_size, NULL, NULL);
    }
    return status;
}

WRAPPED(hk_status, hk_future_on_done,
        (hk_future * future, hk_executor *where, hk_done_fn *fn, void *arg, hk_hook **hook))
{
    if (strikes(HKT_LOSES_CALLBACKS)) {
        return HK_OK;
    }
    if (strikes(HKT_CALLS_TWICE)) {
        (void)__real_hk_future_on_done(future, where, fn, arg, NULL);
    }
    return __real_hk_future_on_done(future, where, fn, arg, hook);
}

WRAPPED(hk_status, hk_return, (hk_call * call, const void *value, size_t size))
{
    unsigned char bytes[64];

    if (size > 1 && strikes(HKT_CUTS_VALUES)) {
        return __real_hk_return(call, value, size - 1);
    }
    if (size > sizeof(bytes) || !strikes(HKT_GIVES_WRONG_BYTES)) {
        return __real_hk_return(call, value, size);
    }
    memcpy(bytes, value, size);
    bytes[size - 1] ^= 1;
    return __real_hk_return(call, bytes, size);
}

WRAPPED(void, hk_future_unref, (hk_future * future))
{
    if (future == NULL || !strikes(HKT_LEAKS_FUTURES)) {
        __real_hk_future_unref(future);
    }
}

WRAPPED(hk_status, hk_completion_add,
        (hk_completion * completion, hk_future *future, uintptr_t tag))
{
    return has_fault(HKT_LOSES_DELIVERIES) ? HK_OK
                                           : __real_hk_completion_add(completion, future, tag);
}

WRAPPED(hk_status, hk_as_completed,
        (hk_future *const *futures, size_t count, hk_duration limit, hk_completion **out))
{
    bool is_one_short = count > 0 && has_fault(HKT_PASSES_OVER_FUTURES);

    return __real_hk_as_completed(futures, is_one_short ? count - 1 : count, limit, out);
}

WRAPPED(hk_status, hk_future_wait, (hk_future * future, hk_duration timeout))
{
    if (strikes(HKT_ENDS_WAITS_EARLY)) {
        return HK_OK;
    }
    if (timeout == HK_FOREVER && strikes(HKT_ALARMS_FALSELY)) {
        return HK_EDEADLK;
    }
    return __real_hk_future_wait(future, timeout);
}

WRAPPED(unsigned, hki_os_futex_wake, (_Atomic(uint32_t) *word, unsigned count))
{
    return strikes(HKT_LOSES_WAKES) ? 0 : __real_hki_os_futex_wake(word, count);
}

WRAPPED(hk_status, hk_map_next,
        (hk_map_iterator * iterator, hk_duration timeout, hk_map_item *item))
{
    hk_status status = __real_hk_map_next(iterator, timeout, item);

    if (status == HK_OK && strikes(HKT_SKIPS_ITEMS)) {
        hk_map_item_drop(item);
        status = __real_hk_map_next(iterator, timeout, item);
    }
    return status;
}

WRAPPED(hk_status, hk_executor_shutdown,
        (hk_executor * executor, hk_shutdown_how how, hk_duration wait))
{
    return __real_hk_executor_shutdown(executor, how, has_fault(HKT_SHUTS_DOWN_EARLY) ? 0 : wait);
}

WRAPPED(hk_status, hk_promise_set, (hk_promise * promise, const void *value, size_t size))
{
    return strikes(HKT_LOSES_VALUES) ? HK_OK : __real_hk_promise_set(promise, value, size);
}

static hk_status do_nothing(hk_future *source, hk_promise *result, void *arg)
{
    (void)source;
    (void)result;
    (void)arg;
    return HK_OK;
}

WRAPPED(hk_status, hk_then_at,
        (const hk_site *site, hk_future *source, hk_executor *where, hk_chain_fn *fn, void *arg,
         hk_future **out))
{
    return __real_hk_then_at(site, source, where, strikes(HKT_LOSES_STEPS) ? do_nothing : fn, arg,
                             out);
}
/* NOLINTEND(bugprone-reserved-identifier) */
