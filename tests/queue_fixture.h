/* SPDX-License-Identifier: MIT */
/*
 * Queues and rings behind one set of names, so that one test proves the same of both;
 * rings also without the kernel's barrier.
 */
#ifndef HOCKET_TESTS_QUEUE_FIXTURE_H
#define HOCKET_TESTS_QUEUE_FIXTURE_H

#include <stddef.h>

#include <hocket/hocket.h>

#include "tests/harness.h"
#include "tests/promise_fixture.h"

struct hkt_queue_kind {
    const char *name;
    hk_status (*create)(size_t capacity, hk_item_drop_fn *drop, void *arg, void **out);
    hk_status (*destroy)(void *queue);
    hk_status (*put)(void *queue, void *item, hk_duration timeout);
    hk_status (*put_many)(void *queue, void *const *items, size_t count, hk_duration timeout,
                          size_t *put);
    hk_status (*get)(void *queue, hk_duration timeout, void **item);
    hk_status (*take_many)(void *queue, hk_duration timeout, void **items, size_t max,
                           size_t *taken);
    hk_status (*close)(void *queue);
    hk_status (*task_done)(void *queue, size_t count);
    hk_status (*join)(void *queue, hk_duration timeout);
    size_t (*length)(void *queue);
    size_t (*capacity)(void *queue);
    hk_status (*fd)(void *queue, int *fd);
    hk_status (*bind)(void *queue, unsigned sides);
    hk_status (*unbind)(void *queue, unsigned sides);
};

/* What the running test is about. */
extern const struct hkt_queue_kind *hkt_kind;

/* Set-ups of suites. */
void hkt_use_queues(void);
void hkt_use_rings(void);
void hkt_use_rings_without_barrier(void);

/* A table of suites, one for each kind, over the same tests. */
#define HKT_SUITES_OF_ALL_KINDS(title, table)                                                      \
    {                                                                                              \
        {.pName = title ".queue", .pSetUpFunc = hkt_use_queues, .pTests = (table)},                \
            {.pName = title ".ring", .pSetUpFunc = hkt_use_rings, .pTests = (table)},              \
            {.pName = title ".ring_without_barrier",                                               \
             .pSetUpFunc = hkt_use_rings_without_barrier,                                          \
             .pTests = (table)},                                                                   \
            CU_SUITE_INFO_NULL                                                                     \
    }

/* One of the kind; the test ends here when there is none to be had. */
void *hkt_queue_open(size_t capacity);

/* Destroys it, which must be possible. */
void hkt_queue_end(void *queue);

/* Numbers as items, for tests of order. */
void *hkt_number(size_t number);

/* Puts and gets that must succeed at once. */
void hkt_put_numbers(void *queue, size_t first, size_t count);
void hkt_expect_numbers(void *queue, size_t first, size_t count);

/* A thread that makes one call and leaves its status. */
struct hkt_caller {
    struct hkt_thread thread;
    void *queue;
    hk_duration timeout;
    void *item;
    hk_status status;
};

/* Returns once the thread sleeps in the call; the item is for a put. */
void hkt_start_getter(struct hkt_caller *caller, void *queue);
void hkt_start_putter(struct hkt_caller *caller, void *queue, void *item);
void hkt_start_joiner(struct hkt_caller *caller, void *queue);

/* Joins the thread and checks the status. */
void hkt_expect_caller(struct hkt_caller *caller, hk_status status);

#endif
