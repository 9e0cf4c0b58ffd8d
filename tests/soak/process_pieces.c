/* SPDX-License-Identifier: MIT */
/* Worker processes: payloads of all sizes, descriptors, crashes, kills, tries. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "executors/process_pool/zygote.h"
#include "tests/soak/soak.h"

enum { FEW = 4, KIB = 1024, MIB = 1024 * KIB, KEY = 0x5a };

/* --- Payloads --- */

static unsigned char byte_at(uint32_t seed, size_t at)
{
    return (unsigned char)(soak_mixed(seed + (uint32_t)(at / 64)) + at);
}

/* Only some of a large one are looked at. */
static size_t step_of(size_t size)
{
    return size > 64 * (size_t)KIB ? 997 : 1;
}

static void fill(unsigned char *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i += step_of(size)) {
        bytes[i] = byte_at(seed, i);
    }
}

HK_TASK(soak_echo)
{
    const unsigned char *from = in;
    unsigned char *to = NULL;
    void *output = NULL;
    hk_status status;

    if (in_size % 3 == 0) {
        return hk_return(call, in, in_size);
    }
    if ((status = hk_return_reserve(call, in_size, &output)) != HK_OK) {
        return status;
    }
    to = output;
    for (size_t i = 0; i < in_size; i += step_of(in_size)) {
        to[i] = from[i] ^ KEY;
    }
    return HK_OK;
}

static void expect_echo(hk_future *future, size_t size, uint32_t seed)
{
    const unsigned char key = size % 3 == 0 ? 0 : KEY;
    const void *value = NULL;
    size_t got = 0;
    bool right = true;

    if (SOAK_EXPECT(hk_future_result(future, HK_FOREVER, &value, &got) == HK_OK) &&
        SOAK_EXPECT(got == size)) {
        for (size_t i = 0; i < size && right; i += step_of(size)) {
            right = ((const unsigned char *)value)[i] == (byte_at(seed, i) ^ key);
        }
        SOAK_EXPECT(right);
    }
    hk_future_unref(future);
}

/* All that actors hold while they wait for more fits into the pool's memory: else they could wait
 * for each other. */
static size_t draw_size(struct soak_actor *actor)
{
    switch (soak_draw(actor, 20)) {
    case 0:
    case 1:
        return soak_draw(actor, 512 * KIB);
    case 2:
    case 3:
        return soak_draw(actor, 100 * KIB);
    default:
        return soak_draw(actor, 6 * KIB);
    }
}

static void send_copy(struct soak_actor *actor, size_t size, uint32_t seed, hk_future **future)
{
    unsigned char *bytes = malloc(size + 1);

    fill(bytes, size, seed);
    SOAK_EXPECT(hk_submit(actor->pools->processes, soak_echo, bytes, size, NULL, future) == HK_OK);
    free(bytes);
}

/* False: there was no room for a buffer just now. */
static bool send_buffer(struct soak_actor *actor, size_t size, uint32_t seed, hk_future **future)
{
    hk_buffer *buffer = NULL;
    hk_status status =
        size == 0 ? HK_ENOMEM : hk_buffer_create(actor->pools->processes, size, &buffer);

    if (status != HK_OK) {
        SOAK_EXPECT(status == HK_ENOMEM);
        return false;
    }
    fill(hk_buffer_data(buffer), size, seed);
    SOAK_EXPECT(hk_submit_buffer(actor->pools->processes, soak_echo, buffer, NULL, future) ==
                HK_OK);
    return true;
}

HK_TASK(soak_write)
{
    int fd = -1;
    hk_status status = hk_call_take_fd(call, 0, &fd);

    if (status != HK_OK) {
        return status;
    }
    if (write(fd, in, in_size) != (ssize_t)in_size) {
        status = hk_fail(call, 1, "could not write");
    }
    close(fd);
    return status;
}

static void send_descriptor(struct soak_actor *actor)
{
    static const char text[] = "through a descriptor";
    char got[sizeof(text)] = "";
    hk_submit_options options = {0};
    hk_future *future = NULL;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        perror("soak: pipe2");
        exit(EXIT_FAILURE);
    }
    options.fds = &ends[1];
    options.fd_count = 1;
    SOAK_EXPECT(hk_submit(soak_any_executor(actor), soak_write, text, sizeof(text), &options,
                          &future) == HK_OK);
    close(ends[1]);
    SOAK_EXPECT(hk_future_wait(future, HK_FOREVER) == HK_OK);
    SOAK_EXPECT(hk_future_result(future, 0, NULL, NULL) == HK_OK);
    SOAK_EXPECT(read(ends[0], got, sizeof(got)) == (ssize_t)sizeof(got));
    SOAK_EXPECT(memcmp(got, text, sizeof(text)) == 0);
    close(ends[0]);
    hk_future_unref(future);
}

/* More than half of the pool's memory, so in a file of its own. */
static void send_spill(struct soak_actor *actor)
{
    size_t size = 33 * (size_t)MIB + soak_draw(actor, KIB);
    hk_future *future = NULL;

    send_copy(actor, size, 1, &future);
    expect_echo(future, size, 1);
    soak_count(SOAK_TASKS, 1);
}

void soak_piece_payloads(struct soak_actor *actor)
{
    hk_future *futures[FEW];
    size_t sizes[FEW];
    uint32_t seed = soak_draw(actor, 1000000);

    for (uint32_t i = 0; i < FEW; i++) {
        sizes[i] = draw_size(actor);
        if (soak_draw(actor, 2) == 0 || !send_buffer(actor, sizes[i], seed + i, &futures[i])) {
            send_copy(actor, sizes[i], seed + i, &futures[i]);
        }
    }
    for (uint32_t i = 0; i < FEW; i++) {
        expect_echo(futures[i], sizes[i], seed + i);
    }
    send_descriptor(actor);
    if (soak_draw(actor, 40) == 0) {
        send_spill(actor);
    }
    soak_count(SOAK_TASKS, FEW + 1);
}

/* --- Lost workers --- */

enum { CRASH_KINDS = 6 };

HK_TASK(soak_crash)
{
    int kind = 0;

    memcpy(&kind, in, in_size);
    switch (kind) {
    case 0:
        (void)raise(SIGKILL);
        break;
    case 1:
        abort();
    case 2:
        exit(3);
    case 3:
        (void)raise(SIGSEGV);
        break;
    case 4:
        _exit(0);
    default:
        pthread_exit(NULL);
    }
    return HK_OK;
}

/* Others on the wild pool may be hit by a kill. */
static void expect_mixed_or_lost(hk_future *future, uint32_t number)
{
    if (hk_future_result(future, HK_FOREVER, NULL, NULL) == HK_EWORKER) {
        soak_count(SOAK_LOST, 1);
        hk_future_unref(future);
    } else {
        soak_expect_mixed(future, number);
    }
}

void soak_piece_crashes(struct soak_actor *actor)
{
    uint32_t first = soak_draw(actor, 1000000);
    int kind = (int)soak_draw(actor, CRASH_KINDS);
    const hk_error *error = NULL;
    hk_future *futures[FEW];
    hk_future *crash = NULL;

    soak_submit_mixes(actor, actor->pools->wild, first, futures, FEW);
    soak_count(SOAK_CRASHES, 1);
    SOAK_EXPECT(hk_submit(actor->pools->wild, soak_crash, &kind, sizeof(kind), NULL, &crash) ==
                HK_OK);
    SOAK_EXPECT(hk_future_error(crash, HK_FOREVER, &error) == HK_OK);
    SOAK_EXPECT(error != NULL && error->status == HK_EWORKER);
    soak_count(SOAK_LOST, 1);
    hk_future_unref(crash);
    for (uint32_t i = 0; i < FEW; i++) {
        expect_mixed_or_lost(futures[i], first + i);
    }
    soak_count(SOAK_TASKS, 1);
}

HK_TASK(soak_pid)
{
    pid_t pid = getpid();

    return hk_return(call, &pid, sizeof(pid));
}

static bool is_worker(pid_t pid)
{
    char path[64];
    int parent = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if ((file = fopen(path, "re")) == NULL) {
        return false;
    }
    if (fscanf(file, "%*d (%*[^)]) %*c %d", &parent) != 1) {
        parent = 0;
    }
    fclose(file);
    return parent == hki_zygote_pid();
}

void soak_piece_kills(struct soak_actor *actor)
{
    uint32_t first = soak_draw(actor, 1000000);
    hk_future *futures[FEW];
    hk_future *asked = NULL;
    const void *value = NULL;
    hk_status status;

    SOAK_EXPECT(hk_submit(actor->pools->wild, soak_pid, NULL, 0, NULL, &asked) == HK_OK);
    status = hk_future_result(asked, HK_FOREVER, &value, NULL);
    soak_submit_mixes(actor, actor->pools->wild, first, futures, FEW);
    if (status == HK_OK && is_worker(*(const pid_t *)value)) {
        soak_count(SOAK_KILLS, 1);
        (void)kill(*(const pid_t *)value, SIGKILL);
    }
    SOAK_EXPECT(status == HK_OK || status == HK_EWORKER);
    soak_count(SOAK_LOST, status == HK_EWORKER);
    hk_future_unref(asked);
    for (uint32_t i = 0; i < FEW; i++) {
        expect_mixed_or_lost(futures[i], first + i);
    }
    soak_count(SOAK_TASKS, 1);
}

HK_TASK_FLAGS(soak_second_try, HK_TASK_IDEMPOTENT)
{
    unsigned attempt = hk_call_attempt(call);

    if (attempt == 1) {
        (void)raise(SIGKILL);
    }
    return hk_return(call, &attempt, sizeof(attempt));
}

void soak_piece_retries(struct soak_actor *actor)
{
    const hk_submit_options options = {.retries = 2};
    hk_future *future = NULL;
    const void *value = NULL;

    soak_count(SOAK_CRASHES, 1);
    SOAK_EXPECT(hk_submit(actor->pools->processes, soak_second_try, NULL, 0, &options, &future) ==
                HK_OK);
    if (SOAK_EXPECT(hk_future_result(future, HK_FOREVER, &value, NULL) == HK_OK)) {
        SOAK_EXPECT(*(const unsigned *)value == 2);
    }
    hk_future_unref(future);
    soak_count(SOAK_TASKS, 1);
}
