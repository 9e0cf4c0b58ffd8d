/* SPDX-License-Identifier: MIT */
/*
 * Threads that start together.
 */
#include "bench/harness/crew.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "bench/harness/harness.h"

struct crew {
    pthread_barrier_t start;
    crew_work *work;
    void *arg;
};

struct member {
    struct crew *crew;
    unsigned index;
    pthread_t thread;
    int64_t began_ns, ended_ns;
};

static void *run_member(void *arg)
{
    struct member *member = arg;

    pthread_barrier_wait(&member->crew->start);
    member->began_ns = bench_now_ns();
    member->crew->work(member->crew->arg, member->index);
    member->ended_ns = bench_now_ns();
    return NULL;
}

void crew_rest(int64_t duration_ns)
{
    const int64_t second_ns = 1000000000;
    struct timespec time = {.tv_sec = duration_ns / second_ns, .tv_nsec = duration_ns % second_ns};

    nanosleep(&time, NULL);
}

int64_t crew_run_for(unsigned count, crew_work *work, void *arg, int64_t duration_ns, int *stop)
{
    struct crew crew = {.work = work, .arg = arg};
    struct member members[CREW_MAX];
    int64_t began_ns, ended_ns;

    if (count < 1 || count > CREW_MAX || pthread_barrier_init(&crew.start, NULL, count + 1) != 0) {
        bench_die("no crew of this size");
    }
    for (unsigned i = 0; i < count; i++) {
        members[i] = (struct member){.crew = &crew, .index = i};
        if (pthread_create(&members[i].thread, NULL, run_member, &members[i]) != 0) {
            bench_die("no thread");
        }
    }
    pthread_barrier_wait(&crew.start);
    if (stop != NULL) {
        crew_rest(duration_ns);
        /* Relaxed: nothing but the time depends on it. */
        __atomic_store_n(stop, 1, __ATOMIC_RELAXED);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(members[i].thread, NULL);
    }
    began_ns = members[0].began_ns;
    ended_ns = members[0].ended_ns;
    for (unsigned i = 1; i < count; i++) {
        began_ns = members[i].began_ns < began_ns ? members[i].began_ns : began_ns;
        ended_ns = members[i].ended_ns > ended_ns ? members[i].ended_ns : ended_ns;
    }
    pthread_barrier_destroy(&crew.start);
    return ended_ns - began_ns;
}

int64_t crew_run(unsigned count, crew_work *work, void *arg)
{
    return crew_run_for(count, work, arg, 0, NULL);
}

bool crew_pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0;
}

static cpu_set_t cpus_before;

bool crew_pin_for_now(int cpu)
{
    return sched_getaffinity(0, sizeof(cpus_before), &cpus_before) == 0 && crew_pin(cpu);
}

void crew_unpin(void)
{
    sched_setaffinity(0, sizeof(cpus_before), &cpus_before);
}

bool crew_has_cpus(int count)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return false;
    }
    for (int cpu = 0; cpu < count; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &set)) {
            return false;
        }
    }
    return true;
}
