/* SPDX-License-Identifier: MIT */
/* Values: bytes in the future, bytes in a block, references, and values of
 * another future shown through. */
#include <string.h>

#include "base/memory.h"
#include "futures/future_impl.h"

hk_status hki_value_reserve(unsigned char *small, struct hki_value *value, size_t size)
{
    void *block;

    hki_value_drop(value);
    if (size <= HKI_SMALL_VALUE) {
        *value = (struct hki_value){size == 0 ? NULL : small, size, NULL, NULL};
        return HK_OK;
    }
    if ((block = hki_block_alloc(size)) == NULL) {
        return HK_ENOMEM;
    }
    *value = (struct hki_value){block, size, hki_block_free, block};
    return HK_OK;
}

static void drop_source(void *source)
{
    hk_future_unref(source);
}

void hki_value_drop(struct hki_value *value)
{
    struct hki_value gone = *value;
    struct hki_agent *agent;
    hk_future **burials;

    *value = (struct hki_value){NULL, 0, NULL, NULL};
    if (gone.drop == NULL) {
        return;
    }
    if (gone.drop == hki_block_free || gone.drop == drop_source) {
        gone.drop(gone.owner);
        return;
    }
    /* The application's function may wait, as a callback may. */
    agent = hki_agent_self();
    burials = agent->burials;
    agent->burials = NULL; /* What it releases has gone when its call returns. */
    hki_agent_enter_late(agent);
    gone.drop(gone.owner);
    hki_agent_leave(agent);
    agent->burials = burials;
}

hk_status hki_value_share(struct hki_value *value, hk_future *source)
{
    if (!hki_future_set_flag(source, HKI_SHARED, HKI_TAKEN)) {
        return HK_ESTATE;
    }
    *value = hki_future_value(source);
    value->drop = drop_source;
    value->owner = hk_future_ref(source);
    return HK_OK;
}

bool hki_future_put_value(hk_future *future, const struct hki_value *value, unsigned *phase)
{
    struct hki_future_rest *rest;

    if (value->drop == NULL && value->size <= HKI_BODY_BYTES) {
        if (value->size != 0) {
            memcpy(future->body.bytes, value->data, value->size);
        }
        *phase |= ((unsigned)value->size + 1) << HKI_BODY_SIZE_SHIFT;
        return true;
    }
    if ((rest = hki_future_need_rest(future)) == NULL) {
        return false;
    }
    rest->value = *value;
    if (value->drop == NULL && value->size <= HKI_SMALL_VALUE) {
        memmove(rest->small, value->data, value->size);
        rest->value.data = rest->small;
    }
    return true;
}

void hk_value_drop(hk_value *value)
{
    hk_value gone;

    if (value == NULL) {
        return;
    }
    gone = *value;
    memset(value, 0, sizeof(*value));
    if (gone.drop != NULL) {
        gone.drop(gone.owner);
    }
}
