/* SPDX-License-Identifier: MIT */
/* Locks with their order checked, conditions, read-write locks. */
#include "tests/soak/soak.h"

enum { LEVELS = 6, ROUNDS = 40, OBJECTS = 5 };

/* --- Locks of the whole program, always taken from lower to higher --- */

static hk_lock locks[LEVELS] = {HK_LOCK_INIT("soak 0"), HK_LOCK_INIT("soak 1"),
                                HK_LOCK_INIT("soak 2"), HK_LOCK_INIT("soak 3"),
                                HK_LOCK_INIT("soak 4"), HK_LOCK_INIT("soak 5")};
static uint64_t first_of_two[LEVELS]; /* Plain, under the lock of the level; both are equal. */
static uint64_t second_of_two[LEVELS];

static void change(unsigned level)
{
    SOAK_EXPECT(first_of_two[level] == second_of_two[level]);
    first_of_two[level]++;
    second_of_two[level]++;
}

/* Before all else: a set of locks may be taken in any order that contradicts nothing. */
static hk_status teach_order(void *arg)
{
    hk_status status = HK_OK;
    unsigned count = 0;

    (void)arg;
    while (count < LEVELS && status == HK_OK) {
        status = hk_lock_acquire(&locks[count]);
        count += status == HK_OK;
    }
    while (count > 0) {
        SOAK_EXPECT(hk_lock_release(&locks[--count]) == HK_OK);
    }
    return status;
}

static void take_several(struct soak_actor *actor)
{
    hk_lock *wanted[LEVELS];
    size_t count = 0;

    for (unsigned i = 0; i < LEVELS; i++) {
        if (soak_draw(actor, 2) == 0) {
            wanted[count++] = &locks[i];
        }
    }
    if (count != 0 && SOAK_EXPECT(hk_lock_acquire_many(wanted, count) == HK_OK)) {
        for (size_t i = 0; i < count; i++) {
            change((unsigned)(wanted[i] - locks));
        }
        SOAK_EXPECT(hk_lock_release_many(wanted, count) == HK_OK);
    }
    soak_count(SOAK_LOCKINGS, (int64_t)count);
}

static void take_in_turn(struct soak_actor *actor)
{
    bool held[LEVELS] = {false};

    for (unsigned i = 0; i < LEVELS; i++) {
        if (soak_draw(actor, 2) == 0) {
            hk_status status = soak_draw(actor, 4) == 0
                                   ? hk_lock_acquire_timed(&locks[i], HK_US(100))
                                   : hk_lock_acquire(&locks[i]);

            held[i] = status == HK_OK;
            SOAK_EXPECT(held[i] || status == HK_ETIMEDOUT);
            SOAK_EXPECT(hk_lock_is_held_by_me(&locks[i]) == held[i]);
            if (held[i]) {
                change(i);
                soak_count(SOAK_LOCKINGS, 1);
            }
        }
    }
    for (unsigned i = 0; i < LEVELS; i++) {
        if (held[i]) {
            SOAK_EXPECT(hk_lock_release(&locks[i]) == HK_OK);
        }
    }
}

void soak_piece_locks(struct soak_actor *actor)
{
    static hk_once taught = HK_ONCE_INIT("soak order");

    SOAK_EXPECT(hk_once_run(&taught, teach_order, NULL) == HK_OK);
    for (int i = 0; i < ROUNDS; i++) {
        if (soak_draw(actor, 3) == 0) {
            take_several(actor);
        } else {
            take_in_turn(actor);
        }
    }
}

/* --- Locks that come and go --- */

static hk_lock_class object_class;

void soak_piece_lock_objects(struct soak_actor *actor)
{
    hk_lock objects[OBJECTS];
    hk_rwlock readers = HK_RWLOCK_INIT("soak readers");
    unsigned outer = soak_draw(actor, 2);

    for (unsigned i = 0; i < OBJECTS; i++) {
        const hk_lock_options options = {.name = "soak object",
                                         .flags = i % 2 == 0 ? HK_LOCK_RECURSIVE : 0,
                                         .lock_class = outer == 0 ? &object_class : NULL,
                                         .subclass = i};

        SOAK_EXPECT(hk_lock_init(&objects[i], &options) == HK_OK);
    }
    for (int round = 0; round < 4; round++) {
        SOAK_EXPECT(hk_rwlock_read(&readers) == HK_OK);
        for (unsigned i = 0; i < OBJECTS; i++) {
            SOAK_EXPECT(hk_lock_acquire(&objects[i]) == HK_OK);
            if (i % 2 == 0) {
                SOAK_EXPECT(hk_lock_acquire(&objects[i]) == HK_OK);
                SOAK_EXPECT(hk_lock_release(&objects[i]) == HK_OK);
            }
        }
        for (unsigned i = 0; i < OBJECTS; i++) {
            SOAK_EXPECT(hk_lock_release(&objects[i]) == HK_OK);
        }
        SOAK_EXPECT(hk_rwlock_release(&readers) == HK_OK);
        SOAK_EXPECT(hk_rwlock_write(&readers) == HK_OK);
        SOAK_EXPECT(hk_rwlock_release(&readers) == HK_OK);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        SOAK_EXPECT(hk_lock_destroy(&objects[i]) == HK_OK);
    }
    SOAK_EXPECT(hk_rwlock_destroy(&readers) == HK_OK);
    soak_count(SOAK_LOCKINGS, OBJECTS * 4);
}

/* --- Orders that are refused --- */

void soak_piece_inversions(struct soak_actor *actor)
{
    const hk_lock_options options = {.name = "soak inverted", .policy = HK_LOCK_REFUSE};
    unsigned length = 2 + soak_draw(actor, OBJECTS - 1);
    hk_lock ring[OBJECTS];

    for (unsigned i = 0; i < length; i++) {
        SOAK_EXPECT(hk_lock_init(&ring[i], &options) == HK_OK);
    }
    for (unsigned i = 0; i < length; i++) {
        hk_lock *inner = &ring[(i + 1) % length];
        hk_status status;

        SOAK_EXPECT(hk_lock_acquire(&ring[i]) == HK_OK);
        status = hk_lock_acquire(inner);
        SOAK_EXPECT(status == (i + 1 == length ? HK_EORDER : HK_OK));
        if (status == HK_OK) {
            SOAK_EXPECT(hk_lock_release(inner) == HK_OK);
        }
        SOAK_EXPECT(hk_lock_release(&ring[i]) == HK_OK);
    }
    for (unsigned i = 0; i < length; i++) {
        SOAK_EXPECT(hk_lock_destroy(&ring[i]) == HK_OK);
    }
    soak_count(SOAK_INVERSIONS, 1);
}

/* --- Threads that meet --- */

enum { PARTY = 4 };

struct meeting {
    hk_barrier barrier;
    hk_once once;
    hk_semaphore semaphore;
    hk_rwlock rwlock;
    hk_lock lock;
    hk_cond cond;
    uint32_t turn;      /* Under the lock. */
    uint32_t written;   /* Under the rwlock. */
    uint32_t made;      /* Once. */
    atomic_uint serial; /* Leaders of the barrier. */
    atomic_uint inside; /* The semaphore. */
};

static hk_status make_once(void *arg)
{
    struct meeting *meeting = arg;

    meeting->made++;
    return HK_OK;
}

static void take_turns(struct meeting *meeting)
{
    SOAK_EXPECT(hk_lock_acquire(&meeting->lock) == HK_OK);
    meeting->turn++;
    SOAK_EXPECT(hk_cond_broadcast(&meeting->cond) == HK_OK);
    while (meeting->turn < PARTY) {
        SOAK_EXPECT(hk_cond_wait(&meeting->cond, &meeting->lock, HK_FOREVER) == HK_OK);
    }
    SOAK_EXPECT(hk_lock_release(&meeting->lock) == HK_OK);
}

static void *meet(void *arg)
{
    struct meeting *meeting = arg;
    bool serial = false;

    SOAK_EXPECT(hk_once_run(&meeting->once, make_once, meeting) == HK_OK);
    SOAK_EXPECT(meeting->made == 1);
    take_turns(meeting);
    for (int i = 0; i < ROUNDS; i++) {
        SOAK_EXPECT(hk_semaphore_acquire(&meeting->semaphore, 1, HK_FOREVER) == HK_OK);
        SOAK_EXPECT(atomic_fetch_add(&meeting->inside, 1) < 2);
        atomic_fetch_sub(&meeting->inside, 1);
        SOAK_EXPECT(hk_semaphore_release(&meeting->semaphore, 1) == HK_OK);
        SOAK_EXPECT(hk_rwlock_write(&meeting->rwlock) == HK_OK);
        meeting->written++;
        SOAK_EXPECT(hk_rwlock_release(&meeting->rwlock) == HK_OK);
    }
    SOAK_EXPECT(hk_barrier_wait(&meeting->barrier, HK_FOREVER, &serial) == HK_OK);
    atomic_fetch_add(&meeting->serial, serial ? 1U : 0U);
    SOAK_EXPECT(hk_rwlock_read(&meeting->rwlock) == HK_OK);
    SOAK_EXPECT(meeting->written == PARTY * ROUNDS);
    SOAK_EXPECT(hk_rwlock_release(&meeting->rwlock) == HK_OK);
    return NULL;
}

void soak_piece_meetings(struct soak_actor *actor)
{
    struct meeting meeting = {HK_BARRIER_INIT("meeting", PARTY),
                              HK_ONCE_INIT("made"),
                              HK_SEMAPHORE_INIT("two", 2, 2),
                              HK_RWLOCK_INIT("written"),
                              HK_LOCK_INIT("turn"),
                              HK_COND_INIT("turns"),
                              0,
                              0,
                              0,
                              0,
                              0};

    (void)actor;
    soak_run_threads(PARTY, meet, &meeting);
    SOAK_EXPECT(atomic_load(&meeting.serial) == 1);
    SOAK_EXPECT(hk_lock_destroy(&meeting.lock) == HK_OK);
    SOAK_EXPECT(hk_rwlock_destroy(&meeting.rwlock) == HK_OK);
    soak_count(SOAK_LOCKINGS, PARTY * (ROUNDS + 2));
}

/* --- Events, latches, counters, lazies --- */

struct signalled {
    hk_event go;
    hk_latch done;
    hk_lazy lazy;
    hk_counter counter;
    atomic_uint arrived;
};

static hk_status make_number(void *arg, void **value)
{
    *value = arg;
    return HK_OK;
}

static void *wait_for_go(void *arg)
{
    struct signalled *signalled = arg;
    void *value = NULL;

    SOAK_EXPECT(hk_event_wait(&signalled->go, HK_FOREVER) == HK_OK);
    SOAK_EXPECT(hk_lazy_get(&signalled->lazy, &value) == HK_OK && value == signalled);
    hk_counter_add(&signalled->counter, 7);
    SOAK_EXPECT(hk_latch_count_down(&signalled->done, 1) == HK_OK);
    return NULL;
}

static void *signal_all(void *arg)
{
    struct signalled *signalled = arg;

    SOAK_EXPECT(hk_event_set(&signalled->go) == HK_OK);
    SOAK_EXPECT(hk_latch_wait(&signalled->done, HK_FOREVER) == HK_OK);
    SOAK_EXPECT(hk_counter_sum(&signalled->counter) == (int64_t)7 * PARTY);
    return NULL;
}

/* Who comes last signals, so that the others as a rule wait. */
static void *wait_or_signal(void *arg)
{
    struct signalled *signalled = arg;

    return atomic_fetch_add(&signalled->arrived, 1) == PARTY ? signal_all(arg) : wait_for_go(arg);
}

void soak_piece_events(struct soak_actor *actor)
{
    struct signalled signalled = {.go = HK_EVENT_INIT("go"),
                                  .lazy = HK_LAZY_INIT("lazy", make_number, NULL, &signalled),
                                  .counter = HK_COUNTER_INIT};

    (void)actor;
    SOAK_EXPECT(hk_latch_init(&signalled.done, "done", PARTY) == HK_OK);
    SOAK_EXPECT(hk_event_wait(&signalled.go, 0) == HK_ETIMEDOUT);
    soak_run_threads(PARTY + 1, wait_or_signal, &signalled);
    hk_lazy_destroy(&signalled.lazy);
    hk_latch_destroy(&signalled.done);
}
