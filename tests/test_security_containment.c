/* SPDX-License-Identifier: MIT */
/*
 * What a task can reach from its worker, and what it cannot: the memory and descriptors of
 * SECURITY.md. Tasks here look for themselves, and write where they should not.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "executors/process_pool/fd_passing.h"
#include "tests/process_fixture.h"
#include "tests/security_fixture.h"

enum { MIB = 1 << 20 };

/* --- What a worker has mapped --- */

/* What a task finds; 0: all is as it should be. */
enum finding { AS_IT_SHOULD_BE, NO_POOL, MAY_EXECUTE, PAGE_WRITABLE, TOO_MUCH, OTHERS_THERE };

/* An int: whether the pool is confined. */
HK_TASK(looks_at_its_memory)
{
    struct hkt_pool_mapping mappings[HKT_MAPPINGS_MAX];
    size_t count = hkt_pool_mappings(mappings);
    struct hki_channel *channel = NULL;
    const struct hki_pool_page *page = hkt_pool_page(&channel);
    int is_confined = 0;
    uintptr_t arena;
    int found = AS_IT_SHOULD_BE;

    memcpy(&is_confined, in, in_size < sizeof(int) ? in_size : sizeof(int));
    if (page == NULL) {
        return hk_return(call, &(int){NO_POOL}, sizeof(int));
    }
    arena = page->base + page->arena_at;
    found = strcmp(mappings[0].access, "r--s") != 0 ? PAGE_WRITABLE : found;
    for (size_t i = 0; i < count; i++) {
        uintptr_t begin = mappings[i].begin;

        found = strchr(mappings[i].access, 'x') != NULL ? MAY_EXECUTE : found;
        found = is_confined && strcmp(mappings[i].access, "---s") == 0 ? OTHERS_THERE : found;
        if (strcmp(mappings[i].access, "rw-s") != 0) {
            continue;
        }
        /* Its channel, its extent, and the arena, which may follow at once. */
        if (mappings[i].begin < arena && mappings[i].end - begin != page->channel_stride &&
            mappings[i].end - begin != HKI_OVERFLOW_EXTENT &&
            mappings[i].end != page->base + page->bytes) {
            found = TOO_MUCH;
        }
    }
    return hk_return(call, &found, sizeof(found));
}

static void a_worker_reaches_its_own_part_of_its_pool_alone(void)
{
    hk_executor *other = hkt_processes((hk_executor_options){.workers = 1});
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 3});

    hkt_expect_health(other);
    for (int i = 0; i < 3; i++) {
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, looks_at_its_memory, 0)), AS_IT_SHOULD_BE);
    }
    hkt_processes_end(pool);
    pool = hkt_processes((hk_executor_options){.workers = 3, .sandbox = HK_SANDBOX_READ_FILES});
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, looks_at_its_memory, 1)), AS_IT_SHOULD_BE);
    hkt_processes_end(pool);
    hkt_processes_end(other);
}

/* --- Writing where others read --- */

/* An address that is to be read. */
HK_TASK(reads_there)
{
    const volatile unsigned char *there = hkt_pointer(in, in_size);
    int byte = *there;

    return hk_return(call, &byte, sizeof(byte));
}

static void a_worker_cannot_read_another_pool(void)
{
    struct hkt_pool_mapping mappings[HKT_MAPPINGS_MAX];
    hk_executor *other = hkt_processes((hk_executor_options){.workers = 1});
    size_t count = hkt_pool_mappings(mappings);
    const struct hkt_pool_mapping *whole = hkt_pool_mapping(mappings, count, "rw-s");
    const struct hki_pool_page *page;
    hk_executor *pool;

    HKT_EQ_INT_FATAL(count, 1);
    HKT_TRUE_FATAL(whole != NULL);
    page = (const struct hki_pool_page *)whole->begin;
    pool = hkt_processes((hk_executor_options){.workers = 1});
    hkt_expect_lost(hkt_submit_shared(pool, reads_there, (void *)whole->begin, NULL), SIGSEGV, 0);
    hkt_expect_health(pool);
    hkt_expect_lost(hkt_submit_shared(pool, reads_there, hki_pool_at(page, page->arena_at), NULL),
                    SIGSEGV, 0);
    hkt_processes_end(pool);
    hkt_processes_end(other);
}

/* The next channel to its own, or the first. */
static struct hki_channel *neighbour(void)
{
    struct hki_channel *own = NULL;
    const struct hki_pool_page *page = hkt_pool_page(&own);
    uint32_t index = page != NULL && own == hki_channel_of(page, 0) ? 1 : 0;

    return page == NULL ? NULL : hki_channel_of(page, index);
}

HK_TASK(scribbles_over_its_neighbour)
{
    struct hki_channel *channel = neighbour();

    (void)in;
    (void)in_size;
    if (channel != NULL) {
        memset(channel, 0x5a, sizeof(*channel));
    }
    return hk_fail(call, 1, "there was nothing in the way");
}

/* It changes the access first, as somebody who means it. */
HK_TASK(forces_its_way_to_its_neighbour)
{
    struct hki_channel *channel = neighbour();
    int failed;

    (void)in;
    (void)in_size;
    if (channel == NULL) {
        return hk_fail(call, 1, "no pool");
    }
    failed = mprotect(channel, sizeof(*channel), PROT_READ | PROT_WRITE);
    if (failed == 0) {
        memset(channel, 0x5a, sizeof(*channel));
    }
    return hk_return(call, &failed, sizeof(failed));
}

static void a_wild_write_into_another_workers_channel_ends_the_writer(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *standing = hkt_stand_submit(pool, stand);

    hkt_expect_lost(hkt_submit_int(pool, scribbles_over_its_neighbour, 0), SIGSEGV, 0);
    hkt_gate_open(&stand->gate);
    HKT_OK(hk_future_result(standing, HK_FOREVER, NULL, NULL));
    hk_future_unref(standing);
    hkt_expect_health(pool);
    hkt_processes_end(pool);
}

static void a_confined_worker_cannot_get_another_ones_channel_back(void)
{
    hk_executor *pool =
        hkt_processes((hk_executor_options){.workers = 2, .sandbox = HK_SANDBOX_READ_FILES});
    struct hkt_stand *stand = hkt_stand_new();
    hk_future *standing = hkt_stand_submit(pool, stand);

    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, forces_its_way_to_its_neighbour, 0)), 0);
    hkt_gate_open(&stand->gate);
    HKT_OK(hk_future_result(standing, HK_FOREVER, NULL, NULL));
    hk_future_unref(standing);
    HKT_EQ_INT(hkt_stats(pool).workers_started, 2);
    hkt_processes_end(pool);
}

HK_TASK(makes_the_page_writable)
{
    struct hki_pool_page *page = hkt_pool_page(NULL);
    int error = 0;

    (void)in;
    (void)in_size;
    if (page != NULL && mprotect(page, 1, PROT_READ | PROT_WRITE) != 0) {
        error = errno;
    }
    return hk_return(call, &error, sizeof(error));
}

static void what_all_workers_read_cannot_be_made_writable(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, makes_the_page_writable, 0)), EACCES);
    hkt_processes_end(pool);
}

/* What the next worker would believe, if it read it from there. */
HK_TASK(rewrites_the_settings)
{
    struct hki_pool_page *page = hkt_pool_page(NULL);
    void *settings;

    (void)in;
    (void)in_size;
    if (page == NULL) {
        return hk_fail(call, 1, "no pool");
    }
    settings = (char *)page + offsetof(struct hki_pool_page, base);
    if (mprotect(settings, page->channels_at - offsetof(struct hki_pool_page, base),
                 PROT_READ | PROT_WRITE) != 0) {
        return hk_fail(call, 2, "it may not write its copy");
    }
    memset(page->environment, 'X', sizeof(page->environment));
    page->initializer = (hk_worker_initializer_fn *)(uintptr_t)0x10;
    page->sandbox = HKI_OS_SANDBOX_NONE;
    raise(SIGKILL);
    return HK_OK;
}

HK_TASK(tells_its_mark)
{
    const char *mark = getenv("HKT_MARK");

    (void)in;
    (void)in_size;
    return hk_return(call, mark == NULL ? "" : mark, mark == NULL ? 1 : strlen(mark) + 1);
}

HK_TASK(makes_a_socket)
{
    int pair[2];

    (void)in;
    (void)in_size;
    return hki_socket_pair(pair) ? HK_OK : hk_fail(call, 1, "no socket");
}

static void one_worker_cannot_change_what_the_next_one_is_told(void)
{
    const char *const environment[] = {"HKT_MARK=good", NULL};
    hk_executor *pool = hkt_processes((hk_executor_options){
        .workers = 1, .environment = environment, .sandbox = HK_SANDBOX_READ_FILES});
    const void *mark = NULL;
    hk_future *future = NULL;

    hkt_expect_lost(hkt_submit_int(pool, rewrites_the_settings, 0), SIGKILL, 0);
    HKT_OK_FATAL(hk_submit(pool, tells_its_mark, NULL, 0, NULL, &future));
    if (HKT_OK(hk_future_result(future, HK_FOREVER, &mark, NULL))) {
        HKT_EQ_STR(mark, "good");
    }
    hk_future_unref(future);
    hkt_expect_lost(hkt_submit_int(pool, makes_a_socket, 0), SIGSYS, 0);
    hkt_processes_end(pool);
}

/* --- What is common, and what is left over --- */

/* A pattern, but for its last byte, which would make a copy of it a find. */
HK_TASK(searches_the_arena)
{
    const struct hki_pool_page *page = hkt_pool_page(NULL);
    const unsigned char *at;
    const unsigned char *end;
    unsigned char pattern[16];
    int found = 0;

    if (page == NULL || in_size != sizeof(pattern)) {
        return hk_fail(call, 1, "no pool");
    }
    memcpy(pattern, in, sizeof(pattern));
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] ^= 0xff;
    }
    at = hki_pool_at(page, page->arena_at);
    end = at + page->arena_bytes;
    while (at != NULL && found == 0) {
        at = memmem(at, (size_t)(end - at), pattern, sizeof(pattern));
        found = at != NULL;
    }
    return hk_return(call, &found, sizeof(found));
}

static int search(hk_executor *pool, const char *secret)
{
    unsigned char veiled[16];
    hk_future *future = NULL;

    for (size_t i = 0; i < sizeof(veiled); i++) {
        veiled[i] = (unsigned char)secret[i] ^ 0xff;
    }
    HKT_OK_FATAL(hk_submit(pool, searches_the_arena, veiled, sizeof(veiled), NULL, &future));
    return hkt_take_int(future);
}

/* Not a promise, but what SECURITY.md warns of: who changes it has a page to correct. */
static void the_arena_of_a_pool_is_common_to_its_workers_and_not_cleared(void)
{
    static const char secret[] = "hidden 123456789";
    hk_executor_options options = {.workers = 1, .memory_bytes = 4 * MIB};
    hk_executor *pool = hkt_processes(options);
    hk_executor *other = hkt_processes(options);
    hk_buffer *buffer = NULL;

    HKT_OK_FATAL(hk_buffer_create(pool, 5000, &buffer));
    memcpy(hk_buffer_data(buffer), secret, sizeof(secret));
    HKT_EQ_INT(search(pool, secret), 1);
    hk_buffer_destroy(buffer);
    HKT_EQ_INT(search(pool, secret), 1);
    HKT_EQ_INT(search(other, secret), 0);
    hkt_processes_end(other);
    hkt_processes_end(pool);
}

enum { SHOWN_BYTES = MIB, SPILLED_BYTES = 20 * MIB };

/* An int: how many bytes. */
HK_TASK(returns_bytes)
{
    int size = 0;
    void *out = NULL;
    hk_status status;

    memcpy(&size, in, in_size < sizeof(size) ? in_size : sizeof(size));
    status = hk_return_reserve(call, (size_t)size, &out);
    if (status == HK_OK) {
        memset(out, 'v', (size_t)size);
    }
    return status;
}

HK_TASK(writes_there)
{
    *(volatile char *)hkt_pointer(in, in_size) = 'w';
    return HK_OK;
}

/* Likewise, of the first. */
static void a_value_in_the_pools_memory_can_still_be_changed(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    const int sizes[] = {SHOWN_BYTES, SPILLED_BYTES};

    for (int i = 0; i < 2; i++) {
        hk_future *future = hkt_submit_int(pool, returns_bytes, sizes[i]);
        hk_future *writer;
        const void *value = NULL;

        HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
        writer = hkt_submit_shared(pool, writes_there, (void *)value, NULL);
        HKT_STATUS(hk_future_result(writer, HK_FOREVER, NULL, NULL), i == 0 ? HK_OK : HK_EWORKER);
        HKT_EQ_INT(*(const char *)value, i == 0 ? 'w' : 'v');
        hk_future_unref(writer);
        hk_future_unref(future);
    }
    hkt_processes_end(pool);
}

static char later_secret[32];

HK_TASK(tells_the_secret)
{
    int length = (int)strlen(later_secret);

    (void)in;
    (void)in_size;
    return hk_return(call, &length, sizeof(length));
}

static void what_came_after_the_zygote_is_not_in_workers(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});

    strcpy(later_secret, "read after the start");
    HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, tells_the_secret, 0)), 0);
    hkt_processes_end(pool);
}

/* --- Descriptors --- */

/* -1 unless there are, beyond the streams, exactly a socket, an event, and the end to write to of
 * a pipe; all closed on exec. */
HK_TASK(looks_at_its_descriptors)
{
    enum { MOST = 256 };
    int sockets = 0;
    int events = 0;
    int rings = 0;
    int others = 0;
    int found;

    (void)in;
    (void)in_size;
    for (int fd = STDERR_FILENO + 1; fd < MOST; fd++) {
        struct stat status;
        char byte[8];

        if (fstat(fd, &status) != 0) {
            continue;
        }
        others += (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
        if (S_ISSOCK(status.st_mode)) {
            sockets++;
        } else if (S_ISFIFO(status.st_mode)) {
            rings += (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY && read(fd, byte, 8) < 0 &&
                     errno == EBADF;
        } else if ((status.st_mode & S_IFMT) == 0) {
            events++; /* Of no kind: the kernel's own. */
        } else {
            others++;
        }
    }
    found = sockets == 1 && events == 1 && rings == 1 && others == 0 ? 0 : -1;
    return hk_return(call, &found, sizeof(found));
}

static void a_worker_has_three_descriptors_and_cannot_hear_what_others_ring(void)
{
    hk_executor *other = hkt_processes((hk_executor_options){.workers = 2});
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 2});

    hkt_expect_health(other);
    for (int i = 0; i < 4; i++) { /* Also in those that were forked ahead. */
        HKT_EQ_INT(hkt_take_int(hkt_submit_int(pool, looks_at_its_descriptors, 0)), 0);
        hkt_expect_lost(hkt_submit_int(pool, hkt_ends_by, SIGKILL), SIGKILL, 0);
    }
    hkt_processes_end(pool);
    hkt_processes_end(other);
}

static CU_TestInfo memory_tests[] = {
    HKT_TEST(a_worker_reaches_its_own_part_of_its_pool_alone),
    HKT_TEST(a_worker_cannot_read_another_pool),
    HKT_TEST(a_wild_write_into_another_workers_channel_ends_the_writer),
    HKT_TEST(a_confined_worker_cannot_get_another_ones_channel_back),
    HKT_TEST(what_all_workers_read_cannot_be_made_writable),
    HKT_TEST(one_worker_cannot_change_what_the_next_one_is_told),
    HKT_TEST(the_arena_of_a_pool_is_common_to_its_workers_and_not_cleared),
    HKT_TEST(a_value_in_the_pools_memory_can_still_be_changed),
    HKT_TEST(what_came_after_the_zygote_is_not_in_workers),
    CU_TEST_INFO_NULL,
};

static CU_TestInfo descriptor_tests[] = {
    HKT_TEST(a_worker_has_three_descriptors_and_cannot_hear_what_others_ring),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "memory", .pTests = memory_tests},
    {.pName = "descriptors", .pTests = descriptor_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
