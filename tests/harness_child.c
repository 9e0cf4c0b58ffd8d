/* SPDX-License-Identifier: MIT */
/* Runs a function in a forked child and reports how the child ended. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"
#include "tests/harness_impl.h"

static _Noreturn void be_child(void (*fn)(void *arg), void *arg, int output)
{
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    close(output);
    alarm(hkt_watchdog_seconds()); /* The parent's alarm is not inherited. */
    fn(arg);
    exit(EXIT_SUCCESS);
}

/* Reads to the end, so that the child never blocks on a full pipe; keeps the start. */
static void read_output(int input, char *text, size_t size)
{
    char overflow[512];
    size_t used = 0;

    for (;;) {
        bool is_full = used == size - 1;
        ssize_t got = is_full ? read(input, overflow, sizeof(overflow))
                              : read(input, text + used, size - 1 - used);

        if (got > 0) {
            used += is_full ? 0 : (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            break;
        }
    }
    text[used] = '\0';
}

void hkt_run_in_child(void (*fn)(void *arg), void *arg, struct hkt_child *child)
{
    int ends[2];
    int status = 0;
    pid_t pid;

    memset(child, 0, sizeof(*child));
    fflush(NULL); /* Or the child writes our pending output once more. */
    if (pipe(ends) != 0 || (pid = fork()) < 0) {
        hkt_die("cannot make a child process", strerror(errno));
    }
    if (pid == 0) {
        close(ends[0]);
        be_child(fn, arg, ends[1]);
    }
    close(ends[1]);
    read_output(ends[0], child->output, sizeof(child->output));
    close(ends[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    child->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    child->term_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
