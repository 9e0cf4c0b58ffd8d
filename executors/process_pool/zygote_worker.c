/* SPDX-License-Identifier: MIT */
/* A child of the zygote, from its fork to the first step of the worker itself. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/os.h"
#include "executors/process_pool/memory.h"
#include "executors/process_pool/zygote_process.h"

enum { OOM_SCORE_MORE = 500, OOM_SCORE_MAX = 1000 };

struct hki_zygote_hooks hki_zygote_hooks = {hki_worker_main, fork};

/* A system that lacks memory shall take workers before the application and the zygote. */
static void offer_to_oom_killer(void)
{
    static const char path[] = "/proc/self/oom_score_adj";
    char text[24] = "";
    int fd = open(path, O_RDWR | O_CLOEXEC);
    long score;

    if (fd < 0) {
        return;
    }
    if (read(fd, text, sizeof(text) - 1) > 0) {
        score = strtol(text, NULL, 10) + OOM_SCORE_MORE;
        snprintf(text, sizeof(text), "%ld", score < OOM_SCORE_MAX ? score : OOM_SCORE_MAX);
        (void)hki_os_write(fd, text, strlen(text));
    }
    hki_os_close(fd);
}

/* What lies between the two offsets of a pool's memory, but for the range that is kept. */
static void unmap_around(struct hki_pool_page *page, uint64_t begin, uint64_t end,
                         uint64_t kept_begin, uint64_t kept_end)
{
    if (kept_begin > begin) {
        hki_pool_memory_unmap_fixed(hki_pool_at(page, begin), (size_t)(kept_begin - begin));
    }
    if (end > kept_end) {
        hki_pool_memory_unmap_fixed(hki_pool_at(page, kept_end), (size_t)(end - kept_end));
    }
}

/* A worker that has gone wild can spoil its own channel and the arena, no more. */
static void give_away_memory(const struct hki_zygote_process *zygote,
                             const struct hki_zygote_worker *worker)
{
    struct hki_pool_page *page = worker->pool->page;
    uint64_t count = worker->pool->count;
    uint64_t stride = page->channel_stride;
    uint64_t channel = page->channels_at + worker->index * stride;
    uint64_t overflow = page->overflow_at + worker->index * HKI_OVERFLOW_EXTENT;

    for (struct hki_list *link = zygote->pools.next; link != &zygote->pools; link = link->next) {
        struct hki_zygote_pool *pool = HKI_CONTAINER(link, struct hki_zygote_pool, link);

        /* What is leaving is unmapped; its addresses may be another's by now. */
        if (pool != worker->pool && !pool->leaving) {
            hki_pool_memory_unmap_fixed(pool->page, pool->bytes);
        }
    }
    unmap_around(page, page->channels_at, page->channels_at + count * stride, channel,
                 channel + stride);
    unmap_around(page, page->overflow_at, page->overflow_at + count * HKI_OVERFLOW_EXTENT, overflow,
                 overflow + HKI_OVERFLOW_EXTENT);
    (void)mprotect(page, (size_t)page->channels_at, PROT_READ);
}

void hki_zygote_become_worker(const struct hki_zygote_process *zygote,
                              const struct hki_zygote_worker *worker, int socket, int stop_event)
{
    struct hki_worker_start start = {.page = worker->pool->page,
                                     .index = worker->index,
                                     .generation = worker->generation,
                                     .zygote_pid = zygote->pid,
                                     .socket = socket,
                                     .stop_event = stop_event,
                                     .ring = zygote->ring};
    sigset_t none;

    (void)setpgid(0, 0);
    hki_os_die_with_parent();
    if (getppid() != zygote->pid) {
        _exit(EXIT_FAILURE); /* It was gone before it could have been noticed. */
    }
    hki_os_close(zygote->control);
    hki_os_close(zygote->events);
    offer_to_oom_killer();
    give_away_memory(zygote, worker);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    hki_zygote_hooks.worker_main(&start);
    _exit(EXIT_FAILURE);
}
