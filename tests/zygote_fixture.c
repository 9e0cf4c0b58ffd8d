/* SPDX-License-Identifier: MIT */
#include "tests/zygote_fixture.h"

#include <hocket/process_pool.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"
#include "executors/process_pool/fd_passing.h"

enum { CHANNELS = 4, ARENA = 1 << 20 };

static struct hkt_client *client_of(struct hki_zygote_client *zygote)
{
    return HKI_CONTAINER(zygote, struct hkt_client, zygote);
}

static void on_spawned(struct hki_zygote_client *zygote, uint32_t index, uint32_t generation,
                       int32_t pid, int sys_errno)
{
    struct hkt_client *client = client_of(zygote);

    HKT_CHILD_TRUE(hki_zygote_is_supervisor());
    if (client->gate != NULL) {
        hkt_gate_wait(client->gate);
    }
    pthread_mutex_lock(&client->lock);
    client->spawned++;
    client->seen[index].spawned++;
    client->seen[index].generation = generation;
    client->seen[index].pid = pid;
    client->seen[index].sys_errno = sys_errno;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

static void on_died(struct hki_zygote_client *zygote, uint32_t index, uint32_t generation,
                    int32_t pid, int wait_status, bool out_of_memory)
{
    struct hkt_client *client = client_of(zygote);

    pthread_mutex_lock(&client->lock);
    HKT_CHILD_TRUE(client->seen[index].generation == generation);
    HKT_CHILD_TRUE(client->seen[index].pid == pid);
    client->died++;
    client->seen[index].died++;
    client->seen[index].wait_status = wait_status;
    client->seen[index].out_of_memory = out_of_memory;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

static void on_lost(struct hki_zygote_client *zygote)
{
    struct hkt_client *client = client_of(zygote);

    pthread_mutex_lock(&client->lock);
    client->lost++;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

static int64_t on_attend(struct hki_zygote_client *zygote)
{
    struct hkt_client *client = client_of(zygote);
    int64_t next_ns;

    pthread_mutex_lock(&client->lock);
    client->attended++;
    next_ns = client->next_ns;
    client->next_ns = INT64_MAX;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
    return next_ns;
}

void hkt_client_init(struct hkt_client *client, uint32_t channels)
{
    memset(client, 0, sizeof(*client));
    pthread_mutex_init(&client->lock, NULL);
    pthread_cond_init(&client->changed, NULL);
    client->zygote.spawned = on_spawned;
    client->zygote.died = on_died;
    client->zygote.zygote_lost = on_lost;
    client->zygote.attend = on_attend;
    client->next_ns = INT64_MAX;
    client->count = channels;
    client->seen = calloc(channels, sizeof(*client->seen));
    HKT_CHILD_TRUE(client->seen != NULL);
    for (uint32_t i = 0; i < channels; i++) {
        client->seen[i].socket = -1;
    }
    HKT_CHILD_STATUS(hki_pool_memory_create(channels, ARENA, &client->zygote.memory), HK_OK);
}

void hkt_client_open_wide(struct hkt_client *client, uint32_t channels)
{
    hkt_client_init(client, channels);
    HKT_CHILD_STATUS(hki_zygote_register(&client->zygote), HK_OK);
    HKT_CHILD_TRUE(client->zygote.memory->fd == -1);
}

void hkt_client_open(struct hkt_client *client)
{
    hkt_client_open_wide(client, CHANNELS);
}

void hkt_client_fini(struct hkt_client *client)
{
    hki_pool_memory_unref(client->zygote.memory);
    for (uint32_t i = 0; i < client->count; i++) {
        if (client->seen[i].socket >= 0) {
            close(client->seen[i].socket);
        }
    }
    free(client->seen);
    pthread_mutex_destroy(&client->lock);
    pthread_cond_destroy(&client->changed);
}

void hkt_client_close(struct hkt_client *client)
{
    hki_zygote_unregister(&client->zygote);
    hkt_client_fini(client);
}

void hkt_client_await(struct hkt_client *client, const int *counter, int number)
{
    pthread_mutex_lock(&client->lock);
    while (*counter < number) {
        pthread_cond_wait(&client->changed, &client->lock);
    }
    pthread_mutex_unlock(&client->lock);
}

int hkt_client_count(struct hkt_client *client, const int *counter)
{
    int count;

    pthread_mutex_lock(&client->lock);
    count = *counter;
    pthread_mutex_unlock(&client->lock);
    return count;
}

void hkt_client_set_next(struct hkt_client *client, int64_t next_ns)
{
    pthread_mutex_lock(&client->lock);
    client->next_ns = next_ns;
    pthread_mutex_unlock(&client->lock);
}

void hkt_spawn_asked(struct hkt_client *client, uint32_t index, uint32_t generation)
{
    int pair[2];
    int stop_event = hki_os_event_create();

    HKT_CHILD_TRUE(stop_event >= 0 && hki_socket_pair(pair));
    if (client->seen[index].socket >= 0) {
        close(client->seen[index].socket);
    }
    client->seen[index].socket = pair[0];
    HKT_CHILD_STATUS(hki_zygote_spawn(&client->zygote, index, generation, pair[1], stop_event),
                     HK_OK);
    close(stop_event);
}

int32_t hkt_spawn(struct hkt_client *client, uint32_t index, uint32_t generation)
{
    int before = hkt_client_count(client, &client->seen[index].spawned);

    hkt_spawn_asked(client, index, generation);
    hkt_client_await(client, &client->seen[index].spawned, before + 1);
    return client->seen[index].pid;
}

void hkt_await_gone(const struct hkt_client *client, uint32_t index)
{
    char byte;
    size_t count;

    HKT_CHILD_TRUE(hki_receive_fds(client->seen[index].socket, &byte, 1, NULL, 0, &count, true) <=
                   0);
}

void hkt_worker_stays(const struct hki_worker_start *start)
{
    while (start->page != NULL) {
        pause();
    }
}

void hkt_worker_ends(const struct hki_worker_start *start)
{
    if (start->generation < 100) {
        _exit((int)start->generation);
    }
    (void)raise((int)start->generation - 100);
}

void hkt_zygote_start(void (*worker)(const struct hki_worker_start *start))
{
    hki_zygote_worker_main = worker;
    HKT_CHILD_STATUS(hk_zygote_start(), HK_OK);
}
