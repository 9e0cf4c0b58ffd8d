/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_event Events
 * @brief A flag that threads wait for: it is set, and stays set until it is reset.
 *
 *     static hk_event ready = HK_EVENT_INIT("ready");
 *
 *     hk_event_set(&ready);                      // one thread
 *     status = hk_event_wait(&ready, HK_SEC(1)); // any number of others
 *
 * What a thread has written before it sets the event is seen by every thread that
 * was let through by it.
 *
 * **Thread safety.** Any thread. hk_event_set(), hk_event_reset() and hk_event_is_set() also in
 * signal handlers.
 * **Ownership.** The event is the caller's memory, static or not; zero-filled memory is
 * an event that is not set. It holds nothing, so there is nothing to destroy: the
 * memory may go once nobody waits any more. A thread that was let through may free it at
 * once if no other thread waits or will still call: hk_event_set() does not touch the
 * event after the moment in which it became set.
 * **Deadlocks.** Anybody may set an event, so a wait for one is never refused: events
 * are outside the detection of deadlocks.
 * **Forks.** A child has a copy, set or not as it was; nobody waits at it.
 * @{
 */
#ifndef HOCKET_EVENT_H
#define HOCKET_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include <hocket/status.h>
#include <hocket/time.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An event; its fields are private. */
typedef struct hk_event {
    /** @cond */
    const char *name_;
    uint32_t state_;
    /** @endcond */
} hk_event;

/** What an event is initialised with: not set. @p name is borrowed, for reports; may be NULL. */
#define HK_EVENT_INIT(name)                                                                        \
    {                                                                                              \
        (name), 0                                                                                  \
    }

/**
 * Set it: lets everybody through who waits now, also if a reset follows at once,
 * and everybody who comes before a reset.
 *
 * @param event  Borrowed.
 * @retval HK_OK      It is set, by this call or before.
 * @retval HK_EINVAL  @p event is NULL.
 *
 * Cost: one atomic operation; a system call only if somebody waits.
 */
HK_API hk_status hk_event_set(hk_event *event);

/**
 * Take it back: who comes from now on waits for the next hk_event_set().
 *
 * @param event  Borrowed.
 * @retval HK_OK      It is not set.
 * @retval HK_EINVAL  @p event is NULL.
 *
 * Cost: one atomic operation.
 */
HK_API hk_status hk_event_reset(hk_event *event);

/**
 * Whether it is set at this moment.
 *
 * @param event  Borrowed; NULL is never set.
 * @return true if so. Cost: one atomic load.
 */
HK_API bool hk_event_is_set(const hk_event *event);

/**
 * Wait until it is set.
 *
 * @param event    Borrowed.
 * @param timeout  0 polls; #HK_FOREVER waits without limit.
 * @retval HK_OK         It was set, before or while this call waited.
 * @retval HK_ETIMEDOUT  It was not.
 * @retval HK_ENOMEM     Inside a task: no memory to tell the wait to the others.
 * @retval HK_EINVAL     @p event is NULL or @p timeout negative.
 *
 * Cost: one atomic load when it is set.
 */
HK_API HK_MUST_CHECK hk_status hk_event_wait(hk_event *event, hk_duration timeout);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
