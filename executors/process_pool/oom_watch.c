/* SPDX-License-Identifier: MIT */
#include "executors/process_pool/oom_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t got = 1;

    if (fd < 0) {
        return false;
    }
    while (used < size - 1 && got != 0) {
        got = read(fd, text + used, size - 1 - used);
        if (got < 0 && errno != EINTR) {
            break;
        }
        used += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    text[used] = '\0';
    return got >= 0;
}

static bool read_counter(const char *path, uint64_t *counter)
{
    static const char key[] = "oom_kill ";
    char text[1024];

    if (path[0] == '\0' || !read_text(path, text, sizeof(text))) {
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

/* A line is "number:controllers:folder"; version 2 has one, with no controllers. */
static bool try_line(struct hki_oom_watch *watch, char *line)
{
    char *controllers = strchr(line, ':');
    char *folder = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    int length = 0;

    if (folder == NULL) {
        return false;
    }
    controllers++;
    folder++;
    if (*controllers == ':') {
        length = snprintf(watch->path, sizeof(watch->path), "/sys/fs/cgroup%s/memory.events",
                          strcmp(folder, "/") == 0 ? "" : folder);
    } else if (lists(controllers, "memory")) {
        length =
            snprintf(watch->path, sizeof(watch->path), "/sys/fs/cgroup/memory%s/memory.oom_control",
                     strcmp(folder, "/") == 0 ? "" : folder);
    }
    return length > 0 && (size_t)length < sizeof(watch->path) &&
           read_counter(watch->path, &watch->seen);
}

void hki_oom_watch_start(struct hki_oom_watch *watch)
{
    char text[4096];
    char *rest = NULL;

    memset(watch, 0, sizeof(*watch));
    if (!read_text("/proc/self/cgroup", text, sizeof(text))) {
        return;
    }
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (try_line(watch, line)) {
            watch->now = watch->seen;
            return;
        }
    }
    watch->path[0] = '\0';
}

void hki_oom_watch_read(struct hki_oom_watch *watch)
{
    watch->seen = watch->now; /* What nobody's death explained was another's. */
    (void)read_counter(watch->path, &watch->now);
}

bool hki_oom_watch_explains(struct hki_oom_watch *watch)
{
    if (watch->seen >= watch->now) {
        return false;
    }
    watch->seen++;
    return true;
}
