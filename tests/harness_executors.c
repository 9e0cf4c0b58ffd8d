/* SPDX-License-Identifier: MIT */
/*
 * Which executors a test made: written into the report, so that a table of what was
 * proved where (scripts/conformance) can believe it.
 *
 * The linker leads every call of a constructor here first, also the library's own from
 * hk_executor_open(). Those in other processes do not count: each worker process has an inline
 * one of its own.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <hocket/hocket.h>

#include "tests/harness.h"
#include "tests/harness_impl.h"

/* One worker, and another number of them or the default. */
enum made {
    MADE_INLINE,
    MADE_THREADS_ONE,
    MADE_THREADS,
    MADE_PROCESSES_ONE,
    MADE_PROCESSES,
    MADE_SERIAL,
    MADE_REPLAY,
    KINDS,
};

static const char *const words[KINDS] = {"inline",    "threads:1", "threads", "processes:1",
                                         "processes", "serial",    "replay"};

static atomic_uint made; /* A bit for each kind. */
static pid_t test_process;

static hk_status note(hk_status status, enum made kind)
{
    if (status == HK_OK && getpid() == test_process) {
        atomic_fetch_or(&made, 1U << kind);
    }
    return status;
}

static enum made of_size(const hk_executor_options *options, enum made one, enum made several)
{
    return options != NULL && options->workers == 1 ? one : several;
}

void hkt_executors_begin(void)
{
    test_process = getpid();
    atomic_store(&made, 0);
}

void hkt_executors_text(char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < KINDS; i++) {
        if ((atomic_load(&made) >> i & 1U) != 0 && used < size) {
            used +=
                (size_t)snprintf(text + used, size - used, "%s%s", used == 0 ? "" : " ", words[i]);
        }
    }
}

/* The names are the linker's: --wrap. */

hk_status __real_hk_inline_create(const hk_executor_options *options, hk_executor **out);
hk_status __wrap_hk_inline_create(const hk_executor_options *options, hk_executor **out);
hk_status __wrap_hk_inline_create(const hk_executor_options *options, hk_executor **out)
{
    return note(__real_hk_inline_create(options, out), MADE_INLINE);
}

hk_status __real_hk_thread_pool_create(const hk_executor_options *options, hk_executor **out);
hk_status __wrap_hk_thread_pool_create(const hk_executor_options *options, hk_executor **out);
hk_status __wrap_hk_thread_pool_create(const hk_executor_options *options, hk_executor **out)
{
    return note(__real_hk_thread_pool_create(options, out),
                of_size(options, MADE_THREADS_ONE, MADE_THREADS));
}

hk_status __real_hk_process_pool_create(const hk_executor_options *options, hk_executor **out);
hk_status __wrap_hk_process_pool_create(const hk_executor_options *options, hk_executor **out);
hk_status __wrap_hk_process_pool_create(const hk_executor_options *options, hk_executor **out)
{
    return note(__real_hk_process_pool_create(options, out),
                of_size(options, MADE_PROCESSES_ONE, MADE_PROCESSES));
}

hk_status __real_hki_serial_create(hk_executor *base, bool owns_base,
                                   const hk_executor_options *options, hk_executor **out);
hk_status __wrap_hki_serial_create(hk_executor *base, bool owns_base,
                                   const hk_executor_options *options, hk_executor **out);
hk_status __wrap_hki_serial_create(hk_executor *base, bool owns_base,
                                   const hk_executor_options *options, hk_executor **out)
{
    return note(__real_hki_serial_create(base, owns_base, options, out), MADE_SERIAL);
}

hk_status __real_hk_serial_create(hk_executor *base, const hk_executor_options *options,
                                  hk_executor **out);
hk_status __wrap_hk_serial_create(hk_executor *base, const hk_executor_options *options,
                                  hk_executor **out);
hk_status __wrap_hk_serial_create(hk_executor *base, const hk_executor_options *options,
                                  hk_executor **out)
{
    return note(__real_hk_serial_create(base, options, out), MADE_SERIAL);
}

hk_status __real_hk_replay_create(uint64_t seed, const hk_executor_options *options,
                                  hk_executor **out);
hk_status __wrap_hk_replay_create(uint64_t seed, const hk_executor_options *options,
                                  hk_executor **out);
hk_status __wrap_hk_replay_create(uint64_t seed, const hk_executor_options *options,
                                  hk_executor **out)
{
    return note(__real_hk_replay_create(seed, options, out), MADE_REPLAY);
}
