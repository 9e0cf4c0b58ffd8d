/* SPDX-License-Identifier: MIT */
/*
 * What the environment says of the checks of locks. Wanted: one of the policies, and for a word
 * that is none a line that says so.
 */
#include <hocket/lock_order.h>

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

enum { WORD_MAX = 4000 };

static unsigned lines;

static void count_line(hk_log_level level, const char *line, void *arg)
{
    (void)level;
    (void)arg;
    hkf_touch(line, strlen(line));
    lines++;
}

static bool is_policy(const char *word)
{
    return strcmp(word, "off") == 0 || strcmp(word, "report") == 0 || strcmp(word, "refuse") == 0 ||
           strcmp(word, "abort") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static char variable[] = "HOCKET_LOCKCHECK";
    static char setting[sizeof(variable) + 1 + WORD_MAX];
    char *word = setting + sizeof(variable);
    hk_lock_policy policy;

    size = size < WORD_MAX ? size : WORD_MAX - 1;
    memcpy(setting, variable, sizeof(variable) - 1);
    setting[sizeof(variable) - 1] = '=';
    if (size != 0) {
        memcpy(word, bytes, size);
    }
    word[size] = '\0';
    HKF_WANT(putenv(setting) == 0);
    hk_on_log(count_line, NULL);
    lines = 0;
    HKF_WANT(hk_lock_policy_set(HK_LOCK_DEFAULT) == HK_OK); /* Read again. */
    policy = hk_lock_policy_get();
    HKF_WANT(policy > HK_LOCK_DEFAULT && policy <= HK_LOCK_ABORT);
    HKF_WANT(lines == (is_policy(word) ? 0 : 1));
    HKF_WANT(is_policy(word) || policy == HK_LOCK_REFUSE);
    return 0;
}
