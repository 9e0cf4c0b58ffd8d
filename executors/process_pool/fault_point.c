/* SPDX-License-Identifier: MIT */
#include "executors/process_pool/fault_point.h"

#ifdef HOCKET_FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/os.h"
#include "base/time.h"

enum { FAULTS_MAX = 32, NAME_MAX_BYTES = 32 };

/* Written by the test's process alone but for `passes`, and read by all. */
struct fault {
    _Atomic(uint32_t) armed; /* 1 once the rest is there. */
    int32_t who;
    uint32_t nth;
    enum hki_fault_action action;
    _Atomic(uint32_t) passes;
    char name[NAME_MAX_BYTES];
};

struct table {
    _Atomic(uint32_t) used; /* How many places may be armed. */
    struct fault faults[FAULTS_MAX];
};

static struct table *table;
static int32_t myself = HKI_FAULT_PARENT;

/* Before main(), so before any zygote: all processes of the program see the same. */
__attribute__((constructor)) static void share_table(void)
{
    table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    HKI_ASSERT(table != MAP_FAILED);
}

static struct fault *find(const char *name, int32_t who)
{
    for (uint32_t i = 0; i < atomic_load(&table->used); i++) {
        if (table->faults[i].who == who && strcmp(table->faults[i].name, name) == 0) {
            return &table->faults[i];
        }
    }
    return NULL;
}

static void disarm(struct fault *fault)
{
    atomic_store(&fault->armed, 0);
    hki_os_futex_wake_shared(&fault->armed, UINT32_MAX >> 1); /* Who is held there. */
}

bool hki_fault_set(const char *name, int32_t who, uint32_t nth, enum hki_fault_action action)
{
    struct fault *fault = find(name, who);

    if (fault == NULL) {
        if (atomic_load(&table->used) == FAULTS_MAX) {
            return false;
        }
        fault = &table->faults[atomic_load(&table->used)];
    }
    disarm(fault);
    fault->who = who;
    fault->nth = nth;
    fault->action = action;
    atomic_store(&fault->passes, 0);
    snprintf(fault->name, sizeof(fault->name), "%s", name);
    atomic_store(&fault->armed, 1);
    if (fault == &table->faults[atomic_load(&table->used)]) {
        atomic_fetch_add(&table->used, 1);
    }
    return true;
}

void hki_fault_release(const char *name, int32_t who)
{
    struct fault *fault = find(name, who);

    if (fault != NULL) {
        disarm(fault);
    }
}

void hki_fault_clear(void)
{
    for (uint32_t i = 0; i < FAULTS_MAX; i++) {
        disarm(&table->faults[i]);
    }
    atomic_store(&table->used, 0);
}

uint32_t hki_fault_passes(const char *name, int32_t who)
{
    struct fault *fault = find(name, who);

    return fault == NULL ? 0 : atomic_load(&fault->passes);
}

void hki_fault_i_am(int32_t who)
{
    myself = who;
}

/* True: the caller has to fail. Does not return if the process is to end. */
static bool carry_out(struct fault *fault)
{
    switch (fault->action) {
    case HKI_FAULT_DIES:
        (void)raise(SIGKILL);
        break;
    case HKI_FAULT_CRASHES:
        (void)raise(SIGSEGV);
        break;
    case HKI_FAULT_EXITS:
        exit(HKI_FAULT_EXIT_STATUS);
    case HKI_FAULT_FAILS:
        break;
    case HKI_FAULT_HOLDS:
        while (atomic_load(&fault->armed) != 0) {
            (void)hki_os_futex_wait_shared(&fault->armed, 1, HKI_NEVER);
        }
        return false;
    }
    return true;
}

bool hki_fault_point(const char *name)
{
    uint32_t used = atomic_load(&table->used);
    bool fails = false;

    for (uint32_t i = 0; i < used; i++) {
        struct fault *fault = &table->faults[i];
        uint32_t pass;

        if (atomic_load(&fault->armed) == 0 ||
            (fault->who != myself && fault->who != HKI_FAULT_ANYBODY) ||
            strcmp(fault->name, name) != 0) {
            continue;
        }
        pass = atomic_fetch_add(&fault->passes, 1) + 1;
        if (fault->nth == HKI_FAULT_EVERY || fault->nth == pass) {
            fails = carry_out(fault);
        }
    }
    return fails;
}

#else

/* A source has to declare something. */
typedef int hki_fault_points_are_not_built_in;

#endif
