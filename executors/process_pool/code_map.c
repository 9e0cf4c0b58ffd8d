/* SPDX-License-Identifier: MIT */
/*
 * What was loaded when the zygote was forked, as a sorted table of address ranges. A table
 * never changes once it is published, so a lookup is a binary search without a lock.
 *
 * An address means the same code here and in a worker as long as the object that was there
 * has not been unloaded: something else may have come to the same place. The main program
 * and the libraries it needs, and those that these need, are never unloaded; for all other
 * objects every lookup asks the dynamic linker whether anything was unloaded, and if so
 * looks whether they are still what they were. One that was unloaded and loaded again to
 * the same place is the same if it still comes from the same file.
 */
#include "executors/process_pool/code_map.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fork.h"
#include "base/memory.h"

enum range_kind { CODE, DATA };

struct range {
    uintptr_t first;
    uintptr_t end;
    enum range_kind kind;
    size_t object; /* Index of its object. */
};

/* What tells one file from another. */
struct identity {
    bool known;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

struct object {
    uintptr_t base;
    const ElfW(Phdr) * headers;
    const char *soname; /* "" if it has none. For recording only, which no other thread sees. */
    const char *path;   /* Likewise. */
    const ElfW(Dyn) * dynamic;
    bool stays;       /* It cannot be unloaded. */
    bool found;       /* Used by refresh(), under its lock. */
    atomic_bool gone; /* It was unloaded, or something else may be in its place. */
    struct identity file;
};

struct code_map {
    struct code_map *older; /* A reader may still be in it: kept, there are few. */
    size_t bytes;
    size_t object_count;
    size_t range_count;
    atomic_ullong unloads; /* Counter of the dynamic linker to which `gone` is true. */
    struct object *objects;
    struct range ranges[];
};

static _Atomic(struct code_map *) current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* Of recording and refreshing. */

/* --- Recording --- */

static bool is_data(const ElfW(Phdr) * header)
{
    /* What lies beyond the file's bytes is zero at first, and nobody's descriptor. */
    return header->p_type == PT_LOAD && (header->p_flags & PF_X) == 0 &&
           (header->p_flags & PF_R) != 0 && header->p_filesz != 0;
}

static bool is_code(const ElfW(Phdr) * header)
{
    return header->p_type == PT_LOAD && (header->p_flags & PF_X) != 0 && header->p_filesz != 0;
}

struct count {
    size_t objects;
    size_t ranges;
    unsigned long long loads;
};

static int count_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct count *count = arg;

    (void)size;
    count->objects++;
    count->loads = info->dlpi_adds;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        count->ranges += is_code(&info->dlpi_phdr[i]) || is_data(&info->dlpi_phdr[i]);
    }
    return 0;
}

/* The table to be filled, while nothing was loaded since it was counted. */
struct filling {
    struct code_map *map;
    unsigned long long loads;
    bool outdated;
};

static int fill_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct filling *filling = arg;
    struct code_map *map = filling->map;
    struct object *object = &map->objects[map->object_count];

    (void)size;
    if (info->dlpi_adds != filling->loads) {
        filling->outdated = true;
        return 1;
    }
    atomic_store(&map->unloads, info->dlpi_subs);
    object->base = info->dlpi_addr;
    object->headers = info->dlpi_phdr;
    object->path = info->dlpi_name == NULL ? "" : info->dlpi_name;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + header->p_vaddr;

        if (header->p_type == PT_DYNAMIC) {
            object->dynamic = (const void *)first; // NOLINT(performance-no-int-to-ptr): a segment.
        }
        if (is_code(header) || is_data(header)) {
            map->ranges[map->range_count++] = (struct range){
                first, first + header->p_filesz, is_code(header) ? CODE : DATA, map->object_count};
        }
    }
    map->object_count++;
    return 0;
}

static int compare_ranges(const void *one, const void *other)
{
    uintptr_t a = ((const struct range *)one)->first;
    uintptr_t b = ((const struct range *)other)->first;

    return a < b ? -1 : a > b;
}

static struct code_map *create(const struct count *count)
{
    size_t ranges = sizeof(struct code_map) + count->ranges * sizeof(struct range);
    size_t bytes = ranges + count->objects * sizeof(struct object);
    struct code_map *map = hki_zalloc(bytes);

    if (map != NULL) {
        map->bytes = bytes;
        map->objects = (struct object *)(void *)((char *)map + ranges);
    }
    return map;
}

_Static_assert(sizeof(struct range) % _Alignof(struct object) == 0, "objects follow the ranges");

/* Everything that is loaded; NULL without memory. */
static struct code_map *walk(void)
{
    for (;;) {
        struct count count = {0, 0, 0};
        struct filling filling = {NULL, 0, false};

        (void)dl_iterate_phdr(count_object, &count);
        filling.loads = count.loads;
        if ((filling.map = create(&count)) == NULL) {
            return NULL;
        }
        (void)dl_iterate_phdr(fill_object, &filling);
        if (!filling.outdated) {
            return filling.map;
        }
        hki_free(filling.map, filling.map->bytes);
    }
}

/* --- What cannot be unloaded --- */

/* The texts of a dynamic section. The dynamic linker has made an address of it on most
 * machines, and left the offset on some. */
static const char *strings_of(const struct object *object)
{
    for (const ElfW(Dyn) *entry = object->dynamic; entry != NULL && entry->d_tag != DT_NULL;
         entry++) {
        if (entry->d_tag == DT_STRTAB) {
            uintptr_t at = entry->d_un.d_ptr;

            at = at < object->base ? at + object->base : at;
            return (const char *)at; // NOLINT(performance-no-int-to-ptr): a segment.
        }
    }
    return NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static void find_soname(struct object *object)
{
    const char *strings = strings_of(object);

    object->soname = "";
    for (const ElfW(Dyn) *entry = object->dynamic; strings != NULL && entry->d_tag != DT_NULL;
         entry++) {
        if (entry->d_tag == DT_SONAME) {
            object->soname = strings + entry->d_un.d_val;
        }
    }
}

/* By its name, as the dynamic linker finds what is loaded. True if that is new. */
static bool mark_needed(struct code_map *map, const char *name)
{
    for (size_t i = 0; i < map->object_count; i++) {
        struct object *object = &map->objects[i];

        if (strcmp(object->soname, name) == 0 ||
            strcmp(base_name(object->path), base_name(name)) == 0) {
            bool is_new = !object->stays;

            object->stays = true;
            return is_new;
        }
    }
    return false;
}

/* Marks what an object needs. True if any of it is new. */
static bool mark_needs(struct code_map *map, const struct object *object)
{
    const char *strings = strings_of(object);
    bool any_new = false;

    for (const ElfW(Dyn) *entry = object->dynamic; strings != NULL && entry->d_tag != DT_NULL;
         entry++) {
        if (entry->d_tag == DT_NEEDED && mark_needed(map, strings + entry->d_un.d_val)) {
            any_new = true;
        }
    }
    return any_new;
}

/* The main program, all that it needs, and so on. */
static void mark_what_stays(struct code_map *map)
{
    bool any_new = true;

    /* The first is the main program, unless this library lives in a name space of its own. */
    if (map->object_count == 0 || map->objects[0].path[0] != '\0') {
        return;
    }
    map->objects[0].stays = true;
    while (any_new) {
        any_new = false;
        for (size_t i = 0; i < map->object_count; i++) {
            if (map->objects[i].stays && mark_needs(map, &map->objects[i])) {
                any_new = true;
            }
        }
    }
}

static struct identity identify(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0) {
        return (struct identity){.known = false};
    }
    return (struct identity){true, status.st_dev, status.st_ino, status.st_size, status.st_ctim};
}

hk_status hki_code_map_record(void)
{
    struct code_map *map;

    pthread_mutex_lock(&lock);
    if ((map = walk()) == NULL) {
        pthread_mutex_unlock(&lock);
        return HK_ENOMEM;
    }
    qsort(map->ranges, map->range_count, sizeof(map->ranges[0]), compare_ranges);
    for (size_t i = 0; i < map->object_count; i++) {
        find_soname(&map->objects[i]);
    }
    mark_what_stays(map);
    for (size_t i = 0; i < map->object_count; i++) {
        if (!map->objects[i].stays) {
            map->objects[i].file = identify(map->objects[i].path);
        }
    }
    map->older = atomic_load(&current);
    atomic_store(&current, map);
    pthread_mutex_unlock(&lock);
    return HK_OK;
}

/* --- Looking --- */

struct look {
    struct code_map *map;
    unsigned long long unloads;
};

static int see_unloads(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(unsigned long long *)arg = info->dlpi_subs;
    return 1; /* It is the same for all. */
}

static int see_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct look *look = arg;

    (void)size;
    look->unloads = info->dlpi_subs;
    for (size_t i = 0; i < look->map->object_count; i++) {
        struct object *object = &look->map->objects[i];

        if (!object->stays && object->base == info->dlpi_addr &&
            object->headers == info->dlpi_phdr && object->file.known) {
            struct identity now = identify(info->dlpi_name);

            object->found = now.known && now.device == object->file.device &&
                            now.inode == object->file.inode && now.size == object->file.size &&
                            now.changed.tv_sec == object->file.changed.tv_sec &&
                            now.changed.tv_nsec == object->file.changed.tv_nsec;
        }
    }
    return 0;
}

/* Something was unloaded: what is still there, or there again? */
static void refresh(struct code_map *map)
{
    struct look look = {map, 0};

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < map->object_count; i++) {
        map->objects[i].found = map->objects[i].stays;
    }
    (void)dl_iterate_phdr(see_object, &look);
    for (size_t i = 0; i < map->object_count; i++) {
        atomic_store(&map->objects[i].gone, !map->objects[i].found);
    }
    atomic_store(&map->unloads, look.unloads);
    pthread_mutex_unlock(&lock);
}

static bool is_still_there(struct code_map *map, struct object *object)
{
    unsigned long long unloads = 0;

    if (object->stays) {
        return true;
    }
    (void)dl_iterate_phdr(see_unloads, &unloads);
    if (unloads != atomic_load(&map->unloads)) {
        refresh(map);
    }
    return !atomic_load(&object->gone);
}

/* Whether [first, last] lies in one range of a kind. */
static bool has(uintptr_t first, uintptr_t last, enum range_kind kind)
{
    struct code_map *map = atomic_load(&current);
    size_t low = 0;
    size_t high = map == NULL ? 0 : map->range_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct range *range = &map->ranges[middle];

        if (first < range->first) {
            high = middle;
        } else if (first >= range->end) {
            low = middle + 1;
        } else {
            return range->kind == kind && last < range->end &&
                   is_still_there(map, &map->objects[range->object]);
        }
    }
    return false;
}

bool hki_code_map_has_function(void (*function)(void))
{
    return has((uintptr_t)function, (uintptr_t)function, CODE);
}

bool hki_code_map_has_data(const void *data, size_t size)
{
    uintptr_t first = (uintptr_t)data;

    return size != 0 && size - 1 <= UINTPTR_MAX - first && has(first, first + size - 1, DATA);
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&lock);
}
