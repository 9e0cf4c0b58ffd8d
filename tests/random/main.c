/* SPDX-License-Identifier: MIT */
/*
 * Runs random programs over the public interface, and judges each by a model; see the text below,
 * program.h, stage.h and verdict.c.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/random/faults.h"
#include "tests/random/shrink.h"
#include "tests/random/trial.h"

enum {
    JOBS_MAX = 16,
    BATCH = 200, /* Programs in one process. */
    PROGRESS_NS = 2000000000,
    FAULT_PROGRAMS = 3000,
    FAULT_LIMIT_SECONDS = 3,
    SHRUNK_MOST = 8,
    SOUND_RUNS = 10,
};

static const char usage[] =
    "Usage: random_programs [OPTION]...\n"
    "Runs programs drawn from seeds, over executors of every kind, and judges by a model of\n"
    "each future what may come of it. What fails is made smaller and printed.\n"
    "\n"
    "  --seed N         begin with this seed (1); the same seed is the same program\n"
    "  --programs N     so many programs (1000)\n"
    "  --seconds S      instead: as many as fit\n"
    "  --jobs N         so many processes at a time (1)\n"
    "  --limit S        a program that takes longer hangs (30, times HOCKET_TEST_SLOW)\n"
    "  --file FILE      run the program in this file instead\n"
    "  --repeat N       so many times (100)\n"
    "  --print          print the program of the seed, or of the file, and end\n"
    "  --shrink S       make what fails smaller for so many seconds (60); 0: not at all\n"
    "  --keep-going     do not end with the first failure\n"
    "  --fault NAME     make the library go wrong; --list-faults prints the names\n"
    "  --faults         each fault must be found, and some programs made small\n"
    "  --quiet          no progress\n"
    "  --help           this text\n"
    "\n"
    "It ends with 1 when a program failed, and prints the command that runs it again.\n";

static struct {
    uint64_t seed;
    unsigned long programs;
    unsigned long seconds;
    unsigned jobs;
    unsigned limit_seconds;
    const char *file;
    unsigned repeat;
    unsigned shrink_seconds;
    bool keeps_going;
    bool is_quiet;
    enum hkt_fault fault;
} options = {1, 1000, 0, 1, 30, NULL, 100, 60, false, false, HKT_FAULTLESS};

static struct hkt_trial trials[JOBS_MAX];
static unsigned failures;

static unsigned slowness(void)
{
    const char *text = getenv("HOCKET_TEST_SLOW");
    unsigned long factor = text != NULL ? strtoul(text, NULL, 10) : 1;

    return factor >= 1 && factor <= 1000 ? (unsigned)factor : 1;
}

static struct hkt_trial_setup setup_of(void)
{
    return (struct hkt_trial_setup){.seed = options.seed,
                                    .limit_seconds = options.limit_seconds * slowness()};
}

/* --- Failures --- */

static void print_again(uint64_t seed)
{
    printf("  again: random_programs ");
    if (options.file != NULL) {
        printf("--file %s --repeat %u", options.file, options.repeat);
    } else {
        printf("--seed %llu --programs 1", (unsigned long long)seed);
    }
    if (options.fault != HKT_FAULTLESS) {
        printf(" --fault %s", hkt_fault_names[options.fault]);
    }
    printf("\n");
}

static void show(struct hkt_trial *trial)
{
    struct hkt_trial_setup setup = setup_of();
    struct hkt_program program = trial->stage->program;
    uint64_t seed = trial->stage->seed;
    unsigned size = hkt_program_size(&program);

    failures++;
    printf("random_programs: seed %llu, %u operations: %s\n", (unsigned long long)seed, size,
           trial->failure);
    print_again(seed);
    hkt_program_print(&program, stdout);
    fflush(stdout);
    if (options.shrink_seconds == 0) {
        return;
    }
    if (!hkt_shrink(trial, &setup, &program, options.shrink_seconds, options.is_quiet)) {
        printf("  it did not fail again alone\n");
        return;
    }
    printf("  still fails with %u operations (--file FILE reads them):\n",
           hkt_program_size(&program));
    hkt_program_print(&program, stdout);
    printf("  as in: %s\n", trial->failure);
    fflush(stdout);
}

/* --- Runs --- */

struct counts {
    unsigned long long programs;
    unsigned long long ops;
};

static struct counts count_all(void)
{
    struct counts counts = {0, 0};

    for (unsigned i = 0; i < options.jobs; i++) {
        counts.programs += atomic_load(&trials[i].stage->programs_run);
        counts.ops += atomic_load(&trials[i].stage->all_ops_run);
    }
    return counts;
}

static void show_progress(int64_t begin_ns)
{
    static int64_t next_ns;
    struct counts counts = count_all();
    int64_t now_ns = hkt_clock_ns();

    if (!options.is_quiet && now_ns >= next_ns) {
        next_ns = now_ns + PROGRESS_NS;
        fprintf(stderr, "\r  %llu programs, %llu operations, %lld s, %u failed ", counts.programs,
                counts.ops, (long long)((now_ns - begin_ns) / 1000000000), failures);
    }
}

static void run_all(void)
{
    struct hkt_trial_setup setup = setup_of();
    int64_t begin_ns = hkt_clock_ns();
    uint64_t next = options.seed;
    uint64_t end = options.seconds > 0 ? UINT64_MAX : options.seed + options.programs;
    unsigned running = 0;
    bool is_over = false;
    struct counts counts;

    setup.until_ns = options.seconds > 0 ? begin_ns + (int64_t)options.seconds * 1000000000LL : 0;
    while (!is_over || running > 0) {
        is_over = is_over || next >= end ||
                  (setup.until_ns != 0 && hkt_clock_ns() >= setup.until_ns) ||
                  (failures > 0 && !options.keeps_going);
        for (unsigned i = 0; i < options.jobs && !is_over; i++) {
            if (trials[i].pid == 0) {
                setup.seed = next;
                setup.programs = end - next < BATCH ? (unsigned)(end - next) : BATCH;
                next += setup.programs;
                is_over = next >= end;
                hkt_trial_begin(&trials[i], &setup);
                running++;
            }
        }
        for (int i; (i = hkt_trial_await(trials, options.jobs, &setup)) >= 0; running--) {
            if (trials[i].failure[0] != '\0') {
                show(&trials[i]);
            }
        }
        show_progress(begin_ns);
    }
    counts = count_all();
    printf("%srandom_programs: %llu programs, %llu operations, %u failed, %.1f s\n",
           options.is_quiet ? "" : "\n", counts.programs, counts.ops, failures,
           (double)(hkt_clock_ns() - begin_ns) * 1e-9);
}

static int run_file(bool only_prints)
{
    struct hkt_trial_setup setup = setup_of();
    FILE *file = fopen(options.file, "r");
    bool is_read = file != NULL && hkt_program_read(&trials[0].stage->program, file);

    if (file == NULL) {
        perror(options.file);
    } else {
        fclose(file);
    }
    if (!is_read) {
        return 2;
    }
    if (only_prints) {
        hkt_program_print(&trials[0].stage->program, stdout);
        return 0;
    }
    setup.is_given = true;
    setup.programs = options.repeat;
    if (!hkt_trial_run(&trials[0], &setup)) {
        show(&trials[0]);
    }
    printf("random_programs: %s, %llu runs, %u failed\n", options.file,
           atomic_load(&trials[0].stage->programs_run), failures);
    return failures != 0;
}

/* --- The test itself --- */

/* Those that show in each run, so that the program becomes small at once. */
static bool is_plain(enum hkt_fault fault)
{
    return fault == HKT_FORGETS_DROPS || fault == HKT_DROPS_EARLY || fault == HKT_CALLS_TWICE ||
           fault == HKT_GIVES_WRONG_BYTES || fault == HKT_RUNS_TWICE || fault == HKT_SKIPS_ITEMS;
}

/* Whether programs run and pass while the library is as it is: what does not even begin, or fails
 * by itself, would pass for a fault that was found. NULL: those of the seeds. */
static bool is_sound(const struct hkt_program *program)
{
    struct hkt_trial *trial = &trials[0];
    struct hkt_trial_setup setup = setup_of();
    unsigned long long before = atomic_load(&trial->stage->all_ops_run);

    setup.is_quiet = true;
    setup.is_given = program != NULL;
    setup.programs = program != NULL ? SOUND_RUNS : BATCH;
    if (program != NULL) {
        trial->stage->program = *program;
    }
    atomic_store(&trial->stage->fault, HKT_FAULTLESS);
    if (hkt_trial_run(trial, &setup) && atomic_load(&trial->stage->all_ops_run) > before) {
        return true;
    }
    printf("random_programs: without a fault, too: %s\n",
           trial->failure[0] != '\0' ? trial->failure : "no operation was run");
    hkt_program_print(&trial->stage->program, stdout);
    return false;
}

/* Each fault has to be found by running something, and the program of a plain one made small. */
static bool find(enum hkt_fault fault)
{
    struct hkt_trial *trial = &trials[0];
    struct hkt_trial_setup setup = setup_of();
    struct hkt_program program;
    unsigned long long before = atomic_load(&trial->stage->programs_run);
    bool is_found = false;
    unsigned size;

    setup.limit_seconds = FAULT_LIMIT_SECONDS * slowness();
    setup.is_quiet = true;
    setup.programs = BATCH;
    atomic_store(&trial->stage->fault, fault);
    atomic_store(&trial->stage->ops_run, 0); /* Those of a program that did not come to its end. */
    for (unsigned i = 0; i < FAULT_PROGRAMS / BATCH && !is_found; i++) {
        is_found = !hkt_trial_run(trial, &setup);
        setup.seed += BATCH;
    }
    is_found = is_found && (atomic_load(&trial->stage->programs_run) > before ||
                            atomic_load(&trial->stage->ops_run) > 0);
    program = trial->stage->program;
    size = hkt_program_size(&program);
    printf("%-18s %s after %llu programs: %s\n", hkt_fault_names[fault],
           is_found ? "found" : "NOT FOUND", atomic_load(&trial->stage->programs_run) - before,
           trial->failure);
    if (is_found && is_plain(fault) && options.shrink_seconds > 0) {
        bool is_small = hkt_shrink(trial, &setup, &program, options.shrink_seconds, true);

        printf("%-18s %s from %u operations to %u\n", "", is_small ? "shrunk" : "NOT SHRUNK", size,
               hkt_program_size(&program));
        is_found = is_small && hkt_program_size(&program) <= SHRUNK_MOST;
    }
    is_found = is_found && is_sound(&program);
    fflush(stdout);
    return is_found;
}

/* Whether a program that was printed is the same when it is read. */
static bool survives_text(uint64_t seed)
{
    struct hkt_program drawn;
    struct hkt_program again;
    FILE *file = tmpfile();
    bool is_same;

    if (file == NULL) {
        return false;
    }
    hkt_program_draw(&drawn, seed);
    hkt_program_print(&drawn, file);
    rewind(file);
    is_same = hkt_program_read(&again, file) && memcmp(&drawn, &again, sizeof(drawn)) == 0;
    fclose(file);
    return is_same;
}

static int find_faults(void)
{
    unsigned missed = 0;

    for (unsigned i = 0; i < BATCH; i++) {
        if (!survives_text(options.seed + i)) {
            printf("random_programs: seed %llu is another program when read back\n",
                   (unsigned long long)(options.seed + i));
            missed++;
        }
    }
    if (!is_sound(NULL)) {
        return 1; /* Whatever is found now says nothing of a fault. */
    }
    for (unsigned fault = 1; fault < HKT_FAULTS; fault++) {
        missed += find((enum hkt_fault)fault) ? 0 : 1;
    }
    printf("random_programs: %u faults, %u of them or of texts are wrong\n", HKT_FAULTS - 1,
           missed);
    return missed != 0;
}

/* --- The command line --- */

enum choice {
    SEED = 1,
    PROGRAMS,
    SECONDS,
    JOBS,
    LIMIT,
    INPUT_FILE,
    REPEAT,
    PRINT,
    SHRINK,
    KEEP_GOING,
    FAULT,
    FAULTS,
    LIST_FAULTS,
    QUIET,
    HELP
};

static bool read_fault(const char *name)
{
    for (unsigned fault = 0; fault < HKT_FAULTS; fault++) {
        if (strcmp(name, hkt_fault_names[fault]) == 0) {
            options.fault = (enum hkt_fault)fault;
            return true;
        }
    }
    return false;
}

static bool read_option(int option, const char *text)
{
    unsigned long number = text != NULL ? strtoul(text, NULL, 10) : 0;

    switch (option) {
    case SEED:
        options.seed = number;
        return true;
    case PROGRAMS:
        options.programs = number;
        return number > 0;
    case SECONDS:
        options.seconds = number;
        return number > 0;
    case JOBS:
        options.jobs = (unsigned)number;
        return number > 0 && number <= JOBS_MAX;
    case LIMIT:
        options.limit_seconds = (unsigned)number;
        return number > 0 && number <= 3600;
    case INPUT_FILE:
        options.file = text;
        return true;
    case REPEAT:
        options.repeat = (unsigned)number;
        return number > 0;
    case SHRINK:
        options.shrink_seconds = (unsigned)number;
        return number <= 3600;
    case KEEP_GOING:
        options.keeps_going = true;
        return true;
    case FAULT:
        return text != NULL && read_fault(text);
    case QUIET:
        options.is_quiet = true;
        return true;
    default:
        return false;
    }
}

static const struct option long_options[] = {{"seed", required_argument, NULL, SEED},
                                             {"programs", required_argument, NULL, PROGRAMS},
                                             {"seconds", required_argument, NULL, SECONDS},
                                             {"jobs", required_argument, NULL, JOBS},
                                             {"limit", required_argument, NULL, LIMIT},
                                             {"file", required_argument, NULL, INPUT_FILE},
                                             {"repeat", required_argument, NULL, REPEAT},
                                             {"print", no_argument, NULL, PRINT},
                                             {"shrink", required_argument, NULL, SHRINK},
                                             {"keep-going", no_argument, NULL, KEEP_GOING},
                                             {"fault", required_argument, NULL, FAULT},
                                             {"faults", no_argument, NULL, FAULTS},
                                             {"list-faults", no_argument, NULL, LIST_FAULTS},
                                             {"quiet", no_argument, NULL, QUIET},
                                             {"help", no_argument, NULL, HELP},
                                             {NULL, 0, NULL, 0}};

static int act(int action)
{
    if (action == FAULTS) {
        return find_faults();
    }
    if (options.file != NULL) {
        return run_file(action == PRINT);
    }
    if (action == PRINT) {
        hkt_program_draw(&trials[0].stage->program, options.seed);
        hkt_program_print(&trials[0].stage->program, stdout);
        return 0;
    }
    run_all();
    return failures != 0;
}

int main(int argc, char **argv)
{
    int action = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == PRINT || option == FAULTS || option == LIST_FAULTS || option == HELP) {
            action = option;
        } else if (!read_option(option, optarg)) {
            fprintf(stderr, "random_programs: see random_programs --help\n");
            return 2;
        }
    }
    if (action == HELP || optind != argc) {
        fputs(usage, action == HELP ? stdout : stderr);
        return action == HELP ? 0 : 2;
    }
    if (action == LIST_FAULTS) {
        for (unsigned fault = 1; fault < HKT_FAULTS; fault++) {
            puts(hkt_fault_names[fault]);
        }
        return 0;
    }
    for (unsigned i = 0; i < options.jobs; i++) {
        hkt_trial_prepare(&trials[i]);
        atomic_store(&trials[i].stage->fault, options.fault);
    }
    return act(action);
}
