/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <hocket/hocket.h>
#include <stdio.h>

#include "count_slice.h"
#include "show.h"

enum { BAR_WIDTH = 30, FILES_A_STEP = 1000 };

void progress_init(struct progress *progress, char *const *paths, size_t path_count)
{
    walk_init(&progress->walk, paths, path_count);
    progress->is_measured = false;
    progress->total_bytes = 0;
    atomic_init(&progress->done, 0);
    progress->begin_ns = hk_now_ns();
}

void progress_fini(struct progress *progress)
{
    walk_fini(&progress->walk);
}

void progress_add(struct progress *progress, uint64_t bytes)
{
    /* relaxed: a number to be shown, nothing is reached through it. */
    (void)atomic_fetch_add_explicit(&progress->done, bytes, memory_order_relaxed);
}

bool progress_measure(struct progress *progress)
{
    struct walk_entry entry;

    for (int i = 0; i < FILES_A_STEP && !progress->is_measured; i++) {
        if (!walk_next(&progress->walk, &entry)) {
            progress->is_measured = true;
        } else if (entry.error == NULL) {
            progress->total_bytes += entry.size;
        }
    }
    return !progress->is_measured;
}

static void draw_time_left(double seconds)
{
    unsigned long left = (unsigned long)(seconds + 0.5);

    if (left >= 3600) {
        fprintf(stderr, ", %lu:%02lu:%02lu left", left / 3600, left / 60 % 60, left % 60);
    } else {
        fprintf(stderr, ", %lu:%02lu left", left / 60, left % 60);
    }
}

void progress_draw(struct progress *progress)
{
    char done_text[SHOW_BYTES_SIZE], total_text[SHOW_BYTES_SIZE], rate_text[SHOW_BYTES_SIZE];
    /* relaxed: a number to be shown, nothing is reached through it. */
    uint64_t finished = atomic_load_explicit(&progress->done, memory_order_relaxed);
    uint64_t live = count_slice_live_bytes();
    double seconds = (double)(hk_now_ns() - progress->begin_ns) / 1e9;
    double done = (double)(live > finished ? live : finished);
    double total = (double)progress->total_bytes;
    double rate = seconds > 0 ? done / seconds : 0;

    /* Files may grow while they are read. */
    total = total < done ? done : total;
    fputs("\r\x1b[K", stderr);
    if (progress->is_measured && total > 0) {
        int filled = (int)(done / total * BAR_WIDTH);

        fprintf(stderr, "%3d%% [", (int)(done / total * 100));
        for (int i = 0; i < BAR_WIDTH; i++) {
            putc(i < filled ? '=' : i == filled ? '>' : ' ', stderr);
        }
        fprintf(stderr, "] %s of %s, %s/s", show_bytes(done, done_text),
                show_bytes(total, total_text), show_bytes(rate, rate_text));
        if (rate > 0) {
            draw_time_left((total - done) / rate);
        }
    } else {
        fprintf(stderr, "%s, %s/s", show_bytes(done, done_text), show_bytes(rate, rate_text));
    }
    fflush(stderr);
}

void progress_erase(void)
{
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
}
