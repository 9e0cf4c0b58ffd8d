/* SPDX-License-Identifier: MIT */
/*
 * Clerks move money between accounts, each of which has a lock: a transfer needs two.
 *
 *     bank_transfers deadlocking   first the account that pays, then the other one. Two
 *                                  clerks with opposite transfers wait for each other;
 *                                  Hocket refuses one of them, who begins again.
 *     bank_transfers checked       the same, but Hocket watches the order: it refuses the
 *                                  first transfer that goes against the earlier ones.
 *     bank_transfers repaired      both at once: Hocket finds the order.
 *
 * In the end the bank must have exactly the money that it had in the beginning.
 */
#include <hocket/hocket.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ACCOUNTS = 4, CLERKS = ACCOUNTS, TRANSFERS = 2000, START = 1000 };

enum mode { DEADLOCKING, CHECKED, REPAIRED };

static const char *const mode_names[] = {"deadlocking", "checked", "repaired"};
static const char *const holders[] = {"Ada's account", "Bob's account", "Cleo's account",
                                      "Dan's account"};

struct account {
    hk_lock lock;
    long balance; /* Plain: the lock guards it. */
};

struct bank {
    enum mode mode;
    struct account accounts[ACCOUNTS];
    pthread_barrier_t opening;
    atomic_uint deadlocks;  /* Transfers that were refused with HK_EDEADLK, */
    atomic_uint inversions; /* and with HK_EORDER. */
};

struct clerk {
    pthread_t thread;
    struct bank *bank;
    unsigned number;
    unsigned random;
    bool has_begun;
    hk_status status;
};

/* [careless] */
/* One account, and then the other. */
static hk_status lock_in_turn(struct clerk *clerk, struct account *from, struct account *to)
{
    hk_status status = hk_lock_acquire(&from->lock);

    if (status != HK_OK) {
        return status;
    }
    if (clerk->bank->mode == DEADLOCKING && !clerk->has_begun) {
        /* All clerks have an account by now, and want one that another has. */
        pthread_barrier_wait(&clerk->bank->opening);
        clerk->has_begun = true;
    }
    if ((status = hk_lock_acquire(&to->lock)) != HK_OK) {
        hk_lock_release(&from->lock);
    }
    return status;
}
/* [careless] */

/* [repaired] */
/* Both accounts at once, in an order on which all agree. */
static hk_status lock_at_once(struct account *from, struct account *to)
{
    return hk_lock_acquire_many(((hk_lock *[]){&from->lock, &to->lock}), 2);
}
/* [repaired] */

static hk_status transfer(struct clerk *clerk, struct account *from, struct account *to,
                          long amount)
{
    hk_status status =
        clerk->bank->mode == REPAIRED ? lock_at_once(from, to) : lock_in_turn(clerk, from, to);

    if (status == HK_OK) {
        from->balance -= amount;
        to->balance += amount;
        hk_lock_release(&from->lock);
        hk_lock_release(&to->lock);
    }
    return status;
}

/* [again] */
/* Nothing was moved when a transfer was refused, so it can be tried again. */
static hk_status transfer_at_last(struct clerk *clerk, struct account *from, struct account *to,
                                  long amount)
{
    hk_status status;

    while ((status = transfer(clerk, from, to, amount)) == HK_EDEADLK) {
        atomic_fetch_add(&clerk->bank->deadlocks, 1);
        sched_yield();
    }
    if (status == HK_EORDER) {
        /* The other way round, which is as good for a transfer. */
        atomic_fetch_add(&clerk->bank->inversions, 1);
        status = transfer(clerk, to, from, -amount);
    }
    return status;
}
/* [again] */

static unsigned roll(struct clerk *clerk, unsigned sides)
{
    clerk->random = clerk->random * 1103515245U + 12345U;
    return (clerk->random >> 16) % sides;
}

static void *work(void *arg)
{
    struct clerk *clerk = arg;
    struct account *accounts = clerk->bank->accounts;
    char name[16];

    snprintf(name, sizeof(name), "clerk %u", clerk->number + 1);
    pthread_setname_np(pthread_self(), name);
    for (unsigned i = 0; i < TRANSFERS && clerk->status == HK_OK; i++) {
        /* The first one goes to the neighbour, so that together they make a ring. */
        unsigned from = i == 0 ? clerk->number : roll(clerk, ACCOUNTS);
        unsigned to = (from + 1 + (i == 0 ? 0 : roll(clerk, ACCOUNTS - 1))) % ACCOUNTS;

        clerk->status =
            transfer_at_last(clerk, &accounts[from], &accounts[to], 1 + (long)roll(clerk, 100));
    }
    return NULL;
}

/* --- What Hocket says ----------------------------------------------------------------- */

/* The first line of the log; the others say the same of other moments. */
static void show_first_line(hk_log_level level, const char *text, void *arg)
{
    atomic_flag *shown = arg;

    (void)level;
    if (!atomic_flag_test_and_set(shown)) {
        printf("  Hocket says:\n");
        for (const char *comma; (comma = strstr(text, ", which")) != NULL; text = comma + 2) {
            printf("    %.*s,\n", (int)(comma - text), text);
        }
        printf("    %s\n", text);
    }
}

/* Each pair of accounts is reported once. */
static void show_report(const hk_lock_report *report, void *arg)
{
    const hk_lock_edge *wrong = &report->edges[0];

    (void)arg;
    printf("  Hocket says: %s after %s is against the order so far:", wrong->to_name,
           wrong->from_name);
    for (size_t i = 1; i < report->edge_count; i++) {
        printf(" %s before", report->edges[i].from_name);
    }
    printf(" %s\n", wrong->from_name);
}

/* --- The day ---------------------------------------------------------------------------- */

static bool open_bank(struct bank *bank, enum mode mode)
{
    static atomic_flag shown = ATOMIC_FLAG_INIT;

    *bank = (struct bank){.mode = mode};
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        bank->accounts[i].balance = START;
        if (hk_lock_init(&bank->accounts[i].lock, &(hk_lock_options){.name = holders[i]}) !=
            HK_OK) {
            return false;
        }
    }
    hk_on_log(show_first_line, &shown);
    hk_on_lock_report(show_report, NULL);
    /* Only without the check of the order can it come to a deadlock at all. */
    return pthread_barrier_init(&bank->opening, NULL, CLERKS) == 0 &&
           hk_lock_policy_set(mode == DEADLOCKING ? HK_LOCK_OFF : HK_LOCK_REFUSE) == HK_OK;
}

/* Returns what all accounts hold together. */
static long close_bank(struct bank *bank)
{
    long total = 0;

    for (unsigned i = 0; i < ACCOUNTS; i++) {
        total += bank->accounts[i].balance;
        hk_lock_destroy(&bank->accounts[i].lock);
    }
    pthread_barrier_destroy(&bank->opening);
    return total;
}

static bool work_a_day(enum mode mode)
{
    static struct bank bank;
    struct clerk clerks[CLERKS] = {0};
    bool fine = true;
    unsigned deadlocks;
    unsigned inversions;
    long total;

    if (!open_bank(&bank, mode)) {
        return false;
    }
    printf("%s: %d clerks, %d transfers each\n", mode_names[mode], CLERKS, TRANSFERS);
    for (unsigned i = 0; i < CLERKS; i++) {
        clerks[i].bank = &bank;
        clerks[i].number = i;
        clerks[i].random = i;
        if (pthread_create(&clerks[i].thread, NULL, work, &clerks[i]) != 0) {
            return false;
        }
    }
    for (unsigned i = 0; i < CLERKS; i++) {
        pthread_join(clerks[i].thread, NULL);
        fine = fine && clerks[i].status == HK_OK;
    }
    deadlocks = atomic_load(&bank.deadlocks);
    inversions = atomic_load(&bank.inversions);
    total = close_bank(&bank);
    printf("  The bank has %ld of %d. Refusals: %u to break a deadlock, %u for the order.\n", total,
           ACCOUNTS * START, deadlocks, inversions);
    return fine && total == (long)ACCOUNTS * START && (deadlocks != 0) == (mode == DEADLOCKING) &&
           (inversions != 0) == (mode == CHECKED);
}

int main(int argc, char **argv)
{
    for (int mode = DEADLOCKING; argc == 2 && mode <= REPAIRED; mode++) {
        if (strcmp(argv[1], mode_names[mode]) == 0) {
            return work_a_day((enum mode)mode) ? 0 : 1;
        }
    }
    fprintf(stderr, "usage: %s deadlocking | checked | repaired\n", argv[0]);
    return 2;
}
