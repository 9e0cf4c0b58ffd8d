/* SPDX-License-Identifier: MIT */
#include "sync/lock_order.h"

#include "sync/lock_chains.h"

#include <string.h>

_Atomic(uint64_t) hki_order_seed_word = UINT64_C(0x243F6A8885A308D3);

uint64_t hki_order_new_identity(void)
{
    static atomic_uint_fast64_t last;
    uint64_t word = atomic_fetch_add(&last, 1) + 1;

    word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94D049BB133111EB);
    return word ^ (word >> 31);
}

bool hki_order_known(uint64_t key)
{
    return hki_chains_have(key);
}

hk_lock_policy hki_order_policy(hk_lock_policy own)
{
    return own != HK_LOCK_DEFAULT ? own : hk_lock_policy_get();
}

hk_status hki_order_check(const struct hki_held *held, size_t count, const struct hki_held *wanted,
                          hk_lock_policy policy)
{
    (void)held;
    (void)count;
    (void)policy;
    hki_chains_add(wanted->key);
    return HK_OK;
}

hk_status hki_order_sort(const struct hki_held *held, size_t count, struct hki_held *wanted,
                         size_t n, hk_lock_policy policy)
{
    (void)held;
    (void)count;
    (void)policy;
    for (size_t i = 1; i < n; i++) {
        for (size_t j = i; j > 0 && (uintptr_t)wanted[j - 1].lock > (uintptr_t)wanted[j].lock;
             j--) {
            struct hki_held swap = wanted[j];

            wanted[j] = wanted[j - 1];
            wanted[j - 1] = swap;
        }
    }
    return HK_OK;
}

hk_status hki_order_allow(uint64_t one, uint64_t other)
{
    return one != 0 && other != 0 ? HK_OK : HK_EINVAL;
}

void hki_order_forget(uint64_t identity)
{
    (void)identity;
}

void hki_order_reset(void)
{
}

hk_status hk_lock_policy_set(hk_lock_policy policy)
{
    (void)policy;
    return HK_OK;
}

hk_lock_policy hk_lock_policy_get(void)
{
    return HK_LOCK_REFUSE;
}

void hk_on_lock_report(hk_lock_report_fn *fn, void *arg)
{
    (void)fn;
    (void)arg;
}

hk_status hk_lock_report_write(const hk_lock_report *report, hk_lock_format format, int fd)
{
    (void)report;
    (void)format;
    (void)fd;
    return HK_OK;
}

hk_status hk_lock_graph_write(int fd)
{
    (void)fd;
    return HK_OK;
}

hk_status hk_lock_order_stats(hk_lock_order_statistics *statistics)
{
    memset(statistics, 0, sizeof(*statistics));
    return HK_OK;
}
