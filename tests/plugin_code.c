/* SPDX-License-Identifier: MIT */
/* A shared object with a task, for test_code_map.c. */
#include <hocket/status.h>

struct plugin_record {
    hk_status (*run)(void);
    const char *name;
};

__attribute__((visibility("default"))) hk_status plugin_run(void);
extern const struct plugin_record plugin_record;

hk_status plugin_run(void)
{
    return HK_OK;
}

__attribute__((visibility("default")))
const struct plugin_record plugin_record = {plugin_run, "plugin"};
