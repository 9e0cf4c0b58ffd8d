/* SPDX-License-Identifier: MIT */
/*
 * All mutants are in one build, and at most one is alive in a process.
 *
 *     HOCKET_MUTANT=NUMBER         makes one alive
 *     HOCKET_MUTANT_REACHED=FILE   a byte for each, set when somebody comes by; shared with
 * children
 */
#include "tests/mutate/mutants.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int alive = -1;
static volatile unsigned char *reached;
static int reached_count;

int hkt_mutant(int number)
{
    if (reached != NULL && number < reached_count) {
        reached[number] = 1; /* By several threads at once: it is the same. */
    }
    return number == alive;
}

__attribute__((constructor(101))) static void read_wishes(void)
{
    const char *wish = getenv("HOCKET_MUTANT");
    const char *path = getenv("HOCKET_MUTANT_REACHED");
    struct stat file;
    void *memory;
    int fd;

    if (wish != NULL) {
        alive = (int)strtol(wish, NULL, 10);
    }
    if (path == NULL || (fd = open(path, O_RDWR | O_CLOEXEC)) < 0) {
        return;
    }
    if (fstat(fd, &file) == 0 && file.st_size > 0) {
        memory = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory != MAP_FAILED) {
            reached = memory;
            reached_count = (int)file.st_size;
        }
    }
    close(fd);
}
