/* SPDX-License-Identifier: MIT */
/* What the pieces of work share. */
#include "tests/soak/soak.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 16, LINES_MAX = 100 };

static atomic_uint wrong;
static hk_counter counters[SOAK_COUNTED];
static const char *const counted_names[SOAK_COUNTED] = {
    [SOAK_PIECES] = "pieces of work",
    [SOAK_TASKS] = "tasks submitted",
    [SOAK_FORKS] = "functions forked",
    [SOAK_TURNS] = "turns of parallel loops",
    [SOAK_ITEMS] = "items mapped",
    [SOAK_CANCELS] = "futures cancelled",
    [SOAK_OVERRUNS] = "time limits overrun",
    [SOAK_CRASHES] = "tasks that crashed their worker",
    [SOAK_KILLS] = "workers killed from outside",
    [SOAK_LOST] = "tasks lost with a worker",
    [SOAK_INVERSIONS] = "lock orders refused",
    [SOAK_LOCKINGS] = "locks taken",
    [SOAK_PUTS] = "items put into queues and rings",
    [SOAK_THREADS] = "threads come and gone",
    [SOAK_EXECUTORS] = "executors made and destroyed",
};

uint32_t soak_draw(struct soak_actor *actor, uint32_t below)
{
    actor->random = actor->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((actor->random >> 33) % below);
}

uint32_t soak_mixed(uint32_t number)
{
    number ^= number >> 16;
    number *= 0x7feb352dU;
    number ^= number >> 15;
    number *= 0x846ca68bU;
    return number ^ number >> 16;
}

bool soak_check(bool holds, const char *file, int line, const char *text)
{
    if (!holds && atomic_fetch_add(&wrong, 1) < LINES_MAX) {
        fprintf(stderr, "soak: %s:%d: not so: %s\n", file, line, text);
    }
    return holds;
}

unsigned soak_wrong_count(void)
{
    return atomic_load(&wrong);
}

void soak_count(enum soak_counted what, int64_t amount)
{
    hk_counter_add(&counters[what], amount);
}

int64_t soak_counted(enum soak_counted what)
{
    return hk_counter_sum(&counters[what]);
}

const char *soak_counted_name(enum soak_counted what)
{
    return counted_names[what];
}

/* --- Tasks --- */

HK_TASK_FLAGS(soak_mix, HK_TASK_IDEMPOTENT)
{
    struct soak_number number;
    uint32_t value;

    if (in_size != sizeof(number)) {
        return hk_fail(call, 1, "an input of %zu bytes", in_size);
    }
    memcpy(&number, in, sizeof(number));
    for (uint32_t i = 0; i < number.turns && !hk_should_stop(call); i++) {
        hk_progress(call, i, number.turns);
    }
    value = soak_mixed(number.number);
    return hk_return(call, &value, sizeof(value));
}

HK_TASK(soak_nap)
{
    hk_duration duration;

    if (in_size != sizeof(duration)) {
        return hk_fail(call, 1, "an input of %zu bytes", in_size);
    }
    memcpy(&duration, in, sizeof(duration));
    return hk_sleep(call, duration);
}

HK_TASK(soak_fail)
{
    int code = 0;

    memcpy(&code, in, in_size < sizeof(code) ? in_size : sizeof(code));
    return hk_fail(call, code, "as asked, with %d", code);
}

hk_executor *soak_any_sharing(struct soak_actor *actor)
{
    switch (soak_draw(actor, 4)) {
    case 0:
        return actor->pools->narrow;
    case 1:
        return actor->pools->serial;
    default:
        return actor->pools->threads;
    }
}

hk_executor *soak_any_executor(struct soak_actor *actor)
{
    return soak_draw(actor, 3) == 0 ? actor->pools->processes : soak_any_sharing(actor);
}

void soak_submit_mixes(struct soak_actor *actor, hk_executor *executor, uint32_t first,
                       hk_future **futures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct soak_number number = {first + (uint32_t)i, soak_draw(actor, 200)};
        const hk_submit_options options = {
            .label = soak_draw(actor, 4) == 0 ? "soak" : NULL,
            .priority = (hk_priority)((int)soak_draw(actor, 3) - 1),
            .deadline = soak_draw(actor, 8) == 0 ? HK_SEC(600) : 0,
        };

        futures[i] = NULL;
        SOAK_EXPECT(hk_submit(executor, soak_mix, &number, sizeof(number),
                              soak_draw(actor, 2) == 0 ? &options : NULL, &futures[i]) == HK_OK);
    }
    soak_count(SOAK_TASKS, (int64_t)count);
}

void soak_expect_mixed(hk_future *future, uint32_t number)
{
    const void *value = NULL;
    size_t size = 0;
    uint32_t mixed = 0;
    hk_status status = hk_future_result(future, HK_FOREVER, &value, &size);

    if (SOAK_EXPECT(status == HK_OK) && SOAK_EXPECT(size == sizeof(mixed))) {
        memcpy(&mixed, value, sizeof(mixed));
        SOAK_EXPECT(mixed == soak_mixed(number));
    } else if (future != NULL) {
        fprintf(stderr, "soak: %s: %s\n", hk_status_name(status), hk_future_why(future));
    }
    hk_future_unref(future);
}

/* --- Threads --- */

void soak_run_threads(unsigned count, void *(*fn)(void *arg), void *arg)
{
    pthread_t threads[THREADS_MAX];

    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, fn, arg) != 0) {
            perror("soak: pthread_create");
            exit(EXIT_FAILURE);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    soak_count(SOAK_THREADS, count);
}
