/* SPDX-License-Identifier: MIT */
/* Results larger than what was reserved: first fit over the units of the worker's extent. */
#include <string.h>

#include "executors/process_pool/worker_impl.h"

static unsigned char *extent(const struct hki_worker *worker)
{
    return hki_pool_at(worker->page,
                       worker->page->overflow_at + worker->index * HKI_OVERFLOW_EXTENT);
}

/* Free, or just given back by the parent. */
static bool is_free(struct hki_worker *worker, uint32_t unit)
{
    struct hki_overflow *overflow = &worker->overflow;

    if (overflow->units[unit] == 0) {
        return true;
    }
    /* acquire: pairs with the parent's count (the pool's views), so that its last reads of
     * the chunk come before what is written there next. */
    if (!overflow->shown[unit] ||
        atomic_load_explicit(&worker->channel->returned[unit], memory_order_acquire) ==
            overflow->returned[unit]) {
        return false;
    }
    overflow->units[unit] = 0;
    overflow->shown[unit] = false;
    return true;
}

void *hki_overflow_take(struct hki_worker *worker, size_t size)
{
    uint32_t wanted;
    uint32_t run = 0;
    uint32_t unit = 0;

    if (size == 0 || size > HKI_OVERFLOW_EXTENT ||
        atomic_load(&worker->channel->overflow_allowed) == 0) {
        return NULL;
    }
    wanted = (uint32_t)((size + HKI_OVERFLOW_UNIT - 1) / HKI_OVERFLOW_UNIT);
    while (unit < HKI_OVERFLOW_UNITS) {
        if (!is_free(worker, unit)) {
            unit += worker->overflow.units[unit];
            run = 0;
            continue;
        }
        unit++;
        if (++run == wanted) {
            worker->overflow.units[unit - run] = (uint16_t)wanted;
            return extent(worker) + (size_t)(unit - run) * HKI_OVERFLOW_UNIT;
        }
    }
    return NULL;
}

/* SIZE_MAX for an address outside. */
static size_t unit_of(const struct hki_worker *worker, const void *address)
{
    uintptr_t offset = (uintptr_t)address - (uintptr_t)extent(worker);

    return offset < HKI_OVERFLOW_EXTENT && offset % HKI_OVERFLOW_UNIT == 0
               ? offset / HKI_OVERFLOW_UNIT
               : SIZE_MAX;
}

bool hki_overflow_is_chunk(const struct hki_worker *worker, const void *address)
{
    size_t unit = unit_of(worker, address);

    return unit != SIZE_MAX && worker->overflow.units[unit] != 0;
}

void hki_overflow_give_back(struct hki_worker *worker, void *chunk)
{
    worker->overflow.units[unit_of(worker, chunk)] = 0;
}

uint64_t hki_overflow_show(struct hki_worker *worker, const void *chunk)
{
    size_t unit = unit_of(worker, chunk);

    worker->overflow.shown[unit] = true;
    worker->overflow.returned[unit] = atomic_load(&worker->channel->returned[unit]);
    return (uint64_t)(uintptr_t)chunk - worker->page->base;
}
