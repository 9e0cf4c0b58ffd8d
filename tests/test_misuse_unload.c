/* SPDX-License-Identifier: MIT */
/* A shared object that uses the library is unloaded, with the library inside of it or behind it:
 * see docs/misuse.md. In child processes, and this program has a library of its own. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "tests/child_fixture.h"
#include "tests/plugin_pool.h"

enum { ROUNDS = 5 };

static const char *const plugins[] = {PLUGIN_STATIC, PLUGIN_SHARED};
static const char *spec;
static const char *path;

static void *load(int (**use)(const char *spec, int leaves_open))
{
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol;

    if (plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
    }
    HKT_CHILD_TRUE(plugin != NULL);
    symbol = dlsym(plugin, "plugin_use");
    HKT_CHILD_TRUE(symbol != NULL);
    memcpy(use, &symbol, sizeof(*use));
    return plugin;
}

static void use_and_unload(void *arg)
{
    int (*use)(const char *spec, int leaves_open) = NULL;

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        void *plugin = load(&use);

        HKT_CHILD_STATUS(use(spec, 0), 0);
        HKT_CHILD_TRUE(dlclose(plugin) == 0);
        HKT_CHILD_TRUE(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL);
    }
}

static void destroyed_executors_let_go_of_their_library(void)
{
    static const char *const specs[] = {"inline", "threads:2", "serial:threads:2", "replay:1",
                                        "processes:2"};

    for (size_t i = 0; i < sizeof(plugins) / sizeof(plugins[0]); i++) {
        for (size_t j = 0; j < sizeof(specs) / sizeof(specs[0]); j++) {
            path = plugins[i];
            spec = specs[j];
            hkt_expect_good_child(use_and_unload, NULL);
        }
    }
}

static void leave_open_and_unload(void *arg)
{
    int (*use)(const char *spec, int leaves_open) = NULL;
    void *plugin = load(&use);

    (void)arg;
    HKT_CHILD_STATUS(use(spec, 1), 0);
    (void)dlclose(plugin);
}

/* What its threads do then, whose code is gone, nobody can say. */
static void an_open_pool_is_told_of(void)
{
    for (size_t i = 0; i < sizeof(plugins) / sizeof(plugins[0]); i++) {
        struct hkt_child child;

        path = plugins[i];
        spec = "threads:2?name=forgotten";
        hkt_run_in_child(leave_open_and_unload, NULL, &child);
        HKT_TRUE(strstr(child.output, "executor forgotten was still open") != NULL);
    }
}

static CU_TestInfo tests[] = {
    HKT_TEST(destroyed_executors_let_go_of_their_library),
    HKT_TEST(an_open_pool_is_told_of),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{.pName = "misuse_unload", .pTests = tests}, CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
