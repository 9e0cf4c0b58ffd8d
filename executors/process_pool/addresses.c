/* SPDX-License-Identifier: MIT */
/*
 * A list of the ranges that are taken, sorted by address; the first gap that is large
 * enough serves. A range ends with a part that nothing is mapped to, so that whoever runs
 * over the end of one pool's memory does not get into another's.
 *
 * Invariant: inside the reservation, what is in no range is mapped without any access, so
 * that nobody else's mapping comes there.
 */
#include "executors/process_pool/addresses.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/fork.h"
#include "base/list.h"
#include "base/memory.h"
#include "executors/process_pool/memory.h"

#define GRANULE       ((size_t)2 << 20)
#define GUARD         ((size_t)4096)
#define RESERVE_MOST  ((size_t)128 << 30) /* 1024 workers, the most, want 65 GiB. */
#define RESERVE_LEAST ((size_t)4 << 30)

struct range {
    struct hki_list link;
    uintptr_t begin;
    size_t bytes;
    uint32_t generation; /* Of the process that took it. */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. */
static uintptr_t reserved_begin; /* 0: not yet. */
static uintptr_t reserved_end;
static struct hki_list ranges = {&ranges, &ranges};

__attribute__((constructor)) static void guard_lock(void)
{
    hki_fork_guard(&lock);
}

static struct range *range_of(struct hki_list *link)
{
    return HKI_CONTAINER(link, struct range, link);
}

static void *map_nothing(void *address, size_t bytes, int fixed)
{
    return mmap(address, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1,
                0);
}

/* A limit on addresses must leave some for everything else. */
static size_t most_to_reserve(void)
{
    struct rlimit limit;
    size_t bytes = RESERVE_MOST;

    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        while (bytes > RESERVE_LEAST && bytes > limit.rlim_cur / 2) {
            bytes /= 2;
        }
    }
    return bytes;
}

/* Under the lock. */
static bool reserve(void)
{
    for (size_t bytes = most_to_reserve(); bytes >= RESERVE_LEAST; bytes /= 2) {
        void *begin = map_nothing(NULL, bytes, 0);

        if (begin != MAP_FAILED) {
            reserved_begin = ((uintptr_t)begin + GRANULE - 1) & ~(GRANULE - 1);
            reserved_end = ((uintptr_t)begin + bytes) & ~(GRANULE - 1);
            return true;
        }
    }
    return false;
}

hk_status hki_pool_addresses_reserve(void)
{
    bool is_there;

    pthread_mutex_lock(&lock);
    is_there = reserved_begin != 0 || reserve();
    pthread_mutex_unlock(&lock);
    return is_there ? HK_OK : HK_ESYS;
}

/* NULL without memory, or when so much could never be. */
static struct range *new_range(size_t bytes)
{
    struct range *range = NULL;

    if (bytes <= RESERVE_MOST && (range = hki_alloc(sizeof(*range))) != NULL) {
        range->bytes = (bytes + GUARD + GRANULE - 1) & ~(GRANULE - 1);
        range->generation = hki_fork_generation();
    }
    return range;
}

void *hki_pool_addresses_take(size_t bytes)
{
    struct range *range = new_range(bytes);
    struct hki_list *after;
    bool fits;

    if (range == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    pthread_mutex_lock(&lock);
    range->begin = reserved_begin;
    for (after = ranges.next; after != &ranges; after = after->next) {
        if (range_of(after)->begin - range->begin >= range->bytes) {
            break;
        }
        range->begin = range_of(after)->begin + range_of(after)->bytes;
    }
    fits = reserved_end - range->begin >= range->bytes;
    if (fits) {
        hki_list_append(after, &range->link); /* That is: before it. */
    }
    pthread_mutex_unlock(&lock);
    if (!fits) {
        hki_free(range, sizeof(*range));
        errno = ENOMEM;
        return NULL;
    }
    return (void *)range->begin;
}

/* Under the lock: takes away what is in the way of a range, if that may be. The place in
 * the list for it, or NULL with what was taken away in any case. */
static struct hki_list *make_way(const struct range *range, struct hki_list *removed)
{
    struct hki_list *link = ranges.next;

    while (link != &ranges && range_of(link)->begin < range->begin + range->bytes) {
        struct range *other = range_of(link);
        bool is_same = other->begin == range->begin && other->bytes == range->bytes;

        link = link->next;
        if (other->begin + other->bytes <= range->begin) {
            continue;
        }
        if (!is_same && !hki_fork_foreign(other->generation)) {
            errno = EEXIST;
            return NULL;
        }
        // cppcheck-suppress leakReturnValNotUsed ; it is mapped where it was asked for
        if (map_nothing((void *)other->begin, other->bytes, MAP_FIXED) == MAP_FAILED) {
            return NULL;
        }
        hki_list_remove(&other->link);
        hki_list_append(removed, &other->link);
    }
    return link;
}

static void free_ranges(struct hki_list *list)
{
    struct hki_list *link;

    while ((link = hki_list_take_first(list)) != NULL) {
        hki_free(range_of(link), sizeof(struct range));
    }
}

bool hki_pool_addresses_take_at(void *address, size_t bytes)
{
    struct range *range = new_range(bytes);
    struct hki_list removed = {&removed, &removed};
    struct hki_list *after = NULL;
    int error;

    if (range == NULL) {
        errno = ENOMEM;
        return false;
    }
    range->begin = (uintptr_t)address;
    errno = EINVAL;
    pthread_mutex_lock(&lock);
    if (reserved_begin != 0 && range->begin >= reserved_begin && range->begin < reserved_end &&
        range->begin % GRANULE == 0 && reserved_end - range->begin >= range->bytes &&
        (after = make_way(range, &removed)) != NULL) {
        hki_list_append(after, &range->link);
    }
    pthread_mutex_unlock(&lock);
    error = errno;
    if (after == NULL) {
        hki_list_init(&range->link);
        hki_list_append(&removed, &range->link);
    }
    free_ranges(&removed);
    errno = error;
    return after != NULL;
}

void hki_pool_addresses_give_back(void *address)
{
    struct hki_list removed = {&removed, &removed};

    pthread_mutex_lock(&lock);
    for (struct hki_list *link = ranges.next; link != &ranges; link = link->next) {
        struct range *range = range_of(link);

        if (range->begin == (uintptr_t)address) {
            /* Where the kernel cannot do it, the range stays taken: what is mapped there
             * harms nobody, and a gap would. */
            // cppcheck-suppress leakReturnValNotUsed ; likewise
            if (map_nothing(address, range->bytes, MAP_FIXED) != MAP_FAILED) {
                hki_list_remove(link);
                hki_list_append(&removed, link);
            }
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    free_ranges(&removed);
}
