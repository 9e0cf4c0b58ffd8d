/* SPDX-License-Identifier: MIT */
/*
 * Errands: functions of the library's own that travel as a job.
 *
 * An errand that was accepted is done in any case: if a shutdown or a broken
 * executor discards its job, the function still runs (or `refused` does), on the
 * thread that discards it. It is done when its input is dropped unless it was run.
 */
#include "executors/post.h"

#include "base/slab.h"
#include "executors/job.h"

struct errand {
    void (*fn)(void *arg);
    void (*refused)(void *arg);
    void *arg;
    bool ran;
};

static const struct hki_slab_class errands = {HKI_SLAB_ERRANDS, sizeof(struct errand)};

static hk_status run_errand(hk_call *call, const void *in, size_t in_size)
{
    struct errand *errand = (struct errand *)in;

    (void)call;
    (void)in_size;
    errand->ran = true;
    errand->fn(errand->arg);
    return HK_OK;
}

static void drop_errand(void *dropped)
{
    struct errand *errand = dropped;

    if (!errand->ran) {
        (errand->refused != NULL ? errand->refused : errand->fn)(errand->arg);
    }
    hki_slab_free(&errands, errand);
}

static const hk_task errand_task = {"hocket errand", run_errand, 0, "", 0};

hk_status hki_post(hk_executor *executor, void (*fn)(void *arg), void (*refused)(void *arg),
                   void *arg)
{
    struct errand *errand;
    hk_status status = hki_place_check(executor);

    if (status != HK_OK) {
        return status;
    }
    if ((errand = hki_slab_alloc(&errands)) == NULL) {
        return HK_ENOMEM;
    }
    *errand = (struct errand){fn, refused, arg, false};
    status = hki_submit(&(struct hki_request){.executor = executor,
                                              .task = &errand_task,
                                              .size = HK_BY_REF,
                                              .given = {errand, HK_BY_REF, drop_errand, errand},
                                              .moves = true,
                                              .internal = true,
                                              .forced = true},
                        NULL);
    if (status != HK_OK) {
        hki_slab_free(&errands, errand);
    }
    return status;
}

hk_status hki_post_to_executor(struct hki_place *place, void (*fn)(void *arg), void *arg)
{
    return hki_post((hk_executor *)(void *)place, fn, NULL, arg);
}
