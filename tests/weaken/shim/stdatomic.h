/* SPDX-License-Identifier: MIT */
/*
 * Instead of the compiler's header, for scripts/weaken_orders.py: each explicit memory order
 * weaker than seq_cst can be made one step weaker still when the program starts.
 *
 * ThreadSanitizer sees constant orders only, so each use is several calls, one of which is
 * made. A place is an order in the source; a compare-and-swap has two.
 */
#ifndef HKT_WEAKEN_STDATOMIC_H
#define HKT_WEAKEN_STDATOMIC_H

#include_next <stdatomic.h>

/* Padded, so that those of a section are an array. */
struct hkt_order_place {
    const char *file;
    const char *function;
    const char *operation;
    const char *word;
    const char *order;
    unsigned *hits; /* NULL: nobody wants to know. */
    int line;
    int choice; /* 0: as it is written; 1, 2: weaker. */
    char padding[8];
} __attribute__((aligned(64)));

/* The choice. Counts. */
int hkt_place_reached(struct hkt_order_place *place);

#define HKT_CHOICE(operation_, word_, order_)                                                      \
    __extension__({                                                                                \
        static struct hkt_order_place hkt_place_                                                   \
            __attribute__((section("hkt_places"))) = {.file = __FILE__,                            \
                                                      .function = __func__,                        \
                                                      .operation = operation_,                     \
                                                      .word = word_,                               \
                                                      .order = #order_,                            \
                                                      .line = __LINE__};                           \
        /* relaxed: can be no weaker. */                                                           \
        (order_) == memory_order_relaxed || (order_) == memory_order_seq_cst                       \
            ? 0                                                                                    \
            : hkt_place_reached(&hkt_place_);                                                      \
    })

/* An order of two halves loses one or the other, one of a half is relaxed. */
#define HKT_WEAKER_1(order)                                                                        \
    ((order) == memory_order_seq_cst   ? memory_order_seq_cst                                      \
     : (order) == memory_order_acq_rel ? memory_order_acquire                                      \
                                       : memory_order_relaxed)
#define HKT_WEAKER_2(order)                                                                        \
    ((order) == memory_order_seq_cst   ? memory_order_seq_cst                                      \
     : (order) == memory_order_acq_rel ? memory_order_release                                      \
                                       : memory_order_relaxed)

#define HKT_EITHER(choice, order, call)                                                            \
    ((choice) == 0   ? call(order)                                                                 \
     : (choice) == 1 ? call(HKT_WEAKER_1(order))                                                   \
                     : call(HKT_WEAKER_2(order)))

#undef atomic_load_explicit
#define atomic_load_explicit(word_, order_)                                                        \
    __extension__({                                                                                \
        __auto_type hkt_word_ = (word_);                                                           \
        int hkt_choice_ = HKT_CHOICE("load", #word_, order_);                                      \
        __typeof__((void)0, *hkt_word_) hkt_old_;                                                  \
        HKT_EITHER(hkt_choice_, order_, HKT_LOAD_);                                                \
        hkt_old_;                                                                                  \
    })
#define HKT_LOAD_(order) __atomic_load(hkt_word_, &hkt_old_, (order))

#undef atomic_store_explicit
#define atomic_store_explicit(word_, value_, order_)                                               \
    __extension__({                                                                                \
        __auto_type hkt_word_ = (word_);                                                           \
        __typeof__((void)0, *hkt_word_) hkt_new_ = (value_);                                       \
        int hkt_choice_ = HKT_CHOICE("store", #word_, order_);                                     \
        HKT_EITHER(hkt_choice_, order_, HKT_STORE_);                                               \
    })
#define HKT_STORE_(order) __atomic_store(hkt_word_, &hkt_new_, (order))

#undef atomic_exchange_explicit
#define atomic_exchange_explicit(word_, value_, order_)                                            \
    __extension__({                                                                                \
        __auto_type hkt_word_ = (word_);                                                           \
        __typeof__((void)0, *hkt_word_) hkt_new_ = (value_);                                       \
        __typeof__((void)0, *hkt_word_) hkt_old_;                                                  \
        int hkt_choice_ = HKT_CHOICE("exchange", #word_, order_);                                  \
        HKT_EITHER(hkt_choice_, order_, HKT_EXCHANGE_);                                            \
        hkt_old_;                                                                                  \
    })
#define HKT_EXCHANGE_(order) __atomic_exchange(hkt_word_, &hkt_new_, &hkt_old_, (order))

#define HKT_FETCH_(name_, builtin_, word_, value_, order_)                                         \
    __extension__({                                                                                \
        __auto_type hkt_word_ = (word_);                                                           \
        __auto_type hkt_value_ = (value_);                                                         \
        int hkt_choice_ = HKT_CHOICE(name_, #word_, order_);                                       \
        hkt_choice_ == 0   ? builtin_(hkt_word_, hkt_value_, (order_))                             \
        : hkt_choice_ == 1 ? builtin_(hkt_word_, hkt_value_, HKT_WEAKER_1(order_))                 \
                           : builtin_(hkt_word_, hkt_value_, HKT_WEAKER_2(order_));                \
    })
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_and_explicit
#undef atomic_fetch_or_explicit
#define atomic_fetch_add_explicit(word_, value_, order_)                                           \
    HKT_FETCH_("fetch_add", __atomic_fetch_add, word_, value_, order_)
#define atomic_fetch_sub_explicit(word_, value_, order_)                                           \
    HKT_FETCH_("fetch_sub", __atomic_fetch_sub, word_, value_, order_)
#define atomic_fetch_and_explicit(word_, value_, order_)                                           \
    HKT_FETCH_("fetch_and", __atomic_fetch_and, word_, value_, order_)
#define atomic_fetch_or_explicit(word_, value_, order_)                                            \
    HKT_FETCH_("fetch_or", __atomic_fetch_or, word_, value_, order_)

#define HKT_SWAP_(name_, is_weak_, word_, expected_, value_, won_, lost_)                          \
    __extension__({                                                                                \
        __auto_type hkt_word_ = (word_);                                                           \
        __auto_type hkt_expected_ = (expected_);                                                   \
        __typeof__((void)0, *hkt_word_) hkt_new_ = (value_);                                       \
        int hkt_won_ = HKT_CHOICE(name_, #word_, won_);                                            \
        int hkt_lost_ = HKT_CHOICE(name_ ".failure", #word_, lost_);                               \
        hkt_won_ == 1    ? HKT_TRY_(is_weak_, HKT_WEAKER_1(won_), lost_)                           \
        : hkt_won_ == 2  ? HKT_TRY_(is_weak_, HKT_WEAKER_2(won_), lost_)                           \
        : hkt_lost_ != 0 ? HKT_TRY_(is_weak_, won_, HKT_WEAKER_1(lost_))                           \
                         : HKT_TRY_(is_weak_, won_, lost_);                                        \
    })
#define HKT_TRY_(is_weak, won, lost)                                                               \
    __atomic_compare_exchange(hkt_word_, hkt_expected_, &hkt_new_, is_weak, (won), (lost))
#undef atomic_compare_exchange_weak_explicit
#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_weak_explicit(word_, expected_, value_, won_, lost_)               \
    HKT_SWAP_("compare_exchange_weak", true, word_, expected_, value_, won_, lost_)
#define atomic_compare_exchange_strong_explicit(word_, expected_, value_, won_, lost_)             \
    HKT_SWAP_("compare_exchange_strong", false, word_, expected_, value_, won_, lost_)

#endif
