/* SPDX-License-Identifier: MIT */
#include "tests/soak/census.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/live.h"
#include "executors/process_pool/zygote.h"
#include "tests/soak/soak.h"

enum { CHILDREN_MAX = 256 };

static double patience_seconds = 20;

static const char *const moments[] = {
    [SOAK_LOADED] = "loaded", [SOAK_CALM] = "calm", [SOAK_EMPTY] = "empty"};

double soak_seconds(void)
{
    static double begin;
    struct timespec now;
    double seconds;

    clock_gettime(CLOCK_MONOTONIC, &now);
    seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    if (begin == 0) {
        begin = seconds;
    }
    return seconds - begin;
}

static long count_entries(const char *path)
{
    DIR *folder = opendir(path);
    long count = 0;

    if (folder == NULL) {
        return -1;
    }
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count - 2; /* "." and "..". */
}

static long count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    long count = 0;
    int byte;

    while (file != NULL && (byte = getc(file)) != EOF) {
        count += byte == '\n';
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static long resident_kib(long pid)
{
    char path[64];
    long pages = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/statm", pid);
    if ((file = fopen(path, "re")) != NULL) {
        if (fscanf(file, "%*d %ld", &pages) != 1) {
            pages = 0;
        }
        fclose(file);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Of a process, and of its children that have ended and were waited for. */
static double cpu_of(long pid)
{
    unsigned long long ticks[4] = {0};
    char path[64];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    if ((file = fopen(path, "re")) != NULL) {
        if (fscanf(file,
                   "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
                   &ticks[0], &ticks[1], &ticks[2], &ticks[3]) != 4) {
            memset(ticks, 0, sizeof(ticks));
        }
        fclose(file);
    }
    return (double)(ticks[0] + ticks[1] + ticks[2] + ticks[3]) / (double)sysconf(_SC_CLK_TCK);
}

static long find_children(long pid, long *children)
{
    char path[64];
    long count = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", pid, pid);
    if ((file = fopen(path, "re")) == NULL) {
        return 0;
    }
    while (count < CHILDREN_MAX && fscanf(file, "%ld", &children[count]) == 1) {
        count++;
    }
    fclose(file);
    return count;
}

void soak_census_take(struct soak_census *census)
{
    hk_memory_statistics memory = {0};
    long workers[CHILDREN_MAX];
    long zygote = hki_zygote_pid();
    long sum = 0;

    memset(census, 0, sizeof(*census));
    census->parent_kib = resident_kib(getpid());
    census->zygote_kib = resident_kib(zygote);
    census->workers = find_children(zygote, workers);
    census->cpu_seconds = cpu_of(getpid()) + cpu_of(zygote);
    for (long i = 0; i < census->workers; i++) {
        sum += resident_kib(workers[i]);
        census->cpu_seconds += cpu_of(workers[i]);
    }
    census->worker_kib = census->workers == 0 ? 0 : sum / census->workers;
    census->descriptors = count_entries("/proc/self/fd") - 1; /* Its own. */
    census->threads = count_entries("/proc/self/task");
    census->children = census->workers + (zygote > 0);
    census->mappings = count_lines("/proc/self/maps");
    /* A thread that has left a pool is one until the next one leaves. */
    census->objects = (long)hki_live_total(NULL, 0) - hki_live_count(HKI_LIVE_WORKERS);
    if (hk_memory_stats(&memory) == HK_OK) {
        census->blocks = memory.live_blocks;
        census->allocated_kib = memory.process_allocated / 1024;
    }
}

void soak_census_begin(FILE *file)
{
    fprintf(file, "seconds,moment,parent_kib,zygote_kib,worker_kib,workers,descriptors,threads,"
                  "children,mappings,objects,blocks,allocated_kib,cpu_seconds,pieces\n");
}

void soak_census_write(FILE *file, enum soak_moment moment, const struct soak_census *census)
{
    fprintf(file, "%.3f,%s,%ld,%ld,%ld,%ld,%ld,%ld,%ld,%ld,%ld,%llu,%llu,%.2f,%lld\n",
            soak_seconds(), moments[moment], census->parent_kib, census->zygote_kib,
            census->worker_kib, census->workers, census->descriptors, census->threads,
            census->children, census->mappings, census->objects, (unsigned long long)census->blocks,
            (unsigned long long)census->allocated_kib, census->cpu_seconds,
            (long long)soak_counted(SOAK_PIECES));
    fflush(file);
}

void soak_be_impatient(void)
{
    patience_seconds = 0.5;
}

bool soak_eventually(bool (*holds)(void *arg), void *arg)
{
    static hk_event never = HK_EVENT_INIT("never"); /* For a rest between two looks. */
    double end = soak_seconds() + patience_seconds;

    while (!holds(arg)) {
        if (soak_seconds() > end) {
            return false;
        }
        SOAK_EXPECT(hk_event_wait(&never, HK_MS(2)) == HK_ETIMEDOUT);
    }
    return true;
}

/* While there is a pool the zygote may have one child more, ready to become a worker. */
struct rest {
    const struct soak_census *then;
    long spare;
    struct soak_census now;
};

static long difference(long one, long other)
{
    return one > other ? one - other : other - one;
}

static bool is_as_then(void *arg)
{
    struct rest *rest = arg;

    soak_census_take(&rest->now);
    return rest->now.descriptors == rest->then->descriptors &&
           rest->now.threads == rest->then->threads &&
           difference(rest->now.children, rest->then->children) <= rest->spare &&
           rest->now.objects == rest->then->objects;
}

/* The first time there is nothing to compare with: it is over when nothing has changed for
 * a while. */
static void settle(struct soak_census *census)
{
    enum { LOOKS = 50 };
    struct soak_census before;
    unsigned same = 0;

    soak_census_take(&before);
    for (int i = 0; i < 100 * LOOKS && same < LOOKS; i++) {
        struct rest rest = {.then = &before};

        same = is_as_then(&rest) ? same + 1 : 0;
        before = rest.now;
        sched_yield();
    }
    *census = before;
}

static void say_difference(const struct rest *rest)
{
    char text[1024];

    (void)hki_live_total(text, sizeof(text));
    fprintf(stderr,
            "soak: not as at the first such moment: %ld descriptors (%ld), %ld threads (%ld), "
            "%ld children (%ld), %ld objects (%ld): %s\n",
            rest->now.descriptors, rest->then->descriptors, rest->now.threads, rest->then->threads,
            rest->now.children, rest->then->children, rest->now.objects, rest->then->objects, text);
}

void soak_census_rest(FILE *file, enum soak_moment moment)
{
    static struct soak_census first[SOAK_EMPTY + 1];
    static bool has_first[SOAK_EMPTY + 1];
    struct rest rest = {.then = &first[moment], .spare = moment == SOAK_CALM};

    if (!has_first[moment]) {
        settle(&first[moment]);
        has_first[moment] = true;
    }
    if (!soak_eventually(is_as_then, &rest)) {
        say_difference(&rest);
    }
    soak_census_write(file, moment, &rest.now);
}
