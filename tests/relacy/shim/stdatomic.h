/* SPDX-License-Identifier: MIT */
/*
 * Instead of the compiler's header, for C code that relacy checks: every atomic operation
 * becomes one of relacy's. relacy.hpp comes first.
 *
 * A mutant is a place of the code (its function, what it does, with which order) that is
 * given no order at all; which one is chosen while the program runs, see relacy_order().
 */
#ifndef HKT_RELACY_STDATOMIC_H
#define HKT_RELACY_STDATOMIC_H

rl::memory_order relacy_order(const char *function, const char *operation, rl::memory_order order);

/* relaxed: only its name; what it means is said by relacy, which has these as macros with a
 * line number in them. */
#undef memory_order_relaxed
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_seq_cst
#define memory_order_relaxed rl::mo_relaxed
#define memory_order_acquire rl::mo_acquire
#define memory_order_release rl::mo_release
#define memory_order_seq_cst rl::mo_seq_cst

#define _Atomic(type) rl::atomic<type>

#define HKT_ORDER(operation, order) relacy_order(__func__, operation, (order))

#define atomic_load_explicit(word, order) (*(word))(RL_INFO).load(HKT_ORDER("load", order))
#define atomic_store_explicit(word, value, order)                                                  \
    (*(word))(RL_INFO).store((value), HKT_ORDER("store", order))
#define atomic_fetch_or_explicit(word, value, order)                                               \
    (*(word))(RL_INFO).fetch_or((value), HKT_ORDER("or", order))
#define atomic_compare_exchange_weak_explicit(word, expected, value, success, failure)             \
    (*(word))(RL_INFO).compare_exchange_weak(*(expected), (value), HKT_ORDER("exchange", success), \
                                             HKT_ORDER("exchange", failure))

#define atomic_compare_exchange_strong_explicit(word, expected, value, success, failure)           \
    (*(word))(RL_INFO).compare_exchange_strong(                                                    \
        *(expected), (value), HKT_ORDER("exchange", success), HKT_ORDER("exchange", failure))

#define atomic_load(word)            atomic_load_explicit(word, memory_order_seq_cst)
#define atomic_fetch_or(word, value) atomic_fetch_or_explicit(word, value, memory_order_seq_cst)
#define atomic_store(word, value)    atomic_store_explicit(word, value, memory_order_seq_cst)
#define atomic_compare_exchange_strong(word, expected, value)                                      \
    atomic_compare_exchange_strong_explicit(word, expected, value, memory_order_seq_cst,           \
                                            memory_order_seq_cst)

#endif
