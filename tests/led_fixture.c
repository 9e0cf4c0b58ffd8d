/* SPDX-License-Identifier: MIT */
/* Tasks led by the hand. */
#include "tests/led_fixture.h"

#include <string.h>

struct hkt_script {
    struct hkt_gate gate;
    atomic_int end; /* A hk_state. */
};

HK_TASK(hkt_follows_its_script)
{
    struct hkt_script *script = hkt_pointer(in, in_size);
    const int value = HKT_VALUE;

    hkt_gate_wait(&script->gate);
    switch ((hk_state)atomic_load(&script->end)) {
    case HK_FAILED:
        return hk_fail(call, HKT_APP_CODE, "%s", HKT_MESSAGE);
    case HK_CANCELLED:
        return HK_ECANCELED;
    default:
        return hk_return(call, &value, sizeof(value));
    }
}

static void write_script(struct hkt_led *led)
{
    memset(led, 0, sizeof(*led));
    led->script = hkt_shared_new(sizeof(*led->script));
    hkt_gate_init(&led->script->gate, "a task that is led");
    atomic_store(&led->script->end, HK_DONE);
}

void hkt_led_through(struct hkt_led *led, hk_state end)
{
    write_script(led);
    hkt_led_end(led, end);
    led->future = hkt_submit_pointer(hkt_executor, hkt_follows_its_script, led->script);
}

void hkt_led_begin(struct hkt_led *led)
{
    write_script(led);
    if (hkt_is_inline()) {
        HKT_OK_FATAL(hk_promise_create(&led->promise, &led->future));
    } else {
        led->future = hkt_submit_pointer(hkt_executor, hkt_follows_its_script, led->script);
    }
}

hk_status hkt_led_try(struct hkt_led *led, const hk_submit_options *options)
{
    write_script(led);
    return hkt_try_pointer_with(hkt_executor, hkt_follows_its_script, led->script, options,
                                &led->future);
}

void hkt_led_runs(struct hkt_led *led)
{
    hkt_gate_await_arrivals(&led->script->gate, 1);
}

void hkt_led_end(struct hkt_led *led, hk_state end)
{
    atomic_store(&led->script->end, end);
    hkt_gate_open(&led->script->gate);
    if (led->promise != NULL) {
        struct hkt_pair pair = {led->promise, led->future};

        hkt_pair_end(&pair, end);
    }
}

void hkt_led_close(struct hkt_led *led)
{
    if (led->future == NULL) {
        return;
    }
    if (!hk_future_has_ended(led->future)) {
        hkt_led_end(led, (hk_state)atomic_load(&led->script->end));
    }
    HKT_OK(hk_future_wait(led->future, HK_FOREVER));
    hk_promise_destroy(led->promise);
    (void)hk_future_why(led->future);
    hk_future_unref(led->future);
    led->future = NULL;
    led->promise = NULL;
}

void hkt_fill(struct hkt_plug *plug)
{
    hkt_plug_insert(plug, hkt_executor, hkt_worker_count());
}

void hkt_until(bool (*holds)(void *arg), void *arg)
{
    HKT_TRUE(hkt_eventually(holds, arg));
}
