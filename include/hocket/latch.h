/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_latch Latches and wait groups
 * @brief A count that others bring down, and threads that wait until it is zero.
 *
 *     static hk_latch parts = HK_LATCH_INIT("parts", 3);
 *
 *     status = hk_latch_count_down(&parts, 1);          // each of three threads
 *     status = hk_latch_wait(&parts, HK_FOREVER); // any number of others
 *
 * As a wait group it starts at zero, and hk_latch_add() counts up what is begun.
 *
 * **Rounds.** A round ends when the count reaches zero: everybody who waits then is let
 * through, whatever follows. A later hk_latch_add() begins the next round; there is
 * nothing to reset. While the count is zero a wait returns at once, so add before
 * somebody may wait for it: before the work is handed out, not inside it.
 *
 * What a thread has written before hk_latch_count_down() is seen by every thread that was let
 * through.
 *
 * **Thread safety.** Any thread. hk_latch_add(), hk_latch_count() and, unless a thread was ever
 * bound to the latch, hk_latch_count_down() also in signal handlers.
 * **Ownership.** The latch is the caller's memory, static or not; zero-filled memory is a
 * latch at zero. Unless threads were bound to it there is nothing to destroy: the memory may go
 * once nobody waits any more. A thread that was let through may free it at once if no other
 * thread waits or will still call.
 * **Deadlocks.** Anybody may count down, so a wait is not refused, unless threads have
 * declared that it is up to them: see hk_latch_bind().
 * **Forks.** A child has a copy with the count of that moment; nobody waits at it, and other
 * threads of the parent will not count it down.
 * @{
 */
#ifndef HOCKET_LATCH_H
#define HOCKET_LATCH_H

#include <stdint.h>

#include <hocket/status.h>
#include <hocket/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The highest count of a latch. */
#define HK_LATCH_MAX 2147483647U

/** A latch; its fields are private. */
typedef struct hk_latch {
    /** @cond */
    const char *name_;
    uint64_t state_ __attribute__((aligned(8)));
    void *parties_;
    /** @endcond */
} hk_latch;

/**
 * What a latch is initialised with: @p name is borrowed, for reports, and may be NULL;
 * @p count is at most #HK_LATCH_MAX.
 */
#define HK_LATCH_INIT(name, count)                                                                 \
    {                                                                                              \
        (name), UINT64_C(0x100000000) * (count), 0                                                 \
    }

/**
 * The same as #HK_LATCH_INIT, with a check; while no other call uses it and nobody is
 * bound to it.
 *
 * @param latch  Borrowed; what it held is forgotten.
 * @param name   Borrowed for as long as the latch is used; may be NULL.
 * @param count  At most #HK_LATCH_MAX.
 * @retval HK_OK
 * @retval HK_EINVAL  @p latch is NULL or @p count too high.
 */
HK_API HK_MUST_CHECK hk_status hk_latch_init(hk_latch *latch, const char *name, uint32_t count);

/**
 * Count up. From zero it begins the next round.
 *
 * @param latch  Borrowed.
 * @param count  At least 1.
 * @retval HK_OK
 * @retval HK_ESTATE  The count would exceed #HK_LATCH_MAX; nothing was added.
 * @retval HK_EINVAL  @p latch is NULL or @p count is 0.
 *
 * Cost: one atomic operation.
 */
HK_API HK_MUST_CHECK hk_status hk_latch_add(hk_latch *latch, uint32_t count);

/**
 * Count down; at zero everybody who waits is let through. Takes back what the calling
 * thread declared with hk_latch_bind().
 *
 * @param latch  Borrowed. Not touched any more once it is at zero.
 * @param count  At least 1.
 * @retval HK_OK
 * @retval HK_ESTATE  The count is lower than that; nothing was taken away.
 * @retval HK_EINVAL  @p latch is NULL or @p count is 0.
 *
 * Cost: one atomic operation; a system call only at zero, if somebody waits.
 */
HK_API hk_status hk_latch_count_down(hk_latch *latch, uint32_t count);

/**
 * Wait until the count is zero, or has been since this call began.
 *
 * @param latch    Borrowed.
 * @param timeout  0 polls; #HK_FOREVER waits without limit.
 * @retval HK_OK
 * @retval HK_ETIMEDOUT  It was not.
 * @retval HK_EDEADLK    It could never be: a thread that is bound to the latch waits for what the
 *                       caller must do.
 * @retval HK_ENOMEM     Inside a task: no memory to find out whether the wait could end.
 * @retval HK_EINVAL     @p latch is NULL or @p timeout negative.
 *
 * Cost: one atomic load at zero.
 */
HK_API HK_MUST_CHECK hk_status hk_latch_wait(hk_latch *latch, hk_duration timeout);

/**
 * The count at this moment.
 *
 * @param latch  Borrowed.
 * @return the count, which may be another by now; 0 for NULL. Cost: one atomic load.
 */
HK_API uint32_t hk_latch_count(const hk_latch *latch);

/**
 * Declare that the calling thread is one of those that will count down. With this,
 * waits for the latch take part in the detection of deadlocks: the latch can only get to
 * zero when every thread bound to it can go on. A wait that this rules out is refused with
 * HK_EDEADLK.
 *
 * The declaration is taken back by the thread's next hk_latch_count_down(), so a thread that will
 * count down again binds itself again; by hk_latch_unbind(); inside a task by the end of
 * the task; and by the end of the thread. Binding twice is as good as once.
 *
 * @param latch  Borrowed; not to be freed before hk_latch_destroy().
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  @p latch is NULL.
 *
 * Cost: a small allocation and a lock. From then on hk_latch_count_down() takes a lock too.
 */
HK_API HK_MUST_CHECK hk_status hk_latch_bind(hk_latch *latch);

/**
 * Take the declaration of the calling thread back.
 *
 * @param latch  Borrowed.
 * @retval HK_OK
 * @retval HK_ESTATE  The thread is not bound to the latch.
 * @retval HK_EINVAL  @p latch is NULL.
 */
HK_API hk_status hk_latch_unbind(hk_latch *latch);

/**
 * Forget who is bound; needed, before the memory goes, only after hk_latch_bind(). Nobody
 * waits, and no other call is under way. The latch is then at zero.
 *
 * @param latch  Borrowed; NULL is allowed.
 */
HK_API void hk_latch_destroy(hk_latch *latch);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
