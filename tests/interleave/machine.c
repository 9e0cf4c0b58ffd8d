/* SPDX-License-Identifier: MIT */
#include "tests/interleave/machine.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "base/os.h"
#include "base/time.h"
#include "tests/interleave/choices.h"

enum { STACK_BYTES = 64 * 1024, BUFFER_MAX = 8, STEPS_MAX = 20000 };

struct store {
    volatile void *word;
    size_t size;
    uint64_t value;
};

struct thread {
    ucontext_t context;
    hkt_thread_fn *fn;
    bool ended;
    bool timed;                 /* While it sleeps: it may run out of time. */
    bool ran_out;               /* How its sleep ended. */
    const volatile void *futex; /* What it sleeps on, or NULL. */
    const int *mutex;           /* What it waits for until it is 0, or NULL. */
    unsigned stores;
    struct store buffer[BUFFER_MAX];
    char stack[STACK_BYTES] __attribute__((aligned(16)));
};

struct hkt_machine hkt_machine;

static struct thread threads[HKT_THREADS_MAX];
static unsigned thread_count;
static unsigned current;
static bool running; /* Inside a run; else operations are just done. */
static ucontext_t outside;
static struct hkt_bounds left;
static unsigned steps;
static const char *failure;

__attribute__((format(printf, 1, 2))) static void trace(const char *format, ...)
{
    va_list arguments;

    if (running && hkt_machine.trace) {
        va_start(arguments, format);
        printf("    thread %u ", current);
        vprintf(format, arguments);
        printf("\n");
        va_end(arguments);
    }
}

/* --- memory --- */

static uint64_t read_word(const volatile void *word, size_t size)
{
    switch (size) {
    case 1:
        return *(const volatile uint8_t *)word;
    case 4:
        return *(const volatile uint32_t *)word;
    default:
        return *(const volatile uint64_t *)word;
    }
}

static void write_word(volatile void *word, size_t size, uint64_t value)
{
    switch (size) {
    case 1:
        *(volatile uint8_t *)word = (uint8_t)value;
        break;
    case 4:
        *(volatile uint32_t *)word = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)word = value;
        break;
    }
}

static void drain_one(struct thread *thread)
{
    struct store first = thread->buffer[0];

    trace("shows %p = %#llx", (volatile void *)first.word, (unsigned long long)first.value);
    thread->stores--;
    memmove(thread->buffer, thread->buffer + 1, thread->stores * sizeof(first));
    write_word(first.word, first.size, first.value);
}

static void drain(struct thread *thread)
{
    while (thread->stores != 0) {
        drain_one(thread);
    }
}

/* --- turns --- */

static void stop(const char *what)
{
    failure = what;
    running = false;
    setcontext(&outside);
}

void hkt_must(bool holds, const char *what)
{
    if (!holds) {
        stop(what);
    }
}

unsigned hkt_machine_self(void)
{
    return current;
}

static bool can_run(unsigned number)
{
    const struct thread *thread = &threads[number];

    return !thread->ended && thread->futex == NULL &&
           (thread->mutex == NULL || *thread->mutex == 0);
}

static bool can_run_out(unsigned number)
{
    return left.timeouts != 0 && threads[number].futex != NULL && threads[number].timed;
}

static void give_turn(unsigned number)
{
    unsigned before = current;

    if (threads[number].futex != NULL) {
        left.timeouts--;
        trace("lets thread %u run out of time", number);
        threads[number].ran_out = true;
        threads[number].futex = NULL;
    }
    if (number != before) {
        current = number;
        swapcontext(&threads[before].context, &threads[number].context);
    }
}

/* Another gets the turn if it is time; always, if the current thread cannot go on. */
static void next_turn(void)
{
    unsigned candidates[HKT_THREADS_MAX];
    unsigned count = 0;
    bool goes_on = can_run(current);

    if (goes_on) {
        candidates[count++] = current;
    }
    for (unsigned i = 0; i < thread_count && (!goes_on || left.turns != 0); i++) {
        if ((i != current || !goes_on) && (can_run(i) || can_run_out(i))) {
            candidates[count++] = i;
        }
    }
    if (count == 0) {
        stop("a thread waits for ever");
    } else {
        unsigned chosen = candidates[hkt_choose(count)];

        if (goes_on && chosen != current) {
            left.turns--;
        }
        give_turn(chosen);
    }
}

/* Before each operation. */
static void step(void)
{
    if (!running) {
        return;
    }
    if (++steps > STEPS_MAX) {
        stop("a run without end");
    }
    next_turn();
    while (threads[current].stores != 0 && hkt_choose(2) == 0) {
        drain_one(&threads[current]);
        next_turn();
    }
}

static void step_and_drain(void)
{
    step();
    if (running) {
        drain(&threads[current]);
    }
}

static void run_thread(void)
{
    threads[current].fn();
    step_and_drain();
    trace("ends");
    threads[current].ended = true;
    for (unsigned i = 0; i < thread_count; i++) {
        if (!threads[i].ended) {
            next_turn(); /* And never back. */
        }
    }
    stop(NULL);
}

const char *hkt_machine_run(hkt_thread_fn *const *functions, unsigned count)
{
    volatile bool begun = false;

    thread_count = count;
    left = hkt_machine.bounds;
    steps = 0;
    failure = NULL;
    for (unsigned i = 0; i < count; i++) {
        struct thread *thread = &threads[i];

        thread->fn = functions[i];
        thread->ended = false;
        thread->futex = NULL;
        thread->mutex = NULL;
        thread->stores = 0;
        getcontext(&thread->context);
        thread->context.uc_stack.ss_sp = thread->stack;
        thread->context.uc_stack.ss_size = sizeof(thread->stack);
        thread->context.uc_link = NULL;
        makecontext(&thread->context, run_thread, 0);
    }
    getcontext(&outside);
    if (!begun) {
        begun = true;
        running = true;
        current = hkt_choose(count);
        setcontext(&threads[current].context);
    }
    return failure;
}

/* --- what shim/stdatomic.h calls --- */

uint64_t hkt_atomic_load(const volatile void *word, size_t size)
{
    step();
    if (running) {
        const struct thread *thread = &threads[current];

        for (unsigned i = thread->stores; i > 0; i--) {
            if (thread->buffer[i - 1].word == word) {
                trace("loads %p from its buffer", word);
                return thread->buffer[i - 1].value;
            }
        }
    }
    trace("loads %p: %#llx", word, (unsigned long long)read_word(word, size));
    return read_word(word, size);
}

void hkt_atomic_store(volatile void *word, size_t size, uint64_t value, memory_order order)
{
    struct thread *thread;

    step();
    thread = &threads[current];
    if (running && order != memory_order_seq_cst && thread->stores < BUFFER_MAX &&
        (thread->stores != 0 || (left.stores != 0 && hkt_choose(2) == 1))) {
        trace("buffers %p = %#llx", word, (unsigned long long)value);
        left.stores -= thread->stores == 0 ? 1 : 0;
        thread->buffer[thread->stores++] = (struct store){word, size, value};
        return;
    }
    if (running) {
        drain(thread);
    }
    trace("stores %p = %#llx", word, (unsigned long long)value);
    write_word(word, size, value);
}

/* Reads and writes at once; the answer is what was read. */
static uint64_t swap(volatile void *word, size_t size, uint64_t (*change)(uint64_t, uint64_t),
                     uint64_t value)
{
    uint64_t old;

    step_and_drain();
    old = read_word(word, size);
    write_word(word, size, change(old, value));
    trace("swaps %p: %#llx for %#llx", word, (unsigned long long)old,
          (unsigned long long)read_word(word, size));
    return old;
}

static uint64_t replaced(uint64_t old, uint64_t value)
{
    (void)old;
    return value;
}

static uint64_t added(uint64_t old, uint64_t value)
{
    return old + value;
}

static uint64_t masked(uint64_t old, uint64_t value)
{
    return old & value;
}

static uint64_t joined(uint64_t old, uint64_t value)
{
    return old | value;
}

uint64_t hkt_atomic_exchange(volatile void *word, size_t size, uint64_t value)
{
    return swap(word, size, replaced, value);
}

uint64_t hkt_atomic_add(volatile void *word, size_t size, uint64_t value)
{
    if (value == 0 && hkt_machine.fault == HKT_ADD_ZERO_IS_LOAD) {
        return hkt_atomic_load(word, size);
    }
    return swap(word, size, added, value);
}

uint64_t hkt_atomic_and(volatile void *word, size_t size, uint64_t value)
{
    return swap(word, size, masked, value);
}

uint64_t hkt_atomic_or(volatile void *word, size_t size, uint64_t value)
{
    return swap(word, size, joined, value);
}

bool hkt_atomic_compare_exchange(volatile void *word, size_t size, void *expected, uint64_t value)
{
    uint64_t old;

    step_and_drain();
    old = read_word(word, size);
    if (old == read_word(expected, size)) {
        trace("swaps %p: %#llx for %#llx", word, (unsigned long long)old,
              (unsigned long long)value);
        write_word(word, size, value);
        return true;
    }
    trace("finds %p: %#llx, not %#llx", word, (unsigned long long)old,
          (unsigned long long)read_word(expected, size));
    write_word(expected, size, old);
    return false;
}

/* --- what the code asks of the operating system --- */

int hkt_mutex_lock(pthread_mutex_t *mutex)
{
    int *word = (int *)(void *)mutex;

    step_and_drain();
    if (running && *word != 0) {
        trace("waits for mutex %p", (void *)mutex);
        threads[current].mutex = word;
        next_turn();
        threads[current].mutex = NULL;
    }
    trace("locks %p", (void *)mutex);
    *word = 1;
    return 0;
}

int hkt_mutex_unlock(pthread_mutex_t *mutex)
{
    step_and_drain();
    trace("unlocks %p", (void *)mutex);
    *(int *)(void *)mutex = 0;
    return 0;
}

bool hki_os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    struct thread *thread;

    step_and_drain();
    thread = &threads[current];
    if (*word != expected && hkt_machine.fault != HKT_SLEEPS_BLINDLY) {
        trace("does not sleep on %p: %#x, not %#x", (void *)word, *word, expected);
        return true;
    }
    trace("sleeps on %p while %#x", (void *)word, *word);
    thread->futex = word;
    thread->timed = deadline_ns != HKI_NEVER;
    thread->ran_out = false;
    next_turn();
    return !thread->ran_out;
}

unsigned hki_os_futex_wake(_Atomic(uint32_t) *word, unsigned count)
{
    unsigned woken = 0;

    step_and_drain();
    if (hkt_machine.fault == HKT_WAKES_NOBODY) {
        return 0;
    }
    count = hkt_machine.fault == HKT_WAKES_ONE ? 1 : count;
    while (woken < count) {
        unsigned sleepers[HKT_THREADS_MAX];
        unsigned found = 0;

        for (unsigned i = 0; i < thread_count; i++) {
            if (threads[i].futex == word) {
                sleepers[found++] = i;
            }
        }
        if (found == 0) {
            break;
        }
        /* Whichever, unless all of them are woken. */
        found = found <= count - woken ? 0 : hkt_choose(found);
        trace("wakes thread %u", sleepers[found]);
        threads[sleepers[found]].futex = NULL;
        woken++;
    }
    return woken;
}

bool hki_os_barrier_ready(void)
{
    return hkt_machine.has_barrier;
}

void hki_os_barrier(void)
{
    step_and_drain();
    trace("makes all show their stores");
    for (unsigned i = 0; i < thread_count && hkt_machine.fault != HKT_NO_BARRIER; i++) {
        drain(&threads[i]);
    }
}
