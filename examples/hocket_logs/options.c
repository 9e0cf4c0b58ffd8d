/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <argp.h>
#include <hocket/hocket.h>
#include <stdlib.h>
#include <unistd.h>

#include "inflate.h"
#include "source.h"

enum key {
    KEY_JSON = 256,
    KEY_CSV,
    KEY_INFLATE,
    KEY_SLICE_BYTES,
    KEY_NO_PROGRESS,
    KEY_CHAOS,
};

static const char description[] =
    "Counts over web-server logs in the common and combined formats, plain or gzip, on any "
    "Hocket executor."
    "\v"
    "Reports:\n"
    "  robots        hosts that fetched exactly /robots.txt, one a line, sorted\n"
    "  top hosts, top paths, top agents, top referrers\n"
    "                the most frequent ones\n"
    "  status        requests by status\n"
    "  bytes         requests, bytes sent, mean and largest size\n"
    "  hourly        requests by hour of the log's own clock\n"
    "\n"
    "Filters (repeat them: of one kind any may match, of several all must):\n"
    "  time=2015-05-17T00:00:00..2015-05-18\n"
    "                from the first up to before the second; either may be\n"
    "                left out, and one alone means all of that day, hour,\n"
    "                minute or second. By the log's own clock; by UTC if a\n"
    "                zone is given: 2015-05-17T10:05Z, 2015-05-17T10+02:00\n"
    "  status=404, status=4xx\n"
    "  path=/blog/   paths that begin so\n"
    "\n"
    "Folders are searched through; links in them are not followed. A path is taken as it was "
    "logged, with its query; a request that is no HTTP request has the path '-'. Malformed lines "
    "are told on standard error, by kind with one example each. In JSON, bytes that are not UTF-8 "
    "are read as Latin-1.\n"
    "\n"
    "Executors: inline, threads, threads:N, processes, processes:N and what else "
    "hk_executor_open() knows.\n"
    "\n"
    "--chaos is for those who want to see worker processes crash: one unit of work in N (10) has "
    "the worker that does it killed, before, amid or after the work; it is done again by another "
    "one, and the answer stays the same. It needs processes.\n"
    "\n"
    "Exit status: 0 all well; 1 a file could not be read whole; 2 wrong usage; 130 interrupted, "
    "what was done is printed.";

static const char argument_line[] = "REPORT PATH...";

static const struct argp_option option_list[] = {
    {"number", 'n', "N", 0, "Rows of top (10; 0 for all)", 0},
    {"json", KEY_JSON, NULL, 0, "Print JSON", 0},
    {"csv", KEY_CSV, NULL, 0, "Print CSV with a header line", 0},
    {"executor", 'e', "SPEC", 0, "Where the work runs (threads)", 0},
    {"filter", 'f', "FILTER", 0, "Count only requests that match", 0},
    {"inflate", KEY_INFLATE, "NAME", 0, "Library that inflates (auto)", 0},
    {"no-progress", KEY_NO_PROGRESS, NULL, 0, "No progress bar, even on a terminal", 0},
    {"quiet", 'q', NULL, 0, "Say nothing about malformed lines", 0},
    {"chaos", KEY_CHAOS, "N", OPTION_ARG_OPTIONAL, "Kill the worker of one unit in N (10)", 0},
    {"slice-bytes", KEY_SLICE_BYTES, "N", OPTION_HIDDEN, "Size of slices of plain files", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static void print_version(FILE *stream, struct argp_state *state)
{
    (void)state;
    fprintf(stream, "hocket-logs (Hocket %s); --inflate knows %s\n", hk_version(), inflate_names());
}

/* A whole number from least to most; ends the program otherwise. */
static uint64_t parse_number(struct argp_state *state, const char *text, uint64_t least,
                             uint64_t most, const char *what)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number < least ||
        number > most) {
        argp_error(state, "%s must be a number from %llu to %llu, not '%s'", what,
                   (unsigned long long)least, (unsigned long long)most, text);
    }
    return number;
}

/* The report named by the first one or two arguments. Gives how many it took. */
static size_t parse_report(struct argp_state *state, char **arguments, size_t count,
                           enum report *report)
{
    static const char reports[] = "robots, top hosts, top paths, top agents, top referrers, "
                                  "status, bytes, hourly";
    bool is_top = strcmp(arguments[0], "top") == 0;

    if (is_top && count < 2) {
        argp_error(state, "top of what? Say hosts, paths, agents or referrers");
    }
    for (unsigned i = 0; i < REPORT_COUNT; i++) {
        const char *name = job_report_name((enum report)i);

        *report = (enum report)i;
        if (is_top && strncmp(name, "top ", 4) == 0 && strcmp(name + 4, arguments[1]) == 0) {
            return 2;
        }
        if (strcmp(name, arguments[0]) == 0) {
            return 1;
        }
    }
    argp_error(state, "unknown report '%s%s%s'; reports are %s", arguments[0], is_top ? " " : "",
               is_top ? arguments[1] : "", reports);
    return 0;
}

static void parse_arguments(struct argp_state *state, struct options *options)
{
    char **arguments = state->argv + state->next;
    size_t count = (size_t)(state->argc - state->next);
    size_t taken = parse_report(state, arguments, count, &options->job.report);

    options->paths = arguments + taken;
    options->path_count = count - taken;
    if (options->path_count == 0) {
        argp_error(state, "no files or folders given");
    }
}

static void parse_executor(struct argp_state *state, struct options *options, const char *spec)
{
    char why[256];

    if (hk_executor_check_spec(spec, why, sizeof(why)) != HK_OK) {
        argp_error(state, "executor '%s': %s", spec, why);
    }
    options->executor = spec;
}

static void parse_inflate(struct argp_state *state, struct options *options, const char *name)
{
    struct inflate_choice choice;

    options->job.inflate = (struct span){name, strlen(name)};
    if (!inflate_choose(name, strlen(name), &choice)) {
        argp_error(state, "cannot inflate with '%s'; this build knows %s", name, inflate_names());
    }
}

static void parse_filter(struct argp_state *state, struct options *options, const char *text)
{
    const char *why;

    if (!filter_parse(&options->job.filters, text, &why)) {
        argp_error(state, "filter '%s': %s", text, why);
    }
}

static void parse_chaos(struct argp_state *state, struct options *options, const char *text)
{
    uint64_t period =
        text == NULL ? CHAOS_PERIOD : parse_number(state, text, 1, UINT32_MAX, "--chaos");

    chaos_init(&options->job.chaos, period);
}

/* What can only be judged when all options are known. */
static void check_options(struct argp_state *state, const struct options *options)
{
    if (options->job.chaos.period != 0 && !options_use_processes(options)) {
        argp_error(state,
                   "--chaos kills worker processes, and executor '%s' has none; say for "
                   "example: --executor processes:4",
                   options->executor);
    }
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case 'n':
        options->top_count = (size_t)parse_number(state, argument, 0, UINT32_MAX, "-n");
        break;
    case 'e':
        parse_executor(state, options, argument);
        break;
    case 'f':
        parse_filter(state, options, argument);
        break;
    case 'q':
        options->is_quiet = true;
        break;
    case KEY_JSON:
        options->format = FORMAT_JSON;
        break;
    case KEY_CSV:
        options->format = FORMAT_CSV;
        break;
    case KEY_INFLATE:
        parse_inflate(state, options, argument);
        break;
    case KEY_SLICE_BYTES:
        options->slice_size = parse_number(state, argument, 1, INT64_MAX, "--slice-bytes");
        break;
    case KEY_NO_PROGRESS:
        options->shows_progress = false;
        break;
    case KEY_CHAOS:
        parse_chaos(state, options, argument);
        break;
    case ARGP_KEY_ARGS:
        parse_arguments(state, options);
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "no report given; say for example: top hosts access.log");
        break;
    case ARGP_KEY_END:
        check_options(state, options);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

bool options_use_processes(const struct options *options)
{
    static const char kind[] = "processes";

    return strncmp(options->executor, kind, sizeof(kind) - 1) == 0;
}

void options_parse(struct options *options, int argc, char **argv)
{
    static const struct argp parser = {option_list, parse_option, argument_line, description,
                                       NULL,        NULL,         NULL};

    *options = (struct options){
        .job.inflate = SPAN("auto"),
        .top_count = 10,
        .executor = "threads",
        .slice_size = SOURCE_SLICE_SIZE,
        .shows_progress = isatty(STDERR_FILENO) == 1,
    };
    argp_program_version_hook = print_version;
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&parser, argc, argv, 0, NULL, options);
}
