/* SPDX-License-Identifier: MIT */
/*
 * A caller that waits collects for itself: between a worker and who waits for it stands no
 * third thread, which would double the way.
 *
 * One waiting caller is the leader. It looks for results while processors are free to do so,
 * then sleeps on its own parker and the bells of the busy workers at once. Others wait on
 * their parkers only, and mark what they wait for as urgent. When a leader leaves, it tells
 * the workers to ring the supervisor from then on. But one that comes and goes with every few
 * tasks would have the supervisor woken in between each time: if that will look by itself
 * within a nap, and nobody needs to hear earlier, the workers ring nobody until then.
 */
#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/pool.h"
#include "sync/parker.h"

enum { WORDS_MAX = 64, LOOKS = 32 };

/* Whether there may be something to see soon, and a processor is left for who only looks. When
 * no worker has anything, one is being started as a rule, which needs the processor more. */
static bool may_spin(const struct process_pool *pool)
{
    /* relaxed: a hint, without the lock. */
    unsigned busy =
        atomic_load_explicit(&((struct process_pool *)pool)->busy, memory_order_relaxed);

    return busy != 0 && busy < pool->cpus && pool->page->spin_ns != 0;
}

/* True once the parker has a token. */
static bool spin(struct process_pool *pool, struct hki_parker *parker, int64_t deadline_ns)
{
    int64_t end_ns = 0;

    for (unsigned looks = 0;; looks++) {
        if (hki_pool_has_results(pool)) {
            end_ns = hki_pool_collect(pool) ? 0 : end_ns;
        }
        if (hki_parker_try(parker)) {
            return true;
        }
        if (looks % LOOKS == 0) {
            int64_t now_ns = hk_now_ns();

            end_ns = end_ns == 0 ? now_ns + pool->page->spin_ns : end_ns;
            if (now_ns >= end_ns || now_ns >= deadline_ns || !may_spin(pool)) {
                return false;
            }
        }
        hki_os_pause();
    }
}

/* Until something was collected, or it has looked for long enough. */
static void spin_once(struct process_pool *pool, int64_t deadline_ns)
{
    int64_t end_ns = hki_earlier(deadline_ns, hk_now_ns() + pool->page->spin_ns);

    while (!hki_pool_has_results(pool) || !hki_pool_collect(pool)) {
        for (unsigned looks = 0; looks < LOOKS && !hki_pool_has_results(pool); looks++) {
            hki_os_pause();
        }
        if (hk_now_ns() >= end_ns || !may_spin(pool)) {
            return;
        }
    }
}

/* Under the lock: this task's end is to be told at once. But not if tasks are short and others
 * follow: a wake for each would cost as much as the task, and the nap is over soon. */
static void mark_urgent(const struct process_pool *pool, const hk_job *job)
{
    struct entry *entry = hki_pool_find(job);

    if (entry != NULL &&
        (pool->mean_ns == 0 || pool->mean_ns > HKI_NAP_NS || pool->outstanding <= pool->busy)) {
        atomic_store(&hki_seat_cell(entry->seat, entry->request)->urgent, 1);
    }
}

/* Under the lock: what to sleep on: the parker, workers yet to come, and those there are. */
static unsigned list_words(struct process_pool *pool, struct hki_parker *parker,
                           struct hki_os_wait_word *words)
{
    unsigned count = 0;

    words[count++] = (struct hki_os_wait_word){&parker->token, 0, false};
    words[count++] =
        (struct hki_os_wait_word){&pool->newcomers, atomic_load(&pool->newcomers), false};
    for (unsigned i = 0; i < pool->high_seat && count < WORDS_MAX; i++) {
        struct seat *seat = &pool->seats[i];

        if (seat->life != SEAT_EMPTY) { /* What comes meanwhile may be given to any of them. */
            words[count++] = (struct hki_os_wait_word){&seat->channel->bell,
                                                       atomic_load(&seat->channel->bell), true};
        }
    }
    return count;
}

/* Sleeps until there may be something, or the moment. False: such a sleep is not to be had. */
static bool sleep_on_all(struct process_pool *pool, hk_job *job, struct hki_parker *parker,
                         uint32_t when, int64_t until_ns)
{
    struct hki_os_wait_word words[WORDS_MAX];
    unsigned count;
    bool fits;

    pthread_mutex_lock(&pool->lock);
    mark_urgent(pool, job);
    count = list_words(pool, parker, words);
    fits = pool->live + 2 <= WORDS_MAX;
    pool->leader_rests = when == HKI_RING_FIRST;
    hki_pool_set_attention(pool, when | HKI_RING_CALLER);
    pthread_mutex_unlock(&pool->lock);
    if (!fits) {
        return false;
    }
    if (hki_pool_has_results(pool)) {
        return true; /* Ended before the workers were told to ring. */
    }
    return hki_os_futex_wait_any(words, count, until_ns);
}

enum led { LED_WOKEN, LED_TIMED_OUT, LED_CANNOT_SLEEP };

static enum led lead(struct process_pool *pool, hk_job *job, struct hki_parker *parker,
                     int64_t deadline_ns)
{
    bool idle = false;

    for (;;) {
        int64_t now_ns;

        hki_pool_set_attention(pool, HKI_RING_NEVER);
        if (spin(pool, parker, deadline_ns)) {
            return LED_WOKEN;
        }
        now_ns = hk_now_ns();
        if (now_ns >= deadline_ns) {
            return LED_TIMED_OUT;
        }
        if (!sleep_on_all(pool, job, parker, idle ? HKI_RING_FIRST : HKI_RING_COALESCED,
                          idle ? deadline_ns : hki_earlier(deadline_ns, now_ns + HKI_NAP_NS))) {
            return LED_CANNOT_SLEEP;
        }
        idle = !hki_pool_collect(pool); /* After a nap with nothing: until somebody rings. */
        if (hki_parker_try(parker)) {
            return LED_WOKEN;
        }
    }
}

bool hki_pool_end_quiet(struct process_pool *pool, uint32_t when)
{
    if (!pool->quiet) {
        return false;
    }
    pool->quiet = false;
    hki_pool_set_attention(pool, when);
    return true;
}

/* `served`: what the caller came for has ended. */
static void stop_leading(struct process_pool *pool, bool served)
{
    bool quiet;

    pthread_mutex_lock(&pool->lock);
    pool->has_leader = false;
    pool->left++;
    quiet = served && pool->minded && pool->followers == 0 && pool->queue.length == 0;
    pool->quiet = quiet;
    hki_pool_set_attention(pool, quiet ? HKI_RING_NEVER : HKI_RING_FIRST);
    pthread_mutex_unlock(&pool->lock);
    if (!quiet && hki_pool_has_results(pool)) {
        (void)hki_pool_collect(pool);
    }
}

static bool follow(struct process_pool *pool, hk_job *job, struct hki_parker *parker,
                   int64_t deadline_ns)
{
    bool woken;

    pthread_mutex_lock(&pool->lock);
    mark_urgent(pool, job);
    pool->followers++;
    (void)hki_pool_end_quiet(pool, HKI_RING_FIRST); /* The leader may have left by now. */
    pthread_mutex_unlock(&pool->lock);
    /* It may have ended before it was marked. */
    if (hki_pool_has_results(pool)) {
        (void)hki_pool_collect(pool);
    }
    woken = hki_parker_park(parker, deadline_ns);
    pthread_mutex_lock(&pool->lock);
    pool->followers--;
    pthread_mutex_unlock(&pool->lock);
    return woken;
}

static bool begin_leading(struct process_pool *pool)
{
    bool leads;

    pthread_mutex_lock(&pool->lock);
    leads = !pool->has_leader;
    pool->has_leader = true;
    pool->leader_rests = false;
    pool->quiet = false;
    pthread_mutex_unlock(&pool->lock);
    return leads;
}

/* The caller will sleep on what only the supervisor sees to. */
static void leave_to_supervisor(struct process_pool *pool)
{
    bool looks;

    pthread_mutex_lock(&pool->lock);
    looks = hki_pool_end_quiet(pool, HKI_RING_FIRST);
    pthread_mutex_unlock(&pool->lock);
    if (looks && hki_pool_has_results(pool)) {
        (void)hki_pool_collect(pool);
    }
}

void hki_pool_assist(void *self, hk_job *job, int64_t deadline_ns)
{
    struct process_pool *pool = self;

    (void)job;
    if (may_spin(pool) && begin_leading(pool)) {
        hki_pool_set_attention(pool, HKI_RING_NEVER);
        spin_once(pool, deadline_ns);
        stop_leading(pool, false);
    } else {
        leave_to_supervisor(pool);
    }
}

void hki_pool_look(struct process_pool *pool)
{
    if (hki_pool_has_results(pool) && begin_leading(pool)) {
        (void)hki_pool_collect(pool);
        stop_leading(pool, true);
    }
}

bool hki_pool_park(void *self, hk_job *job, struct hki_parker *parker, int64_t deadline_ns)
{
    struct process_pool *pool = self;
    enum led led;

    (void)HKI_FAULT("parking");
    if (!begin_leading(pool)) {
        return follow(pool, job, parker, deadline_ns);
    }
    led = lead(pool, job, parker, deadline_ns);
    stop_leading(pool, led == LED_WOKEN);
    return led == LED_CANNOT_SLEEP ? follow(pool, job, parker, deadline_ns) : led == LED_WOKEN;
}
