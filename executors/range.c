/* SPDX-License-Identifier: MIT */
/*
 * A range: an index that those who take part move on, a piece at a time.
 *
 * Who takes part: runners, which are plain tasks, and as a rule the caller. A runner begins,
 * takes pieces until there are none, and ends; so the end of its future says that it touches
 * the range no more, and all that is known of waiting for futures holds for waiting for a
 * range: a pool makes up for a worker that waits, and a wait that could never end is refused.
 *
 * Invariants
 *   R1  next_ only grows, up to end_; who moves it from a to b has the indices from a to b, and
 *       nobody else has.
 *   R2  The range has ended when nobody will take a piece (next_ is end_, or failure_ is set) and
 *       no runner runs or will run: those that have not begun are cancelled, which is certain
 *       (PENDING can end only once), the others are waited for.
 *   R3  What pieces have written is seen by the caller through the futures of their runners, and
 *       what he wrote before by the runners through their submits. So next_ and failure_ order
 *       nothing.
 */
#include <hocket/range.h>

#include <string.h>

#include "base/extensible.h"
#include "base/fork.h"
#include "base/memory.h"
#include "base/time.h"
#include "base/world.h"
#include "executors/call.h"
#include "futures/wait_impl.h"
#include "sync/word.h"

/* A piece is the rest, divided by so many for each who takes part: the last ones are small
 * enough for all to end at once, and one whose thread loses its processor for a moment was
 * not most of it. */
enum { SHARES_EACH = 4 };

/* --- taking pieces --- */

static bool is_taken(const hk_range *range)
{
    /* relaxed: R3. */
    return atomic_load_explicit(hki_wide_word(&range->next_), memory_order_relaxed) == range->end_;
}

static hk_status failure_of(const hk_range *range)
{
    /* relaxed: R3. */
    return (hk_status)(int32_t)atomic_load_explicit(hki_word(&range->failure_),
                                                    memory_order_relaxed);
}

/* The first one counts. */
static void fail(const hk_range *range, hk_status status)
{
    uint32_t none = HK_OK;

    /* relaxed: R3. */
    (void)atomic_compare_exchange_strong_explicit(hki_word(&range->failure_), &none,
                                                  (uint32_t)status, memory_order_relaxed,
                                                  memory_order_relaxed);
}

bool hk_range_should_stop(hk_range *range)
{
    if (range == NULL) {
        return false;
    }
    if (failure_of(range) != HK_OK) {
        return true;
    }
    if (hki_fork_foreign(range->generation_)) {
        fail(range, HK_EFORKED);
    } else if (hk_cancel_token_is_fired(range->token_) ||
               atomic_load(&range->executor_->how) >= HK_SHUTDOWN_CANCEL_ALL) {
        fail(range, HK_ECANCELED);
    } else if (range->deadline_ns_ != HKI_NEVER && hk_now_ns() >= range->deadline_ns_) {
        fail(range, HK_EDEADLINE);
    }
    return failure_of(range) != HK_OK;
}

static bool take(const hk_range *range, uint64_t *begin, uint64_t *end)
{
    _Atomic(uint64_t) *next = hki_wide_word(&range->next_);
    /* relaxed: R3. */
    uint64_t at = atomic_load_explicit(next, memory_order_relaxed);
    uint64_t count;

    do {
        uint64_t left = range->end_ - at;

        if (left == 0) {
            return false;
        }
        count = left / range->shares_;
        count = count < range->grain_ ? range->grain_ : count;
        count = count < left ? count : left;
        /* relaxed: R3. */
    } while (!atomic_compare_exchange_weak_explicit(next, &at, at + count, memory_order_relaxed,
                                                    memory_order_relaxed)); /* R1 */
    *begin = at;
    *end = at + count;
    return true;
}

static void take_part(hk_range *range)
{
    struct hki_agent *agent = hki_agent_self();
    uint64_t begin;
    uint64_t end;

    hki_agent_enter_function(agent);
    while (!is_taken(range) && !hk_range_should_stop(range) && take(range, &begin, &end)) {
        hk_status status = range->body_(range, (size_t)begin, (size_t)end, range->context_);

        if (status != HK_OK) {
            fail(range, status);
        }
        hki_world_poll(); /* A replay may let another one have the next piece. */
    }
    hki_agent_leave_function(agent);
}

static hk_status run(hk_call *call, const void *in, size_t in_size)
{
    void *range;

    (void)call;
    (void)in_size;
    memcpy(&range, in, sizeof(range));
    take_part(range);
    return HK_OK;
}

static const hk_task range_task = {"hocket range", run, 0, __FILE__, 0};

/* --- beginning --- */

static bool options_valid(const hk_range_options *options)
{
    return options == NULL ||
           (HKI_OPTIONS_VALID(options, 40) && hki_duration_valid(options->limit) &&
            options->priority >= HK_PRIORITY_LOW && options->priority <= HK_PRIORITY_HIGH);
}

/* What a submit would say, where none may be needed. */
static hk_status check(hk_executor *executor, const hk_range_options *options)
{
    hk_status status = hki_executor_usable(executor);

    if (status != HK_OK) {
        return status;
    }
    if (executor->roundtrip || (executor->ops->flags & HK_EXECUTOR_SHARES_MEMORY) == 0) {
        return HK_EPORTABLE;
    }
    return hki_executor_takes(executor, options == NULL ? NULL : options->token);
}

/* Who will take part; how many runners that takes. */
static uint64_t count_runners(hk_range *range)
{
    uint64_t width = atomic_load(&range->executor_->width);
    uint64_t left = range->end_ - range->next_;
    uint64_t pieces = left / range->grain_ + (left % range->grain_ != 0 ? 1 : 0);
    uint64_t parts = pieces < width ? pieces : width;

    range->shares_ = SHARES_EACH * (parts == 0 ? 1 : parts);
    return range->takes_part_ != 0 && parts != 0 ? parts - 1 : parts;
}

/* Without memory fewer come. */
static void make_room(hk_range *range, uint64_t count)
{
    range->runners_ = range->few_;
    range->room_ = HK_RANGE_FEW_;
    if (count > HK_RANGE_FEW_) {
        hk_future **more = hki_alloc(count * sizeof(hk_future *));

        if (more != NULL) {
            range->runners_ = more;
            range->room_ = (uint32_t)count;
        }
    }
}

/* Plain ones where that does. A run limit is never set: a future that it ended would say nothing
 * about its runner. */
static hk_status submit(hk_range *range, const hk_site *site, const hk_submit_options *options)
{
    hk_executor *executor = range->executor_;
    bool is_plain = range->takes_part_ != 0 && executor->has_lane && executor->task_timeout == 0 &&
                    options->priority == HK_PRIORITY_NORMAL;

    return hki_submit(&(struct hki_request){.executor = executor,
                                            .site = site,
                                            .task = &range_task,
                                            .bytes = &range,
                                            .size = sizeof(void *),
                                            .internal = true,
                                            .options = is_plain ? NULL : options},
                      &range->runners_[range->runner_count_]);
}

/* Asks workers to come. Only the first one must, and only if nobody else is there to begin: all
 * others come if there is room for them. */
static hk_status call_runners(hk_range *range, const hk_site *site, const hk_range_options *options)
{
    uint64_t count = count_runners(range);
    hk_submit_options how = {.timeout = HK_FOREVER};
    hk_status status = HK_OK;

    make_room(range, count);
    count = count < range->room_ ? count : range->room_;
    if (options != NULL) {
        how.priority = options->priority;
        how.token = range->takes_part_ != 0 ? NULL : options->token;
        how.queue_wait = options->limit;
    }
    if (range->takes_part_ != 0) {
        how.queue_wait = 1;
    }
    while (range->runner_count_ < count && !is_taken(range) &&
           (status = submit(range, site, &how)) == HK_OK) {
        range->runner_count_++;
        how.queue_wait = 1;
    }
    return range->takes_part_ != 0 || range->runner_count_ != 0 ? HK_OK : status;
}

static void release(hk_range *range)
{
    if (range->runners_ != range->few_) {
        hki_free(range->runners_, range->room_ * sizeof(hk_future *));
    }
    hki_executor_unref(range->executor_);
    range->is_open_ = 0;
}

hk_status hk_range_begin_at(const hk_site *site, hk_range *range, hk_executor *executor,
                            size_t begin, size_t end, hk_range_fn *body, void *arg,
                            const hk_range_options *options)
{
    hk_status status;

    if (range == NULL) {
        return HK_EINVAL;
    }
    memset(range, 0, sizeof(*range));
    if (body == NULL || end < begin || !options_valid(options)) {
        return HK_EINVAL;
    }
    if ((status = check(executor, options)) != HK_OK) {
        return status;
    }
    range->executor_ = hki_executor_ref(executor);
    range->body_ = body;
    range->context_ = arg;
    range->token_ = options == NULL ? NULL : options->token;
    range->deadline_ns_ =
        options == NULL || options->limit == 0 ? HKI_NEVER : hki_deadline(options->limit);
    range->next_ = begin;
    range->end_ = end;
    range->grain_ = options == NULL || options->grain == 0 ? 1 : options->grain;
    range->generation_ = hki_fork_generation();
    range->is_open_ = 1;
    range->takes_part_ = executor->traits->is_any_thread || hki_call_inside(executor);
    if ((status = call_runners(range, site, options)) != HK_OK) {
        release(range);
    }
    return status;
}

/* --- ending --- */

static void drop_runner(hk_range *range, uint32_t i)
{
    hk_future_unref(range->runners_[i]);
    range->runners_[i] = range->runners_[--range->runner_count_];
}

/* Lets go of those that have ended, and remembers why one never ran. */
static void drop_ended(hk_range *range)
{
    for (uint32_t i = range->runner_count_; i-- != 0;) {
        hk_future *runner = range->runners_[i];
        const hk_error *error;

        if (hki_future_ended(runner)) {
            hk_status status = hk_future_error(runner, 0, &error);

            range->lost_ = status == HK_OK && error != NULL ? error->status
                           : status == HK_OK                ? range->lost_
                                                            : status;
            drop_runner(range, i);
        }
    }
}

/* The newest first: those that still lie in this worker's own deque come out of it. */
static void cancel_pending(hk_range *range)
{
    for (uint32_t i = range->runner_count_; i-- != 0;) {
        if (hk_future_cancel(range->runners_[i], HK_CANCEL_PENDING) == HK_OK) {
            drop_runner(range, i);
        }
    }
}

static hk_status await_some(hk_range *range, hk_wait_for what, int64_t deadline_ns)
{
    hk_status status = hki_wait(range->runners_, range->runner_count_, what, deadline_ns, false);

    /* A wait for many takes memory, one for one does not. */
    return status == HK_ENOMEM && range->runner_count_ > 1
               ? hki_wait(range->runners_, 1, what, deadline_ns, false)
               : status;
}

/* Until R2 holds. */
static hk_status await_runners(hk_range *range)
{
    hk_status status = HK_OK;

    while (status == HK_OK) {
        bool is_settled = is_taken(range) || failure_of(range) != HK_OK;

        if (is_settled) {
            cancel_pending(range);
        }
        drop_ended(range);
        if (range->runner_count_ == 0) {
            return HK_OK;
        }
        if (is_settled) {
            status = await_some(range, HK_ALL_COMPLETED, HKI_NEVER);
        } else {
            status = await_some(range, HK_FIRST_COMPLETED, range->deadline_ns_);
            if (status == HK_ETIMEDOUT) {
                fail(range, HK_EDEADLINE);
                status = HK_OK;
            }
        }
    }
    return status;
}

hk_status hk_range_end(hk_range *range)
{
    hk_status status = HK_OK;

    if (range == NULL || range->is_open_ == 0) {
        return HK_EINVAL;
    }
    if (range->takes_part_ != 0) {
        take_part(range);
    }
    status = await_runners(range);
    if (status == HK_EFORKED) {
        /* The threads of its runners are not here: they do nothing any more. */
        fail(range, status);
        while (range->runner_count_ != 0) {
            drop_runner(range, 0);
        }
    } else if (status != HK_OK) {
        return status;
    }
    if (!is_taken(range)) {
        /* Nobody was left to run the rest. */
        fail(range, range->lost_ == HK_OK ? HK_ECANCELED : range->lost_);
    }
    status = failure_of(range);
    release(range);
    return status;
}

hk_status hk_parallel_for_at(const hk_site *site, hk_range *range, hk_executor *executor,
                             size_t begin, size_t end, hk_range_fn *body, void *arg,
                             const hk_range_options *options)
{
    hk_status status = hk_range_begin_at(site, range, executor, begin, end, body, arg, options);

    return status == HK_OK ? hk_range_end(range) : status;
}

bool hk_range_has_ended(const hk_range *range)
{
    return range == NULL || range->is_open_ == 0;
}
