/* SPDX-License-Identifier: MIT */
/* Errors as bytes: there and back whole, cut to fit, and whatever a worker may send. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/live.h"
#include "base/memory.h"
#include "executors/process_pool/packed_error.h"
#include "tests/harness.h"

enum { ROOM = 4096, LEAST = 512, CHAIN = 1 + HK_ERROR_DEPTH };

static const hk_site site = {"source.c", 41, "count_errors"};
static const hk_site submit_site = {"main.c", 70, "main"};

static struct hki_error *make(int number, const char *message, struct hki_error *cause)
{
    return hki_error_make(&(struct hki_error_facts){
        .status = HK_EWORKER,
        .app_code = number,
        .sys_errno = number + 1,
        .exit_status = number + 2,
        .term_signal = number + 3,
        .message = message,
        .site = &site,
        .task = "count",
        .label = "a label",
        .submit_site = &submit_site,
        .where = "worker log_2",
        .attempt = 3,
        .cause = cause,
    });
}

static struct hki_error *make_chain(const char *message)
{
    struct hki_error *error = NULL;

    for (int i = CHAIN; i-- > 0;) {
        error = make(i, message, error);
    }
    return error;
}

static void expect_equal(const hk_error *one, const hk_error *other)
{
    HKT_STATUS(one->status, other->status);
    HKT_EQ_INT(one->app_code, other->app_code);
    HKT_EQ_INT(one->sys_errno, other->sys_errno);
    HKT_EQ_INT(one->exit_status, other->exit_status);
    HKT_EQ_INT(one->term_signal, other->term_signal);
    HKT_EQ_INT(one->attempt, other->attempt);
    HKT_EQ_STR(one->message, other->message);
    HKT_EQ_STR(one->file, other->file);
    HKT_EQ_INT(one->line, other->line);
    HKT_EQ_STR(one->function, other->function);
    HKT_EQ_STR(one->task, other->task);
    HKT_EQ_STR(one->label, other->label);
    HKT_EQ_STR(one->submit_file, other->submit_file);
    HKT_EQ_INT(one->submit_line, other->submit_line);
    HKT_EQ_STR(one->where, other->where);
}

/* --- There and back --- */

static void an_error_comes_back_whole_with_all_its_causes(void)
{
    unsigned char bytes[ROOM];
    struct hki_error *error = make_chain("a slice is 16 bytes, got 3");
    size_t size = hki_error_pack(error, bytes, sizeof(bytes));
    struct hki_error *back;
    const hk_error *one = &error->shown;
    const hk_error *other;
    int depth = 0;

    HKT_TRUE(size > 0 && size <= sizeof(bytes));
    back = hki_error_unpack(bytes, size, NULL);
    memset(bytes, 0xff, sizeof(bytes)); /* Nothing of it is used any more. */
    for (other = &back->shown; one != NULL && other != NULL; depth++) {
        expect_equal(other, one);
        one = one->cause;
        other = other->cause;
    }
    HKT_TRUE(one == NULL && other == NULL);
    HKT_EQ_INT(depth, CHAIN);
    hki_error_unref(error);
    hki_error_unref(back);
}

static void no_error_is_no_bytes(void)
{
    unsigned char bytes[LEAST];
    struct hki_error *error;

    HKT_EQ_INT(hki_error_pack(NULL, bytes, sizeof(bytes)), 0);
    error = hki_error_unpack(NULL, 0, NULL);
    HKT_STATUS(error->shown.status, HK_EWORKER);
    HKT_TRUE(error->shown.message[0] != '\0');
    hki_error_unref(error);
}

static void the_reader_knows_some_things_better(void)
{
    static const hk_site better_site = {"caller.c", 5, ""};
    const struct hki_error_facts about = {.task = "mine",
                                          .label = "other",
                                          .submit_site = &better_site,
                                          .where = "worker 7",
                                          .attempt = 2};
    unsigned char bytes[ROOM];
    struct hki_error *error = make(1, "outer", make(2, "inner", NULL));
    size_t size = hki_error_pack(error, bytes, sizeof(bytes));
    struct hki_error *back = hki_error_unpack(bytes, size, &about);

    HKT_EQ_STR(back->shown.task, "mine");
    HKT_EQ_STR(back->shown.label, "other");
    HKT_EQ_STR(back->shown.submit_file, "caller.c");
    HKT_EQ_INT(back->shown.submit_line, 5);
    HKT_EQ_STR(back->shown.where, "worker 7");
    HKT_EQ_INT(back->shown.attempt, 2);
    HKT_EQ_STR(back->shown.message, "outer");
    HKT_EQ_STR(back->shown.cause->task, "count");
    HKT_EQ_STR(back->shown.cause->where, "worker log_2");
    hki_error_unref(back);
    back = hki_error_unpack(bytes, size - 1, &about); /* Also when the rest makes no sense. */
    HKT_STATUS(back->shown.status, HK_EWORKER);
    HKT_EQ_STR(back->shown.task, "mine");
    hki_error_unref(back);
    hki_error_unref(error);
}

/* --- Cut to fit --- */

static void long_texts_are_cut_and_short_ones_stay(void)
{
    char message[2000];
    unsigned char bytes[LEAST];
    struct hki_error *error;
    struct hki_error *back;
    size_t size;

    memset(message, 'x', sizeof(message));
    message[sizeof(message) - 1] = '\0';
    error = make(1, message, make(2, message, NULL));
    size = hki_error_pack(error, bytes, sizeof(bytes));
    HKT_TRUE(size > LEAST - 4 && size <= LEAST); /* The room is used. */
    back = hki_error_unpack(bytes, size, NULL);
    HKT_EQ_STR(back->shown.task, "count");
    HKT_EQ_STR(back->shown.file, "source.c");
    HKT_EQ_STR(back->shown.where, "worker log_2");
    HKT_TRUE(strlen(back->shown.message) > 80);
    HKT_EQ_INT(strspn(back->shown.message, "x"), strlen(back->shown.message));
    HKT_TRUE(back->shown.cause != NULL && strlen(back->shown.cause->message) > 80);
    hki_error_unref(error);
    hki_error_unref(back);
}

static void the_longest_chain_fits_into_the_least_room(void)
{
    unsigned char bytes[LEAST];
    struct hki_error *error = make_chain("what happened is told at some length here");
    size_t size = hki_error_pack(error, bytes, sizeof(bytes));
    struct hki_error *back = hki_error_unpack(bytes, size, NULL);
    int depth = 0;

    HKT_TRUE(size <= sizeof(bytes));
    for (const hk_error *at = &back->shown; at != NULL; at = at->cause) {
        HKT_STATUS(at->status, HK_EWORKER);
        HKT_EQ_INT(at->app_code, depth);
        depth++;
    }
    HKT_EQ_INT(depth, CHAIN);
    hki_error_unref(error);
    hki_error_unref(back);
}

static void a_cut_does_not_split_a_character(void)
{
    enum { CHARACTERS = 400 };
    char message[3 * CHARACTERS + 1];
    unsigned char bytes[LEAST];

    for (int i = 0; i < CHARACTERS; i++) {
        memcpy(message + (ptrdiff_t)3 * i, "\xe2\x82\xac", 4); /* The sign of the euro. */
    }
    for (size_t shift = 0; shift < 3; shift++) {
        char shifted[3 + sizeof(message)];
        struct hki_error *error;
        struct hki_error *back;

        snprintf(shifted, sizeof(shifted), "%.*s%s", (int)shift, "ab", message);
        error = make(1, shifted, NULL);
        back = hki_error_unpack(bytes, hki_error_pack(error, bytes, sizeof(bytes)), NULL);
        HKT_TRUE(strlen(back->shown.message) > 200);
        HKT_EQ_INT((strlen(back->shown.message) - shift) % 3, 0);
        hki_error_unref(error);
        hki_error_unref(back);
    }
}

/* --- Whatever comes --- */

/* Reads bytes from a block of exactly their size, so that a sanitizer sees a step beyond. */
static hk_status read_copy(const unsigned char *bytes, size_t size)
{
    unsigned char *copy = malloc(size == 0 ? 1 : size);
    struct hki_error *error;
    hk_status status;
    char text[256];

    HKT_TRUE_FATAL(copy != NULL);
    memcpy(copy, bytes, size);
    error = hki_error_unpack(copy, size, NULL);
    free(copy);
    HKT_TRUE_FATAL(error != NULL);
    status = error->shown.status;
    HKT_TRUE(status != HK_OK);
    (void)hk_error_format(&error->shown, text, sizeof(text));
    hki_error_unref(error);
    return status;
}

static void a_shortened_error_is_told_as_such(void)
{
    unsigned char bytes[ROOM];
    struct hki_error *error = make_chain("short");
    size_t size = hki_error_pack(error, bytes, sizeof(bytes));

    hki_error_unref(error);
    for (size_t cut = 0; cut < size; cut++) {
        HKT_STATUS(read_copy(bytes, cut), HK_EWORKER);
    }
    HKT_STATUS(read_copy(bytes, size + 1), HK_EWORKER); /* And so is one with a rest. */
}

static void a_text_without_an_end_is_not_read(void)
{
    unsigned char bytes[ROOM];
    struct hki_error *error = make(1, "outer", NULL);
    size_t size = hki_error_pack(error, bytes, sizeof(bytes));
    struct hki_error *back;

    hki_error_unref(error);
    HKT_EQ_INT(bytes[size - 1], 0);
    bytes[size - 1] = 'x';
    back = hki_error_unpack(bytes, size, NULL);
    HKT_TRUE(strstr(back->shown.message, "cannot be read") != NULL);
    hki_error_unref(back);
}

static void any_changed_byte_still_gives_an_error(void)
{
    unsigned char bytes[ROOM];
    struct hki_error *error = make(1, "outer", make(2, "inner", NULL));
    size_t size = hki_error_pack(error, bytes, sizeof(bytes));

    hki_error_unref(error);
    for (size_t i = 0; i < size; i++) {
        for (unsigned change = 1; change < 256; change++) {
            bytes[i] ^= (unsigned char)change;
            (void)read_copy(bytes, size);
            bytes[i] ^= (unsigned char)change;
        }
    }
    HKT_STATUS(read_copy(bytes, size), HK_EWORKER);
}

static void random_bytes_give_an_error(void)
{
    enum { ROUNDS = 100000 };
    unsigned char valid[ROOM];
    struct hki_error *error = make(1, "outer", make(2, "inner", NULL));
    size_t valid_size = hki_error_pack(error, valid, sizeof(valid));
    uint64_t seed = 88172645463325252U;

    hki_error_unref(error);
    for (unsigned round = 0; round < ROUNDS / hkt_slowness(); round++) {
        unsigned char bytes[256];
        size_t size = 1 + round % sizeof(bytes);

        for (size_t i = 0; i < size; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            bytes[i] = (unsigned char)(seed >> 32);
        }
        /* Every other time with a beginning that makes sense. */
        if (round % 2 == 0) {
            size_t kept = (size_t)(seed % (size + 1));

            memcpy(bytes, valid, kept < valid_size ? kept : valid_size);
        }
        (void)read_copy(bytes, size);
    }
}

static void huge_bytes_are_not_read(void)
{
    unsigned char byte = 0;
    struct hki_error *error = hki_error_unpack(&byte, SIZE_MAX, NULL);

    HKT_STATUS(error->shown.status, HK_EWORKER);
    hki_error_unref(error);
}

static void without_memory_the_status_is_left(void)
{
    unsigned char bytes[ROOM];
    struct hki_error *error =
        hki_error_make(&(struct hki_error_facts){.status = HK_EDEADLINE, .message = "late"});
    size_t size = hki_error_pack(error, bytes, sizeof(bytes));
    long objects = hki_live_count(HKI_LIVE_ERRORS);

    for (long nth = 1; nth <= 2; nth++) {
        struct hki_error *back;

        hki_memory_fail_at(nth);
        back = hki_error_unpack(bytes, size, NULL);
        HKT_EQ_INT(hki_memory_fail_at(0), 0);
        HKT_STATUS(back->shown.status, HK_EDEADLINE);
        HKT_TRUE(strstr(back->shown.message, "no memory") != NULL);
        hki_error_unref(back);
    }
    hki_memory_fail_at(1);
    HKT_STATUS(
        read_copy((const unsigned char *)"nonsense, and long enough for a record.........", 48),
        HK_EWORKER);
    hki_memory_fail_at(0);
    HKT_EQ_INT(hki_live_count(HKI_LIVE_ERRORS), objects);
    hki_error_unref(error);
}

static CU_TestInfo tests[] = {
    HKT_TEST(an_error_comes_back_whole_with_all_its_causes),
    HKT_TEST(no_error_is_no_bytes),
    HKT_TEST(the_reader_knows_some_things_better),
    HKT_TEST(long_texts_are_cut_and_short_ones_stay),
    HKT_TEST(the_longest_chain_fits_into_the_least_room),
    HKT_TEST(a_cut_does_not_split_a_character),
    HKT_TEST(a_shortened_error_is_told_as_such),
    HKT_TEST(a_text_without_an_end_is_not_read),
    HKT_TEST(any_changed_byte_still_gives_an_error),
    HKT_TEST(random_bytes_give_an_error),
    HKT_TEST(huge_bytes_are_not_read),
    HKT_TEST(without_memory_the_status_is_left),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "packed_error", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
