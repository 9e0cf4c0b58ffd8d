/* SPDX-License-Identifier: MIT */
/*
 * Errors: made once, shared by count, never changed.
 *
 * Without memory for the details a failure is still a failure: it gets a static
 * error that carries the status and says that the details are lost.
 */
#include "futures/error_impl.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/live.h"
#include "base/log.h"
#include "base/memory.h"

#define STATIC_ERROR(name, number, text)                                                           \
    {.shown = {.status = name,                                                                     \
               .attempt = 1,                                                                       \
               .message = text " (no memory for the details)",                                     \
               .file = "",                                                                         \
               .function = "",                                                                     \
               .task = "",                                                                         \
               .label = "",                                                                        \
               .submit_file = "",                                                                  \
               .where = ""}},

static struct hki_error static_errors[] = {HK_STATUS_MAP(STATIC_ERROR)};

struct hki_error *hki_error_static(hk_status status)
{
    size_t count = sizeof(static_errors) / sizeof(static_errors[0]);

    for (size_t i = 0; i < count; i++) {
        if (static_errors[i].shown.status == status) {
            return &static_errors[i];
        }
    }
    return hki_error_static(HK_EFAILED);
}

/* Appends a string to the block and gives its place there. */
static const char *put(char **at, const char *text)
{
    char *place = *at;
    size_t size = text == NULL ? 0 : strlen(text);

    memcpy(place, text == NULL ? "" : text, size);
    place[size] = '\0';
    *at += size + 1;
    return place;
}

static size_t length(const char *text)
{
    return text == NULL ? 1 : strlen(text) + 1;
}

static unsigned depth_of(const struct hki_error *error)
{
    unsigned depth = 0;

    for (; error != NULL; error = error->cause) {
        depth++;
    }
    return depth;
}

/* Where a chain that grew too long began: the cause people look for. */
static struct hki_error *root_of(struct hki_error *error)
{
    while (error->cause != NULL) {
        error = error->cause;
    }
    return error;
}

struct hki_error *hki_error_make(const struct hki_error_facts *facts)
{
    static const hk_site nowhere = {"", 0, ""};
    const hk_site *site = facts->site != NULL ? facts->site : &nowhere;
    const hk_site *submit_site = facts->submit_site != NULL ? facts->submit_site : &nowhere;
    size_t size = sizeof(struct hki_error) + length(facts->message) + length(site->file) +
                  length(site->function) + length(facts->task) + length(facts->label) +
                  length(submit_site->file) + length(facts->where);
    struct hki_error *error = hki_zalloc(size);
    char *at;

    if (error == NULL) {
        hki_error_unref(facts->cause);
        return hki_error_static(facts->status);
    }
    at = (char *)(error + 1);
    atomic_init(&error->references, 1);
    error->size_bytes = size;
    error->cause = facts->cause;
    if (depth_of(error->cause) > HK_ERROR_DEPTH) {
        error->cause = hki_error_ref(root_of(facts->cause));
        hki_error_unref(facts->cause);
    }
    error->shown = (hk_error){
        .status = facts->status,
        .app_code = facts->app_code,
        .sys_errno = facts->sys_errno,
        .exit_status = facts->exit_status,
        .term_signal = facts->term_signal,
        .attempt = facts->attempt == 0 ? 1 : facts->attempt,
        .message = put(&at, facts->message),
        .file = put(&at, site->file),
        .line = site->line,
        .function = put(&at, site->function),
        .task = put(&at, facts->task),
        .label = put(&at, facts->label),
        .submit_file = put(&at, submit_site->file),
        .submit_line = submit_site->line,
        .where = put(&at, facts->where),
        .cause = error->cause == NULL ? NULL : &error->cause->shown,
    };
    hki_live_add(HKI_LIVE_ERRORS, 1);
    return error;
}

struct hki_error *hki_error_plain(hk_status status)
{
    return hki_error_make(
        &(struct hki_error_facts){.status = status, .message = hk_strerror(status)});
}

struct hki_error *hki_error_ref(struct hki_error *error)
{
    if (error != NULL && error->size_bytes != 0) {
        /* relaxed: the caller has a reference, so the object is stable. */
        atomic_fetch_add_explicit(&error->references, 1, memory_order_relaxed);
    }
    return error;
}

void hki_error_unref(struct hki_error *error)
{
    while (error != NULL && error->size_bytes != 0) {
        struct hki_error *cause = error->cause;

        /* acq_rel: pairs with itself; the last owner sees all earlier uses. */
        if (atomic_fetch_sub_explicit(&error->references, 1, memory_order_acq_rel) != 1) {
            return;
        }
        hki_free(error, error->size_bytes);
        hki_live_add(HKI_LIVE_ERRORS, -1);
        error = cause;
    }
}

struct text {
    char *at;
    size_t size;
    size_t used;
};

static void HK_PRINTF(2, 3) append(struct text *text, const char *format, ...)
{
    size_t room = text->used < text->size ? text->size - text->used : 0;
    va_list arguments;
    int wrote;

    va_start(arguments, format);
    wrote = vsnprintf(room == 0 ? NULL : text->at + text->used, room, format, arguments);
    va_end(arguments);
    text->used += wrote > 0 ? (size_t)wrote : 0;
}

static void append_one(struct text *text, const hk_error *error)
{
    append(text, "%s", error->task[0] != '\0' ? error->task : "work");
    if (error->label[0] != '\0') {
        append(text, " \"%s\"", error->label);
    }
    append(text, " failed");
    if (error->file[0] != '\0') {
        append(text, " at %s:%d", error->file, error->line);
    }
    if (error->where[0] != '\0') {
        append(text, " in %s", error->where);
    }
    append(text, ": ");
    if (error->message[0] != '\0') {
        append(text, "%s", error->message);
    } else {
        append(text, "%s", hk_strerror(error->status));
    }
    append(text, " [%s", hk_status_name(error->status));
    if (error->app_code != 0) {
        append(text, ", code %d", error->app_code);
    }
    append(text, "]");
    if (error->submit_file[0] != '\0') {
        append(text, " (submitted at %s:%d)", error->submit_file, error->submit_line);
    }
}

void hki_error_message(char *message, size_t size, const char *format, va_list arguments)
{
    if (format == NULL || vsnprintf(message, size, format, arguments) < 0) {
        message[0] = '\0';
    }
}

size_t hk_error_format(const hk_error *error, char *buffer, size_t size)
{
    struct text text = {buffer, buffer == NULL ? 0 : size, 0};

    if (error == NULL) {
        append(&text, "no error");
        return text.used;
    }
    append_one(&text, error);
    for (const hk_error *cause = error->cause; cause != NULL; cause = cause->cause) {
        append(&text, "; caused by: ");
        append_one(&text, cause);
    }
    return text.used;
}

static pthread_mutex_t hook_lock = PTHREAD_MUTEX_INITIALIZER;
static hk_unobserved_fn *hook_fn;
static void *hook_arg;

void hk_on_unobserved(hk_unobserved_fn *fn, void *arg)
{
    pthread_mutex_lock(&hook_lock);
    hook_fn = fn;
    hook_arg = arg;
    pthread_mutex_unlock(&hook_lock);
}

void hki_error_unobserved(const hk_error *error)
{
    hk_unobserved_fn *fn;
    void *arg;
    char line[512];

    pthread_mutex_lock(&hook_lock);
    fn = hook_fn;
    arg = hook_arg;
    pthread_mutex_unlock(&hook_lock);
    if (fn != NULL) {
        fn(error, arg);
        return;
    }
    hk_error_format(error, line, sizeof(line));
    hki_log(HK_LOG_WARNING, "a failure that nobody read: %s", line);
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&hook_lock);
}
