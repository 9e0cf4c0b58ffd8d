/* SPDX-License-Identifier: MIT */
/* Where worker processes run: on which processors, and how willingly they give way. */
#include <sched.h>
#include <sys/resource.h>

#include "tests/process_fixture.h"

struct place {
    int cpus;      /* How many it may use. */
    int first_cpu; /* The lowest of these. */
    int niceness;
};

static struct place here(void)
{
    struct place place = {.first_cpu = -1};
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        place.cpus = CPU_COUNT(&set);
        for (size_t cpu = 0; cpu < CPU_SETSIZE && place.first_cpu < 0; cpu++) {
            place.first_cpu = CPU_ISSET(cpu, &set) ? (int)cpu : -1;
        }
    }
    place.niceness = getpriority(PRIO_PROCESS, 0);
    return place;
}

HK_TASK(tells_its_place)
{
    struct place place = here();

    return hk_return(call, &place, sizeof(place));
}

static struct place place_of_worker(hk_executor *pool)
{
    struct place place = {0};
    hk_future *future = NULL;
    const void *value = NULL;

    HKT_OK_FATAL(hk_submit(pool, tells_its_place, NULL, 0, NULL, &future));
    HKT_OK_FATAL(hk_future_result(future, HK_FOREVER, &value, NULL));
    place = *(const struct place *)value;
    hk_future_unref(future);
    return place;
}

static void workers_are_where_the_application_is_unless_told(void)
{
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1});
    struct place place = place_of_worker(pool);

    HKT_EQ_INT(place.cpus, here().cpus);
    HKT_EQ_INT(place.first_cpu, here().first_cpu);
    HKT_EQ_INT(place.niceness, here().niceness);
    hkt_processes_end(pool);
}

static void workers_run_on_the_cpus_they_are_told(void)
{
    int cpu = here().first_cpu;
    hk_executor *pool =
        hkt_processes((hk_executor_options){.workers = 2, .cpus = &cpu, .cpu_count = 1});
    struct place place;

    cpu = -1; /* It was copied. */
    place = place_of_worker(pool);
    HKT_EQ_INT(place.cpus, 1);
    HKT_EQ_INT(place.first_cpu, here().first_cpu);
    hkt_processes_end(pool);
}

static void workers_are_as_nice_as_they_are_told(void)
{
    const int most = 19;
    int wanted = here().niceness + 3;
    hk_executor *pool = hkt_processes((hk_executor_options){.workers = 1, .nice_increment = 3});

    HKT_EQ_INT(place_of_worker(pool).niceness, wanted > most ? most : wanted);
    hkt_processes_end(pool);
}

static CU_TestInfo tests[] = {
    HKT_TEST(workers_are_where_the_application_is_unless_told),
    HKT_TEST(workers_run_on_the_cpus_they_are_told),
    HKT_TEST(workers_are_as_nice_as_they_are_told),
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
    {.pName = "process_place", .pTests = tests},
    CU_SUITE_INFO_NULL,
};

int main(int argc, char **argv)
{
    return hkt_process_main(argc, argv, suites);
}
