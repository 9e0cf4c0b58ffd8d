/* SPDX-License-Identifier: MIT */
/*
 * Executors from text. Wanted: what the check refuses the open refuses as well, with a sentence
 * that says why; what opens runs a task and ends.
 */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

enum { TEXT_MAX = 600, MESSAGE_BYTES = 200, WORKERS_MAX = 16 };

HK_TASK(echo_spec)
{
    return hk_return(call, in, in_size);
}

/* Threads and memory in sane numbers: a stack of a terabyte is a valid wish. */
static bool is_modest(const char *text)
{
    const char *at = text;

    if (strstr(text, "stack=") != NULL || strstr(text, "processes") != NULL) {
        return false; /* Of processes the text alone is looked at: a zygote is no part of this. */
    }
    while ((at = strpbrk(at, "0123456789")) != NULL) {
        char *end;

        if (strtoull(at, &end, 10) > WORKERS_MAX && strncmp(text, "replay", 6) != 0) {
            return false;
        }
        at = end;
    }
    return true;
}

static void run_one(hk_executor *executor)
{
    uint64_t number = 7;
    hk_future *future;
    hk_status status = hk_submit(executor, echo_spec, &number, sizeof(number), NULL, &future);

    /* A payload may be bounded to less than the number has. */
    HKF_WANT(status == HK_OK || status == HK_ETOOBIG);
    if (status == HK_OK) {
        const void *value;

        status = hk_future_result(future, HK_SEC(30), &value, NULL);
        HKF_WANT(status == HK_OK || status == HK_EDEADLINE);
        HKF_WANT(status != HK_OK || memcmp(value, &number, sizeof(number)) == 0);
        hk_future_unref(future);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char text[TEXT_MAX];
    char message[MESSAGE_BYTES];
    size_t alive = hkf_alive();
    size_t room = size == 0 ? 0 : 1 + bytes[0] % sizeof(message);
    hk_executor *executor = NULL;
    hk_status status;

    hkf_be_quiet();
    size = size < sizeof(text) ? size : sizeof(text) - 1;
    if (size != 0) {
        memcpy(text, bytes, size);
    }
    text[size] = '\0';
    memset(message, 0x5a, sizeof(message));
    status = hk_executor_check_spec(text, message, room);
    HKF_WANT(status == HK_OK || status == HK_EINVAL);
    HKF_WANT(room == 0 || memchr(message, '\0', room) != NULL);
    HKF_WANT(room < 2 || (status == HK_OK) == (message[0] == '\0'));
    for (size_t i = room; i < sizeof(message); i++) {
        HKF_WANT(message[i] == 0x5a);
    }
    if (status != HK_OK) {
        status = hk_executor_open(text, &executor);
        HKF_WANT(status == HK_EINVAL || status == HK_EPORTABLE);
        HKF_WANT(executor == NULL);
    } else if (is_modest(text)) {
        status = hk_executor_open(text, &executor);
        HKF_WANT(status == HK_OK || status == HK_EINVAL);
        if (status == HK_OK) {
            run_one(executor);
            HKF_WANT(hk_executor_destroy(executor) == HK_OK);
        }
    }
    hkf_want_alive(alive);
    return 0;
}
