/* SPDX-License-Identifier: MIT */
#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void walk_init(struct walk *walk, char *const *paths, size_t path_count)
{
    *walk = (struct walk){.paths = paths, .path_count = path_count};
}

static void close_folder(struct walk_folder *folder)
{
    if (folder->dir != NULL) {
        closedir(folder->dir);
        folder->dir = NULL;
    }
}

void walk_fini(struct walk *walk)
{
    while (walk->folder_count > 0) {
        close_folder(&walk->folders[--walk->folder_count]);
    }
    free(walk->folders);
    walk->folders = NULL;
}

static bool report(struct walk *walk, struct walk_entry *entry, const char *what, int error)
{
    (void)snprintf(walk->error, sizeof(walk->error), "%s: %s", what, strerror(error));
    *entry = (struct walk_entry){.path = {walk->path, strlen(walk->path)}, .error = walk->error};
    return true;
}

/* Closes the folder nearest to the top that is open, if as many are open as may be. */
static void save_descriptors(struct walk *walk)
{
    size_t open_count = 0;
    struct walk_folder *first = NULL;

    for (size_t i = walk->folder_count; i-- > 0;) {
        if (walk->folders[i].dir != NULL) {
            open_count++;
            first = &walk->folders[i];
        }
    }
    if (open_count >= WALK_OPEN_MAX) {
        first->position = telldir(first->dir);
        close_folder(first);
    }
}

/* Opens walk->path as the deepest folder. 0 or an errno. */
static int push_folder(struct walk *walk, size_t path_size)
{
    int fd;
    DIR *dir;

    if (walk->folder_count == walk->folder_capacity) {
        size_t capacity = walk->folder_capacity == 0 ? 16 : walk->folder_capacity * 2;
        struct walk_folder *larger = realloc(walk->folders, capacity * sizeof(*walk->folders));

        if (larger == NULL) {
            return ENOMEM;
        }
        walk->folders = larger;
        walk->folder_capacity = capacity;
    }
    save_descriptors(walk);
    fd = open(walk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    dir = fdopendir(fd);
    if (dir == NULL) {
        int error = errno;

        close(fd);
        return error;
    }
    walk->folders[walk->folder_count++] = (struct walk_folder){path_size, dir, 0};
    return 0;
}

/* Takes up a folder that was closed to save descriptors. 0 or an errno. */
static int reopen_folder(struct walk *walk, struct walk_folder *folder)
{
    walk->path[folder->path_size] = '\0';
    folder->dir = opendir(walk->path);
    if (folder->dir == NULL) {
        return errno;
    }
    seekdir(folder->dir, folder->position);
    return 0;
}

/* Looks at walk->path. True: *entry is filled in; false: it was a folder that is
 * now the deepest one, or something that is no file and not worth a word. */
static bool visit(struct walk *walk, bool was_given, struct walk_entry *entry)
{
    struct stat status;
    size_t size = strlen(walk->path);

    if ((was_given ? stat(walk->path, &status) : lstat(walk->path, &status)) != 0) {
        return report(walk, entry, "cannot look at it", errno);
    }
    if (S_ISDIR(status.st_mode)) {
        int error = push_folder(walk, size);

        return error != 0 && report(walk, entry, "cannot open the folder", error);
    }
    if (S_ISREG(status.st_mode)) {
        *entry = (struct walk_entry){{walk->path, size}, (uint64_t)status.st_size, NULL};
        return true;
    }
    if (was_given) {
        *entry = (struct walk_entry){.path = {walk->path, size}};
        entry->error = "neither a file nor a folder";
        return true;
    }
    return false;
}

static bool is_dot_or_dot_dot(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Goes on in the deepest folder. True: *entry is filled in. */
static bool step_in_folder(struct walk *walk, struct walk_entry *entry)
{
    struct walk_folder *folder = &walk->folders[walk->folder_count - 1];
    const struct dirent *found;
    size_t name_size, size = folder->path_size;
    int error = folder->dir == NULL ? reopen_folder(walk, folder) : 0;

    if (error == 0) {
        errno = 0;
        found = readdir(folder->dir);
        error = found == NULL ? errno : 0;
        if (found == NULL && error == 0) {
            close_folder(folder);
            walk->folder_count--;
            return false;
        }
    }
    if (error != 0) {
        walk->path[size] = '\0';
        close_folder(folder);
        walk->folder_count--;
        return report(walk, entry, "cannot read the folder", error);
    }
    if (is_dot_or_dot_dot(found->d_name)) {
        return false;
    }
    name_size = strlen(found->d_name);
    if (size + 1 + name_size >= sizeof(walk->path)) {
        walk->path[size] = '\0';
        return report(walk, entry, "cannot go deeper", ENAMETOOLONG);
    }
    if (walk->path[size - 1] != '/') {
        walk->path[size++] = '/';
    }
    memcpy(walk->path + size, found->d_name, name_size + 1);
    return visit(walk, false, entry);
}

bool walk_next(struct walk *walk, struct walk_entry *entry)
{
    for (;;) {
        if (walk->folder_count > 0) {
            if (step_in_folder(walk, entry)) {
                return true;
            }
        } else if (walk->next_path < walk->path_count) {
            const char *path = walk->paths[walk->next_path++];
            size_t size = strlen(path);

            if (size == 0 || size >= sizeof(walk->path)) {
                (void)snprintf(walk->path, sizeof(walk->path), "%.60s", path);
                return report(walk, entry, "no usable path", size == 0 ? ENOENT : ENAMETOOLONG);
            }
            memcpy(walk->path, path, size + 1);
            if (visit(walk, true, entry)) {
                return true;
            }
        } else {
            return false;
        }
    }
}
