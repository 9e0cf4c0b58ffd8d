/* SPDX-License-Identifier: MIT */
#include "sync/parker.h"

#include "base/os.h"

static _Thread_local struct hki_parker own;

struct hki_parker *hki_parker_self(void)
{
    return &own;
}

bool hki_parker_try(struct hki_parker *parker)
{
    /* relaxed: looks before it writes, for who asks again and again; the exchange takes it. */
    return atomic_load_explicit(&parker->token, memory_order_relaxed) != 0 &&
           /* acquire: pairs with the release in hki_parker_wake(). */
           atomic_exchange_explicit(&parker->token, 0, memory_order_acquire) != 0;
}

bool hki_parker_park(struct hki_parker *parker, int64_t deadline_ns)
{
    bool in_time = true;

    /* acquire: pairs with the release in hki_parker_wake(). What was waited for has an order
     * of its own; but who took the token and read the old state would sleep again, and nobody
     * would wake it. */
    while (atomic_exchange_explicit(&parker->token, 0, memory_order_acquire) == 0) {
        if (!in_time) {
            return false;
        }
        in_time = hki_os_futex_wait(&parker->token, 0, deadline_ns);
    }
    return true;
}

void hki_parker_wake(struct hki_parker *parker)
{
    /* release: pairs with the acquire in hki_parker_park(). A token that was there has
     * woken the thread already, and the calling thread does not sleep. */
    if (atomic_exchange_explicit(&parker->token, 1, memory_order_release) == 0 && parker != &own) {
        hki_os_futex_wake(&parker->token, 1);
    }
}
