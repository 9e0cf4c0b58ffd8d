/* SPDX-License-Identifier: MIT */
/*
 * The tasks of this program by name: a list of the hk_tasks sections of the
 * program and of each loaded library, as their constructors bring them in.
 */
#include <hocket/task.h>

#include <pthread.h>
#include <string.h>

#include "base/fork.h"

/* Modules with tasks: the program and its libraries. More are not found by name,
 * but run all the same. */
enum { SECTIONS_MAX = 256 };

static pthread_mutex_t sections_lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
    const hk_task *const *first;
    const hk_task *const *end;
} sections[SECTIONS_MAX];

static size_t section_count;

void hk_task_section_add_(const hk_task *const *first, const hk_task *const *end)
{
    if (first == end) {
        return;
    }
    pthread_mutex_lock(&sections_lock);
    for (size_t i = 0; i < section_count; i++) {
        if (sections[i].first == first) {
            first = end; /* Each source file of a module names the same section. */
        }
    }
    if (first != end && section_count < SECTIONS_MAX) {
        sections[section_count].first = first;
        sections[section_count].end = end;
        section_count++;
    }
    pthread_mutex_unlock(&sections_lock);
}

void hk_task_section_remove_(const hk_task *const *first)
{
    pthread_mutex_lock(&sections_lock);
    for (size_t i = 0; i < section_count; i++) {
        if (sections[i].first == first) {
            sections[i] = sections[--section_count];
            break;
        }
    }
    pthread_mutex_unlock(&sections_lock);
}

const hk_task *hk_task_find(const char *name)
{
    const hk_task *found = NULL;

    if (name == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&sections_lock);
    for (size_t i = 0; i < section_count && found == NULL; i++) {
        for (const hk_task *const *at = sections[i].first; at != sections[i].end; at++) {
            if (*at != NULL && strcmp((*at)->name, name) == 0) {
                found = *at;
                break;
            }
        }
    }
    pthread_mutex_unlock(&sections_lock);
    return found;
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&sections_lock);
}
