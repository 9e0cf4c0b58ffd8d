/* SPDX-License-Identifier: MIT */
/*
 * The processes of the benchmark, from /proc.
 */
#include "bench/harness/process_tree.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/harness/harness.h"

enum { PROCESSES_MAX = 4096 };

struct process {
    int pid, parent;
    /* Ticks, also of the children that it has waited for. */
    uint64_t ticks;
    bool is_ours;
};

static struct process processes[PROCESSES_MAX];

/* The name, which stands before these fields, may hold blanks and brackets. */
static bool read_process(int pid, struct process *process)
{
    char path[64], line[512];
    FILE *file;
    size_t size;
    const char *fields;
    unsigned long long times[4];

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    line[size] = '\0';
    fields = strrchr(line, ')');
    *process = (struct process){.pid = pid};
    if (fields == NULL ||
        sscanf(fields + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
               &process->parent, &times[0], &times[1], &times[2], &times[3]) != 5) {
        return false;
    }
    process->ticks = times[0] + times[1] + times[2] + times[3];
    return true;
}

static size_t read_all(void)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    size_t count = 0;

    while (folder != NULL && count < PROCESSES_MAX && (entry = readdir(folder)) != NULL) {
        int pid = (int)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && read_process(pid, &processes[count])) {
            count++;
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

static bool is_ours(size_t count, int pid)
{
    for (size_t i = 0; i < count; i++) {
        if (processes[i].pid == pid) {
            return processes[i].is_ours;
        }
    }
    return false;
}

/* Marks the descendants, generation by generation. */
static size_t find_tree(void)
{
    size_t count = read_all();
    bool has_grown = true;

    while (has_grown) {
        has_grown = false;
        for (size_t i = 0; i < count; i++) {
            struct process *process = &processes[i];

            if (!process->is_ours &&
                (process->pid == getpid() || is_ours(count, process->parent))) {
                process->is_ours = true;
                has_grown = true;
            }
        }
    }
    return count;
}

int64_t bench_tree_cpu_ns(void)
{
    const int64_t second_ns = 1000000000;
    size_t count = find_tree();
    uint64_t ticks = 0;

    for (size_t i = 0; i < count; i++) {
        ticks += processes[i].is_ours ? processes[i].ticks : 0;
    }
    return (int64_t)ticks * (second_ns / sysconf(_SC_CLK_TCK));
}

/* --- Threads --------------------------------------------------------------------- */

static void add_thread(int pid, int thread, struct bench_activity *activity)
{
    char path[64], line[256];
    unsigned long long number;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, thread);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "voluntary_ctxt_switches: %llu", &number) == 1) {
            activity->sleeps += number;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid, thread);
    file = fopen(path, "re");
    if (file != NULL && fscanf(file, "%llu", &number) == 1) {
        activity->cpu_ns += (int64_t)number;
    }
    if (file != NULL) {
        fclose(file);
    }
}

struct bench_activity bench_tree_activity(void)
{
    struct bench_activity activity = {0};
    size_t count = find_tree();

    for (size_t i = 0; i < count; i++) {
        char path[64];
        struct dirent *entry;
        DIR *folder;

        if (!processes[i].is_ours) {
            continue;
        }
        snprintf(path, sizeof(path), "/proc/%d/task", processes[i].pid);
        folder = opendir(path);
        while (folder != NULL && (entry = readdir(folder)) != NULL) {
            int thread = (int)strtol(entry->d_name, NULL, 10);

            if (thread > 0 && thread != gettid()) {
                add_thread(processes[i].pid, thread, &activity);
            }
        }
        if (folder != NULL) {
            closedir(folder);
        }
    }
    return activity;
}
