/* SPDX-License-Identifier: MIT */
/*
 * The zygote's loop. It waits for nothing but poll() and is never blocked by a parent that
 * does not read: what it has to say lies in the records of its workers, one report each,
 * until there is room. So nothing gets lost, and nothing needs memory that could be missing.
 */
#include "executors/process_pool/zygote_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/crash_report.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/memory.h"

enum {
    REQUESTS_AT_ONCE = 64,
    QUIET_MS = 1, /* Deaths come in bursts, each to be heard of at once; and starts do. */
};

static struct hki_zygote_process zygote;

static _Noreturn void leave(void);

/* --- Records ----------------------------------------------------------------- */

static size_t pool_size(uint32_t count)
{
    return sizeof(struct hki_zygote_pool) + count * sizeof(struct hki_zygote_worker);
}

static struct hki_zygote_pool *find_pool(const struct hki_zygote_process *process, uint64_t number)
{
    for (struct hki_list *link = process->pools.next; link != &process->pools; link = link->next) {
        struct hki_zygote_pool *pool = HKI_CONTAINER(link, struct hki_zygote_pool, link);

        if (pool->number == number && !pool->leaving) {
            return pool;
        }
    }
    return NULL;
}

static struct hki_zygote_worker *find_worker(pid_t pid)
{
    for (struct hki_list *link = zygote.pools.next; link != &zygote.pools; link = link->next) {
        struct hki_zygote_pool *pool = HKI_CONTAINER(link, struct hki_zygote_pool, link);

        for (uint32_t i = 0; pool->alive > 0 && i < pool->count; i++) {
            if (pool->workers[i].pid == pid) {
                return &pool->workers[i];
            }
        }
    }
    return NULL;
}

struct hki_zygote_worker *hki_zygote_channel(const struct hki_zygote_process *process,
                                             uint64_t number, uint32_t index)
{
    struct hki_zygote_pool *pool = find_pool(process, number);

    return pool != NULL && index < pool->count ? &pool->workers[index] : NULL;
}

/* The channel that a message means; a parent that names none is not to be trusted with
 * anything else. */
static struct hki_zygote_worker *channel_of(const struct hki_zygote_message *message)
{
    struct hki_zygote_worker *worker = hki_zygote_channel(&zygote, message->number, message->index);

    if (worker == NULL) {
        leave();
    }
    return worker;
}

static struct hki_zygote_pool *pool_create(const struct hki_zygote_message *message)
{
    struct hki_zygote_pool *pool = hki_zalloc(pool_size(message->index));

    if (pool == NULL) {
        return NULL;
    }
    pool->number = message->number;
    pool->page = (struct hki_pool_page *)(uintptr_t)message->address;
    pool->bytes = (size_t)message->bytes;
    pool->count = message->index;
    for (uint32_t i = 0; i < pool->count; i++) {
        hki_list_init(&pool->workers[i].report);
        pool->workers[i].pool = pool;
        pool->workers[i].index = i;
    }
    return pool;
}

static void pool_forget(struct hki_zygote_pool *pool)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        hki_list_remove(&pool->workers[i].report);
    }
    hki_list_remove(&pool->link);
    hki_free(pool, pool_size(pool->count));
}

/* --- Reports ----------------------------------------------------------------- */

static bool tell(const struct hki_zygote_message *message)
{
    if (hki_send_fds(zygote.control, message, sizeof(*message), NULL, 0, false)) {
        return true;
    }
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) {
        leave();
    }
    return false; /* Full, or the kernel has no memory: again later. */
}

static bool tell_of(struct hki_zygote_worker *worker)
{
    struct hki_zygote_message message = {.kind = HKI_ZYGOTE_SPAWNED,
                                         .index = worker->index,
                                         .number = worker->pool->number,
                                         .generation = worker->generation,
                                         .pid = worker->said_pid,
                                         .value = worker->fork_errno};

    if (worker->say_spawned && !tell(&message)) {
        return false;
    }
    worker->say_spawned = false;
    message.kind = HKI_ZYGOTE_DIED;
    message.value = worker->wait_status;
    message.out_of_memory = worker->out_of_memory;
    if (worker->say_died && !tell(&message)) {
        return false;
    }
    worker->say_died = false;
    hki_list_remove(&worker->report);
    return true;
}

static void tell_all(void)
{
    while (!hki_list_empty(&zygote.reports)) {
        struct hki_list *first = zygote.reports.next;

        if (!tell_of(HKI_CONTAINER(first, struct hki_zygote_worker, report))) {
            return;
        }
    }
}

static void report(struct hki_zygote_worker *worker)
{
    if (!hki_list_linked(&worker->report)) {
        hki_list_append(&zygote.reports, &worker->report);
    }
}

/* --- Signals ----------------------------------------------------------------- */

/* The worker and its group. A task may have put its process into another group: then its own
 * may be empty, and the process is to be found by its number alone, which nobody else has as
 * long as it is not reaped. */
static void signal_worker(pid_t pid, int number)
{
    (void)kill(-pid, number);
    if (number == SIGKILL || getpgid(pid) != pid) {
        (void)kill(pid, number); /* A second SIGKILL harms nobody; another signal would count. */
    }
}

/* --- Deaths ------------------------------------------------------------------ */

/* Children that are no workers were some worker's, which is dead, or has left them. What
 * they leave comes here when they have died, and is found then. */
static void kill_orphan(int process)
{
    if (find_worker(process) == NULL && process != zygote.spare) {
        (void)kill(process, SIGKILL);
    }
}

/* All of them, as the last to come stand behind all workers; how many children there are. */
static size_t kill_orphans(void)
{
    return hki_os_each_child(kill_orphan);
}

static void bury(struct hki_zygote_worker *worker, int status)
{
    struct hki_zygote_pool *pool = worker->pool;

    worker->pid = 0;
    pool->alive--;
    if (pool->leaving) {
        if (pool->alive == 0) {
            pool_forget(pool);
        }
        return;
    }
    worker->wait_status = status;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !worker->killed) {
        hki_oom_watch_read(&zygote.oom, hk_now_ns());
        worker->out_of_memory = hki_oom_watch_explains(&zygote.oom);
    }
    worker->say_died = true;
    report(worker);
}

/* Looks at who has ended before it is reaped: as long as it is not, its number, which is its
 * group's, cannot be another's, and the rest of the group can be killed. */
static void reap(void)
{
    hki_os_child_events_drain(zygote.events);
    for (;;) {
        siginfo_t ended = {0};
        struct hki_zygote_worker *worker;
        int status = 0;

        if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) {
            break;
        }
        worker = find_worker(ended.si_pid);
        if (worker != NULL || hki_zygote_spare_died(&zygote, ended.si_pid)) {
            (void)kill(-ended.si_pid, SIGKILL);
        }
        if (waitpid(ended.si_pid, &status, 0) == ended.si_pid && worker != NULL) {
            bury(worker, status);
        }
    }
    tell_all(); /* Somebody may wait for this; the rest can wait. */
    (void)kill_orphans();
}

/* Kills everybody who is left; how many workers there were. */
static size_t kill_workers(void)
{
    size_t count = 0;

    for (struct hki_list *link = zygote.pools.next; link != &zygote.pools; link = link->next) {
        struct hki_zygote_pool *pool = HKI_CONTAINER(link, struct hki_zygote_pool, link);

        for (uint32_t i = 0; i < pool->count; i++) {
            if (pool->workers[i].pid > 0) {
                signal_worker(pool->workers[i].pid, SIGKILL);
                count++;
            }
        }
    }
    return count;
}

/* Kills and reaps the workers, and whom they leave. */
static _Noreturn void leave(void)
{
    hki_zygote_spare_drop(&zygote);
    while (kill_workers() + kill_orphans() > 0) {
        pid_t gone = waitpid(-1, NULL, 0);
        struct hki_zygote_worker *worker = gone > 0 ? find_worker(gone) : NULL;

        if (gone < 0 && errno != EINTR) {
            break;
        }
        if (worker != NULL) {
            worker->pid = 0;
            worker->pool->alive--;
        }
    }
    _exit(EXIT_SUCCESS);
}

/* --- Requests ---------------------------------------------------------------- */

/* 0, or an errno. */
static int32_t map_pool(const struct hki_zygote_pool *pool, int memory)
{
    if (pool == NULL || HKI_FAULT("zygote_map_fails")) {
        return ENOMEM;
    }
    if (hki_pool_memory_map_fixed(pool->page, pool->bytes, memory) != 0) {
        return errno;
    }
    if (!hki_pool_memory_hide(pool->page, memory)) {
        int32_t error = errno;

        hki_pool_memory_unmap_fixed(pool->page, pool->bytes);
        return error;
    }
    return 0;
}

static void serve_register(const struct hki_zygote_message *message, int memory, int answer)
{
    struct hki_zygote_pool *pool = pool_create(message);
    int32_t error = map_pool(pool, memory);

    hki_zygote_spare_drop(&zygote);
    if (hki_os_write(answer, &error, sizeof(error)) && error == 0) {
        hki_list_append(&zygote.pools, &pool->link);
        return;
    }
    if (error == 0) {
        hki_pool_memory_unmap_fixed(pool->page, pool->bytes); /* Who asked has gone. */
    }
    if (pool != NULL) {
        hki_free(pool, pool_size(pool->count));
    }
}

/* Its workers should be gone; those that are not have nobody to work for. */
static void serve_unregister(const struct hki_zygote_message *message)
{
    struct hki_zygote_pool *pool = find_pool(&zygote, message->number);

    if (pool == NULL) {
        return; /* Its registration failed, and the parent did not wait to hear it. */
    }
    hki_zygote_spare_drop(&zygote); /* Which holds its memory. */
    hki_pool_memory_unmap_fixed(pool->page, pool->bytes);
    pool->leaving = true;
    for (uint32_t i = 0; i < pool->count; i++) {
        hki_list_remove(&pool->workers[i].report);
        if (pool->workers[i].pid > 0) {
            signal_worker(pool->workers[i].pid, SIGKILL);
        }
    }
    if (pool->alive == 0) {
        pool_forget(pool);
    }
}

static void serve_spawn(const struct hki_zygote_message *message, const int *fds)
{
    struct hki_zygote_worker *worker = channel_of(message);
    pid_t pid;

    if (worker->pid > 0 || hki_list_linked(&worker->report)) {
        leave(); /* The parent has lost count of its workers. */
    }
    worker->generation = message->generation;
    worker->killed = false;
    worker->out_of_memory = false;
    worker->fork_errno = 0;
    (void)HKI_FAULT("spawning");
    pid = hki_zygote_fork(&zygote, worker, message, fds);
    if (pid > 0) {
        worker->pid = pid;
        worker->pool->alive++;
    } else {
        worker->fork_errno = errno;
    }
    worker->said_pid = pid;
    worker->say_spawned = true;
    report(worker);
    (void)HKI_FAULT("forked");
}

static void refuse_spawn(const struct hki_zygote_message *message, int error)
{
    struct hki_zygote_worker *worker = channel_of(message);

    worker->generation = message->generation;
    worker->fork_errno = error;
    worker->said_pid = -1;
    worker->say_spawned = true;
    report(worker);
}

static void serve_kill(const struct hki_zygote_message *message)
{
    struct hki_zygote_worker *worker = hki_zygote_channel(&zygote, message->number, message->index);

    if (worker != NULL && worker->pid > 0 && worker->generation == message->generation) {
        worker->killed = worker->killed || message->value == SIGKILL;
        signal_worker(worker->pid, message->value);
    }
}

static void serve(const struct hki_zygote_message *message, const int *fds, size_t count)
{
    switch (message->kind) {
    case HKI_ZYGOTE_REGISTER:
        /* Without its descriptors, which this process had no room for, there is nobody to
         * answer to: the end of the pipe says it. */
        if (count == HKI_ZYGOTE_MESSAGE_FDS) {
            serve_register(message, fds[0], fds[1]);
        }
        break;
    case HKI_ZYGOTE_UNREGISTER:
        serve_unregister(message);
        break;
    case HKI_ZYGOTE_SPAWN:
        if (count == HKI_ZYGOTE_MESSAGE_FDS) {
            serve_spawn(message, fds);
        } else {
            refuse_spawn(message, EMFILE);
        }
        break;
    default:
        serve_kill(message);
        break;
    }
}

/* Some of what is there; deaths are to be heard in between. */
static void serve_all(void)
{
    for (int i = 0; i < REQUESTS_AT_ONCE; i++) {
        struct hki_zygote_message message;
        int fds[HKI_ZYGOTE_MESSAGE_FDS];
        size_t count = 0;
        ssize_t got = hki_receive_fds(zygote.control, &message, sizeof(message), fds,
                                      HKI_ZYGOTE_MESSAGE_FDS, &count, false);

        if (got < 0 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS)) {
            return;
        }
        if (!hki_zygote_message_valid(&message, got, HKI_ZYGOTE_REGISTER, HKI_ZYGOTE_KILL)) {
            leave(); /* As a rule: the parent is gone. */
        }
        serve(&message, fds, count);
        while (count > 0) {
            hki_os_close(fds[--count]);
        }
    }
}

/* --- Life -------------------------------------------------------------------- */

/* No handler of the application's may run in a process that it does not know. */
static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++) {
        (void)signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Its standard input is at its end, even where there is no /dev/null. */
static void replace_input(void)
{
    int ends[2];
    int fd = open("/dev/null", O_RDONLY);

    if (fd < 0 && pipe(ends) == 0) {
        hki_os_close(ends[1]);
        fd = ends[0];
    }
    if (fd > STDIN_FILENO) {
        (void)dup2(fd, STDIN_FILENO);
        hki_os_close(fd);
    }
}

static void close_foreign(int control, int ring)
{
    int kept[2] = {control < ring ? control : ring, control < ring ? ring : control};

    hki_os_close_others(STDERR_FILENO + 1, kept, 2);
}

static void serve_once(void)
{
    struct pollfd fds[] = {{.fd = zygote.control, .events = POLLIN},
                           {.fd = zygote.events, .events = POLLIN}};
    int ready;

    if (!hki_list_empty(&zygote.reports)) {
        fds[0].events |= POLLOUT;
    }
    ready = poll(fds, 2, zygote.spare_wanted ? QUIET_MS : -1);
    if (ready == 0) {
        hki_zygote_spare_make(&zygote);
        return;
    }
    if (ready < 0) {
        return;
    }
    if (fds[1].revents != 0) {
        reap();
    }
    if (fds[0].revents != 0) {
        serve_all();
    }
    tell_all();
}

void hki_zygote_process_main(int control, int ring)
{
    /* A worker's zygote is a copy of what was one. */
    zygote = (struct hki_zygote_process){
        .control = control, .ring = ring, .pid = getpid(), .spare_socket = -1};
    hki_list_init(&zygote.pools);
    hki_list_init(&zygote.reports);
    hki_fork_set_alone(true); /* Its children are not: see hki_zygote_leave_zygote(). */
    (void)setpgid(0, 0);
    hki_os_thread_name("hk-zygote");
    HKI_FAULT_I_AM(HKI_FAULT_ZYGOTE);
    close_foreign(control, ring);
    replace_input();
    reset_signals();
    zygote.events = hki_os_child_events_create();
    if (zygote.events < 0) {
        _exit(EXIT_FAILURE); /* The parent hears it by the end of the socket. */
    }
    (void)hki_os_adopt_orphans();
    hki_oom_watch_start(&zygote.oom);
    zygote.blame = hki_os_oom_blame_open();
    (void)hki_crash_report_prepare(); /* For the workers; this process tells nobody. */
    hki_worker_rehearse();
    for (;;) {
        serve_once();
    }
}
