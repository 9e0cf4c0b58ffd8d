/* SPDX-License-Identifier: MIT */
/*
 * Workers that come and go, and pools that do: cases G48, G49, G53, G55 and G56.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/time.h"
#include "executors/process_pool/supervisor.h"
#include "tests/fault_fixture.h"

enum { AROUND = 20 };

/* --- G48: initialisers --- */

enum how_to_begin { BEGIN_WELL, BEGIN_FAILS, BEGIN_CRASHES, BEGIN_EXITS, BEGIN_HANGS };

/* How often what happens; older than the zygote, as it has to be. */
struct beginning {
    enum how_to_begin how;
    uint32_t times;
};

static struct beginning beginning;

static hk_status begins(hk_call *call, void *arg, void **local)
{
    const struct beginning *how = arg;

    *local = arg;
    if (atomic_fetch_add(&hkt_shared->word[0], 1) >= how->times) {
        return HK_OK;
    }
    switch (how->how) {
    case BEGIN_FAILS:
        return hk_fail(call, 5, "not in the mood");
    case BEGIN_CRASHES:
        abort();
    case BEGIN_EXITS:
        exit(0);
    case BEGIN_HANGS:
        while (hkt_shared != NULL) {
            (void)pause();
        }
        return HK_OK;
    default:
        return HK_OK;
    }
}

static hk_executor *begin(enum how_to_begin how, uint32_t times, hk_duration start_timeout)
{
    beginning = (struct beginning){how, times};
    atomic_store(&hkt_shared->word[0], 0);
    return hkt_fault_pool((hk_executor_options){.workers = 1,
                                                .initializer = begins,
                                                .worker_arg = &beginning,
                                                .start_timeout = start_timeout});
}

/* Each in a process of its own, as a zygote knows `beginning` as it was. */
static void fails_twice(enum how_to_begin how)
{
    hk_executor *pool = begin(how, 2, 0);
    struct hkt_squares squares;

    hkt_squares_submit(&squares, pool, AROUND);
    hkt_squares_expect(&squares);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started == 3);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(fails_before_it_succeeds)
{
    fails_twice(BEGIN_FAILS);
}

HKT_FAULT_CASE(crashes_before_it_succeeds)
{
    fails_twice(BEGIN_CRASHES);
}

static void fails_always(enum how_to_begin how)
{
    hk_executor *pool = begin(how, UINT32_MAX, 0);
    hk_future *futures[AROUND];
    const hk_error *error = NULL;

    for (int i = 0; i < AROUND; i++) {
        /* It may be broken by then. */
        hk_status status = hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, &futures[i]);

        HKT_CHILD_TRUE(status == HK_OK || status == HK_EINIT);
    }
    for (int i = 0; i < AROUND && futures[i] != NULL; i++) {
        HKT_CHILD_STATUS(hk_future_error(futures[i], HK_FOREVER, &error), HK_OK);
        HKT_CHILD_TRUE(error != NULL && error->status == HK_EINIT);
        hk_future_unref(futures[i]);
    }
    HKT_CHILD_STATUS(hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, NULL), HK_EINIT);
    HKT_CHILD_STATUS(hk_executor_prestart(pool, HK_FOREVER), HK_EINIT);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) == 0);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->word[0]) == 3);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(always_fails)
{
    fails_always(BEGIN_FAILS);
}

HKT_FAULT_CASE(always_crashes)
{
    fails_always(BEGIN_CRASHES);
}

HKT_FAULT_CASE(always_exits)
{
    fails_always(BEGIN_EXITS);
}

HKT_FAULT_CASE(hangs)
{
    hk_executor *pool = begin(BEGIN_HANGS, UINT32_MAX, HK_MS(100));
    hk_future *future = hkt_fault_submit(pool, hkt_fault_counts, NULL);

    hkt_fault_ends(future, HK_EBROKEN);
    HKT_CHILD_STATUS(hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, NULL), HK_EBROKEN);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(hangs_without_work)
{
    /* Long enough for the worker to come there, where everything is slow. */
    hk_executor *pool = begin(BEGIN_HANGS, UINT32_MAX, HK_MS(100) * hkt_slowness());

    HKT_CHILD_STATUS(hk_executor_prestart(pool, 0), HK_OK);
    hkt_fault_await(&hkt_shared->word[0], 1);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(hangs_and_is_killed)
{
    hk_executor *pool = begin(BEGIN_HANGS, UINT32_MAX, 0);
    hk_future *future = hkt_fault_submit(pool, hkt_fault_counts, NULL);

    hkt_fault_await(&hkt_shared->word[0], 1);
    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_KILL, HK_FOREVER), HK_OK);
    hkt_fault_ends(future, HK_ECANCELED);
    hkt_fault_close(pool);
}

/* --- G49: a worker for each task --- */

HKT_FAULT_CASE(one_task_a_worker)
{
    enum { TASKS = 300 };
    int count = TASKS / (int)hkt_slowness();
    hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 3, .tasks_per_worker = 1});
    struct hkt_squares squares;

    for (int done = 0; done < count; done += AROUND) {
        hkt_squares_submit(&squares, pool, AROUND);
        HKT_CHILD_TRUE(hkt_fault_stats(pool).workers <= 3);
        hkt_squares_expect(&squares);
    }
    HKT_CHILD_TRUE(hkt_fault_stats(pool).workers_started >= (unsigned)count);
    HKT_CHILD_TRUE(hkt_fault_stats(pool).failed == 0);
    hkt_fault_close(pool);
}

/* --- G53: no worker --- */

HKT_FAULT_CASE(no_worker_to_be_had)
{
    hk_executor *pool;
    hk_future *futures[AROUND];

    HKT_CHILD_TRUE(hki_fault_set("fork_fails", HKI_FAULT_ZYGOTE, HKI_FAULT_EVERY, HKI_FAULT_FAILS));
    pool = hkt_fault_pool((hk_executor_options){.workers = 2, .start_timeout = HK_MS(100)});
    for (int i = 0; i < AROUND; i++) {
        futures[i] = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    }
    for (int i = 0; i < AROUND; i++) {
        hkt_fault_ends(futures[i], HK_EBROKEN);
    }
    HKT_CHILD_STATUS(hk_submit(pool, hkt_fault_counts, NULL, 0, NULL, NULL), HK_EBROKEN);
    hkt_fault_close(pool);
}

/* --- G55: a thousand pools --- */

static unsigned count_lines(const char *path)
{
    unsigned count = 0;
    int byte;
    FILE *file = fopen(path, "re");

    HKT_CHILD_TRUE(file != NULL);
    while ((byte = getc(file)) != EOF) {
        count += byte == '\n' ? 1 : 0;
    }
    fclose(file);
    return count;
}

static int lowest_descriptor(void)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    return fd;
}

struct census {
    unsigned mappings;
    unsigned zygote_mappings;
    int lowest;
    unsigned zygote_descriptors;
};

/* The zygote's, through its own numbers. */
static unsigned count_descriptors(int32_t pid)
{
    char path[64];
    char target[64];
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
        count += readlink(path, target, sizeof(target)) >= 0 ? 1 : 0;
    }
    return count;
}

static bool has_no_children(void *pid)
{
    char path[64];
    char byte;
    size_t got;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", *(int32_t *)pid, *(int32_t *)pid);
    file = fopen(path, "re");
    HKT_CHILD_TRUE(file != NULL);
    got = fread(&byte, 1, 1, file);
    fclose(file);
    return got == 0;
}

static struct census take_census(void)
{
    int32_t zygote = hki_zygote_pid();
    struct census census;
    char path[64];

    HKT_CHILD_TRUE(hkt_eventually(has_no_children, &zygote));
    snprintf(path, sizeof(path), "/proc/%d/maps", zygote);
    census.mappings = count_lines("/proc/self/maps");
    census.zygote_mappings = count_lines(path);
    census.zygote_descriptors = count_descriptors(zygote);
    census.lowest = lowest_descriptor();
    return census;
}

static struct census before;

/* The zygote may be busy with the last pool still. What malloc() and the C library keep may
 * add a few mappings at first. */
static bool is_as_before(void *nothing)
{
    enum { MAPPINGS_MORE = 8 };
    struct census now = take_census();

    (void)nothing;
    return now.lowest == before.lowest && now.zygote_descriptors <= before.zygote_descriptors &&
           now.mappings <= before.mappings + MAPPINGS_MORE &&
           now.zygote_mappings <= before.zygote_mappings + MAPPINGS_MORE;
}

HKT_FAULT_CASE(a_thousand_pools)
{
    enum { POOLS = 1000, FIRST = 20 };
    int count = POOLS / (int)hkt_slowness();

    for (int i = 0; i < FIRST + count; i++) {
        hk_executor *pool = hkt_fault_pool((hk_executor_options){.workers = 1});

        if (i % 4 != 0) {
            hkt_fault_works(pool);
        }
        hkt_fault_close(pool);
        if (i == FIRST) {
            before = take_census();
        }
    }
    HKT_CHILD_TRUE(hkt_eventually(is_as_before, NULL));
}

/* --- G56: a small /dev/shm --- */

static atomic_bool *has_no_rights; /* Set by the case's process, read by the test. */

static void with_small_dev_shm(void)
{
    hk_executor *pool;
    struct hkt_squares squares;
    hk_future *future = NULL;
    static unsigned char bytes[4 << 20];

    /* Not everybody may. */
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=64k") != 0) {
        atomic_store(has_no_rights, true);
        return;
    }
    pool = hkt_fault_pool((hk_executor_options){.workers = 2});
    hkt_squares_submit(&squares, pool, AROUND);
    hkt_squares_expect(&squares);
    HKT_CHILD_STATUS(hk_submit(pool, hkt_echo, bytes, sizeof(bytes), NULL, &future), HK_OK);
    hkt_fault_ends(future, HK_OK);
    hkt_fault_close(pool);
}

static void small_dev_shm(void)
{
    has_no_rights = hkt_shared_new(sizeof(*has_no_rights));
    hkt_fault_run(with_small_dev_shm);
    if (atomic_load(has_no_rights)) {
        hkt_not_here("this process may not mount a /dev/shm of its own");
    }
}

/* --- What a worker prints, and what the parent says --- */

HK_TASK(prints)
{
    printf("printed");
    return HK_OK;
}

/* Another task stands behind it, so that the worker has no rest in between. */
HKT_FAULT_CASE(output_is_out_with_the_end)
{
    char text[16] = "";
    hk_executor *pool;
    hk_future *printing;
    hk_future *standing;
    int own = dup(STDOUT_FILENO);
    int ends[2];

    HKT_CHILD_TRUE(own >= 0 && pipe(ends) == 0 && dup2(ends[1], STDOUT_FILENO) >= 0);
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    hkt_fault_works(pool);
    printing = hkt_fault_submit(pool, prints, NULL);
    standing = hkt_fault_submit(pool, hkt_fault_stands, NULL);
    hkt_fault_ends(printing, HK_OK);
    HKT_CHILD_TRUE(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    HKT_CHILD_TRUE(read(ends[0], text, sizeof(text) - 1) == 7 && strcmp(text, "printed") == 0);
    hkt_fault_open_gate();
    hkt_fault_ends(standing, HK_OK);
    hkt_fault_close(pool);
    HKT_CHILD_TRUE(dup2(own, STDOUT_FILENO) >= 0);
}

static hk_executor *logging;
static atomic_uint lines;
static bool joins; /* The pool is to end with what is logged. */

/* A hook may ask the pool that it is told of, and keeps neither who waits nor who hears of
 * deaths; but it cannot wait for its end, of which it is a part. */
static void ask_the_pool(hk_log_level level, const char *text, void *arg)
{
    hk_executor_statistics statistics;
    char thread[16] = "";

    (void)level;
    (void)text;
    (void)arg;
    HKT_CHILD_TRUE(pthread_getname_np(pthread_self(), thread, sizeof(thread)) == 0);
    HKT_CHILD_TRUE(strcmp(thread, "hk-courier") == 0);
    HKT_CHILD_STATUS(hk_executor_stats(logging, &statistics), HK_OK);
    if (joins) {
        HKT_CHILD_STATUS(hk_executor_shutdown(logging, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_EDEADLK);
    }
    atomic_fetch_add(&lines, 1);
}

static hk_status closes_everything(hk_call *call, void *arg, void **local)
{
    (void)call;
    (void)arg;
    (void)local;
    for (int fd = STDERR_FILENO + 1; fd < 256; fd++) {
        close(fd);
    }
    return HK_OK;
}

HKT_FAULT_CASE(initialiser_closes_descriptors)
{
    logging = hkt_fault_pool((hk_executor_options){.workers = 1, .initializer = closes_everything});
    joins = true;
    hk_on_log(ask_the_pool, NULL);
    hkt_fault_ends(hkt_fault_submit(logging, hkt_fault_counts, NULL), HK_EINIT);
    HKT_CHILD_TRUE(atomic_load(&hkt_shared->runs) == 0);
    hkt_fault_close(logging);
    hk_on_log(NULL, NULL);
    HKT_CHILD_TRUE(atomic_load(&lines) != 0);
}

/* Tasks that are left are drained, or are told why not. */
HKT_FAULT_CASE(initialiser_fails_in_a_drain)
{
    hk_executor *pool =
        hkt_fault_pool((hk_executor_options){.workers = 1, .initializer = closes_everything});
    hk_future *left = hkt_fault_submit(pool, hkt_fault_counts, NULL);

    HKT_CHILD_STATUS(hk_executor_shutdown(pool, HK_SHUTDOWN_DRAIN, HK_FOREVER), HK_OK);
    hkt_fault_ends(left, HK_EINIT);
    HKT_CHILD_STATUS(hk_executor_destroy(pool), HK_OK);
}

/* The first refusals come at once, the next are waited for. */
HKT_FAULT_CASE(forks_are_waited_for_in_peace)
{
    enum { REFUSED = 5, RINGS = 500 }; /* Who rings himself has more in a millisecond or two. */
    hk_executor_statistics statistics;
    hk_executor *pool;
    hk_future *one;
    hk_future *other;
    unsigned rings;

    HKT_CHILD_TRUE(
        hki_fault_set("fork_fails", HKI_FAULT_ANYBODY, HKI_FAULT_EVERY, HKI_FAULT_FAILS));
    pool = hkt_fault_pool((hk_executor_options){.workers = 1});
    rings = atomic_load(&hki_zygote_parent.rings);
    one = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    while (hki_fault_passes("fork_fails", HKI_FAULT_ANYBODY) < REFUSED) {
        (void)sched_yield();
    }
    HKT_CHILD_TRUE(atomic_load(&hki_zygote_parent.rings) - rings < RINGS);
    do {
        rings = atomic_load(&hki_zygote_parent.rings);
        HKT_CHILD_STATUS(hk_executor_stats(pool, &statistics), HK_OK);
    } while (statistics.workers != 0);
    /* For this one start_timeout begins now: the supervisor is to see it. */
    other = hkt_fault_submit(pool, hkt_fault_counts, NULL);
    HKT_CHILD_TRUE(atomic_load(&hki_zygote_parent.rings) != rings);
    hki_fault_release("fork_fails", HKI_FAULT_ANYBODY);
    hkt_fault_ends(one, HK_OK);
    hkt_fault_ends(other, HK_OK);
    hkt_fault_close(pool);
}

HKT_FAULT_CASE(forks_fail_and_are_told)
{
    HKT_CHILD_TRUE(hki_fault_set("fork_fails", HKI_FAULT_ANYBODY, 1, HKI_FAULT_FAILS));
    logging = hkt_fault_pool((hk_executor_options){.workers = 1});
    hk_on_log(ask_the_pool, NULL);
    hkt_fault_works(logging);
    hkt_fault_close(logging);
    hk_on_log(NULL, NULL);
    HKT_CHILD_TRUE(atomic_load(&lines) != 0);
}

static CU_TestInfo tests[] = {
    HKT_CASE("G48 an initialiser that fails twice is tried again", fails_before_it_succeeds),
    HKT_CASE("G48 so is one that crashes", crashes_before_it_succeeds),
    HKT_CASE("G48 one that always fails breaks the pool at the third time", always_fails),
    HKT_CASE("G48 so does one that always crashes", always_crashes),
    HKT_CASE("G48 so does one that always exits", always_exits),
    HKT_CASE("G48 one that hangs breaks the pool at its limit", hangs),
    HKT_CASE("G48 one that hangs keeps no idle pool from its end", hangs_without_work),
    HKT_CASE("G48 one that hangs can be killed", hangs_and_is_killed),
    HKT_CASE("G49 a worker for each task loses none", one_task_a_worker),
    HKT_CASE("G53 without any worker to be had tasks end all the same", no_worker_to_be_had),
    HKT_CASE("G55 a thousand pools leave nothing open, mapped or alive", a_thousand_pools),
    HKT_CASE("G56 a small /dev/shm is no matter", small_dev_shm),
    HKT_CASE("what a task printed is out when its end is told", output_is_out_with_the_end),
    HKT_CASE("an initialiser that closes its worker's descriptors has failed",
             initialiser_closes_descriptors),
    HKT_CASE("an initialiser that fails in a drain is told", initialiser_fails_in_a_drain),
    HKT_CASE("forks that fail are waited for in peace", forks_are_waited_for_in_peace),
    HKT_CASE("a hook that is told of a worker that could not be forked may ask the pool",
             forks_fail_and_are_told),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "faults.life", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
