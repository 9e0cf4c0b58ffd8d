/* SPDX-License-Identifier: MIT */
#include "tests/soak/leak.h"

#include <hocket/hocket.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/soak/soak.h"

enum { LEAK_BYTES = 2 << 20 };

static enum { NOTHING, MEMORY, DESCRIPTOR, THREAD, OBJECT, RESULT } leaked;

static hk_event never = HK_EVENT_INIT("never");

/* Still reachable: what is leaked here is no business of a sanitizer. */
static void *volatile newest;

bool soak_leak_choose(const char *kind)
{
    static const char *const kinds[] = {
        [NOTHING] = "nothing", [MEMORY] = "memory", [DESCRIPTOR] = "descriptor",
        [THREAD] = "thread",   [OBJECT] = "object", [RESULT] = "result"};

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kind, kinds[i]) == 0) {
            leaked = i;
            return true;
        }
    }
    return false;
}

void soak_leak_a_little(void)
{
    if (leaked == MEMORY) {
        char *memory = malloc(LEAK_BYTES);

        memset(memory, 1, LEAK_BYTES);
        *(void **)(void *)memory = newest;
        newest = memory;
    }
}

static void *wait_for_ever(void *arg)
{
    return hk_event_wait(&never, HK_FOREVER) == HK_OK ? arg : NULL;
}

void soak_leak_once(void)
{
    hk_promise *promise = NULL;
    hk_future *future = NULL;
    pthread_t thread;

    switch (leaked) {
    case DESCRIPTOR:
        SOAK_EXPECT(dup(STDERR_FILENO) >= 0);
        break;
    case THREAD:
        (void)pthread_create(&thread, NULL, wait_for_ever, NULL);
        break;
    case OBJECT:
        SOAK_EXPECT(hk_promise_create(&promise, &future) == HK_OK);
        hk_promise_destroy(promise); /* The future stays. */
        break;
    case RESULT:
        SOAK_EXPECT(leaked != RESULT); /* Wrong on purpose. */
        break;
    default:
        break;
    }
}
