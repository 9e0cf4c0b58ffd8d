/* SPDX-License-Identifier: MIT */
/*
 * Programs that end while everything is under way. A scene is what is under way; an ending is
 * how the process ends then. exit_storm.c runs every scene with every ending, in processes of
 * their own, and judges what is left of them.
 */
#ifndef HOCKET_TESTS_EXIT_STORM_STORM_H
#define HOCKET_TESTS_EXIT_STORM_STORM_H

#include <stddef.h>
#include <stdint.h>

#include <hocket/hocket.h>

/* The exit status of a process that ended as it was told to, and of a worker that did. */
enum { STORM_STATUS = 42, STORM_WORKER_STATUS = 3 };

struct storm_scene {
    const char *name;
    void (*begin)(void);
};

struct storm_ending {
    const char *name;
    void (*end)(void);
    int signal; /* By which it ends; 0: it exits with STORM_STATUS. */
};

extern const struct storm_scene storm_scenes[];
extern const size_t storm_scene_count;
extern const struct storm_ending storm_endings[];
extern const size_t storm_ending_count;

/* The pool of the scene that shares memory, for endings by a task; NULL: it has none. */
extern hk_executor *storm_pool;
/* Everything that the scene has opened, in that order. */
enum { STORM_EXECUTORS_MAX = 8 };
extern hk_executor *storm_executors[STORM_EXECUTORS_MAX];
extern size_t storm_executor_count;

/* Draws a number below limit; the run's seed says which. For the thread of main() alone. */
void storm_seed(uint32_t seed);
uint32_t storm_draw(uint32_t limit);
/* The same from a number, for every thread. */
uint32_t storm_mix(uint32_t number);

/* Keeps a processor busy. */
void storm_spin(uint32_t duration_ns);

/* Something in the scene is not as it should be: says so, and ends with another status. */
_Noreturn void storm_broken(const char *what);

/* Looks whether a worker died by what no scene does to it; then the scene is broken. NULL is
 * allowed. */
void storm_judge_failure(const hk_error *error);

hk_executor *storm_open(const char *spec);
void storm_thread(void *(*fn)(void *arg), void *arg);

#endif
