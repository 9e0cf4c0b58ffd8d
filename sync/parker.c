/* SPDX-License-Identifier: MIT */
#include "sync/parker.h"

#include "sync/condition.h"

static _Thread_local struct hki_parker own = HKI_PARKER_INIT;

struct hki_parker *hki_parker_self(void)
{
    return &own;
}

bool hki_parker_park(struct hki_parker *parker, int64_t deadline_ns)
{
    bool woken;

    pthread_mutex_lock(&parker->lock);
    while (!parker->token) {
        if (!hki_condition_wait(&parker->woken, &parker->lock, deadline_ns)) {
            break;
        }
    }
    woken = parker->token;
    parker->token = false;
    pthread_mutex_unlock(&parker->lock);
    return woken;
}

void hki_parker_wake(struct hki_parker *parker)
{
    pthread_mutex_lock(&parker->lock);
    parker->token = true;
    /* Signalled under the lock: afterwards the sleeper may return and its thread
     * end, and the parker with it. */
    pthread_cond_signal(&parker->woken);
    pthread_mutex_unlock(&parker->lock);
}
