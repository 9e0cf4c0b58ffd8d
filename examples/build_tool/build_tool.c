/* SPDX-License-Identifier: MIT */
/*
 * A small make: targets start as soon as what they need is built, some at a time. The first
 * failure stops the rest, unless it is told to keep going; so does Ctrl-C.
 *
 * The graph becomes a graph of futures. That of a target is made before anything has run: it
 * follows the task of its command, which is submitted when the futures of its needs have ended.
 * Nobody waits in between, so any number of targets needs no more than the pool's threads.
 */
#include "command.h"
#include "graph.h"

#include <hocket/hocket.h>

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static const char demo[] = "all: app docs tests\n"
                           "app: main.o parse.o lib.a\n"
                           "\techo linking app\n"
                           "lib.a: list.o hash.o\n"
                           "\techo packing lib.a\n"
                           "main.o: config.h\n"
                           "\tsleep 0.05; echo compiling main.c\n"
                           "parse.o: config.h\n"
                           "\tsleep 0.05; echo compiling parse.c\n"
                           "list.o: config.h\n"
                           "\techo compiling list.c\n"
                           "hash.o: config.h\n"
                           "\techo compiling hash.c\n"
                           "config.h:\n"
                           "\techo writing config.h\n"
                           "docs:\n"
                           "\tsleep 0.05; echo writing the manual\n"
                           "tests: app\n"
                           "\techo testing app\n";

enum { SOURCE_BYTES_MAX = 1 << 20, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* What the application says in hk_error.app_code. */
enum { CODE_COMMAND = 1, CODE_NEED = 2 };

struct build {
    struct graph graph;
    hk_future *built[TARGETS_MAX];
    hk_executor *pool;
    hk_cancel_token *stop;
    bool keeps_going;
    const char *broken; /* The command of this target is replaced by one that fails. */
};

/* Where the callbacks of one target find it; lives as long as the build. */
struct step {
    struct build *build;
    size_t target;
};

static bool failed(const char *what, hk_status status)
{
    if (status != HK_OK) {
        fprintf(stderr, "build_tool: %s: %s (%s)\n", what, hk_strerror(status),
                hk_status_name(status));
    }
    return status != HK_OK;
}

HK_TASK(build_target)
{
    const struct step *step = in;
    const struct build *build = step->build;
    const struct target *target = &build->graph.targets[step->target];
    const char *command = target->command;
    int wait_status = 0;
    hk_status status = HK_OK;

    if (build->broken != NULL && strcmp(build->broken, target->name) == 0) {
        command = "echo this one was told to fail; exit 3";
    }
    if (command != NULL) {
        status = command_run(call, command, &wait_status);
    }
    if (status != HK_OK) {
        return status;
    }
    if (WIFSIGNALED(wait_status)) {
        return hk_fail(call, CODE_COMMAND, "the command was ended by signal %d",
                       WTERMSIG(wait_status));
    }
    if (WEXITSTATUS(wait_status) != 0) {
        return hk_fail(call, CODE_COMMAND, "the command ended with %d", WEXITSTATUS(wait_status));
    }
    return HK_OK;
}

/* All needs have ended; runs in the thread that ended the last of them, and only hands over. */
static hk_status start_target(hk_future *needs, hk_promise *result, void *arg)
{
    struct step *step = arg;
    struct build *build = step->build;
    const struct target *target = &build->graph.targets[step->target];
    hk_submit_options options = {.label = target->name, .token = build->stop};
    hk_future *running;
    hk_status status;

    (void)needs;
    for (size_t i = 0; i < target->need_count; i++) {
        if (hk_future_state(build->built[target->needs[i]]) != HK_DONE) {
            return hk_cancel_token_is_fired(build->stop)
                       ? HK_ECANCELED
                       : hk_promise_fail(result, CODE_NEED, "\"%s\" was not built",
                                         build->graph.targets[target->needs[i]].name);
        }
    }
    status = hk_submit_ref(build->pool, build_target, step, NULL, &options, &running);
    if (status == HK_OK) {
        status = hk_promise_follow(result, running);
        hk_future_unref(running);
    }
    return status;
}

static void target_ended(hk_future *future, void *arg)
{
    const struct step *step = arg;

    if (hk_future_state(future) == HK_FAILED && !step->build->keeps_going) {
        char why[128];

        snprintf(why, sizeof why, "\"%s\" has failed",
                 step->build->graph.targets[step->target].name);
        hk_cancel_token_fire(step->build->stop, why);
    }
}

/* hk_settle_all(), as hk_when_all() would cancel needs that other targets have too. */
static hk_status wire_target(struct build *build, struct step *step)
{
    const struct target *target = &build->graph.targets[step->target];
    hk_future *needs[NEEDS_MAX], *all;
    hk_status status;

    for (size_t i = 0; i < target->need_count; i++) {
        needs[i] = build->built[target->needs[i]];
    }
    status = hk_settle_all(needs, target->need_count, &all);
    if (status != HK_OK) {
        return status;
    }
    status = hk_then(all, NULL, start_target, step, &build->built[step->target]);
    hk_future_unref(all);
    if (status != HK_OK) {
        return status;
    }
    return hk_future_on_done(build->built[step->target], NULL, target_ended, step, NULL);
}

/* Ends when everything has, or begins the end on SIGINT and SIGTERM. */
static bool wait_for_end(struct build *build, hk_future *all, int signals, bool *was_interrupted)
{
    struct pollfd both[] = {{.events = POLLIN}, {.fd = signals, .events = POLLIN}};

    if (failed("a descriptor", hk_future_fd(all, &both[0].fd))) {
        return false;
    }
    while (!hk_future_has_ended(all)) {
        struct signalfd_siginfo info;

        if (poll(both, 2, -1) < 0 && errno != EINTR) {
            fprintf(stderr, "build_tool: poll: %s\n", strerror(errno));
            return false;
        }
        if ((both[1].revents & POLLIN) != 0 && read(signals, &info, sizeof info) > 0) {
            *was_interrupted = true;
            hk_cancel_token_fire(build->stop, "interrupted");
        }
    }
    return true;
}

static int report(struct build *build, bool was_interrupted)
{
    unsigned built = 0, bad = 0, skipped = 0, cancelled = 0;

    for (size_t i = 0; i < build->graph.count; i++) {
        const struct target *target = &build->graph.targets[i];
        const hk_error *error = NULL;
        hk_status status = hk_future_error(build->built[i], 0, &error);

        if (status == HK_ECANCELED) {
            cancelled++;
        } else if (status != HK_OK) {
            failed(target->name, status);
            bad++;
        } else if (error == NULL) {
            built++;
        } else if (error->app_code == CODE_NEED) {
            printf("skipped %s: %s\n", target->name, error->message);
            skipped++;
        } else {
            printf("failed %s: %s\n", target->name,
                   error->app_code == CODE_COMMAND ? error->message
                                                   : hk_future_why(build->built[i]));
            bad++;
        }
    }
    printf("%u built, %u failed, %u skipped, %u cancelled\n", built, bad, skipped, cancelled);
    if (was_interrupted) {
        printf("stopped: %s\n", hk_cancel_token_why(build->stop));
        return EXIT_INTERRUPTED;
    }
    return bad + skipped + cancelled == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_build(struct build *build, int signals)
{
    static struct step steps[TARGETS_MAX];
    bool was_interrupted = false, is_good = true;
    hk_future *all = NULL;
    size_t wired = 0;
    int code = EXIT_FAILURE;

    while (is_good && wired < build->graph.count) {
        steps[wired] = (struct step){build, wired};
        is_good = !failed("wiring", wire_target(build, &steps[wired]));
        wired += build->built[wired] != NULL;
    }
    /* Also of what was wired before a failure: the graph must not go while it is used. */
    if (!is_good) {
        hk_cancel_token_fire(build->stop, "the build could not be set up");
    }
    if (!failed("settling", hk_settle_all(build->built, wired, &all)) &&
        wait_for_end(build, all, signals, &was_interrupted) && is_good) {
        code = report(build, was_interrupted);
    }
    if (failed("the end of the pool", hk_executor_destroy(build->pool))) {
        code = EXIT_FAILURE;
    }
    hk_future_unref(all);
    for (size_t i = 0; i < wired; i++) {
        hk_future_unref(build->built[i]);
    }
    return code;
}

static char *read_source(const char *path)
{
    FILE *file = fopen(path, "r");
    char *source = malloc(SOURCE_BYTES_MAX + 1);
    size_t size;

    if (file == NULL || source == NULL) {
        fprintf(stderr, "build_tool: %s: %s\n", path, strerror(errno));
        free(source);
        source = NULL;
    } else {
        size = fread(source, 1, SOURCE_BYTES_MAX, file);
        source[size] = '\0';
    }
    if (file != NULL) {
        fclose(file);
    }
    return source;
}

static void usage(FILE *stream)
{
    fputs("usage: build_tool [-j N] [-k] [-f FILE] [--break TARGET]\n"
          "Builds all targets of FILE, or of a small graph of its own.\n"
          "  -j, --jobs N         at most N commands at a time; else as many as there are CPUs\n"
          "  -k, --keep-going     after a failure, build what does not need the target\n"
          "  -f, --file FILE      lines \"target: need need\" and, after a tab, a command\n"
          "      --break TARGET   let the command of TARGET fail\n"
          "Ends with 1 when a target failed, 130 when it was interrupted.\n",
          stream);
}

struct arguments {
    unsigned jobs;
    const char *file;
};

/* Returns the exit code, or -1 to go on. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments, struct build *build)
{
    static const struct option options[] = {
        {"jobs", required_argument, NULL, 'j'}, {"keep-going", no_argument, NULL, 'k'},
        {"file", required_argument, NULL, 'f'}, {"break", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
    int letter;
    char *end;

    while ((letter = getopt_long(argc, argv, "j:kf:h", options, NULL)) != -1) {
        switch (letter) {
        case 'j':
            arguments->jobs = (unsigned)strtoul(optarg, &end, 10);
            if (*end != '\0' || arguments->jobs < 1 || arguments->jobs > TARGETS_MAX) {
                fprintf(stderr, "build_tool: -j takes a number from 1 to %d, not \"%s\"\n",
                        TARGETS_MAX, optarg);
                return EXIT_USAGE;
            }
            break;
        case 'k':
            build->keeps_going = true;
            break;
        case 'f':
            arguments->file = optarg;
            break;
        case 'b':
            build->broken = optarg;
            break;
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    return -1;
}

static int build_all(struct build *build, const struct arguments *arguments, int signals)
{
    hk_executor_options options = {.name = "build", .workers = arguments->jobs};
    char *source = arguments->file != NULL ? read_source(arguments->file) : NULL;
    char why[256];
    int code = EXIT_USAGE;

    if (arguments->file != NULL && source == NULL) {
        return EXIT_USAGE;
    }
    if (!graph_parse(&build->graph, source != NULL ? source : demo, why, sizeof why)) {
        fprintf(stderr, "build_tool: %s: %s\n", arguments->file != NULL ? arguments->file : "demo",
                why);
    } else if (failed("a token", hk_cancel_token_create(NULL, &build->stop)) ||
               failed("a pool", hk_thread_pool_create(&options, &build->pool))) {
        code = EXIT_FAILURE;
    } else {
        code = run_build(build, signals);
    }
    hk_cancel_token_unref(build->stop);
    graph_release(&build->graph);
    free(source);
    return code;
}

int main(int argc, char **argv)
{
    static struct build build;
    struct arguments arguments = {0, NULL};
    sigset_t set;
    int code = parse_arguments(argc, argv, &arguments, &build);
    int signals;

    if (code >= 0) {
        return code;
    }
    /* Blocked before there are threads, which inherit it: signals come by the descriptor. */
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signals = sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
    if (signals < 0) {
        fprintf(stderr, "build_tool: signals: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    code = build_all(&build, &arguments, signals);
    close(signals);
    return code;
}
