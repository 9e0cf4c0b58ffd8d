/* SPDX-License-Identifier: MIT */
/* Feeds a target the files and folders that are named, one after the other. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

enum { FILE_MAX = 1 << 20, PATH_BYTES = 4096 };

static unsigned fed;

static void stop(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(2);
}

static void feed_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(FILE_MAX);
    uint8_t *exact;
    size_t size;

    if (file == NULL || bytes == NULL) {
        stop(path);
    }
    size = fread(bytes, 1, FILE_MAX, file);
    fclose(file);
    exact = malloc(size == 0 ? 1 : size); /* So that a sanitizer sees a step beyond. */
    if (exact == NULL) {
        stop(path);
    }
    memcpy(exact, bytes, size);
    free(bytes);
    printf("%s\n", path);
    fflush(stdout);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    fed++;
}

static int by_name(const struct dirent **one, const struct dirent **other)
{
    return strcmp((*one)->d_name, (*other)->d_name);
}

static void feed_folder(const char *folder)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, by_name);
    char path[PATH_BYTES];

    if (count < 0) {
        stop(folder);
    }
    for (int i = 0; i < count; i++) {
        if (names[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
            feed_file(path);
        }
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    struct stat status;

    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        if (stat(argv[i], &status) != 0) {
            stop(argv[i]);
        }
        if (S_ISDIR(status.st_mode)) {
            feed_folder(argv[i]);
        } else {
            feed_file(argv[i]);
        }
    }
    printf("%u inputs\n", fed);
    return fed == 0;
}
