/* SPDX-License-Identifier: MIT */
/* Very many transactions over few locks, by more threads than the machine has processors:
 * in random order nobody hangs, since of those who close a ring one is refused; in a
 * common order nobody is ever refused. What the locks guard is plain. */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/lock_fixture.h"

enum {
    ACCOUNTS = 6,
    TELLERS = 8,
    PICKS_MAX = 4, /* Locks of one transaction. */
    START = 1000,
    TRANSACTIONS = 1000000,
};

/* How a transaction takes its locks. */
enum style {
    AT_RANDOM, /* One after the other, in random order. */
    IN_ORDER,  /* One after the other, in the same order for all. */
    AT_ONCE,   /* hk_lock_acquire_many(), named in random order. */
};

struct account {
    hk_lock lock;
    hk_rwlock rw;
    long balance;       /* Plain. */
    atomic_int inside;  /* -1: a writer; else how many readers. */
    atomic_ullong uses; /* Transactions that went through. */
};

struct bank {
    struct account accounts[ACCOUNTS];
    enum style style;
    bool rw;    /* With read-write locks, of which some are only read. */
    bool timed; /* Some waits have a time limit. */
    unsigned transactions;
};

struct teller {
    struct hkt_thread thread;
    struct bank *bank;
    uint64_t random;
    unsigned refused; /* HK_EDEADLK. */
    unsigned late;    /* HK_ETIMEDOUT. */
};

/* One account of a transaction. */
struct pick {
    struct account *account;
    bool write;
};

static unsigned roll(struct teller *teller, unsigned sides)
{
    teller->random ^= teller->random << 13;
    teller->random ^= teller->random >> 7;
    teller->random ^= teller->random << 17;
    return (unsigned)(teller->random >> 33) % sides;
}

static void shuffle(struct teller *teller, struct pick *picks, unsigned count)
{
    for (unsigned i = count; i > 1; i--) {
        unsigned other = roll(teller, i);
        struct pick moved = picks[i - 1];

        picks[i - 1] = picks[other];
        picks[other] = moved;
    }
}

/* 2 to PICKS_MAX different accounts; the first two are always written. */
static unsigned pick_accounts(struct teller *teller, struct pick *picks)
{
    struct bank *bank = teller->bank;
    unsigned count = 2 + roll(teller, PICKS_MAX - 1);
    struct pick all[ACCOUNTS];

    for (unsigned i = 0; i < ACCOUNTS; i++) {
        all[i].account = &bank->accounts[i];
        all[i].write = true;
    }
    shuffle(teller, all, ACCOUNTS);
    for (unsigned i = 0; i < count; i++) {
        picks[i] = all[i];
        picks[i].write = !bank->rw || i < 2;
    }
    return count;
}

static void sort(struct pick *picks, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        for (unsigned k = i; k > 0 && picks[k - 1].account > picks[k].account; k--) {
            struct pick moved = picks[k];

            picks[k] = picks[k - 1];
            picks[k - 1] = moved;
        }
    }
}

/* --- Taking and giving ------------------------------------------------------------- */

static hk_status take(struct teller *teller, const struct pick *pick)
{
    hk_duration timeout =
        teller->bank->timed && roll(teller, 3) == 0 ? HK_US(roll(teller, 50)) : HK_FOREVER;

    if (!teller->bank->rw) {
        return hk_lock_acquire_timed(&pick->account->lock, timeout);
    }
    return pick->write ? hk_rwlock_write_timed(&pick->account->rw, timeout)
                       : hk_rwlock_read_timed(&pick->account->rw, timeout);
}

static void give(const struct bank *bank, const struct pick *pick)
{
    HKT_OK(bank->rw ? hk_rwlock_release(&pick->account->rw)
                    : hk_lock_release(&pick->account->lock));
}

static void give_all(struct teller *teller, struct pick *picks, unsigned count)
{
    shuffle(teller, picks, count); /* Not the last one first. */
    for (unsigned i = 0; i < count; i++) {
        give(teller->bank, &picks[i]);
    }
}

static hk_status take_at_once(const struct pick *picks, unsigned count)
{
    hk_lock *locks[PICKS_MAX];

    for (unsigned i = 0; i < count; i++) {
        locks[i] = &picks[i].account->lock;
    }
    return hk_lock_acquire_many(locks, count);
}

/* All or none. */
static hk_status take_all(struct teller *teller, struct pick *picks, unsigned count)
{
    if (teller->bank->style == AT_ONCE) {
        return take_at_once(picks, count);
    }
    for (unsigned i = 0; i < count; i++) {
        hk_status status = take(teller, &picks[i]);

        if (status != HK_OK) {
            give_all(teller, picks, i);
            return status;
        }
        if (roll(teller, 64) == 0) {
            sched_yield(); /* With locks held, so that others come to want them. */
        }
    }
    return HK_OK;
}

/* --- What is done inside ------------------------------------------------------------- */

static void enter(const struct pick *pick)
{
    int others = pick->write ? atomic_exchange(&pick->account->inside, -1)
                             : atomic_fetch_add(&pick->account->inside, 1);

    HKT_TRUE(pick->write ? others == 0 : others >= 0);
}

static void leave(const struct pick *pick)
{
    if (pick->write) {
        atomic_store(&pick->account->inside, 0);
    } else {
        atomic_fetch_sub(&pick->account->inside, 1);
    }
    atomic_fetch_add(&pick->account->uses, 1);
}

/* Picks are in any order; money moves between those that may be written. */
static void move_money(struct teller *teller, const struct pick *picks, unsigned count)
{
    struct account *from = NULL;
    long seen = 0;

    for (unsigned i = 0; i < count; i++) {
        enter(&picks[i]);
        seen += picks[i].account->balance;
    }
    for (unsigned i = 0; i < count; i++) {
        if (picks[i].write && from == NULL) {
            from = picks[i].account;
        } else if (picks[i].write) {
            long amount = roll(teller, 100);

            from->balance -= amount;
            picks[i].account->balance += amount;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        seen -= picks[i].account->balance;
    }
    HKT_EQ_INT(seen, 0);
    for (unsigned i = 0; i < count; i++) {
        leave(&picks[i]);
    }
}

static void serve(void *arg)
{
    struct teller *teller = arg;
    struct pick picks[PICKS_MAX];

    for (unsigned done = 0; done < teller->bank->transactions / TELLERS; done++) {
        unsigned count = pick_accounts(teller, picks);
        hk_status status;

        if (teller->bank->style == IN_ORDER) {
            sort(picks, count);
        } else {
            shuffle(teller, picks, count);
        }
        status = take_all(teller, picks, count);
        if (status == HK_OK) {
            move_money(teller, picks, count);
            give_all(teller, picks, count);
        } else if (status == HK_EDEADLK) {
            teller->refused++;
        } else if (HKT_STATUS(status, HK_ETIMEDOUT)) {
            teller->late++;
        } else {
            return;
        }
    }
}

/* --- A day at the bank ------------------------------------------------------------------ */

static void open_bank(struct bank *bank)
{
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        struct account *account = &bank->accounts[i];

        account->lock = (hk_lock)HK_LOCK_INIT("account");
        account->rw = (hk_rwlock)HK_RWLOCK_INIT("account");
        account->balance = START;
    }
}

static void close_bank(struct bank *bank)
{
    long total = 0;

    for (unsigned i = 0; i < ACCOUNTS; i++) {
        total += bank->accounts[i].balance;
        HKT_EQ_INT(atomic_load(&bank->accounts[i].inside), 0);
        HKT_TRUE(atomic_load(&bank->accounts[i].uses) > 0);
        HKT_OK(hk_lock_destroy(&bank->accounts[i].lock));
        HKT_OK(hk_rwlock_destroy(&bank->accounts[i].rw));
    }
    HKT_EQ_INT(total, (long)ACCOUNTS * START);
}

/* Returns how many transactions were refused. */
static unsigned run(struct bank bank, unsigned divisor)
{
    static struct teller tellers[TELLERS];
    unsigned refused = 0;
    unsigned late = 0;

    bank.transactions = TRANSACTIONS / divisor / hkt_slowness();
    open_bank(&bank);
    for (unsigned i = 0; i < TELLERS; i++) {
        tellers[i] = (struct teller){.bank = &bank, .random = 88172645463325252U + i * 7919};
        hkt_thread_start(&tellers[i].thread, serve, &tellers[i]);
    }
    for (unsigned i = 0; i < TELLERS; i++) {
        hkt_thread_join(&tellers[i].thread);
        refused += tellers[i].refused;
        late += tellers[i].late;
    }
    HKT_TRUE(bank.timed || late == 0);
    close_bank(&bank);
    return refused;
}

/* A run in which rings come about, and are expected in the log. */
static void run_without_order(struct bank bank, unsigned divisor)
{
    struct hkt_log log;
    unsigned refused;

    hkt_log_begin(&log);
    HKT_OK(hk_lock_policy_set(HK_LOCK_OFF));
    refused = run(bank, divisor);
    HKT_EQ_INT(log.lines, refused);
    HKT_OK(hk_lock_policy_set(HK_LOCK_DEFAULT));
    hkt_log_end(&log);
}

/* A run in which nothing may be said, by nobody. */
static void run_with_order(struct bank bank, unsigned divisor)
{
    struct hkt_reports reports;
    struct hkt_log log;

    hkt_log_begin(&log);
    hkt_reports_begin(&reports);
    HKT_EQ_INT(run(bank, divisor), 0);
    HKT_EQ_INT(reports.count, 0);
    HKT_EQ_INT(log.lines, 0);
    hkt_reports_end(&reports);
    hkt_log_end(&log);
}

static void in_random_order_nobody_hangs(void)
{
    run_without_order((struct bank){.style = AT_RANDOM}, 1);
}

static void in_random_order_with_time_limits_nobody_hangs(void)
{
    run_without_order((struct bank){.style = AT_RANDOM, .timed = true}, 4);
}

static void readers_and_writers_in_random_order_do_not_hang(void)
{
    run_without_order((struct bank){.style = AT_RANDOM, .rw = true}, 4);
    run_without_order((struct bank){.style = AT_RANDOM, .rw = true, .timed = true}, 8);
}

static void in_a_common_order_nobody_is_refused(void)
{
    run_with_order((struct bank){.style = IN_ORDER}, 1);
}

static void readers_and_writers_in_a_common_order_are_not_refused(void)
{
    run_with_order((struct bank){.style = IN_ORDER, .rw = true}, 4);
}

static void at_once_nobody_is_refused(void)
{
    run_with_order((struct bank){.style = AT_ONCE}, 1);
}

static CU_TestInfo tests[] = {
    HKT_CASE("in random order nobody hangs", in_random_order_nobody_hangs),
    HKT_CASE("in random order with time limits nobody hangs",
             in_random_order_with_time_limits_nobody_hangs),
    HKT_CASE("readers and writers in random order do not hang",
             readers_and_writers_in_random_order_do_not_hang),
    HKT_CASE("in a common order nobody is refused", in_a_common_order_nobody_is_refused),
    HKT_CASE("readers and writers in a common order are not refused",
             readers_and_writers_in_a_common_order_are_not_refused),
    HKT_CASE("at once nobody is refused", at_once_nobody_is_refused),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "lock_storm", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
