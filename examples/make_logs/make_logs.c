/* SPDX-License-Identifier: MIT */
/*
 * hocket-logs-sample: web-server logs that nobody wrote, with their answers.
 *
 * The same options give the same bytes everywhere. In the folder:
 *   logs/NNNN.log[.gz]  the logs
 *   odd/                with --odd: odd gzip files
 *   expected-*          the right answers
 */
#include <argp.h>
#include <hocket/hocket.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "odd.h"

struct sample {
    uint64_t seed, lines, files, bytes;
    bool is_combined, is_gzip, is_odd;
    const char *folder;
};

enum key { KEY_SEED = 256, KEY_LINES, KEY_FILES, KEY_BYTES, KEY_FORMAT, KEY_GZIP, KEY_ODD };

static const struct argp_option option_list[] = {
    {"seed", KEY_SEED, "N", 0, "Another seed, other logs (1)", 0},
    {"lines", KEY_LINES, "N", 0, "Good lines in all (10000)", 0},
    {"bytes", KEY_BYTES, "N", 0, "Bytes of text in all, about; instead of --lines", 0},
    {"files", KEY_FILES, "N", 0, "Number of files (4)", 0},
    {"format", KEY_FORMAT, "FORMAT", 0, "combined or common (combined)", 0},
    {"gzip", KEY_GZIP, NULL, 0, "Compress the logs", 0},
    {"odd", KEY_ODD, NULL, 0, "Add malformed and long lines, and odd gzip files", 0},
    {NULL, 0, NULL, 0, NULL, 0},
};

static uint64_t parse_number(struct argp_state *state, const char *text, uint64_t least)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number < least) {
        argp_error(state, "expected a number of at least %llu, not '%s'", (unsigned long long)least,
                   text);
    }
    return number;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct sample *sample = state->input;

    switch (key) {
    case KEY_SEED:
        sample->seed = parse_number(state, argument, 0);
        break;
    case KEY_LINES:
        sample->lines = parse_number(state, argument, 0);
        break;
    case KEY_BYTES:
        sample->bytes = parse_number(state, argument, 1);
        break;
    case KEY_FILES:
        sample->files = parse_number(state, argument, 1);
        break;
    case KEY_FORMAT:
        sample->is_combined = strcmp(argument, "combined") == 0;
        if (!sample->is_combined && strcmp(argument, "common") != 0) {
            argp_error(state, "unknown format '%s'; formats are combined and common", argument);
        }
        break;
    case KEY_GZIP:
        sample->is_gzip = true;
        break;
    case KEY_ODD:
        sample->is_odd = true;
        break;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) {
            argp_error(state, "one folder, not several: '%s'", argument);
        }
        sample->folder = argument;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "no folder given");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Writes one log: share lines, or share bytes. */
static bool write_log(const struct sample *sample, struct log_file *log, struct random *random,
                      time_t *clock, struct expected *expected, uint64_t share)
{
    char line[REQUEST_LINE_SIZE];

    for (uint64_t done = 0; done < share;) {
        struct request request;
        size_t size;

        if (sample->is_odd) {
            odd_line(log, random, expected);
        }
        request_make(&request, random, clock);
        size = request_write(&request, sample->is_combined, line);
        if (!expected_add(expected, &request)) {
            return false;
        }
        done += sample->bytes > 0 ? size + 1 : 1;
        if (sample->is_odd && random_percent(random, 2)) {
            line[size++] = '\r';
        }
        /* Where odd things are wanted, a log does not end in a newline. */
        if (!(sample->is_odd && done >= share)) {
            line[size++] = '\n';
        }
        log_file_write(log, line, size);
    }
    return true;
}

static bool write_logs(const struct sample *sample, const char *folder, struct random *random,
                       time_t *clock, struct expected *expected)
{
    uint64_t left = sample->bytes > 0 ? sample->bytes : sample->lines;

    for (uint64_t i = 0; i < sample->files; i++) {
        uint64_t share = left / (sample->files - i);
        struct log_file log;
        char name[32];
        bool is_fine = true;

        (void)snprintf(name, sizeof(name), "%04llu.log", (unsigned long long)i);
        if (!log_file_begin(&log, folder, name, sample->is_gzip)) {
            return false;
        }
        if (sample->is_odd && i == 0) {
            is_fine = odd_long_lines(&log, random, clock, expected);
        }
        is_fine = is_fine && write_log(sample, &log, random, clock, expected, share);
        if (!is_fine) {
            fprintf(stderr, "hocket-logs-sample: no memory\n");
        }
        if (!log_file_end(&log) || !is_fine) {
            return false;
        }
        left -= share;
    }
    return true;
}

static bool write_sample(const struct sample *sample, struct expected *expected)
{
    struct random random = {sample->seed};
    time_t clock = 1709157600; /* 28 February 2024, 22:00: a leap day is near. */
    char logs[PATH_MAX], odd[PATH_MAX];

    if ((size_t)snprintf(logs, sizeof(logs), "%s/logs", sample->folder) >= sizeof(logs) ||
        (size_t)snprintf(odd, sizeof(odd), "%s/odd", sample->folder) >= sizeof(odd)) {
        fprintf(stderr, "hocket-logs-sample: the folder's name is too long\n");
        return false;
    }
    expected->is_combined = sample->is_combined;
    return files_make_folder(sample->folder) && files_make_folder(logs) &&
           write_logs(sample, logs, &random, &clock, expected) &&
           expected_write(expected, sample->folder) &&
           (!sample->is_odd ||
            (files_make_folder(odd) && odd_files(sample->folder, odd, &random, &clock)));
}

int main(int argc, char **argv)
{
    static const struct argp parser = {
        .options = option_list,
        .parser = parse_option,
        .args_doc = "FOLDER",
        .doc = "Makes sample web-server logs in FOLDER/logs, and the right answers over them in "
               "FOLDER/expected-*. The same options always give the same bytes.",
    };
    static struct expected expected;
    struct sample sample = {.seed = 1, .lines = 10000, .files = 4, .is_combined = true};
    bool is_fine;

    argp_program_version = hk_version();
    argp_err_exit_status = 2;
    argp_parse(&parser, argc, argv, 0, NULL, &sample);
    is_fine = write_sample(&sample, &expected);
    expected_fini(&expected);
    return is_fine ? 0 : 1;
}
