/* SPDX-License-Identifier: MIT */
/*
 * What machine this is, and how much of it others use.
 */
#include <gnu/libc-version.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench/harness/harness_impl.h"
#include "bench/harness/process_tree.h"

struct bench_load bench_load_now(void)
{
    struct bench_load load = {0};
    unsigned long long fields[8] = {0};
    double tick = (double)sysconf(_SC_CLK_TCK);
    FILE *stat = fopen("/proc/stat", "re");

    if (stat == NULL) {
        return load;
    }
    if (fscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &fields[0], &fields[1],
               &fields[2], &fields[3], &fields[4], &fields[5], &fields[6], &fields[7]) == 8) {
        for (size_t i = 0; i < 8; i++) {
            load.total_s += (double)fields[i] / tick;
        }
        /* The fourth is idle, the fifth is idle with a disk at work. */
        load.busy_s = load.total_s - (double)(fields[3] + fields[4]) / tick;
    }
    fclose(stat);
    load.own_s = (double)bench_tree_cpu_ns() / 1e9;
    return load;
}

double bench_foreign_load(const struct bench_load *since)
{
    struct bench_load now = bench_load_now();
    double total = now.total_s - since->total_s;
    double foreign = (now.busy_s - since->busy_s) - (now.own_s - since->own_s);

    return total > 0 && foreign > 0 ? 100 * foreign / total : 0;
}

static void print_cpu_model(FILE *out)
{
    FILE *info = fopen("/proc/cpuinfo", "re");
    char line[256];

    while (info != NULL && fgets(line, sizeof(line), info) != NULL) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            fprintf(out, "%s, ", colon + 2);
            break;
        }
    }
    if (info != NULL) {
        fclose(info);
    }
}

void bench_describe_machine(FILE *out)
{
    struct utsname name;
    char date[32];
    time_t now = time(NULL);
    struct tm broken;

    fprintf(out, "Machine: ");
    print_cpu_model(out);
    fprintf(out, "%ld CPUs", sysconf(_SC_NPROCESSORS_ONLN));
    if (uname(&name) == 0) {
        fprintf(out, ", %s %s %s", name.sysname, name.release, name.machine);
    }
    fprintf(out, ", glibc %s; ", gnu_get_libc_version());
#if defined(__clang__)
    fprintf(out, "clang %s", __clang_version__);
#else
    fprintf(out, "gcc %s", __VERSION__);
#endif
    fprintf(out, ", build type %s", BENCH_BUILD_TYPE);
    if (gmtime_r(&now, &broken) != NULL && strftime(date, sizeof(date), "%Y-%m-%d", &broken) > 0) {
        fprintf(out, "; %s", date);
    }
    fprintf(out, ".\n");
}
