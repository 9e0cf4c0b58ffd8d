/* SPDX-License-Identifier: MIT */
#include "executors/process_pool/oom_watch.h"

#include <hocket/time.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long after it was found a step of the counter may explain a death. */
#define KEPT_NS HK_SEC(2)

/* From its beginning. */
static bool read_text(int fd, char *text, size_t size)
{
    size_t used = 0;
    ssize_t got = 1;

    while (used < size - 1 && got != 0) {
        got = pread(fd, text + used, size - 1 - used, (off_t)used);
        if (got < 0 && errno != EINTR) {
            break;
        }
        used += got > 0 ? (size_t)got : 0;
    }
    text[used] = '\0';
    return got >= 0;
}

static bool read_counter(int fd, uint64_t *counter)
{
    static const char key[] = "oom_kill ";
    char text[1024];
    ssize_t got = -1;

    /* Such a file is read at once, or not at all. */
    while (fd >= 0 && (got = pread(fd, text, sizeof(text) - 1, 0)) < 0 && errno == EINTR) {
    }
    if (got < 0) {
        return false;
    }
    text[got] = '\0';
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, sizeof(key) - 1) == 0) {
            *counter = strtoull(line + sizeof(key) - 1, NULL, 10);
            return true;
        }
    }
    return false;
}

/* Whether a comma-separated list, up to the colon, has this word. */
static bool lists(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; *at != ':' && *at != '\0';) {
        size_t part = strcspn(at, ",:");

        if (part == length && strncmp(at, word, length) == 0) {
            return true;
        }
        at += part + (at[part] == ',');
    }
    return false;
}

bool hki_oom_watch_open(struct hki_oom_watch *watch, const char *path)
{
    *watch = (struct hki_oom_watch){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (!read_counter(watch->fd, &watch->seen)) {
        hki_oom_watch_end(watch);
        return false;
    }
    watch->now = watch->seen;
    return true;
}

/* The folder as the host names it. In a container that has no names of its own for its groups
 * there is none of that name, and its own group is the root that it sees. */
static bool try_folder(struct hki_oom_watch *watch, const char *root, const char *folder,
                       const char *file)
{
    char path[512];
    int length =
        snprintf(path, sizeof(path), "%s%s/%s", root, strcmp(folder, "/") == 0 ? "" : folder, file);

    if (length > 0 && (size_t)length < sizeof(path) && hki_oom_watch_open(watch, path)) {
        return true;
    }
    snprintf(path, sizeof(path), "%s/%s", root, file);
    return hki_oom_watch_open(watch, path);
}

/* A line is "number:controllers:folder"; version 2 has one, with no controllers. */
static bool try_line(struct hki_oom_watch *watch, char *line)
{
    char *controllers = strchr(line, ':');
    char *folder = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

    if (folder == NULL) {
        return false;
    }
    controllers++;
    folder++;
    if (*controllers == ':') {
        return try_folder(watch, "/sys/fs/cgroup", folder, "memory.events");
    }
    return lists(controllers, "memory") &&
           try_folder(watch, "/sys/fs/cgroup/memory", folder, "memory.oom_control");
}

static bool read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_read = fd >= 0 && read_text(fd, text, size);

    if (fd >= 0) {
        close(fd);
    }
    return is_read;
}

void hki_oom_watch_start(struct hki_oom_watch *watch)
{
    char text[4096];
    char *rest = NULL;

    *watch = (struct hki_oom_watch){.fd = -1};
    if (!read_file("/proc/self/cgroup", text, sizeof(text))) {
        return;
    }
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (try_line(watch, line)) {
            return;
        }
    }
}

void hki_oom_watch_end(struct hki_oom_watch *watch)
{
    if (watch->fd >= 0) {
        close(watch->fd);
    }
    watch->fd = -1;
}

void hki_oom_watch_read(struct hki_oom_watch *watch, int64_t now_ns)
{
    uint64_t before = watch->now;

    if (now_ns - watch->stepped_ns > KEPT_NS) {
        watch->seen = watch->now; /* What nobody's death explained was another's. */
    }
    if (read_counter(watch->fd, &watch->now) && watch->now != before) {
        watch->stepped_ns = now_ns;
    }
}

bool hki_oom_watch_explains(struct hki_oom_watch *watch)
{
    if (watch->seen >= watch->now) {
        return false;
    }
    watch->seen++;
    return true;
}
