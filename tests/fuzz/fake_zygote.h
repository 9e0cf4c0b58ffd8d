/* SPDX-License-Identifier: MIT */
/*
 * A zygote that is none: a pool of processes whose workers are the test, in this process and
 * on this thread. The linker turns the pool's requests here (see CMakeLists.txt), so the
 * parent's side is the library's own, and what workers write is the test's to choose.
 */
#ifndef HOCKET_TESTS_FUZZ_FAKE_ZYGOTE_H
#define HOCKET_TESTS_FUZZ_FAKE_ZYGOTE_H

#include "executors/process_pool/pool.h"

enum { HKF_WORKERS_MAX = 16 };

struct hkf_worker {
    bool is_there;  /* Asked for, and its end was not told. */
    bool was_told;  /* Of its birth. */
    int signal;     /* The last that the pool sent; 0: none. */
    int socket;     /* The worker's end. */
    uint32_t index; /* Its channel's. */
    uint32_t generation;
    uint32_t served; /* Requests that the test has answered. */
};

struct hkf_zygote {
    struct hki_zygote_client *client; /* NULL: no pool is registered. */
    struct hkf_worker workers[HKF_WORKERS_MAX];
    bool refuses; /* Spawns fail. */
};

extern struct hkf_zygote hkf_zygote;

static inline struct process_pool *hkf_pool(void)
{
    return hki_pool_of_client(hkf_zygote.client);
}

struct hki_channel *hkf_channel(const struct hkf_worker *worker);

/* Tells of a birth, or that there was none. */
void hkf_tell_birth(struct hkf_worker *worker, bool is_alive);

/* Tells of a death, of a birth before. */
void hkf_tell_death(struct hkf_worker *worker, int wait_status, bool out_of_memory);

/* Those that the pool has killed die; how many. */
unsigned hkf_bury_killed(void);

/* What the supervisor does when it is rung. */
void hkf_attend(void);

#endif
