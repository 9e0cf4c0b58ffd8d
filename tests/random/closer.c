/* SPDX-License-Identifier: MIT */
#include "tests/random/closer.h"

#include <stdlib.h>
#include <time.h>

#include "tests/random/perform.h"

enum { PATIENCE_NS = 8000000 };

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
/* Under the lock: in the order in which their time comes. */
static int watched[HKT_OPS_MAX];
static int64_t due_ns[HKT_OPS_MAX];
static unsigned count;
static unsigned done;
static bool is_over;

static void *close_all(void *nothing)
{
    pthread_mutex_lock(&lock);
    while (!is_over || done < count) {
        if (done == count) {
            pthread_cond_wait(&changed, &lock);
        } else if (!is_over && hk_now_ns() < due_ns[done]) {
            struct timespec until = {due_ns[done] / 1000000000, due_ns[done] % 1000000000};

            pthread_cond_timedwait(&changed, &lock, &until);
        } else {
            int op = watched[done++];

            pthread_mutex_unlock(&lock);
            hkt_promise_give_up(op);
            pthread_mutex_lock(&lock);
        }
    }
    pthread_mutex_unlock(&lock);
    return nothing;
}

void hkt_closer_start(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&changed, &attributes);
    pthread_condattr_destroy(&attributes);
    count = 0;
    done = 0;
    is_over = false;
    if (pthread_create(&thread, NULL, close_all, NULL) != 0) {
        abort();
    }
}

void hkt_closer_watch(int op)
{
    struct timespec now;

    /* Not hk_now_ns(): that may be a replay executor's. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&lock);
    watched[count] = op;
    due_ns[count++] = now.tv_sec * 1000000000LL + now.tv_nsec + PATIENCE_NS;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

void hkt_closer_stop(void)
{
    pthread_mutex_lock(&lock);
    is_over = true;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&changed);
}
