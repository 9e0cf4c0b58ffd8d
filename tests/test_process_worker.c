/* SPDX-License-Identifier: MIT */
/* A worker process that serves: inputs, results, failures, and who is told when. */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/spill.h"
#include "tests/worker_fixture.h"

enum { BIG = 300000 };

/* What tasks, in their own process, let the test know and the other way round. */
struct shared {
    atomic_int started;
    atomic_int go;
};

static struct shared *shared;
static struct hkt_worker worker;
static unsigned char pattern[BIG];

static void set_up(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    HKT_TRUE_FATAL(shared != MAP_FAILED);
    for (size_t i = 0; i < sizeof(pattern); i++) {
        pattern[i] = (unsigned char)(i * 7 + i / 251);
    }
    hkt_worker_open(&worker);
}

static void tear_down(void)
{
    hkt_worker_close(&worker);
    munmap(shared, sizeof(*shared));
}

static bool has_started(void *arg)
{
    (void)arg;
    return atomic_load(&shared->started) != 0;
}

static bool may_go(void *arg)
{
    (void)arg;
    return atomic_load(&shared->go) != 0;
}

/* --- Tasks --- */

static void fill(void *out, size_t size)
{
    unsigned char *at = out;

    for (size_t i = 0; i < size; i++) {
        at[i] = (unsigned char)(i * 7 + i / 251);
    }
}

HK_TASK(makes_bytes)
{
    size_t size;
    void *out;
    hk_status status;

    memcpy(&size, in, sizeof(size));
    if ((status = hk_return_reserve(call, size, &out)) == HK_OK && size != 0) {
        fill(out, size);
    }
    return status;
}

HK_TASK(sums_bytes)
{
    const unsigned char *bytes = in;
    uint64_t sum = 0;

    for (size_t i = 0; i < in_size; i++) {
        sum = sum * 31 + bytes[i];
    }
    return hk_return(call, &sum, sizeof(sum));
}

/* -> the input but for its first 100 bytes. */
HK_TASK(returns_rest)
{
    return hk_return(call, (const char *)in + 100, in_size - 100);
}

/* A part of what it has made, twice: the rooms overlap. */
HK_TASK(returns_own_part)
{
    unsigned char *out;
    void *room;

    HKT_CHILD_STATUS(hk_return_reserve(call, BIG, &room), HK_OK);
    fill(room, BIG);
    out = room;
    HKT_CHILD_STATUS(hk_return(call, out + 7, 70000), HK_OK);
    HKT_CHILD_STATUS(hk_return_reserve(call, 3000, &room), HK_OK);
    fill(room, 3000);
    out = room;
    return hk_return(call, out + 1, 2000);
}

HK_TASK(returns_buffer)
{
    hk_buffer *buffer;

    HKT_CHILD_STATUS(hk_buffer_create(hk_call_executor(call), 5000, &buffer), HK_OK);
    fill(hk_buffer_data(buffer), 5000);
    return hk_return_buffer(call, buffer);
}

HK_TASK(returns_reference)
{
    static int referred;

    HKT_CHILD_STATUS(hk_return_ref(call, &referred, NULL), HK_EPORTABLE);
    return HK_OK;
}

HK_TASK(fails_with_7)
{
    return hk_fail(call, 7, "no luck");
}

HK_TASK(makes_too_much)
{
    void *out;

    return hk_return_reserve(call, ((size_t)1 << 30) + 1, &out);
}

HK_TASK(cancels_itself)
{
    return HK_ECANCELED;
}

HK_TASK(waits_to_go)
{
    atomic_store(&shared->started, 1);
    while (!may_go(NULL)) {
        sched_yield();
    }
    return HK_OK;
}

HK_TASK(takes_second_fd)
{
    struct stat stat;
    ino_t inode;
    int fd = -1;

    HKT_CHILD_STATUS(hk_call_take_fd(call, 2, &fd), HK_EINVAL);
    if (hk_call_take_fd(call, 1, &fd) != HK_OK || fstat(fd, &stat) != 0 ||
        hk_call_take_fd(call, 1, &fd) != HK_ESTATE) {
        return hk_fail(call, 1, "no second descriptor");
    }
    inode = stat.st_ino;
    close(fd);
    return hk_return(call, &inode, sizeof(inode));
}

static uint64_t sum_of(const unsigned char *bytes, size_t size)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum = sum * 31 + bytes[i];
    }
    return sum;
}

/* --- Tests --- */

static void results_find_their_place(void)
{
    static const struct {
        size_t size;
        uint64_t reserved;
        enum hki_output_place place;
    } cases[] = {
        {0, 0, HKI_OUTPUT_CELL},           {1, 0, HKI_OUTPUT_CELL},
        {16, 0, HKI_OUTPUT_CELL},          {17, 0, HKI_OUTPUT_PAGE},
        {4096, 8192, HKI_OUTPUT_PAGE},     {4097, 8192, HKI_OUTPUT_RESERVED},
        {8192, 8192, HKI_OUTPUT_RESERVED}, {8193, 8192, HKI_OUTPUT_OVERFLOW},
        {BIG, 0, HKI_OUTPUT_OVERFLOW},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hki_cell *cell =
            hkt_worker_run(&worker, &(struct hkt_request){.task = makes_bytes,
                                                          .in = &cases[i].size,
                                                          .in_size = sizeof(cases[i].size),
                                                          .reserved_at = worker.page->arena_at,
                                                          .reserved_size = cases[i].reserved});

        hkt_worker_expect(&worker, cell, cases[i].place, pattern, cases[i].size);
    }
    HKT_EQ_INT(atomic_load(&worker.channel->served), sizeof(cases) / sizeof(cases[0]));
}

static void inputs_are_read_where_they_are(void)
{
    uint64_t sum = sum_of(pattern, 48);
    struct hki_cell *cell = hkt_worker_run(
        &worker, &(struct hkt_request){.task = sums_bytes, .in = pattern, .in_size = 48});

    hkt_worker_expect(&worker, cell, HKI_OUTPUT_CELL, &sum, sizeof(sum));
    memcpy(hki_pool_at(worker.page, worker.page->arena_at), pattern, BIG);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = sums_bytes,
                                                         .place = HKI_INPUT_ARENA,
                                                         .input_at = worker.page->arena_at,
                                                         .in_size = BIG});
    sum = sum_of(pattern, BIG);
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_CELL, &sum, sizeof(sum));
}

static int spill_of_pattern(void)
{
    void *data;
    int fd;

    HKT_OK_FATAL(hki_spill_create(BIG, &fd, &data));
    memcpy(data, pattern, BIG);
    HKT_OK_FATAL(hki_spill_seal(fd, data, BIG));
    return fd;
}

static void a_spilled_input_is_read(void)
{
    uint64_t sum = sum_of(pattern, BIG);
    int fd = spill_of_pattern();
    struct hki_cell *cell;

    hkt_worker_send(&worker, worker.tail, &fd, 1);
    close(fd);
    cell = hkt_worker_run(
        &worker,
        &(struct hkt_request){.task = sums_bytes, .place = HKI_INPUT_SPILL, .in_size = BIG});
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_CELL, &sum, sizeof(sum));
}

static void a_part_of_the_input_is_not_copied(void)
{
    struct hki_cell *cell;

    memcpy(hki_pool_at(worker.page, worker.page->arena_at), pattern, 10000);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = returns_rest,
                                                         .place = HKI_INPUT_ARENA,
                                                         .input_at = worker.page->arena_at,
                                                         .in_size = 10000});
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_INPUT, pattern + 100, 9900);
    HKT_EQ_INT(cell->output_at, worker.page->arena_at + 100);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = returns_rest,
                                                         .place = HKI_INPUT_ARENA,
                                                         .input_at = worker.page->arena_at,
                                                         .in_size = 116});
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_CELL, pattern + 100, 16);
}

static void values_may_overlap(void)
{
    unsigned char expected[2001];
    struct hki_cell *cell =
        hkt_worker_run(&worker, &(struct hkt_request){.task = returns_own_part});

    fill(expected, sizeof(expected));
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_PAGE, expected + 1, 2000);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = returns_buffer});
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_OVERFLOW, pattern, 5000);
}

/* Three of 300 units fit into the extent of 1024; the fourth does not. */
static void chunks_are_used_again(void)
{
    size_t size = (size_t)HKI_OVERFLOW_UNIT * 80;
    uint64_t first = 0;

    for (unsigned i = 0; i < 8; i++) {
        struct hki_cell *cell = hkt_worker_run(
            &worker,
            &(struct hkt_request){.task = makes_bytes, .in = &size, .in_size = sizeof(size)});

        if (i < 3) {
            HKT_EQ_INT(cell->output_place, HKI_OUTPUT_OVERFLOW);
        } else if (i == 3) {
            /* No room is left, and nothing was given back. */
            HKT_EQ_INT(cell->output_place, HKI_OUTPUT_SPILL);
        } else {
            HKT_EQ_INT(cell->output_place, HKI_OUTPUT_OVERFLOW);
            HKT_EQ_INT(cell->output_at, first);
        }
        if (i == 0) {
            first = cell->output_at;
            HKT_EQ_INT(first, worker.page->overflow_at);
        }
        if (i >= 3) {
            atomic_fetch_add(&worker.channel->returned[0], 1);
        }
        if (i == 3) {
            uint32_t number;
            size_t count;
            int fd;

            HKT_EQ_INT(
                hki_receive_fds(worker.socket, &number, sizeof(number), &fd, 1, &count, false),
                sizeof(number));
            HKT_EQ_INT(count, 1);
            close(fd);
        }
    }
}

static void what_finds_no_room_is_spilled(void)
{
    size_t size = BIG;
    struct hki_fds_message message = {0};
    struct hki_cell *cell;
    size_t count = 0;
    void *data;
    int fd;

    atomic_store(&worker.channel->overflow_allowed, 0);
    cell = hkt_worker_run(
        &worker, &(struct hkt_request){.task = makes_bytes, .in = &size, .in_size = sizeof(size)});
    HKT_STATUS(cell->outcome, HK_OK);
    HKT_EQ_INT(cell->output_place, HKI_OUTPUT_SPILL);
    HKT_EQ_INT(cell->output_size, size);
    /* It was sent before the request was done. */
    HKT_EQ_INT(hki_receive_fds(worker.socket, &message, sizeof(message), &fd, 1, &count, false),
               sizeof(message));
    HKT_EQ_INT(message.request, 0);
    HKT_EQ_INT_FATAL(count, 1);
    HKT_OK_FATAL(hki_spill_open(fd, size, &data));
    HKT_TRUE(memcmp(data, pattern, size) == 0);
    hki_spill_close(data, size);
}

static void failures_cross(void)
{
    struct hki_cell *cell = hkt_worker_run(&worker, &(struct hkt_request){.task = fails_with_7});
    struct hki_error *error = hkt_worker_error(&worker, cell, HK_EFAILED);

    HKT_EQ_INT(error->shown.app_code, 7);
    HKT_EQ_STR(error->shown.message, "no luck");
    HKT_EQ_STR(error->shown.where, "worker played_0");
    hki_error_unref(error);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = fails_with_7, .is_unknown = true});
    error = hkt_worker_error(&worker, cell, HK_EFAILED);
    HKT_EQ_STR(error->shown.task, "unknown");
    hki_error_unref(error);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = returns_reference});
    error = hkt_worker_error(&worker, cell, HK_EFAILED);
    HKT_TRUE(error->shown.cause != NULL);
    HKT_STATUS(error->shown.cause == NULL ? HK_OK : error->shown.cause->status, HK_EPORTABLE);
    hki_error_unref(error);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = makes_too_much});
    error = hkt_worker_error(&worker, cell, HK_EFAILED);
    HKT_STATUS(error->shown.cause == NULL ? HK_OK : error->shown.cause->status, HK_ETOOBIG);
    hki_error_unref(error);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = cancels_itself});
    HKT_STATUS(cell->outcome, HK_ECANCELED);
    HKT_EQ_INT(cell->output_size, 0);
}

static void withdrawn_requests_are_passed_over(void)
{
    static const struct hkt_request queued = {.task = fails_with_7, .fd_count = 1};
    int fd = STDERR_FILENO;
    uint32_t withdrawn[2];
    uint32_t last;

    (void)hkt_worker_push(&worker, &(struct hkt_request){.task = waits_to_go});
    HKT_TRUE_FATAL(hkt_eventually(has_started, NULL));
    for (size_t i = 0; i < 2; i++) {
        hkt_worker_send(&worker, worker.tail, &fd, 1);
        withdrawn[i] = hkt_worker_push(&worker, &queued);
        atomic_store(&hkt_worker_cell(&worker, withdrawn[i])->state,
                     hki_cell_word(withdrawn[i], HKI_CELL_WITHDRAWN));
    }
    last = hkt_worker_push(&worker, &(struct hkt_request){.task = cancels_itself});
    atomic_store(&shared->go, 1);
    HKT_TRUE_FATAL(hkt_worker_await(&worker, last));
    for (size_t i = 0; i < 2; i++) {
        HKT_EQ_INT(atomic_load(&hkt_worker_cell(&worker, withdrawn[i])->state),
                   hki_cell_word(withdrawn[i], HKI_CELL_WITHDRAWN));
    }
    HKT_STATUS(hkt_worker_cell(&worker, last)->outcome, HK_ECANCELED);
    HKT_EQ_INT(atomic_load(&worker.channel->served), 2);
}

static void descriptors_arrive(void)
{
    struct stat stat;
    int fds[3];
    struct hki_cell *cell;

    HKT_EQ_INT_FATAL(pipe(fds + 1), 0);
    HKT_EQ_INT_FATAL(fstat(fds[2], &stat), 0);
    fds[0] = spill_of_pattern();
    /* Mail of a request that was withdrawn before the worker came to it is thrown away. */
    hkt_worker_send(&worker, worker.tail - 5, fds, 2);
    hkt_worker_send(&worker, worker.tail, fds + 1, 2);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = takes_second_fd, .fd_count = 2});
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_CELL, &stat.st_ino, sizeof(stat.st_ino));
    hkt_worker_send(&worker, worker.tail, fds, 3);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = takes_second_fd,
                                                         .fd_count = 2,
                                                         .place = HKI_INPUT_SPILL,
                                                         .in_size = BIG});
    hkt_worker_expect(&worker, cell, HKI_OUTPUT_CELL, &stat.st_ino, sizeof(stat.st_ino));
    /* What was not taken has been closed in the worker: the end of the pipe is seen. */
    close(fds[0]);
    close(fds[2]);
    HKT_EQ_INT(read(fds[1], &stat, sizeof(stat)), 0);
    close(fds[1]);
}

static void missing_descriptors_are_told(void)
{
    int fd = STDERR_FILENO;
    struct hki_cell *cell;

    hkt_worker_send(&worker, worker.tail + 1, &fd, 1);
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = takes_second_fd, .fd_count = 1});
    hki_error_unref(hkt_worker_error(&worker, cell, HK_ESYS));
    /* It was for the next one, which has it; but not both. */
    cell = hkt_worker_run(&worker, &(struct hkt_request){.task = takes_second_fd, .fd_count = 2});
    hki_error_unref(hkt_worker_error(&worker, cell, HK_ESYS));
}

static void all_cells_are_served_again_and_again(void)
{
    for (unsigned round = 0; round < 20; round++) {
        uint32_t last = 0;

        for (unsigned i = 0; i < HKI_CELLS; i++) {
            last = hkt_worker_prepare(&worker, &(struct hkt_request){.task = sums_bytes,
                                                                     .in = pattern + i + round,
                                                                     .in_size = 48});
        }
        hkt_worker_give(&worker);
        HKT_TRUE_FATAL(hkt_worker_await(&worker, last));
        for (unsigned i = 0; i < HKI_CELLS; i++) {
            uint64_t sum = sum_of(pattern + i + round, 48);

            hkt_worker_expect(&worker, &worker.channel->cells[i], HKI_OUTPUT_CELL, &sum,
                              sizeof(sum));
        }
    }
}

static CU_TestInfo tests[] = {
    HKT_CASE("a result lies in the smallest place that holds it", results_find_their_place),
    HKT_CASE("an input is read where it is", inputs_are_read_where_they_are),
    HKT_CASE("a spilled input is read", a_spilled_input_is_read),
    HKT_CASE("a part of the input is returned without a copy", a_part_of_the_input_is_not_copied),
    HKT_CASE("a value may be a part of the value before", values_may_overlap),
    HKT_CASE("what the parent gave back of the extent is used again", chunks_are_used_again),
    HKT_CASE("what finds no room is sent in a file of its own", what_finds_no_room_is_spilled),
    HKT_CASE("failures cross with all they say", failures_cross),
    HKT_CASE("withdrawn requests are passed over", withdrawn_requests_are_passed_over),
    HKT_CASE("descriptors arrive in their order, and those left are closed", descriptors_arrive),
    HKT_CASE("descriptors that are missing fail the task alone", missing_descriptors_are_told),
    HKT_CASE("all cells are served again and again", all_cells_are_served_again_and_again),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process worker", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
