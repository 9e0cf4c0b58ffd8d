/* SPDX-License-Identifier: MIT */
/*
 * The command line of every benchmark program.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bench/harness/harness_impl.h"

enum { EXIT_USAGE = 2 };

enum { DEFAULT_ROUNDS = 15, QUICK_ROUNDS = 2, DEFAULT_MIN_MS = 15, ROUNDS_MAX = 10000 };

static const int64_t quick_min_ns = 300 * 1000;

static const char help[] =
    "usage: %s [OPTION]... [WORKLOAD]...\n\n%s\n\n"
    "  -r, --rounds=N          rounds, each of which runs every row once (%d)\n"
    "  -m, --min-ms=N          how long a run takes at least (%d)\n"
    "  -q, --quick             very little work: shows that it works, not how fast\n"
    "  -p, --process=NAME=CMD  a peer in a process of its own; may be repeated\n"
    "  -o, --only=PEER         only this row of each workload; may be repeated\n"
    "  -c, --calm=PERCENT      repeat a round, up to 5 times, while others take more of the CPUs\n"
    "      --csv=FILE          the CSV there instead of on standard output\n"
    "      --markdown=FILE     the tables there instead of on standard output\n"
    "      --strict            exit with 1 if a target is missed\n"
    "  -l, --list              list the workloads and end\n"
    "  -h, --help              this text\n\n"
    "Exit status: 0 all well, 1 a wrong result (or --strict), 2 wrong usage.\n";

void bench_workload_name(const struct bench_case *what, char *text, size_t size)
{
    snprintf(text, size, "%s.%s", what->family->name, what->label);
}

static bool names_case(const char *word, const struct bench_case *what)
{
    char name[128];

    bench_workload_name(what, name, sizeof(name));
    return strcmp(word, what->family->name) == 0 || strcmp(word, name) == 0;
}

bool bench_is_wanted(const struct bench_options *options, const struct bench_case *what)
{
    for (size_t i = 0; i < options->workload_count; i++) {
        if (names_case(options->workloads[i], what)) {
            return true;
        }
    }
    return options->workload_count == 0;
}

bool bench_is_peer_wanted(const struct bench_options *options, const char *name)
{
    for (size_t i = 0; i < options->peer_count; i++) {
        if (strcmp(options->peers[i], name) == 0) {
            return true;
        }
    }
    return options->peer_count == 0;
}

static void list(const struct bench_program *program)
{
    const char *family = "";

    for (size_t i = 0; i < program->case_count; i++) {
        const struct bench_case *what = &program->cases[i];
        char name[128];

        if (strcmp(family, what->family->name) != 0) {
            family = what->family->name;
            printf("%s: %s\n", family, what->family->title);
        }
        bench_workload_name(what, name, sizeof(name));
        printf("    %s\n", name);
    }
}

__attribute__((noreturn)) static void usage(const struct bench_program *program,
                                            const char *complaint, const char *word)
{
    fprintf(stderr, "%s: %s '%s'; --help tells more\n", program->name, complaint, word);
    exit(EXIT_USAGE);
}

static unsigned number(const struct bench_program *program, const char *text)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < 1 || value > ROUNDS_MAX) {
        usage(program, "not a number from 1 to 10000:", text);
    }
    return (unsigned)value;
}

static void add_workload(const struct bench_program *program, struct bench_options *options,
                         const char *word)
{
    for (size_t i = 0; i < program->case_count; i++) {
        if (names_case(word, &program->cases[i])) {
            if (options->workload_count == BENCH_WORDS_MAX) {
                usage(program, "too many workloads at", word);
            }
            options->workloads[options->workload_count++] = word;
            return;
        }
    }
    usage(program, "unknown workload", word);
}

enum { OPTION_CSV = 256, OPTION_MARKDOWN, OPTION_STRICT };

static const struct option option_table[] = {
    {"rounds", required_argument, NULL, 'r'},
    {"min-ms", required_argument, NULL, 'm'},
    {"quick", no_argument, NULL, 'q'},
    {"process", required_argument, NULL, 'p'},
    {"only", required_argument, NULL, 'o'},
    {"calm", required_argument, NULL, 'c'},
    {"csv", required_argument, NULL, OPTION_CSV},
    {"markdown", required_argument, NULL, OPTION_MARKDOWN},
    {"strict", no_argument, NULL, OPTION_STRICT},
    {"list", no_argument, NULL, 'l'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void take_option(int option, const struct bench_program *program,
                        struct bench_options *options)
{
    switch (option) {
    case 'r':
        options->rounds = number(program, optarg);
        break;
    case 'm':
        options->min_ns = (int64_t)number(program, optarg) * 1000 * 1000;
        break;
    case 'q':
        options->is_quick = true;
        break;
    case 'p':
        if (!bench_process_add(optarg)) {
            usage(program, "not NAME=COMMAND, or one too many:", optarg);
        }
        break;
    case 'o':
        if (options->peer_count == BENCH_WORDS_MAX) {
            usage(program, "too many peers at", optarg);
        }
        options->peers[options->peer_count++] = optarg;
        break;
    case 'c':
        options->calm_percent = number(program, optarg);
        break;
    case OPTION_CSV:
        options->csv_path = optarg;
        break;
    case OPTION_MARKDOWN:
        options->markdown_path = optarg;
        break;
    case OPTION_STRICT:
        options->is_strict = true;
        break;
    case 'l':
        list(program);
        exit(0);
    case 'h':
        printf(help, program->name, program->summary, DEFAULT_ROUNDS, DEFAULT_MIN_MS);
        exit(0);
    default:
        /* getopt has said what it did not understand. */
        exit(EXIT_USAGE);
    }
}

void bench_parse(int argc, char **argv, const struct bench_program *program,
                 struct bench_options *options)
{
    int option;

    *options = (struct bench_options){0};
    while ((option = getopt_long(argc, argv, "r:m:qp:o:c:lh", option_table, NULL)) != -1) {
        take_option(option, program, options);
    }
    for (int i = optind; i < argc; i++) {
        add_workload(program, options, argv[i]);
    }
    if (options->rounds == 0) {
        options->rounds = options->is_quick ? QUICK_ROUNDS : DEFAULT_ROUNDS;
    }
    if (options->calm_percent == 0) {
        options->calm_percent = 100;
    }
    if (options->min_ns == 0) {
        options->min_ns = options->is_quick ? quick_min_ns : (int64_t)DEFAULT_MIN_MS * 1000 * 1000;
    }
}
