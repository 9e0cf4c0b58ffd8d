/* SPDX-License-Identifier: MIT */
#include <hocket/counter.h>

#include <stdatomic.h>
#include <stddef.h>

/* The stripe of this thread, counted from 1; 0: none yet. Threads take them in turn, so as
 * many threads as there are stripes never share one. The model spares a call in a shared
 * library, as that of hk_local_table_ does. */
static _Thread_local uint32_t own_stripe __attribute__((tls_model("initial-exec")));
static _Atomic(uint32_t) last_stripe;

static _Atomic(int64_t) *value_of(const hk_counter *counter, uint32_t stripe)
{
    return (_Atomic(int64_t) *)&counter->stripes_[stripe].value_;
}

static uint32_t take_stripe(void)
{
    /* relaxed: any spread will do. */
    own_stripe =
        atomic_fetch_add_explicit(&last_stripe, 1, memory_order_relaxed) % HK_COUNTER_STRIPES + 1;
    return own_stripe;
}

void hk_counter_add(hk_counter *counter, int64_t amount)
{
    uint32_t stripe = own_stripe;

    if (counter == NULL) {
        return;
    }
    if (stripe == 0) {
        stripe = take_stripe();
    }
    /* relaxed: a number that orders nothing else. */
    atomic_fetch_add_explicit(value_of(counter, stripe - 1), amount, memory_order_relaxed);
}

/* The sum wraps around, as the stripes do. */
static int64_t sum_of(int64_t one, int64_t other)
{
    int64_t sum;

    (void)__builtin_add_overflow(one, other, &sum);
    return sum;
}

int64_t hk_counter_sum(const hk_counter *counter)
{
    int64_t sum = 0;

    for (uint32_t i = 0; counter != NULL && i < HK_COUNTER_STRIPES; i++) {
        /* relaxed: no snapshot is promised. */
        sum = sum_of(sum, atomic_load_explicit(value_of(counter, i), memory_order_relaxed));
    }
    return sum;
}

int64_t hk_counter_reset(hk_counter *counter)
{
    int64_t sum = 0;

    for (uint32_t i = 0; counter != NULL && i < HK_COUNTER_STRIPES; i++) {
        /* relaxed: no snapshot is promised. */
        sum = sum_of(sum, atomic_exchange_explicit(value_of(counter, i), 0, memory_order_relaxed));
    }
    return sum;
}
