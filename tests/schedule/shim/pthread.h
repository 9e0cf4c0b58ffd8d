/* SPDX-License-Identifier: MIT */
/*
 * In front of the system's header: threads, mutexes and keys of the code under test are those
 * of tests/schedule/threads.c.
 */
#ifndef HKT_SCHEDULE_PTHREAD_H
#define HKT_SCHEDULE_PTHREAD_H

#pragma GCC system_header /* What follows is GNU C. */

#include_next <pthread.h>

#include "tests/schedule/point.h"

#define pthread_mutex_init(mutex, attributes) hkt_mutex_init(mutex)
#define pthread_mutex_destroy(mutex)          hkt_mutex_destroy((mutex), HKT_SITE)
#define pthread_mutex_lock(mutex)             hkt_mutex_lock((mutex), HKT_SITE)
#define pthread_mutex_unlock(mutex)           hkt_mutex_unlock((mutex), HKT_SITE)

#define pthread_create(thread, attributes, fn, arg)                                                \
    hkt_thread_create((thread), (attributes), (fn), (arg), HKT_SITE)
#define pthread_join(thread, result) hkt_thread_join((thread), (result), HKT_SITE)
#define pthread_detach(thread)       hkt_thread_detach(thread)

#define pthread_key_create(key, destructor) hkt_key_create((key), (destructor))
#define pthread_key_delete(key)             hkt_key_delete(key)
#define pthread_setspecific(key, value)     hkt_key_set((key), (value))
#define pthread_getspecific(key)            hkt_key_get(key)

#endif
