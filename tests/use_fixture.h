/* SPDX-License-Identifier: MIT */
/*
 * Using an executor in every way while something is missing. In a child (see
 * tests/child_fixture.h): every status must be one that is documented for it, and every future
 * must end.
 */
#ifndef HOCKET_TESTS_USE_FIXTURE_H
#define HOCKET_TESTS_USE_FIXTURE_H

#include <stdbool.h>

#include <hocket/hocket.h>

/* Whether it says that something could not be had, and nothing worse. */
bool hkt_is_refusal(hk_status status);

/* Waits for the end, and gives the reference back. */
hk_status hkt_end_of(hk_future *future);

/* One submit of so many bytes, with a descriptor if wanted, waited for; it may be refused, or
 * fail. */
void hkt_use_submit(hk_executor *executor, const hk_task *task, size_t size, bool with_fd);

enum { HKT_USE_MOST = 20000 };

/* Values, failures, descriptors, buffers, limits, maps, completions, files to wait on. */
void hkt_use(hk_executor *executor);

#endif
