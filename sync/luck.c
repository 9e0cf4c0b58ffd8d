/* SPDX-License-Identifier: MIT */
#include "sync/luck.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/os.h"

enum {
    PAUSES = 64, /* Some 2 us. */
    TURN = 16,   /* Who has the answer may wait for this very processor. */
    YIELDS = 16, /* Some 3 us; or a turn for who has the answer, where all share a processor. */
    BEST = 8,
    GAIN = 2,
    SELDOM = 16, /* Out of luck: every so many times. */
};

struct luck {
    int level; /* Above 0: it looks. */
    unsigned skipped;
};

static _Thread_local struct luck own = {BEST / 2, 0};

/* 0: not asked yet. */
static atomic_int processors;

static atomic_int at_work;

/* The parent's workers are not in the child. Where there were none, as in the zygote, the page
 * need not be written, which would cost the child a copy. */
static void in_child(void)
{
    if (atomic_load(&at_work) != 0) {
        atomic_store(&at_work, 0);
    }
}

__attribute__((constructor(102))) static void set_up(void)
{
    (void)pthread_atfork(NULL, NULL, in_child);
}

void hki_luck_crowd(int change)
{
    /* relaxed: a hint. */
    atomic_fetch_add_explicit(&at_work, change, memory_order_relaxed);
}

static int count_processors(void)
{
    /* relaxed: whoever asks gets the same answer. */
    int known = atomic_load_explicit(&processors, memory_order_relaxed);

    if (known == 0) {
        known = (int)hki_os_cpu_count();
        /* relaxed: as above. */
        atomic_store_explicit(&processors, known, memory_order_relaxed);
    }
    return known;
}

/* While all processors are busy, and be it with this thread, nothing comes of keeping one. */
static int pauses_to_make(void)
{
    int count = count_processors();

    /* relaxed: a hint. */
    return count == 1 || atomic_load_explicit(&at_work, memory_order_relaxed) >= count ? 0 : PAUSES;
}

static bool look_again(bool (*look)(const void *object), const void *object)
{
    int to_make = pauses_to_make();

    for (int i = 0; i < to_make; i++) {
        if (look(object)) {
            return true;
        }
        if (i % TURN == TURN - 1) {
            hki_os_yield();
        } else {
            hki_os_pause();
        }
    }
    for (int i = 0; i < YIELDS; i++) {
        if (look(object)) {
            return true;
        }
        hki_os_yield();
    }
    return look(object);
}

bool hki_luck_look(bool (*look)(const void *object), const void *object)
{
    bool found;

    if (own.level <= 0 && ++own.skipped % SELDOM != 0) {
        return false;
    }
    found = look_again(look, object);
    if (found) {
        own.level = own.level + GAIN < BEST ? own.level + GAIN : BEST;
    } else if (own.level > 0) {
        own.level--;
    }
    return found;
}
