/* SPDX-License-Identifier: MIT */
/*
 * Instead of the compiler's header: every atomic operation of the code under test
 * becomes a call of tests/interleave/machine.c, which may run another thread first.
 *
 * Orders weaker than seq_cst are told apart for stores alone: the machine is an x86.
 */
#ifndef HKT_INTERLEAVE_STDATOMIC_H
#define HKT_INTERLEAVE_STDATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* relaxed: only its name; what it means is said in machine.c. */
typedef enum {
    memory_order_relaxed,
    memory_order_consume,
    memory_order_acquire,
    memory_order_release,
    memory_order_acq_rel,
    memory_order_seq_cst
} memory_order;

#define _Atomic(type) type
typedef bool atomic_bool;
typedef int atomic_int;
typedef unsigned atomic_uint;
typedef int_fast64_t atomic_int_fast64_t;
typedef uint_fast64_t atomic_uint_fast64_t;
typedef size_t atomic_size_t;
typedef uintptr_t atomic_uintptr_t;

uint64_t hkt_atomic_load(const volatile void *word, size_t size);
void hkt_atomic_store(volatile void *word, size_t size, uint64_t value, memory_order order);
uint64_t hkt_atomic_exchange(volatile void *word, size_t size, uint64_t value);
uint64_t hkt_atomic_add(volatile void *word, size_t size, uint64_t value);
uint64_t hkt_atomic_and(volatile void *word, size_t size, uint64_t value);
uint64_t hkt_atomic_or(volatile void *word, size_t size, uint64_t value);
bool hkt_atomic_compare_exchange(volatile void *word, size_t size, void *expected, uint64_t value);

#define HKT_BITS(value)        ((uint64_t)(uintptr_t)(value))
#define HKT_VALUE(word, value) ((__typeof__(*(word)))(uintptr_t)(value))

#define atomic_init(word, value) (*(word) = (value))

#define atomic_load_explicit(word, order)                                                          \
    HKT_VALUE(word, hkt_atomic_load((word), sizeof(__typeof__(*(word)))))
#define atomic_store_explicit(word, value, order)                                                  \
    hkt_atomic_store((word), sizeof(__typeof__(*(word))), HKT_BITS(value), order)
#define atomic_exchange_explicit(word, value, order)                                               \
    HKT_VALUE(word, hkt_atomic_exchange((word), sizeof(__typeof__(*(word))), HKT_BITS(value)))
#define atomic_fetch_add_explicit(word, value, order)                                              \
    HKT_VALUE(word, hkt_atomic_add((word), sizeof(__typeof__(*(word))), HKT_BITS(value)))
#define atomic_fetch_sub_explicit(word, value, order)                                              \
    HKT_VALUE(word, hkt_atomic_add((word), sizeof(__typeof__(*(word))), -HKT_BITS(value)))
#define atomic_fetch_and_explicit(word, value, order)                                              \
    HKT_VALUE(word, hkt_atomic_and((word), sizeof(__typeof__(*(word))), HKT_BITS(value)))
#define atomic_fetch_or_explicit(word, value, order)                                               \
    HKT_VALUE(word, hkt_atomic_or((word), sizeof(__typeof__(*(word))), HKT_BITS(value)))
#define atomic_compare_exchange_strong_explicit(word, expected, value, success, failure)           \
    hkt_atomic_compare_exchange((word), sizeof(__typeof__(*(word))), (expected), HKT_BITS(value))
#define atomic_compare_exchange_weak_explicit(word, expected, value, success, failure)             \
    hkt_atomic_compare_exchange((word), sizeof(__typeof__(*(word))), (expected), HKT_BITS(value))

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
