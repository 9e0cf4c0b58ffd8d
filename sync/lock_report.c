/* SPDX-License-Identifier: MIT */
/* The text of an inversion, and the hook that takes it. The hook and its argument change
 * together, so they are read under a lock, and called without it. */
#include "sync/lock_report.h"

#include <pthread.h>
#include <string.h>

#include "base/fork.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "sync/lock_dot.h"
#include "sync/lock_text.h"

enum { SHORT_TEXT_BYTES = 1024, FRAME_BYTES = 256 };

static pthread_mutex_t hook_lock = PTHREAD_MUTEX_INITIALIZER;
static hk_lock_report_fn *hook_fn;
static void *hook_arg;

static _Thread_local bool is_under_way;

bool hki_lock_report_is_under_way(void)
{
    return is_under_way;
}

void hk_on_lock_report(hk_lock_report_fn *fn, void *arg)
{
    pthread_mutex_lock(&hook_lock);
    hook_fn = fn;
    hook_arg = arg;
    pthread_mutex_unlock(&hook_lock);
}

/* --- The text ------------------------------------------------------------------------ */

static void add_name(struct hki_text *text, const char *name, const void *lock)
{
    if (name == NULL || name[0] == '\0') {
        hki_text_add(text, "lock %p", lock);
    } else {
        hki_text_add(text, "\"");
        hki_text_escape(text, name, "\\");
        hki_text_add(text, "\"");
    }
}

/* "accounts" (0x55d0c8a1b2c0): the address tells locks of one name apart. */
static void add_lock(struct hki_text *text, const char *name, const void *lock)
{
    add_name(text, name, lock);
    if (name != NULL && name[0] != '\0') {
        hki_text_add(text, " (%p)", lock);
    }
}

static void add_site(struct hki_text *text, const hk_site *site)
{
    if (site != NULL) {
        hki_text_add(text, "%s:%d (%s)", site->file, site->line, site->function);
    } else {
        hki_text_add(text, "a place that is not known");
    }
}

/* thread bank (388), worker sums_0 (388): as in the reports of waits. */
static void add_thread(struct hki_text *text, const char *name, int id)
{
    if (strncmp(name, "worker ", 7) != 0) {
        hki_text_add(text, "thread ");
    }
    if (name[0] != '\0') {
        hki_text_escape(text, name, "\\");
        hki_text_add(text, " ");
    }
    hki_text_add(text, "(%d)", id);
}

/* Both ends of a step, and the calls that led there. */
static void add_step(struct hki_text *text, const hk_lock_edge *edge)
{
    hki_text_add(text, "       ");
    add_lock(text, edge->from_name, edge->from_lock);
    hki_text_add(text, " taken at ");
    add_site(text, edge->from_site);
    hki_text_add(text, "\n       ");
    add_lock(text, edge->to_name, edge->to_lock);
    hki_text_add(text, " wanted at ");
    add_site(text, edge->to_site);
    hki_text_add(text, "\n");
    for (size_t i = 0; i < edge->frame_count; i++) {
        char frame[FRAME_BYTES];

        hki_os_frame_text(edge->frames[i], frame, sizeof(frame));
        hki_text_add(text, "         #%-2zu %s\n", i, frame);
    }
}

static void add_held(struct hki_text *text, const struct hki_held *held, size_t count)
{
    if (count < 2) {
        return; /* The step names it. */
    }
    hki_text_add(text, "  This thread holds, first taken first:\n");
    for (size_t i = 0; i < count; i++) {
        hki_text_add(text, "       ");
        add_lock(text, held[i].name, held[i].lock);
        hki_text_add(text, " taken at ");
        add_site(text, held[i].site);
        hki_text_add(text, "\n");
    }
}

static void add_established(struct hki_text *text, const hk_lock_report *report)
{
    hki_text_add(text, "  The established order says otherwise:\n");
    for (size_t i = 1; i < report->edge_count; i++) {
        const hk_lock_edge *edge = &report->edges[i];

        hki_text_add(text, "  %2zu.  ", i);
        add_name(text, edge->from_name, edge->from_lock);
        hki_text_add(text, " before ");
        add_name(text, edge->to_name, edge->to_lock);
        hki_text_add(text, ", first seen in ");
        add_thread(text, edge->thread_name, edge->thread_id);
        hki_text_add(text, "\n");
        add_step(text, edge);
    }
}

static void add_advice(struct hki_text *text, const hk_lock_report *report)
{
    const hk_lock_edge *wrong = &report->edges[0];

    if (report->kind == HK_LOCK_SAME_CLASS) {
        hki_text_add(
            text, "  Another thread may take the same two the other way round, and both wait "
                  "for ever.\n"
                  "  What to do, one of:\n"
                  "    - take both at once with hk_lock_acquire_many(), which finds a safe order;\n"
                  "    - give them subclasses, if one is always the outer one (parent, "
                  "child);\n"
                  "    - hk_lock_allow() the class with itself, if something else makes it "
                  "safe.\n");
    } else {
        hki_text_add(text, "  Threads that do these at the same moment wait for each other for "
                           "ever.\n"
                           "  What to do, one of:\n"
                           "    - take ");
        add_name(text, wrong->to_name, wrong->to_lock);
        hki_text_add(text, " before ");
        add_name(text, wrong->from_name, wrong->from_lock);
        hki_text_add(text,
                     " here too;\n"
                     "    - take them at once with hk_lock_acquire_many(), which finds a safe "
                     "order;\n"
                     "    - hk_lock_allow() the two, if something else makes it safe.\n");
    }
}

static const char *outcome(hk_lock_policy policy)
{
    switch (policy) {
    case HK_LOCK_REFUSE:
        return "Refused with HK_EORDER; nothing was taken. This pair is reported once.";
    case HK_LOCK_ABORT:
        return "The process ends here: the policy is abort.";
    default:
        return "It goes on all the same: the policy is report. This pair is reported once.";
    }
}

static void write_text(struct hki_text *text, const hk_lock_report *report,
                       const struct hki_held *held, size_t count)
{
    const hk_lock_edge *wrong = &report->edges[0];

    if (report->kind == HK_LOCK_SAME_CLASS) {
        hki_text_add(text, "two locks of class ");
        add_name(text, wrong->from_name, wrong->from_lock);
        hki_text_add(text, " at once: ");
        add_thread(text, report->thread_name, report->thread_id);
        hki_text_add(text, " holds one and wants another\n");
    } else {
        hki_text_add(text, "lock order inversion: ");
        add_thread(text, report->thread_name, report->thread_id);
        hki_text_add(text, " holds ");
        add_name(text, wrong->from_name, wrong->from_lock);
        hki_text_add(text, " and wants ");
        add_name(text, wrong->to_name, wrong->to_lock);
        hki_text_add(text, "\n");
    }
    add_step(text, wrong);
    add_held(text, held, count);
    if (report->kind == HK_LOCK_INVERSION) {
        add_established(text, report);
    }
    add_advice(text, report);
    hki_text_add(text, "  %s", outcome(report->policy));
}

/* --- Handing over ------------------------------------------------------------------------ */

static void hand_over(const hk_lock_report *report)
{
    hk_lock_report_fn *fn;
    void *arg;

    pthread_mutex_lock(&hook_lock);
    fn = hook_fn;
    arg = hook_arg;
    pthread_mutex_unlock(&hook_lock);
    if (fn != NULL) {
        fn(report, arg);
    } else {
        hki_log_text(HK_LOG_WARNING, report->text);
    }
}

void hki_lock_report_deliver(hk_lock_report *report, const struct hki_held *held, size_t count)
{
    char few[SHORT_TEXT_BYTES];
    struct hki_text measure = {.room = 0};
    struct hki_text text = {.at = few, .room = sizeof(few)};
    char *memory;
    size_t size;

    /* The allocator and the hook are the application's, and may take locks. */
    is_under_way = true;
    write_text(&measure, report, held, count);
    size = measure.length + 1;
    memory = hki_alloc(size);
    if (memory != NULL) {
        text = (struct hki_text){.at = memory, .room = size};
    }
    write_text(&text, report, held, count);
    report->text = text.at;
    hand_over(report);
    hki_free(memory, size);
    is_under_way = false;
}

hk_status hk_lock_report_write(const hk_lock_report *report, hk_lock_format format, int fd)
{
    if (report == NULL || (format != HK_LOCK_TEXT && format != HK_LOCK_DOT) || fd < 0) {
        return HK_EINVAL;
    }
    if (format == HK_LOCK_DOT) {
        return hki_dot_report(report, fd) ? HK_OK : HK_ESYS;
    }
    return hki_os_write(fd, report->text, strlen(report->text)) && hki_os_write(fd, "\n", 1)
               ? HK_OK
               : HK_ESYS;
}

__attribute__((constructor)) static void watch_forks(void)
{
    hki_fork_guard(&hook_lock);
}
