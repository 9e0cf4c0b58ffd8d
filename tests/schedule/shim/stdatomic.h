/* SPDX-License-Identifier: MIT */
/*
 * In front of the compiler's header: every atomic operation of the code under test asks
 * tests/schedule/machine.c first, which may let another thread go on. The operation itself is
 * the compiler's, on the same types.
 */
#ifndef HKT_SCHEDULE_STDATOMIC_H
#define HKT_SCHEDULE_STDATOMIC_H

#pragma GCC system_header /* What follows is GNU C. */

#include_next <stdatomic.h>

#include "tests/schedule/point.h"

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_and
#undef atomic_fetch_and_explicit
#undef atomic_fetch_or
#undef atomic_fetch_or_explicit

/* The value's type, without the atom. */
#define HKT_PLAIN(word) __typeof__((void)0, *(word))

#ifdef __clang__
#define HKT_LOAD(word, order)            __c11_atomic_load((word), (order))
#define HKT_STORE(word, value, order)    __c11_atomic_store((word), (value), (order))
#define HKT_EXCHANGE(word, value, order) __c11_atomic_exchange((word), (value), (order))
#define HKT_COMPARE(word, expected, value, order, failure)                                         \
    __c11_atomic_compare_exchange_strong((word), (expected), (value), (order), (failure))
#define HKT_FETCH(what, word, value, order) __c11_atomic_fetch_##what((word), (value), (order))
#else
#define HKT_LOAD(word, order)                                                                      \
    __extension__({                                                                                \
        HKT_PLAIN(word) hkt_loaded;                                                                \
        __atomic_load((word), &hkt_loaded, (order));                                               \
        hkt_loaded;                                                                                \
    })
#define HKT_STORE(word, value, order)                                                              \
    __extension__({                                                                                \
        HKT_PLAIN(word) hkt_stored = (value);                                                      \
        __atomic_store((word), &hkt_stored, (order));                                              \
    })
#define HKT_EXCHANGE(word, value, order)                                                           \
    __extension__({                                                                                \
        HKT_PLAIN(word) hkt_brought = (value);                                                     \
        HKT_PLAIN(word) hkt_found;                                                                 \
        __atomic_exchange((word), &hkt_brought, &hkt_found, (order));                              \
        hkt_found;                                                                                 \
    })
#define HKT_COMPARE(word, expected, value, order, failure)                                         \
    __extension__({                                                                                \
        HKT_PLAIN(word) hkt_wanted = (value);                                                      \
        __atomic_compare_exchange((word), (expected), &hkt_wanted, 0, (order), (failure));         \
    })
#define HKT_FETCH(what, word, value, order) __atomic_fetch_##what((word), (value), (order))
#endif

#define HKT_AT(what, word) hkt_point((what), (const volatile void *)(word), HKT_SITE)

#define atomic_load_explicit(word, order)                                                          \
    __extension__({                                                                                \
        __auto_type hkt_word = (word);                                                             \
        HKT_AT("load", hkt_word);                                                                  \
        HKT_LOAD(hkt_word, (order));                                                               \
    })
#define atomic_store_explicit(word, value, order)                                                  \
    __extension__({                                                                                \
        __auto_type hkt_word = (word);                                                             \
        HKT_PLAIN(hkt_word) hkt_given = (value);                                                   \
        HKT_AT("store", hkt_word);                                                                 \
        HKT_STORE(hkt_word, hkt_given, (order));                                                   \
    })
#define atomic_exchange_explicit(word, value, order)                                               \
    __extension__({                                                                                \
        __auto_type hkt_word = (word);                                                             \
        HKT_PLAIN(hkt_word) hkt_given = (value);                                                   \
        HKT_AT("exchange", hkt_word);                                                              \
        HKT_EXCHANGE(hkt_word, hkt_given, (order));                                                \
    })
#define atomic_compare_exchange_strong_explicit(word, expected, value, order, failure)             \
    __extension__({                                                                                \
        __auto_type hkt_word = (word);                                                             \
        __auto_type hkt_expected = (expected);                                                     \
        HKT_PLAIN(hkt_word) hkt_given = (value);                                                   \
        HKT_AT("compare", hkt_word);                                                               \
        HKT_COMPARE(hkt_word, hkt_expected, hkt_given, (order), (failure));                        \
    })
/* It may fail without a cause, as on processors that reserve a line. */
#define atomic_compare_exchange_weak_explicit(word, expected, value, order, failure)               \
    __extension__({                                                                                \
        __auto_type hkt_word = (word);                                                             \
        __auto_type hkt_expected = (expected);                                                     \
        HKT_PLAIN(hkt_word) hkt_given = (value);                                                   \
        bool hkt_swapped = false;                                                                  \
        HKT_AT("compare", hkt_word);                                                               \
        if (hkt_fails_without_cause()) {                                                           \
            *hkt_expected = HKT_LOAD(hkt_word, (failure));                                         \
        } else {                                                                                   \
            hkt_swapped = HKT_COMPARE(hkt_word, hkt_expected, hkt_given, (order), (failure));      \
        }                                                                                          \
        hkt_swapped;                                                                               \
    })
#define HKT_CHANGE(what, word, value, order)                                                       \
    __extension__({                                                                                \
        __auto_type hkt_word = (word);                                                             \
        __auto_type hkt_given = (value);                                                           \
        HKT_AT(#what, hkt_word);                                                                   \
        HKT_FETCH(what, hkt_word, hkt_given, (order));                                             \
    })
#define atomic_fetch_add_explicit(word, value, order) HKT_CHANGE(add, word, value, order)
#define atomic_fetch_sub_explicit(word, value, order) HKT_CHANGE(sub, word, value, order)
#define atomic_fetch_and_explicit(word, value, order) HKT_CHANGE(and, word, value, order)
#define atomic_fetch_or_explicit(word, value, order)  HKT_CHANGE(or, word, value, order)

#define atomic_load(word)             atomic_load_explicit(word, memory_order_seq_cst)
#define atomic_store(word, value)     atomic_store_explicit(word, value, memory_order_seq_cst)
#define atomic_exchange(word, value)  atomic_exchange_explicit(word, value, memory_order_seq_cst)
#define atomic_fetch_add(word, value) atomic_fetch_add_explicit(word, value, memory_order_seq_cst)
#define atomic_fetch_sub(word, value) atomic_fetch_sub_explicit(word, value, memory_order_seq_cst)
#define atomic_fetch_and(word, value) atomic_fetch_and_explicit(word, value, memory_order_seq_cst)
#define atomic_fetch_or(word, value)  atomic_fetch_or_explicit(word, value, memory_order_seq_cst)
#define atomic_compare_exchange_strong(word, expected, value)                                      \
    atomic_compare_exchange_strong_explicit(word, expected, value, memory_order_seq_cst,           \
                                            memory_order_seq_cst)
#define atomic_compare_exchange_weak(word, expected, value)                                        \
    atomic_compare_exchange_weak_explicit(word, expected, value, memory_order_seq_cst,             \
                                          memory_order_seq_cst)

#endif
