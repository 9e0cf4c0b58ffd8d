/* SPDX-License-Identifier: MIT */
#include "sync/brief_lock.h"

#include "base/time.h"

/* Measured with putters and getters of a queue on two processors: 8 beat 0 and 30 by a
 * quarter; a pause is some 70 ns there. */
enum { LOOKS = 8 };

void hki_brief_lock_contend(struct hki_brief_lock *lock)
{
    for (int i = 0; i < LOOKS; i++) {
        hki_os_pause();
        /* relaxed: only whether to try. */
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == HKI_BRIEF_FREE &&
            hki_brief_lock_try(lock)) {
            return;
        }
    }
    /* From now on taken as awaited: others may sleep, too, and nobody counts them.
     * acquire, pairs with hki_brief_lock_release(). */
    while (atomic_exchange_explicit(&lock->word, HKI_BRIEF_AWAITED, memory_order_acquire) !=
           HKI_BRIEF_FREE) {
        (void)hki_os_futex_wait(&lock->word, HKI_BRIEF_AWAITED, HKI_NEVER);
    }
}
