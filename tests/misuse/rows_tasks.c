/* SPDX-License-Identifier: MIT */
/* Bad arguments for what a task calls: the run, values, scopes; and for jobs. */
#include "tests/misuse/rows.h"

static void *out;
static int fd;
static hk_scope scope;
static hk_forked record;
static atomic_uint drops;

static hk_status forked(hk_scope *in, void *arg)
{
    (void)in;
    (void)arg;
    return HK_OK;
}

static bool drops_once(hk_status status, hk_status expected)
{
    return status == expected && atomic_exchange(&drops, 0) == 1;
}

static hk_buffer *some_buffer(void)
{
    hk_buffer *buffer = NULL;

    HKT_OK_FATAL(hk_buffer_create(m.executor, 8, &buffer));
    return buffer;
}

ROW(hk_call_attempt, call, hk_call_attempt(NULL) == 1);
ROW(hk_call_executor, call, hk_call_executor(NULL) == NULL);
ROW(hk_call_take_fd, call, hk_call_take_fd(NULL, 0, &fd) == HK_EINVAL);
ROW_IN_TASK(hk_call_take_fd, fd, hk_call_take_fd(m.call, 0, NULL) == HK_EINVAL);
ROW_IN_TASK(hk_call_take_fd, index,
            hk_call_take_fd(m.call, 0, &fd) == HK_EINVAL &&
                REFUSES_SIZES(hk_call_take_fd(m.call, bad, &fd), HK_EINVAL));
ROW(hk_call_token, call, hk_call_token(NULL, (hk_cancel_token **)&out) == HK_EINVAL);
ROW_IN_TASK(hk_call_token, out, hk_call_token(m.call, NULL) == HK_EINVAL);
ROW(hk_fail_at, call, hk_fail_at(HK_SITE, NULL, 1, "no %s", "run") == HK_EFAILED);
ROW_IN_TASK(hk_fail_at, format, hk_fail_at(HK_SITE, m.call, 1, NULL) == HK_EFAILED);
ROW(hk_fail_errno_at, call, hk_fail_errno_at(HK_SITE, NULL, ENOENT, "no %s", "run") == HK_EFAILED);
ROW_IN_TASK(hk_fail_errno_at, format,
            hk_fail_errno_at(HK_SITE, m.call, ENOENT, NULL) == HK_EFAILED);
ROW(hk_input_ref, in, hk_input_ref(NULL, HK_BY_REF) == NULL);
ROW(hk_input_ref, in_size, hk_input_ref("x", SIZE_MAX - 1) == NULL);
ROW(hk_return_reserve, call, hk_return_reserve(NULL, 8, &out) == HK_EINVAL);
ROW_IN_TASK(hk_return_reserve, size,
            REFUSES_SIZES(hk_return_reserve(m.call, bad, &out), HK_ETOOBIG));
ROW_IN_TASK(hk_return_reserve, out, hk_return_reserve(m.call, 8, NULL) == HK_EINVAL);
ROW(hk_progress, call, DOES_NOTHING(hk_progress(NULL, 1, 2)));
ROW(hk_return, call, hk_return(NULL, "x", 1) == HK_EINVAL);
ROW_IN_TASK(hk_return, value,
            hk_return(m.call, NULL, 1) == HK_EINVAL && hk_return(m.call, NULL, 0) == HK_OK);
ROW_IN_TASK(hk_return, size, REFUSES_SIZES(hk_return(m.call, "x", bad), HK_ETOOBIG));
ROW(hk_return_buffer, call, hk_return_buffer(NULL, some_buffer()) == HK_EINVAL);
ROW_IN_TASK(hk_return_buffer, buffer, hk_return_buffer(m.call, NULL) == HK_EINVAL);
ROW(hk_return_ref, call, drops_once(hk_return_ref(NULL, &drops, hkt_count_drop), HK_EINVAL));
ROW_IN_TASK(hk_return_ref, value, hk_return_ref(m.call, NULL, NULL) == HK_OK);
ROW_IN_TASK(hk_return_ref, drop, hk_return_ref(m.call, &drops, NULL) == HK_OK);
ROW(hk_should_stop, call, !hk_should_stop(NULL));
ROW(hk_sleep, call, hk_sleep(NULL, 0) == HK_EINVAL);
ROW_IN_TASK(hk_sleep, duration, REFUSES_DURATIONS(hk_sleep(m.call, bad)));
ROW(hk_call_stop_fd, call, hk_call_stop_fd(NULL, &fd) == HK_EINVAL);
ROW_IN_TASK(hk_call_stop_fd, fd, hk_call_stop_fd(m.call, NULL) == HK_EINVAL);
ROW(hk_call_time_left, call, hk_call_time_left(NULL) == HK_FOREVER);
ROW(hk_call_worker_local, call, hk_call_worker_local(NULL) == NULL);

/* --- scopes --- */

static bool in_scope(bool (*holds)(void))
{
    bool held;

    HKT_OK_FATAL(hk_scope_begin(&scope, m.call));
    held = holds();
    HKT_OK(hk_scope_end(&scope));
    return held;
}

static bool fork_refuses_null_record(void)
{
    return hk_fork(&scope, NULL, forked, NULL) == HK_EINVAL;
}

static bool fork_refuses_null_function(void)
{
    return hk_fork(&scope, &record, NULL, NULL) == HK_EINVAL;
}

static bool join_refuses_null_record(void)
{
    return hk_join(&scope, NULL) == HK_EINVAL;
}

static bool join_refuses_a_stranger(void)
{
    hk_scope zero;

    memset(&zero, 0, sizeof(zero));
    memset(&record, 0, sizeof(record));
    return hk_join(NULL, &record) == HK_EINVAL && hk_join(&scope, &record) == HK_EINVAL &&
           hk_join(&zero, &record) == HK_EINVAL;
}

static bool fork_refuses_an_ended_scope(void)
{
    hk_scope zero;

    memset(&zero, 0, sizeof(zero));
    return hk_fork(NULL, &record, forked, NULL) == HK_EINVAL &&
           hk_fork(&zero, &record, forked, NULL) == HK_EINVAL;
}

ROW_IN_TASK(hk_fork, scope, in_scope(fork_refuses_an_ended_scope));
ROW_IN_TASK(hk_fork, record, in_scope(fork_refuses_null_record));
ROW_IN_TASK(hk_fork, fn, in_scope(fork_refuses_null_function));
ROW_IN_TASK(hk_join, scope, in_scope(join_refuses_a_stranger));
ROW_IN_TASK(hk_join, record, in_scope(join_refuses_null_record));
ROW(hk_forked_is_joined, record, !hk_forked_is_joined(NULL));
ROW(hk_scope_begin, scope, hk_scope_begin(NULL, m.call) == HK_EINVAL);
ROW(hk_scope_begin, call, hk_scope_begin(&scope, NULL) == HK_EINVAL);
ROW_IN_TASK(hk_scope_end, scope,
            hk_scope_end(NULL) == HK_EINVAL && hk_scope_begin(&scope, m.call) == HK_OK &&
                hk_scope_end(&scope) == HK_OK && hk_scope_end(&scope) == HK_EINVAL);
ROW(hk_scope_should_stop, scope, !hk_scope_should_stop(NULL));

/* --- jobs, for back ends --- */

ROW(hk_job_discard, job, DOES_NOTHING(hk_job_discard(NULL, HK_ECANCELED, "no")));
ROW(hk_job_discard, status,
    misuse_discards(HK_OK, "no") && misuse_discards((hk_status)12345, "no"));
ROW(hk_job_discard, message,
    misuse_discards(HK_EFULL, NULL) && misuse_discards(HK_ECANCELED, NULL));
ROW(hk_job_priority, job, hk_job_priority(NULL) == HK_PRIORITY_NORMAL);
ROW(hk_job_run, job, !hk_job_run(NULL, NULL, "here"));
ROW(hk_job_run, local, misuse_runs_job(NULL, "here"));
ROW(hk_job_run, where, misuse_runs_job(NULL, NULL));
ROW(hk_job_slot, job, hk_job_slot(NULL) == NULL);
