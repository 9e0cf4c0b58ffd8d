/* SPDX-License-Identifier: MIT */
/* Pools, locks, and what actors do with them. */
#include "tests/ring_fixture.h"

#include <string.h>

hk_executor *hkt_a;
hk_executor *hkt_b;
hk_lock hkt_accounts;
hk_rwlock hkt_table;

static struct hkt_actor *awaited_one;
static struct hkt_actor *awaited_other;

HKT_ACTOR_TASK(sum)
HKT_ACTOR_TASK(audit)
HKT_ACTOR_TASK(post)

hk_executor *hkt_single(const char *name)
{
    return hkt_pool_create(
        (hk_executor_options){.name = name, .workers = 1, .spare_workers = HK_NO_SPARES});
}

void hkt_renew(hk_executor **pool, const char *name)
{
    HKT_OK(hk_executor_destroy(*pool));
    *pool = hkt_single(name);
}

void hkt_ring_set_up(void)
{
    HKT_OK_FATAL(hk_lock_init(&hkt_accounts, &(hk_lock_options){.name = "accounts"}));
    hkt_table = (hk_rwlock)HK_RWLOCK_INIT("table");
    hkt_a = hkt_single("a");
    hkt_b = hkt_single("b");
    hkt_refusals_begin();
}

void hkt_ring_tear_down(void)
{
    hkt_refusals_end();
    HKT_OK(hk_executor_destroy(hkt_a));
    HKT_OK(hk_executor_destroy(hkt_b));
    HKT_OK(hk_lock_destroy(&hkt_accounts));
    HKT_OK(hk_rwlock_destroy(&hkt_table));
}

void hkt_expect_usable(void)
{
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_a, hkt_square, 12)), 144);
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(hkt_b, hkt_square, 12)), 144);
}

/* --- What actors do --- */

void hkt_await_actors(struct hkt_actor *one, struct hkt_actor *other)
{
    awaited_one = one;
    awaited_other = other;
}

hk_future *hkt_future_of_one(void)
{
    return awaited_one->future;
}

hk_status hkt_wait_for_one(void)
{
    return hk_future_wait(awaited_one->future, HK_FOREVER);
}

hk_status hkt_wait_for_other(void)
{
    return hk_future_wait(awaited_other->future, HK_FOREVER);
}

void hkt_take_accounts(void)
{
    HKT_OK(HKT_AT("take_accounts", hk_lock_acquire(&hkt_accounts)));
}

hk_status hkt_want_accounts(void)
{
    return HKT_AT("want_accounts", hk_lock_acquire(&hkt_accounts));
}

void hkt_give_accounts(void)
{
    if (hk_lock_is_held_by_me(&hkt_accounts)) {
        HKT_OK(hk_lock_release(&hkt_accounts));
    }
}

void hkt_read_table(void)
{
    HKT_OK(HKT_AT("read_table", hk_rwlock_read(&hkt_table)));
}

void hkt_write_table(void)
{
    HKT_OK(HKT_AT("write_table", hk_rwlock_write(&hkt_table)));
}

hk_status hkt_want_to_read(void)
{
    return HKT_AT("want_to_read", hk_rwlock_read(&hkt_table));
}

hk_status hkt_want_to_write(void)
{
    return HKT_AT("want_to_write", hk_rwlock_write(&hkt_table));
}

void hkt_give_table(void)
{
    if (hk_rwlock_is_held_by_me(&hkt_table, false)) {
        HKT_OK(hk_rwlock_release(&hkt_table));
    }
}

hk_status hkt_join_a(void)
{
    return hk_executor_shutdown(hkt_a, HK_SHUTDOWN_DRAIN, HK_FOREVER);
}

hk_status hkt_join_b(void)
{
    return hk_executor_shutdown(hkt_b, HK_SHUTDOWN_DRAIN, HK_FOREVER);
}

/* --- Rings --- */

void hkt_expect_either_refused(struct hkt_actor *first, struct hkt_actor *second,
                               const char *first_refused, const char *second_refused)
{
    struct hkt_actor *actors[] = {first, second};

    for (unsigned refused = 0; refused < 2; refused++) {
        hkt_actors_begin(actors, 2);
        hkt_expect_last_refused(actors, 2, (const unsigned[]){1 - refused, refused});
        HKT_REPORT(refused == 0 ? first_refused : second_refused);
        hkt_expect_usable();
    }
}
