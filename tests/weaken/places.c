/* SPDX-License-Identifier: MIT */
/*
 * The places of one program or shared object, see shim/stdatomic.h. Not instrumented.
 *
 *     HOCKET_WEAKEN="FILE;FUNCTION;OPERATION;WORD;NUMBER;CHOICE"
 *         weakens one: the NUMBER-th (from 1) line of the function with these
 *     HOCKET_WEAKEN_RECORD=FOLDER
 *         writes there which places there are (NAME.places) and counts who comes by
 *         (NAME.hits), children included: the counters are a shared file
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <dlfcn.h>

#include <stdatomic.h>

/* The linker's names for the section, of this object alone. */
extern struct hkt_order_place __start_hkt_places[] __attribute__((weak, visibility("hidden")));
extern struct hkt_order_place __stop_hkt_places[] __attribute__((weak, visibility("hidden")));

enum { PARTS = 6 };

int hkt_place_reached(struct hkt_order_place *place)
{
    /* Not atomic: a lost count does not matter, order between threads must not come from it. */
    if (place->hits != NULL) {
        *(volatile unsigned *)place->hits += 1;
    }
    return place->choice;
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0 &&
           (size == end_size || text[size - end_size - 1] == '/');
}

static bool is_like(const struct hkt_order_place *place, char *const parts[PARTS])
{
    return strcmp(place->order, "memory_order_relaxed") != 0 && ends_with(place->file, parts[0]) &&
           strcmp(place->function, parts[1]) == 0 && strcmp(place->operation, parts[2]) == 0 &&
           strcmp(place->word, parts[3]) == 0;
}

/* The next line after `line` with such a place; INT_MAX: there is none. */
static int next_line(char *const parts[PARTS], int line)
{
    int next = INT_MAX;

    for (struct hkt_order_place *at = __start_hkt_places; at != __stop_hkt_places; at++) {
        if (at->line > line && at->line < next && is_like(at, parts)) {
            next = at->line;
        }
    }
    return next;
}

/* A header's function is in many objects, so a place may be there many times. */
static void choose(const char *wish)
{
    char *text = strdup(wish);
    char *parts[PARTS];
    char *rest = text;
    int line = 0;

    for (int i = 0; i < PARTS; i++) {
        parts[i] = strsep(&rest, ";");
        if (parts[i] == NULL) {
            abort();
        }
    }
    for (int number = atoi(parts[4]); number > 0 && line != INT_MAX; number--) {
        line = next_line(parts, line);
    }
    for (struct hkt_order_place *at = __start_hkt_places; at != __stop_hkt_places; at++) {
        if (at->line == line && is_like(at, parts)) {
            at->choice = atoi(parts[5]);
        }
    }
    free(text);
}

static void list(const char *path, size_t count)
{
    FILE *file = fopen(path, "wx");

    if (file == NULL) {
        return; /* Another process of this program was here. */
    }
    for (size_t i = 0; i < count; i++) {
        const struct hkt_order_place *at = &__start_hkt_places[i];

        fprintf(file, "%s\t%d\t%s\t%s\t%s\t%s\n", at->file, at->line, at->function, at->operation,
                at->word, at->order);
    }
    fclose(file);
}

static void count_in(const char *folder)
{
    size_t count = (size_t)(__stop_hkt_places - __start_hkt_places);
    char path[PATH_MAX];
    const char *name;
    unsigned *hits;
    Dl_info info;
    int fd;

    if (dladdr((void *)__start_hkt_places, &info) == 0 || info.dli_fname == NULL) {
        abort();
    }
    name = strrchr(info.dli_fname, '/') == NULL ? info.dli_fname : strrchr(info.dli_fname, '/') + 1;
    snprintf(path, sizeof path, "%s/%s.places", folder, name);
    list(path, count);
    snprintf(path, sizeof path, "%s/%s.hits", folder, name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)(count * sizeof *hits)) != 0) {
        abort();
    }
    hits = mmap(NULL, count * sizeof *hits, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (hits == MAP_FAILED) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        __start_hkt_places[i].hits = &hits[i];
    }
}

/* Before the library's own constructors. */
__attribute__((constructor(101))) static void prepare(void)
{
    const char *wish = getenv("HOCKET_WEAKEN");
    const char *folder = getenv("HOCKET_WEAKEN_RECORD");

    if (__start_hkt_places == __stop_hkt_places) {
        return;
    }
    if (wish != NULL) {
        choose(wish);
    }
    if (folder != NULL) {
        count_in(folder);
    }
}
