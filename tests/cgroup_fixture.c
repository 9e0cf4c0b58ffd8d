/* SPDX-License-Identifier: MIT */
#include "tests/cgroup_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"

static bool write_to(const struct hkt_cgroup *cgroup, const char *name, const char *text)
{
    char path[sizeof(cgroup->path) + 64];
    size_t size = strlen(text);
    bool is_written;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", cgroup->path, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    is_written = fd >= 0 && write(fd, text, size) == (ssize_t)size;
    if (fd >= 0) {
        close(fd);
    }
    return is_written;
}

/* Where this process's memory is counted; a line of the file is "number:controllers:folder",
 * without controllers for version 2. */
static bool find_own(char *path, size_t size)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[512];
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
        char *controllers = strchr(line, ':');
        char *folder = controllers == NULL ? NULL : strchr(controllers + 1, ':');

        if (folder == NULL) {
            continue;
        }
        *folder++ = '\0';
        folder[strcspn(folder, "\n")] = '\0';
        if (controllers[1] == '\0' || strcmp(controllers + 1, "memory") == 0) {
            snprintf(path, size, "/sys/fs/cgroup%s%s", controllers[1] == '\0' ? "" : "/memory",
                     strcmp(folder, "/") == 0 ? "" : folder);
            found = access(path, F_OK) == 0;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

/* What is swapped out is not killed; where there is no swap there may be no such file. */
static bool set_limit(const struct hkt_cgroup *cgroup, uint64_t limit_bytes)
{
    char text[32];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)limit_bytes);
    if (write_to(cgroup, "memory.max", text)) {
        (void)write_to(cgroup, "memory.swap.max", "0");
        return true;
    }
    if (write_to(cgroup, "memory.limit_in_bytes", text)) {
        (void)write_to(cgroup, "memory.memsw.limit_in_bytes", text);
        return true;
    }
    return false;
}

/* Here, or in a cgroup around this one: version 2 has limits only where no process is beside. */
static bool make_below(struct hkt_cgroup *cgroup, char *parent, uint64_t limit_bytes)
{
    char *end;

    do {
        int length = snprintf(cgroup->path, sizeof(cgroup->path), "%s/hocket_test_%d", parent,
                              (int)getpid());

        if (length > 0 && (size_t)length < sizeof(cgroup->path) && mkdir(cgroup->path, 0755) == 0) {
            if (set_limit(cgroup, limit_bytes)) {
                return true;
            }
            (void)rmdir(cgroup->path);
            errno = ENOTSUP;
        }
        end = strrchr(parent, '/');
        *end = '\0';
    } while (strcmp(parent, "/sys/fs") != 0);
    return false;
}

static bool is_removed(void *path)
{
    return rmdir(path) == 0;
}

/* A process that outlives the test, however that ends, and then removes the cgroup, once the
 * last of its processes are gone. */
static _Noreturn void keep(struct hkt_cgroup *cgroup, int end)
{
    char byte;

    while (read(end, &byte, 1) < 0 && errno == EINTR) {
    }
    _exit(hkt_eventually(is_removed, cgroup->path) ? EXIT_SUCCESS : EXIT_FAILURE);
}

static bool refuse(const char *what)
{
    fprintf(stderr, "skipped: %s (%s)\n", what, strerror(errno));
    return false;
}

bool hkt_cgroup_make(struct hkt_cgroup *cgroup, uint64_t limit_bytes)
{
    char parent[400];
    int ends[2];

    if (!find_own(parent, sizeof(parent))) {
        return refuse("no memory cgroup of this process is to be seen under /sys/fs/cgroup");
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return refuse("no pipe for the keeper of a cgroup");
    }
    if (!make_below(cgroup, parent, limit_bytes)) {
        close(ends[0]);
        close(ends[1]);
        return refuse("no memory cgroup with a limit can be made here");
    }
    cgroup->alive = ends[1];
    cgroup->keeper = fork();
    if (cgroup->keeper == 0) {
        close(ends[1]);
        keep(cgroup, ends[0]);
    }
    close(ends[0]);
    if (cgroup->keeper < 0) {
        close(ends[1]);
        (void)rmdir(cgroup->path);
        return refuse("no process for the keeper of a cgroup");
    }
    return true;
}

bool hkt_cgroup_enter(const struct hkt_cgroup *cgroup)
{
    close(cgroup->alive); /* The test's own is what counts. */
    return write_to(cgroup, "cgroup.procs", "0");
}

bool hkt_cgroup_remove(struct hkt_cgroup *cgroup)
{
    int status = -1;

    close(cgroup->alive);
    while (waitpid(cgroup->keeper, &status, 0) < 0 && errno == EINTR) {
    }
    return status == 0;
}
