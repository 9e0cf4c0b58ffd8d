/* SPDX-License-Identifier: MIT */
/*
 * A small world in which rings of waits are built: two pools of one worker each, without
 * spares, a lock, a read-write lock; and what actors do with them.
 */
#ifndef HOCKET_TESTS_RING_FIXTURE_H
#define HOCKET_TESTS_RING_FIXTURE_H

#include "tests/wait_fixture.h"

extern hk_executor *hkt_a;
extern hk_executor *hkt_b;
extern hk_lock hkt_accounts;
extern hk_rwlock hkt_table;

/* Of a suite: everything fresh for each test; the library's reports are taken. */
void hkt_ring_set_up(void);
void hkt_ring_tear_down(void);

/* A pool of one worker without spares. */
hk_executor *hkt_single(const char *name);

/* In place of one that a test has closed. */
void hkt_renew(hk_executor **pool, const char *name);

/* Both pools run tasks. */
void hkt_expect_usable(void);

/* Tasks of actors. */
HK_TASK_DECLARE(sum);
HK_TASK_DECLARE(audit);
HK_TASK_DECLARE(post);

/* Whose futures the two that follow wait for. */
void hkt_await_actors(struct hkt_actor *one, struct hkt_actor *other);
hk_status hkt_wait_for_one(void);
hk_status hkt_wait_for_other(void);
hk_future *hkt_future_of_one(void);

/* hkt_take... for prepare, hkt_want... for wait, hkt_give... for release. The lines carry
 * the names of these functions. */
void hkt_take_accounts(void);
hk_status hkt_want_accounts(void);
void hkt_give_accounts(void);
void hkt_read_table(void);
void hkt_write_table(void);
hk_status hkt_want_to_read(void);
hk_status hkt_want_to_write(void);
void hkt_give_table(void);
hk_status hkt_join_a(void);
hk_status hkt_join_b(void);

/* Both orders of a ring of two: the second one to wait is refused. */
void hkt_expect_either_refused(struct hkt_actor *first, struct hkt_actor *second,
                               const char *first_refused, const char *second_refused);

/* The lines in reports. */
#define HKT_SUBMITTED "submitted at wait_fixture.c:{actor}"
#define HKT_TAKEN     "ring_fixture.c:{take_accounts}"
#define HKT_READ      "ring_fixture.c:{read_table}"
#define HKT_WRITTEN   "ring_fixture.c:{write_table}"

#endif
