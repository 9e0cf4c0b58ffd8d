/* SPDX-License-Identifier: MIT */
/*
 * What a test leaves behind: open descriptors, threads, child processes, and
 * the library's own live objects. Counted before and after each test; a test
 * that leaves more than it found fails, with a list.
 *
 * Some things vanish a moment after the call that ends them returned (a joined
 * thread is still in /proc for an instant, a worker lets go of a future after
 * its waiter has woken), so the second count is repeated for a bounded time.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/live.h"
#include "tests/harness.h"
#include "tests/harness_impl.h"

/* LeakSanitizer looks at the exit of every process, also of a forked child, where
 * it searches for the parent's threads and complains. So it is told not to, and
 * asked for by name at the end of the suites. Without it, the second is NULL. */
const char *__asan_default_options(void);
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

const char *__asan_default_options(void)
{
    return "leak_check_at_exit=0";
}

enum { TEXT_SIZE = 2048, DESCRIPTORS_MAX = 1024 };

/* Threads that the library starts once and keeps for the life of the process. */
static const char *const lasting_threads[] = {"hocket_timer"};

struct census {
    size_t descriptors;
    size_t threads;
    size_t children;
    size_t objects;
    bool is_open[DESCRIPTORS_MAX];
};

static struct census before;
static unsigned failures_before;

static void count_descriptors(struct census *census)
{
    DIR *dir = opendir("/proc/self/fd");

    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int descriptor = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] == '.' || descriptor == dirfd(dir)) {
            continue;
        }
        census->descriptors++;
        if (descriptor < DESCRIPTORS_MAX) {
            census->is_open[descriptor] = true;
        }
    }
    closedir(dir);
}

/* The first word of a file below /proc/self/task/TID, or "" when the thread is
 * gone by now. */
static void read_task_file(const char *thread, const char *name, char *text, size_t size)
{
    char path[PATH_MAX];
    FILE *file;
    size_t length = 0;

    snprintf(path, sizeof(path), "/proc/self/task/%s/%s", thread, name);
    file = fopen(path, "re");
    if (file != NULL) {
        length = fread(text, 1, size - 1, file);
        fclose(file);
    }
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
}

static bool lasts(const char *thread)
{
    char name[64];

    read_task_file(thread, "comm", name, sizeof(name));
    for (size_t i = 0; i < sizeof(lasting_threads) / sizeof(lasting_threads[0]); i++) {
        if (strcmp(name, lasting_threads[i]) == 0) {
            return true;
        }
    }
    return false;
}

static size_t count_words(const char *text)
{
    size_t words = 0;

    for (size_t i = 0; text[i] != '\0'; i++) {
        words += text[i] != ' ' && (i == 0 || text[i - 1] == ' ');
    }
    return words;
}

static void count_threads_and_children(struct census *census)
{
    DIR *dir = opendir("/proc/self/task");

    if (dir == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char children[TEXT_SIZE];

        if (entry->d_name[0] == '.') {
            continue;
        }
        census->threads += !lasts(entry->d_name);
        read_task_file(entry->d_name, "children", children, sizeof(children));
        census->children += count_words(children);
    }
    closedir(dir);
}

static void take(struct census *census)
{
    memset(census, 0, sizeof(*census));
    count_descriptors(census);
    count_threads_and_children(census);
    census->objects = hki_live_total(NULL, 0);
}

static bool is_clean(void *arg)
{
    struct census *now = arg;

    take(now);
    return now->descriptors <= before.descriptors && now->threads <= before.threads &&
           now->children <= before.children && now->objects <= before.objects;
}

static void *do_nothing(void *arg)
{
    return arg;
}

/* ThreadSanitizer starts a thread of its own with the first of the program; that
 * must not look like the first test's leak. */
void hkt_leaks_prepare(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, do_nothing, NULL) != 0) {
        hkt_die("cannot start a thread", "hkt_leaks_prepare");
    }
    pthread_join(thread, NULL);
}

void hkt_leaks_begin(void)
{
    take(&before);
    failures_before = CU_get_number_of_failure_records();
}

static void report(const char *what, size_t now, size_t then, const char *detail)
{
    char text[TEXT_SIZE * 2];

    if (now > then) {
        snprintf(text, sizeof(text), "leak: %zu %s before the test, %zu after it%s%s", then, what,
                 now, detail[0] != '\0' ? ": " : "", detail);
        CU_assertImplementation(CU_FALSE, 0, text, "leak check", "", CU_FALSE);
    }
}

/* Names the descriptors that are new, by what they point to. */
static void describe_new_descriptors(const struct census *now, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < DESCRIPTORS_MAX && used < size; i++) {
        char path[64];
        char target[256];
        ssize_t length;

        if (!now->is_open[i] || before.is_open[i]) {
            continue;
        }
        snprintf(path, sizeof(path), "/proc/self/fd/%d", i);
        length = readlink(path, target, sizeof(target) - 1);
        target[length > 0 ? length : 0] = '\0';
        used += (size_t)snprintf(text + used, size - used, "%s%d -> %s", used > 0 ? ", " : "", i,
                                 target);
    }
}

void hkt_leaks_end(void)
{
    char detail[TEXT_SIZE];
    struct census now;

    /* A test that stopped half way leaves things behind; that is no news. */
    if (CU_get_number_of_failure_records() > failures_before) {
        return;
    }
    if (hkt_eventually(is_clean, &now)) {
        return;
    }
    describe_new_descriptors(&now, detail, sizeof(detail));
    report("open descriptors", now.descriptors, before.descriptors, detail);
    report("threads", now.threads, before.threads, "");
    report("child processes", now.children, before.children, "");
    hki_live_total(detail, sizeof(detail));
    report("live objects", now.objects, before.objects, detail);
}

bool hkt_leaks_memory(void)
{
    return __lsan_do_recoverable_leak_check != NULL && __lsan_do_recoverable_leak_check() != 0;
}
