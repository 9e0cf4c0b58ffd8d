/* SPDX-License-Identifier: MIT */
/* An executor of one's own: a queue that the main loop of a program works off,
 * when it likes. Everything but the queue is Hocket's. */
#include <hocket/hocket.h>

#include <stdio.h>

/* [backend] */
enum { ROOM = 16 };

/* One thread submits and pumps; more would need a lock. */
struct pump {
    hk_job *jobs[ROOM];
    size_t first, count;
    bool closed;
};

static hk_job *take(struct pump *pump)
{
    hk_job *job = pump->jobs[pump->first];

    pump->first = (pump->first + 1) % ROOM;
    pump->count--;
    return job;
}

static hk_status submit(void *self, hk_job *job, hk_duration queue_wait)
{
    struct pump *pump = self;

    (void)queue_wait; /* Only the pumping thread makes room: waiting would be for ever. */
    if (pump->closed || pump->count == ROOM) {
        return pump->closed ? HK_ECLOSED : HK_EFULL;
    }
    pump->jobs[(pump->first + pump->count++) % ROOM] = job;
    return HK_OK;
}

/* Without `remove` a cancelled job stays here; running it then only releases it. */
static void pump_all(struct pump *pump)
{
    while (pump->count != 0) {
        (void)hk_job_run(take(pump), NULL, "the main loop");
    }
}

static void shut_down(void *self, hk_shutdown_how how)
{
    struct pump *pump = self;

    pump->closed = true;
    while (how >= HK_SHUTDOWN_CANCEL_QUEUED && pump->count != 0) {
        hk_job_discard(take(pump), HK_ECANCELED, "the main loop has ended");
    }
}

static hk_status join(void *self, hk_duration timeout)
{
    (void)timeout;
    pump_all(self);
    return HK_OK;
}

static void destroy(void *self)
{
    (void)self; /* On the stack of main. */
}

static const hk_executor_ops pump_ops = {
    .size = sizeof(pump_ops),
    .kind = "pump",
    .flags = HK_EXECUTOR_SHARES_MEMORY,
    .submit = submit,
    .shutdown = shut_down,
    .join = join,
    .destroy = destroy,
};
/* [backend] */

HK_TASK(greet)
{
    (void)in_size;
    printf("hello, %s\n", (const char *)in);
    return HK_OK;
}

int main(void)
{
    struct pump pump = {.count = 0};
    hk_executor *executor;
    hk_future *future;
    bool done = false;

    if (hk_executor_create(&pump_ops, &pump, NULL, &executor) != HK_OK) {
        return 2;
    }
    if (hk_submit(executor, greet, "world", sizeof("world"), NULL, &future) == HK_OK) {
        pump_all(&pump);
        done = hk_future_state(future) == HK_DONE;
        hk_future_unref(future);
    }
    return hk_executor_destroy(executor) != HK_OK || !done;
}
