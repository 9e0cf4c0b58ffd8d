/* SPDX-License-Identifier: MIT */
#include <hocket/map.h>

hk_status hk_array_source_next(void *state, hk_map_input *input)
{
    hk_array_source *array = state;

    if (array == NULL || input == NULL || (array->items == NULL && array->count != 0)) {
        return HK_EINVAL;
    }
    if (array->next >= array->count) {
        return HK_EDONE;
    }
    input->data = (const unsigned char *)array->items + array->next * array->stride;
    input->size = array->stride;
    array->next++;
    return HK_OK;
}
