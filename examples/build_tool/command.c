/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_BYTES = 4096 };

/* The child leads a process group of its own, so that Ctrl-C at the terminal reaches it through
 * this program alone, and a stop reaches what the shell has started. */
static int spawn_shell(const char *command, int output, pid_t *pid)
{
    char *const arguments[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int error;

    sigemptyset(&none);
    error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return error;
    }
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    if ((error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)) == 0 &&
        (error = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO)) == 0 &&
        (error = posix_spawnattr_setsigmask(&attributes, &none)) == 0 &&
        (error = posix_spawnattr_setpgroup(&attributes, 0)) == 0 &&
        (error = posix_spawnattr_setflags(&attributes,
                                          POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP)) == 0) {
        error = posix_spawn(pid, "/bin/sh", &actions, &attributes, arguments, environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

struct output {
    char *bytes;
    size_t size;
    size_t room;
};

/* Returns whether there may be more. */
static bool read_some(int fd, struct output *output)
{
    ssize_t got;

    if (output->room - output->size < PIPE_BYTES) {
        char *larger = realloc(output->bytes, output->room * 2 + PIPE_BYTES);

        if (larger == NULL) {
            return false;
        }
        output->bytes = larger;
        output->room = output->room * 2 + PIPE_BYTES;
    }
    got = read(fd, output->bytes + output->size, PIPE_BYTES);
    output->size += got > 0 ? (size_t)got : 0;
    return got > 0 || (got < 0 && errno == EINTR);
}

/* Waits for the end of the output, which is that of the command, or for a stop. */
static bool watch(hk_call *call, int fd, int stop_fd, struct output *output)
{
    struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};

    for (;;) {
        if (poll(both, 2, -1) < 0 && errno != EINTR) {
            return false;
        }
        if (hk_should_stop(call)) {
            return false;
        }
        if (both[0].revents != 0 && !read_some(fd, output)) {
            return true;
        }
    }
}

hk_status command_run(hk_call *call, const char *command, int *wait_status)
{
    struct output output = {NULL, 0, 0};
    int stop_fd, ends[2], error;
    bool has_ended;
    pid_t pid;
    hk_status status = hk_call_stop_fd(call, &stop_fd);

    if (status != HK_OK) {
        return status;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return hk_fail(call, errno, "no pipe: %s", strerror(errno));
    }
    error = spawn_shell(command, ends[1], &pid);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        return hk_fail(call, error, "the shell could not be started: %s", strerror(error));
    }
    has_ended = watch(call, ends[0], stop_fd, &output);
    close(ends[0]);
    if (!has_ended) {
        kill(-pid, SIGTERM);
    }
    while (waitpid(pid, wait_status, 0) < 0 && errno == EINTR) {
    }
    if (output.size > 0) {
        fwrite(output.bytes, 1, output.size, stdout);
    }
    free(output.bytes);
    return has_ended ? HK_OK : HK_ECANCELED;
}
