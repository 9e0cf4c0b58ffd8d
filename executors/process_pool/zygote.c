/* SPDX-License-Identifier: MIT */
/* What the parent asks of the zygote. */
#include "executors/process_pool/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <hocket/process_pool.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fork.h"
#include "base/no_cancel.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/code_map.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/supervisor.h"
#include "executors/process_pool/zygote_messages.h"
#include "executors/process_pool/zygote_process.h"

/* How long a zygote may be stopped before its answer is not waited for any more. */
static const int64_t answer_limit_ns = 5000000000;

/* How often a message is tried again that the kernel has no memory for: for half a second. */
enum { INSIST_TRIES = 500, INSIST_PAUSE_NS = 1000000 };

struct hki_zygote_parent hki_zygote_parent = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = HKI_CONDITION_INIT,
    .control = HKI_OWN_FD_NONE,
    .ring = HKI_OWN_FD_NONE,
    .rung = HKI_OWN_FD_NONE,
    .clients = {&hki_zygote_parent.clients, &hki_zygote_parent.clients},
};

static struct hki_zygote_parent *const parent = &hki_zygote_parent;

/* --- Its process ------------------------------------------------------------- */

/* Whether the process is our child still, so that its number cannot be another's. */
static bool is_child(pid_t pid)
{
    siginfo_t ended = {0};
    HKI_NO_CANCEL;

    return pid > 0 && waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Also for descriptors that are of no use any more: the supervisor's poll() keeps the socket. */
void hki_zygote_sever(void)
{
    pthread_mutex_lock(&parent->lock);
    if (is_child(parent->pid)) {
        (void)kill(parent->pid, SIGKILL);
    }
    pthread_mutex_unlock(&parent->lock);
}

/* An application that ignores SIGCHLD, or waits for any child, may have been faster. */
void hki_zygote_bury(void)
{
    pid_t pid;
    HKI_NO_CANCEL;

    pthread_mutex_lock(&parent->lock);
    pid = parent->pid;
    parent->pid = 0;
    pthread_mutex_unlock(&parent->lock);
    if (!is_child(pid)) {
        return;
    }
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* Under the lock, when nobody holds it. */
static void close_descriptors(void)
{
    /* The event's own inode says little; but who closes one closes the others as well. */
    if (!hki_own_fd_valid(&parent->control)) {
        parent->ring.fd = -1;
    }
    hki_own_fd_close(&parent->ring);
    hki_own_fd_close(&parent->rung);
    hki_own_fd_close(&parent->control);
}

/* Whether the other end of the socket is still held. */
static bool is_there(void)
{
    struct pollfd control = {.fd = parent->control.fd};
    int ready;
    HKI_NO_CANCEL;

    if (atomic_load(&parent->lost) || !hki_own_fd_valid(&parent->control)) {
        return false;
    }
    /* Even a poll() that does not sleep can be interrupted. */
    while ((ready = poll(&control, 1, 0)) < 0 && errno == EINTR) {
    }
    return ready >= 0 && (control.revents & (POLLHUP | POLLERR | POLLNVAL)) == 0;
}

/* --- Its start --------------------------------------------------------------- */

/* Out of the way of the standard streams, which the application may have closed. */
static int above_streams(int fd)
{
    int moved = fd;

    if (fd >= 0 && fd <= STDERR_FILENO) {
        moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        hki_os_close(fd);
    }
    return moved;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            hki_os_close(fds[i]);
        }
    }
}

enum { PARENT_END, ZYGOTE_END, RING, RUNG, WORKERS_RING, START_FDS };

/* Workers ring by a pipe, of which they have the end to write to alone: from an event descriptor
 * one could read, and so keep what the others rang from the supervisor. Nor do they share one with
 * the parent's threads, for who shares it can make it block. */
static bool open_rings(int fds[START_FDS])
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return false;
    }
    fds[RUNG] = above_streams(ends[0]);
    fds[WORKERS_RING] = above_streams(ends[1]);
    fds[RING] = above_streams(hki_os_event_create());
    return fds[RUNG] >= 0 && fds[WORKERS_RING] >= 0 && fds[RING] >= 0;
}

/* False with errno. */
static bool open_descriptors(int fds[START_FDS])
{
    int pair[2];
    int error;

    for (size_t i = 0; i < START_FDS; i++) {
        fds[i] = -1;
    }
    if (hki_socket_pair(pair)) {
        fds[PARENT_END] = above_streams(pair[0]);
        fds[ZYGOTE_END] = above_streams(pair[1]);
        if (fds[PARENT_END] >= 0 && fds[ZYGOTE_END] >= 0 && open_rings(fds)) {
            return true;
        }
    }
    error = errno;
    close_all(fds, START_FDS);
    errno = error;
    return false;
}

/* With all signals blocked, so that no handler of the application's runs in the child. */
static pid_t fork_zygote(const int fds[START_FDS])
{
    sigset_t all;
    sigset_t before;
    pid_t pid;
    int error;

    fflush(NULL); /* Or a worker that calls exit() would write it once more. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0) {
        hki_zygote_process_main(fds[ZYGOTE_END], fds[WORKERS_RING]);
    }
    error = errno;
    if (pid > 0) {
        (void)setpgid(pid, pid); /* It does so itself; whoever comes first. */
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

/* The process has one thread, so the lock is not needed; fork() takes it. */
static hk_status start_alone(void)
{
    int fds[START_FDS];
    hk_status status = hki_pool_addresses_reserve();
    pid_t pid;

    if (status == HK_OK) {
        status = hki_code_map_record();
    }
    if (status != HK_OK) {
        return status;
    }
    if (HKI_FAULT("zygote_fails")) {
        errno = EAGAIN;
        return HK_ESYS;
    }
    if (!open_descriptors(fds)) {
        return HK_ESYS;
    }
    if ((pid = fork_zygote(fds)) < 0) {
        int error = errno;

        close_all(fds, START_FDS);
        errno = error;
        return HK_ESYS;
    }
    hki_os_close(fds[ZYGOTE_END]);
    hki_os_close(fds[WORKERS_RING]);
    pthread_mutex_lock(&parent->lock);
    hki_own_fd_set(&parent->control, fds[PARENT_END]);
    hki_own_fd_set(&parent->ring, fds[RING]);
    hki_own_fd_set(&parent->rung, fds[RUNG]);
    parent->pid = pid;
    atomic_store(&parent->lost, false);
    pthread_mutex_unlock(&parent->lock);
    return HK_OK;
}

hk_status hki_zygote_start(void)
{
    unsigned threads;
    bool is_running;

    pthread_mutex_lock(&parent->lock);
    is_running = is_there();
    pthread_mutex_unlock(&parent->lock);
    if (is_running) {
        return HK_OK;
    }
    /* That it cannot be told (no descriptor is left, no /proc) is not that there are several. */
    if ((threads = hki_os_thread_count()) != 1) {
        return threads == 0 ? HK_ESYS : HK_ETHREADS;
    }
    /* One thread: no supervisor, so nobody holds what may be left of a former one. */
    hki_zygote_bury();
    close_descriptors();
    return start_alone();
}

hk_status hk_zygote_start(void)
{
    HKI_NO_CANCEL;

    return hki_zygote_start();
}

/* --- Requests ---------------------------------------------------------------- */

static bool is_short_of_memory(int error)
{
    return error == ENOBUFS || error == ENOMEM;
}

/* Sends one, and waits for room if the zygote is behind. */
static hk_status ask(const struct hki_zygote_message *message, const int *fds, size_t count)
{
    int64_t deadline_ns = hki_deadline(answer_limit_ns);
    HKI_NO_CANCEL;

    for (;;) {
        struct pollfd control = {.fd = parent->control.fd, .events = POLLOUT};
        int64_t left_ns = deadline_ns - hk_now_ns();
        struct timespec left = hki_timespec(left_ns > 0 ? left_ns : 0);

        if (atomic_load(&parent->lost)) {
            return HK_EBROKEN;
        }
        if (!hki_own_fd_valid(&parent->control)) {
            hki_zygote_sever();
            return HK_EBROKEN;
        }
        if (hki_send_fds(control.fd, message, sizeof(*message), fds, count, false)) {
            return HK_OK;
        }
        if (errno != EAGAIN) {
            bool is_gone = errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN;

            return is_gone ? HK_EBROKEN : HK_ESYS;
        }
        if (left_ns <= 0) {
            hki_zygote_sever(); /* It reads nothing: nobody else is to wait as long. */
            return HK_EBROKEN;
        }
        (void)ppoll(&control, 1, &left, NULL);
    }
}

/* Sends one that nobody repeats: if the kernel has no memory for it, it is tried again for a
 * while. A zygote that then does not know what it should is of no use, and goes. */
static hk_status insist(const struct hki_zygote_message *message)
{
    static const struct timespec pause = {.tv_nsec = INSIST_PAUSE_NS};
    hk_status status = ask(message, NULL, 0);
    HKI_NO_CANCEL;

    for (unsigned i = 0; i < INSIST_TRIES && status == HK_ESYS && is_short_of_memory(errno); i++) {
        (void)ppoll(NULL, 0, &pause, NULL);
        status = ask(message, NULL, 0);
    }
    if (status != HK_ESYS) {
        return status;
    }
    hki_zygote_sever();
    return HK_EBROKEN;
}

/* The zygote's answer to a registration, from the pipe that went with it. */
static hk_status await_answer(int answer)
{
    int64_t deadline_ns = hki_deadline(answer_limit_ns);
    int32_t error = 0;
    ssize_t got;

    for (;;) {
        struct pollfd pipe_end = {.fd = answer, .events = POLLIN};
        int64_t left_ns = deadline_ns - hk_now_ns();
        struct timespec left = hki_timespec(left_ns > 0 ? left_ns : 0);
        int ready = ppoll(&pipe_end, 1, &left, NULL);

        if (ready > 0) {
            break;
        }
        if (ready == 0 && left_ns <= 0) {
            return HK_EBROKEN;
        }
    }
    do {
        got = read(answer, &error, sizeof(error));
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(error)) {
        if (!is_there()) {
            return HK_EBROKEN;
        }
        errno = EMFILE; /* It lives, but the descriptors did not arrive. */
        return HK_ESYS;
    }
    errno = error;
    return error == 0 ? HK_OK : error == ENOMEM ? HK_ENOMEM : HK_ESYS;
}

static hk_status map_in_zygote(const struct hki_zygote_client *client)
{
    struct hki_pool_memory *memory = client->memory;
    struct hki_zygote_message message = {.kind = HKI_ZYGOTE_REGISTER,
                                         .index = memory->page->channel_count,
                                         .number = client->number,
                                         .address = (uint64_t)(uintptr_t)memory->page,
                                         .bytes = memory->bytes};
    int ends[2];
    hk_status status;
    int error;

    if (HKI_FAULT("register_fails")) {
        errno = EMFILE;
        return HK_ESYS;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return HK_ESYS;
    }
    status = ask(&message, (int[]){memory->fd, ends[1]}, 2);
    error = errno;
    hki_os_close(ends[1]);
    if (status == HK_OK) {
        status = await_answer(ends[0]);
        error = errno;
    }
    hki_os_close(ends[0]);
    errno = error;
    return status;
}

static void unmap_in_zygote(const struct hki_zygote_client *client)
{
    struct hki_zygote_message message = {.kind = HKI_ZYGOTE_UNREGISTER, .number = client->number};

    (void)insist(&message); /* If it does not hear it, it is lost or about to be. */
}

/* --- Clients ----------------------------------------------------------------- */

/* Under the lock. */
static void let_go(void)
{
    HKI_ASSERT(parent->holders > 0);
    parent->holders--;
    if (parent->holders == 0 && atomic_load(&parent->lost)) {
        close_descriptors();
    }
}

/* Under the lock. */
static hk_status join(struct hki_zygote_client *client)
{
    while (parent->ending) {
        (void)hki_condition_wait(&parent->changed, &parent->lock, HKI_NEVER);
    }
    if (atomic_load(&parent->lost)) {
        return HK_EBROKEN;
    }
    if (!parent->running) {
        hk_status status = hki_supervisor_start();

        if (status != HK_OK) {
            return status;
        }
    }
    hki_list_append(&parent->clients, &client->link);
    return HK_OK;
}

hk_status hki_zygote_register(struct hki_zygote_client *client)
{
    hk_status status;
    int error;

    hki_list_init(&client->link);
    client->until_ns = HKI_NEVER;
    client->lost = false;
    pthread_mutex_lock(&parent->lock);
    if (!is_there()) {
        bool is_listening = parent->running;

        pthread_mutex_unlock(&parent->lock);
        if (!is_listening) {
            hki_zygote_bury(); /* Else the supervisor does it. */
        }
        return HK_EBROKEN;
    }
    parent->holders++;
    client->number = ++parent->numbers;
    pthread_mutex_unlock(&parent->lock);
    status = map_in_zygote(client);
    error = errno;
    pthread_mutex_lock(&parent->lock);
    if (status == HK_OK) {
        status = join(client);
        error = errno;
    }
    if (status == HK_OK) {
        hki_os_close(client->memory->fd); /* Nobody else gets to see it. */
        client->memory->fd = -1;
    } else {
        pthread_mutex_unlock(&parent->lock);
        unmap_in_zygote(client);
        pthread_mutex_lock(&parent->lock);
        let_go();
    }
    pthread_mutex_unlock(&parent->lock);
    errno = error;
    return status;
}

void hki_zygote_unregister(struct hki_zygote_client *client)
{
    HKI_ASSERT(!hki_zygote_is_supervisor());
    pthread_mutex_lock(&parent->lock);
    if (!hki_list_linked(&client->link)) {
        pthread_mutex_unlock(&parent->lock); /* A parent's, in its forked child. */
        return;
    }
    hki_list_remove(&client->link);
    while (parent->calling == client) {
        (void)hki_condition_wait(&parent->changed, &parent->lock, HKI_NEVER);
    }
    pthread_mutex_unlock(&parent->lock);
    unmap_in_zygote(client);
    pthread_mutex_lock(&parent->lock);
    if (hki_list_empty(&parent->clients) && parent->running && !parent->ending) {
        hki_supervisor_end();
    }
    let_go();
    pthread_mutex_unlock(&parent->lock);
}

hk_status hki_zygote_spawn(struct hki_zygote_client *client, uint32_t index, uint32_t generation,
                           int socket, int stop_event)
{
    struct hki_zygote_message message = {.kind = HKI_ZYGOTE_SPAWN,
                                         .index = index,
                                         .number = client->number,
                                         .generation = generation};
    hk_status status = ask(&message, (int[]){socket, stop_event}, 2);
    int error = errno;

    hki_os_close(socket);
    errno = error;
    return status;
}

hk_status hki_zygote_kill(struct hki_zygote_client *client, uint32_t index, uint32_t generation,
                          int signal)
{
    struct hki_zygote_message message = {.kind = HKI_ZYGOTE_KILL,
                                         .index = index,
                                         .number = client->number,
                                         .generation = generation,
                                         .value = signal};

    return insist(&message);
}

void hki_zygote_ring(void)
{
    atomic_fetch_add(&parent->rings, 1);
    if (atomic_load(&parent->lost)) {
        pthread_mutex_lock(&parent->lock);
        hki_condition_broadcast(&parent->changed);
        pthread_mutex_unlock(&parent->lock);
    } else if (hki_own_fd_valid(&parent->ring) && hki_own_fd_valid(&parent->control)) {
        hki_os_event_signal(parent->ring.fd);
    } else {
        hki_zygote_sever();
    }
}

bool hki_zygote_is_stopped(void)
{
    siginfo_t stopped = {0};
    bool is_stopped;
    HKI_NO_CANCEL;

    pthread_mutex_lock(&parent->lock);
    is_stopped = parent->pid > 0 &&
                 waitid(P_PID, (id_t)parent->pid, &stopped, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
                 stopped.si_pid == parent->pid;
    pthread_mutex_unlock(&parent->lock);
    return is_stopped;
}

int hki_zygote_ring_fd(void)
{
    return parent->ring.fd;
}

int32_t hki_zygote_pid(void)
{
    int32_t pid;

    pthread_mutex_lock(&parent->lock);
    pid = is_there() ? parent->pid : 0;
    pthread_mutex_unlock(&parent->lock);
    return pid;
}

/* --- fork() ------------------------------------------------------------------ */

static void before_fork(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_lock(&parent->lock);
}

static void in_parent(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    pthread_mutex_unlock(&parent->lock);
}

/* The zygote shall see the end of the socket when the parent dies, however long this child
 * lives; and this child may start one of its own. */
static void in_child(void)
{
    if (hki_fork_is_alone()) {
        return;
    }
    close_descriptors();
    hki_supervisor_forget();
    parent->pid = 0;
    parent->holders = 0;
    atomic_store(&parent->lost, false);
    hki_condition_init(&parent->changed);
    pthread_mutex_unlock(&parent->lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, in_parent, in_child);
}
