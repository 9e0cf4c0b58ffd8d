/* SPDX-License-Identifier: MIT */
/* Names and texts of statuses, both made from the one list in the header. */
#include <hocket/status.h>

#include <stddef.h>

struct entry {
    hk_status status;
    const char *name;
    const char *text;
};

static const struct entry entries[] = {
#define ENTRY(name, number, text) {name, #name, text},
    HK_STATUS_MAP(ENTRY)
#undef ENTRY
};

static const struct entry *find(hk_status status)
{
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        if (entries[i].status == status) {
            return &entries[i];
        }
    }
    return NULL;
}

const char *hk_status_name(hk_status status)
{
    const struct entry *entry = find(status);

    return entry != NULL ? entry->name : "HK_?";
}

const char *hk_strerror(hk_status status)
{
    const struct entry *entry = find(status);

    return entry != NULL ? entry->text : "not a status of this library";
}
