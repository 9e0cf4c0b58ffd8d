/* SPDX-License-Identifier: MIT */
/*
 * A service with worker processes that were forked ahead: the parent accepts, a worker gets the
 * connection's descriptor with its task, serves it, and may crash or hang without harm to others.
 * SIGTERM ends the service: what was accepted is served, then all is over.
 *
 * Without --stay it is its own demonstration: clients in threads visit it, and end it.
 */
#include "protocol.h"
#include "service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, BACKLOG = 64, QUEUE_CAPACITY = 64, LIMIT_SECONDS = 3, DRAIN_SECONDS = 30 };

struct arguments {
    unsigned workers;
    uint16_t port;
    bool stays;
};

struct service {
    hk_executor *workers;
    hk_completion *ended;
    int listener;
    int signals;
    uint16_t port;
    uintptr_t accepted; /* The number of a connection, from 1: its tag. */
    unsigned served;
    unsigned crashed;
    unsigned overran;
    unsigned failed;
    unsigned refused;
};

static bool failed(const char *what, hk_status status)
{
    if (status != HK_OK) {
        fprintf(stderr, "worker_service: %s: %s (%s)\n", what, hk_strerror(status),
                hk_status_name(status));
    }
    return status != HK_OK;
}

static bool failed_call(const char *what)
{
    fprintf(stderr, "worker_service: %s: %s\n", what, strerror(errno));
    return true;
}

static bool listen_locally(struct service *service, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    service->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (service->listener < 0 ||
        bind(service->listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(service->listener, BACKLOG) != 0 ||
        getsockname(service->listener, (struct sockaddr *)&address, &size) != 0) {
        return !failed_call("listen");
    }
    service->port = ntohs(address.sin_port);
    return true;
}

/* Hands one connection over. Its descriptor was duplicated, so this one is closed in any case. */
static void hand_over(struct service *service, int client)
{
    hk_submit_options options = {
        .timeout = HK_SEC(LIMIT_SECONDS), .fds = &client, .fd_count = 1, .label = "connection"};
    hk_future *future;
    hk_status status = hk_submit(service->workers, serve_connection, NULL, 0, &options, &future);

    if (status == HK_OK) {
        service->accepted++;
        if (failed("watch a connection",
                   hk_completion_add(service->ended, future, service->accepted))) {
            service->failed++; /* it is served all the same, but nobody hears how it went */
        }
        hk_future_unref(future);
    } else {
        service->refused++;
        failed("hand a connection over", status);
        if (!line_write(client, status == HK_EFULL ? "error: busy" : "error: out of order")) {
            failed_call("refuse a connection");
        }
    }
    close(client);
}

static void accept_all(struct service *service)
{
    int client;

    while ((client = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        hand_over(service, client);
    }
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        failed_call("accept");
    }
}

static void collect_ended(struct service *service)
{
    hk_future *future;
    uintptr_t number;
    hk_status status;

    while ((status = hk_completion_next(service->ended, 0, &future, &number)) == HK_OK) {
        switch (hk_future_result(future, 0, NULL, NULL)) {
        case HK_OK:
            service->served++;
            break;
        case HK_EWORKER:
            service->crashed++;
            break;
        case HK_EDEADLINE:
            service->overran++;
            break;
        default:
            service->failed++;
        }
        if (hk_future_state(future) != HK_DONE) {
            printf("connection %zu: %s\n", (size_t)number, hk_future_why(future));
        }
        hk_future_unref(future);
    }
    if (status != HK_EDONE && status != HK_ETIMEDOUT) {
        failed("what has ended", status);
    }
}

/* Until SIGTERM or SIGINT; or the end of the clients, who may have failed before they sent one. */
static bool serve_until_signal(struct service *service, hk_future *visits)
{
    struct pollfd all[] = {{.fd = service->signals, .events = POLLIN},
                           {.fd = service->listener, .events = POLLIN},
                           {.events = POLLIN},
                           {.fd = -1, .events = POLLIN}};
    struct signalfd_siginfo info;

    if (failed("a descriptor", hk_completion_fd(service->ended, &all[2].fd)) ||
        (visits != NULL && failed("a descriptor", hk_future_fd(visits, &all[3].fd)))) {
        return false;
    }
    for (;;) {
        if (poll(all, 4, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return !failed_call("poll");
        }
        if (all[0].revents != 0) {
            return read(service->signals, &info, sizeof info) == sizeof info ||
                   !failed_call("a signal");
        }
        if (all[3].revents != 0) {
            return true;
        }
        if (all[1].revents != 0) {
            accept_all(service);
        }
        if (all[2].revents != 0) {
            collect_ended(service);
        }
    }
}

/* Nothing more is accepted, what was accepted is served; a worker that hangs is not waited for
 * longer than its limit allows. */
static bool drain(struct service *service)
{
    hk_status status;

    close(service->listener);
    service->listener = -1;
    status = hk_executor_shutdown(service->workers, HK_SHUTDOWN_DRAIN, HK_SEC(DRAIN_SECONDS));
    if (status == HK_ETIMEDOUT) {
        fprintf(stderr, "worker_service: not drained in %d s, killing\n", DRAIN_SECONDS);
        status = hk_executor_shutdown(service->workers, HK_SHUTDOWN_KILL, HK_FOREVER);
    }
    collect_ended(service);
    return !failed("shut down", status);
}

static int report(const struct service *service, hk_future *visits)
{
    const void *value = NULL;
    const struct visits *seen;

    printf("%zu connections: %u served, %u crashed, %u overran, %u failed, %u refused\n",
           (size_t)service->accepted, service->served, service->crashed, service->overran,
           service->failed, service->refused);
    if (visits == NULL) {
        return EXIT_SUCCESS;
    }
    if (hk_future_result(visits, HK_FOREVER, &value, NULL) != HK_OK) {
        fprintf(stderr, "worker_service: the clients: %s\n", hk_future_why(visits));
        return EXIT_FAILURE;
    }
    seen = value;
    printf("clients: %u as expected, %u not\n", seen->right, seen->wrong);
    return seen->wrong == 0 && service->crashed == 1 && service->overran == 1 ? EXIT_SUCCESS
                                                                              : EXIT_FAILURE;
}

static int run(struct service *service, hk_executor *threads)
{
    hk_future *visits = NULL;
    int code = EXIT_FAILURE;

    printf("listening on port %u\n", service->port);
    fflush(stdout);
    if (threads != NULL && failed("the clients", hk_submit(threads, visit_service, &service->port,
                                                           sizeof service->port, NULL, &visits))) {
        return EXIT_FAILURE;
    }
    if (serve_until_signal(service, visits) && drain(service)) {
        code = report(service, visits);
    }
    hk_future_unref(visits);
    return code;
}

/* The workers come first: they are forked while there is one thread, and no socket. */
static int open_and_run(const struct arguments *arguments, struct service *service)
{
    hk_executor_options options = {.name = "service",
                                   .workers = arguments->workers,
                                   .queue_capacity = QUEUE_CAPACITY,
                                   .when_full = HK_FULL_FAIL};
    hk_executor *threads = NULL;
    int code = EXIT_FAILURE;

    if (!failed("the zygote", hk_zygote_start()) &&
        !failed("the workers", hk_process_pool_create(&options, &service->workers)) &&
        !failed("start the workers", hk_executor_prestart(service->workers, HK_SEC(30))) &&
        !failed("a completion queue", hk_completion_create(&service->ended)) &&
        (arguments->stays || !failed("threads", hk_executor_open("threads:8", &threads))) &&
        listen_locally(service, arguments->port)) {
        code = run(service, threads);
    }
    if (service->listener >= 0) {
        close(service->listener); /* so that no client waits for ever after a failure */
    }
    if (failed("the end of the workers", hk_executor_destroy(service->workers)) ||
        failed("the end of the threads", hk_executor_destroy(threads))) {
        code = EXIT_FAILURE;
    }
    hk_completion_destroy(service->ended);
    return code;
}

static void usage(FILE *stream)
{
    fputs("usage: worker_service [--workers N] [--port PORT] [--stay]\n"
          "Serves lines on a port of the loopback by worker processes: sum NUMBER..., slow,\n"
          "hang, crash. Visits itself, and ends, unless it is told to stay; then SIGTERM and\n"
          "SIGINT end it.\n"
          "  --workers N  worker processes; 4 by default\n"
          "  --port PORT  where to listen; any free port by default\n"
          "  --stay       serve until a signal comes\n",
          stream);
}

static bool parse_number(const char *text, unsigned long most, const char *what,
                         unsigned long *number)
{
    char *end;

    errno = 0;
    *number = strtoul(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0' && *number >= 1 && *number <= most) {
        return true;
    }
    fprintf(stderr, "worker_service: %s takes a number from 1 to %lu, not \"%s\"\n", what, most,
            text);
    return false;
}

/* Returns the exit code, or -1 to go on. */
static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {{"workers", required_argument, NULL, 'w'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"stay", no_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    unsigned long number;
    int letter;

    while ((letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (letter == 'h') {
            usage(stdout);
            return EXIT_SUCCESS;
        }
        if (letter == 's') {
            arguments->stays = true;
        } else if (letter == 'w' && parse_number(optarg, 64, "--workers", &number)) {
            arguments->workers = (unsigned)number;
        } else if (letter == 'p' && parse_number(optarg, UINT16_MAX, "--port", &number)) {
            arguments->port = (uint16_t)number;
        } else {
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

int main(int argc, char **argv)
{
    struct arguments arguments = {.workers = 4};
    struct service service = {.listener = -1};
    int code = parse_arguments(argc, argv, &arguments);
    sigset_t set;

    if (code >= 0) {
        return code;
    }
    /* Blocked before there are threads, which inherit it: signals come by the descriptor. */
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    service.signals =
        sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC) : -1;
    if (service.signals < 0) {
        return failed_call("signals") ? EXIT_FAILURE : EXIT_SUCCESS;
    }
    code = open_and_run(&arguments, &service);
    close(service.signals);
    return code;
}
