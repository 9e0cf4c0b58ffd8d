/* SPDX-License-Identifier: MIT */
/*
 * Processes that end while everything is under way, many of them.
 *
 *     exit_storm --runs 10000 --jobs 2
 *
 * Each run is this program once more, in a scene and with an ending that its seed chooses (see
 * storm.h). It has to end as it was told to, within a generous time; to say nothing but that
 * executors were still open; and to leave no process behind: what it forked becomes a child of
 * this one, which waits for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/sanitizers.h"
#include "tests/exit_storm/storm.h"

enum { LIMIT_SECONDS = 30, END_SECONDS = 5, OUTPUT_MAX = 16384, JOBS_MAX = 64 };
enum { CHILD_ARGUMENTS = 5, CHILDREN_MAX = 64 };

static unsigned runs = 200;
static unsigned jobs = 2;
static unsigned long first_seed = 1;
static const char *only_scene;
static const char *only_ending;
static bool is_loud;
static bool keeps_hanging;

/* --- what a run uses --- */

static uint32_t drawn;

uint32_t storm_mix(uint32_t number)
{
    number ^= number >> 16;
    number *= 0x7feb352dU;
    number ^= number >> 15;
    number *= 0x846ca68bU;
    return number ^ number >> 16;
}

void storm_seed(uint32_t seed)
{
    drawn = storm_mix(seed + 0x9e3779b9U);
}

uint32_t storm_draw(uint32_t limit)
{
    drawn = storm_mix(drawn + 0x9e3779b9U);
    return drawn % limit;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void storm_spin(uint32_t duration_ns)
{
    int64_t end_ns = now_ns() + duration_ns;

    while (now_ns() < end_ns) {
    }
}

void storm_broken(const char *what)
{
    fprintf(stderr, "exit_storm: not as it should be: %s\n", what);
    _exit(99);
}

/* By exit() in a task of a scene, or by a shutdown that is hard. */
static bool is_meant(const hk_error *death)
{
    return death->term_signal == SIGKILL ||
           (death->term_signal == 0 && death->exit_status == STORM_WORKER_STATUS);
}

/* A worker that crashes is its zygote's child, and costs the program one task: what the error
 * says is all that can be seen of it from here. */
void storm_judge_failure(const hk_error *error)
{
    char line[1024];

    for (const hk_error *one = error; one != NULL; one = one->cause) {
        if (one->status == HK_EWORKER && !is_meant(one)) {
            (void)hk_error_format(error, line, sizeof(line));
            storm_broken(line);
        }
    }
}

static void take_failure(const hk_error *error, void *arg)
{
    (void)arg;
    storm_judge_failure(error);
}

static const struct storm_scene *find_scene(const char *name)
{
    for (size_t i = 0; i < storm_scene_count; i++) {
        if (strcmp(name, storm_scenes[i].name) == 0) {
            return &storm_scenes[i];
        }
    }
    storm_broken("no such scene");
}

static const struct storm_ending *find_ending(const char *name)
{
    for (size_t i = 0; i < storm_ending_count; i++) {
        if (strcmp(name, storm_endings[i].name) == 0) {
            return &storm_endings[i];
        }
    }
    storm_broken("no such ending");
}

/* From the moment in which the scene is set up to well into it. */
static void let_it_run(void)
{
    static const uint32_t limits_ns[] = {1, 200000, 2000000, 10000000};

    storm_spin(storm_draw(limits_ns[storm_draw(4)]));
}

static int be_run(char **arguments)
{
    const struct storm_scene *scene = find_scene(arguments[0]);
    const struct storm_ending *ending = find_ending(arguments[1]);

    storm_seed((uint32_t)strtoul(arguments[2], NULL, 10));
    if ((storm_draw(4) == 0 || strstr(scene->name, "process") != NULL ||
         strcmp(scene->name, "courier") == 0 || strcmp(scene->name, "all_at_once") == 0) &&
        hk_zygote_start() != HK_OK) {
        storm_broken("no zygote");
    }
    hk_on_unobserved(take_failure, NULL);
    scene->begin();
    let_it_run();
    ending->end();
    return STORM_STATUS;
}

/* --- judging one --- */

struct run {
    unsigned long seed;
    const struct storm_scene *scene;
    const struct storm_ending *ending;
    char output[OUTPUT_MAX];
    size_t output_size;
    pid_t pid;
};

static int fail(const struct run *run, const char *format, int number)
{
    char why[160];

    snprintf(why, sizeof(why), format, number);
    printf("exit_storm: %s; scene %s, ending %s; again: exit_storm --runs 1 --seed %lu%s%s%s%s\n"
           "its output: %s\n",
           why, run->scene->name, run->ending->name, run->seed,
           only_scene != NULL ? " --scene " : "", only_scene != NULL ? only_scene : "",
           only_ending != NULL ? " --ending " : "", only_ending != NULL ? only_ending : "",
           run->output);
    fflush(stdout);
    return 1;
}

static bool is_expected(const char *line)
{
    return line[0] == '\0' || (strncmp(line, "hocket: warning: executor ", 26) == 0 &&
                               strstr(line, " was still open at exit: ") != NULL);
}

static bool output_is_expected(const struct run *run)
{
    char copy[OUTPUT_MAX];
    char *rest = copy;
    char *line;

    memcpy(copy, run->output, sizeof(copy));
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (!is_expected(line)) {
            return false;
        }
    }
    return true;
}

/* False: somebody still holds the other end when the time is over. */
static bool read_output(struct run *run, int input, int64_t limit_ns)
{
    char overflow[256];

    for (;;) {
        bool is_full = run->output_size == sizeof(run->output) - 1;
        struct pollfd wanted = {.fd = input, .events = POLLIN};
        int64_t left_ns = limit_ns - now_ns();
        ssize_t got;

        if (left_ns <= 0 || poll(&wanted, 1, (int)(left_ns / 1000000) + 1) == 0) {
            return false;
        }
        got = is_full ? read(input, overflow, sizeof(overflow))
                      : read(input, run->output + run->output_size,
                             sizeof(run->output) - 1 - run->output_size);
        if (got == 0) {
            return true;
        }
        run->output_size += is_full || got < 0 ? 0 : (size_t)got;
    }
}

/* The next child that ends, itself or by adoption; 0: none did in time; -1: there is none. */
static pid_t next_end(int *status, int64_t limit_ns)
{
    sigset_t ends;
    pid_t pid;

    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    while ((pid = waitpid(-1, status, WNOHANG)) == 0) {
        int64_t left_ns = limit_ns - now_ns();
        struct timespec left = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};

        if (left_ns <= 0) {
            return 0;
        }
        (void)sigtimedwait(&ends, NULL, &left);
    }
    return pid;
}

static int limit_seconds(void)
{
    const char *slow = getenv("HOCKET_TEST_SLOW");

    return LIMIT_SECONDS * (slow != NULL && atoi(slow) > 0 ? atoi(slow) : 1);
}

static int judge_status(const struct run *run, int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (signal != run->ending->signal) {
        return fail(run, "it ended by signal %d", signal);
    }
    if (signal == 0 && WEXITSTATUS(status) != STORM_STATUS) {
        return fail(run, "it ended with exit status %d", WEXITSTATUS(status));
    }
    return 0;
}

/* What was left may have been killed, which is how the library ends workers; whatever else ends a
 * process is a fault of its own. A zygote has nothing to say by its status; a child that the
 * ending forked has the ending's, and a worker that outlived its zygote may have its task's. */
static int judge_left(const struct run *run, int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

    if (signal != 0 && signal != SIGKILL) {
        return fail(run, "a process that it left ended by signal %d", signal);
    }
    if (code != 0 && code != STORM_STATUS && code != STORM_WORKER_STATUS) {
        return fail(run, "a process that it left ended with exit status %d", code);
    }
    return 0;
}

static int await_ends(const struct run *run, int64_t limit_ns)
{
    int wrong = 0;
    int status = 0;
    pid_t pid;

    while ((pid = next_end(&status, limit_ns)) > 0) {
        if (pid == run->pid) {
            wrong += judge_status(run, status);
        } else {
            wrong += judge_left(run, status);
        }
    }
    if (pid == 0) {
        wrong +=
            fail(run, "it, or a process that it left, hangs; %d s have passed", limit_seconds());
    }
    return wrong;
}

/* --- what hangs --- */

/* Those that this job has forked, and those that it has adopted. */
static size_t list_children(pid_t *pids)
{
    FILE *file = fopen("/proc/thread-self/children", "re");
    size_t count = 0;

    while (file != NULL && count < CHILDREN_MAX && fscanf(file, "%d", &pids[count]) == 1) {
        count++;
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

/* Its number, its name and its state, as the kernel writes them: "12 (name) S ..."; nothing of one
 * that has ended. */
static void name_process(pid_t pid)
{
    char path[32];
    char line[128] = "";
    char *name_end;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file != NULL && fgets(line, sizeof(line), file) != NULL &&
        (name_end = strrchr(line, ')')) != NULL && name_end[2] != 'Z') {
        printf("still there: %.*s\n", (int)(name_end - line) + 3, line);
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* Else it would be init's, for ever. What an ended process leaves is adopted, and has its turn in
 * the next round. */
static void end_what_hangs(void)
{
    int64_t limit_ns = now_ns() + INT64_C(1000000000) * END_SECONDS;
    pid_t pids[CHILDREN_MAX];
    size_t count;
    int status;

    while ((count = list_children(pids)) > 0 && now_ns() < limit_ns) {
        for (size_t i = 0; i < count; i++) {
            name_process(pids[i]);
            if (!keeps_hanging) {
                (void)kill(pids[i], SIGKILL);
            }
        }
        if (keeps_hanging) {
            break;
        }
        for (size_t i = 0; i < count && next_end(&status, limit_ns) > 0; i++) {
        }
    }
    fflush(stdout); /* A job ends by _exit(). */
}

/* --- one run --- */

static void be_child(const struct run *run, int output)
{
    char seed[24];
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    snprintf(seed, sizeof(seed), "%lu", run->seed);
    execl("/proc/self/exe", "exit_storm", "--child", run->scene->name, run->ending->name, seed,
          (char *)NULL);
    storm_broken("exec");
}

/* Seeds in a row give as many pairs, and all of them before one comes again: the step has no
 * factor in common with their number. It also goes to and fro, so that few runs meet most scenes
 * and endings. */
static void choose_pair(struct run *run)
{
    enum { STEP = 269 }; /* A prime. */
    size_t pairs = storm_scene_count * storm_ending_count;
    size_t pair = run->seed % pairs * STEP % pairs;

    run->scene = &storm_scenes[pair % storm_scene_count];
    run->ending = &storm_endings[pair / storm_scene_count];
    run->scene = only_scene != NULL ? find_scene(only_scene) : run->scene;
    run->ending = only_ending != NULL ? find_ending(only_ending) : run->ending;
}

static int run_one(unsigned long seed)
{
    static struct run run;
    int64_t limit_ns = now_ns();
    int ends[2];
    int wrong;

    memset(&run, 0, sizeof(run));
    run.seed = seed;
    choose_pair(&run);
    limit_ns += INT64_C(1000000000) * limit_seconds();
    if (pipe2(ends, O_CLOEXEC) != 0 || (run.pid = fork()) < 0) {
        perror("exit_storm");
        return 1;
    }
    if (run.pid == 0) {
        be_child(&run, ends[1]);
    }
    close(ends[1]);
    wrong = read_output(&run, ends[0], limit_ns)
                ? 0
                : fail(&run, "its output is still open; %d s have passed", limit_seconds());
    close(ends[0]);
    wrong += wrong == 0 ? await_ends(&run, limit_ns) : 0;
    if (wrong != 0) {
        end_what_hangs();
    }
    if (wrong == 0 && !output_is_expected(&run)) {
        wrong = fail(&run, "it said what it should not (%d bytes)", (int)run.output_size);
    }
    if (is_loud) {
        printf("%lu: %s, %s\n%s", seed, run.scene->name, run.ending->name, run.output);
        fflush(stdout); /* A job ends by _exit(). */
    }
    return wrong;
}

/* --- many --- */

static void append_option(const char *variable, const char *option)
{
    const char *before = getenv(variable);
    char text[512];

    snprintf(text, sizeof(text), "%s%s%s", before != NULL ? before : "", before != NULL ? ":" : "",
             option);
    setenv(variable, text, 1);
}

/* A job adopts what its runs leave, and runs one at a time, so it knows whose that was. */
static int be_job(unsigned number)
{
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        perror("exit_storm");
        return 1;
    }
    for (unsigned i = number; i < runs; i += jobs) {
        if (run_one(first_seed + i) != 0) {
            return 1;
        }
        if (number == 0 && i % 1000 / jobs == 0 && runs > 1000) {
            printf("exit_storm: %u of %u\n", i, runs);
            fflush(stdout);
        }
    }
    return 0;
}

static int run_jobs(void)
{
    int wrong = 0;

    for (unsigned i = 0; i < jobs; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            _exit(be_job(i));
        }
        wrong += pid < 0;
    }
    for (unsigned i = 0; i < jobs; i++) {
        int status = 1;

        if (wait(&status) < 0 || status != 0) {
            wrong++;
        }
    }
    printf("exit_storm: %u runs from seed %lu: %s\n", runs, first_seed,
           wrong == 0 ? "all ended as they should" : "FAILED");
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static _Noreturn void help(int status)
{
    printf(
        "exit_storm [--runs N] [--jobs N] [--seed N] [--scene NAME] [--ending NAME] [--loud]\n"
        "           [--keep]\n"
        "\n"
        "Ends N processes (200) while everything is under way, each in a scene and with an\n"
        "ending that its seed chooses; run i has the seed N + i. Seeds in a row choose\n"
        "different pairs, until all %zu have had their turn. Judges exit status, output and\n"
        "processes left behind. --loud prints what each said; --keep lets one that hangs go on,\n"
        "for a debugger.\n\nscenes:",
        storm_scene_count * storm_ending_count);
    for (size_t i = 0; i < storm_scene_count; i++) {
        printf(" %s", storm_scenes[i].name);
    }
    printf("\nendings:");
    for (size_t i = 0; i < storm_ending_count; i++) {
        printf(" %s", storm_endings[i].name);
    }
    printf("\n");
    exit(status);
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {{"runs", required_argument, NULL, 'r'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"scene", required_argument, NULL, 'c'},
                                            {"ending", required_argument, NULL, 'e'},
                                            {"loud", no_argument, NULL, 'l'},
                                            {"keep", no_argument, NULL, 'k'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'r':
            runs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'j':
            jobs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            first_seed = strtoul(optarg, NULL, 10);
            break;
        case 'c':
            only_scene = optarg;
            break;
        case 'e':
            only_ending = optarg;
            break;
        case 'l':
            is_loud = true;
            break;
        case 'k':
            keeps_hanging = true;
            break;
        default:
            help(option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
        }
    }
    if (runs == 0 || jobs == 0 || jobs > JOBS_MAX) {
        help(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    if (argc == CHILD_ARGUMENTS && strcmp(argv[1], "--child") == 0) {
        return be_run(argv + 2);
    }
    read_options(argc, argv);
    /* These leave pools and threads behind: that is what they are for. */
    append_option("ASAN_OPTIONS", "detect_leaks=0");
    append_option("TSAN_OPTIONS", "report_thread_leaks=0:atexit_sleep_ms=20");
    fflush(NULL);
    return run_jobs();
}
