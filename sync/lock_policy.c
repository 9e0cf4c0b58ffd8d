/* SPDX-License-Identifier: MIT */
/* The policy of the process: what was set, or else what the environment says, read
 * when it is first asked for. */
#include "sync/lock_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* One of enum hk_lock_policy; HK_LOCK_DEFAULT: not read yet. */
static atomic_int policy;

static hk_lock_policy policy_of(const char *word)
{
    static const char *const words[] = {
        [HK_LOCK_OFF] = "off",
        [HK_LOCK_REPORT] = "report",
        [HK_LOCK_REFUSE] = "refuse",
        [HK_LOCK_ABORT] = "abort",
    };

    for (size_t i = HK_LOCK_OFF; i <= HK_LOCK_ABORT; i++) {
        if (strcmp(word, words[i]) == 0) {
            return (hk_lock_policy)i;
        }
    }
    return HK_LOCK_DEFAULT;
}

/* The log is not called while others wait for an answer, so several threads may read
 * at once; the first of them counts, and warns. */
static hk_lock_policy read_environment(void)
{
    const char *word = getenv("HOCKET_LOCKCHECK");
    hk_lock_policy found = word != NULL ? policy_of(word) : HK_LOCK_REFUSE;
    bool is_unknown = found == HK_LOCK_DEFAULT;
    int before = HK_LOCK_DEFAULT;

    if (is_unknown) {
        found = HK_LOCK_REFUSE;
    }
    if (!atomic_compare_exchange_strong(&policy, &before, (int)found)) {
        return (hk_lock_policy)before;
    }
    if (is_unknown) {
        hki_log(HK_LOG_WARNING,
                "HOCKET_LOCKCHECK is '%s', which is no policy; it is off, report, refuse or "
                "abort. Locks are checked as with refuse",
                word);
    }
    return found;
}

hk_lock_policy hk_lock_policy_get(void)
{
    /* relaxed: a word of its own; nothing is published through it. */
    int now = atomic_load_explicit(&policy, memory_order_relaxed);

    return now != HK_LOCK_DEFAULT ? (hk_lock_policy)now : read_environment();
}

hk_status hk_lock_policy_set(hk_lock_policy wanted)
{
    if ((int)wanted < (int)HK_LOCK_DEFAULT || (int)wanted > (int)HK_LOCK_ABORT) {
        return HK_EINVAL;
    }
    atomic_store(&policy, (int)wanted);
    /* After the policy: a chain that begins with the new seed is judged by it. */
    hki_order_renew();
    return HK_OK;
}

hk_lock_policy hki_order_policy(hk_lock_policy own)
{
    return own != HK_LOCK_DEFAULT ? own : hk_lock_policy_get();
}
