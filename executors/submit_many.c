/* SPDX-License-Identifier: MIT */
/*
 * Submitting an array: in batches where the back end takes them, else one by one.
 *
 * A batch is admitted once, counted once, put at the price of one task, and calls for a worker
 * once. It is made only where hk_submit() would find nothing to object to; whatever is odd is
 * met by a task that is submitted by itself, which then says why, as the first one refused.
 */
#include "base/array.h"
#include "executors/job.h"

/* So that workers have begun on the first ones while the next are made. */
enum { BATCH = 64 };

struct array {
    const unsigned char *first; /* NULL: there are no bytes. */
    size_t stride;
};

static const void *item_of(const struct array *array, size_t i)
{
    return array->first == NULL ? NULL : array->first + i * array->stride;
}

/* How many of the next count were accepted. HK_OK with 0: one by itself is to find out why. */
static hk_status submit_batch(hk_executor *executor, const hk_site *site, const hk_task *task,
                              const struct array *array, size_t from, size_t count,
                              hk_future **futures, size_t *accepted)
{
    void *jobs[BATCH];
    size_t made = 0;

    *accepted = 0;
    count = count < BATCH ? count : BATCH;
    if (!executor->traits->may_put(executor->self)) {
        return HK_OK;
    }
    while (made < count &&
           (jobs[made] = hki_job_make_slim(executor, site, task, item_of(array, from + made),
                                           array->stride)) != NULL) {
        made++;
    }
    if (made != 0) {
        hki_executor_count_many(executor, HKI_ACCEPTED, made);
        executor->traits->put_many(executor->self, jobs, made);
    }
    for (size_t i = 0; i < made; i++) {
        hk_future *future = &((hk_job *)jobs[i])->future;

        if (futures != NULL) {
            futures[from + i] = future;
        } else {
            hk_future_unref(future);
        }
    }
    *accepted = made;
    if (made < count) {
        atomic_fetch_add(&executor->refused, 1);
        return HK_ENOMEM;
    }
    return HK_OK;
}

hk_status hk_submit_many_at(const hk_site *site, hk_executor *executor, const hk_task *task,
                            const void *items, size_t count, size_t stride,
                            const hk_submit_options *options, hk_future **futures, size_t *accepted)
{
    const struct array array = {items, stride};
    hk_status status = HK_OK;
    size_t taken = 0;

    if (accepted != NULL) {
        *accepted = 0;
    }
    if (!hki_array_exists(count, sizeof(hk_future *)) || !hki_array_exists(count, stride)) {
        return HK_EINVAL; /* Nor is there an array of futures to write to. */
    }
    if (executor == NULL || task == NULL || (items == NULL && count != 0 && stride != 0)) {
        status = HK_EINVAL;
    }
    while (taken < count && status == HK_OK) {
        size_t batch = 0;

        if (count - taken > 1 && options == NULL &&
            hki_is_plain(executor, task, array.first, stride)) {
            status =
                submit_batch(executor, site, task, &array, taken, count - taken, futures, &batch);
        }
        if (batch == 0 && status == HK_OK) {
            status = hk_submit_at(site, executor, task, item_of(&array, taken), stride, options,
                                  futures == NULL ? NULL : &futures[taken]);
            batch = status == HK_OK ? 1 : 0;
        }
        taken += batch;
    }
    if (futures != NULL) {
        for (size_t i = taken; i < count; i++) {
            futures[i] = NULL;
        }
    }
    if (accepted != NULL) {
        *accepted = taken;
    }
    return status;
}
