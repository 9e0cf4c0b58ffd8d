/* SPDX-License-Identifier: MIT */
/*
 * futex-count COMMAND [ARGUMENT]...: runs a command and tells how many futex calls it and its
 * threads have made, for peers of languages that cannot ask the kernel themselves.
 *
 * Exit status: that of the command; 2 if the kernel does not let anybody count.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/harness/futex_counter.h"

enum { EXIT_CANNOT_COUNT = 2, EXIT_CANNOT_RUN = 127 };

int main(int argc, char **argv)
{
    int status;
    pid_t child;

    futex_counter_open(FUTEX_COUNT_ALL);
    if (argc < 2 || !futex_counter_begin()) {
        fprintf(stderr, "futex-count: %s\n",
                argc < 2 ? "no command" : "futex calls cannot be counted");
        return EXIT_CANNOT_COUNT;
    }
    child = fork();
    if (child == 0) {
        execvp(argv[1], argv + 1);
        _exit(EXIT_CANNOT_RUN);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        return EXIT_CANNOT_RUN;
    }
    printf("%llu\n", (unsigned long long)futex_counter_end());
    return WEXITSTATUS(status);
}
