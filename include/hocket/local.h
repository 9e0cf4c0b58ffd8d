/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_local Per-thread objects
 * @brief An object for each thread, built when the thread first asks for it.
 *
 *     static hk_local buffers = HK_LOCAL_INIT(make_buffer, free_buffer, NULL);
 *
 *     struct buffer *mine = hk_local_get(&buffers);
 *
 * There may be any number of locals; each costs 32 bytes in every thread that uses one
 * declared as late or later.
 *
 * **The end of a thread** drops its objects, the youngest first. Objects that a drop
 * function builds are dropped too, in up to PTHREAD_DESTRUCTOR_ITERATIONS rounds; the last
 * round builds none. Until then, hk_local_get() works in destructors of other libraries.
 * **The end of the process** drops the objects of the thread that called exit() or returned
 * from main(), after its exit handlers. Those of threads that still run are left alone.
 * **Unloading** a shared object that holds the library drops the objects of the calling
 * thread; to have those of other threads dropped too, destroy the locals before. Threads that
 * used it may go on and end later, but not in that very moment. A local in a shared object that
 * is unloaded while the library stays must be destroyed before.
 * **Forks.** In a child the calling thread keeps its objects, and locals go on working. Those of
 * other threads are forgotten and not dropped: what they held of the outside world is the
 * parent's.
 *
 * **Thread safety.** Any thread, but for hk_local_destroy().
 * **Ownership.** A local is static, or made by hk_local_create(). Objects belong to the local from
 * when they are built or set until they are dropped.
 * @{
 */
#ifndef HOCKET_LOCAL_H
#define HOCKET_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hocket/memory.h>
#include <hocket/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Builds the object of the calling thread.
 *
 * @param arg          As given with the local.
 * @param[out] object  The object; NULL counts as HK_ENOMEM.
 * @return HK_OK, or why there is none: it is handed on, and the next call tries again.
 */
typedef hk_status hk_local_make_fn(void *arg, void **object);

/**
 * Adds one object to another of the same kind. Calls none of this library.
 *
 * @param total   What is added to.
 * @param object  What is added; its thread may be changing it meanwhile, so what both touch
 *                must be atomic.
 */
typedef void hk_local_fold_fn(void *total, const void *object);

/**
 * Looks at one object.
 *
 * @param object  The object; its thread may be using it meanwhile.
 * @param arg     As given.
 */
typedef void hk_local_visit_fn(void *object, void *arg);

/** A per-thread object; its fields are private. */
typedef struct hk_local {
    /** @cond */
    uint64_t key_ __attribute__((aligned(8)));
    hk_local_make_fn *make_;
    hk_drop_fn *drop_;
    void *arg_;
    hk_local_fold_fn *fold_;
    void *retired_;
    void *folder_;
    uint32_t uses_;
    bool created_;
    /** @endcond */
} hk_local;

/**
 * What a static local is initialised with. @p make may be NULL if objects are only set,
 * and @p drop if there is nothing to drop.
 */
#define HK_LOCAL_INIT(make, drop, arg) HK_LOCAL_FOLD_INIT(make, drop, arg, NULL, NULL)

/**
 * The same for objects that are added up, such as counters: before an object is dropped it is
 * added to @p retired, which is an object of the same kind, of the caller, and touched by
 * nobody else. So totals never drop: see hk_local_fold().
 */
#define HK_LOCAL_FOLD_INIT(make, drop, arg, fold, retired)                                         \
    {                                                                                              \
        0, (make), (drop), (arg), (fold), (retired), NULL, 0, false                                \
    }

/**
 * Make a local.
 *
 * @param make      May be NULL if objects are only set.
 * @param drop      Drops an object, in the thread that it belonged to or in one that destroys the
 *                  local. May be NULL if there is nothing to drop.
 * @param arg       For @p make.
 * @param[out] out  Owned by the caller.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EINVAL  @p out is NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_local_create(hk_local_make_fn *make, hk_drop_fn *drop, void *arg,
                                               hk_local **out);

/**
 * Add up what is dropped, as #HK_LOCAL_FOLD_INIT does; before the local is used.
 *
 * @param local    Borrowed.
 * @param fold     Adds one object to another.
 * @param retired  An object of the same kind, that lives as long as the local.
 * @retval HK_OK
 * @retval HK_ESTATE  A thread has used the local already.
 * @retval HK_EINVAL  A pointer is NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_local_retire(hk_local *local, hk_local_fold_fn *fold,
                                               void *retired);

/**
 * Drop the objects of all threads, and release the local if it was created; a static one is
 * as new. No other call for it is under way, and no thread uses its object any more; threads
 * may be ending.
 *
 * @param local  Taken; NULL is allowed.
 * @retval HK_OK
 * @retval HK_EDEADLK  Called by a function of the local itself; nothing happened.
 */
HK_API hk_status hk_local_destroy(hk_local *local);

/**
 * The calling thread's object, built if there is none. hk_local_get() is the fast way to the
 * same; this one tells why there is none.
 *
 * @param local        Borrowed.
 * @param[out] object  Belongs to the local; the address stays the same until it is dropped.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EDEADLK  Called by the make function that builds it.
 * @retval HK_ESTATE   There is no make function, or the thread is in the last round of its end.
 * @retval HK_EINVAL   A pointer is NULL.
 * @return also what the make function returned.
 *
 * Cost: about 50 ns and what the make function needs, when it is built.
 */
HK_API HK_MUST_CHECK hk_status hk_local_build(hk_local *local, void **object);

/**
 * Give the calling thread another object; the one it had is dropped.
 *
 * @param local   Borrowed.
 * @param object  Belongs to the local from then on; NULL for none.
 * @retval HK_OK
 * @retval HK_ENOMEM
 * @retval HK_EDEADLK  Called by the make function, or while the object is visited or folded by
 *                     the calling thread.
 * @retval HK_ESTATE   The thread is in the last round of its end.
 * @retval HK_EINVAL   @p local is NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_local_set(hk_local *local, void *object);

/**
 * Visit the objects of all threads: those that are there at the beginning and still when
 * their turn comes. No lock is held: @p visit may call the library. A thread that ends, or sets
 * another object, waits while its object is visited; so @p visit must not wait for a thread to
 * end.
 *
 * @param local  Borrowed.
 * @param visit  Called for each, on the calling thread.
 * @param arg    For @p visit.
 * @retval HK_OK
 * @retval HK_EINVAL  @p local or @p visit is NULL.
 *
 * Cost: about 50 ns for each thread that uses any local.
 */
HK_API HK_MUST_CHECK hk_status hk_local_each(hk_local *local, hk_local_visit_fn *visit, void *arg);

/**
 * Add up the objects of all threads and of those that have ended. Each is counted exactly
 * once: no thread ends in between.
 *
 * @param local  Borrowed; made with a fold function.
 * @param total  What the fold function adds to.
 * @retval HK_OK
 * @retval HK_ESTATE   The local has no fold function.
 * @retval HK_EDEADLK  Called by the fold function.
 * @retval HK_EINVAL   A pointer is NULL.
 */
HK_API HK_MUST_CHECK hk_status hk_local_fold(hk_local *local, void *total);

/** @cond */
struct hk_local_slot_ {
    uint64_t key;
    void *object;
    uint32_t previous;
    uint32_t next;
    uint32_t visits;
    uint32_t building;
};

/* The calling thread's slots; never without one, so that nothing needs to be checked. */
struct hk_local_table_ {
    struct hk_local_slot_ *slots;
    uint64_t mask;
};

HK_API extern __thread
    __attribute__((tls_model("initial-exec"))) struct hk_local_table_ hk_local_table_;
/** @endcond */

/**
 * The calling thread's object, if it has one; builds none.
 *
 * @param local  Borrowed; NULL has none.
 * @return belongs to the local; NULL for none. Cost: as hk_local_get().
 */
static inline void *hk_local_peek(const hk_local *local)
{
    const struct hk_local_slot_ *slot;
    uint64_t key;

    if (local == NULL) {
        return NULL;
    }
    /* Relaxed: slots and objects are this thread's own, and keys are never used twice. */
    key = __atomic_load_n(&local->key_, __ATOMIC_RELAXED);
    slot = &hk_local_table_.slots[key & hk_local_table_.mask];
    return __atomic_load_n(&slot->key, __ATOMIC_RELAXED) == key ? slot->object : NULL;
}

/**
 * The calling thread's object, built if there is none.
 *
 * @param local  Borrowed.
 * @return belongs to the local; NULL if it could not be built, and hk_local_build() tells why.
 *         Cost: a few loads when it is there.
 */
static inline void *hk_local_get(hk_local *local)
{
    void *object = hk_local_peek(local);

    if (__builtin_expect(object == NULL, 0) && hk_local_build(local, &object) != HK_OK) {
        object = NULL;
    }
    return object;
}

#ifdef __cplusplus
}
#endif

/** @} */
#endif
