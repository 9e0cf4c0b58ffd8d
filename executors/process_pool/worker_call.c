/* SPDX-License-Identifier: MIT */
/* A request in the worker that runs it: its input, what the task asks, its result. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/fork.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/time.h"
#include "executors/process_pool/fault_point.h"
#include "executors/process_pool/fd_passing.h"
#include "executors/process_pool/packed_error.h"
#include "executors/process_pool/spill.h"
#include "executors/process_pool/worker_impl.h"
#include "sync/holder.h"

/* How long a sleeper sleeps at most that cannot be woken: a task may have closed all
 * descriptors. */
static const hk_duration blind_sleep_ns = HK_MS(20);

/* The process has one worker; the drop of a value learns of it here. */
static struct hki_worker *this_worker;

static struct hki_worker_call *call_of(struct hki_call_link *link)
{
    return (struct hki_worker_call *)(void *)link;
}

static unsigned char *page_of(const struct hki_worker_call *call)
{
    return call->worker->channel->pages[call->request % HKI_CELLS];
}

/* --- asking --- */

static bool should_stop(struct hki_call_link *link)
{
    /* relaxed: a flag by itself; nothing is read because of it. */
    return atomic_load_explicit(&call_of(link)->cell->stop, memory_order_relaxed) != 0;
}

static int64_t end_ns(struct hki_call_link *link)
{
    return call_of(link)->end_ns;
}

/* Readable from now on if, and only if, the task shall stop; but for a stop of an earlier
 * task that is still on its way. */
static void refresh_stop_event(struct hki_call_link *link)
{
    int fd = call_of(link)->worker->stop_event;

    /* The parent sets the flag before it signals: one that is drained here was set. */
    hki_os_event_drain(fd);
    if (should_stop(link)) {
        hki_os_event_signal(fd);
    }
}

static int stop_fd(struct hki_call_link *link)
{
    refresh_stop_event(link);
    return call_of(link)->worker->stop_event;
}

/* Sleeps until the moment, or until the event is readable. */
static void sleep_on(int fd, int64_t until_ns)
{
    struct pollfd events = {.fd = fd, .events = POLLIN};
    int64_t left_ns = until_ns == HKI_NEVER ? HKI_NEVER : until_ns - hk_now_ns();
    struct timespec left = hki_timespec(left_ns < 0 ? 0 : left_ns);

    if (ppoll(&events, 1, until_ns == HKI_NEVER ? NULL : &left, NULL) > 0 &&
        (events.revents & POLLIN) == 0) {
        left_ns = hki_earlier(left_ns, blind_sleep_ns);
        left = hki_timespec(left_ns < 0 ? 0 : left_ns);
        (void)ppoll(&events, 0, &left, NULL);
    }
}

static void sleep_until(struct hki_call_link *link, int64_t until_ns)
{
    while (!should_stop(link) && hk_now_ns() < until_ns) {
        refresh_stop_event(link);
        if (!should_stop(link)) {
            sleep_on(call_of(link)->worker->stop_event, until_ns);
        }
    }
}

static void progress(struct hki_call_link *link, uint64_t done, uint64_t total)
{
    struct hki_cell *cell = call_of(link)->cell;

    /* relaxed: figures to look at; nothing is published through them. */
    atomic_store_explicit(&cell->progress_done, done, memory_order_relaxed);
    /* relaxed: likewise. */
    atomic_store_explicit(&cell->progress_total, total, memory_order_relaxed);
}

static hk_status take_fd(struct hki_call_link *link, size_t index, int *fd)
{
    struct hki_worker_call *call = call_of(link);
    int *sent;

    if (index >= call->fd_count) {
        return HK_EINVAL;
    }
    sent = &call->worker->mail.fds[call->fds_at + index];
    if (*sent < 0) {
        return HK_ESTATE;
    }
    *fd = *sent;
    *sent = -1;
    return HK_OK;
}

static unsigned attempt(struct hki_call_link *link)
{
    return call_of(link)->attempt;
}

/* --- saying --- */

struct spill {
    int fd;
    void *data;
    size_t size;
};

static void drop_chunk(void *chunk)
{
    hki_overflow_give_back(this_worker, chunk);
}

static void drop_spill(void *owner)
{
    struct spill *spill = owner;

    hki_spill_close(spill->data, spill->size);
    hki_os_close(spill->fd);
    hki_free(spill, sizeof(*spill));
}

static hk_status reserve_spill(size_t size, struct hki_value *value)
{
    struct spill *spill = hki_alloc(sizeof(*spill));
    hk_status status;

    if (spill == NULL) {
        return HK_ENOMEM;
    }
    spill->size = size;
    if ((status = hki_spill_create(size, &spill->fd, &spill->data)) != HK_OK) {
        hki_free(spill, sizeof(*spill));
        return status;
    }
    *value = (struct hki_value){spill->data, size, drop_spill, spill};
    return HK_OK;
}

static hk_status reserve(struct hki_call_link *link, size_t size, struct hki_value *value)
{
    struct hki_worker_call *call = call_of(link);
    uint64_t reserved = call->cell->reserved_size;
    void *room;

    hki_value_drop(value);
    if (size <= HKI_CELL_OUTPUT) {
        room = size == 0 ? NULL : call->small;
    } else if (size <= HKI_CELL_PAGE && (size > reserved || reserved > HKI_CELL_PAGE)) {
        room = page_of(call); /* Else room of its size was meant for it. */
    } else if (size <= reserved) {
        room = hki_pool_at(call->worker->page, call->cell->reserved_at);
    } else if ((room = hki_overflow_take(call->worker, size)) != NULL) {
        *value = (struct hki_value){room, size, drop_chunk, room};
        return HK_OK;
    } else {
        return reserve_spill(size, value);
    }
    *value = (struct hki_value){room, size, NULL, NULL};
    return HK_OK;
}

static bool inside_input(const struct hki_worker_call *call, const void *bytes, size_t size)
{
    uintptr_t offset = (uintptr_t)bytes - (uintptr_t)call->in;

    return call->cell->input_place == HKI_INPUT_ARENA && offset <= call->in_size &&
           size <= call->in_size - offset;
}

static bool share(struct hki_call_link *link, const void *bytes, size_t size,
                  struct hki_value *value)
{
    /* What fits into the cell would only keep the whole input. */
    if (size <= HKI_CELL_OUTPUT || !inside_input(call_of(link), bytes, size)) {
        return false;
    }
    *value = (struct hki_value){(void *)bytes, size, NULL, NULL};
    return true;
}

static const struct hki_call_link_ops request_ops = {
    .should_stop = should_stop,
    .end_ns = end_ns,
    .sleep = sleep_until,
    .stop_fd = stop_fd,
    .progress = progress,
    .reserve = reserve,
    .share = share,
    .take_fd = take_fd,
    .attempt = attempt,
};

/* --- the end --- */

/* Takes the error over. */
static void leave_error(const struct hki_worker_call *call, struct hki_error *error)
{
    struct hki_cell *cell = call->cell;

    cell->outcome = error->shown.status;
    cell->output_place = HKI_OUTPUT_PAGE;
    cell->output_at = 0;
    cell->output_size = hki_error_pack(error, page_of(call), HKI_CELL_PAGE);
    hki_error_unref(error);
}

static void leave_failure(const struct hki_worker_call *call, hk_status status, const char *message)
{
    leave_error(call, hki_error_make(&(struct hki_error_facts){
                          .status = status,
                          .sys_errno = status == HK_ESYS ? errno : 0,
                          .message = message,
                          .task = call->cell->task == NULL ? NULL : call->cell->task->name,
                          .where = call->worker->where,
                      }));
}

static void send_spill(const struct hki_worker_call *call, struct spill *spill)
{
    struct hki_fds_message message = {call->request};
    hk_status status = hki_spill_seal(spill->fd, spill->data, spill->size);

    if (status != HK_OK) {
        leave_failure(call, status, "its value could not be sealed");
    } else if (!hki_send_fds(call->worker->socket, &message, sizeof(message), &spill->fd, 1,
                             true)) {
        leave_failure(call, HK_ESYS, "its value could not be sent");
    }
    hki_os_close(spill->fd);
    hki_free(spill, sizeof(*spill));
}

static void leave_value(struct hki_worker_call *call, const struct hki_value *value)
{
    struct hki_cell *cell = call->cell;
    const struct hki_pool_page *page = call->worker->page;

    cell->outcome = HK_OK;
    cell->output_size = value->size;
    cell->output_at = 0;
    if (value->drop == drop_chunk) {
        cell->output_place = HKI_OUTPUT_OVERFLOW;
        cell->output_at = hki_overflow_show(call->worker, value->data);
    } else if (value->drop == drop_spill) {
        cell->output_place = HKI_OUTPUT_SPILL;
        send_spill(call, value->owner);
    } else if (value->size <= HKI_CELL_OUTPUT) {
        cell->output_place = HKI_OUTPUT_CELL;
        if (value->size != 0) {
            memcpy(cell->output, value->data, value->size);
        }
    } else if (value->data == page_of(call)) {
        cell->output_place = HKI_OUTPUT_PAGE;
    } else if (value->data == hki_pool_at(page, cell->reserved_at)) {
        cell->output_place = HKI_OUTPUT_RESERVED;
        cell->output_at = cell->reserved_at;
    } else {
        cell->output_place = HKI_OUTPUT_INPUT;
        cell->output_at = (uint64_t)(uintptr_t)value->data - page->base;
    }
}

static void leave_outcome(struct hki_worker_call *call, struct hki_outcome *outcome)
{
    if (outcome->phase == HKI_DONE) {
        leave_value(call, &outcome->value);
    } else if (outcome->phase == HKI_CANCELLED) {
        call->cell->outcome = HK_ECANCELED;
        call->cell->output_place = HKI_OUTPUT_CELL;
        call->cell->output_size = 0;
    } else {
        leave_error(call, outcome->error);
    }
}

/* --- the beginning --- */

/* False: the failure is in the cell. */
static bool open_input(struct hki_worker_call *call)
{
    const struct hki_cell *cell = call->cell;
    struct hki_mail *mail = &call->worker->mail;
    bool spilled = cell->input_place == HKI_INPUT_SPILL;
    hk_status status;
    void *data;

    call->fd_count = cell->fd_count;
    call->fds_at = spilled ? 1 : 0;
    call->in_size = cell->input_size;
    if (call->fd_count + call->fds_at != 0) {
        if (!hki_mail_fetch(call->worker, call->request, true)) {
            leave_failure(call, HK_ESYS, "the descriptors that go with it did not arrive");
            return false;
        }
        if (mail->count != call->fd_count + call->fds_at) {
            errno = EMFILE; /* The kernel leaves out those that find no place. */
            leave_failure(call, HK_ESYS, "not all descriptors that go with it arrived");
            return false;
        }
    }
    if (spilled) {
        status = hki_spill_open(mail->fds[0], call->in_size, &data);
        mail->fds[0] = -1;
        if (status != HK_OK) {
            leave_failure(call, status, "its input could not be mapped");
            return false;
        }
        call->in = data;
    } else if (call->in_size == 0) {
        call->in = NULL;
    } else if (cell->input_place == HKI_INPUT_ARENA) {
        call->in = hki_pool_at(call->worker->page, cell->input_at);
    } else {
        call->in = cell->input;
    }
    return true;
}

static void close_input(struct hki_worker_call *call)
{
    if (call->cell->input_place == HKI_INPUT_SPILL) {
        hki_spill_close((void *)call->in, call->in_size);
    }
}

static void run_task(struct hki_worker_call *request)
{
    static const hk_task unknown = {"task", NULL, 0, "", 0};
    const struct hki_worker *worker = request->worker;
    const struct hki_cell *cell = request->cell;
    struct hki_agent *agent = hki_agent_self();
    hk_call call = {
        .executor = worker->executor,
        .link = &request->link,
        .task = cell->task == NULL ? &unknown : cell->task,
        .where = worker->where,
        .local = worker->local,
        .small = request->small,
    };
    struct hki_outcome outcome;
    uint32_t held;
    hk_status returned;

    hki_agent_enter(agent);
    hki_call_enter(&call);
    held = hki_holder_depth(agent);
    returned = cell->run(&call, request->in, request->in_size);
    if (hki_fork_generation() != worker->process) {
        _exit(HKI_WORKER_EXIT_FORKED);
    }
    (void)HKI_FAULT("returned");
    if (hki_holder_depth(agent) > held) {
        hki_holder_tell_kept(agent, held, call.task->name);
    }
    hki_call_outcome(&call, returned, &outcome);
    if (request->end_ns != HKI_NEVER && hk_now_ns() >= request->end_ns) {
        /* A late value is not a value, also if nobody has come to say so yet. */
        hki_outcome_drop(&outcome);
        request->cell->outcome = HK_EDEADLINE;
    } else {
        leave_outcome(request, &outcome);
    }
    hki_call_leave(&call);
    hki_agent_leave(agent);
}

void hki_worker_run(struct hki_worker *worker, uint32_t request, int64_t started_ns)
{
    struct hki_cell *cell = &worker->channel->cells[request % HKI_CELLS];
    struct hki_worker_call call = {
        .link = {&request_ops},
        .worker = worker,
        .cell = cell,
        .request = request,
        .end_ns = cell->deadline_ns,
        .attempt = cell->attempt,
    };
    int64_t run_end_ns;

    this_worker = worker;
    if (cell->timeout_ns != 0 &&
        !__builtin_add_overflow(started_ns, cell->timeout_ns, &run_end_ns)) {
        call.end_ns = hki_earlier(call.end_ns, run_end_ns);
    }
    if (open_input(&call)) {
        run_task(&call);
        close_input(&call);
    }
    hki_mail_drop(&worker->mail, request);
}
