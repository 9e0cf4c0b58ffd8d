/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_lock_order Lock order
 * @brief Deadlocks found before they happen.
 *
 * Who holds the lock A and takes the lock B has shown an order: A before B. Hocket learns
 * these orders while the program runs. A thread that goes against what was learned, also
 * over several locks (A before B, B before C, now C before A), could meet another one and
 * both would wait for ever. This is an *inversion*: found by the first run that shows both
 * orders, whether or not the threads meet. What then happens is the policy:
 *
 * | policy | acquiring the lock |
 * |---|---|
 * | #HK_LOCK_REFUSE (default) | fails with HK_EORDER; a report the first time |
 * | #HK_LOCK_REPORT | goes on; a report the first time |
 * | #HK_LOCK_ABORT | a report, then abort() |
 * | #HK_LOCK_OFF | goes on; nothing is learned |
 *
 * The environment variable HOCKET_LOCKCHECK (off, report, refuse or abort) sets the policy
 * of the process when it is first needed, unless hk_lock_policy_set() was called before.
 *
 * **Thread safety.** Any thread. **Ownership.** A report belongs to the library and is
 * valid while the hook runs; edges are plain values that may be copied, sites are static.
 * @{
 */
#ifndef HOCKET_LOCK_ORDER_H
#define HOCKET_LOCK_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include <hocket/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What happens on an inversion. */
typedef enum hk_lock_policy {
    HK_LOCK_DEFAULT = 0, /**< For a lock: as the process; for the process: as at its start. */
    HK_LOCK_OFF = 1,     /**< Nothing; the order is not learned either. */
    HK_LOCK_REPORT = 2,  /**< A report; the lock is acquired. */
    HK_LOCK_REFUSE = 3,  /**< A report; the lock is not acquired: HK_EORDER. */
    HK_LOCK_ABORT = 4,   /**< A report; then the process ends with abort(). */
} hk_lock_policy;

/**
 * Set the policy of all locks that have none of their own. It counts for what a thread
 * takes from then on; for locks it nests below one it holds already, only once it has
 * released that.
 *
 * @param policy  #HK_LOCK_DEFAULT goes back to HOCKET_LOCKCHECK, or #HK_LOCK_REFUSE.
 * @retval HK_OK
 * @retval HK_EINVAL  No such policy.
 *
 * Cost: every chain of locks is checked once more afterwards.
 */
HK_API hk_status hk_lock_policy_set(hk_lock_policy policy);

/**
 * The policy of the process.
 *
 * @return never #HK_LOCK_DEFAULT. Cost: one atomic load.
 */
HK_API hk_lock_policy hk_lock_policy_get(void);

/** Sizes of what is kept of an edge. */
enum {
    HK_LOCK_NAME_BYTES = 48,   /**< Names are cut to 47 bytes. */
    HK_LOCK_THREAD_BYTES = 32, /**< Names of threads are cut to 31 bytes. */
    HK_LOCK_FRAMES = 16        /**< Calls of a backtrace. */
};

/** One step of an order: a thread held one lock and took another. */
typedef struct hk_lock_edge {
    char from_name[HK_LOCK_NAME_BYTES];     /**< Of the lock that was held; "" if it has none. */
    char to_name[HK_LOCK_NAME_BYTES];       /**< Of the lock that was wanted; "" if it has none. */
    const void *from_lock;                  /**< The address of the first; not to be followed. */
    const void *to_lock;                    /**< The address of the second. */
    const hk_site *from_site;               /**< Where the first was taken; NULL if not known. */
    const hk_site *to_site;                 /**< Where the second was wanted; NULL if not known. */
    char thread_name[HK_LOCK_THREAD_BYTES]; /**< Of the thread that did it first. */
    int thread_id;                          /**< Its number, as in /proc. */
    size_t frame_count;                     /**< How many of @p frames are set. */
    void *frames[HK_LOCK_FRAMES];           /**< Its calls at that moment, innermost first. */
} hk_lock_edge;

/** What is wrong. */
typedef enum hk_lock_report_kind {
    HK_LOCK_INVERSION = 0,  /**< The order contradicts the one that was learned. */
    HK_LOCK_SAME_CLASS = 1, /**< Two locks of one class at once: none comes first. */
} hk_lock_report_kind;

/** An inversion. */
typedef struct hk_lock_report {
    hk_lock_report_kind kind; /**< What is wrong. */
    hk_lock_policy policy;    /**< What is done about it. */
    /**
     * The cycle: edges[0] is the step of this thread that is wrong, the others lead from the
     * lock it wants back to the one it holds, each as it was first seen. Without memory a long
     * cycle is cut at its end.
     */
    const hk_lock_edge *edges;
    size_t edge_count;       /**< 1 for #HK_LOCK_SAME_CLASS, else at least 2. */
    const char *thread_name; /**< Of the calling thread. */
    int thread_id;           /**< Its number, as in /proc. */
    const char *text;        /**< All of it for people, many lines, without a last newline. */
} hk_lock_report;

/**
 * Takes a report, on the thread that is about to take the lock. No lock of the library is
 * held. It may take locks: nested inversions are judged, but not reported.
 */
typedef void hk_lock_report_fn(const hk_lock_report *report, void *arg);

/**
 * Send reports to a function, in place of the log.
 *
 * @param fn   Replaces the one before. NULL goes back to the log: the text, as one warning.
 * @param arg  Handed to @p fn. Has to live until calls have returned that had begun before the
 *             hook was replaced, and nothing tells when that is: best it is static.
 */
HK_API void hk_on_lock_report(hk_lock_report_fn *fn, void *arg);

/** How a report is written. */
typedef enum hk_lock_format {
    HK_LOCK_TEXT = 0, /**< For people. */
    HK_LOCK_DOT = 1,  /**< For Graphviz: dot -Tsvg. */
} hk_lock_format;

/**
 * Write a report.
 *
 * @param report  Borrowed; inside the hook.
 * @param format  Text or Graphviz.
 * @param fd      An open, blocking descriptor.
 * @retval HK_OK
 * @retval HK_EINVAL  @p report is NULL, no such format, or a negative @p fd.
 * @retval HK_ESYS    It could not be written; errno tells.
 */
HK_API HK_MUST_CHECK hk_status hk_lock_report_write(const hk_lock_report *report,
                                                    hk_lock_format format, int fd);

/**
 * Write the whole order that was learned, for Graphviz: what follows from two steps of it is
 * not drawn. Others may go on; what they add meanwhile may be missing.
 *
 * @param fd  An open, blocking descriptor.
 * @retval HK_OK
 * @retval HK_EINVAL  A negative @p fd.
 * @retval HK_ESYS    It could not be written; errno tells.
 */
HK_API HK_MUST_CHECK hk_status hk_lock_graph_write(int fd);

/** What hk_lock_order_stats() fills in. */
typedef struct hk_lock_order_statistics {
    uint64_t nodes;       /**< Locks and classes that are known now. */
    uint64_t edges;       /**< Steps between them that are kept now, without those that follow. */
    uint64_t chains;      /**< Chains of locks that were found right, and need no check again. */
    uint64_t checks;      /**< Chains that were looked at. */
    uint64_t inversions;  /**< Of these, wrong ones. */
    uint64_t dropped;     /**< Chains of which something could not be kept: no memory. */
    uint64_t reserved[8]; /**< For later versions; 0. */
} hk_lock_order_statistics;

/**
 * Read the counters.
 *
 * @param[out] statistics  Filled in.
 * @retval HK_OK
 * @retval HK_EINVAL  @p statistics is NULL.
 *
 * Cost: one mutex.
 */
HK_API hk_status hk_lock_order_stats(hk_lock_order_statistics *statistics);

#ifdef __cplusplus
}
#endif

/** @} */
#endif
