/* SPDX-License-Identifier: MIT */
/* A child of the zygote, from its fork to the first step of the worker itself. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fork.h"
#include "base/os.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/memory.h"
#include "executors/process_pool/zygote_process.h"

void (*hki_zygote_worker_main)(const struct hki_worker_start *start) = hki_worker_main;

static void unmap_other_pools(const struct hki_zygote_process *zygote,
                              const struct hki_zygote_pool *own)
{
    for (struct hki_list *link = zygote->pools.next; link != &zygote->pools; link = link->next) {
        struct hki_zygote_pool *pool = HKI_CONTAINER(link, struct hki_zygote_pool, link);

        /* What is leaving is unmapped; its addresses may be another's by now. */
        if (pool != own && !pool->leaving) {
            hki_pool_memory_unmap_fixed(pool->page, pool->bytes);
        }
    }
}

static void close_zygotes(const struct hki_zygote_process *zygote)
{
    const int fds[] = {zygote->control, zygote->events, zygote->blame, zygote->oom.fd,
                       zygote->spare_socket};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            hki_os_close(fds[i]);
        }
    }
}

void hki_zygote_leave_zygote(const struct hki_zygote_process *zygote)
{
    static const sigset_t none; /* Empty, as it is zero. */

    hki_fork_set_alone(false); /* Its tasks may start threads, and fork. */
    (void)setpgid(0, 0);
    hki_os_die_with_parent();
    if (getppid() != zygote->pid) {
        _exit(EXIT_FAILURE); /* It was gone before it could have been noticed. */
    }
    close_zygotes(zygote);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void hki_zygote_become_worker(const struct hki_zygote_process *zygote,
                              const struct hki_zygote_worker *worker, uint32_t generation,
                              int socket, int stop_event)
{
    struct hki_worker_start start = {.page = worker->pool->page,
                                     .index = worker->index,
                                     .generation = generation,
                                     .zygote_pid = zygote->pid,
                                     .socket = socket,
                                     .stop_event = stop_event,
                                     .ring = zygote->ring};

    HKI_FAULT_I_AM((int32_t)worker->index);
    unmap_other_pools(zygote, worker->pool);
    if (!hki_pool_memory_show(start.page, start.index) ||
        (hki_pool_confines(start.page) && !hki_pool_memory_leave_others(start.page, start.index))) {
        _exit(EXIT_FAILURE); /* There is no place to say why. */
    }
    hki_zygote_worker_main(&start);
    _exit(EXIT_FAILURE);
}
