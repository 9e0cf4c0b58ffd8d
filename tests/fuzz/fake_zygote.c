/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fake_zygote.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "executors/process_pool/code_map.h"
#include "tests/fuzz/fuzz.h"

enum { FIRST_PID = 1000000 };

struct hkf_zygote hkf_zygote;

/* --- what the pool calls --- */

hk_status __wrap_hk_zygote_start(void);
hk_status __wrap_hki_zygote_register(struct hki_zygote_client *client);
void __wrap_hki_zygote_unregister(struct hki_zygote_client *client);
hk_status __wrap_hki_zygote_spawn(struct hki_zygote_client *client, uint32_t index,
                                  uint32_t generation, int socket, int stop_event);
hk_status __wrap_hki_zygote_kill(struct hki_zygote_client *client, uint32_t index,
                                 uint32_t generation, int signal);
void __wrap_hki_zygote_ring(void);
void __wrap_hki_zygote_sever(void);
bool __wrap_hki_zygote_is_stopped(void);

hk_status __wrap_hk_zygote_start(void)
{
    static bool is_recorded;

    if (!is_recorded) {
        is_recorded = true;
        HKF_WANT(hki_pool_addresses_reserve() == HK_OK && hki_code_map_record() == HK_OK);
    }
    return HK_OK;
}

hk_status __wrap_hki_zygote_register(struct hki_zygote_client *client)
{
    hki_list_init(&client->link);
    (void)close(client->memory->fd);
    client->memory->fd = -1;
    memset(&hkf_zygote, 0, sizeof(hkf_zygote));
    hkf_zygote.client = client;
    return HK_OK;
}

void __wrap_hki_zygote_unregister(struct hki_zygote_client *client)
{
    HKF_WANT(client == hkf_zygote.client);
    hkf_zygote.client = NULL;
}

hk_status __wrap_hki_zygote_spawn(struct hki_zygote_client *client, uint32_t index,
                                  uint32_t generation, int socket, int stop_event)
{
    struct hkf_worker *worker;

    (void)stop_event;
    HKF_WANT(client == hkf_zygote.client && index < HKF_WORKERS_MAX);
    worker = &hkf_zygote.workers[index];
    HKF_WANT(!worker->is_there);
    if (hkf_zygote.refuses) {
        (void)close(socket);
        errno = EAGAIN;
        return HK_ESYS;
    }
    *worker = (struct hkf_worker){
        .is_there = true, .socket = socket, .index = index, .generation = generation};
    return HK_OK;
}

hk_status __wrap_hki_zygote_kill(struct hki_zygote_client *client, uint32_t index,
                                 uint32_t generation, int signal)
{
    HKF_WANT(client == hkf_zygote.client && index < HKF_WORKERS_MAX);
    HKF_WANT(hkf_zygote.workers[index].is_there &&
             hkf_zygote.workers[index].generation == generation);
    hkf_zygote.workers[index].signal = signal;
    return HK_OK;
}

/* The test attends when its input says so. */
void __wrap_hki_zygote_ring(void)
{
}

void __wrap_hki_zygote_sever(void)
{
}

bool __wrap_hki_zygote_is_stopped(void)
{
    return false;
}

/* --- what the test calls --- */

struct hki_channel *hkf_channel(const struct hkf_worker *worker)
{
    return hki_channel_of(hkf_pool()->page, worker->index);
}

void hkf_tell_birth(struct hkf_worker *worker, bool is_alive)
{
    int32_t pid = FIRST_PID + (int32_t)worker->index;

    if (!worker->is_there || worker->was_told) {
        return;
    }
    worker->was_told = true;
    if (!is_alive) {
        worker->is_there = false;
        (void)close(worker->socket);
        pid = -1;
    }
    hkf_zygote.client->spawned(hkf_zygote.client, worker->index, worker->generation, pid, EAGAIN);
}

void hkf_tell_death(struct hkf_worker *worker, int wait_status, bool out_of_memory)
{
    hkf_tell_birth(worker, true);
    if (worker->is_there) {
        worker->is_there = false;
        (void)close(worker->socket);
        hkf_zygote.client->died(hkf_zygote.client, worker->index, worker->generation,
                                FIRST_PID + (int32_t)worker->index, wait_status, out_of_memory);
    }
}

unsigned hkf_bury_killed(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < HKF_WORKERS_MAX; i++) {
        struct hkf_worker *worker = &hkf_zygote.workers[i];

        /* Told to retire, the honest ones leave as well. */
        if (worker->is_there &&
            (worker->signal != 0 || atomic_load(&hkf_channel(worker)->retire))) {
            hkf_tell_death(worker, worker->signal, false);
            count++;
        }
    }
    return count;
}

void hkf_attend(void)
{
    (void)hkf_zygote.client->attend(hkf_zygote.client);
}
