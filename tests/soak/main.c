/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/soak/census.h"
#include "tests/soak/leak.h"
#include "tests/soak/pools.h"
#include "tests/soak/soak.h"

enum { ACTORS = 4, EMPTY_EACH = 3, STUCK_SECONDS = 120 };

static struct {
    double seconds;
    double phase_seconds;
    double sample_seconds;
    double load; /* Processors to be busy. */
    uint64_t seed;
    const char *output; /* Prefix of the two files. */
} options = {.seconds = 60, .load = 0.5, .seed = 1, .output = "soak"};

static struct soak_pools pools;
static FILE *table;
static hk_event over = HK_EVENT_INIT("over"); /* The whole run. */
static atomic_uint phase;
static _Atomic(double) phase_end;
static _Atomic(double) rest_share = 1; /* Pause after a piece, in times of its length. */

/* --- A phase --- */

/* Between two pieces, so that the load is what was asked for. */
static void pause_after(double piece_seconds)
{
    double seconds = piece_seconds * atomic_load(&rest_share);

    if (seconds > 0) {
        (void)!hk_event_wait(&over, (hk_duration)((seconds < 0.5 ? seconds : 0.5) * 1e9));
    }
}

static void *act(void *arg)
{
    struct soak_actor actor = {options.seed * UINT64_C(0x9e3779b97f4a7c15) +
                                   ((uint64_t)atomic_load(&phase) << 8) + (uintptr_t)arg,
                               &pools};

    (void)soak_draw(&actor, 2);
    while (soak_seconds() < atomic_load(&phase_end)) {
        double begin = soak_seconds();

        soak_do_piece(&actor);
        pause_after(soak_seconds() - begin);
    }
    return NULL;
}

static void run_phase(void)
{
    pthread_t actors[ACTORS];

    atomic_fetch_add(&phase, 1);
    atomic_store(&phase_end, soak_seconds() + options.phase_seconds);
    for (uintptr_t i = 0; i < ACTORS; i++) {
        if (pthread_create(&actors[i], NULL, act, (void *)i) != 0) {
            perror("soak: pthread_create");
            exit(EXIT_FAILURE);
        }
    }
    for (int i = 0; i < ACTORS; i++) {
        pthread_join(actors[i], NULL);
    }
    soak_count(SOAK_THREADS, ACTORS);
}

static void rest_after_phase(void)
{
    unsigned number = atomic_load(&phase);

    SOAK_EXPECT(soak_pools_rest(&pools));
    SOAK_EXPECT(soak_counted(SOAK_LOST) <= soak_counted(SOAK_CRASHES) + soak_counted(SOAK_KILLS));
    soak_leak_once();
    soak_census_rest(table, SOAK_CALM);
    if (number % EMPTY_EACH == 0) {
        soak_pools_close(&pools);
        soak_census_rest(table, SOAK_EMPTY);
        soak_pools_open(&pools);
    }
}

/* --- The watch: samples, the load, and whether it goes on --- */

/* A little more or less rest, for the load that was asked for. */
static void steer(double seconds, double cpu_seconds)
{
    double share = atomic_load(&rest_share);

    share *= cpu_seconds / seconds > options.load ? 1.1 : 0.9;
    atomic_store(&rest_share, share < 0.02 ? 0.02 : share > 50 ? 50 : share);
}

static void say_progress(const struct soak_census *census)
{
    printf("%6.0f s of %.0f, phase %u: %lld pieces, %lld tasks, %lld workers lost, %ld KiB, "
           "%ld descriptors, %ld threads, %u wrong\n",
           soak_seconds(), options.seconds, atomic_load(&phase),
           (long long)soak_counted(SOAK_PIECES), (long long)soak_counted(SOAK_TASKS),
           (long long)soak_counted(SOAK_CRASHES) + (long long)soak_counted(SOAK_KILLS),
           census->parent_kib, census->descriptors, census->threads, soak_wrong_count());
    fflush(stdout);
}

static void *watch(void *arg)
{
    double progress_each = options.seconds / 60 > 5 ? options.seconds / 60 : 5;
    double said = 0;
    double before = soak_seconds();
    struct soak_census last;

    soak_census_take(&last);
    while (hk_event_wait(&over, (hk_duration)(options.sample_seconds * 1e9)) == HK_ETIMEDOUT) {
        double now = soak_seconds();
        struct soak_census census;

        soak_census_take(&census);
        if (now < atomic_load(&phase_end)) {
            steer(now - before, census.cpu_seconds - last.cpu_seconds);
            soak_leak_a_little();
            soak_census_write(table, SOAK_LOADED, &census);
        } else if (now > atomic_load(&phase_end) + STUCK_SECONDS) {
            fprintf(stderr, "soak: stuck in phase %u\n", atomic_load(&phase));
            (void)!hk_waits_dump(STDERR_FILENO);
            abort();
        }
        before = now;
        last = census;
        if (now - said >= progress_each) {
            said = now;
            say_progress(&census);
        }
    }
    return arg;
}

/* --- The run --- */

static FILE *open_output(const char *suffix)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s%s", options.output, suffix);
    if ((file = fopen(path, "we")) == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return file;
}

static void write_counts(void)
{
    FILE *file = open_output("_counts.csv");

    fprintf(file, "what,count\nseconds,%.0f\nseed,%llu\nphases,%u\nwrong,%u\n", soak_seconds(),
            (unsigned long long)options.seed, atomic_load(&phase), soak_wrong_count());
    for (int i = 0; i < SOAK_COUNTED; i++) {
        fprintf(file, "%s,%lld\n", soak_counted_name((enum soak_counted)i),
                (long long)soak_counted((enum soak_counted)i));
    }
    fclose(file);
}

static void forget_failure(const hk_error *error, void *arg)
{
    (void)error;
    (void)arg;
}

static void forget_line(hk_log_level level, const char *text, void *arg)
{
    (void)level;
    if (strstr(text, "rder")) {
        fprintf(stderr, "%s\n", text);
    }
    (void)arg;
}

static void forget_report(const hk_lock_report *report, void *arg)
{
    SOAK_EXPECT(report->edge_count >= 2);
    (void)arg;
}

static int run(void)
{
    struct soak_actor first = {options.seed, &pools};
    pthread_t watcher;

    (void)soak_seconds();
    hk_on_unobserved(forget_failure, NULL);
    hk_on_log(forget_line, NULL);
    hk_on_lock_report(forget_report, NULL);
    if (hk_zygote_start() != HK_OK) {
        fprintf(stderr, "soak: no zygote\n");
        return EXIT_FAILURE;
    }
    table = open_output(".csv");
    soak_census_begin(table);
    soak_pools_open(&pools);
    atomic_store(&phase_end, 1e9);
    if (pthread_create(&watcher, NULL, watch, NULL) != 0) {
        perror("soak: pthread_create");
        return EXIT_FAILURE;
    }
    soak_do_all_pieces(&first);
    while (soak_seconds() < options.seconds || atomic_load(&phase) % EMPTY_EACH != 0) {
        run_phase();
        rest_after_phase();
    }
    SOAK_EXPECT(hk_event_set(&over) == HK_OK);
    pthread_join(watcher, NULL);
    soak_pools_close(&pools);
    write_counts();
    fclose(table);
    printf("%lld pieces of work, %lld tasks in %.0f s: %u results wrong\n",
           (long long)soak_counted(SOAK_PIECES), (long long)soak_counted(SOAK_TASKS),
           soak_seconds(), soak_wrong_count());
    return soak_wrong_count() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_help(void)
{
    printf("Mixed work over the whole interface, for as long as asked; counts what is held.\n\n"
           "  --minutes NUMBER    how long (default: 1); or --seconds NUMBER\n"
           "  --seed NUMBER       what is drawn follows from it (default: 1)\n"
           "  --load NUMBER       processors to keep busy (default: 0.5)\n"
           "  --output PREFIX     for PREFIX.csv and PREFIX_counts.csv (default: soak)\n"
           "  --leak KIND         proves that it is found: memory, descriptor, thread, object,\n"
           "                      result\n"
           "  --help              this text\n\n"
           "Exits with 1 if a result was wrong. What was held is judged by soak_judge.py.\n");
}

static double number_of(const char *text)
{
    char *end = NULL;
    double number = strtod(text, &end);

    if (end == text || *end != '\0' || number < 0) {
        fprintf(stderr, "soak: '%s' is no number; --help says more\n", text);
        exit(2);
    }
    return number;
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"minutes", required_argument, NULL, 'm'}, {"seconds", required_argument, NULL, 's'},
        {"seed", required_argument, NULL, 'e'},    {"load", required_argument, NULL, 'l'},
        {"output", required_argument, NULL, 'o'},  {"leak", required_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'm':
            options.seconds = number_of(optarg) * 60;
            break;
        case 's':
            options.seconds = number_of(optarg);
            break;
        case 'e':
            options.seed = (uint64_t)number_of(optarg);
            break;
        case 'l':
            options.load = number_of(optarg);
            break;
        case 'o':
            options.output = optarg;
            break;
        case 'k':
            if (!soak_leak_choose(optarg)) {
                fprintf(stderr, "soak: no such leak: %s\n", optarg);
                exit(2);
            }
            soak_be_impatient();
            break;
        case 'h':
            print_help();
            exit(EXIT_SUCCESS);
        default:
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    options.phase_seconds = options.seconds / 40 > 15 ? 15 : options.seconds / 12;
    options.sample_seconds = options.seconds / 400 > 5 ? 5 : options.seconds / 100;
    return run();
}
