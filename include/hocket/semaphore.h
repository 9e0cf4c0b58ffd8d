/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_semaphore Semaphores
 * @brief Units that are taken and given back: at most so many at once.
 *
 *     static hk_semaphore connections = HK_SEMAPHORE_INIT("connections", 4, 4);
 *
 *     if (hk_semaphore_acquire(&connections, 1, HK_SEC(2)) == HK_OK) {
 *         ...
 *         status = hk_semaphore_release(&connections, 1);
 *     }
 *
 * What a thread has written before it releases units is seen by the thread that
 * acquires them.
 *
 * No wake-up is lost: a thread sleeps only while what it asks for is not there. First
 * come, first served is not promised: who comes while others are being woken may be
 * faster, and a request for many units may be overtaken by small ones for as long as
 * those keep coming.
 *
 * **Thread safety.** Any thread; who releases need not be who acquired. hk_semaphore_release() and
 * hk_semaphore_value() also in signal handlers.
 * **Ownership.** The semaphore is the caller's memory, static or not; zero-filled memory is
 * one without units and without a bound. It holds nothing, so there is nothing to destroy:
 * the memory may go once nobody waits or calls any more. A thread that got its units may
 * free it at once if no other thread waits or will still call.
 * **Deadlocks.** Anybody may release, so a wait for units is never refused: semaphores
 * are outside the detection of deadlocks.
 * **Forks.** A child has a copy with the units of that moment; nobody waits at it, and what
 * other threads of the parent held is not given back to it.
 * @{
 */
#ifndef HOCKET_SEMAPHORE_H
#define HOCKET_SEMAPHORE_H

#include <stdint.h>

#include <hocket/status.h>
#include <hocket/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most units that a semaphore can hold. */
#define HK_SEMAPHORE_MAX 2147483647U

/** A semaphore; its fields are private. */
typedef struct hk_semaphore {
    /** @cond */
    const char *name_;
    uint64_t state_ __attribute__((aligned(8)));
    uint32_t maximum_;
    /** @endcond */
} hk_semaphore;

/**
 * What a semaphore is initialised with. @p name is borrowed, for reports; may be NULL.
 * @p initial units are there at first; more than @p maximum never are, where 0 stands for
 * #HK_SEMAPHORE_MAX. @p initial must not exceed @p maximum.
 */
#define HK_SEMAPHORE_INIT(name, initial, maximum)                                                  \
    {                                                                                              \
        (name), (initial), (maximum)                                                               \
    }

/**
 * The same as #HK_SEMAPHORE_INIT, with a check; while no other call uses it.
 *
 * @param semaphore  Borrowed; what it held is forgotten.
 * @param name       Borrowed for as long as the semaphore is used; may be NULL.
 * @param initial    Units that are there at first.
 * @param maximum    Never more than so many; 0: #HK_SEMAPHORE_MAX.
 * @retval HK_OK
 * @retval HK_EINVAL  @p semaphore is NULL, @p maximum above #HK_SEMAPHORE_MAX, or @p initial
 *                    above @p maximum.
 */
HK_API HK_MUST_CHECK hk_status hk_semaphore_init(hk_semaphore *semaphore, const char *name,
                                                 uint32_t initial, uint32_t maximum);

/**
 * Take units: all at once, or none.
 *
 * @param semaphore  Borrowed.
 * @param count      At least 1.
 * @param timeout    0 polls; #HK_FOREVER waits without limit.
 * @retval HK_OK         They are the caller's.
 * @retval HK_ETIMEDOUT  They were not there in time; none was taken.
 * @retval HK_ENOMEM     Inside a task: no memory to tell the wait to the others.
 * @retval HK_EINVAL     @p semaphore is NULL, @p timeout negative, or @p count is 0 or more than
 *                       can ever be there.
 *
 * Cost: one atomic operation when they are there.
 */
HK_API HK_MUST_CHECK hk_status hk_semaphore_acquire(hk_semaphore *semaphore, uint32_t count,
                                                    hk_duration timeout);

/**
 * Give units back, or add new ones.
 *
 * @param semaphore  Borrowed.
 * @param count      At least 1.
 * @retval HK_OK
 * @retval HK_ESTATE  There would be more than the maximum; none was added.
 * @retval HK_EINVAL  @p semaphore is NULL or @p count is 0.
 *
 * Cost: one atomic operation; a system call only if somebody waits.
 */
HK_API hk_status hk_semaphore_release(hk_semaphore *semaphore, uint32_t count);

/**
 * How many units are there at this moment.
 *
 * @param semaphore  Borrowed.
 * @return the count, which may be another by now; 0 for NULL. Cost: one atomic load.
 */
HK_API uint32_t hk_semaphore_value(const hk_semaphore *semaphore);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
