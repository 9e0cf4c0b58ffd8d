/* SPDX-License-Identifier: MIT */
/*
 * The program of every peer: runs one workload, each time in a process of its own, so that
 * nothing of one round is left over in the next.
 */
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/hocket_bench/execute.h"

enum { EXIT_WRONG = 1, EXIT_USAGE = 2, THREADS_MAX = 256, ROUNDS_MAX = 10000 };

struct options {
    const char *workload, *peer;
    unsigned threads;
    uint64_t n, rounds;
};

static const char help[] =
    "usage: %s [OPTION]... WORKLOAD\n\n"
    "Runs a workload on each peer of this program (%s) and prints lines\n"
    "peer,workload,threads,n,metric,value,unit.\n\n"
    "  -t, --threads=N   workers (default: the CPUs that this process may use)\n"
    "  -n, --n=N         tasks, items, or for the trees the number (default: --list tells)\n"
    "  -r, --rounds=N    how often (default: 1)\n"
    "  -p, --peer=NAME   only this peer\n"
    "  -l, --list        list the workloads and end\n"
    "  -h, --help        this text\n\n"
    "Exit status: 0 all well, 1 a wrong result, 2 wrong usage, or no such workload here.\n";

/* --- What there is ------------------------------------------------------------------ */

static const struct workload *const *tables(void)
{
    static const struct workload *all[3];

    all[0] = pool_workloads;
    all[1] = own_workloads;
    return all;
}

static bool is_here(const struct workload *workload, const struct peer *peer,
                    const struct options *options)
{
    return workload->is_for(peer) &&
           (options->peer == NULL || strcmp(options->peer, peer->name) == 0);
}

/* A workload that some wanted peer has; NULL: there is none. */
static const struct workload *find_workload(const struct options *options)
{
    for (const struct workload *const *table = tables(); *table != NULL; table++) {
        for (const struct workload *workload = *table; workload->name != NULL; workload++) {
            if (strcmp(workload->name, options->workload) != 0) {
                continue;
            }
            for (const struct peer *const *peer = peers; *peer != NULL; peer++) {
                if (is_here(workload, *peer, options)) {
                    return workload;
                }
            }
        }
    }
    return NULL;
}

static void list(void)
{
    for (const struct workload *const *table = tables(); *table != NULL; table++) {
        for (const struct workload *workload = *table; workload->name != NULL; workload++) {
            const char *between = "";

            printf("%-22s%s", workload->name, workload->title);
            if (workload->repeat != NULL && !workload->is_fixed) {
                printf("; n grows");
            } else {
                printf("; n is %llu", (unsigned long long)workload->n);
            }
            printf(" (");
            for (const struct peer *const *peer = peers; *peer != NULL; peer++) {
                if (workload->is_for(*peer)) {
                    printf("%s%s", between, (*peer)->name);
                    between = ", ";
                }
            }
            printf(")\n");
        }
    }
}

static void print_help(void)
{
    char names[512] = "";
    size_t used = 0;

    for (const struct peer *const *peer = peers; *peer != NULL && used < sizeof(names); peer++) {
        int size = snprintf(names + used, sizeof(names) - used, "%s%s", used == 0 ? "" : ", ",
                            (*peer)->name);

        used += size > 0 ? (size_t)size : 0;
    }
    printf(help, peer_program_name, names);
}

/* --- Options ------------------------------------------------------------------------ */

__attribute__((noreturn)) static void usage(const char *complaint, const char *word)
{
    fprintf(stderr, "%s: %s '%s'; --help tells more\n", peer_program_name, complaint, word);
    exit(EXIT_USAGE);
}

static uint64_t number(const char *text, uint64_t max)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (end == text || *end != '\0' || *text == '-' || value < 1 || value > max) {
        usage("not a number that makes sense:", text);
    }
    return value;
}

static const struct option option_table[] = {
    {"threads", required_argument, NULL, 't'},
    {"n", required_argument, NULL, 'n'},
    {"rounds", required_argument, NULL, 'r'},
    {"peer", required_argument, NULL, 'p'},
    {"list", no_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static unsigned cpu_count(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

static struct options parse(int argc, char **argv)
{
    static const uint64_t n_max = 1000000000;
    struct options options = {.threads = cpu_count(), .rounds = 1};
    int option;

    while ((option = getopt_long(argc, argv, "t:n:r:p:lh", option_table, NULL)) != -1) {
        switch (option) {
        case 't':
            options.threads = (unsigned)number(optarg, THREADS_MAX);
            break;
        case 'n':
            options.n = number(optarg, n_max);
            break;
        case 'r':
            options.rounds = number(optarg, ROUNDS_MAX);
            break;
        case 'p':
            options.peer = optarg;
            break;
        case 'l':
            list();
            exit(0);
        case 'h':
            print_help();
            exit(0);
        default:
            exit(EXIT_USAGE); /* getopt has said what it did not understand. */
        }
    }
    if (optind + 1 != argc) {
        usage("wanted is one workload, not", optind < argc ? argv[optind + 1] : "");
    }
    options.workload = argv[optind];
    return options;
}

/* --- Running ------------------------------------------------------------------------ */

static uint64_t tasks_of(const struct workload *workload, const struct peer *peer, uint64_t wanted)
{
    uint64_t n = wanted != 0 ? wanted : workload->n;
    bool is_tree = workload->run == run_fork_both || workload->run == run_fork_one ||
                   workload->run == run_fork_scoped;
    bool is_work = workload->run == run_map || workload->run == run_skew;
    uint64_t max = is_tree ? peer->fork_max : is_work ? 0 : peer->tasks_max;

    return max != 0 && n > max ? max : n;
}

/* False: wrong, or dead. */
static bool run_apart(const struct workload *workload, const struct peer *peer,
                      const struct options *options)
{
    struct trial trial = {.workload = workload->name, .peer = peer, .threads = options->threads};
    int status;
    pid_t child;

    trial.n = tasks_of(workload, peer, options->n);
    if (peer->workers_max != 0 && trial.threads > peer->workers_max) {
        trial.threads = peer->workers_max;
    }
    fflush(stdout);
    child = fork();
    if (child == 0) {
        exit(execute(workload, &trial, options->n != 0) ? 0 : EXIT_WRONG);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        fprintf(stderr, "%s: cannot fork\n", peer_program_name);
        return false;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "%s, %s: %s\n", workload->name, peer->name,
                WIFEXITED(status) ? "WRONG RESULT" : "died");
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    const struct workload *workload = find_workload(&options);
    bool is_right = true;

    if (workload == NULL) {
        usage("no such workload here:", options.workload);
    }
    for (uint64_t round = 0; round < options.rounds; round++) {
        for (const struct peer *const *peer = peers; *peer != NULL; peer++) {
            if (is_here(workload, *peer, &options)) {
                is_right = run_apart(workload, *peer, &options) && is_right;
            }
        }
    }
    return is_right ? 0 : EXIT_WRONG;
}
