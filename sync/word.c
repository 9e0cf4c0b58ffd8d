/* SPDX-License-Identifier: MIT */
#include "sync/word.h"

#include "base/os.h"
#include "base/time.h"
#include "sync/block.h"

hk_status hki_sleep(struct hki_sleep *sleep)
{
    struct hki_agent *agent = hki_agent_self();
    hk_status status = hki_block_begin(agent, sleep->node, sleep->deadline_ns != HKI_NEVER);
    uint32_t expected = 0;

    if (status != HK_OK) {
        return status;
    }
    while (!sleep->ready(sleep, &expected)) {
        if (!hki_os_futex_wait(sleep->word, expected, sleep->deadline_ns)) {
            /* It may have come together with the deadline; then it is taken. */
            status = sleep->ready(sleep, &expected) ? HK_OK : hki_block_ran_out(sleep->deadline_ns);
            break;
        }
    }
    hki_block_end(agent);
    return status;
}
