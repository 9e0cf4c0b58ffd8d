/* SPDX-License-Identifier: MIT */
/*
 * What shim/ puts in the place of atomic operations and threads. All of it works outside of a
 * round, too, where nothing but the operation happens.
 */
#ifndef HKT_SCHEDULE_POINT_H
#define HKT_SCHEDULE_POINT_H

#include <pthread.h>
#include <stdbool.h>

#define HKT_TEXT_(number) #number
#define HKT_TEXT(number)  HKT_TEXT_(number)
#define HKT_SITE          __FILE__ ":" HKT_TEXT(__LINE__)

/* A point between two operations, where the turn may pass to another thread. The texts are
 * literals. */
void hkt_point(const char *what, const volatile void *object, const char *site);

/* Whether a weak compare-and-swap is to fail now. */
bool hkt_fails_without_cause(void);

/* A mutex that is all zeros is free. */
int hkt_mutex_init(pthread_mutex_t *mutex);
int hkt_mutex_destroy(pthread_mutex_t *mutex, const char *site);
int hkt_mutex_lock(pthread_mutex_t *mutex, const char *site);
int hkt_mutex_unlock(pthread_mutex_t *mutex, const char *site);

int hkt_thread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *),
                      void *arg, const char *site);
int hkt_thread_join(pthread_t handle, void **result, const char *site);
int hkt_thread_detach(pthread_t handle);

int hkt_key_create(pthread_key_t *key, void (*destructor)(void *));
int hkt_key_delete(pthread_key_t key);
int hkt_key_set(pthread_key_t key, const void *value);
void *hkt_key_get(pthread_key_t key);

#endif
