/* SPDX-License-Identifier: MIT */
/* Bad arguments for executors: opening, submitting, maps, ranges, replay. */
#include "tests/misuse/rows.h"

static void *made; /* Whatever a call gives; NULL when it was refused. */
static hk_future *futures[2];
static hk_executor_statistics statistics;
static size_t accepted;
static atomic_uint drops;
static char text[4];

static hk_executor **executor_out(void)
{
    made = NULL;
    return (hk_executor **)&made;
}

static hk_status end_made(hk_status status)
{
    HKT_TRUE((status == HK_OK) == (made != NULL));
    HKT_OK(hk_executor_destroy(made));
    made = NULL;
    return status;
}

static hk_future **future_out(void)
{
    futures[0] = NULL;
    return &futures[0];
}

static hk_status end_future(hk_status status)
{
    HKT_TRUE((status == HK_OK) == (futures[0] != NULL));
    hk_future_unref(futures[0]);
    futures[0] = NULL;
    return status;
}

/* --- opening --- */

ROW(hk_executor_check_spec, text, hk_executor_check_spec(NULL, text, sizeof(text)) == HK_EINVAL);
ROW(hk_executor_check_spec, message, hk_executor_check_spec("nowhere", NULL, 0) == HK_EINVAL);
ROW(hk_executor_check_spec, size,
    hk_executor_check_spec("nowhere", text, 0) == HK_EINVAL &&
        hk_executor_check_spec("nowhere", NULL, SIZE_MAX) == HK_EINVAL);
ROW(hk_executor_open, spec,
    end_made(hk_executor_open(NULL, executor_out())) == HK_EINVAL &&
        end_made(hk_executor_open("", executor_out())) == HK_EINVAL &&
        end_made(hk_executor_open("threads:99999999999999999999", executor_out())) == HK_EINVAL &&
        end_made(hk_executor_open("threads:-1", executor_out())) == HK_EINVAL &&
        end_made(hk_executor_open("threads?queue_capacity=-1", executor_out())) == HK_EINVAL &&
        end_made(hk_executor_open("threads?task_timeout=99999999999999s", executor_out())) ==
            HK_EINVAL);
ROW(hk_executor_open, out, hk_executor_open("inline", NULL) == HK_EINVAL);
ROW(hk_inline_create, options, misuse_refuses_options(hk_inline_create));
ROW(hk_inline_create, out, hk_inline_create(NULL, NULL) == HK_EINVAL);
ROW(hk_thread_pool_create, options, misuse_refuses_options(hk_thread_pool_create));
ROW(hk_thread_pool_create, out, hk_thread_pool_create(NULL, NULL) == HK_EINVAL);
ROW(hk_process_pool_create, options, misuse_refuses_options(hk_process_pool_create));
ROW(hk_process_pool_create, out, hk_process_pool_create(NULL, NULL) == HK_EINVAL);

static hk_status create_serial(const hk_executor_options *options, hk_executor **out)
{
    return hk_serial_create(m.executor, options, out);
}

ROW(hk_serial_create, base, end_made(hk_serial_create(NULL, NULL, executor_out())) == HK_EINVAL);
ROW(hk_serial_create, options, misuse_refuses_options(create_serial));
ROW(hk_serial_create, out, hk_serial_create(m.executor, NULL, NULL) == HK_EINVAL);

static hk_status create_replay(const hk_executor_options *options, hk_executor **out)
{
    return hk_replay_create(1, options, out);
}

ROW(hk_replay_create, options, misuse_refuses_options(create_replay));
ROW(hk_replay_create, out, hk_replay_create(1, NULL, NULL) == HK_EINVAL);
ROW(hk_replay_advance, executor,
    hk_replay_advance(NULL, 0) == HK_EINVAL && hk_replay_advance(m.executor, 0) == HK_EINVAL);
ROW(hk_replay_elapsed, executor,
    hk_replay_elapsed(NULL, &(hk_duration){0}) == HK_EINVAL &&
        hk_replay_elapsed(m.executor, &(hk_duration){0}) == HK_EINVAL);
ROW(hk_replay_run, executor,
    hk_replay_run(NULL, 0, NULL) == HK_EINVAL && hk_replay_run(m.executor, 0, NULL) == HK_EINVAL);
ROW(hk_replay_step, executor,
    hk_replay_step(NULL, NULL) == HK_EINVAL && hk_replay_step(m.executor, NULL) == HK_EINVAL);
ROW(hk_replay_on_step, executor,
    hk_replay_on_step(NULL, NULL, NULL) == HK_EINVAL &&
        hk_replay_on_step(m.executor, NULL, NULL) == HK_EINVAL);

static bool in_world(bool (*holds)(hk_executor *world))
{
    hk_executor *world = NULL;
    bool held;

    HKT_OK_FATAL(hk_replay_create(1, NULL, &world));
    held = holds(world);
    HKT_OK(hk_executor_destroy(world));
    return held;
}

static bool advance_refuses_durations(hk_executor *world)
{
    return REFUSES_DURATIONS(hk_replay_advance(world, bad)) &&
           hk_replay_advance(world, HK_FOREVER) == HK_EINVAL;
}

static bool now_refuses_null(hk_executor *world)
{
    return hk_replay_elapsed(world, NULL) == HK_EINVAL;
}

static bool null_is_fine_elsewhere(hk_executor *world)
{
    return hk_replay_run(world, 0, NULL) == HK_OK && hk_replay_step(world, NULL) == HK_OK &&
           hk_replay_on_step(world, NULL, NULL) == HK_OK;
}

ROW(hk_replay_advance, duration, in_world(advance_refuses_durations));
ROW(hk_replay_elapsed, now, in_world(now_refuses_null));
ROW(hk_replay_run, steps, in_world(null_is_fine_elsewhere));
ROW(hk_replay_step, stepped, in_world(null_is_fine_elsewhere));
ROW(hk_replay_on_step, fn, in_world(null_is_fine_elsewhere));

static hk_status no_submit(void *self, hk_job *job, hk_duration queue_wait)
{
    (void)self;
    (void)job;
    (void)queue_wait;
    return HK_EFULL;
}

static void no_shutdown(void *self, hk_shutdown_how how)
{
    (void)self;
    (void)how;
}

static hk_status no_join(void *self, hk_duration timeout)
{
    (void)self;
    (void)timeout;
    return HK_OK;
}

static void no_destroy(void *self)
{
    (void)self;
}

static const hk_executor_ops whole = {.size = sizeof(hk_executor_ops),
                                      .kind = "none",
                                      .submit = no_submit,
                                      .shutdown = no_shutdown,
                                      .join = no_join,
                                      .destroy = no_destroy};

static hk_status create_with(hk_executor_ops ops)
{
    return end_made(hk_executor_create(&ops, NULL, NULL, executor_out()));
}

static bool refuses_operations_that_lack_something(void)
{
    hk_executor_ops lacking[7];

    for (size_t i = 0; i < 7; i++) {
        lacking[i] = whole;
    }
    lacking[0].size = 0;
    lacking[1].size = sizeof(whole) - 1;
    lacking[2].kind = NULL;
    lacking[3].submit = NULL;
    lacking[4].shutdown = NULL;
    lacking[5].join = NULL;
    lacking[6].destroy = NULL;
    for (size_t i = 0; i < 7; i++) {
        if (create_with(lacking[i]) != HK_EINVAL) {
            return false;
        }
    }
    return create_with(whole) == HK_OK;
}

static hk_status create_own(const hk_executor_options *options, hk_executor **out)
{
    return hk_executor_create(&whole, NULL, options, out);
}

ROW(hk_executor_create, ops,
    end_made(hk_executor_create(NULL, NULL, NULL, executor_out())) == HK_EINVAL &&
        refuses_operations_that_lack_something());
ROW(hk_executor_create, options, misuse_refuses_options(create_own));
ROW(hk_executor_create, out, hk_executor_create(&whole, NULL, NULL, NULL) == HK_EINVAL);

/* --- what an executor is asked --- */

ROW(hk_executor_destroy, executor, hk_executor_destroy(NULL) == HK_OK);
ROW(hk_executor_name, executor, strcmp(hk_executor_name(NULL), "") == 0);
ROW(hk_executor_prestart, executor, hk_executor_prestart(NULL, 0) == HK_EINVAL);
ROW(hk_executor_prestart, timeout, REFUSES_DURATIONS(hk_executor_prestart(m.executor, bad)));
ROW(hk_executor_resize, executor, hk_executor_resize(NULL, 1) == HK_EINVAL);
ROW(hk_executor_resize, workers,
    hk_executor_resize(m.executor, 1) == HK_EINVAL && misuse_pool_refuses_sizes());
ROW(hk_executor_restart_workers, executor,
    hk_executor_restart_workers(NULL) == HK_EINVAL &&
        hk_executor_restart_workers(m.executor) == HK_EINVAL);
ROW(hk_executor_shutdown, executor, hk_executor_shutdown(NULL, HK_SHUTDOWN_DRAIN, 0) == HK_EINVAL);
ROW(hk_executor_shutdown, how,
    hk_executor_shutdown(m.executor, (hk_shutdown_how)4, 0) == HK_EINVAL &&
        hk_executor_shutdown(m.executor, (hk_shutdown_how)-1, 0) == HK_EINVAL &&
        hk_submit(m.executor, hkt_nothing, NULL, 0, NULL, NULL) == HK_OK);
ROW(hk_executor_shutdown, timeout,
    REFUSES_DURATIONS(hk_executor_shutdown(m.executor, HK_SHUTDOWN_DRAIN, bad)) &&
        hk_submit(m.executor, hkt_nothing, NULL, 0, NULL, NULL) == HK_OK);
ROW(hk_executor_stats, executor, hk_executor_stats(NULL, &statistics) == HK_EINVAL);
ROW(hk_executor_stats, statistics, hk_executor_stats(m.executor, NULL) == HK_EINVAL);

ROW(hk_buffer_create, executor, hk_buffer_create(NULL, 8, (hk_buffer **)&made) == HK_EINVAL);
ROW(hk_buffer_create, size,
    hk_buffer_create(m.executor, 0, (hk_buffer **)&made) == HK_EINVAL &&
        REFUSES_SIZES(hk_buffer_create(m.executor, bad, (hk_buffer **)&made), HK_ETOOBIG));
ROW(hk_buffer_create, out, hk_buffer_create(m.executor, 8, NULL) == HK_EINVAL);
ROW(hk_buffer_data, buffer, hk_buffer_data(NULL) == NULL);
ROW(hk_buffer_destroy, buffer, DOES_NOTHING(hk_buffer_destroy(NULL)));
ROW(hk_buffer_set_size, buffer, hk_buffer_set_size(NULL, 0) == HK_EINVAL);
ROW(hk_buffer_set_size, size,
    hk_buffer_create(m.executor, 8, (hk_buffer **)&made) == HK_OK &&
        REFUSES_SIZES(hk_buffer_set_size(made, bad), HK_EINVAL) &&
        hk_buffer_set_size(made, 9) == HK_EINVAL && hk_buffer_size(made) == 8 &&
        DOES_NOTHING(hk_buffer_destroy(made)));
ROW(hk_buffer_size, buffer, hk_buffer_size(NULL) == 0);

/* --- submitting --- */

/* By hand, and with something missing. */
static const hk_task bodiless = {"bodiless", NULL, 0, NULL, 0};

static hk_status submit(const hk_submit_options *options)
{
    return end_future(hk_submit(m.executor, hkt_nothing, NULL, 0, options, future_out()));
}

static hk_status submit_ref(const hk_submit_options *options)
{
    return end_future(hk_submit_ref(m.executor, hkt_nothing, text, NULL, options, future_out()));
}

static hk_status submit_many(const hk_submit_options *options)
{
    return end_future(
        hk_submit_many(m.executor, hkt_nothing, text, 1, 1, options, future_out(), NULL));
}

/* A refused buffer is still the caller's. */
static hk_status submit_buffer(const hk_submit_options *options)
{
    hk_buffer *buffer = NULL;
    hk_status status = hk_buffer_create(m.executor, 8, &buffer);

    HKT_OK_FATAL(status);
    status = hk_submit_buffer(m.executor, hkt_nothing, buffer, options, future_out());
    if (status != HK_OK) {
        hk_buffer_destroy(buffer);
    }
    return end_future(status);
}

static hk_status submit_task(const hk_task *task)
{
    hk_buffer *buffer = NULL;
    hk_status status = hk_buffer_create(m.executor, 8, &buffer);

    HKT_OK_FATAL(status);
    HKT_STATUS(hk_submit(m.executor, task, NULL, 0, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_submit_ref(m.executor, task, &drops, hkt_count_drop, NULL, NULL), HK_EINVAL);
    HKT_STATUS(hk_submit_many(m.executor, task, text, 1, 1, NULL, NULL, NULL), HK_EINVAL);
    status = hk_submit_buffer(m.executor, task, buffer, NULL, NULL);
    hk_buffer_destroy(buffer);
    HKT_EQ_INT(atomic_load(&drops), 0);
    return status;
}

static bool refuses_tasks(void)
{
    const hk_task nameless = {NULL, hkt_nothing->run, 0, NULL, 0};

    return submit_task(NULL) == HK_EINVAL && submit_task(&nameless) == HK_EINVAL &&
           submit_task(&bodiless) == HK_EINVAL;
}

static hk_status submit_nowhere(void)
{
    hk_buffer *buffer = NULL;
    hk_status status = hk_buffer_create(m.executor, 8, &buffer);

    HKT_OK_FATAL(status);
    status = hk_submit_buffer(NULL, hkt_nothing, buffer, NULL, NULL);
    hk_buffer_destroy(buffer);
    return status;
}

ROW(hk_submit_at, executor, hk_submit(NULL, hkt_nothing, NULL, 0, NULL, NULL) == HK_EINVAL);
ROW(hk_submit_at, task, refuses_tasks());
ROW(hk_submit_at, in,
    end_future(hk_submit(m.executor, hkt_nothing, NULL, 1, NULL, future_out())) == HK_EINVAL &&
        end_future(hk_submit(m.executor, hkt_nothing, NULL, 100, NULL, future_out())) == HK_EINVAL);
ROW(hk_submit_at, in_size,
    REFUSES_SIZES(hk_submit(m.executor, hkt_nothing, text, bad, NULL, NULL),
                  bad == HK_BY_REF ? HK_EINVAL : HK_ETOOBIG));
ROW(hk_submit_at, options, misuse_refuses_submit_options(submit));
ROW(hk_submit_at, future, hk_submit(m.executor, hkt_nothing, NULL, 0, NULL, NULL) == HK_OK);
ROW(hk_submit_buffer_at, executor, submit_nowhere() == HK_EINVAL);
ROW(hk_submit_buffer_at, task, refuses_tasks());
ROW(hk_submit_buffer_at, buffer,
    hk_submit_buffer(m.executor, hkt_nothing, NULL, NULL, NULL) == HK_EINVAL);
ROW(hk_submit_buffer_at, options, misuse_refuses_submit_options(submit_buffer));
ROW(hk_submit_buffer_at, future,
    hk_buffer_create(m.executor, 8, (hk_buffer **)&made) == HK_OK &&
        hk_submit_buffer(m.executor, hkt_nothing, made, NULL, NULL) == HK_OK);
ROW(hk_submit_many_at, executor,
    hk_submit_many(NULL, hkt_nothing, text, 1, 1, NULL, NULL, &accepted) == HK_EINVAL &&
        accepted == 0 &&
        hk_submit_many(NULL, hkt_nothing, text, 0, 1, NULL, NULL, &accepted) == HK_EINVAL);
ROW(hk_submit_many_at, task, refuses_tasks());
ROW(hk_submit_many_at, items,
    hk_submit_many(m.executor, hkt_nothing, NULL, 1, 1, NULL, NULL, &accepted) == HK_EINVAL &&
        hk_submit_many(m.executor, hkt_nothing, NULL, 2, 0, NULL, NULL, &accepted) == HK_OK &&
        accepted == 2);
ROW(hk_submit_many_at, count,
    REFUSES_SIZES(hk_submit_many(m.executor, hkt_nothing, text, bad, 1, NULL, NULL, &accepted),
                  HK_EINVAL) &&
        REFUSES_SIZES(hk_submit_many(m.executor, hkt_nothing, text, bad, 0, NULL, NULL, NULL),
                      HK_EINVAL) &&
        REFUSES_SIZES(hk_submit_many(NULL, hkt_nothing, text, bad, 1, NULL, futures, NULL),
                      HK_EINVAL));
ROW(hk_submit_many_at, stride,
    REFUSES_SIZES(hk_submit_many(m.executor, hkt_nothing, text, 2, bad, NULL, NULL, NULL),
                  HK_EINVAL));
ROW(hk_submit_many_at, options, misuse_refuses_submit_options(submit_many));
ROW(hk_submit_many_at, futures,
    hk_submit_many(m.executor, hkt_nothing, text, 2, 1, NULL, NULL, NULL) == HK_OK);
ROW(hk_submit_many_at, accepted,
    hk_submit_many(m.executor, hkt_nothing, text, 2, 1, NULL, NULL, NULL) == HK_OK);
ROW(hk_submit_ref_at, executor,
    hk_submit_ref(NULL, hkt_nothing, &drops, hkt_count_drop, NULL, NULL) == HK_EINVAL &&
        atomic_load(&drops) == 0);
ROW(hk_submit_ref_at, task, refuses_tasks());
ROW(hk_submit_ref_at, drop, submit_ref(NULL) == HK_OK);
ROW(hk_submit_ref_at, options, misuse_refuses_submit_options(submit_ref));
ROW(hk_submit_ref_at, future,
    hk_submit_ref(m.executor, hkt_nothing, NULL, NULL, NULL, NULL) == HK_OK);
