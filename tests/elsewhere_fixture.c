/* SPDX-License-Identifier: MIT */
#include "tests/elsewhere_fixture.h"

#include <string.h>

#include "base/memory.h"
#include "base/time.h"

/* --- The executor --- */

static hk_status submit(void *self, hk_job *job, hk_duration queue_wait)
{
    struct hkt_elsewhere *elsewhere = self;

    (void)queue_wait;
    if (job->input.size > elsewhere->largest_input) {
        elsewhere->largest_input = job->input.size;
    }
    if (!elsewhere->holds) {
        (void)hk_job_run(job, NULL, "elsewhere");
        return HK_OK;
    }
    if (elsewhere->held_count == HKT_HELD_MAX) {
        return HK_EFULL;
    }
    elsewhere->held[elsewhere->held_count++] = job;
    return HK_OK;
}

static void begin_shutdown(void *self, hk_shutdown_how how)
{
    (void)self;
    (void)how;
}

static hk_status join(void *self, hk_duration timeout)
{
    (void)self;
    (void)timeout;
    return HK_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static const hk_executor_ops ops = {
    .size = sizeof(ops),
    .kind = "elsewhere",
    .submit = submit,
    .shutdown = begin_shutdown,
    .join = join,
    .destroy = destroy,
};

void hkt_elsewhere_open(struct hkt_elsewhere *elsewhere, const hk_executor_options *options)
{
    memset(elsewhere, 0, sizeof(*elsewhere));
    HKT_OK_FATAL(hk_executor_create(&ops, elsewhere, options, &elsewhere->executor));
}

void hkt_elsewhere_close(struct hkt_elsewhere *elsewhere)
{
    HKT_OK(hk_executor_destroy(elsewhere->executor));
}

/* --- A call with a link --- */

struct link {
    struct hki_call_link link;
    struct hkt_result *result;
};

static bool should_stop(struct hki_call_link *link)
{
    (void)link;
    return false;
}

static int64_t end_ns(struct hki_call_link *link)
{
    (void)link;
    return HKI_NEVER;
}

static void sleep_until(struct hki_call_link *link, int64_t until_ns)
{
    (void)link;
    (void)until_ns;
}

static int stop_fd(struct hki_call_link *link)
{
    (void)link;
    return -1;
}

static void progress(struct hki_call_link *link, uint64_t done, uint64_t total)
{
    (void)link;
    (void)done;
    (void)total;
}

static hk_status reserve(struct hki_call_link *link, size_t size, struct hki_value *value)
{
    struct hkt_result *result = ((struct link *)(void *)link)->result;
    void *block;

    hki_value_drop(value);
    if (size <= result->area_size) {
        *value = (struct hki_value){result->area, size, NULL, NULL};
        return HK_OK;
    }
    if ((block = hki_block_alloc(size)) == NULL) {
        return HK_ENOMEM;
    }
    *value = (struct hki_value){block, size, hki_block_free, block};
    return HK_OK;
}

static hk_status take_fd(struct hki_call_link *link, size_t index, int *fd)
{
    (void)link;
    (void)index;
    (void)fd;
    return HK_EINVAL;
}

static unsigned attempt(struct hki_call_link *link)
{
    (void)link;
    return 1;
}

static const struct hki_call_link_ops link_ops = {
    .should_stop = should_stop,
    .end_ns = end_ns,
    .sleep = sleep_until,
    .stop_fd = stop_fd,
    .progress = progress,
    .reserve = reserve,
    .take_fd = take_fd,
    .attempt = attempt,
};

void hkt_run_by_link(hk_job *job, struct hkt_result *result)
{
    struct link link = {{&link_ops}, result};
    hk_call call = {
        .executor = job->executor,
        .link = &link.link,
        .task = job->task,
        .where = "worker 1",
    };

    hki_call_enter(&call);
    result->status = job->task->run(&call, job->input.data, job->input.size);
    hki_call_leave(&call);
    result->bytes = call.value.data;
    result->size = call.value.size;
    if (result->status != HK_OK) {
        hki_value_drop(&call.value);
    }
}
