/* SPDX-License-Identifier: MIT */
/* Birth, end and settings of a ring. */
#include <stdio.h>

#include "base/extensible.h"
#include "base/live.h"
#include "base/memory.h"
#include "base/os.h"
#include "sync/ring_impl.h"

enum { CAPACITY_DEFAULT = 1024 };

static size_t round_up(size_t capacity)
{
    size_t power = 1;

    while (power < capacity) {
        power *= 2;
    }
    return power;
}

hk_status hk_ring_create(const hk_ring_options *options, hk_ring **out)
{
    static const hk_ring_options defaults;
    hk_ring *ring;
    size_t capacity;

    options = options == NULL ? &defaults : options;
    if (out == NULL || !HKI_OPTIONS_VALID(options, 40) ||
        options->capacity > SIZE_MAX / 4 / sizeof(struct hki_cell)) {
        return HK_EINVAL;
    }
    capacity = round_up(options->capacity == 0 ? CAPACITY_DEFAULT : options->capacity);
    if ((ring = hki_zalloc(sizeof(*ring))) == NULL) {
        return HK_ENOMEM;
    }
    if ((ring->cells.cell = hki_alloc(capacity * sizeof(struct hki_cell))) == NULL) {
        hki_free(ring, sizeof(*ring));
        return HK_ENOMEM;
    }
    for (size_t i = 0; i < capacity; i++) {
        atomic_init(&ring->cells.cell[i].sequence, 2 * i);
        ring->cells.cell[i].item = NULL;
    }
    ring->cells.mask = capacity - 1;
    ring->generation = hki_fork_generation();
    ring->drop = options->drop;
    ring->drop_arg = options->drop_arg;
    hki_eventcount_init(&ring->items);
    hki_eventcount_init(&ring->room);
    hki_eventcount_init(&ring->end);
    pthread_mutex_init(&ring->fd_lock, NULL);
    ring->fd = -1;
    if (options->name != NULL) {
        snprintf(ring->name, sizeof(ring->name), "%s", options->name);
    }
    hki_live_add(HKI_LIVE_RINGS, 1);
    *out = ring;
    return HK_OK;
}

hk_status hk_ring_destroy(hk_ring *ring)
{
    void *item;
    size_t taken;

    if (ring == NULL) {
        return HK_OK;
    }
    if (hki_fork_foreign(ring->generation)) {
        return HK_EFORKED;
    }
    if (atomic_load(&ring->inside) != 0) {
        return HK_ESTATE;
    }
    hki_sides_clear(&ring->sides);
    while (hki_cells_take(&ring->cells, &item, 1, &taken) == HKI_CELLS_DONE) {
        if (ring->drop != NULL) {
            ring->drop(item, ring->drop_arg);
        }
    }
    if (ring->fd >= 0) {
        hki_os_close(ring->fd);
    }
    pthread_mutex_destroy(&ring->fd_lock);
    hki_free(ring->cells.cell, (ring->cells.mask + 1) * sizeof(struct hki_cell));
    hki_free(ring, sizeof(*ring));
    hki_live_add(HKI_LIVE_RINGS, -1);
    return HK_OK;
}

hk_status hk_ring_close(hk_ring *ring)
{
    hk_status status = hki_ring_usable(ring, 0);

    if (status != HK_OK) {
        return status;
    }
    hki_cells_close(&ring->cells);
    hki_eventcount_wake_all(&ring->items);
    hki_eventcount_wake_all(&ring->room);
    hki_ring_changed(ring);
    return HK_OK;
}

size_t hk_ring_length(const hk_ring *ring)
{
    uint64_t head;
    uint64_t length;

    if (hki_ring_usable(ring, 0) != HK_OK) {
        return 0;
    }
    /* In this order: the tail is never behind a head that was read before. */
    head = atomic_load(&ring->cells.head);
    length = hki_cells_tickets(&ring->cells) - head;
    return (size_t)(length > ring->cells.mask + 1 ? ring->cells.mask + 1 : length);
}

size_t hk_ring_capacity(const hk_ring *ring)
{
    return ring == NULL ? 0 : (size_t)(ring->cells.mask + 1);
}

hk_status hk_ring_bind(hk_ring *ring, unsigned sides)
{
    hk_status status = hki_ring_usable(ring, 0);

    return status != HK_OK ? status : hki_sides_bind(&ring->sides, sides);
}

hk_status hk_ring_unbind(hk_ring *ring, unsigned sides)
{
    hk_status status = hki_ring_usable(ring, 0);

    return status != HK_OK ? status : hki_sides_unbind(&ring->sides, sides);
}

/* --- The descriptor -------------------------------------------------------------- */

void hki_ring_show(hk_ring *ring)
{
    pthread_mutex_lock(&ring->fd_lock);
    if (ring->fd >= 0) {
        bool raise = hki_cells_can_take(&ring->cells);

        if (raise != ring->fd_raised) {
            ring->fd_raised = raise;
            if (raise) {
                hki_os_event_signal(ring->fd);
            } else {
                hki_os_event_drain(ring->fd);
            }
        }
    }
    pthread_mutex_unlock(&ring->fd_lock);
}

hk_status hk_ring_fd(hk_ring *ring, int *fd)
{
    hk_status status = hki_ring_usable(ring, 0);

    if (fd == NULL) {
        return HK_EINVAL;
    }
    if (status != HK_OK) {
        return status;
    }
    pthread_mutex_lock(&ring->fd_lock);
    if (ring->fd < 0) {
        ring->fd = hki_os_event_create();
    }
    if (ring->fd < 0) {
        status = HK_ESYS;
    } else {
        *fd = ring->fd;
        atomic_store(&ring->fd_wanted, true);
    }
    pthread_mutex_unlock(&ring->fd_lock);
    if (status == HK_OK) {
        /* Whoever has not seen that it is wanted has made a change that show sees. */
        hki_eventcount_order(&ring->items);
        hki_eventcount_order(&ring->room);
        hki_ring_show(ring);
    }
    return status;
}
