/* SPDX-License-Identifier: MIT */
/*
 * What lies in a worker's deque: jobs, and records of hk_fork(), which lie on the stack of the
 * deque's owner. The lowest bit of the pointer tells them apart; here alone it is looked at.
 *
 * Who takes a record out runs it, or gives it back to its owner: nobody else ever will, and the
 * owner waits for it.
 */
#ifndef HOCKET_EXECUTORS_FORK_ITEM_H
#define HOCKET_EXECUTORS_FORK_ITEM_H

#include <hocket/scope.h>

#include <stdbool.h>
#include <stdint.h>

#include "executors/job.h"

struct worker;

_Static_assert(_Alignof(hk_forked) > 1 && _Alignof(hk_job) > 1, "the lowest bit is free");

static inline void *hki_fork_item(hk_forked *record)
{
    return (char *)record + 1;
}

static inline bool hki_item_is_fork(const void *item)
{
    return ((uintptr_t)item & 1) != 0;
}

static inline hk_forked *hki_item_forked(void *item)
{
    return (hk_forked *)(void *)((char *)item - 1);
}

/* Runs one that was taken out, on a worker's stack. */
void hki_fork_run(struct worker *worker, hk_forked *record);

/* Under the pool's lock: gives it back to its owner, who runs it in his join. */
void hki_fork_give_back(hk_forked *record);

#endif
