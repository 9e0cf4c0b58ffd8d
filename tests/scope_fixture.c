/* SPDX-License-Identifier: MIT */
#include "tests/scope_fixture.h"

#include <string.h>
#include <unistd.h>

hk_executor *hkt_stage_pool(unsigned workers, unsigned spares)
{
    return hkt_pool_create((hk_executor_options){.workers = workers, .spare_workers = spares});
}

void hkt_stage_init(struct hkt_stage *stage, hk_fork_fn *run)
{
    static const char *const names[] = {"first gate", "second gate", "third gate"};

    memset(stage, 0, sizeof(*stage));
    stage->run = run;
    for (int i = 0; i < 3; i++) {
        hkt_gate_init(&stage->gates[i], names[i]);
    }
    HKT_OK(hk_lock_init(&stage->lock, NULL));
}

void hkt_stage_fini(struct hkt_stage *stage)
{
    HKT_OK(hk_lock_destroy(&stage->lock));
    for (int i = 0; i < 3; i++) {
        hkt_gate_fini(&stage->gates[i]);
    }
}

HK_TASK(hkt_stage_task)
{
    struct hkt_stage *stage = (struct hkt_stage *)(uintptr_t)in;
    hk_scope scope;
    hk_status status;

    stage->owner = gettid();
    stage->pool = hk_call_executor(call);
    HKT_OK(hk_scope_begin(&scope, call));
    status = stage->run(&scope, stage);
    HKT_OK(hk_scope_end(&scope));
    return status;
}

void hkt_stage_play(hk_executor *pool, struct hkt_stage *stage)
{
    hkt_expect_end(hkt_submit_ref(pool, hkt_stage_task, stage), HK_OK);
}

void hkt_stage_play_alone(hk_fork_fn *run, unsigned workers, unsigned spares)
{
    hk_executor *pool = hkt_stage_pool(workers, spares);
    struct hkt_stage stage;

    hkt_stage_init(&stage, run);
    hkt_stage_play(pool, &stage);
    hkt_stage_fini(&stage);
    HKT_OK(hk_executor_destroy(pool));
}

hk_status hkt_stage_add_one(hk_scope *scope, void *arg)
{
    (void)scope;
    ((struct hkt_stage *)arg)->sum++;
    return HK_OK;
}

hk_status hkt_stage_stand(hk_scope *scope, void *arg)
{
    struct hkt_stage *stage = arg;

    (void)scope;
    hkt_gate_open(&stage->gates[0]);
    hkt_gate_wait(&stage->gates[1]);
    stage->sum += 5;
    return HK_EFAILED;
}
