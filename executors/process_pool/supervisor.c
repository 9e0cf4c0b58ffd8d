/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's thread.
 *
 * As long as there is a zygote it sleeps in ppoll(); when the zygote was lost, there is
 * nobody left who could write to a descriptor, and it sleeps on the condition. A ring that
 * comes in between is not missed: hki_zygote_ring() counts first and then looks which it
 * is; the supervisor first says that the zygote is lost and then looks at the count.
 */
#include "executors/process_pool/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/zygote_messages.h"

#define ATTEND_NOW INT64_MIN

static _Thread_local bool is_supervisor;

static struct hki_zygote_parent *const parent = &hki_zygote_parent;

bool hki_zygote_is_supervisor(void)
{
    return is_supervisor;
}

static struct hki_zygote_client *client_of(struct hki_list *link)
{
    return HKI_CONTAINER(link, struct hki_zygote_client, link);
}

/* --- Calling clients --------------------------------------------------------- */

/* Between the two, under the lock, the client cannot be unregistered. */
static void call_begin(struct hki_zygote_client *client)
{
    parent->calling = client;
    pthread_mutex_unlock(&parent->lock);
}

static void call_end(void)
{
    pthread_mutex_lock(&parent->lock);
    parent->calling = NULL;
    hki_condition_broadcast(&parent->changed);
}

static void dispatch(const struct hki_zygote_message *message)
{
    struct hki_zygote_client *client = NULL;

    pthread_mutex_lock(&parent->lock);
    for (struct hki_list *link = parent->clients.next; link != &parent->clients;
         link = link->next) {
        if (client_of(link)->number == message->number) {
            client = client_of(link);
        }
    }
    if (client != NULL) {
        call_begin(client);
        if (message->kind == HKI_ZYGOTE_SPAWNED) {
            client->spawned(client, message->index, message->generation, message->pid,
                            message->value);
        } else {
            client->died(client, message->index, message->generation, message->pid, message->value,
                         message->out_of_memory != 0);
        }
        call_end();
    }
    pthread_mutex_unlock(&parent->lock);
}

/* Any client for which the question holds, or NULL. The list changes during calls, so each
 * search begins anew. */
static struct hki_zygote_client *find(bool (*is_meant)(const struct hki_zygote_client *client))
{
    for (struct hki_list *link = parent->clients.next; link != &parent->clients;
         link = link->next) {
        if (is_meant(client_of(link))) {
            return client_of(link);
        }
    }
    return NULL;
}

static bool has_to_attend(const struct hki_zygote_client *client)
{
    return client->until_ns == ATTEND_NOW;
}

static bool is_untold(const struct hki_zygote_client *client)
{
    return !client->lost;
}

/* Calls those whose time has come, or all. Each once, whatever it answers. */
static void attend(bool all)
{
    int64_t now_ns = hk_now_ns();
    struct hki_zygote_client *client;

    pthread_mutex_lock(&parent->lock);
    for (struct hki_list *link = parent->clients.next; link != &parent->clients;
         link = link->next) {
        if (all || client_of(link)->until_ns <= now_ns) {
            client_of(link)->until_ns = ATTEND_NOW;
        }
    }
    while ((client = find(has_to_attend)) != NULL) {
        int64_t until_ns;

        client->until_ns = HKI_NEVER;
        call_begin(client);
        until_ns = client->attend(client);
        call_end();
        /* It is still there: unregistering waits for calling, under this lock. */
        client->until_ns = until_ns > ATTEND_NOW ? until_ns : ATTEND_NOW + 1;
    }
    pthread_mutex_unlock(&parent->lock);
}

static void tell_lost(void)
{
    struct hki_zygote_client *client;

    pthread_mutex_lock(&parent->lock);
    while ((client = find(is_untold)) != NULL) {
        client->lost = true;
        call_begin(client);
        client->zygote_lost(client);
        call_end();
    }
    pthread_mutex_unlock(&parent->lock);
}

/* --- Listening --------------------------------------------------------------- */

/* False: nobody is at the other end any more, or this end is not ours. */
static bool listen_to_zygote(void)
{
    for (;;) {
        struct hki_zygote_message message;
        size_t count = 0;
        ssize_t got;

        if (!hki_own_fd_valid(&parent->control)) {
            return false;
        }
        got =
            hki_receive_fds(parent->control.fd, &message, sizeof(message), NULL, 0, &count, false);
        if (got < 0 && (errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS)) {
            return true;
        }
        if (!hki_zygote_message_valid(&message, got, HKI_ZYGOTE_SPAWNED, HKI_ZYGOTE_DIED)) {
            return false;
        }
        dispatch(&message);
    }
}

/* Until when to sleep; whether to end. */
static bool is_over(int64_t *until_ns)
{
    bool ending;

    *until_ns = HKI_NEVER;
    pthread_mutex_lock(&parent->lock);
    ending = parent->ending;
    for (struct hki_list *link = parent->clients.next; link != &parent->clients;
         link = link->next) {
        *until_ns = hki_earlier(*until_ns, client_of(link)->until_ns);
    }
    pthread_mutex_unlock(&parent->lock);
    return ending;
}

/*
 * How long to sleep at most when it has woken for nothing so many times in a row. Somebody may
 * close the descriptors, and use their numbers again, after they have been looked at and
 * before ppoll() looks at them: it would sleep on another's. So it looks again, a few times,
 * before it sleeps without a limit; an idle process wakes nobody.
 */
static int64_t patience_ns(unsigned quiet)
{
    static const int64_t limits_ns[] = {10 * 1000000, 100 * 1000000, 1000 * 1000000};

    return quiet < sizeof(limits_ns) / sizeof(limits_ns[0]) ? hki_deadline(limits_ns[quiet])
                                                            : HKI_NEVER;
}

/* What workers rang counts once, however often they did. One buffer at a time: who rings on and
 * on does not keep the supervisor here. */
static void drain(int fd)
{
    char rings[4096];

    while (read(fd, rings, sizeof(rings)) < 0 && errno == EINTR) {
    }
}

/* Sleeps until somebody has something to say. False: the zygote is lost. */
static bool serve_once(int64_t asked_ns, unsigned *quiet)
{
    int64_t until_ns = hki_earlier(asked_ns, patience_ns(*quiet));
    struct pollfd fds[] = {{.fd = parent->control.fd, .events = POLLIN},
                           {.fd = parent->ring.fd, .events = POLLIN},
                           {.fd = parent->rung.fd, .events = POLLIN}};
    int64_t left_ns = until_ns == HKI_NEVER ? 0 : until_ns - hk_now_ns();
    struct timespec left = hki_timespec(left_ns > 0 ? left_ns : 0);
    bool is_rung;
    int ready;

    if (!hki_own_fd_valid(&parent->control) || !hki_own_fd_valid(&parent->ring) ||
        !hki_own_fd_valid(&parent->rung)) {
        return false;
    }
    ready = ppoll(fds, 3, until_ns == HKI_NEVER ? NULL : &left, NULL);
    if (ready < 0) {
        return true;
    }
    *quiet = ready == 0 ? *quiet + 1 : 0;
    if ((fds[0].revents | fds[1].revents | fds[2].revents) & POLLNVAL) {
        return false;
    }
    is_rung = (fds[1].revents | fds[2].revents) != 0;
    if (is_rung && !hki_own_fd_valid(&parent->control)) {
        return false;
    }
    if (fds[1].revents != 0) {
        hki_os_event_drain(parent->ring.fd);
    }
    if (fds[2].revents != 0) {
        drain(parent->rung.fd);
    }
    if (fds[0].revents != 0 && !listen_to_zygote()) {
        return false;
    }
    attend(is_rung);
    return true;
}

static void serve_without_zygote(void)
{
    unsigned seen;
    int64_t until_ns;

    hki_zygote_bury();
    pthread_mutex_lock(&parent->lock);
    atomic_store(&parent->lost, true);
    pthread_mutex_unlock(&parent->lock);
    tell_lost();
    do {
        bool due = false;

        seen = atomic_load(&parent->rings);
        attend(true);
        while (!due && !is_over(&until_ns)) {
            pthread_mutex_lock(&parent->lock);
            if (!parent->ending && atomic_load(&parent->rings) == seen) {
                due = !hki_condition_wait(&parent->changed, &parent->lock, until_ns);
            }
            pthread_mutex_unlock(&parent->lock);
            due = due || atomic_load(&parent->rings) != seen;
        }
    } while (!is_over(&until_ns));
}

static void *serve(void *nothing)
{
    int64_t until_ns;
    unsigned quiet = 0;

    is_supervisor = true;
    parent->thread_id = hki_os_thread_id();
    hki_os_thread_name("hk-supervisor");
    while (!is_over(&until_ns)) {
        if (!serve_once(until_ns, &quiet)) {
            serve_without_zygote();
            break;
        }
    }
    return nothing;
}

/* --- The thread -------------------------------------------------------------- */

hk_status hki_supervisor_start(void)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed =
        HKI_FAULT("supervisor_fails") ? EAGAIN : pthread_create(&parent->thread, NULL, serve, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        errno = failed;
        return HK_ESYS;
    }
    parent->running = true;
    return HK_OK;
}

void hki_supervisor_end(void)
{
    pthread_t thread = parent->thread;

    parent->ending = true;
    hki_condition_broadcast(&parent->changed);
    pthread_mutex_unlock(&parent->lock);
    hki_zygote_ring();
    pthread_join(thread, NULL);
    hki_os_thread_await_gone(parent->thread_id);
    pthread_mutex_lock(&parent->lock);
    parent->ending = false;
    parent->running = false;
    hki_condition_broadcast(&parent->changed);
}

void hki_supervisor_forget(void)
{
    while (!hki_list_empty(&parent->clients)) {
        client_of(hki_list_take_first(&parent->clients))->lost = true;
    }
    parent->calling = NULL;
    parent->running = false;
    parent->ending = false;
    is_supervisor = false;
}
