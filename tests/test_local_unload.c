/* SPDX-License-Identifier: MIT */
/* A shared object that holds the library is unloaded while threads that used it go on: their
 * ends must not jump to where it was. In a child process, since what those threads had is
 * lost to it. */
#include <dlfcn.h>
#include <string.h>

#include "tests/child_fixture.h"
#include "tests/plugin_local.h"
#include "tests/promise_fixture.h"

static void *(*use_plugin)(struct plugin_counts *where);
static struct hkt_gate has_built;
static struct hkt_gate may_end;

static void use_and_outlive(void *arg)
{
    HKT_CHILD_TRUE(use_plugin(arg) != NULL);
    hkt_gate_open(&has_built);
    hkt_gate_wait(&may_end);
}

static void unload_and_end_threads(void *arg)
{
    struct plugin_counts own = {0};
    struct plugin_counts others = {0};
    struct hkt_thread thread;
    void *plugin = dlopen(arg, RTLD_NOW | RTLD_LOCAL);
    void *symbol = plugin == NULL ? NULL : dlsym(plugin, "plugin_use");

    HKT_CHILD_TRUE(symbol != NULL);
    memcpy(&use_plugin, &symbol, sizeof(use_plugin));
    hkt_gate_init(&has_built, "the thread has used the plugin");
    hkt_gate_init(&may_end, "the plugin is gone");
    hkt_thread_start(&thread, use_and_outlive, &others);
    hkt_gate_wait(&has_built);
    HKT_CHILD_TRUE(use_plugin(&own) != NULL);
    HKT_CHILD_TRUE(dlclose(plugin) == 0);
    HKT_CHILD_TRUE(dlopen(arg, RTLD_NOW | RTLD_NOLOAD) == NULL);
    hkt_gate_open(&may_end);
    hkt_thread_join(&thread);
    HKT_CHILD_TRUE(others.made == 1 && others.dropped == 0);
    HKT_CHILD_TRUE(own.made == 1 && own.dropped == 1);
}

static void threads_that_used_an_unloaded_library_may_end(void)
{
    static char path[] = PLUGIN_PATH;

    hkt_expect_good_child(unload_and_end_threads, path);
}

static CU_TestInfo tests[] = {
    HKT_TEST(threads_that_used_an_unloaded_library_may_end),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "local_unload", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
