/* SPDX-License-Identifier: MIT */
/*
 * Those who watch a queue from outside: a descriptor, and threads that wait for several
 * queues at once. A queue without any pays one look at a flag.
 */
#ifndef HOCKET_SYNC_QUEUE_WATCH_H
#define HOCKET_SYNC_QUEUE_WATCH_H

#include "sync/queue_impl.h"

/* A thread that waits for several queues, on its stack. */
struct hki_selector {
    _Atomic(uint32_t) told; /* 1: some queue has news. What it sleeps on while 0. */
};

/* One queue of a selector, in the queue's list while the selector waits. */
struct hki_selector_link {
    struct hki_list link;
    struct hki_selector *selector;
};

/* Under the queue's lock. */
void hki_queue_add_selector(hk_queue *queue, struct hki_selector_link *link);
void hki_queue_remove_selector(hk_queue *queue, struct hki_selector_link *link);

#endif
