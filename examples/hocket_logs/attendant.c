/* SPDX-License-Identifier: MIT */
/*
 * A signal handler may hardly do anything, so it writes one byte into a pipe and
 * the thread at its other end does the work.
 */
#include "attendant.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum {
    DRAW_INTERVAL_MS = 200,
    MESSAGE_SIGNAL = 's',
    MESSAGE_END = 'e',
};

/* A handler has no argument, so the pipe is the program's. -1: there is none. */
static int pipe_fds[2] = {-1, -1};

static const int handled_signals[] = {SIGINT, SIGTERM};
enum { HANDLED_COUNT = sizeof(handled_signals) / sizeof(handled_signals[0]) };

static void send_message(char message)
{
    ssize_t sent;

    do {
        sent = write(pipe_fds[1], &message, 1);
    } while (sent < 0 && errno == EINTR);
}

static void on_signal(int number)
{
    int saved = errno;

    (void)number;
    send_message(MESSAGE_SIGNAL);
    errno = saved;
}

/* Waits for a message; 0: time to draw. */
static char next_message(int timeout_ms)
{
    struct pollfd poll_fd = {.fd = pipe_fds[0], .events = POLLIN};
    char message = 0;

    if (poll(&poll_fd, 1, timeout_ms) > 0 && read(pipe_fds[0], &message, 1) != 1) {
        message = 0;
    }
    return message;
}

static void *attend(void *arg)
{
    struct attendant *attendant = arg;
    char message;

    do {
        int timeout_ms = -1;

        if (attendant->progress != NULL) {
            timeout_ms = progress_measure(attendant->progress) ? 0 : DRAW_INTERVAL_MS;
        }
        message = next_message(timeout_ms);
        if (message == MESSAGE_SIGNAL) {
            (void)hk_cancel_token_fire(attendant->token, "interrupted");
        } else if (message == 0 && timeout_ms > 0) {
            progress_draw(attendant->progress);
        }
    } while (message != MESSAGE_END);
    return NULL;
}

static void handle_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction old;

    /* Back to the default after the first one: who presses Ctrl-C twice means it. */
    action.sa_flags |= handler == SIG_DFL ? 0 : (int)SA_RESETHAND;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < HANDLED_COUNT; i++) {
        /* What was ignored when the program began stays so, as with nohup. */
        if (sigaction(handled_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            (void)sigaction(handled_signals[i], &action, NULL);
        }
    }
}

static void close_pipe(void)
{
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    pipe_fds[0] = pipe_fds[1] = -1;
}

bool attendant_start(struct attendant *attendant, hk_cancel_token *token, struct progress *progress)
{
    int error;

    *attendant = (struct attendant){.token = token, .progress = progress};
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        return false;
    }
    error = pthread_create(&attendant->thread, NULL, attend, attendant);
    if (error != 0) {
        close_pipe();
        errno = error;
        return false;
    }
    handle_signals(on_signal);
    return true;
}

void attendant_stop(struct attendant *attendant)
{
    handle_signals(SIG_DFL);
    send_message(MESSAGE_END);
    pthread_join(attendant->thread, NULL);
    if (attendant->progress != NULL) {
        progress_erase();
    }
    close_pipe();
}
