/* SPDX-License-Identifier: MIT */
/*
 * A pool of processes whose workers die all the time, with exact accounts.
 *
 *     chaos --tasks 100000 --kills 2000 --workers 4 --seed 1 [--idempotent]
 *
 * Workers are killed from outside, at random moments; and one in some hundred tasks ends
 * its worker, each in its own way. Every future has to end exactly once, with the right value
 * or with the loss of the worker; a task that is not idempotent runs at most once; one that is
 * succeeds unless it was there when three workers died; no more tasks are lost than workers
 * were killed; and in the end nothing is alive, open, mapped, or running.
 */
#include <getopt.h>
#include <hocket/hocket.h>
#include <hocket/process_pool.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/live.h"
#include "executors/process_pool/zygote.h"

enum { WINDOW = 512, WORKERS_MAX = 64, CRASH_IN = 300, POISON_IN = 1500, VALUE_MAX = 100000 };

/* Before the zygote, so the workers have them too. */
static unsigned tasks = 20000;
static unsigned kills = 400;
static unsigned workers = 4;
static uint32_t seed = 1;
static bool idempotent;
static _Atomic(uint32_t) *runs; /* Of each task; shared. */

static unsigned wrong; /* Main thread's. */
static atomic_uint wrong_elsewhere;

#define EXPECT(value, id)                                                                          \
    do {                                                                                           \
        if (!(value)) {                                                                            \
            fprintf(stderr, "%s:%d: task %u: not so: %s\n", __FILE__, __LINE__, (unsigned)(id),    \
                    #value);                                                                       \
            atomic_fetch_add(&wrong_elsewhere, 1);                                                 \
        }                                                                                          \
    } while (0)

static uint32_t mix(uint32_t number)
{
    number ^= seed * 2654435761U;
    number ^= number >> 16;
    number *= 0x7feb352dU;
    number ^= number >> 15;
    number *= 0x846ca68bU;
    return number ^ number >> 16;
}

/* --- What a task is, by its number --- */

static bool is_poison(uint32_t id)
{
    return idempotent && mix(id) % POISON_IN == 0;
}

static bool crashes(uint32_t id)
{
    return is_poison(id) || mix(id) % CRASH_IN == 1;
}

static size_t value_size(uint32_t id)
{
    switch (mix(id) / CRASH_IN % 64) {
    case 0:
        return 10000;
    case 1:
        return mix(id) / CRASH_IN % 512 == 1 ? VALUE_MAX : 3000;
    default:
        return sizeof(uint32_t) + mix(id) % 40;
    }
}

static unsigned char value_byte(uint32_t id, size_t at)
{
    return (unsigned char)(mix(id) >> 8) ^ (unsigned char)at;
}

/* --- Tasks --- */

static volatile uintptr_t nowhere = 0x1230;
static volatile int bottom;

__attribute__((noinline)) static int goes_deeper(volatile char *above)
{
    volatile char here[4096];

    here[0] = above == NULL ? 0 : above[0];
    return bottom != 0 ? 0 : goes_deeper(here) + here[0];
}

static void crash(uint32_t id)
{
    switch (mix(id) / 7 % 7) {
    case 0:
        (void)raise(SIGKILL);
        break;
    case 1:
        abort();
    case 2:
        exit(3);
    case 3:
        *(volatile int *)nowhere = 1;
        break;
    case 4:
        (void)goes_deeper(NULL);
        break;
    case 5:
        _exit(0);
    default:
        pthread_exit(NULL);
    }
}

static void work(uint32_t id)
{
    struct timespec now;
    int64_t end_ns;

    clock_gettime(CLOCK_MONOTONIC, &now);
    end_ns = now.tv_sec * 1000000000LL + now.tv_nsec + mix(id) % 16 * 1000;
    while (now.tv_sec * 1000000000LL + now.tv_nsec < end_ns) {
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
}

static hk_status chaos_run(hk_call *call, const void *in, size_t in_size)
{
    unsigned char *value;
    void *output = NULL;
    uint32_t before;
    uint32_t id;

    if (in_size != sizeof(id)) {
        return hk_fail(call, 1, "an input of %zu bytes", in_size);
    }
    memcpy(&id, in, sizeof(id));
    before = atomic_fetch_add(&runs[id], 1);
    work(id);
    if (is_poison(id) || (crashes(id) && before == 0)) {
        crash(id);
    }
    if (hk_return_reserve(call, value_size(id), &output) != HK_OK) {
        return hk_fail(call, 2, "no room for %zu bytes", value_size(id));
    }
    value = output;
    for (size_t i = 0; i < value_size(id); i++) {
        value[i] = value_byte(id, i);
    }
    return HK_OK;
}

static const hk_task plain_task = {"plain_chaos", chaos_run, 0, __FILE__, __LINE__};
static const hk_task idempotent_task = {"idempotent_chaos", chaos_run, HK_TASK_IDEMPOTENT, __FILE__,
                                        __LINE__};

/* --- Accounts --- */

struct account {
    hk_future *future;
    atomic_uint ends; /* Calls of its callback. */
};

static struct account *accounts;
/* Under the lock. */
static unsigned ended; /* Tasks whose end was seen. */
static unsigned killed;
static bool is_held; /* The main thread waits for kills. */
static bool over;
static unsigned done;
static unsigned lost;
static unsigned lost_innocent;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_cond_t progress = PTHREAD_COND_INITIALIZER; /* ended, over. */

static void has_ended(hk_future *future, void *arg)
{
    struct account *account = arg;

    EXPECT(hk_future_has_ended(future), account - accounts);
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&account->ends, 1);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Every second block of tasks is waited for by callbacks alone: nobody leads then. */
static bool has_callback(uint32_t id)
{
    return id / WINDOW % 2 == 1;
}

static void check_value(uint32_t id, const unsigned char *value, size_t size)
{
    bool right = size == value_size(id);

    for (size_t i = 0; right && i < size; i++) {
        right = value[i] == value_byte(id, i);
    }
    EXPECT(right, id);
}

static void check(uint32_t id)
{
    struct account *account = &accounts[id];
    uint32_t ran;
    const hk_error *error = NULL;
    const void *value = NULL;
    size_t size = 0;
    hk_status status;

    if (has_callback(id)) {
        pthread_mutex_lock(&lock);
        while (atomic_load(&account->ends) == 0) {
            pthread_cond_wait(&changed, &lock);
        }
        pthread_mutex_unlock(&lock);
    }
    status = hk_future_result(account->future, HK_FOREVER, &value, &size);
    ran = atomic_load(&runs[id]);
    if (status == HK_OK) {
        done++;
        check_value(id, value, size);
        EXPECT(ran >= 1 && ran <= (idempotent ? 3 : 1), id);
        EXPECT(idempotent ? !is_poison(id) : !crashes(id), id);
    } else {
        lost++;
        lost_innocent += crashes(id) ? 0 : 1;
        EXPECT(status == HK_EWORKER, id);
        EXPECT(ran <= (idempotent ? 3 : 1), id);
        EXPECT(hk_future_error(account->future, 0, &error) == HK_OK, id);
        EXPECT(!idempotent || (error != NULL && error->attempt == 3), id);
        if (status != HK_EWORKER || (idempotent && !is_poison(id))) {
            fprintf(stderr, "%s\n", hk_future_why(account->future));
        }
    }
    hk_future_unref(account->future);
    pthread_mutex_lock(&lock);
    ended++;
    while ((uint64_t)ended * kills > (uint64_t)(killed + workers) * tasks) {
        is_held = true; /* Until the kills have caught up. */
        pthread_cond_broadcast(&progress);
        pthread_cond_wait(&progress, &lock);
    }
    is_held = false;
    pthread_cond_broadcast(&progress);
    pthread_mutex_unlock(&lock);
}

static void submit(hk_executor *pool, uint32_t id)
{
    const hk_submit_options options = {.retries = idempotent ? 2 : 0};
    const hk_task *task = idempotent ? &idempotent_task : &plain_task;
    hk_status status = hk_submit(pool, task, &id, sizeof(id), &options, &accounts[id].future);

    if (status != HK_OK) {
        fprintf(stderr, "task %u was refused: %s\n", id, hk_status_name(status));
        exit(EXIT_FAILURE);
    }
    if (has_callback(id)) {
        EXPECT(hk_future_on_done(accounts[id].future, NULL, has_ended, &accounts[id], NULL) ==
                   HK_OK,
               id);
    }
}

/* --- Kills --- */

static unsigned find_workers(pid_t *pids)
{
    pid_t zygote = hki_zygote_pid();
    char path[64];
    unsigned count = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", zygote, zygote);
    if ((file = fopen(path, "re")) == NULL) {
        return 0;
    }
    while (count < WORKERS_MAX && fscanf(file, "%d", &pids[count]) == 1) {
        count++;
    }
    fclose(file);
    return count;
}

/* The kills are spread over the tasks, so that however slow the machine is, there are as many
 * kills for each task; and not more than one for each worker until some task ends, or the pool
 * would hold back its forks. False: the run is over. */
static bool await_turn(unsigned *seen, unsigned *killed_then)
{
    bool goes_on;

    pthread_mutex_lock(&lock);
    while (!over && ((ended == *seen && killed - *killed_then >= workers && !is_held) ||
                     (uint64_t)ended * kills < (uint64_t)killed * tasks)) {
        pthread_cond_wait(&progress, &lock);
    }
    if (ended != *seen) {
        *seen = ended;
        *killed_then = killed;
    }
    goes_on = !over;
    pthread_mutex_unlock(&lock);
    return goes_on;
}

static void *kill_workers(void *nothing)
{
    uint32_t state = seed;
    unsigned seen = 0;
    unsigned killed_then = 0;

    while (killed < kills && await_turn(&seen, &killed_then)) {
        pid_t pids[WORKERS_MAX];
        unsigned count;

        state = state * 1664525U + 1013904223U;
        for (uint32_t turns = state >> 29; turns != 0; turns--) { /* A moment of chance. */
            (void)sched_yield();
        }
        if ((count = find_workers(pids)) != 0 && kill(pids[state / 65536 % count], SIGKILL) == 0) {
            pthread_mutex_lock(&lock);
            killed++;
            pthread_cond_broadcast(&progress);
            pthread_mutex_unlock(&lock);
        }
    }
    return nothing;
}

/* --- The run --- */

/* The zygote's spare is told to go when the pool has gone, and goes a moment later. */
static bool all_leave(pid_t *pids)
{
    struct timespec begin;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        if (find_workers(pids) == 0) {
            return true;
        }
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begin.tv_sec < 10);
    return false;
}

static unsigned count_lines(const char *path, const char *word)
{
    char line[512];
    unsigned count = 0;
    FILE *file = fopen(path, "re");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, word) != NULL ? 1 : 0;
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static int lowest_descriptor(void)
{
    int fd = dup(STDERR_FILENO);

    close(fd);
    return fd;
}

static void *share(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(EXIT_FAILURE);
    }
    return memory;
}

static void expect_nothing_left(int descriptor)
{
    char text[512];
    pid_t pids[WORKERS_MAX];

    if (hki_live_total(text, sizeof(text)) != 0) {
        fprintf(stderr, "alive: %s\n", text);
        wrong++;
    }
    if (count_lines("/proc/self/maps", "hocket-pool") != 0) {
        fprintf(stderr, "the pool's memory is still mapped\n");
        wrong++;
    }
    if (lowest_descriptor() != descriptor) {
        fprintf(stderr, "a descriptor is still open\n");
        wrong++;
    }
    if (!all_leave(pids)) {
        fprintf(stderr, "a worker is still there\n");
        wrong++;
    }
}

static void report_begin(const struct timespec *begin, hk_executor *pool)
{
    hk_executor_statistics statistics = {0};
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    EXPECT(hk_executor_stats(pool, &statistics) == HK_OK, 0);
    EXPECT(statistics.done == done && statistics.failed == lost && statistics.cancelled == 0, 0);
    EXPECT(done + lost == tasks, 0);
    EXPECT(lost_innocent <= killed, 0);
    printf("%s seed %u: %u tasks, %u done, %u lost (%u innocent), %u kills sent, %llu workers, "
           "%.1f s\n",
           idempotent ? "idempotent" : "plain", seed, tasks, done, lost, lost_innocent, killed,
           (unsigned long long)statistics.workers_started,
           (double)(end.tv_sec - begin->tv_sec) +
               (double)(end.tv_nsec - begin->tv_nsec) / 1000000000.0);
}

static void run_tasks(hk_executor *pool)
{
    for (uint32_t id = 0; id < tasks + WINDOW; id++) {
        if (id >= WINDOW && id - WINDOW < tasks) {
            check(id - WINDOW);
        }
        if (id < tasks) {
            submit(pool, id);
        }
    }
}

static void check_ends(void)
{
    for (uint32_t id = 0; id < tasks; id++) {
        EXPECT(atomic_load(&accounts[id].ends) == (has_callback(id) ? 1 : 0), id);
    }
}

static void forget_failure(const hk_error *error, void *arg)
{
    (void)error;
    (void)arg;
}

static int run(void)
{
    hk_executor *pool = NULL;
    struct timespec begin;
    pthread_t killer;
    int descriptor;

    runs = share(tasks * sizeof(*runs));
    accounts = calloc((size_t)tasks + 1, sizeof(*accounts));
    hk_on_unobserved(forget_failure, NULL);
    if (accounts == NULL || hk_zygote_start() != HK_OK) {
        return EXIT_FAILURE;
    }
    descriptor = lowest_descriptor();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    if (hk_process_pool_create(&(hk_executor_options){.workers = workers, .name = "chaos"},
                               &pool) != HK_OK ||
        pthread_create(&killer, NULL, kill_workers, NULL) != 0) {
        return EXIT_FAILURE;
    }
    run_tasks(pool);
    pthread_mutex_lock(&lock);
    over = true;
    pthread_cond_signal(&progress);
    pthread_mutex_unlock(&lock);
    pthread_join(killer, NULL);
    report_begin(&begin, pool);
    if (hk_executor_destroy(pool) != HK_OK) {
        fprintf(stderr, "the pool could not be destroyed\n");
        wrong++;
    }
    check_ends();
    expect_nothing_left(descriptor);
    free(accounts);
    munmap(runs, tasks * sizeof(*runs));
    return wrong + atomic_load(&wrong_elsewhere) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"tasks", required_argument, NULL, 't'},   {"kills", required_argument, NULL, 'k'},
        {"workers", required_argument, NULL, 'w'}, {"seed", required_argument, NULL, 's'},
        {"idempotent", no_argument, NULL, 'i'},    {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        unsigned number = optarg != NULL ? (unsigned)strtoul(optarg, NULL, 10) : 0;

        switch (option) {
        case 't':
            tasks = number;
            break;
        case 'k':
            kills = number;
            break;
        case 'w':
            workers = number;
            break;
        case 's':
            seed = number;
            break;
        case 'i':
            idempotent = true;
            break;
        default:
            exit(EXIT_FAILURE);
        }
    }
}

/* The run is a child's: when it has ended, and nobody holds the pipe any more, no process of it
 * is left. */
int main(int argc, char **argv)
{
    char byte;
    int status = 0;
    int ends[2];
    pid_t pid;

    read_options(argc, argv);
    if (tasks == 0) {
        return EXIT_FAILURE;
    }
    if (pipe(ends) != 0 || (pid = fork()) < 0) {
        perror("chaos");
        return EXIT_FAILURE;
    }
    if (pid == 0) {
        /* Workers keep no more than the standard streams; they shall hold this one. */
        dup2(ends[1], STDIN_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        exit(run());
    }
    close(ends[1]);
    while (read(ends[0], &byte, 1) > 0) {
        fputc(byte, stderr);
    }
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        fprintf(stderr, "the run ended with wait status %#x\n", (unsigned)status);
        return EXIT_FAILURE;
    }
    return WEXITSTATUS(status);
}
