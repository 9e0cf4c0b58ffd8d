/* SPDX-License-Identifier: MIT */
/*
 * An error as bytes: a header, then one record for each error from the outermost to its
 * last cause. A record is numbers of fixed size, the lengths of its texts, and the texts,
 * each ended by a zero byte.
 *
 * Both sides are the same program on the same machine, so numbers travel as they lie.
 */
#include "executors/process_pool/packed_error.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "base/snapshot.h"

enum {
    MAGIC = 0x31454b48, /* "HKE1" */
    ERRORS_MAX = 1 + HK_ERROR_DEPTH,
    TEXTS = 7,
    TEXT_MAX = UINT16_MAX,
    LEAST_ROOM = 512,
    BYTES_MAX = 1 << 20, /* More than any chain of errors has. */
};

struct header {
    uint32_t magic;
    uint32_t count;
};

struct record {
    int32_t status;
    int32_t app_code;
    int32_t sys_errno;
    int32_t exit_status;
    int32_t term_signal;
    uint32_t attempt;
    int32_t line;
    int32_t submit_line;
    uint16_t lengths[TEXTS]; /* Without the zero byte. */
};

/* Even without any text all records must fit into the least room there can be. */
_Static_assert(sizeof(struct header) + ERRORS_MAX * (sizeof(struct record) + TEXTS) <= LEAST_ROOM,
               "a chain of errors fits");

/* --- Packing --- */

static void texts_of(const hk_error *error, const char *texts[TEXTS])
{
    texts[0] = error->message;
    texts[1] = error->file;
    texts[2] = error->function;
    texts[3] = error->task;
    texts[4] = error->label;
    texts[5] = error->submit_file;
    texts[6] = error->where;
}

static size_t shorter(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Bytes of all texts when none is longer than most. */
static size_t texts_size(const hk_error *error, size_t most)
{
    size_t size = 0;

    for (unsigned depth = 0; error != NULL && depth < ERRORS_MAX; error = error->cause, depth++) {
        const char *texts[TEXTS];

        texts_of(error, texts);
        for (unsigned i = 0; i < TEXTS; i++) {
            size += shorter(strlen(texts[i]), most);
        }
    }
    return size;
}

/* The longest that a text may be so that all fit into `room`. So the long ones are cut,
 * and names, which are short, stay whole. */
static size_t longest_text(const hk_error *error, size_t room)
{
    size_t fits = 0;
    size_t too_long = TEXT_MAX;

    if (texts_size(error, TEXT_MAX) <= room) {
        return TEXT_MAX;
    }
    while (too_long - fits > 1) {
        size_t middle = fits + (too_long - fits) / 2;

        if (texts_size(error, middle) <= room) {
            fits = middle;
        } else {
            too_long = middle;
        }
    }
    return fits;
}

/* Where to cut: not inside a character of UTF-8. */
static size_t cut_length(const char *text, size_t most)
{
    size_t length = strlen(text);

    if (length <= most) {
        return length;
    }
    length = most;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) {
        length--;
    }
    return length;
}

static unsigned char *pack_one(unsigned char *at, const hk_error *error, size_t longest)
{
    struct record record = {
        .status = error->status,
        .app_code = error->app_code,
        .sys_errno = error->sys_errno,
        .exit_status = error->exit_status,
        .term_signal = error->term_signal,
        .attempt = error->attempt,
        .line = error->line,
        .submit_line = error->submit_line,
    };
    const char *texts[TEXTS];

    texts_of(error, texts);
    for (unsigned i = 0; i < TEXTS; i++) {
        record.lengths[i] = (uint16_t)cut_length(texts[i], longest);
    }
    memcpy(at, &record, sizeof(record));
    at += sizeof(record);
    for (unsigned i = 0; i < TEXTS; i++) {
        memcpy(at, texts[i], record.lengths[i]);
        at += record.lengths[i];
        *at++ = '\0';
    }
    return at;
}

size_t hki_error_pack(const struct hki_error *error, unsigned char *bytes, size_t size)
{
    const hk_error *shown = error == NULL ? NULL : &error->shown;
    struct header header = {MAGIC, 0};
    unsigned char *at = bytes + sizeof(header);
    size_t longest;

    if (shown == NULL) {
        return 0;
    }
    HKI_ASSERT(size >= LEAST_ROOM);
    for (const hk_error *one = shown; one != NULL && header.count < ERRORS_MAX; one = one->cause) {
        header.count++;
    }
    longest =
        longest_text(shown, size - sizeof(header) - header.count * (sizeof(struct record) + TEXTS));
    memcpy(bytes, &header, sizeof(header));
    for (uint32_t i = 0; i < header.count; i++, shown = shown->cause) {
        at = pack_one(at, shown, longest);
    }
    return (size_t)(at - bytes);
}

/* --- Reading --- */

/* What is left to read. */
struct reader {
    const unsigned char *at;
    size_t left;
};

static bool take(struct reader *reader, void *out, size_t size)
{
    if (reader->left < size) {
        return false;
    }
    hki_snapshot(out, reader->at, size); /* In need of memory they are read where they lie. */
    reader->at += size;
    reader->left -= size;
    return true;
}

/* A text where it lies; false if it is not ended where it should be. */
static bool take_text(struct reader *reader, size_t length, const char **text)
{
    if (reader->left <= length || reader->at[length] != '\0') {
        return false;
    }
    *text = (const char *)reader->at;
    reader->at += length + 1;
    reader->left -= length + 1;
    return true;
}

static bool is_failure(int32_t status)
{
#define IS_THIS(name, number, text) || status == (name)
    return status != HK_OK && (false HK_STATUS_MAP(IS_THIS));
#undef IS_THIS
}

/* One error, its texts and sites still in the bytes. */
struct unpacked {
    struct hki_error_facts facts;
    hk_site site;
    hk_site submit_site;
};

static bool take_one(struct reader *reader, struct unpacked *one)
{
    struct record record;
    const char *texts[TEXTS];

    if (!take(reader, &record, sizeof(record)) || !is_failure(record.status)) {
        return false;
    }
    for (unsigned i = 0; i < TEXTS; i++) {
        if (!take_text(reader, record.lengths[i], &texts[i])) {
            return false;
        }
    }
    one->site = (hk_site){texts[1], record.line, texts[2]};
    one->submit_site = (hk_site){texts[5], record.submit_line, ""};
    one->facts = (struct hki_error_facts){
        .status = (hk_status)record.status,
        .app_code = record.app_code,
        .sys_errno = record.sys_errno,
        .exit_status = record.exit_status,
        .term_signal = record.term_signal,
        .message = texts[0],
        .site = &one->site,
        .task = texts[3],
        .label = texts[4],
        .submit_site = &one->submit_site,
        .where = texts[6],
        .attempt = record.attempt,
    };
    return true;
}

/* What the reader knows better. */
static void correct(struct hki_error_facts *facts, const struct hki_error_facts *about)
{
    if (about == NULL) {
        return;
    }
    facts->task = about->task != NULL ? about->task : facts->task;
    facts->label = about->label != NULL ? about->label : facts->label;
    facts->submit_site = about->submit_site != NULL ? about->submit_site : facts->submit_site;
    facts->where = about->where != NULL ? about->where : facts->where;
    facts->attempt = about->attempt != 0 ? about->attempt : facts->attempt;
}

static struct hki_error *senseless(const struct hki_error_facts *about)
{
    struct hki_error_facts facts = {
        .status = HK_EWORKER,
        .message = "the worker sent an error that cannot be read",
    };

    correct(&facts, about);
    return hki_error_make(&facts);
}

/* From bytes that nobody changes meanwhile; NULL if they make no sense. */
static struct hki_error *unpack(struct reader reader, const struct hki_error_facts *about)
{
    struct unpacked all[ERRORS_MAX];
    struct hki_error *error = NULL;
    struct header header;

    if (!take(&reader, &header, sizeof(header)) || header.magic != MAGIC || header.count == 0 ||
        header.count > ERRORS_MAX) {
        return NULL;
    }
    for (uint32_t i = 0; i < header.count; i++) {
        if (!take_one(&reader, &all[i])) {
            return NULL;
        }
    }
    if (reader.left != 0) {
        return NULL;
    }
    correct(&all[0].facts, about);
    for (uint32_t i = header.count; i-- > 0;) {
        all[i].facts.cause = error;
        error = hki_error_make(&all[i].facts);
    }
    return error;
}

/* The status alone, for when there is no memory to look closer. */
static hk_status status_of(const unsigned char *bytes, size_t size)
{
    struct reader reader = {bytes, size};
    struct header header;
    struct record record;

    return take(&reader, &header, sizeof(header)) && take(&reader, &record, sizeof(record)) &&
                   header.magic == MAGIC && is_failure(record.status)
               ? (hk_status)record.status
               : HK_EWORKER;
}

struct hki_error *hki_error_unpack(const unsigned char *bytes, size_t size,
                                   const struct hki_error_facts *about)
{
    struct hki_error *error;
    unsigned char *copy;

    if (bytes == NULL || size == 0 || size > BYTES_MAX) {
        return senseless(about);
    }
    /* A worker gone mad could change them between a check and its use. */
    if ((copy = hki_alloc(size)) == NULL) {
        return hki_error_static(status_of(bytes, size));
    }
    hki_snapshot(copy, bytes, size);
    error = unpack((struct reader){copy, size}, about);
    hki_free(copy, size);
    return error != NULL ? error : senseless(about);
}
