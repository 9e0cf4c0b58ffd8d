/* SPDX-License-Identifier: MIT */
/* Finds a fault that hangs on the order of two tasks, and replays it. */
#include <hocket/hocket.h>

#include <inttypes.h>
#include <stdio.h>

struct account {
    bool open;
    long balance;
};

HK_TASK(open_account)
{
    struct account *account = (void *)(uintptr_t)in;

    (void)in_size;
    if (hk_sleep(call, HK_MS(2)) != HK_OK) { /* Asks the bank. */
        return HK_ECANCELED;
    }
    *account = (struct account){.open = true, .balance = 0};
    return HK_OK;
}

/* The fault: it takes for granted that the account is open. */
HK_TASK(deposit)
{
    struct account *account = (void *)(uintptr_t)in;

    (void)in_size;
    if (hk_sleep(call, HK_MS(2)) != HK_OK) { /* Asks the bank. */
        return HK_ECANCELED;
    }
    account->balance += 100;
    return HK_OK;
}

/* [scenario] */
/* The code under test, as it runs in production on a thread pool. */
static long balance_after_deposit(hk_executor *executor)
{
    struct account account = {0};
    hk_future *futures[2] = {NULL, NULL};
    long balance = -1;

    if (hk_submit_ref(executor, open_account, &account, NULL, NULL, &futures[0]) == HK_OK &&
        hk_submit_ref(executor, deposit, &account, NULL, NULL, &futures[1]) == HK_OK &&
        hk_wait(futures, 2, HK_ALL_COMPLETED, HK_FOREVER, NULL, NULL) == HK_OK) {
        balance = account.balance;
    }
    hk_future_unref(futures[0]);
    hk_future_unref(futures[1]);
    return balance;
}
/* [scenario] */

static void print_step(const hk_replay_step_info *step, void *arg)
{
    static const char *const actions[] = {"starts", "goes on", "timer", "is refused"};

    (void)arg;
    printf("  step %" PRIu64 " at %3.0f ms: %s %s\n", step->number, (double)step->now / 1e6,
           step->task, actions[step->action]);
}

/* [try] */
/* One order of events: the seed's. */
static long try_seed(uint64_t seed, hk_replay_step_fn *trace)
{
    hk_executor *executor;
    long balance = -1;

    if (hk_replay_create(seed, NULL, &executor) != HK_OK) {
        return -1;
    }
    if (hk_replay_on_step(executor, trace, NULL) == HK_OK) {
        balance = balance_after_deposit(executor);
    }
    return hk_executor_destroy(executor) == HK_OK ? balance : -1;
}
/* [try] */

int main(void)
{
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        long balance = try_seed(seed, NULL);

        if (balance != 100) {
            printf("seed %" PRIu64 " shows it: the balance is %ld, not 100; once more:\n", seed,
                   balance);
            return try_seed(seed, print_step) == balance ? 0 : 1;
        }
    }
    printf("no seed shows it\n");
    return 1;
}
