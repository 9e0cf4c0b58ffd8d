/* SPDX-License-Identifier: MIT */
#include "tests/schedule/machine.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/time.h"
#include "tests/schedule/point.h"

enum { STEPS_MAX = 400000, STEP_NS = 20 };

#define BEGIN_NS INT64_C(1000000000000)
#define END_NS   (BEGIN_NS + INT64_C(3600) * 1000000000)

static const char *const wait_names[] = {"goes on", "waits for mutex", "sleeps on",
                                         "joins",   "waits for count", "has ended"};

static struct {
    struct hkt_setup setup;
    struct hkt_report *report;
    volatile bool *runs; /* In a page that a child of a fork finds empty. */
    unsigned count;
    unsigned current;
    int64_t now_ns;
    struct hkt_thread threads[HKT_THREADS_MAX];
} machine;

static _Thread_local int self = -1;

bool hkt_is_in_round(void)
{
    return self >= 0 && *machine.runs;
}

bool hkt_has_fault(enum hkt_fault fault)
{
    return hkt_is_in_round() && machine.setup.fault == fault;
}

unsigned hkt_machine_self(void)
{
    return (unsigned)self;
}

unsigned hkt_machine_count(void)
{
    return machine.count;
}

struct hkt_thread *hkt_machine_thread(unsigned number)
{
    return &machine.threads[number];
}

int64_t hkt_machine_now_ns(void)
{
    return machine.now_ns += STEP_NS;
}

/* --- failures --- */

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
    char *text = machine.report->failure;
    size_t used = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + used, sizeof(machine.report->failure) - used, format, arguments);
    va_end(arguments);
}

static void tell_threads(void)
{
    for (unsigned i = 0; i < machine.count; i++) {
        const struct hkt_thread *thread = &machine.threads[i];

        tell("\n  thread %u %s", i, wait_names[thread->wait]);
        if (thread->wait != HKT_GOES_ON && thread->wait != HKT_ENDED) {
            tell(" %p", (const void *)(uintptr_t)thread->object);
        }
        if (thread->wait == HKT_AT_FUTEX && thread->deadline_ns != HKI_NEVER) {
            tell(" for at most %lld us", (long long)(thread->deadline_ns - machine.now_ns) / 1000);
        }
        if (thread->wait == HKT_ENDED) {
            continue;
        }
        tell("; last did \"%s\" at", thread->what == NULL ? "nothing" : thread->what);
        for (unsigned at = 0; at < HKT_SITES && thread->sites[at] != NULL; at++) {
            const char *name = strstr(thread->sites[at], "hocket/");

            tell("%s %s", at == 0 ? "" : ",", name == NULL ? thread->sites[at] : name);
        }
    }
}

void hkt_fail(const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (machine.report != NULL && machine.report->failure[0] == '\0') {
        tell("%s", text);
        tell_threads();
        machine.report->ended = true;
    }
    _exit(1);
}

/* --- turns --- */

/* Not by the code under test's own calls, which are turned to this machine. */
static void sleep_until_turn(struct hkt_thread *thread)
{
    while (__atomic_exchange_n(&thread->turn, 0, __ATOMIC_ACQUIRE) == 0) {
        (void)syscall(SYS_futex, &thread->turn, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
}

static void hand_over(unsigned next)
{
    struct hkt_thread *thread = &machine.threads[next];

    machine.current = next;
    __atomic_store_n(&thread->turn, 1, __ATOMIC_RELEASE);
    (void)syscall(SYS_futex, &thread->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static bool can_go_on(const struct hkt_thread *thread)
{
    switch (thread->wait) {
    case HKT_GOES_ON:
        return true;
    case HKT_AT_MUTEX:
        return *(const volatile int *)thread->object == 0;
    case HKT_AT_FUTEX:
        return thread->deadline_ns <= machine.now_ns;
    case HKT_AT_JOIN:
        return ((const volatile struct hkt_thread *)thread->object)->wait == HKT_ENDED;
    case HKT_AT_COUNT:
        return *(const volatile int *)thread->object >= thread->wanted;
    default:
        return false;
    }
}

/* To the next moment that somebody sleeps until. False: nobody does. */
static bool leap(void)
{
    int64_t next_ns = HKI_NEVER;

    for (unsigned i = 0; i < machine.count; i++) {
        const struct hkt_thread *thread = &machine.threads[i];

        if (thread->wait == HKT_AT_FUTEX && thread->deadline_ns > machine.now_ns) {
            next_ns = hki_earlier(next_ns, thread->deadline_ns);
        }
    }
    if (next_ns == HKI_NEVER) {
        return false;
    }
    if (next_ns > END_NS) {
        hkt_fail("time passes, and nothing else happens");
    }
    if (machine.setup.trace) {
        fprintf(stderr, "    the clock leaps by %lld us\n",
                (long long)(next_ns - machine.now_ns) / 1000);
    }
    machine.now_ns = next_ns;
    return true;
}

static bool find_able(bool *able)
{
    bool found = false;

    for (unsigned i = 0; i < machine.count; i++) {
        able[i] = can_go_on(&machine.threads[i]);
        found = found || able[i];
    }
    return found;
}

/* Who is at turn now. */
static unsigned choose(void)
{
    bool able[HKT_THREADS_MAX];
    unsigned next;

    if (!machine.setup.timeless && hkt_chance_leaps()) {
        (void)leap();
    }
    while (!find_able(able)) {
        if (machine.setup.timeless) {
            hkt_fail("nobody can go on before a time-out");
        }
        if (!leap()) {
            hkt_fail("nobody can ever go on");
        }
    }
    next = hkt_chance_next(able, machine.count, machine.current);
    machine.report->hash = (machine.report->hash ^ (next + 1)) * UINT64_C(0x100000001B3);
    return next;
}

/* False: nobody has woken it. */
static bool pass_turn(void)
{
    unsigned me = machine.current;
    unsigned next = choose();
    bool is_woken;

    if (next != me) {
        hand_over(next);
        sleep_until_turn(&machine.threads[me]);
    }
    is_woken = machine.threads[me].wait != HKT_AT_FUTEX;
    machine.threads[me].wait = HKT_GOES_ON;
    return is_woken;
}

bool hkt_machine_wait(enum hkt_wait wait, const volatile void *object, int64_t deadline_ns)
{
    struct hkt_thread *thread = &machine.threads[machine.current];

    thread->wait = wait;
    thread->object = object;
    thread->deadline_ns = deadline_ns;
    return pass_turn();
}

void hkt_machine_wait_for(const volatile int *count, int wanted)
{
    machine.threads[machine.current].wanted = wanted;
    (void)hkt_machine_wait(HKT_AT_COUNT, count, HKI_NEVER);
}

void hkt_point(const char *what, const volatile void *object, const char *site)
{
    struct hkt_thread *thread;

    if (!hkt_is_in_round()) {
        return;
    }
    thread = &machine.threads[self];
    thread->what = what;
    if (thread->sites[0] != site) {
        memmove(thread->sites + 1, thread->sites, sizeof(thread->sites) - sizeof(*thread->sites));
        thread->sites[0] = site;
    }
    if (++machine.report->steps > STEPS_MAX) {
        hkt_fail("a round without end");
    }
    machine.report->hash = (machine.report->hash ^ (uint8_t)what[0]) * UINT64_C(0x100000001B3);
    machine.now_ns += STEP_NS;
    (void)pass_turn();
    if (machine.setup.trace) {
        fprintf(stderr, "    %d %s %p %s\n", self, what, (const void *)(uintptr_t)object, site);
    }
}

bool hkt_fails_without_cause(void)
{
    enum { SELDOM = 16 };

    return hkt_is_in_round() && hkt_chance(SELDOM) == 0;
}

/* --- threads --- */

static void *thread_main(void *arg)
{
    struct hkt_thread *thread = arg;

    self = (int)(thread - machine.threads);
    sleep_until_turn(thread);
    thread->result = thread->fn(thread->arg);
    hkt_keys_end();
    hkt_point("end", NULL, "the thread's end");
    thread->wait = HKT_ENDED;
    self = -1;
    if (*machine.runs) {
        hand_over(choose());
    }
    return NULL;
}

int hkt_machine_start(const pthread_attr_t *attributes, void *(*fn)(void *), void *arg,
                      pthread_t *handle)
{
    struct hkt_thread *thread = &machine.threads[machine.count];
    int failed;

    if (machine.count == HKT_THREADS_MAX) {
        hkt_fail("more threads than a round has places for");
    }
    thread->fn = fn;
    thread->arg = arg;
    failed = pthread_create(&thread->handle, attributes, thread_main, thread);
    if (failed == 0) {
        *handle = thread->handle;
        hkt_chance_add(machine.count);
        machine.count++;
    }
    return failed;
}

static void *run_all(void *arg)
{
    void (*fn)(void) = *(void (**)(void))arg;

    fn();
    for (unsigned i = 1; i < machine.count; i++) {
        /* One that will be detached may still be on its way. */
        while (machine.threads[i].wait != HKT_ENDED) {
            (void)hkt_machine_wait(HKT_AT_JOIN, &machine.threads[i], HKI_NEVER);
        }
        if (!machine.threads[i].is_gone) {
            hkt_fail("nobody has joined thread %u", i);
        }
    }
    *machine.runs = false;
    machine.report->ended = true;
    return NULL;
}

static volatile bool *page_of_this_process(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED || madvise(page, size, MADV_WIPEONFORK) != 0) {
        hkt_fail("the kernel gives no page that is empty after a fork");
    }
    return page;
}

void hkt_machine_run(const struct hkt_setup *setup, struct hkt_report *report, void (*fn)(void))
{
    pthread_t handle;

    machine.setup = *setup;
    machine.report = report;
    machine.now_ns = BEGIN_NS;
    machine.runs = page_of_this_process();
    report->hash = UINT64_C(0xCBF29CE484222325);
    hkt_chance_begin(setup->seed, setup->strategy, setup->depth);
    if (hkt_machine_start(NULL, run_all, &fn, &handle) != 0) {
        hkt_fail("no thread to begin with");
    }
    *machine.runs = true;
    hand_over(0);
    (void)pthread_join(handle, NULL);
}
