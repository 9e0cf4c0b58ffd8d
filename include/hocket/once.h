/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_once Once, and lazy values
 * @brief Something that is done by whoever comes first, and waited for by the others.
 *
 *     static hk_once opened = HK_ONCE_INIT("open the log");
 *     static hk_lazy table = HK_LAZY_INIT("table", make_table, free_table, NULL);
 *
 *     status = hk_once_run(&opened, open_log, "log.txt");
 *     status = hk_lazy_get(&table, &value);
 *
 * A function that fails leaves it undone: its caller is told why, and the next one tries
 * again. What the function has written is seen by everybody who finds it done.
 *
 * **Deadlocks.** Who waits for a function that another thread runs waits for that thread, and
 * the wait-for graph knows it. A function that comes back to what it is doing, itself or
 * around a ring of threads, is refused with HK_EDEADLK instead of hanging.
 *
 * **Thread safety.** Any thread, but for hk_lazy_destroy().
 * **Ownership.** Both are the caller's memory, static or not; a zero-filled hk_once has not been
 * run. A once holds nothing; a lazy value is dropped by hk_lazy_destroy().
 * **Forks.** What was done is done in a child too. What another thread was doing at the fork is
 * half done there and stays so: HK_EFORKED.
 * @{
 */
#ifndef HOCKET_ONCE_H
#define HOCKET_ONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hocket/memory.h>
#include <hocket/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What is done once.
 *
 * @param arg  As given.
 * @return HK_OK when it is done; anything else leaves it undone.
 */
typedef hk_status hk_once_fn(void *arg);

/** Something to be done once; its fields are private. */
typedef struct hk_once {
    /** @cond */
    const char *name_;
    void *runner_;
    uint32_t state_;
    /** @endcond */
} hk_once;

/** What a once is initialised with. @p name is borrowed, for reports; may be NULL. */
#define HK_ONCE_INIT(name)                                                                         \
    {                                                                                              \
        (name), NULL, 0                                                                            \
    }

/**
 * See to it that it has been done: do it, wait for who does it, or find it done.
 *
 * The function runs as a callback does: waits inside it are seen by the wait-for graph, and it
 * holds no lock of the library. It must return: a thread that ends inside it stops the program, as
 * inside a task.
 *
 * @param once  Borrowed.
 * @param fn    Run by the first caller; all callers should give the same.
 * @param arg   For @p fn.
 * @retval HK_OK       It is done, and all of it can be seen.
 * @retval HK_EDEADLK  @p fn has come back to what it is doing, or the thread that does it waits for
 *                     the caller.
 * @retval HK_ENOMEM   Inside a task: no memory to find out whether the wait could end.
 * @retval HK_EFORKED  A thread of the parent process was doing it.
 * @retval HK_EINVAL   @p once or @p fn is NULL.
 * @return also what @p fn returned, if this call ran it.
 *
 * Cost: one atomic load when it is done.
 */
HK_API HK_MUST_CHECK hk_status hk_once_run(hk_once *once, hk_once_fn *fn, void *arg);

/**
 * Whether it has been done.
 *
 * @param once  Borrowed; NULL never is.
 * @return true once done, for ever. Cost: one atomic load.
 */
HK_API bool hk_once_is_done(const hk_once *once);

/**
 * Builds a lazy value.
 *
 * @param arg         As given.
 * @param[out] value  The value; may be NULL.
 * @return HK_OK, or why there is none.
 */
typedef hk_status hk_lazy_make_fn(void *arg, void **value);

/** A lazy value; its fields are private. */
typedef struct hk_lazy {
    /** @cond */
    hk_once once_;
    void *value_;
    hk_lazy_make_fn *make_;
    hk_drop_fn *drop_;
    void *arg_;
    /** @endcond */
} hk_lazy;

/**
 * What a lazy value is initialised with. @p name is borrowed, for reports, and may be NULL;
 * @p drop may be NULL if there is nothing to drop.
 */
#define HK_LAZY_INIT(name, make, drop, arg)                                                        \
    {                                                                                              \
        HK_ONCE_INIT(name), NULL, (make), (drop), (arg)                                            \
    }

/** @cond */
HK_API HK_MUST_CHECK hk_status hk_lazy_build_(hk_lazy *lazy, void **value);

#define HK_ONCE_DONE_ 3U
/** @endcond */

/**
 * The value, built if there is none.
 *
 * @param lazy        Borrowed.
 * @param[out] value  Belongs to @p lazy; the same for all.
 * @retval HK_OK
 * @retval HK_EDEADLK  As hk_once_run().
 * @retval HK_ENOMEM   As hk_once_run().
 * @retval HK_EFORKED  As hk_once_run().
 * @retval HK_EINVAL   A pointer is NULL, or there is no make function.
 * @return also what the make function returned, if this call ran it.
 *
 * Cost: one load when it is built.
 */
HK_MUST_CHECK static inline hk_status hk_lazy_get(hk_lazy *lazy, void **value)
{
    /* Acquire: pairs with the end of the make function in another thread. */
    if (lazy != NULL && value != NULL &&
        __atomic_load_n(&lazy->once_.state_, __ATOMIC_ACQUIRE) == HK_ONCE_DONE_) {
        *value = lazy->value_;
        return HK_OK;
    }
    return hk_lazy_build_(lazy, value);
}

/**
 * Drop the value, if there is one; the next hk_lazy_get() would build it again. No other
 * call is under way, and nobody uses the value any more.
 *
 * @param lazy  Borrowed; NULL is allowed.
 */
HK_API void hk_lazy_destroy(hk_lazy *lazy);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
