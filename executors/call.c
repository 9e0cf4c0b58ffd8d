/* SPDX-License-Identifier: MIT */
/* What a running task may ask and say. */
#include "executors/call.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/os.h"
#include "base/small_copy.h"
#include "base/time.h"
#include "base/world.h"

enum { MESSAGE_BYTES = 512 };

_Thread_local hk_call *hki_innermost_call __attribute__((tls_model("initial-exec")));

void hki_call_let_go(hk_call *call)
{
    if (call->stop_fd_watched) {
        (void)hki_cancel_unwatch(&call->stop_watch);
    }
    if (call->stop_fd >= 0) {
        hki_os_close(call->stop_fd);
    }
    hk_cancel_token_unref(call->token);
}

bool hki_call_inside(const hk_executor *executor)
{
    for (const hk_call *call = hki_innermost_call; call != NULL; call = call->outer) {
        if (call->executor == executor) {
            return true;
        }
    }
    return false;
}

/* --- saying --- */

static hk_status refuse(hk_call *call, hk_status why)
{
    hki_value_drop(&call->value);
    call->refused = why;
    return why;
}

hk_status hk_return_reserve(hk_call *call, size_t size, void **out)
{
    hk_status status;

    if (call == NULL || out == NULL) {
        return HK_EINVAL;
    }
    if (size > call->executor->max_payload) {
        return refuse(call, HK_ETOOBIG);
    }
    status = call->link != NULL ? call->link->ops->reserve(call->link, size, &call->value)
                                : hki_value_reserve(call->small, &call->value, size);
    if (status != HK_OK) {
        return refuse(call, status);
    }
    call->refused = HK_OK;
    *out = call->value.data;
    return HK_OK;
}

/* Whether the bytes need no copy, being where the reader of the result sees them. */
static bool shared(hk_call *call, const void *bytes, size_t size)
{
    struct hki_value value;

    if (call->link == NULL || call->link->ops->share == NULL ||
        size > call->executor->max_payload ||
        !call->link->ops->share(call->link, bytes, size, &value)) {
        return false;
    }
    hki_value_drop(&call->value);
    call->value = value;
    call->refused = HK_OK;
    return true;
}

hk_status hk_return(hk_call *call, const void *value, size_t size)
{
    struct hki_value before;
    unsigned char small[HKI_SMALL_VALUE];
    void *room = NULL;
    hk_status status;

    if (call == NULL) {
        return HK_EINVAL;
    }
    if (size - 1 < sizeof(small) && value != NULL && call->small != NULL &&
        call->value.drop == NULL && size <= call->executor->max_payload) {
        /* Has a home without asking anybody. It may be a part of what lies there. */
        hki_small_copy(call->small, value, size);
        call->value.data = call->small;
        call->value.size = size;
        call->refused = HK_OK;
        return HK_OK;
    }
    if (value == NULL && size != 0) {
        return refuse(call, HK_EINVAL);
    }
    before = call->value;
    if (shared(call, value, size)) {
        return HK_OK;
    }
    /* It may be a part of what hk_return_reserve() gave: copy first, then drop that. In a worker
     * process the new room may even be the same. */
    if (size <= HKI_SMALL_VALUE && size != 0) {
        memcpy(small, value, size);
        value = small;
    }
    call->value = (struct hki_value){NULL, 0, NULL, NULL};
    if ((status = hk_return_reserve(call, size, &room)) == HK_OK && size != 0) {
        memmove(room, value, size);
    }
    hki_value_drop(&before);
    return status;
}

static void drop_buffer(void *buffer)
{
    hk_buffer_destroy(buffer);
}

hk_status hk_return_buffer(hk_call *call, hk_buffer *buffer)
{
    hk_status status;

    if (call == NULL) {
        hk_buffer_destroy(buffer);
        return HK_EINVAL;
    }
    if (buffer == NULL) {
        return refuse(call, HK_EINVAL);
    }
    if (call->link != NULL) {
        status = hk_return(call, hk_buffer_data(buffer), hk_buffer_size(buffer));
        hk_buffer_destroy(buffer);
        return status;
    }
    hki_value_drop(&call->value);
    call->value =
        (struct hki_value){hk_buffer_data(buffer), hk_buffer_size(buffer), drop_buffer, buffer};
    call->refused = HK_OK;
    return HK_OK;
}

hk_status hk_return_ref(hk_call *call, void *value, hk_drop_fn *drop)
{
    if (call == NULL || call->link != NULL || call->executor->roundtrip ||
        (call->executor->ops->flags & HK_EXECUTOR_SHARES_MEMORY) == 0) {
        if (drop != NULL) {
            drop(value);
        }
        return call == NULL ? HK_EINVAL : refuse(call, HK_EPORTABLE);
    }
    hki_value_drop(&call->value);
    call->value = (struct hki_value){value, HK_BY_REF, drop, value};
    call->refused = HK_OK;
    return HK_OK;
}

/* What the call itself knows is added to the facts. */
static struct hki_error *make_failure(const hk_call *call, struct hki_error_facts facts)
{
    facts.status = HK_EFAILED;
    facts.task = call->task->name;
    facts.label = call->job == NULL ? "" : hki_job_label(call->job);
    facts.submit_site = call->job == NULL ? NULL : call->job->site;
    facts.where = call->where;
    return hki_error_make(&facts);
}

static hk_status fail(hk_call *call, const hk_site *site, int app_code, int sys_errno,
                      const char *message)
{
    if (call == NULL) {
        return HK_EFAILED;
    }
    hki_error_unref(call->error);
    call->error = make_failure(
        call, (struct hki_error_facts){
                  .app_code = app_code, .sys_errno = sys_errno, .message = message, .site = site});
    return HK_EFAILED;
}

hk_status hk_fail_at(const hk_site *site, hk_call *call, int app_code, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    hki_error_message(message, sizeof(message), format, arguments);
    va_end(arguments);
    return fail(call, site, app_code, 0, message);
}

hk_status hk_fail_errno_at(const hk_site *site, hk_call *call, int error, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    size_t length;
    va_list arguments;

    va_start(arguments, format);
    hki_error_message(message, sizeof(message), format, arguments);
    va_end(arguments);
    length = strlen(message);
    snprintf(message + length, sizeof(message) - length, ": %s", strerror(error));
    return fail(call, site, 0, error, message);
}

static struct hki_error *failure(const hk_call *call, const char *message, struct hki_error *cause)
{
    const hk_site site = {call->task->file == NULL ? "" : call->task->file, call->task->line, ""};

    return make_failure(
        call, (struct hki_error_facts){.message = message, .site = &site, .cause = cause});
}

void hki_call_outcome(hk_call *call, hk_status returned, struct hki_outcome *outcome)
{
    *outcome = (struct hki_outcome){HKI_FAILED, {NULL, 0, NULL, NULL}, NULL};
    if (returned == HK_OK && call->refused != HK_OK) {
        outcome->error =
            failure(call, "its value could not be taken", hki_error_plain(call->refused));
    } else if (returned == HK_OK) {
        outcome->phase = HKI_DONE;
        outcome->value = call->value;
        call->value = (struct hki_value){NULL, 0, NULL, NULL};
    } else if (returned == HK_ECANCELED) {
        outcome->phase = HKI_CANCELLED;
    } else if (returned == HK_EFAILED && call->error != NULL) {
        outcome->error = call->error;
        call->error = NULL;
    } else if (returned == HK_EFAILED) {
        outcome->error = failure(call, "the task returned HK_EFAILED and did not say why", NULL);
    } else {
        outcome->error = failure(call, "the task returned a failure", hki_error_plain(returned));
    }
    hki_value_drop(&call->value);
    hki_error_unref(call->error);
    call->error = NULL;
}

void hki_outcome_drop(struct hki_outcome *outcome)
{
    hki_value_drop(&outcome->value);
    hki_error_unref(outcome->error);
    outcome->error = NULL;
}

/* --- asking --- */

static bool linked_should_stop(hk_call *call)
{
    bool stop = call->link->ops->should_stop(call->link) || hk_call_time_left(call) == 0;

    if (stop && call->token != NULL) {
        (void)hk_cancel_token_fire(call->token, "the task was asked to stop");
    }
    return stop;
}

/* The tokens of the calls around this one hear of a stop here, if nowhere else. */
static void ask_outer_calls(hk_call *call)
{
    for (hk_call *outer = call->outer; outer != NULL; outer = outer->outer) {
        if (outer->token != NULL) {
            (void)linked_should_stop(outer);
        }
    }
}

static bool should_stop(hk_call *call)
{
    if (call->link != NULL) {
        return linked_should_stop(call);
    }
    ask_outer_calls(call);
    if (call->job == NULL) {
        /* relaxed: a hint; the shutdown that sets it waits for the worker anyway. */
        return atomic_load_explicit(&call->executor->how, memory_order_relaxed) >=
               HK_SHUTDOWN_CANCEL_ALL;
    }
    if ((hki_future_state(&call->job->future) & HKI_STOP) != 0) {
        return true;
    }
    /* Where no timer speaks up, the task has to ask. */
    return (call->item_end_ns != 0 || call->executor->traits->judged_on_return) &&
           hk_call_time_left(call) == 0;
}

bool hk_should_stop(hk_call *call)
{
    hki_world_poll();
    return call != NULL && should_stop(call);
}

static hk_status linked_token(hk_call *call, hk_cancel_token **out)
{
    hk_status status = call->token != NULL ? HK_OK : hk_cancel_token_create(NULL, &call->token);

    if (status == HK_OK) {
        (void)linked_should_stop(call);
        *out = call->token;
    }
    return status;
}

hk_status hk_call_token(hk_call *call, hk_cancel_token **out)
{
    if (call == NULL || out == NULL) {
        return HK_EINVAL;
    }
    if (call->link != NULL) {
        return linked_token(call, out);
    }
    if (call->job == NULL) {
        return HK_EINVAL;
    }
    *out = hki_future_stop_token(&call->job->future);
    return *out == NULL ? HK_ENOMEM : HK_OK;
}

static void signal_stop_fd(struct hki_cancel_watch *watch)
{
    hki_os_event_signal(HKI_CONTAINER(watch, struct hk_call, stop_watch)->stop_fd);
}

hk_status hk_call_stop_fd(hk_call *call, int *fd)
{
    hk_cancel_token *token;
    hk_status status;

    if (call == NULL || fd == NULL) {
        return HK_EINVAL;
    }
    if (call->link != NULL) {
        *fd = call->link->ops->stop_fd(call->link);
        return *fd < 0 ? HK_ESYS : HK_OK;
    }
    if (call->stop_fd < 0) {
        if ((status = hk_call_token(call, &token)) != HK_OK) {
            return status;
        }
        if ((call->stop_fd = hki_os_event_create()) < 0) {
            return HK_ESYS;
        }
        call->stop_watch = (struct hki_cancel_watch){.signal = signal_stop_fd};
        call->stop_fd_watched = hki_cancel_watch(token, &call->stop_watch);
        if (!call->stop_fd_watched) {
            hki_os_event_signal(call->stop_fd);
        }
    }
    *fd = call->stop_fd;
    return HK_OK;
}

struct sleeper {
    struct hki_cancel_watch watch;
    struct hki_parker *parker;
};

static void wake_sleeper(struct hki_cancel_watch *watch)
{
    hki_parker_wake(HKI_CONTAINER(watch, struct sleeper, watch)->parker);
}

/* In an initialiser, which no token can reach: in slices, for a shutdown to cut. */
static hk_status sleep_sliced(hk_call *call, int64_t deadline_ns)
{
    while (!should_stop(call)) {
        if (deadline_ns <= hk_now_ns()) {
            return HK_OK;
        }
        (void)hki_parker_park(hki_parker_self(), hki_earlier(deadline_ns, hki_deadline(HK_MS(20))));
    }
    return HK_ECANCELED;
}

hk_status hk_sleep(hk_call *call, hk_duration duration)
{
    struct sleeper sleeper = {.watch = {.signal = wake_sleeper}, .parker = hki_parker_self()};
    int64_t deadline_ns = hki_deadline(duration);
    hk_cancel_token *token;
    hk_status status;

    if (call == NULL || !hki_duration_valid(duration)) {
        return HK_EINVAL;
    }
    if (call->link != NULL) {
        if (hk_call_time_left(call) != HK_FOREVER) {
            deadline_ns = hki_earlier(deadline_ns, hki_deadline(hk_call_time_left(call)));
        }
        call->link->ops->sleep(call->link, deadline_ns);
        return should_stop(call) ? HK_ECANCELED : HK_OK;
    }
    if (call->job == NULL) {
        return sleep_sliced(call, deadline_ns);
    }
    if ((status = hk_call_token(call, &token)) != HK_OK) {
        return status;
    }
    if (!hki_cancel_watch(token, &sleeper.watch)) {
        return HK_ECANCELED;
    }
    if (call->executor->traits->judged_on_return && hk_call_time_left(call) != HK_FOREVER) {
        /* No timer will fire the token when the task's own time is over. */
        deadline_ns = hki_earlier(deadline_ns, hki_deadline(hk_call_time_left(call)));
    }
    while (!hk_cancel_token_is_fired(token)) {
        if (!hki_parker_park(sleeper.parker, deadline_ns)) {
            /* Without a deadline, in a world where nothing is left that could cut it short. */
            status = deadline_ns == HKI_NEVER ? HK_EDEADLK : HK_OK;
            break;
        }
    }
    (void)hki_cancel_unwatch(&sleeper.watch);
    return should_stop(call) ? HK_ECANCELED : status;
}

hk_duration hk_call_time_left(hk_call *call)
{
    int64_t end_ns = HKI_NEVER;
    int64_t now_ns;

    if (call == NULL) {
        return HK_FOREVER;
    }
    if (call->link != NULL) {
        end_ns = call->link->ops->end_ns(call->link);
    } else if (call->job != NULL) {
        end_ns = hki_limits_end_ns(call->job);
    }
    if (call->item_end_ns != 0) {
        end_ns = hki_earlier(end_ns, call->item_end_ns);
    }
    if (end_ns == HKI_NEVER) {
        return HK_FOREVER;
    }
    now_ns = hk_now_ns();
    return end_ns > now_ns ? end_ns - now_ns : 0;
}

void *hk_call_worker_local(hk_call *call)
{
    return call == NULL ? NULL : call->local;
}

hk_executor *hk_call_executor(hk_call *call)
{
    return call == NULL ? NULL : call->executor;
}

hk_status hk_call_take_fd(hk_call *call, size_t index, int *fd)
{
    if (call == NULL || fd == NULL) {
        return HK_EINVAL;
    }
    if (call->link != NULL) {
        return call->link->ops->take_fd(call->link, index, fd);
    }
    return call->job == NULL ? HK_EINVAL : hki_job_fds_take(hki_job_fds(call->job), index, fd);
}

unsigned hk_call_attempt(hk_call *call)
{
    if (call == NULL) {
        return 1;
    }
    if (call->link != NULL) {
        return call->link->ops->attempt(call->link);
    }
    return call->job == NULL || hki_job_is_slim(call->job) ? 1 : call->job->attempt;
}

void hk_progress(hk_call *call, uint64_t done, uint64_t total)
{
    struct hki_future_rest *rest;

    if (call == NULL) {
        return;
    }
    if (call->link != NULL) {
        call->link->ops->progress(call->link, done, total);
        return;
    }
    /* Without memory there is nothing to look at. */
    if (call->job != NULL && (rest = hki_future_need_rest(&call->job->future)) != NULL) {
        /* relaxed: a figure to look at; nothing is published through it. */
        atomic_store_explicit(&rest->progress_done, done, memory_order_relaxed);
        /* relaxed: likewise. */
        atomic_store_explicit(&rest->progress_total, total, memory_order_relaxed);
    }
}
