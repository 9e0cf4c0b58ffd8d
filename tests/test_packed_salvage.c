/* SPDX-License-Identifier: MIT */
/* What comes back from a worker that died in the middle of a chunk, or went mad. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "executors/packed_layout.h"
#include "tests/elsewhere_fixture.h"

enum { ITEMS = 6, AREA = 1 << 16 };

static struct hkt_elsewhere elsewhere;
static unsigned char *area; /* Shared with forked children, as a pool's memory is. */
static hk_map_iterator *iterator;
static hk_job *job; /* Of the one chunk of the map. */

/* When every item has an end of its own, the worker's is nobody's. */
static void ignore(const hk_error *error, void *arg)
{
    (void)arg;
    HKT_STATUS(error->status, HK_EWORKER);
}

static void set_up(void)
{
    void *memory = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    HKT_TRUE_FATAL(memory != MAP_FAILED);
    area = memory;
    hkt_elsewhere_open(&elsewhere, NULL);
    elsewhere.holds = true;
    hk_on_unobserved(ignore, NULL);
}

static void tear_down(void)
{
    hk_on_unobserved(NULL, NULL);
    hkt_elsewhere_close(&elsewhere);
    munmap(area, AREA);
}

/* --- Tasks --- */

static int dies_at; /* The number of the item. */

/* A number -> itself, often; every third fails. */
HK_TASK(may_die)
{
    unsigned char value[40];
    int n;

    memcpy(&n, in, sizeof(n));
    if (n == dies_at) {
        raise(SIGKILL);
    }
    if (n % 3 == 2) {
        return hk_fail(call, n, "no luck with %d", n);
    }
    memset(value, n, sizeof(value));
    return hk_return(call, value, sizeof(value));
}

static const unsigned char *given;
static size_t given_size;

/* What a mad worker sends for a chunk. */
HK_TASK(gives_other_bytes)
{
    return hk_return(call, given, given_size);
}

/* --- Maps of one chunk --- */

static void begin(const hk_task *task)
{
    static const int numbers[ITEMS] = {0, 1, 2, 3, 4, 5};
    static hk_array_source source;
    hk_map_options options = {.chunk = ITEMS, .label = "mine"};

    source = (hk_array_source){.items = numbers, .count = ITEMS, .stride = sizeof(int)};
    elsewhere.held_count = 0;
    HKT_OK_FATAL(
        hk_map(elsewhere.executor, task, hk_array_source_next, &source, &options, &iterator));
    HKT_EQ_INT_FATAL(elsewhere.held_count, 1);
    job = elsewhere.held[0];
}

static void expect_value(const hk_map_item *item)
{
    HKT_OK(item->status);
    if (HKT_EQ_INT(item->size, 40)) {
        for (size_t i = 0; i < item->size; i++) {
            HKT_EQ_INT(((const unsigned char *)item->data)[i], item->index);
        }
    }
}

static void expect_own_end(const hk_map_item *item)
{
    if (item->index % 3 != 2) {
        expect_value(item);
        return;
    }
    HKT_STATUS(item->status, HK_EFAILED);
    HKT_EQ_INT(item->error->app_code, item->index);
    HKT_EQ_STR(item->error->task, "may_die");
    HKT_EQ_STR(item->error->label, "mine");
    HKT_TRUE(strstr(item->error->submit_file, "test_packed_salvage.c") != NULL);
    HKT_TRUE(strstr(item->error->where, "worker") != NULL);
}

/* The first `finished` ended by themselves, the others as `rest` says. */
static void expect_ends(size_t finished, hk_status rest)
{
    hk_map_item item;

    for (size_t i = 0; i < ITEMS; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_EQ_INT(item.index, i);
        if (i < finished) {
            expect_own_end(&item);
        } else {
            HKT_STATUS(item.status, rest);
            HKT_EQ_INT(item.size, 0);
        }
        hk_map_item_drop(&item);
    }
    HKT_STATUS(hk_map_next(iterator, HK_FOREVER, &item), HK_EDONE);
    hk_map_destroy(iterator);
}

/* Runs the chunk in a process that dies at an item. */
static void run_and_die(int at, size_t area_size)
{
    int status = 0;
    pid_t child;

    dies_at = at;
    child = fork();
    HKT_TRUE_FATAL(child >= 0);
    if (child == 0) {
        struct hkt_result result = {.area = area, .area_size = area_size};

        hkt_run_by_link(job, &result);
        _exit(0);
    }
    HKT_EQ_INT(waitpid(child, &status, 0), child);
    HKT_TRUE(at >= ITEMS || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    dies_at = -1;
}

static void end_as_dead(size_t size)
{
    HKT_TRUE(job->expects > 0);
    job->salvage(job, area, size);
    hk_job_discard(job, HK_EWORKER, "the worker died");
}

/* --- A worker that died --- */

static void what_was_finished_is_delivered(void)
{
    for (int at = 0; at < ITEMS; at++) {
        begin(may_die);
        run_and_die(at, AREA);
        end_as_dead(AREA);
        memset(area, 0xee, AREA); /* Nothing shows the memory any more. */
        expect_ends((size_t)at, HK_EWORKER);
    }
}

static void what_did_not_fit_is_lost_with_the_worker(void)
{
    size_t room = sizeof(struct hki_packed_result) + 2 * (sizeof(struct hki_packed_record) + 48);
    struct hki_packed_head head;

    begin(may_die);
    memcpy(&head, job->input.data, sizeof(head));
    head.expects = room;
    memcpy(job->input.data, &head, sizeof(head));
    run_and_die(5, room);
    end_as_dead(room);
    expect_ends(2, HK_EWORKER);
}

static void old_bytes_are_not_taken_for_a_result(void)
{
    begin(may_die);
    run_and_die(4, AREA);
    end_as_dead(AREA);
    expect_ends(4, HK_EWORKER);
    begin(may_die); /* Its worker dies before it touches the memory. */
    end_as_dead(AREA);
    expect_ends(0, HK_EWORKER);
}

static void a_second_try_keeps_what_the_first_one_finished(void)
{
    begin(may_die);
    run_and_die(3, AREA);
    job->salvage(job, area, AREA);
    HKT_TRUE(hk_job_run(job, NULL, "worker 2"));
    expect_ends(ITEMS, HK_OK);
}

static void without_memory_for_a_copy_nothing_is_salvaged(void)
{
    hk_map_item item;

    begin(may_die);
    run_and_die(2, AREA);
    hki_memory_fail_at(1);
    job->salvage(job, area, AREA);
    HKT_EQ_INT(hki_memory_fail_at(0), 0);
    hk_job_discard(job, HK_EWORKER, "the worker died");
    for (int i = 0; i < ITEMS; i++) {
        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        HKT_STATUS(item.status, HK_EWORKER);
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
}

/* --- A result by a link --- */

static void values_are_made_in_the_reserved_memory(void)
{
    struct hkt_result result = {.area = area, .area_size = AREA};

    begin(may_die);
    dies_at = -1;
    hkt_run_by_link(job, &result);
    HKT_OK(result.status);
    HKT_EQ_PTR(result.bytes, area);
    HKT_TRUE(result.size > 0 && result.size < AREA);
    given = result.bytes;
    given_size = result.size;
    job->task = gives_other_bytes;
    HKT_TRUE(hk_job_run(job, NULL, "worker 1"));
    expect_ends(ITEMS, HK_OK);
}

static void too_little_room_costs_a_copy_and_nothing_else(void)
{
    dies_at = -1;
    for (size_t room = sizeof(struct hki_packed_result); room < 700; room += 24) {
        struct hkt_result result = {.area = area, .area_size = room};
        struct hki_packed_head head;

        begin(may_die);
        memcpy(&head, job->input.data, sizeof(head));
        head.expects = room;
        memcpy(job->input.data, &head, sizeof(head));
        hkt_run_by_link(job, &result);
        HKT_OK_FATAL(result.status);
        given = result.bytes;
        given_size = result.size;
        job->task = gives_other_bytes;
        HKT_TRUE(hk_job_run(job, NULL, "worker 1"));
        if (result.bytes != area) {
            hki_block_free(result.bytes);
        }
        expect_ends(ITEMS, HK_OK);
    }
}

/* --- A worker that went mad --- */

/* The result of a chunk that has just begun, for this one. */
static size_t valid_result(void)
{
    struct hkt_result result = {.area = area, .area_size = AREA};

    dies_at = -1;
    hkt_run_by_link(job, &result);
    HKT_OK_FATAL(result.status);
    HKT_EQ_PTR(result.bytes, area);
    return result.size;
}

/* Whatever came: every item has an end, and its value can be read. */
static size_t read_all(void)
{
    hk_map_item item;
    size_t good = 0;

    for (size_t i = 0; i < ITEMS; i++) {
        unsigned sum = 0;

        HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
        for (size_t k = 0; k < item.size; k++) {
            sum += ((const unsigned char *)item.data)[k];
        }
        HKT_TRUE(item.size == 0 || item.status == HK_OK);
        HKT_TRUE(item.status == HK_OK || item.status == HK_ECANCELED || item.error != NULL);
        good += item.status == HK_OK && sum <= 255 * item.size;
        hk_map_item_drop(&item);
    }
    hk_map_destroy(iterator);
    return good;
}

/* Both as the value of a job that ended, and as what is left of one that died; from a block
 * of exactly its size, so that a sanitizer sees a step beyond. */
static size_t deliver(const unsigned char *bytes, size_t size, bool died)
{
    unsigned char *copy = malloc(size == 0 ? 1 : size);

    HKT_TRUE_FATAL(copy != NULL);
    memcpy(copy, bytes, size);
    if (died) {
        job->salvage(job, copy, size);
        hk_job_discard(job, HK_EWORKER, "the worker died");
    } else {
        given = copy;
        given_size = size;
        job->task = gives_other_bytes;
        HKT_TRUE(hk_job_run(job, NULL, "worker 1"));
    }
    free(copy);
    return read_all();
}

static void a_result_that_was_cut_gives_what_is_whole(void)
{
    size_t size = 1;

    for (int died = 0; died < 2; died++) {
        for (size_t cut = 0; cut <= size; cut++) {
            size_t good;

            begin(may_die);
            size = valid_result();
            good = deliver(area, cut, died != 0);
            HKT_TRUE(cut < size ? good <= 4 : good == 4);
            HKT_TRUE(cut > 16 || good == 0);
        }
    }
}

static void any_changed_byte_is_survived(void)
{
    static const unsigned char changes[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff};
    size_t step = hkt_slowness();
    size_t size = 1;

    for (int died = 0; died < 2; died++) {
        for (size_t i = 0; i < size; i += step) {
            for (size_t k = 0; k < sizeof(changes); k++) {
                begin(may_die);
                size = valid_result();
                area[i] ^= changes[k];
                (void)deliver(area, size, died != 0);
            }
        }
    }
}

static void random_records_are_survived(void)
{
    enum { ROUNDS = 20000 };
    uint64_t seed = 88172645463325252U;

    for (unsigned round = 0; round < ROUNDS / hkt_slowness(); round++) {
        size_t size;

        begin(may_die);
        size = valid_result();
        /* The head stays, or else nothing is read. */
        for (size_t i = sizeof(struct hki_packed_result); i < size; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            if (seed % 16 < round % 16) {
                area[i] = (unsigned char)(seed >> 32);
            }
        }
        (void)deliver(area, size, round % 2 != 0);
    }
}

static void a_result_of_another_chunk_is_none(void)
{
    static unsigned char other[AREA];
    size_t size;

    begin(may_die);
    size = valid_result();
    memcpy(other, area, size);
    HKT_EQ_INT(deliver(other, size, false), 4);
    begin(may_die);
    HKT_EQ_INT(deliver(other, size, false), 0);
    begin(may_die);
    HKT_EQ_INT(deliver(other, 0, false), 0);
}

static void what_cannot_be_read_is_told_as_the_workers_fault(void)
{
    hk_map_item item;

    begin(may_die);
    given = (const unsigned char *)"nothing that was ever asked for";
    given_size = strlen((const char *)given);
    job->task = gives_other_bytes;
    HKT_TRUE(hk_job_run(job, NULL, "worker 1"));
    HKT_OK_FATAL(hk_map_next(iterator, HK_FOREVER, &item));
    HKT_STATUS(item.status, HK_EWORKER);
    HKT_TRUE(strstr(item.error->message, "cannot be read") != NULL);
    HKT_EQ_STR(item.error->task, "may_die");
    HKT_EQ_STR(item.error->label, "mine");
    hk_map_item_drop(&item);
    hk_map_destroy(iterator);
}

static CU_TestInfo tests[] = {
    HKT_TEST(what_was_finished_is_delivered),
    HKT_TEST(what_did_not_fit_is_lost_with_the_worker),
    HKT_TEST(old_bytes_are_not_taken_for_a_result),
    HKT_TEST(a_second_try_keeps_what_the_first_one_finished),
    HKT_TEST(without_memory_for_a_copy_nothing_is_salvaged),
    HKT_TEST(values_are_made_in_the_reserved_memory),
    HKT_TEST(too_little_room_costs_a_copy_and_nothing_else),
    HKT_TEST(a_result_that_was_cut_gives_what_is_whole),
    HKT_TEST(any_changed_byte_is_survived),
    HKT_TEST(random_records_are_survived),
    HKT_TEST(a_result_of_another_chunk_is_none),
    HKT_TEST(what_cannot_be_read_is_told_as_the_workers_fault),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "packed_salvage", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
