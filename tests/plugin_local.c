/* SPDX-License-Identifier: MIT */
/* A shared object with the library inside, for test_local_unload.c: it has a per-thread
 * object and counts in the program's memory how many it makes and drops. */
#include <hocket/local.h>

#include "tests/plugin_local.h"

static struct plugin_counts *counts;

static hk_status make(void *arg, void **object)
{
    counts->made++;
    *object = arg;
    return HK_OK;
}

static void drop(void *object)
{
    (void)object;
    counts->dropped++;
}

static int something;
static hk_local local = HK_LOCAL_INIT(make, drop, &something);

__attribute__((visibility("default"))) void *plugin_use(struct plugin_counts *where)
{
    counts = where;
    return hk_local_get(&local);
}
