/* SPDX-License-Identifier: MIT */
/*
 * Forking workers, and one ahead of time: most of what a worker's start takes is its fork, so
 * the zygote has a child in store that only waits to hear which worker it is. It knows the
 * pools that there were when it was forked: when one comes or goes, so does the spare. It is
 * made after a worker was asked for, as then another one may be, and when it has been quiet for
 * a moment: until then the processors belong to the worker that comes up.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/os.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/zygote_process.h"

enum { OOM_BLAME = 500 }; /* Of 1000: want of memory shall take workers before the application. */

/* The child is born with the blame that it shall bear: the zygote bears it for a moment, and by
 * a descriptor that is open, while a worker would have to find the file. */
static pid_t fork_blamed(const struct hki_zygote_process *zygote)
{
    int before = 0;
    bool is_raised = hki_os_oom_blame_raise(zygote->blame, OOM_BLAME, &before);
    pid_t pid = fork();
    int error;

    if (pid == 0) {
        return pid;
    }
    error = errno;
    if (pid > 0) {
        (void)setpgid(pid, pid); /* Whoever comes first: it is done before a kill. */
    }
    if (is_raised) {
        hki_os_oom_blame_set(zygote->blame, before);
    }
    errno = error;
    return pid;
}

static void forget(struct hki_zygote_process *zygote)
{
    hki_os_close(zygote->spare_socket);
    zygote->spare = 0;
    zygote->spare_socket = -1;
}

bool hki_zygote_spare_died(struct hki_zygote_process *zygote, pid_t pid)
{
    if (zygote->spare != pid) {
        return false;
    }
    forget(zygote);
    return true;
}

void hki_zygote_spare_drop(struct hki_zygote_process *zygote)
{
    zygote->spare_wanted = false;
    if (zygote->spare != 0) {
        (void)kill(-zygote->spare, SIGKILL);
        forget(zygote);
    }
}

/* Waits for the request that was meant for the zygote, and obeys in its place. */
static _Noreturn void be_spare(const struct hki_zygote_process *zygote, int socket)
{
    struct hki_zygote_message message;
    int fds[HKI_ZYGOTE_MESSAGE_FDS];
    size_t count = 0;
    ssize_t got;
    const struct hki_zygote_worker *worker;

    hki_zygote_leave_zygote(zygote);
    got = hki_receive_fds(socket, &message, sizeof(message), fds, HKI_ZYGOTE_MESSAGE_FDS, &count,
                          true);
    worker = hki_zygote_message_valid(&message, got, HKI_ZYGOTE_SPAWN, HKI_ZYGOTE_SPAWN)
                 ? hki_zygote_channel(zygote, message.number, message.index)
                 : NULL;
    if (worker == NULL || count != HKI_ZYGOTE_MESSAGE_FDS) {
        _exit(EXIT_FAILURE); /* As a rule: the zygote has gone. */
    }
    hki_os_close(socket);
    hki_zygote_become_worker(zygote, worker, message.generation, fds[0], fds[1]);
}

void hki_zygote_spare_make(struct hki_zygote_process *zygote)
{
    int pair[2];
    pid_t pid;

    zygote->spare_wanted = false; /* If it fails: at the next worker again. */
    if (zygote->spare != 0 || HKI_FAULT("spare_fails") || !hki_socket_pair(pair)) {
        return;
    }
    pid = fork_blamed(zygote);
    if (pid == 0) {
        hki_os_close(pair[0]);
        be_spare(zygote, pair[1]);
    }
    hki_os_close(pair[1]);
    zygote->spare_socket = pair[0];
    zygote->spare = pid;
    if (pid < 0) {
        forget(zygote);
    }
}

/* The spare becomes this worker. 0: there is none, or it does not listen any more. */
static pid_t use_spare(struct hki_zygote_process *zygote, const struct hki_zygote_message *message,
                       const int *fds)
{
    pid_t pid = zygote->spare;

    if (pid == 0) {
        return 0;
    }
    if (!hki_send_fds(zygote->spare_socket, message, sizeof(*message), fds, HKI_ZYGOTE_MESSAGE_FDS,
                      false)) {
        hki_zygote_spare_drop(zygote);
        return 0;
    }
    /* If it is killed before it reads this, its death is the worker's. */
    forget(zygote);
    return pid;
}

pid_t hki_zygote_fork(struct hki_zygote_process *zygote, const struct hki_zygote_worker *worker,
                      const struct hki_zygote_message *message, const int *fds)
{
    pid_t pid;

    if (HKI_FAULT("fork_fails")) {
        errno = EAGAIN;
        return -1;
    }
    pid = use_spare(zygote, message, fds);
    if (pid == 0 && (pid = fork_blamed(zygote)) == 0) {
        hki_zygote_leave_zygote(zygote);
        hki_zygote_become_worker(zygote, worker, message->generation, fds[0], fds[1]);
    }
    zygote->spare_wanted = pid > 0;
    return pid;
}
