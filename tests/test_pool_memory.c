/* SPDX-License-Identifier: MIT */
/* The memory of a pool: where it is mapped, what is allocated, that it cannot change its size,
 * what children see of it, and what is left after it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/os.h"
#include "base/sanitizers.h"
#include "executors/process_pool/addresses.h"
#include "executors/process_pool/memory.h"
#include "tests/allocation_fixture.h"
#include "tests/child_fixture.h"

enum { MIB = 1024 * 1024, GRANULE = 2 * MIB };

static struct hki_pool_memory *create(uint32_t channels, uint64_t arena_bytes)
{
    struct hki_pool_memory *memory = NULL;

    HKT_OK_FATAL(hki_pool_memory_create(channels, arena_bytes, &memory));
    return memory;
}

static uintptr_t begin_of(const struct hki_pool_memory *memory)
{
    return (uintptr_t)memory->page;
}

static uintptr_t end_of(const struct hki_pool_memory *memory)
{
    return begin_of(memory) + memory->bytes;
}

/* --- /proc/self/maps ------------------------------------------------------------------- */

struct mapping {
    uintptr_t begin;
    uintptr_t end;
    char access[5];
};

/* The mapping that an address is in; all zero when it is in none. */
static struct mapping mapping_at(uintptr_t address)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    struct mapping mapping = {0};
    char line[512];

    HKT_TRUE_FATAL(maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL) {
        char *rest = NULL;
        uintptr_t begin = strtoull(line, &rest, 16);
        uintptr_t end = strtoull(rest + 1, &rest, 16);

        if (begin <= address && address < end) {
            mapping = (struct mapping){.begin = begin, .end = end};
            memcpy(mapping.access, rest + 1, 4);
        }
    }
    fclose(maps);
    return mapping;
}

/* The reservation around the addresses of a memory that has gone: in one piece, if there is no
 * other, and nothing of one is left. */
static struct mapping reservation_at(uintptr_t begin)
{
    struct mapping mapping = mapping_at(begin);

    HKT_TRUE(mapping.end - mapping.begin > 1000 * (size_t)GRANULE);
    HKT_EQ_STR(mapping.access, "---p");
    return mapping;
}

/* --- What is there ---------------------------------------------------------------------- */

static void the_page_says_where_all_lies(void)
{
    struct hki_pool_memory *memory = create(3, 5 * MIB);
    const struct hki_pool_page *page = memory->page;
    uint64_t channel_bytes = sizeof(struct hki_channel);

    HKT_EQ_INT(page->base, begin_of(memory));
    HKT_EQ_INT(page->bytes, memory->bytes);
    HKT_EQ_INT(page->channel_count, 3);
    HKT_TRUE(page->channels_at >= sizeof(*page));
    HKT_TRUE(page->channel_stride >= channel_bytes);
    HKT_EQ_INT(page->channels_at % 4096, 0);
    HKT_EQ_INT(page->channel_stride % 4096, 0);
    HKT_TRUE(page->overflow_at >= page->channels_at + 3 * page->channel_stride);
    HKT_EQ_INT(page->overflow_at % 4096, 0);
    HKT_TRUE(page->arena_at >= page->overflow_at + 3 * HKI_OVERFLOW_EXTENT);
    HKT_EQ_INT(page->arena_at % 4096, 0);
    HKT_EQ_INT(page->arena_bytes, 5 * MIB);
    HKT_TRUE(page->bytes >= page->arena_at + page->arena_bytes);
    HKT_EQ_PTR(hki_channel_of(page, 2),
               (char *)memory->page + page->channels_at + 2 * page->channel_stride);
    HKT_EQ_INT(mapping_at(begin_of(memory)).begin, begin_of(memory));
    HKT_TRUE(mapping_at(begin_of(memory)).end >= end_of(memory));
    hki_pool_memory_unref(memory);
}

static void all_of_it_can_be_written_and_most_is_sparse(void)
{
    struct hki_pool_memory *memory = create(2, MIB);
    struct hki_pool_page *page = memory->page;
    struct stat before = {0};
    struct stat after = {0};
    uint64_t fixed = page->channels_at + 2 * offsetof(struct hki_channel, pages);

    HKT_EQ_INT(fstat(memory->fd, &before), 0);
    HKT_EQ_INT(before.st_blocks * 512, fixed);
    memset(page->environment, 1, sizeof(page->environment));
    for (uint32_t i = 0; i < 2; i++) {
        memset(hki_channel_of(page, i)->cells, 1, sizeof(hki_channel_of(page, i)->cells));
    }
    HKT_EQ_INT(fstat(memory->fd, &after), 0);
    HKT_EQ_INT(after.st_blocks, before.st_blocks); /* It was there already. */
    memset(hki_channel_of(page, 1)->pages, 1, sizeof(hki_channel_of(page, 1)->pages));
    *(unsigned char *)hki_pool_at(page, page->overflow_at + 2 * HKI_OVERFLOW_EXTENT - 1) = 1;
    memset(hki_pool_at(page, page->arena_at), 1, page->arena_bytes);
    hki_pool_memory_unref(memory);
}

static void its_size_is_sealed(void)
{
    struct hki_pool_memory *memory = create(1, MIB);
    int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

    HKT_EQ_INT(fcntl(memory->fd, F_GET_SEALS) & wanted, wanted);
    HKT_EQ_INT(fcntl(memory->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    HKT_EQ_INT(ftruncate(memory->fd, 4096), -1);
    HKT_EQ_INT(ftruncate(memory->fd, (off_t)memory->bytes * 2), -1);
    HKT_EQ_INT(fcntl(memory->fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    hki_pool_memory_unref(memory);
}

/* --- Addresses ---------------------------------------------------------------------------- */

/* Also where the first one fills its last granule of addresses. */
static void nothing_can_be_reached_beside_it(void)
{
    struct hki_pool_memory *probe = create(1, MIB);
    uint64_t rest = GRANULE - probe->bytes % GRANULE;
    struct hki_pool_memory *first;
    struct hki_pool_memory *second;

    hki_pool_memory_unref(probe);
    first = create(1, MIB + rest);
    second = create(1, MIB);
    HKT_EQ_INT(first->bytes % GRANULE, 0);
    HKT_EQ_STR(mapping_at(begin_of(first)).access, "rw-s");
    HKT_EQ_STR(mapping_at(end_of(first)).access, "---p");
    HKT_EQ_STR(mapping_at(end_of(second)).access, "---p");
    hki_pool_memory_unref(first);
    hki_pool_memory_unref(second);
}

static void two_do_not_overlap_and_the_addresses_come_back(void)
{
    struct hki_pool_memory *first = create(1, MIB);
    struct hki_pool_memory *second = create(4, 100 * MIB);
    struct hki_pool_memory *third = create(1, MIB);
    uintptr_t at_first = begin_of(first);
    uintptr_t at_second = begin_of(second);

    HKT_TRUE(end_of(first) <= begin_of(second));
    HKT_TRUE(end_of(second) <= begin_of(third));
    hki_pool_memory_unref(second);
    HKT_EQ_STR(mapping_at(at_second).access, "---p");
    second = create(4, 100 * MIB);
    HKT_EQ_INT(begin_of(second), at_second);
    hki_pool_memory_unref(first);
    first = create(2, MIB); /* Does not fit into the first gap. */
    HKT_TRUE(begin_of(first) >= end_of(third));
    hki_pool_memory_unref(second);
    hki_pool_memory_unref(first);
    first = create(2, MIB); /* But into both. */
    HKT_EQ_INT(begin_of(first), at_first);
    hki_pool_memory_unref(first);
    hki_pool_memory_unref(third);
}

static void creating_and_ending_leaves_nothing(void)
{
    struct hki_pool_memory *first = create(1, MIB);
    uintptr_t at = begin_of(first);
    struct mapping before;
    struct mapping after;

    hki_pool_memory_unref(first);
    before = reservation_at(at);
    for (int i = 0; i < 200; i++) {
        struct hki_pool_memory *memory = create(2, 10 * MIB);

        memory->page->spin_ns = i;
        if (i % 2 == 0) {
            hki_os_close(memory->fd); /* As after sending it. */
            memory->fd = -1;
        }
        hki_pool_memory_unref(hki_pool_memory_ref(memory));
        memory->page->spin_ns++;
        hki_pool_memory_unref(memory);
    }
    after = reservation_at(at);
    HKT_TRUE(after.begin == before.begin && after.end == before.end);
}

static void more_than_all_addresses_is_refused(void)
{
    struct hki_pool_memory *memory = NULL;
    struct hki_pool_memory *many[16];
    size_t count = 0;

    HKT_STATUS(hki_pool_memory_create(1, UINT64_MAX, &memory), HK_ENOMEM);
    HKT_STATUS(hki_pool_memory_create(1, (uint64_t)1 << 59, &memory), HK_ENOMEM);
    HKT_STATUS(hki_pool_memory_create(4096, 0, &memory), HK_ENOMEM);
    while (count < 16 && hki_pool_memory_create(1, (uint64_t)20 << 30, &memory) == HK_OK) {
        many[count++] = memory;
    }
    HKT_TRUE(count < 16);
    while (count > 0) {
        hki_pool_memory_unref(many[--count]);
    }
}

/* Unless this process cannot have so many addresses at all. */
static void so_many_workers_as_a_pool_may_have_find_room(void)
{
    size_t wanted = (size_t)128 << 30;
    void *probe = mmap(NULL, wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct hki_pool_memory *memory;

    if (probe == MAP_FAILED) {
        return;
    }
    munmap(probe, wanted);
    memory = create(1024, (uint64_t)256 * MIB);
    HKT_EQ_INT(hki_channel_of(memory->page, 1023)->tail, 0);
    hki_pool_memory_unref(memory);
}

/* --- Giving pages back --------------------------------------------------------------------- */

static void what_is_discarded_reads_as_zero(void)
{
    struct hki_pool_memory *memory = create(1, MIB);
    uint64_t at = memory->page->arena_at;
    unsigned char *bytes = hki_pool_at(memory->page, at);
    /* Whole pages, pages in part, none whole, nothing. */
    static const size_t begins[] = {0, 4096, 100, 5000, 7000};
    static const size_t ends[] = {65536, 8192, 20000, 6000, 7000};
    struct stat before = {0};
    struct stat after = {0};

    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        size_t wrong = 0;

        memset(bytes, 1, 65536);
        HKT_EQ_INT(fstat(memory->fd, &before), 0);
        hki_pool_memory_discard(memory, at + begins[i], ends[i] - begins[i]);
        HKT_EQ_INT(fstat(memory->fd, &after), 0);
        HKT_EQ_INT((before.st_blocks - after.st_blocks) * 512, i == 0   ? 65536
                                                               : i == 1 ? 4096
                                                               : i == 2 ? 3 * 4096
                                                                        : 0);
        for (size_t n = 0; n < 65536; n++) {
            wrong += bytes[n] != !(begins[i] <= n && n < ends[i]);
        }
        HKT_EQ_INT(wrong, 0);
    }
    hki_pool_memory_unref(memory);
}

/* --- Other processes ------------------------------------------------------------------------ */

struct region {
    uintptr_t address;
    size_t bytes;
};

static void send_region(int socket, const struct hki_pool_memory *memory)
{
    struct region region = {begin_of(memory), memory->bytes};
    struct iovec part = {&region, sizeof(region)};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &memory->fd, sizeof(int));
    HKT_EQ_INT(sendmsg(socket, &message, MSG_NOSIGNAL), sizeof(region));
}

static struct region receive_region(int socket, int *fd)
{
    struct region region = {0, 0};
    struct iovec part = {&region, sizeof(region)};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};

    HKT_CHILD_TRUE(recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof(region));
    HKT_CHILD_TRUE(CMSG_FIRSTHDR(&message) != NULL);
    memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return region;
}

static int sockets[2];

/* Like a zygote: it was there before the memory was. */
static void map_in_child(void)
{
    int fd = -1;
    struct region region = receive_region(sockets[1], &fd);
    void *address = (void *)region.address;
    struct hki_pool_memory *own = NULL;

    HKT_CHILD_TRUE(hki_pool_memory_map_fixed(address, region.bytes, fd) == 0);
    HKT_CHILD_TRUE(((struct hki_pool_page *)address)->base == region.address);
    HKT_CHILD_TRUE(((struct hki_pool_page *)address)->spin_ns == 1111);
    ((struct hki_pool_page *)address)->spin_ns = 2222;
    /* Its own pools are elsewhere, until that one is gone. */
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &own), HK_OK);
    HKT_CHILD_TRUE(begin_of(own) >= region.address + region.bytes);
    HKT_CHILD_TRUE(hki_pool_memory_map_fixed((char *)own->page + GRANULE, MIB, fd) == -1);
    HKT_CHILD_TRUE(errno == EEXIST);
    hki_pool_memory_unref(own);
    hki_pool_memory_unmap_fixed(address, region.bytes);
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &own), HK_OK);
    HKT_CHILD_TRUE(begin_of(own) == region.address);
    hki_pool_memory_unref(own);
    HKT_CHILD_TRUE(hki_pool_memory_map_fixed(NULL, region.bytes, fd) == -1);
    HKT_CHILD_TRUE(errno == EINVAL);
    HKT_CHILD_TRUE(hki_pool_memory_map_fixed((char *)address + 4096, region.bytes, fd) == -1);
    HKT_CHILD_TRUE(errno == EINVAL);
    HKT_CHILD_TRUE(hki_pool_memory_map_fixed(address, region.bytes, sockets[1]) == -1);
    close(fd);
}

static void a_child_maps_it_at_the_same_address(void)
{
    struct hki_pool_memory *memory;
    int status = -1;
    pid_t pid;

    HKT_OK_FATAL(hki_pool_addresses_reserve());
    HKT_EQ_INT_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    fflush(NULL);
    pid = fork();
    HKT_TRUE_FATAL(pid >= 0);
    if (pid == 0) {
        alarm(60 * hkt_slowness());
        close(sockets[0]);
        map_in_child();
        _exit(0);
    }
    close(sockets[1]);
    memory = create(1, MIB);
    memory->page->spin_ns = 1111;
    send_region(sockets[0], memory);
    HKT_EQ_INT(waitpid(pid, &status, 0), pid);
    HKT_EQ_INT(status, 0);
    HKT_EQ_INT(memory->page->spin_ns, 2222);
    close(sockets[0]);
    hki_pool_memory_unref(memory);
}

static void unref_in_child(void *arg)
{
    struct hki_pool_memory *memory = arg;
    struct hki_pool_page *page = memory->page;
    struct hki_pool_memory *own = NULL;
    size_t bytes = memory->bytes;
    int fd = memory->fd;

    hki_pool_memory_unref(memory);
    HKT_CHILD_TRUE(page->spin_ns == 7);
    page->spin_ns = 8;
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &own), HK_OK);
    HKT_CHILD_TRUE(begin_of(own) >= (uintptr_t)page + bytes);
    hki_pool_memory_unref(own);
    /* The parent has ended the pool, and another one lies in part where it was. */
    HKT_CHILD_TRUE(hki_pool_memory_map_fixed((char *)page + GRANULE, GRANULE, fd) == 0);
    HKT_CHILD_TRUE(((struct hki_pool_page *)(void *)((char *)page + GRANULE))->spin_ns == 8);
}

static void a_child_forgets_it_without_harm(void)
{
    struct hki_pool_memory *memory = create(1, 8 * MIB);

    memory->page->spin_ns = 7;
    hkt_expect_good_child(unref_in_child, memory);
    HKT_EQ_INT(memory->page->spin_ns, 8);
    HKT_TRUE(fcntl(memory->fd, F_GETFD) >= 0);
    hki_pool_memory_unref(memory);
}

/* --- Limits ------------------------------------------------------------------------------- */

static void limit(unsigned resource, rlim_t value)
{
    struct rlimit now;

    HKT_CHILD_TRUE(getrlimit(resource, &now) == 0);
    now.rlim_cur = value;
    HKT_CHILD_TRUE(setrlimit(resource, &now) == 0);
}

static void create_without_descriptors(void *arg)
{
    struct hki_pool_memory *memory = NULL;
    struct mapping before;
    struct mapping after;
    uintptr_t at;

    (void)arg;
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &memory), HK_OK);
    at = begin_of(memory);
    hki_pool_memory_unref(memory);
    memory = NULL;
    before = mapping_at(at);
    limit(RLIMIT_NOFILE, 3);
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &memory), HK_ESYS);
    HKT_CHILD_TRUE(errno == EMFILE);
    limit(RLIMIT_NOFILE, 100);
    after = mapping_at(at);
    HKT_CHILD_TRUE(after.begin == before.begin && after.end == before.end);
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &memory), HK_OK);
    hki_pool_memory_unref(memory);
}

static void without_descriptors_the_system_refuses(void)
{
    hkt_expect_good_child(create_without_descriptors, NULL);
}

static void create_with_small_files(void *arg)
{
    struct hki_pool_memory *memory = NULL;
    sigset_t mask;
    sigset_t pending;

    (void)arg;
    limit(RLIMIT_FSIZE, MIB);
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &memory), HK_ENOMEM);
    /* The signal was neither delivered nor is it still to come. */
    HKT_CHILD_TRUE(sigpending(&pending) == 0 && !sigismember(&pending, SIGXFSZ));
    HKT_CHILD_TRUE(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0 && !sigismember(&mask, SIGXFSZ));
    /* One that was sent before is not swallowed. */
    sigaddset(&mask, SIGXFSZ);
    HKT_CHILD_TRUE(pthread_sigmask(SIG_BLOCK, &mask, NULL) == 0 && raise(SIGXFSZ) == 0);
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &memory), HK_ENOMEM);
    HKT_CHILD_TRUE(sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ));
}

static void a_limit_on_files_raises_no_signal(void)
{
    hkt_expect_good_child(create_with_small_files, NULL);
}

/* In a program of its own no addresses are reserved yet: this must be the first test. */
static void create_with_few_addresses(void *arg)
{
    struct hki_pool_memory *memory = NULL;

    (void)arg;
    limit(RLIMIT_AS, (rlim_t)20 << 30);
    HKT_CHILD_STATUS(hki_pool_memory_create(4, 64 * MIB, &memory), HK_OK);
    hki_pool_memory_unref(memory);
    HKT_CHILD_STATUS(hki_pool_memory_create(1, (uint64_t)9 << 30, &memory), HK_ENOMEM);
}

static void create_with_no_addresses(void *arg)
{
    struct hki_pool_memory *memory = NULL;

    (void)arg;
    limit(RLIMIT_AS, (rlim_t)3 << 30);
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &memory), HK_ESYS);
    HKT_CHILD_TRUE(errno == ENOMEM);
    limit(RLIMIT_AS, RLIM_INFINITY);
    HKT_CHILD_STATUS(hki_pool_memory_create(1, MIB, &memory), HK_OK);
    hki_pool_memory_unref(memory);
}

/* A sanitizer's own address space is larger than any of these limits. */
#define SANITIZED (HKI_ADDRESS_SANITIZER || HKI_THREAD_SANITIZER)

static void a_limit_on_addresses_reserves_fewer(void)
{
    if (SANITIZED) {
        return;
    }
    hkt_expect_good_child(create_with_few_addresses, NULL);
    hkt_expect_good_child(create_with_no_addresses, NULL);
}

static struct hki_pool_memory *made;

static void prepare_nothing(void)
{
    made = NULL;
}

static hk_status make(void)
{
    return hki_pool_memory_create(1, MIB, &made);
}

static void unmake(void)
{
    if (made != NULL) {
        hki_pool_memory_unref(made);
    }
}

static void without_memory_nothing_happens(void)
{
    static const struct hkt_allocation_case one = {"create", prepare_nothing, make, NULL,
                                                   NULL,     unmake,          false};

    hkt_fail_each_allocation(&one);
}

static CU_TestInfo memory_tests[] = {
    HKT_TEST(a_limit_on_addresses_reserves_fewer),
    HKT_TEST(the_page_says_where_all_lies),
    HKT_TEST(all_of_it_can_be_written_and_most_is_sparse),
    HKT_TEST(its_size_is_sealed),
    HKT_TEST(nothing_can_be_reached_beside_it),
    HKT_TEST(two_do_not_overlap_and_the_addresses_come_back),
    HKT_TEST(creating_and_ending_leaves_nothing),
    HKT_TEST(more_than_all_addresses_is_refused),
    HKT_TEST(so_many_workers_as_a_pool_may_have_find_room),
    HKT_TEST(what_is_discarded_reads_as_zero),
    HKT_TEST(a_child_maps_it_at_the_same_address),
    HKT_TEST(a_child_forgets_it_without_harm),
    HKT_TEST(without_descriptors_the_system_refuses),
    HKT_TEST(a_limit_on_files_raises_no_signal),
    HKT_TEST(without_memory_nothing_happens),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "pool memory", .pTests = memory_tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
