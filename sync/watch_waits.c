/* SPDX-License-Identifier: MIT */
/* hk_waits_watch: one thread that looks at all waits a few times in each limit. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "base/fork.h"
#include "base/no_cancel.h"
#include "base/os.h"
#include "base/time.h"
#include "sync/condition.h"
#include "sync/waits_impl.h"

enum { LOOKS_IN_LIMIT = 4 };

static pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
static struct hki_condition changed = HKI_CONDITION_INIT;
/* Under watch_lock. */
static hk_duration watched_limit; /* 0: the thread ends. */
static int watched_fd;
static unsigned threads; /* How many were ever started: the last one watches. */
static bool running;     /* It does. */
static pthread_t thread;

/* Under the lock. */
static bool goes_on(unsigned number)
{
    return running && threads == number;
}

static void *watch(void *arg)
{
    unsigned number = (unsigned)(uintptr_t)arg;

    hki_os_thread_name("hocket_waits");
    pthread_mutex_lock(&watch_lock);
    while (goes_on(number)) {
        hk_duration limit = watched_limit;
        int fd = watched_fd;

        if (hki_condition_wait(&changed, &watch_lock, hki_deadline(limit / LOOKS_IN_LIMIT))) {
            continue;
        }
        pthread_mutex_unlock(&watch_lock);
        if (hki_waits_overdue(limit)) {
            /* A text that cannot be written has nowhere to be complained about. */
            hk_status ignored = hk_waits_dump(fd);

            (void)ignored;
        }
        pthread_mutex_lock(&watch_lock);
    }
    pthread_mutex_unlock(&watch_lock);
    return NULL;
}

/* Under the lock. */
static hk_status start(void)
{
    sigset_t all;
    sigset_t before;
    int error;

    threads++;
    sigfillset(&all); /* The application's signals are for its own threads. */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    error = pthread_create(&thread, NULL, watch, (void *)(uintptr_t)threads);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    running = error == 0;
    if (!running) {
        errno = error;
        return HK_ESYS;
    }
    return HK_OK;
}

hk_status hk_waits_watch(hk_duration limit, int fd)
{
    hk_status status = HK_OK;
    pthread_t ended;
    bool ends;

    if (limit < 0 || (limit != 0 && (limit < HK_MS(1) || fd < 0))) {
        return HK_EINVAL;
    }
    pthread_mutex_lock(&watch_lock);
    ends = limit == 0 && running;
    ended = thread;
    watched_limit = limit;
    watched_fd = fd;
    hki_condition_broadcast(&changed);
    if (ends) {
        running = false;
    } else if (limit != 0 && !running) {
        status = start();
    }
    pthread_mutex_unlock(&watch_lock);
    /* Without the lock, which a fork holds: the thread may need others that it holds, too. */
    if (ends) {
        HKI_NO_CANCEL;

        pthread_join(ended, NULL);
    }
    return status;
}

/* The thread stayed in the parent. The lock is free: held across the fork. */
static void forget(void)
{
    running = false;
    watched_limit = 0;
    hki_condition_init(&changed);
}

static void hold(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_lock(&watch_lock);
}

static void let_go(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_unlock(&watch_lock);
}

static void let_go_in_child(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    forget();
    let_go();
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(hold, let_go, let_go_in_child);
}

/* The library may be unloaded: then nobody runs in it. */
__attribute__((destructor)) static void stop(void)
{
    hk_status ignored = hk_waits_watch(0, -1);

    (void)ignored;
}
