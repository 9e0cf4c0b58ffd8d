/* SPDX-License-Identifier: MIT */
#include "tests/random/census.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/live.h"
#include "executors/process_pool/zygote.h"
#include "tests/random/stage.h"

enum { LIMIT_SECONDS = 20 };

struct census {
    size_t objects;
    size_t threads;
    size_t descriptors;
    size_t workers;
    size_t mappings;
};

static struct census before;

static size_t count_entries(const char *path, const char *spared)
{
    DIR *folder = opendir(path);
    size_t count = 0;

    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char file[300];
        char name[64] = "";
        FILE *comm = NULL;

        if (spared != NULL) {
            snprintf(file, sizeof(file), "%s/%s/comm", path, entry->d_name);
            comm = fopen(file, "re");
        }
        if (comm != NULL) {
            if (fgets(name, sizeof(name), comm) == NULL) {
                name[0] = '\0';
            }
            fclose(comm);
        }
        /* The timer's thread stays for a while, and for the next. */
        if (entry->d_name[0] != '.' && (spared == NULL || strncmp(name, spared, 12) != 0)) {
            count++;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

static size_t count_lines(const char *path, const char *word)
{
    char line[512];
    size_t count = 0;
    FILE *file = fopen(path, "re");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, word) != NULL ? 1 : 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static FILE *open_workers(void)
{
    pid_t zygote = hki_zygote_pid();
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", zygote, zygote);
    return fopen(path, "re");
}

static size_t count_workers(void)
{
    size_t count = 0;
    FILE *file = open_workers();
    int pid;

    if (file == NULL) {
        return 0;
    }
    while (fscanf(file, "%d", &pid) == 1) {
        count++;
    }
    fclose(file);
    return count;
}

static void take(struct census *census)
{
    *census = (struct census){.objects = hki_live_total(NULL, 0),
                              .threads = count_entries("/proc/self/task", "hocket_timer"),
                              .descriptors = count_entries("/proc/self/fd", NULL),
                              .workers = count_workers(),
                              .mappings = count_lines("/proc/self/maps", "hocket-pool")};
}

void hkt_census_begin(void)
{
    FILE *workers = open_workers();

    /* A kernel that does not list children shows no worker, whatever is left behind. */
    if (workers == NULL) {
        hkt_fail_program("the zygote's children cannot be read in /proc: %s", strerror(errno));
        return;
    }
    fclose(workers);
    take(&before);
}

static bool is_clean(const struct census *now)
{
    return now->objects <= before.objects && now->threads <= before.threads &&
           now->descriptors <= before.descriptors && now->workers == 0 &&
           now->mappings <= before.mappings;
}

void hkt_census_check(void)
{
    char text[512];
    struct timespec begin;
    struct timespec at;
    struct census now;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        take(&now);
        if (is_clean(&now)) {
            return;
        }
        (void)sched_yield(); /* A joined thread is in /proc for another moment. */
        clock_gettime(CLOCK_MONOTONIC, &at);
    } while (at.tv_sec - begin.tv_sec < LIMIT_SECONDS);
    hki_live_total(text, sizeof(text));
    hkt_fail_program("left behind: %zu objects (%s), %zd threads, %zd descriptors, %zu workers, "
                     "%zu mappings",
                     now.objects, text, (ssize_t)(now.threads - before.threads),
                     (ssize_t)(now.descriptors - before.descriptors), now.workers, now.mappings);
}
