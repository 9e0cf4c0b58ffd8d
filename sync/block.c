/* SPDX-License-Identifier: MIT */
#include "sync/block.h"

#include "base/log.h"

hk_status hki_block_begin(struct hki_agent *agent, struct hki_wait_node wanted, bool timed)
{
    char report[HKI_WAIT_REPORT_BYTES];
    hk_status status;

    if (agent->depth == 0 && agent->parties == NULL) {
        return HK_OK;
    }
    /* Compensate first: a pool that could start a spare worker can move. */
    if (agent->host_ops != NULL) {
        agent->host_ops->block(agent->host);
    }
    status = hki_wait_graph_begin(agent, wanted, timed, report);
    if (status == HK_OK) {
        return HK_OK;
    }
    if (agent->host_ops != NULL) {
        agent->host_ops->unblock(agent->host);
    }
    if (status == HK_EDEADLK) {
        hki_log(HK_LOG_WARNING, "a wait was refused, for it could never end: %s", report);
    }
    return status;
}

void hki_block_end(struct hki_agent *agent)
{
    if (agent->depth == 0 && agent->parties == NULL) {
        return;
    }
    hki_wait_graph_end(agent);
    if (agent->host_ops != NULL) {
        agent->host_ops->unblock(agent->host);
    }
}
