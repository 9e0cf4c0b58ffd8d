/* SPDX-License-Identifier: MIT */
/*
 * Instead of the compiler's header, for C code that relacy checks: every atomic operation
 * becomes one of relacy's. relacy.hpp comes first.
 *
 * A mutant is a place of the code (its function, what it does, to which word, with which order)
 * that is given a weaker one; which one is chosen while the program runs, see relacy_order().
 */
#ifndef HKT_RELACY_STDATOMIC_H
#define HKT_RELACY_STDATOMIC_H

rl::memory_order relacy_order(const char *function, const char *operation, const char *word,
                              rl::memory_order order);

/* relaxed: only its name; relacy has these as macros with a line number in them. */
#undef memory_order_relaxed
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
/* relaxed: likewise; what they mean is said by relacy. */
#define memory_order_relaxed rl::mo_relaxed
#define memory_order_acquire rl::mo_acquire
#define memory_order_release rl::mo_release
#define memory_order_acq_rel rl::mo_acq_rel
#define memory_order_seq_cst rl::mo_seq_cst

#define _Atomic(type) rl::atomic<type>

#define HKT_ORDER(operation, word, order) relacy_order(__func__, operation, word, (order))

#define atomic_init(word, value)          (*(word))(RL_INFO).store((value), rl::mo_relaxed)
#define atomic_load_explicit(word, order) (*(word))(RL_INFO).load(HKT_ORDER("load", #word, order))
#define atomic_store_explicit(word, value, order)                                                  \
    (*(word))(RL_INFO).store((value), HKT_ORDER("store", #word, order))
#define atomic_exchange_explicit(word, value, order)                                               \
    (*(word))(RL_INFO).exchange((value), HKT_ORDER("exchange", #word, order))
#define atomic_fetch_or_explicit(word, value, order)                                               \
    (*(word))(RL_INFO).fetch_or((value), HKT_ORDER("or", #word, order))
#define atomic_fetch_add_explicit(word, value, order)                                              \
    (*(word))(RL_INFO).fetch_add((value), HKT_ORDER("add", #word, order))
#define atomic_fetch_sub_explicit(word, value, order)                                              \
    (*(word))(RL_INFO).fetch_sub((value), HKT_ORDER("sub", #word, order))
#define atomic_compare_exchange_weak_explicit(word, expected, value, success, failure)             \
    (*(word))(RL_INFO).compare_exchange_weak(*(expected), (value),                                 \
                                             HKT_ORDER("exchange", #word, success),                \
                                             HKT_ORDER("exchange", #word, failure))
#define atomic_compare_exchange_strong_explicit(word, expected, value, success, failure)           \
    (*(word))(RL_INFO).compare_exchange_strong(*(expected), (value),                               \
                                               HKT_ORDER("exchange", #word, success),              \
                                               HKT_ORDER("exchange", #word, failure))

/* Without an order: seq_cst. Not by the macros above, which would see the word expanded. */
#define atomic_load(word) (*(word))(RL_INFO).load(HKT_ORDER("load", #word, rl::mo_seq_cst))
#define atomic_store(word, value)                                                                  \
    (*(word))(RL_INFO).store((value), HKT_ORDER("store", #word, rl::mo_seq_cst))
#define atomic_exchange(word, value)                                                               \
    (*(word))(RL_INFO).exchange((value), HKT_ORDER("exchange", #word, rl::mo_seq_cst))
#define atomic_fetch_or(word, value)                                                               \
    (*(word))(RL_INFO).fetch_or((value), HKT_ORDER("or", #word, rl::mo_seq_cst))
#define atomic_fetch_add(word, value)                                                              \
    (*(word))(RL_INFO).fetch_add((value), HKT_ORDER("add", #word, rl::mo_seq_cst))
#define atomic_compare_exchange_weak(word, expected, value)                                        \
    (*(word))(RL_INFO).compare_exchange_weak(*(expected), (value),                                 \
                                             HKT_ORDER("exchange", #word, rl::mo_seq_cst),         \
                                             HKT_ORDER("exchange", #word, rl::mo_seq_cst))
#define atomic_compare_exchange_strong(word, expected, value)                                      \
    (*(word))(RL_INFO).compare_exchange_strong(*(expected), (value),                               \
                                               HKT_ORDER("exchange", #word, rl::mo_seq_cst),       \
                                               HKT_ORDER("exchange", #word, rl::mo_seq_cst))

#endif
