/* SPDX-License-Identifier: MIT */
/*
 * Dijkstra's dining philosophers: five of them around a table, a fork between any two,
 * and it takes two forks to eat.
 *
 *     dining_philosophers deadlocking   each takes the left fork, then the right one, all at
 *                                       once: nobody could ever eat. Hocket refuses one.
 *     dining_philosophers checked       the same without the hurry. Hocket sees that this can
 *                                       go wrong, at the first meal, and though it does not.
 *     dining_philosophers repaired      both forks at once: nothing can go wrong.
 */
#include <hocket/hocket.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { SEATS = 5, MEALS = 1000 };

enum mode { DEADLOCKING, CHECKED, REPAIRED };

static const char *const mode_names[] = {"deadlocking", "checked", "repaired"};
static const char *const names[] = {"Aristotle", "Hypatia", "Kant", "Sartre", "Simone"};
static const char *const fork_names[] = {"fork 1", "fork 2", "fork 3", "fork 4", "fork 5"};

struct table {
    enum mode mode;
    hk_lock forks[SEATS];
    unsigned uses[SEATS]; /* Plain: who eats holds the fork. */
    pthread_barrier_t first_forks_taken;
    atomic_uint deadlocks;  /* Times that somebody was refused with HK_EDEADLK, */
    atomic_uint inversions; /* and with HK_EORDER. */
};

struct philosopher {
    pthread_t thread;
    struct table *table;
    const char *name;
    unsigned first; /* The fork that is taken first. */
    unsigned second;
    unsigned meals;
    bool has_met; /* Has sat there with one fork while all others did. */
    hk_status status;
};

/* [take] */
/* Both forks or none. */
static hk_status take_forks(struct philosopher *self)
{
    struct table *table = self->table;
    hk_lock *first = &table->forks[self->first];
    hk_lock *second = &table->forks[self->second];
    hk_status status;

    if (table->mode == REPAIRED) {
        return hk_lock_acquire_many(((hk_lock *[]){first, second}), 2);
    }
    if ((status = hk_lock_acquire(first)) != HK_OK) {
        return status;
    }
    if (table->mode == DEADLOCKING && !self->has_met) {
        pthread_barrier_wait(&table->first_forks_taken);
        self->has_met = true;
    }
    if ((status = hk_lock_acquire(second)) != HK_OK) {
        hk_lock_release(first);
    }
    return status;
}
/* [take] */

static void eat(struct philosopher *self)
{
    struct table *table = self->table;

    table->uses[self->first]++;
    table->uses[self->second]++;
    self->meals++;
    hk_lock_release(&table->forks[self->first]);
    hk_lock_release(&table->forks[self->second]);
}

/* [dine] */
static void *dine(void *arg)
{
    struct philosopher *self = arg;

    pthread_setname_np(pthread_self(), self->name);
    while (self->meals < MEALS) {
        hk_status status = take_forks(self);

        if (status == HK_OK) {
            eat(self);
        } else if (status == HK_EDEADLK) {
            /* All the others wait: this one has put down its fork, and tries again. */
            atomic_fetch_add(&self->table->deadlocks, 1);
            sched_yield();
        } else if (status == HK_EORDER) {
            /* From now on in the order that the others have shown. */
            unsigned first = self->first;

            atomic_fetch_add(&self->table->inversions, 1);
            self->first = self->second;
            self->second = first;
        } else {
            self->status = status;
            break;
        }
    }
    return NULL;
}
/* [dine] */

/* --- What Hocket says ------------------------------------------------------------- */

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

/* [report] */
static void show_report(const hk_lock_report *report, void *arg)
{
    const hk_lock_edge *wrong = &report->edges[0];

    (void)arg;
    printf("  Hocket says: %s holds %s and wants %s (line %d). But the order so far was\n",
           report->thread_name, wrong->from_name, wrong->to_name, wrong->to_site->line);
    for (size_t i = 1; i < report->edge_count; i++) {
        const hk_lock_edge *edge = &report->edges[i];

        printf("    %s before %s, shown by %s\n", edge->from_name, edge->to_name,
               edge->thread_name);
    }
}
/* [report] */

/* --- The evening ------------------------------------------------------------------- */

static bool set_table(struct table *table, enum mode mode)
{
    static atomic_flag shown = ATOMIC_FLAG_INIT;

    *table = (struct table){.mode = mode};
    for (unsigned i = 0; i < SEATS; i++) {
        if (hk_lock_init(&table->forks[i], &(hk_lock_options){.name = fork_names[i]}) != HK_OK) {
            return false;
        }
    }
    hk_on_log(show_first_line, &shown);
    hk_on_lock_report(show_report, NULL);
    /* Only without the check of the order can it come to a deadlock at all. */
    return pthread_barrier_init(&table->first_forks_taken, NULL, SEATS) == 0 &&
           hk_lock_policy_set(mode == DEADLOCKING ? HK_LOCK_OFF : HK_LOCK_REFUSE) == HK_OK;
}

/* Whether all have eaten, and the forks say the same. */
static bool clear_table(struct table *table, const struct philosopher *philosophers)
{
    unsigned uses = 0;
    bool fine = true;

    for (unsigned i = 0; i < SEATS; i++) {
        fine = fine && philosophers[i].status == HK_OK && philosophers[i].meals == MEALS;
        uses += table->uses[i];
        hk_lock_destroy(&table->forks[i]);
    }
    pthread_barrier_destroy(&table->first_forks_taken);
    return fine && uses == 2 * SEATS * MEALS;
}

static bool dine_together(enum mode mode)
{
    static struct table table;
    struct philosopher philosophers[SEATS] = {0};
    unsigned deadlocks;
    unsigned inversions;
    bool fine;

    if (!set_table(&table, mode)) {
        return false;
    }
    printf("%s: %d philosophers, %d meals each\n", mode_names[mode], SEATS, MEALS);
    for (unsigned i = 0; i < SEATS; i++) {
        philosophers[i].table = &table;
        philosophers[i].name = names[i];
        philosophers[i].first = i;
        philosophers[i].second = (i + 1) % SEATS;
        if (pthread_create(&philosophers[i].thread, NULL, dine, &philosophers[i]) != 0) {
            return false;
        }
    }
    for (unsigned i = 0; i < SEATS; i++) {
        pthread_join(philosophers[i].thread, NULL);
    }
    deadlocks = atomic_load(&table.deadlocks);
    inversions = atomic_load(&table.inversions);
    fine = clear_table(&table, philosophers);
    printf("  %s. Refusals: %u to break a deadlock, %u for the order of the forks.\n",
           fine ? "All have eaten" : "Somebody went hungry", deadlocks, inversions);
    return fine && (deadlocks != 0) == (mode == DEADLOCKING) && inversions == (mode == CHECKED);
}

int main(int argc, char **argv)
{
    for (int mode = DEADLOCKING; argc == 2 && mode <= REPAIRED; mode++) {
        if (strcmp(argv[1], mode_names[mode]) == 0) {
            return dine_together((enum mode)mode) ? 0 : 1;
        }
    }
    fprintf(stderr, "usage: %s deadlocking | checked | repaired\n", argv[0]);
    return 2;
}
