/* SPDX-License-Identifier: MIT */
/* What the zygote has: the program, what was loaded before, and nothing that came later. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "executors/process_pool/code_map.h"
#include "tests/fixture.h"

typedef void function(void);

static int changeable = 3;
static const int constant = 4;
static int zeroed[4096];

static function *function_at(void *address)
{
    function *result;

    memcpy(&result, &address, sizeof(result));
    return result;
}

/* --- A plugin: a copy of the shared object, which can be replaced --- */

static char directory[] = "/tmp/hocket-code-map-XXXXXX";
static char path[sizeof(directory) + 16];
static void *plugin;

/* A new file, so that nothing of an old one that is still loaded changes. */
static void write_plugin(void)
{
    FILE *from = fopen(PLUGIN_PATH, "rbe");
    FILE *to;
    char block[4096];
    size_t got;

    (void)unlink(path);
    to = fopen(path, "wbe");
    HKT_TRUE_FATAL(from != NULL && to != NULL);
    while ((got = fread(block, 1, sizeof(block), from)) > 0) {
        HKT_EQ_INT(fwrite(block, 1, got, to), got);
    }
    fclose(from);
    HKT_EQ_INT(fclose(to), 0);
}

static void load(void)
{
    plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    HKT_TRUE_FATAL(plugin != NULL);
}

static void unload(void)
{
    HKT_EQ_INT(dlclose(plugin), 0);
    HKT_EQ_PTR(dlopen(path, RTLD_NOW | RTLD_NOLOAD), NULL);
}

static function *run_of_plugin(void)
{
    return function_at(dlsym(plugin, "plugin_run"));
}

static const void *record_of_plugin(void)
{
    return dlsym(plugin, "plugin_record");
}

static void set_up(void)
{
    memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
    HKT_TRUE_FATAL(mkdtemp(directory) != NULL);
    snprintf(path, sizeof(path), "%s/plugin.so", directory);
    write_plugin();
}

static void tear_down(void)
{
    (void)unlink(path);
    (void)rmdir(directory);
}

/* --- Cases --- */

static void before_the_first_recording_nothing_is_known(void)
{
    HKT_TRUE(!hki_code_map_has_function((function *)hk_now_ns));
    HKT_TRUE(!hki_code_map_has_data(hkt_square, sizeof(hk_task)));
}

static void the_program_and_its_libraries_are_known(void)
{
    HKT_OK_FATAL(hki_code_map_record());
    HKT_TRUE(hki_code_map_has_function((function *)hkt_square->run));
    HKT_TRUE(hki_code_map_has_function((function *)set_up));
    HKT_TRUE(hki_code_map_has_function(function_at(dlsym(RTLD_DEFAULT, "CU_run_all_tests"))));
    HKT_TRUE(hki_code_map_has_data(hkt_square, sizeof(hk_task)));
    HKT_TRUE(hki_code_map_has_data(&constant, sizeof(constant)));
    HKT_TRUE(hki_code_map_has_data(&changeable, sizeof(changeable)));
}

static void what_is_no_code_is_not_known(void)
{
    int on_stack = 1;
    void *on_heap = malloc(64);

    HKT_OK_FATAL(hki_code_map_record());
    HKT_TRUE(!hki_code_map_has_function(NULL));
    HKT_TRUE(!hki_code_map_has_function(function_at(on_heap)));
    HKT_TRUE(!hki_code_map_has_function(function_at(&on_stack)));
    HKT_TRUE(!hki_code_map_has_function(function_at(&changeable)));
    HKT_TRUE(!hki_code_map_has_data(on_heap, 1));
    HKT_TRUE(!hki_code_map_has_data(&on_stack, sizeof(on_stack)));
    HKT_TRUE(!hki_code_map_has_data(NULL, 0));
    free(on_heap);
}

static void no_range_reaches_beyond_its_segment(void)
{
    HKT_OK_FATAL(hki_code_map_record());
    HKT_TRUE(!hki_code_map_has_data(&constant, SIZE_MAX));
    HKT_TRUE(!hki_code_map_has_data(&constant, (size_t)1 << 40));
    HKT_TRUE(!hki_code_map_has_data(&constant, 0));
    HKT_TRUE(!hki_code_map_has_data(&zeroed[4000], sizeof(int))); /* Not from the file. */
}

static void a_plugin_that_came_later_is_not_known(void)
{
    HKT_OK_FATAL(hki_code_map_record());
    load();
    HKT_TRUE(!hki_code_map_has_function(run_of_plugin()));
    HKT_TRUE(!hki_code_map_has_data(record_of_plugin(), 16));
    unload();
    HKT_TRUE(hki_code_map_has_function((function *)hkt_square->run));
}

static void a_plugin_that_was_there_is_known_until_it_is_unloaded(void)
{
    function *run;
    const void *record;

    load();
    HKT_OK_FATAL(hki_code_map_record());
    run = run_of_plugin();
    record = record_of_plugin();
    for (int i = 0; i < 3; i++) {
        HKT_TRUE(hki_code_map_has_function(run));
        HKT_TRUE(hki_code_map_has_data(record, 16));
    }
    unload();
    HKT_TRUE(!hki_code_map_has_function(run));
    HKT_TRUE(!hki_code_map_has_data(record, 16));
}

static void the_same_plugin_at_the_same_place_is_known_again(void)
{
    function *run;

    load();
    HKT_OK_FATAL(hki_code_map_record());
    run = run_of_plugin();
    unload();
    load();
    /* Elsewhere it would be right not to know it. */
    HKT_TRUE(hki_code_map_has_function(run_of_plugin()) == (run_of_plugin() == run));
    unload();
    HKT_TRUE(!hki_code_map_has_function(run));
}

static void another_plugin_at_the_same_place_is_not_known(void)
{
    function *run;

    load();
    HKT_OK_FATAL(hki_code_map_record());
    run = run_of_plugin();
    HKT_TRUE(hki_code_map_has_function(run));
    unload();
    write_plugin();
    load();
    HKT_TRUE(!hki_code_map_has_function(run_of_plugin()));
    HKT_TRUE(!hki_code_map_has_function(run));
    unload();
}

static void unloading_one_does_not_hide_another(void)
{
    char other_path[sizeof(path)];
    function *run;
    void *first;

    load();
    first = plugin;
    run = run_of_plugin();
    memcpy(other_path, path, sizeof(path));
    snprintf(path, sizeof(path), "%s/second.so", directory);
    write_plugin();
    load();
    HKT_OK_FATAL(hki_code_map_record());
    HKT_TRUE(hki_code_map_has_function(run));
    unload();
    HKT_TRUE(hki_code_map_has_function(run));
    (void)unlink(path);
    memcpy(path, other_path, sizeof(path));
    plugin = first;
    unload();
    HKT_TRUE(!hki_code_map_has_function(run));
}

static void without_memory_the_old_record_stays(void)
{
    HKT_OK_FATAL(hki_code_map_record());
    hki_memory_fail_at(1);
    HKT_STATUS(hki_code_map_record(), HK_ENOMEM);
    HKT_EQ_INT(hki_memory_fail_at(0), 0);
    HKT_TRUE(hki_code_map_has_function((function *)hkt_square->run));
}

/* Many threads look while something is loaded and unloaded. */
static atomic_bool over;

static void *look(void *arg)
{
    function *run = function_at(arg);

    while (!atomic_load(&over)) {
        HKT_TRUE(hki_code_map_has_function((function *)hkt_square->run));
        HKT_TRUE(hki_code_map_has_function(run));
    }
    return NULL;
}

static void lookups_may_race_with_loading(void)
{
    enum { THREADS = 3, ROUNDS = 60 };
    pthread_t threads[THREADS];
    char other_path[sizeof(path)];
    function *run;
    void *run_address;
    void *first;

    load();
    first = plugin;
    run = run_of_plugin();
    memcpy(&run_address, &run, sizeof(run));
    HKT_OK_FATAL(hki_code_map_record());
    memcpy(other_path, path, sizeof(path));
    snprintf(path, sizeof(path), "%s/second.so", directory);
    write_plugin();
    atomic_store(&over, false);
    for (int i = 0; i < THREADS; i++) {
        HKT_EQ_INT_FATAL(pthread_create(&threads[i], NULL, look, run_address), 0);
    }
    for (int i = 0; i < ROUNDS; i++) {
        load();
        unload();
    }
    atomic_store(&over, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    (void)unlink(path);
    memcpy(path, other_path, sizeof(path));
    plugin = first;
    unload();
}

static CU_TestInfo tests[] = {
    HKT_TEST(before_the_first_recording_nothing_is_known),
    HKT_TEST(the_program_and_its_libraries_are_known),
    HKT_TEST(what_is_no_code_is_not_known),
    HKT_TEST(no_range_reaches_beyond_its_segment),
    HKT_TEST(a_plugin_that_came_later_is_not_known),
    HKT_TEST(a_plugin_that_was_there_is_known_until_it_is_unloaded),
    HKT_TEST(the_same_plugin_at_the_same_place_is_known_again),
    HKT_TEST(another_plugin_at_the_same_place_is_not_known),
    HKT_TEST(unloading_one_does_not_hide_another),
    HKT_TEST(without_memory_the_old_record_stays),
    HKT_TEST(lookups_may_race_with_loading),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "code_map", .pSetUpFunc = set_up, .pTearDownFunc = tear_down, .pTests = tests},
    CU_SUITE_INFO_NULL};

int main(int argc, char **argv)
{
    return hkt_main(argc, argv, suites);
}
