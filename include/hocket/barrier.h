/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_barrier Barriers
 * @brief So many threads meet, and go on together; as often as they like.
 *
 *     static hk_barrier step = HK_BARRIER_INIT("step", 4);
 *
 *     status = hk_barrier_wait(&step, HK_FOREVER, &serial);
 *
 * What a thread has written before it comes to the barrier is seen by all who leave it in the
 * same round.
 *
 * **Broken barriers.** When one who waits runs out of time, or hk_barrier_abort() is called,
 * the others cannot meet any more: all who wait, and all who come later, get HK_EBROKEN, until
 * hk_barrier_reset(). Each call belongs to one round and is told what became of that one, however
 * late it runs again.
 *
 * **Thread safety.** Any thread.
 * **Ownership.** The barrier is the caller's memory, static or not. Zero-filled memory is
 * a barrier for nobody, where waits give HK_ESTATE until hk_barrier_init(). It holds nothing, so
 * there is nothing to destroy: the memory may go once everybody has returned.
 * **Deadlocks.** Anybody may come, so a wait at a barrier is never refused: barriers are outside
 * the detection of deadlocks.
 * **Forks.** In a child nobody has come yet.
 * @{
 */
#ifndef HOCKET_BARRIER_H
#define HOCKET_BARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include <hocket/status.h>
#include <hocket/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A barrier; its fields are private. */
typedef struct hk_barrier {
    /** @cond */
    const char *name_;
    void *waiters_;
    uint32_t size_;
    uint32_t arrived_;
    uint32_t round_;
    uint32_t generation_;
    bool broken_;
    /** @endcond */
} hk_barrier;

/**
 * What a barrier for @p size threads is initialised with, at least 1. @p name is borrowed, for
 * reports; may be NULL.
 */
#define HK_BARRIER_INIT(name, size)                                                                \
    {                                                                                              \
        (name), NULL, (size), 0, 0, 0, false                                                       \
    }

/**
 * The same as #HK_BARRIER_INIT, with a check; while no other call uses it.
 *
 * @param barrier  Borrowed; what it held is forgotten.
 * @param name     Borrowed for as long as the barrier is used; may be NULL.
 * @param size     How many threads meet; at least 1.
 * @retval HK_OK
 * @retval HK_EINVAL  @p barrier is NULL or @p size is 0.
 */
HK_API HK_MUST_CHECK hk_status hk_barrier_init(hk_barrier *barrier, const char *name,
                                               uint32_t size);

/**
 * Come to the barrier, and wait for the others.
 *
 * @param barrier      Borrowed.
 * @param timeout      #HK_FOREVER waits without limit. When it runs out the barrier is broken; so
 *                     it is by 0, unless the caller is the last.
 * @param[out] serial  Whether this is the one thread of its round that is told so, for what one
 *                     alone should do; set with HK_OK. May be NULL.
 * @retval HK_OK         All have come.
 * @retval HK_ETIMEDOUT  They have not; the barrier is broken.
 * @retval HK_EBROKEN    Somebody else broke the barrier, or reset it.
 * @retval HK_ESTATE     It is for nobody yet.
 * @retval HK_ENOMEM     Inside a task: no memory to tell the wait to the others; the caller has
 *                       not come.
 * @retval HK_EINVAL     @p barrier is NULL or @p timeout negative.
 *
 * Cost: a lock; a system call for all but the last.
 */
HK_API HK_MUST_CHECK hk_status hk_barrier_wait(hk_barrier *barrier, hk_duration timeout,
                                               bool *serial);

/**
 * Break it: for a thread that will not come.
 *
 * @param barrier  Borrowed.
 * @retval HK_OK
 * @retval HK_EINVAL  @p barrier is NULL.
 */
HK_API hk_status hk_barrier_abort(hk_barrier *barrier);

/**
 * Make it usable again, with nobody there. Who waits gets HK_EBROKEN.
 *
 * @param barrier  Borrowed.
 * @retval HK_OK
 * @retval HK_EINVAL  @p barrier is NULL.
 */
HK_API hk_status hk_barrier_reset(hk_barrier *barrier);

/**
 * Whether it is broken at this moment.
 *
 * @param barrier  Borrowed; NULL is not.
 * @return true if so. Cost: a lock.
 */
HK_API bool hk_barrier_is_broken(const hk_barrier *barrier);

/**
 * How many have come and wait at this moment.
 *
 * @param barrier  Borrowed.
 * @return the count; 0 for NULL. Cost: a lock.
 */
HK_API uint32_t hk_barrier_arrived(const hk_barrier *barrier);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
