/* SPDX-License-Identifier: MIT */
#include "executors/process_pool/oom_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

    if (fd < 0 || !read_text(fd, text, sizeof(text))) {
        return false;
    }
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
    watch->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (!read_counter(watch->fd, &watch->seen)) {
        hki_oom_watch_end(watch);
        return false;
    }
    watch->now = watch->seen;
    return true;
}

/* A line is "number:controllers:folder"; version 2 has one, with no controllers. */
static bool try_line(struct hki_oom_watch *watch, char *line)
{
    char *controllers = strchr(line, ':');
    char *folder = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    char path[512];
    int length = 0;

    if (folder == NULL) {
        return false;
    }
    controllers++;
    folder++;
    if (*controllers == ':') {
        length = snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.events",
                          strcmp(folder, "/") == 0 ? "" : folder);
    } else if (lists(controllers, "memory")) {
        length = snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/memory.oom_control",
                          strcmp(folder, "/") == 0 ? "" : folder);
    }
    return length > 0 && (size_t)length < sizeof(path) && hki_oom_watch_open(watch, path);
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

void hki_oom_watch_read(struct hki_oom_watch *watch)
{
    watch->seen = watch->now; /* What nobody's death explained was another's. */
    (void)read_counter(watch->fd, &watch->now);
}

bool hki_oom_watch_explains(struct hki_oom_watch *watch)
{
    if (watch->seen >= watch->now) {
        return false;
    }
    watch->seen++;
    return true;
}
