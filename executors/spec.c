/* SPDX-License-Identifier: MIT */
/*
 * Executors from a line of text: KIND[:NUMBER][?NAME=VALUE&...], or
 * serial[:SPEC OF THE BASE][?...]. The number of replay is its seed.
 *
 * Parsing fills a struct spec and never allocates; a fault ends it with a
 * sentence that names the faulty part and what would be right.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hocket/inline_executor.h>
#include <hocket/process_pool.h>
#include <hocket/replay.h>
#include <hocket/thread_pool.h>

#include "base/os.h"
#include "executors/executor_impl.h"
#include "executors/process_pool/pool.h"
#include "executors/serial_impl.h"

enum { SPEC_MAX_BYTES = 512, CPUS_MAX = 1024 };

enum kind { INLINE, THREADS, PROCESSES, SERIAL, REPLAY };

struct spec {
    char text[SPEC_MAX_BYTES]; /* The copy that names and bases point into. */
    enum kind kind;
    const char *base; /* Of a serial executor. */
    unsigned long long seed;
    hk_executor_options options;
    int cpus[CPUS_MAX];
    hk_status refusal; /* What opening it gives if there is a fault. */
    char *message;
    size_t message_size;
};

static bool HK_PRINTF(2, 3) fault(struct spec *spec, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(spec->message, spec->message_size, format, arguments);
    va_end(arguments);
    return false;
}

static bool parse_count(const char *text, unsigned long long most, unsigned long long *value)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *value <= most;
}

/* A number with one of some suffixes, each with its factor. */
struct suffix {
    const char *text;
    long long factor;
};

static bool parse_scaled(const char *text, const struct suffix *suffixes, long long *value)
{
    char *end = NULL;
    long long number;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0) {
        return false;
    }
    for (; suffixes->text != NULL; suffixes++) {
        if (strcmp(end, suffixes->text) == 0) {
            return !__builtin_mul_overflow(number, suffixes->factor, value);
        }
    }
    return false;
}

static bool set_duration(struct spec *spec, const char *name, const char *value, hk_duration *out)
{
    static const struct suffix suffixes[] = {{"ns", 1},           {"us", HK_US(1)},
                                             {"ms", HK_MS(1)},    {"s", HK_SEC(1)},
                                             {"min", HK_SEC(60)}, {NULL, 0}};
    long long duration;

    if (!parse_scaled(value, suffixes, &duration)) {
        return fault(spec, "%s=%s is not a time; write a number with ns, us, ms, s or min, as 5s",
                     name, value);
    }
    *out = duration;
    return true;
}

static bool set_size(struct spec *spec, const char *name, const char *value, size_t *out)
{
    static const struct suffix suffixes[] = {
        {"", 1}, {"k", 1024}, {"m", 1024 * 1024}, {"g", 1024LL * 1024 * 1024}, {NULL, 0}};
    long long size;

    if (!parse_scaled(value, suffixes, &size) || size == 0) {
        return fault(spec,
                     "%s=%s is not a size; write a number of bytes, or with k, m or g, as 64k",
                     name, value);
    }
    *out = (size_t)size;
    return true;
}

static bool set_unsigned(struct spec *spec, const char *name, const char *value, unsigned most,
                         unsigned *out)
{
    unsigned long long number;

    if (!parse_count(value, most, &number)) {
        return fault(spec, "%s=%s is not a whole number from 0 to %u", name, value, most);
    }
    *out = (unsigned)number;
    return true;
}

static bool set_flag(struct spec *spec, const char *name, const char *value, bool *out)
{
    if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0) {
        return fault(spec, "%s=%s is neither 0 nor 1", name, value);
    }
    *out = value[0] == '1';
    return true;
}

static bool set_name(struct spec *spec, const char *name, const char *value)
{
    (void)name;
    spec->options.name = value;
    return true;
}

static bool set_workers(struct spec *spec, const char *name, const char *value)
{
    unsigned most = spec->kind == PROCESSES ? HKI_PROCESSES_MAX : HKI_WORKERS_MAX;

    if (!set_unsigned(spec, name, value, most, &spec->options.workers)) {
        return false;
    }
    if (spec->options.workers == 0) {
        return fault(spec, "%s=0: at least one worker is needed; leave it out for one a CPU", name);
    }
    return true;
}

static bool set_queue(struct spec *spec, const char *name, const char *value)
{
    return set_size(spec, name, value, &spec->options.queue_capacity);
}

static bool set_when_full(struct spec *spec, const char *name, const char *value)
{
    static const char *const words[] = {"block", "fail", "caller_runs", "drop_oldest"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(value, words[i]) == 0) {
            spec->options.when_full = (hk_when_full)i;
            return true;
        }
    }
    return fault(spec, "%s=%s is none of block, fail, caller_runs, drop_oldest", name, value);
}

static bool set_idle_exit(struct spec *spec, const char *name, const char *value)
{
    return set_duration(spec, name, value, &spec->options.idle_exit);
}

static bool set_spares(struct spec *spec, const char *name, const char *value)
{
    if (strcmp(value, "none") == 0) {
        spec->options.spare_workers = HK_NO_SPARES;
        return true;
    }
    if (!set_unsigned(spec, name, value, HKI_WORKERS_MAX, &spec->options.spare_workers)) {
        return false;
    }
    /* In the struct 0 is the default, which is 64. */
    return spec->options.spare_workers != 0 ||
           fault(spec, "%s=0: say none, or how many, up to %d", name, HKI_WORKERS_MAX);
}

static bool set_tasks_per_worker(struct spec *spec, const char *name, const char *value)
{
    return set_unsigned(spec, name, value, 1000000000, &spec->options.tasks_per_worker);
}

static bool set_stack(struct spec *spec, const char *name, const char *value)
{
    if (!set_size(spec, name, value, &spec->options.stack_size)) {
        return false;
    }
    return (spec->options.stack_size >= HKI_STACK_MIN &&
            spec->options.stack_size <= HKI_STACK_MAX) ||
           fault(spec, "%s=%s is not a stack; a worker needs at least 64k, and at most 1024g", name,
                 value);
}

static bool add_cpus(struct spec *spec, unsigned long first, unsigned long last)
{
    for (; first <= last; first++) {
        if (spec->options.cpu_count == CPUS_MAX || !hki_os_cpu_usable((int)first)) {
            return fault(spec, "cpus: CPU %lu is not one this process may use", first);
        }
        spec->cpus[spec->options.cpu_count++] = (int)first;
    }
    return true;
}

/* "0,2-3" */
static bool set_cpus(struct spec *spec, const char *name, const char *value)
{
    const char *at = value;

    spec->options.cpus = spec->cpus;
    do {
        char *end = NULL;
        unsigned long first;
        unsigned long last;

        errno = 0;
        last = first = strtoul(at, &end, 10);
        if (end != at && *end == '-') {
            at = end + 1;
            last = strtoul(at, &end, 10);
        }
        if (end == at || errno != 0 || last < first || last > 100000 ||
            (*end != ',' && *end != '\0')) {
            return fault(spec, "%s=%s is not a list of CPUs such as 0,2-3", name, value);
        }
        if (!add_cpus(spec, first, last)) {
            return false;
        }
        at = end + 1;
    } while (at[-1] == ',');
    return true;
}

static bool set_task_timeout(struct spec *spec, const char *name, const char *value)
{
    return set_duration(spec, name, value, &spec->options.task_timeout);
}

static bool set_max_payload(struct spec *spec, const char *name, const char *value)
{
    return set_size(spec, name, value, &spec->options.max_payload);
}

static bool set_roundtrip(struct spec *spec, const char *name, const char *value)
{
    return set_flag(spec, name, value, &spec->options.roundtrip);
}

static bool set_drain_at_exit(struct spec *spec, const char *name, const char *value)
{
    return set_flag(spec, name, value, &spec->options.drain_at_exit);
}

static bool set_retries(struct spec *spec, const char *name, const char *value)
{
    return set_unsigned(spec, name, value, 100, &spec->options.retries);
}

static bool set_kill_grace(struct spec *spec, const char *name, const char *value)
{
    return set_duration(spec, name, value, &spec->options.kill_grace);
}

static bool set_rss_limit(struct spec *spec, const char *name, const char *value)
{
    return set_size(spec, name, value, &spec->options.worker_rss_limit);
}

static bool set_memory(struct spec *spec, const char *name, const char *value)
{
    return set_size(spec, name, value, &spec->options.memory_bytes);
}

static bool set_nice(struct spec *spec, const char *name, const char *value)
{
    unsigned nice = 0;

    if (!set_unsigned(spec, name, value, 39, &nice)) {
        return false;
    }
    spec->options.nice_increment = (int)nice;
    return true;
}

static bool set_start_timeout(struct spec *spec, const char *name, const char *value)
{
    return set_duration(spec, name, value, &spec->options.start_timeout);
}

static bool set_no_new_privs(struct spec *spec, const char *name, const char *value)
{
    return set_flag(spec, name, value, &spec->options.no_new_privs);
}

static bool set_sandbox(struct spec *spec, const char *name, const char *value)
{
    static const char *const words[] = {"none", "read_files", "compute"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(value, words[i]) == 0) {
            spec->options.sandbox = (hk_sandbox)i;
            return true;
        }
    }
    return fault(spec, "%s=%s is none of none, read_files, compute", name, value);
}

static const struct {
    const char *name;
    bool (*set)(struct spec *spec, const char *name, const char *value);
} settings[] = {
    {"name", set_name},
    {"workers", set_workers},
    {"queue_capacity", set_queue},
    {"when_full", set_when_full},
    {"idle_exit", set_idle_exit},
    {"spare_workers", set_spares},
    {"tasks_per_worker", set_tasks_per_worker},
    {"stack_size", set_stack},
    {"cpus", set_cpus},
    {"task_timeout", set_task_timeout},
    {"max_payload", set_max_payload},
    {"roundtrip", set_roundtrip},
    {"drain_at_exit", set_drain_at_exit},
    {"retries", set_retries},
    {"kill_grace", set_kill_grace},
    {"worker_rss_limit", set_rss_limit},
    {"memory_bytes", set_memory},
    {"nice_increment", set_nice},
    {"start_timeout", set_start_timeout},
    {"no_new_privs", set_no_new_privs},
    {"sandbox", set_sandbox},
};

static bool parse_setting(struct spec *spec, char *setting)
{
    char *value = strchr(setting, '=');

    if (value == NULL || value[1] == '\0') {
        return fault(spec, "\"%s\" is not of the form NAME=VALUE", setting);
    }
    *value++ = '\0';
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        if (strcmp(setting, settings[i].name) == 0) {
            return settings[i].set(spec, setting, value);
        }
    }
    return fault(spec,
                 "unknown setting \"%s\"; there are name, workers, queue_capacity, when_full, "
                 "idle_exit, spare_workers, tasks_per_worker, stack_size, cpus, task_timeout, "
                 "max_payload, roundtrip, drain_at_exit, retries, kill_grace, worker_rss_limit, "
                 "memory_bytes, nice_increment, start_timeout, no_new_privs, sandbox",
                 setting);
}

static bool parse_settings(struct spec *spec, char *rest)
{
    while (rest != NULL) {
        char *next = strchr(rest, '&');

        if (next != NULL) {
            *next++ = '\0';
        }
        if (!parse_setting(spec, rest)) {
            return false;
        }
        rest = next;
    }
    return true;
}

/* Of a base that was understood. */
static bool shares_memory(struct spec *spec)
{
    if (strncmp(spec->base, "processes", strlen("processes")) != 0) {
        return true;
    }
    spec->refusal = HK_EPORTABLE;
    return fault(spec, "serial needs a base that shares the caller's memory, which processes do "
                       "not; name inline, threads or replay");
}

static bool parse_kind(struct spec *spec, char *detail)
{
    const char *kind = spec->text;

    if (strcmp(kind, "threads") == 0) {
        spec->kind = THREADS;
        return detail == NULL || set_workers(spec, "threads", detail);
    }
    if (strcmp(kind, "processes") == 0) {
        spec->kind = PROCESSES;
        return detail == NULL || set_workers(spec, "processes", detail);
    }
    if (strcmp(kind, "inline") == 0) {
        spec->kind = INLINE;
        return detail == NULL || fault(spec, "inline has no workers: nothing may follow it but ?");
    }
    if (strcmp(kind, "serial") == 0) {
        spec->kind = SERIAL;
        spec->base = detail == NULL ? "threads:1" : detail;
        if (strncmp(spec->base, "serial", 6) == 0) {
            return fault(spec, "serial on serial makes no difference; name another base");
        }
        return hk_executor_check_spec(spec->base, spec->message, spec->message_size) == HK_OK &&
               shares_memory(spec);
    }
    if (strcmp(kind, "replay") == 0) {
        spec->kind = REPLAY;
        spec->seed = 1;
        return detail == NULL || parse_count(detail, ULLONG_MAX, &spec->seed) ||
               fault(spec, "replay:%s: the seed is a whole number from 0 to %llu", detail,
                     ULLONG_MAX);
    }
    return fault(spec,
                 "unknown executor \"%s\"; there are inline, threads, processes, serial, replay",
                 kind);
}

/* What cannot be known from one setting alone. */
static bool settings_fit(struct spec *spec)
{
    if (spec->kind != PROCESSES) {
        return !hki_executor_confines(&spec->options) ||
               fault(spec, "no_new_privs and sandbox are for processes; %s has none of its own",
                     spec->text);
    }
    if (spec->options.when_full == HK_FULL_CALLER_RUNS) {
        return fault(spec, "when_full=caller_runs is not for processes, as the caller is none of "
                           "them; there are block, fail, drop_oldest");
    }
    return spec->options.memory_bytes <= HKI_MEMORY_MAX ||
           fault(spec, "memory_bytes=%zu is too much; processes take at most %zu",
                 spec->options.memory_bytes, HKI_MEMORY_MAX);
}

static bool parse(struct spec *spec, const char *text, char *message, size_t size)
{
    char *settings_text;
    char *detail;

    memset(spec, 0, sizeof(*spec));
    spec->refusal = HK_EINVAL;
    spec->message = message;
    spec->message_size = message == NULL ? 0 : size;
    if (spec->message_size != 0) {
        message[0] = '\0';
    }
    if (text == NULL || strlen(text) >= sizeof(spec->text)) {
        return fault(spec, "an executor's text has 1 to %d characters", SPEC_MAX_BYTES - 1);
    }
    memcpy(spec->text, text, strlen(text) + 1);
    if ((settings_text = strchr(spec->text, '?')) != NULL) {
        *settings_text++ = '\0';
    }
    if ((detail = strchr(spec->text, ':')) != NULL) {
        *detail++ = '\0';
    }
    return parse_kind(spec, detail) && parse_settings(spec, settings_text) && settings_fit(spec);
}

static hk_status open_serial(const struct spec *spec, hk_executor **out)
{
    hk_executor *base = NULL;
    hk_status status = hk_executor_open(spec->base, &base);

    if (status != HK_OK) {
        return status;
    }
    if ((status = hki_serial_create(base, true, &spec->options, out)) != HK_OK) {
        (void)hk_executor_destroy(base);
    }
    return status;
}

hk_status hk_executor_open(const char *text, hk_executor **out)
{
    struct spec spec;

    if (out == NULL) {
        return HK_EINVAL;
    }
    if (!parse(&spec, text, NULL, 0)) {
        return spec.refusal;
    }
    switch (spec.kind) {
    case INLINE:
        return hk_inline_create(&spec.options, out);
    case THREADS:
        return hk_thread_pool_create(&spec.options, out);
    case PROCESSES:
        return hk_process_pool_create(&spec.options, out);
    case REPLAY:
        return hk_replay_create(spec.seed, &spec.options, out);
    default:
        return open_serial(&spec, out);
    }
}

hk_status hk_executor_check_spec(const char *text, char *message, size_t size)
{
    struct spec spec;

    return parse(&spec, text, message, size) ? HK_OK : HK_EINVAL;
}
