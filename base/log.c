/* SPDX-License-Identifier: MIT */
/* Where the library's few lines go. The hook and its argument change together,
 * so they are read under a lock, and called without it. */
#include "base/log.h"

#include "base/fork.h"
#include "base/no_cancel.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 1024 };

static pthread_mutex_t hook_lock = PTHREAD_MUTEX_INITIALIZER;
static hk_log_fn *hook_fn;
static void *hook_arg;

void hk_on_log(hk_log_fn *fn, void *arg)
{
    pthread_mutex_lock(&hook_lock);
    hook_fn = fn;
    hook_arg = arg;
    pthread_mutex_unlock(&hook_lock);
}

void hki_log_text(hk_log_level level, const char *text)
{
    hk_log_fn *fn;
    void *arg;
    HKI_NO_CANCEL; /* Nor is what a hook calls a point to be cancelled at. */

    pthread_mutex_lock(&hook_lock);
    fn = hook_fn;
    arg = hook_arg;
    pthread_mutex_unlock(&hook_lock);
    if (fn != NULL) {
        fn(level, text, arg);
    } else if (level != HK_LOG_INFO) {
        fprintf(stderr, "hocket: %s: %s\n", level == HK_LOG_ERROR ? "error" : "warning", text);
    }
}

void hki_log(hk_log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    hki_log_text(level, line);
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&hook_lock);
}
