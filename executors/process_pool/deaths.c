/* SPDX-License-Identifier: MIT */
/*
 * What a dead worker leaves. Its cells are read in order: what is DONE stands; the one that
 * ran is lost, with the reason; the rest goes back to the front of the queue.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/os.h"
#include "base/snapshot.h"
#include "base/time.h"
#include "executors/process_pool/packed_error.h"
#include "executors/process_pool/pool.h"

/* Workers that a job may find dead before it has begun: as many are bad luck. */
enum { NEXT_AT_DEATH_MAX = 2 };

enum { LINE_BYTES = 1024 }; /* Of the log. */

struct death {
    int wait_status; /* -1: unknown, the zygote died too; or it was never born. */
    bool out_of_memory;
};

/* --- saying why --- */

static size_t add(char *text, size_t size, size_t at, const char *more)
{
    int length = at < size ? snprintf(text + at, size - at, "%s", more) : 0;

    return at + (length > 0 ? (size_t)length : 0);
}

/* What the worker itself could say in its last moment. A process that it had forked, and that is
 * not dead yet, can still write here. */
static size_t tell_crash(const struct hki_crash *shared, char *text, size_t size, size_t at)
{
    struct hki_crash crash;
    uint32_t frames;
    char line[160];

    hki_snapshot(&crash, shared, sizeof(crash));
    frames = atomic_load(&crash.frames);
    frames = frames < HKI_FRAMES_MAX ? frames : HKI_FRAMES_MAX;
    if (crash.signal == SIGSEGV || crash.signal == SIGBUS) {
        snprintf(line, sizeof(line), " at address %#llx", (unsigned long long)crash.address);
        at = add(text, size, at, line);
    }
    for (uint32_t i = 0; i < frames; i++) {
        /* The same code lies at the same place here, as the worker is a fork of ours. */
        hki_os_frame_text(crash.frame[i], line, sizeof(line));
        at = add(text, size, at, i == 0 ? "; in " : ", from ");
        at = add(text, size, at, line);
    }
    return at;
}

/* Which call it was, if the worker's handler could say it. */
static size_t tell_call(const struct hki_crash *crash, char *text, size_t size, size_t at)
{
    const char *name;
    char line[192];

    if (atomic_load(&((struct hki_crash *)crash)->said) == 0 || crash->call < 0) {
        return add(text, size, at,
                   ": perhaps a filter forbade a system call, and ended the process at once; one "
                   "that answers with SECCOMP_RET_TRAP lets it tell which");
    }
    name = hki_os_call_name(crash->call);
    snprintf(line, sizeof(line),
             ": its pool's workers may not make system call %d%s%s%s; their initialiser may, or a "
             "descriptor may go with the task",
             (int)crash->call, name == NULL ? "" : " (", name == NULL ? "" : name,
             name == NULL ? "" : ")");
    return add(text, size, at, line);
}

static size_t tell_signal(const struct seat *seat, const struct death *death, char *text,
                          size_t size)
{
    int number = WTERMSIG(death->wait_status);
    const char *hint = "";
    size_t at;
    int length = snprintf(text, size, "its worker was ended by signal %d (%s)%s", number,
                          strsignal(number), WCOREDUMP(death->wait_status) ? ", core dumped" : "");

    at = length > 0 ? (size_t)length : 0;
    if (number == SIGKILL && death->out_of_memory) {
        hint = ": the system ran out of memory, and its memory cgroup counted the kill";
    } else if (number == SIGKILL && !seat->asked_to_die) {
        hint = ", which nobody here sent: perhaps for want of memory";
    } else if (number == SIGXCPU) {
        hint = ": its limit of processor time";
    } else if (seat->broke_rules) {
        hint = ": it had overwritten memory that it shares with its pool";
    }
    at = number == SIGSYS && hki_pool_confines(seat->pool->page)
             ? tell_call(&seat->channel->crash, text, size, at)
             : add(text, size, at, hint);
    if (atomic_load(&seat->channel->crash.said) != 0) {
        at = tell_crash(&seat->channel->crash, text, size, at);
    }
    return at;
}

static void tell(const struct seat *seat, const struct death *death, char *text, size_t size)
{
    if (death->wait_status == -1) {
        snprintf(text, size, "%s",
                 seat->pool->lost
                     ? "its worker is gone, for the zygote that all workers depend on died"
                     : "its worker was never born");
    } else if (WIFSIGNALED(death->wait_status)) {
        (void)tell_signal(seat, death, text, size);
    } else {
        snprintf(text, size, "its worker ended with exit code %d%s",
                 WEXITSTATUS(death->wait_status),
                 seat->broke_rules ? ", after overwriting memory that it shares with its pool"
                                   : ": a task must return, not exit");
    }
}

static struct hki_error *lost_error(const struct seat *seat, const hk_job *job,
                                    const struct death *death)
{
    char text[2048];
    char where[128];

    tell(seat, death, text, sizeof(text));
    hki_seat_where(seat, where, sizeof(where));
    return hki_error_make(&(struct hki_error_facts){
        .status = HK_EWORKER,
        .exit_status = death->wait_status != -1 && WIFEXITED(death->wait_status)
                           ? WEXITSTATUS(death->wait_status)
                           : 0,
        .term_signal = death->wait_status != -1 && WIFSIGNALED(death->wait_status)
                           ? WTERMSIG(death->wait_status)
                           : 0,
        .message = text,
        .site = &(hk_site){job->task->file == NULL ? "" : job->task->file, job->task->line, ""},
        .task = job->named->name,
        .label = hki_job_label(job),
        .submit_site = job->site,
        .where = where,
        .attempt = job->attempt,
    });
}

/* --- judging --- */

/* Whether a cell says what neither side ever writes. */
static bool is_overwritten(const struct seat *seat, uint32_t request)
{
    return !hki_cell_word_possible(request, atomic_load(&hki_seat_cell(seat, request)->state));
}

/* The task that ran. False: it will be tried again. */
static bool lose(struct seat *seat, struct entry *entry, const struct death *death,
                 struct finished *finished)
{
    hk_job *job = entry->job;
    const struct process_pool *pool = seat->pool;
    bool again = !entry->forced && job->attempt < job->attempts_max && !pool->killing &&
                 !pool->lost && !pool->broken;

    if (again) {
        job->attempt++;
        return false;
    }
    if (job->salvage != NULL) {
        finished->left = entry->reserved;
        entry->reserved = NULL;
    }
    finished->job = job;
    finished->outcome = (struct hki_outcome){.phase = HKI_FAILED};
    finished->outcome.error = lost_error(seat, job, death);
    return true;
}

/* The job leaves its cell, to its end or back to the queue. */
static void give_up(struct seat *seat, struct entry *entry)
{
    struct process_pool *pool = seat->pool;

    hki_entry_unforce(entry);
    pool->given--;
    entry->job->slot = NULL;
    hki_seat_clear(seat, entry->request);
}

/* Whether a job that has not begun, as its cell says, is to be taken for the one that ran. A task
 * may write that into its own cell before it ends its worker: it would come back for ever, and
 * first. The oldest in its seat is the one that can have, or the one that was about to begin
 * when something else ended the worker, which does not happen to the same job again and again. */
static bool seems_to_have_run(const struct seat *seat, hk_job *job, const struct death *death)
{
    /* Who breaks the rules is killed by us for that. */
    if (death->wait_status == -1 || (seat->asked_to_die && !seat->broke_rules)) {
        return false;
    }
    if (job->next_at_death < NEXT_AT_DEATH_MAX) {
        job->next_at_death++;
        return false;
    }
    return true;
}

/* One request: false if it has not ended, and is to be run again. is_oldest: whether the worker
 * had done all before it; kept up to date for the next one. */
static bool judge_one(struct seat *seat, struct entry *entry, const struct death *death,
                      bool *is_oldest, struct finished *finished)
{
    uint32_t request = entry->request;
    uint32_t word = atomic_load(&hki_seat_cell(seat, request)->state);
    hk_job *job = entry->job;

    finished->left = NULL;
    if (word == hki_cell_word(request, HKI_CELL_DONE) && !seat->broke_rules) {
        finished->job = job;
        hki_seat_take(seat, request, &finished->outcome);
        hki_cell_show_progress(hki_seat_cell(seat, request), job);
        seat->ended++;
        seat->pool->refill_ns = 0; /* The workers work: see seats.c. */
    } else {
        bool has_begun = word != hki_cell_word(request, HKI_CELL_QUEUED) || entry->forced ||
                         (*is_oldest && seems_to_have_run(seat, job, death));

        *is_oldest = false;
        if (!has_begun || !lose(seat, entry, death, finished)) {
            return false;
        }
    }
    give_up(seat, entry);
    job->taken = true;
    seat->pool->concluding++;
    return true;
}

/* Under the lock: empties the cells; what has ended goes to the batch, what has not to the
 * front of the queue. */
static unsigned judge(struct seat *seat, const struct death *death, struct finished *batch)
{
    struct process_pool *pool = seat->pool;
    uint32_t first = atomic_load(&seat->done);
    uint32_t outstanding = hki_seat_outstanding(seat);
    unsigned count = 0;
    bool is_oldest = true;

    for (uint32_t i = 0; i < outstanding; i++) {
        seat->broke_rules = seat->broke_rules || is_overwritten(seat, first + i);
    }
    /* In their order, as the descriptors of results lie in the socket. */
    for (uint32_t i = 0; i < outstanding; i++) {
        struct entry *entry = hki_seat_entry(seat, first + i);

        if (entry->job != NULL && judge_one(seat, entry, death, &is_oldest, &batch[count])) {
            count++;
        }
    }
    /* From the last to the first, so that they come back in their order. */
    for (uint32_t i = outstanding; i > 0; i--) {
        struct entry *entry = hki_seat_entry(seat, first + i - 1);
        hk_job *job = entry->job;

        if (job != NULL) {
            give_up(seat, entry);
            hki_task_queue_push_front(&pool->queue, job);
            pool->may_pass = true;
        }
    }
    if (outstanding != 0) {
        pool->busy--;
        pool->outstanding -= outstanding;
        pool->crowded = false;
    }
    atomic_store(&seat->done, atomic_load(&seat->tail));
    return count;
}

/* --- initialisers that fail --- */

static struct hki_error *init_error(const struct seat *seat, const struct death *death)
{
    const struct hki_channel *channel = seat->channel;
    uint32_t size = *(const volatile uint32_t *)&channel->failure_size; /* Checked, then used. */
    unsigned char copy[sizeof(channel->failure)];
    struct hki_error *cause = NULL;
    char text[512];
    char where[128];

    hki_seat_where(seat, where, sizeof(where));
    if (atomic_load(&seat->channel->stage) == HKI_WORKER_FAILED) {
        hki_snapshot(copy, channel->failure, sizeof(copy));
        cause = hki_error_unpack(
            copy, size < sizeof(copy) ? size : sizeof(copy),
            &(struct hki_error_facts){.task = "worker initialiser", .where = where});
        snprintf(text, sizeof(text), "the worker initialiser failed");
    } else {
        tell(seat, death, text, sizeof(text));
    }
    return hki_error_make(&(struct hki_error_facts){
        .status = HK_EINIT,
        .message = cause != NULL ? text : "a worker died before it was ready",
        .task = seat->pool->executor->name,
        .where = where,
        .cause = cause != NULL ? cause
                               : hki_error_make(&(struct hki_error_facts){
                                     .status = HK_EWORKER, .message = text, .where = where}),
    });
}

void hki_pool_break(struct process_pool *pool, struct hki_error *error, struct hki_list *jobs)
{
    pool->broken = true;
    hki_executor_break(pool->executor, error);
    for (unsigned i = 0; i < pool->high_seat; i++) {
        hki_pool_withdraw_queued(&pool->seats[i]);
        hki_seat_retire(&pool->seats[i]);
    }
    hki_task_queue_take_all(&pool->queue, jobs);
    hki_condition_broadcast(&pool->queue.room);
    hki_condition_broadcast(&pool->settled);
}

/* Under the lock. */
static void count_init_failure(struct seat *seat, const struct death *death, struct hki_list *jobs,
                               char line[LINE_BYTES])
{
    struct process_pool *pool = seat->pool;
    struct hki_error *error = init_error(seat, death);

    hk_error_format(&error->shown, line, LINE_BYTES);
    if (++pool->init_failures >= HKI_INIT_FAILURES_MAX && !pool->broken) {
        hki_pool_break(pool, error, jobs);
    } else {
        hki_error_unref(error);
    }
}

/* Whether its initialiser is to blame. One that was killed before that is somebody else's
 * doing, and is replaced like any other. */
static bool failed_to_start(const struct seat *seat)
{
    uint32_t stage = atomic_load(&seat->channel->stage);

    return !seat->is_ready && (stage == HKI_WORKER_FAILED || stage == HKI_WORKER_INITIALISING);
}

/* --- what the zygote tells --- */

/* Under the lock: the seat, if it is still about this worker. */
static struct seat *find_seat(struct process_pool *pool, uint32_t index, uint32_t generation)
{
    struct seat *seat = index < pool->seat_count ? &pool->seats[index] : NULL;

    return seat != NULL && seat->generation == generation && seat->life != SEAT_EMPTY ? seat : NULL;
}

/* Ends what no worker will be started for any more. */
static void discard_left(struct process_pool *pool, struct hki_list *jobs, bool is_killed)
{
    const struct hki_error *why = atomic_load(&pool->executor->broken);

    if (is_killed || why == NULL) {
        hki_courier_discard_all(pool, jobs, HK_ECANCELED, "the executor is shut down");
    } else {
        hki_courier_discard_all(pool, jobs, why->shown.status,
                                "no worker could be made ready to run it");
    }
}

/* Under the lock, which is released for a moment. */
static void bury(struct seat *seat, const struct death *death)
{
    struct process_pool *pool = seat->pool;
    bool is_killed = pool->killing;
    int socket = seat->socket;
    int stop_event = seat->stop_event;
    struct finished batch[HKI_CELLS];
    char line[LINE_BYTES] = "";
    char where[128];
    struct hki_list jobs;
    bool broke_rules;
    unsigned failures;
    unsigned count;

    hki_list_init(&jobs);
    hki_seat_check_stage(seat); /* It may have become ready, and died before we looked. */
    count = judge(seat, death, batch);
    pool->heard_ns = hk_now_ns();
    if (failed_to_start(seat) && !seat->asked_to_die && death->wait_status != -1 &&
        !(pool->closing && pool->queue.length == 0)) { /* Then nobody wants it any more. */
        count_init_failure(seat, death, &jobs, line);
    } else if (seat->ended == 0 && !seat->asked_to_die && seat->life != SEAT_LEAVING) {
        hki_pool_spend_token(pool);
    }
    if (pool->broken || is_killed) {
        hki_task_queue_take_all(&pool->queue, &jobs); /* What has come back from this seat, too. */
    }
    hki_seat_where(seat, where, sizeof(where));
    broke_rules = seat->broke_rules;
    seat->socket = -1; /* Ours to close, when those who wait have been told. */
    seat->stop_event = -1;
    hki_seat_vacate(seat);
    failures = pool->init_failures;
    pool->concluding++; /* Ours: the pool does not end meanwhile. */
    pthread_mutex_unlock(&pool->lock);
    discard_left(pool, &jobs, is_killed);
    hki_pool_conclude(pool, batch, count);
    if (line[0] != '\0') {
        hki_courier_say(pool, HK_LOG_ERROR, "%s (%u in a row)", line, failures);
    }
    if (broke_rules) { /* It may have lost no task whose error would say so. */
        hki_courier_say(pool, HK_LOG_WARNING,
                        "%s has gone: memory that it shares with its pool was written over, or it "
                        "did not go on to its next task",
                        where);
    }
    hki_os_close(socket);
    hki_os_close(stop_event);
    pthread_mutex_lock(&pool->lock);
    hki_pool_dispatch(pool); /* After the ends are told, for it may start a worker. */
    hki_pool_concluded(pool, count + 1);
    hki_condition_broadcast(&pool->settled);
}

void hki_pool_died(struct hki_zygote_client *client, uint32_t index, uint32_t generation,
                   int32_t pid, int wait_status, bool out_of_memory)
{
    struct process_pool *pool = hki_pool_of_client(client);
    struct death death = {wait_status, out_of_memory};
    struct seat *seat;

    pthread_mutex_lock(&pool->lock);
    if ((seat = find_seat(pool, index, generation)) != NULL) {
        seat->pid = pid;
        bury(seat, &death);
    }
    pthread_mutex_unlock(&pool->lock);
}

void hki_pool_spawned(struct hki_zygote_client *client, uint32_t index, uint32_t generation,
                      int32_t pid, int sys_errno)
{
    struct process_pool *pool = hki_pool_of_client(client);
    char name[HKI_NAME_MAX];
    bool is_missed = false;
    struct seat *seat;

    pthread_mutex_lock(&pool->lock);
    snprintf(name, sizeof(name), "%s", pool->executor->name);
    pool->heard_ns = hk_now_ns();
    if ((seat = find_seat(pool, index, generation)) != NULL) {
        if (pid > 0) {
            seat->pid = pid;
            seat->born = true;
        } else {
            is_missed = true;
            pool->concluding++; /* The line is said before the pool ends. */
            /* A process that its predecessor left behind may have said in its name that it is
             * ready, so that it has jobs. */
            bury(seat, &(struct death){-1, false});
        }
    }
    pthread_mutex_unlock(&pool->lock);
    if (is_missed) {
        hki_courier_say(
            pool, HK_LOG_WARNING,
            "executor %s could not start worker %u (%s); it tries again, and works with fewer "
            "until then",
            name, index, strerror(sys_errno));
        pthread_mutex_lock(&pool->lock);
        hki_pool_concluded(pool, 1);
        pthread_mutex_unlock(&pool->lock);
    }
}

void hki_pool_zygote_lost(struct hki_zygote_client *client)
{
    struct process_pool *pool = hki_pool_of_client(client);
    struct death death = {-1, false};
    struct hki_list jobs;

    hki_list_init(&jobs);
    pthread_mutex_lock(&pool->lock);
    pool->lost = true;
    pool->concluding++;
    if (!pool->broken) {
        hki_pool_break(pool,
                       hki_error_make(&(struct hki_error_facts){
                           .status = HK_EBROKEN,
                           .task = pool->executor->name,
                           .message = "the zygote, from which all worker processes are forked, "
                                      "has ended"}),
                       &jobs);
    }
    for (unsigned i = 0; i < pool->high_seat; i++) {
        if (pool->seats[i].life != SEAT_EMPTY) {
            bury(&pool->seats[i], &death);
        }
    }
    hki_task_queue_take_all(&pool->queue, &jobs); /* What came back from the dead. */
    pthread_mutex_unlock(&pool->lock);
    hki_courier_discard_all(pool, &jobs, HK_EBROKEN, "there are no worker processes any more");
    pthread_mutex_lock(&pool->lock);
    hki_pool_concluded(pool, 1);
    hki_condition_broadcast(&pool->settled);
    pthread_mutex_unlock(&pool->lock);
}
