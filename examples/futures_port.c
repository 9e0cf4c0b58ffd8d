/* SPDX-License-Identifier: MIT */
/*
 * A script with Python's concurrent.futures, and its port: futures_port.py does the same,
 * function by function, and prints the same lines. What differs is told where it does.
 */
#include <hocket/hocket.h>

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[] = {"a futures port", "side by side", "", "in C and in Python",
                                    "42"};

enum { TEXTS = sizeof texts / sizeof texts[0] };

/* A failure here is one of the machine, such as no memory: the script would raise it too. */
static void check(hk_status status, const char *what)
{
    if (status != HK_OK) {
        fprintf(stderr, "futures_port: %s: %s (%s)\n", what, hk_strerror(status),
                hk_status_name(status));
        exit(EXIT_FAILURE);
    }
}

HK_TASK(letters)
{
    const char *text = in;
    int count = 0;

    if (in_size == 0) {
        return hk_fail(call, 1, "there is nothing to count in");
    }
    for (size_t i = 0; i < in_size; i++) {
        count += isalpha((unsigned char)text[i]) != 0;
    }
    return hk_return(call, &count, sizeof count);
}

HK_TASK(primes_below)
{
    int limit, count = 0;

    if (in_size != sizeof limit) {
        return hk_fail(call, 1, "a limit has %zu bytes, got %zu", sizeof limit, in_size);
    }
    memcpy(&limit, in, sizeof limit);
    for (int number = 2; number < limit; number++) {
        int divisor = 2;

        while (divisor * divisor <= number && number % divisor != 0) {
            divisor++;
        }
        count += divisor * divisor > number;
    }
    return hk_return(call, &count, sizeof count);
}

HK_TASK(die)
{
    return raise(SIGKILL) == 0 ? HK_OK : hk_fail(call, 1, "no signal could be sent");
}

/* Two events, which live until the tasks that know them have ended. */
struct gate {
    hk_event started;
    hk_event open;
};

HK_TASK(hold)
{
    struct gate *gate = (struct gate *)in;
    hk_status status = hk_event_set(&gate->started);

    if (status == HK_OK) {
        status = hk_event_wait(&gate->open, HK_FOREVER);
    }
    return status == HK_OK ? hk_return(call, "let go", sizeof "let go") : status;
}

static hk_executor *open_executor(const char *spec)
{
    hk_executor *executor;

    check(hk_executor_open(spec, &executor), spec);
    return executor;
}

static hk_future *submit_text(hk_executor *pool, const char *text)
{
    hk_future *future;

    check(hk_submit(pool, letters, text, strlen(text), NULL, &future), "submit letters");
    return future;
}

static hk_future *submit_hold(hk_executor *pool, struct gate *gate)
{
    hk_future *future;

    check(hk_submit_ref(pool, hold, gate, NULL, NULL, &future), "submit hold");
    return future;
}

static const void *result_of(hk_future *future)
{
    const void *value;

    check(hk_future_result(future, HK_FOREVER, &value, NULL), "a result");
    return value;
}

/* Ends the reference too: what future.exception() gives as text. */
static void print_failure(const char *what, hk_future *future)
{
    const hk_error *error;

    check(hk_future_error(future, HK_FOREVER, &error), what);
    printf("%s: %s\n", what, error == NULL ? "None" : error->message);
    hk_future_unref(future);
}

/* One pool is enough: the worker that died was replaced, and its queue was not lost. */
static void in_processes(void)
{
    static const int limits[] = {500, 1000, 1500, 2000, 2500, 3000};
    hk_array_source source = {limits, sizeof limits / sizeof limits[0], sizeof limits[0], 0};
    hk_map_options options = {.chunk = 4};
    hk_executor *pool = open_executor("processes:2");
    const int hundred = 100;
    const hk_error *error;
    hk_map_iterator *counts;
    hk_map_item item;
    hk_future *future;
    hk_status status;

    check(hk_map(pool, primes_below, hk_array_source_next, &source, &options, &counts), "map");
    printf("primes:");
    while ((status = hk_map_next(counts, HK_FOREVER, &item)) == HK_OK) {
        check(item.status, "an item");
        printf(" %d", *(const int *)item.data);
        hk_map_item_drop(&item);
    }
    check(status == HK_EDONE ? HK_OK : status, "the next item");
    hk_map_destroy(counts);
    printf("\n");
    print_failure("a failure in a process", submit_text(pool, ""));
    check(hk_submit(pool, die, NULL, 0, NULL, &future), "submit die");
    check(hk_future_error(future, HK_FOREVER, &error), "die");
    printf("%s\n", error != NULL && error->status == HK_EWORKER ? "a worker died" : "it lives");
    hk_future_unref(future);
    check(hk_submit(pool, primes_below, &hundred, sizeof hundred, NULL, &future), "submit");
    printf("after the crash: %d\n", *(const int *)result_of(future));
    hk_future_unref(future);
    check(hk_executor_destroy(pool), "the end of the processes");
}

/* What a generator is in Python: gives the texts that are not empty. */
static hk_status next_text(void *state, hk_map_input *input)
{
    size_t *next = state;

    while (*next < TEXTS && texts[*next][0] == '\0') {
        ++*next;
    }
    if (*next == TEXTS) {
        return HK_EDONE;
    }
    input->data = texts[*next];
    input->size = strlen(texts[*next]);
    ++*next;
    return HK_OK;
}

static void in_order(hk_executor *pool)
{
    size_t next = 0;
    hk_map_iterator *counts;
    hk_map_item item;
    hk_status status;

    check(hk_map(pool, letters, next_text, &next, NULL, &counts), "map");
    printf("map in order:");
    while ((status = hk_map_next(counts, HK_FOREVER, &item)) == HK_OK) {
        check(item.status, "an item");
        printf(" %d", *(const int *)item.data);
        hk_map_item_drop(&item);
    }
    check(status == HK_EDONE ? HK_OK : status, "the next item");
    hk_map_destroy(counts);
    printf("\n");
}

static void as_they_end(hk_executor *pool)
{
    char lines[TEXTS][80];
    hk_future *futures[TEXTS], *future;
    hk_completion *ended;
    hk_status status;
    uintptr_t place;

    for (size_t i = 0; i < TEXTS; i++) {
        futures[i] = submit_text(pool, texts[i]);
    }
    check(hk_as_completed(futures, TEXTS, HK_SEC(30), &ended), "as completed");
    while ((status = hk_completion_next(ended, HK_FOREVER, &future, &place)) == HK_OK) {
        const hk_error *error;

        check(hk_future_error(future, 0, &error), "what has ended");
        if (error != NULL) {
            snprintf(lines[place], sizeof lines[place], "failed: %s", error->message);
        } else {
            snprintf(lines[place], sizeof lines[place], "%d letters",
                     *(const int *)result_of(future));
        }
        hk_future_unref(future);
    }
    check(status == HK_EDONE ? HK_OK : status, "the next that ended");
    hk_completion_destroy(ended);
    for (size_t i = 0; i < TEXTS; i++) {
        printf("text %zu: %s\n", i, lines[i]);
        hk_future_unref(futures[i]);
    }
}

static void waiting(hk_executor *pool)
{
    struct gate gate = {HK_EVENT_INIT("started"), HK_EVENT_INIT("open")};
    hk_future *both[2];
    size_t ended;

    both[0] = submit_text(pool, "quick");
    both[1] = submit_hold(pool, &gate);
    check(hk_wait(both, 2, HK_FIRST_COMPLETED, HK_SEC(30), NULL, &ended), "the first");
    printf("first completed: %zu ended, %zu not\n", ended, 2 - ended);
    if (hk_future_result(both[1], HK_MS(10), NULL, NULL) == HK_ETIMEDOUT) {
        printf("the result: not in time\n");
    }
    check(hk_event_set(&gate.open), "open");
    check(hk_wait(both, 2, HK_ALL_COMPLETED, HK_SEC(30), NULL, &ended), "all");
    printf("all completed: %zu ended, %zu not; %s\n", ended, 2 - ended,
           (const char *)result_of(both[1]));
    hk_future_unref(both[0]);
    hk_future_unref(both[1]);
}

struct holds {
    struct gate *gate;
    int left;
};

static hk_status next_hold(void *state, hk_map_input *input)
{
    struct holds *holds = state;

    if (holds->left == 0) {
        return HK_EDONE;
    }
    holds->left--;
    input->data = holds->gate;
    input->size = HK_BY_REF;
    return HK_OK;
}

/* Python's limit is one for the whole map, and so the iterator is done with. Here a wait ran
 * out, so the items are still to come, and the gate may go when they have. */
static void map_out_of_time(hk_executor *pool)
{
    struct gate gate = {HK_EVENT_INIT("started"), HK_EVENT_INIT("open")};
    struct holds holds = {&gate, 2};
    hk_map_iterator *iterator;
    hk_map_item item;
    hk_status status;

    check(hk_map(pool, hold, next_hold, &holds, NULL, &iterator), "map");
    if (hk_map_next(iterator, HK_MS(10), &item) == HK_ETIMEDOUT) {
        printf("the map: not in time\n");
    }
    check(hk_event_set(&gate.open), "open");
    while ((status = hk_map_next(iterator, HK_FOREVER, &item)) == HK_OK) {
        hk_map_item_drop(&item);
    }
    check(status == HK_EDONE ? HK_OK : status, "the next item");
    hk_map_destroy(iterator);
}

struct tally {
    hk_counter ended;
    hk_counter values;
};

static void count_ended(hk_future *future, void *arg)
{
    struct tally *tally = arg;
    const hk_error *error;

    hk_counter_add(&tally->ended, 1);
    if (hk_future_error(future, 0, &error) == HK_OK && error == NULL) {
        hk_counter_add(&tally->values, 1);
    }
}

static void callbacks(void)
{
    hk_executor *pool = open_executor("threads:2");
    struct tally tally = {HK_COUNTER_INIT, HK_COUNTER_INIT};

    for (size_t i = 0; i < TEXTS; i++) {
        hk_future *future = submit_text(pool, texts[i]);

        check(hk_future_on_done(future, NULL, count_ended, &tally, NULL), "a callback");
        hk_future_unref(future);
    }
    check(hk_executor_destroy(pool), "the end of the threads");
    printf("callbacks: %lld, of these for values %lld\n", (long long)hk_counter_sum(&tally.ended),
           (long long)hk_counter_sum(&tally.values));
}

/* Without spares, as Python has none: while the one worker waits at the gate another would run
 * what is queued. */
static void cancelling(void)
{
    struct gate gate = {HK_EVENT_INIT("started"), HK_EVENT_INIT("open")};
    hk_executor *pool = open_executor("threads:1?spare_workers=none");
    hk_future *running = submit_hold(pool, &gate);
    hk_future *queued[TEXTS];
    size_t cancelled = 0;
    hk_status status;

    for (size_t i = 0; i < TEXTS; i++) {
        queued[i] = submit_text(pool, texts[i]);
    }
    check(hk_event_wait(&gate.started, HK_SEC(30)), "the start");
    status = hk_future_cancel(queued[0], HK_CANCEL_PENDING);
    printf("cancel what is queued: %s\n", status == HK_OK ? "yes" : "no");
    status = hk_future_cancel(running, HK_CANCEL_PENDING);
    printf("cancel what runs: %s\n", status == HK_OK ? "yes" : "no");
    check(hk_executor_shutdown(pool, HK_SHUTDOWN_CANCEL_QUEUED, 0), "shutdown");
    if (hk_submit(pool, letters, "late", 4, NULL, NULL) == HK_ECLOSED) {
        printf("a late submit: refused\n");
    }
    check(hk_event_set(&gate.open), "open");
    check(hk_executor_destroy(pool), "the end of the threads");
    for (size_t i = 0; i < TEXTS; i++) {
        cancelled += hk_future_state(queued[i]) == HK_CANCELLED;
        hk_future_unref(queued[i]);
    }
    printf("shut down: %zu of %d cancelled; %s\n", cancelled, TEXTS,
           (const char *)result_of(running));
    hk_future_unref(running);
}

int main(int argc, char **argv)
{
    hk_executor *threads;

    if (argc > 1) {
        const bool help = strcmp(argv[1], "--help") == 0;

        fprintf(help ? stdout : stderr,
                "usage: futures_port\n"
                "Prints what futures_port.py prints, by the same steps in C.\n");
        return help ? EXIT_SUCCESS : 2;
    }
    in_processes(); /* first of all: processes are forked before there are threads */
    threads = open_executor("threads:4");
    in_order(threads);
    as_they_end(threads);
    waiting(threads);
    map_out_of_time(threads);
    check(hk_executor_destroy(threads), "the end of the threads");
    callbacks();
    cancelling();
    return EXIT_SUCCESS;
}
