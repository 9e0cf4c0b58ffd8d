/* SPDX-License-Identifier: MIT */
/* The objects of the program that runs, and what was seen of them. */
#include "tests/random/stage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/random/faults.h"

enum { MAGIC = 0x600d0b1e, DEAD = 0x0dead0b1 };

struct hkt_stage *hkt_stage;
_Thread_local struct hkt_place hkt_place = {NULL, -1, 0, HKT_NOWHERE};

/* Of this process alone: a worker finds none of its parent's. */
struct slot {
    void *object; /* Executor, promise, completion queue, token or hook. */
    hk_future *futures[HKT_UNITS_OF_OP];
    unsigned users;
    hk_promise *condemned; /* Whoever uses it last destroys it. */
};

static struct slot slots[HKT_OPS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t unused = PTHREAD_COND_INITIALIZER;

void hkt_stage_reset(void)
{
    memset(&hkt_stage->units, 0, sizeof(hkt_stage->units));
    memset(&hkt_stage->known, 0, sizeof(hkt_stage->known));
    atomic_store(&hkt_stage->mercy, false);
    atomic_store(&hkt_stage->kills, 0);
    atomic_store(&hkt_stage->ops_run, 0);
    atomic_store(&hkt_stage->main_pid, getpid());
    memset(slots, 0, sizeof(slots));
}

void hkt_fail_program(const char *format, ...)
{
    char text[HKT_FAILURE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!atomic_exchange(&hkt_stage->is_failed, true)) {
        memcpy(hkt_stage->failure, text, sizeof(text));
    }
}

void hkt_one_of(int op, hk_status status, const int *allowed, const char *file, int line)
{
    for (; *allowed != 1; allowed++) {
        if (*allowed == (int)status) {
            return;
        }
    }
    hkt_fail_program("operation %d gave %s (%s:%d)", op, hk_status_name(status), file, line);
}

/* --- Places --- */

bool hkt_is_worker_process(void)
{
    return getpid() != atomic_load(&hkt_stage->main_pid);
}

void hkt_run_place(int in)
{
    struct hkt_place before = hkt_place;

    hkt_place.in = in;
    for (unsigned i = 0; i < hkt_stage->program.count; i++) {
        if (hkt_stage->program.ops[i].kind != HKT_NO_OP && hkt_stage->program.ops[i].in == in) {
            hkt_perform((int)i);
        }
    }
    hkt_place = before;
}

hk_duration hkt_time_of(int time_us)
{
    return time_us < 0 ? HK_FOREVER : HK_US(time_us);
}

/* A callback may be what somebody else waits for: nobody waits in one. */
hk_duration hkt_patience(int time_us)
{
    return hkt_place.callbacks > 0 ? 0 : hkt_time_of(time_us);
}

void hkt_work_for(int time_us)
{
    struct timespec now;
    int64_t end_ns;

    clock_gettime(CLOCK_MONOTONIC, &now);
    end_ns = now.tv_sec * 1000000000LL + now.tv_nsec + time_us * 1000LL;
    while (now.tv_sec * 1000000000LL + now.tv_nsec < end_ns) {
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
}

bool hkt_has_executor(enum hkt_executor_kind kind)
{
    for (unsigned i = 0; i < hkt_stage->program.count; i++) {
        const struct hkt_op *op = &hkt_stage->program.ops[i];

        if (op->kind == HKT_EXECUTOR && op->numbers[HKT_HOW] == (int)kind) {
            return true;
        }
    }
    return false;
}

/* --- Objects --- */

struct hkt_unit *hkt_unit(int op, unsigned index)
{
    return &hkt_stage->units[op * HKT_UNITS_OF_OP + (int)index];
}

unsigned hkt_unit_count(int op)
{
    const struct hkt_op *at = &hkt_stage->program.ops[op];

    return at->kind != HKT_MANY ? 1 : (unsigned)at->numbers[HKT_COUNT] % HKT_UNITS_OF_OP + 1;
}

hk_future *hkt_future_get(int op, unsigned index)
{
    hk_future *future = NULL;

    if (op >= 0) {
        pthread_mutex_lock(&lock);
        future = hk_future_ref(slots[op].futures[index]);
        pthread_mutex_unlock(&lock);
    }
    return future;
}

void hkt_future_put(int op, unsigned index, hk_future *future)
{
    pthread_mutex_lock(&lock);
    slots[op].futures[index] = future;
    pthread_mutex_unlock(&lock);
}

hk_future *hkt_future_take(int op, unsigned index)
{
    hk_future *future;

    pthread_mutex_lock(&lock);
    future = slots[op].futures[index];
    slots[op].futures[index] = NULL;
    pthread_mutex_unlock(&lock);
    return future;
}

hk_cancel_token *hkt_token_get(int op)
{
    hk_cancel_token *token = NULL;

    if (op >= 0) {
        pthread_mutex_lock(&lock);
        token = hkt_stage->program.ops[op].kind == HKT_TOKEN ? hk_cancel_token_ref(slots[op].object)
                                                             : NULL;
        pthread_mutex_unlock(&lock);
    }
    return token;
}

void hkt_token_put(int op, hk_cancel_token *token)
{
    hkt_put(op, token);
}

hk_cancel_token *hkt_token_take(int op)
{
    return hkt_take(op);
}

void *hkt_use(int op, enum hkt_slot slot)
{
    static const enum hkt_kind kinds[] = {[HKT_SLOT_EXECUTOR] = HKT_EXECUTOR,
                                          [HKT_SLOT_PROMISE] = HKT_PROMISE,
                                          [HKT_SLOT_COMPLETION] = HKT_COMPLETION};
    void *object = NULL;

    if (op >= 0 && hkt_stage->program.ops[op].kind == kinds[slot]) {
        pthread_mutex_lock(&lock);
        object = slots[op].object;
        slots[op].users += object != NULL ? 1 : 0;
        pthread_mutex_unlock(&lock);
    }
    return object;
}

void hkt_release(int op)
{
    hk_promise *condemned = NULL;

    pthread_mutex_lock(&lock);
    if (--slots[op].users == 0) {
        condemned = slots[op].condemned;
        slots[op].condemned = NULL;
        pthread_cond_broadcast(&unused);
    }
    pthread_mutex_unlock(&lock);
    hk_promise_destroy(condemned);
}

void hkt_promise_condemn(int op)
{
    hk_promise *promise;

    pthread_mutex_lock(&lock);
    promise = slots[op].object;
    slots[op].object = NULL;
    if (slots[op].users != 0 && promise != NULL) {
        slots[op].condemned = promise;
        promise = NULL;
    }
    pthread_mutex_unlock(&lock);
    hk_promise_destroy(promise);
}

void hkt_put(int op, void *object)
{
    pthread_mutex_lock(&lock);
    slots[op].object = object;
    pthread_mutex_unlock(&lock);
}

void *hkt_take(int op)
{
    void *object;

    pthread_mutex_lock(&lock);
    object = slots[op].object;
    slots[op].object = NULL;
    while (slots[op].users != 0) {
        pthread_cond_wait(&unused, &lock);
    }
    pthread_mutex_unlock(&lock);
    return object;
}

hk_hook *hkt_hook_take(int op)
{
    return op >= 0 && hkt_stage->program.ops[op].kind == HKT_CALLBACK ? hkt_take(op) : NULL;
}

void hkt_hook_put(int op, hk_hook *hook)
{
    hkt_put(op, hook);
}

hk_executor *hkt_executor_get(int op)
{
    if (op < 0) {
        return hkt_place.call != NULL ? hk_call_executor(hkt_place.call) : NULL;
    }
    return hkt_is_worker_process() ? NULL : hkt_use(op, HKT_SLOT_EXECUTOR);
}

void hkt_executor_release(int op)
{
    if (op >= 0) {
        hkt_release(op);
    }
}

/* --- Values --- */

uint32_t hkt_mix(uint32_t value)
{
    value ^= value >> 16;
    value *= 0x7feb352dU;
    value ^= value >> 15;
    value *= 0x846ca68bU;
    return value ^ value >> 16;
}

struct hkt_object *hkt_object_new(int op, unsigned index, uint32_t hash, bool is_input)
{
    struct hkt_object *object = calloc(1, sizeof(*object));

    if (object == NULL) {
        abort();
    }
    *object = (struct hkt_object){MAGIC, hash, (uint16_t)op, (uint16_t)index, is_input};
    if (!is_input) {
        atomic_fetch_add(&hkt_unit(op, index)->made, 1);
    }
    return object;
}

void hkt_object_drop(void *dropped)
{
    struct hkt_object *object = dropped;
    struct hkt_unit *unit = hkt_unit(object->op, object->index);

    HKT_MUST(object->magic == MAGIC);
    object->magic = DEAD;
    if (object->is_input) {
        HKT_MUST(atomic_load(&unit->under_way) == 0);
        atomic_fetch_add(&unit->drops, 1);
    } else {
        atomic_fetch_add(&unit->dropped, 1);
    }
    free(object);
}

/* Of the size, too: so a value that was cut short is noticed. */
static unsigned char byte_at(size_t place, size_t size, uint32_t hash)
{
    uint32_t word = hkt_mix(hash ^ hkt_mix((uint32_t)size));

    return (unsigned char)((word >> place % sizeof(word) * 8) + place);
}

void hkt_fill(void *data, size_t size, uint32_t hash)
{
    unsigned char *bytes = data;

    memcpy(bytes, &hash, sizeof(hash));
    for (size_t i = sizeof(hash); i < size; i++) {
        bytes[i] = byte_at(i, size, hash);
    }
}

uint32_t hkt_hash_of(const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint32_t hash = 0;

    if (size == HK_BY_REF) {
        const struct hkt_object *object = data;

        HKT_MUST(object->magic == MAGIC);
        return object->hash;
    }
    if (size == sizeof(size_t)) { /* Also the place that hk_when_any() tells. */
        uint64_t number;

        memcpy(&number, data, sizeof(number));
        return (uint32_t)(number ^ number >> 32);
    }
    if (size < HKT_VALUE_BYTES) {
        HKT_MUST(size == 0);
        return 0;
    }
    memcpy(&hash, bytes, sizeof(hash));
    for (size_t i = sizeof(hash); i < size; i++) {
        if (bytes[i] != byte_at(i, size, hash)) {
            hkt_fail_program("a value of %zu bytes is wrong at byte %zu", size, i);
            break;
        }
    }
    return hash;
}

struct hkt_input hkt_input_of(int op, unsigned index)
{
    uint32_t check = hkt_mix((uint32_t)op * 7919U + index + (uint32_t)hkt_stage->seed);

    return (struct hkt_input){(uint16_t)op, (uint16_t)index, check};
}

/* --- Ends --- */

/* Bits 0 to 31 the hash, 32 to 47 the negated status, 62 whether there is a hash, 63 always. */
uint64_t hkt_end_of(hk_status status, bool has_hash, uint32_t hash)
{
    return 1ULL << 63 | (uint64_t)(has_hash ? 1 : 0) << 62 |
           (uint64_t)(uint16_t)(-(int)status) << 32 | (has_hash ? hash : 0);
}

hk_status hkt_end_status(uint64_t end)
{
    return (hk_status)(-(int)(uint16_t)(end >> 32));
}

bool hkt_end_has_hash(uint64_t end)
{
    return (end >> 62 & 1) != 0;
}

uint32_t hkt_end_hash(uint64_t end)
{
    return (uint32_t)end;
}

void hkt_saw_hash(int op, unsigned index, hk_status status, bool has_hash, uint32_t hash)
{
    struct hkt_unit *unit = hkt_unit(op, index);
    uint64_t end = hkt_end_of(status, has_hash, hash);
    uint64_t before = atomic_load(&unit->seen);

    while (before == 0 ||
           (has_hash && !hkt_end_has_hash(before) && hkt_end_status(before) == status)) {
        if (atomic_compare_exchange_weak(&unit->seen, &before, end)) {
            return;
        }
    }
    if (hkt_end_status(before) != status) {
        hkt_fail_program("readers of %d.%u disagree: %s and %s", op, index,
                         hk_status_name(hkt_end_status(before)), hk_status_name(status));
    } else if (has_hash && hkt_end_hash(before) != hash) {
        hkt_fail_program("readers of %d.%u saw two values: %#x and %#x", op, index,
                         hkt_end_hash(before), hash);
    }
}

void hkt_saw(int op, unsigned index, hk_status status, const void *value, size_t size)
{
    /* Of a value that somebody took in this moment nothing may be read any more. */
    bool has_hash = status == HK_OK && !atomic_load(&hkt_unit(op, index)->may_take);

    hkt_saw_hash(op, index, status, has_hash, has_hash ? hkt_hash_of(value, size) : 0);
}

void hkt_look_at(int op, unsigned index, hk_future *future)
{
    const void *value = NULL;
    size_t size = 0;
    hk_status status = hk_future_result(future, 0, &value, &size);

    HKT_MUST(hk_future_has_ended(future));
    if (status == HK_ESTATE) {
        hkt_saw_hash(op, index, HK_OK, false, 0);
    } else {
        HKT_MUST(status != HK_ETIMEDOUT);
        hkt_saw(op, index, status, value, size);
    }
}
