/* SPDX-License-Identifier: MIT */
/*
 * Errors from the inside: one allocation holds the record and all its strings.
 * They never change once made, so sharing them needs only the count.
 */
#ifndef HOCKET_FUTURES_ERROR_IMPL_H
#define HOCKET_FUTURES_ERROR_IMPL_H

#include <hocket/error.h>

#include <stdarg.h>
#include <stdatomic.h>

struct hki_error {
    hk_error shown; /* What callers see; first, so that pointers convert. */
    atomic_uint references;
    size_t size_bytes; /* 0: static, never freed. */
    struct hki_error *cause;
};

/* Everything an error can say; strings are copied, NULL stands for "". */
struct hki_error_facts {
    hk_status status;
    int app_code;
    int sys_errno;
    int exit_status;
    int term_signal;
    const char *message;
    const hk_site *site; /* Where it failed. */
    const char *task;
    const char *label;
    const hk_site *submit_site;
    const char *where;
    unsigned attempt;
    struct hki_error *cause; /* Taken over, also when there is no memory. */
};

/* Never NULL: without memory a static error of the same status comes instead. */
struct hki_error *hki_error_make(const struct hki_error_facts *facts);

/* One with nothing to tell but what its status means; likewise. */
struct hki_error *hki_error_plain(hk_status status);

/* Writes a message into size bytes, cut to fit; empty without a format, or if the C library cannot
 * write it. */
void hki_error_message(char *message, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* For want of memory, as it says: an error with nothing but a status. Static, never NULL. */
struct hki_error *hki_error_static(hk_status status);

struct hki_error *hki_error_ref(struct hki_error *error);
void hki_error_unref(struct hki_error *error);

/* Hands a failure that nobody read to the hook. */
void hki_error_unobserved(const hk_error *error);

#endif
