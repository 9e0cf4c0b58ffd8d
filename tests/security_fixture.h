/* SPDX-License-Identifier: MIT */
/*
 * What a hostile task would find out about its worker, and would do: where its pool lies, and which
 * cell is its own (of /proc/self/maps, so not for workers that may not read files); and system
 * calls of its choice.
 */
#ifndef HOCKET_TESTS_SECURITY_FIXTURE_H
#define HOCKET_TESTS_SECURITY_FIXTURE_H

#include "executors/process_pool/layout.h"
#include "tests/process_fixture.h"

struct hkt_pool_mapping {
    uintptr_t begin;
    uintptr_t end;
    char access[5]; /* As "rw-s". */
};

enum { HKT_MAPPINGS_MAX = 64 };

/* The parts of pools that this process has mapped, by their addresses; how many. */
size_t hkt_pool_mappings(struct hkt_pool_mapping *mappings);

/* The first that has this access; NULL: none has. */
const struct hkt_pool_mapping *hkt_pool_mapping(const struct hkt_pool_mapping *mappings,
                                                size_t count, const char *access);

/* The pool's page in a worker, and, unless it is NULL, the worker's own channel: the first part
 * that it may write. NULL: there is none. */
struct hki_pool_page *hkt_pool_page(struct hki_channel **channel);

/* The cell of the task that calls it, and its request. */
struct hki_cell *hkt_running_cell(struct hki_channel **channel, uint32_t *request);

/* Once it is told to stop, the task that calls this looks as if it had not begun. False: it finds
 * no cell of its own. */
bool hkt_deny_beginning(void);

/* A system call, with the arguments of somebody who means it. */
struct hkt_deed {
    long call;
    long arguments[4];
    const char *told; /* What the error says of it. */
};

/* A task that does it: the future fails with HK_EFAILED if it could. */
hk_future *hkt_deed_submit(hk_executor *pool, const struct hkt_deed *deed);

/* Its worker is lost by SIGSYS, and the error says for which call. */
void hkt_expect_forbidden(hk_executor *pool, const struct hkt_deed *deed);

#endif
