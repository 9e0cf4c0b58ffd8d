/* SPDX-License-Identifier: MIT */
/*
 * What the library asks of the operating system in order to sleep, wake and read the clock.
 * The linker turns its calls to these (--wrap, see CMakeLists.txt).
 */
#include <time.h>

#include "base/os.h"
#include "base/time.h"
#include "base/world.h"
#include "tests/schedule/machine.h"
#include "tests/schedule/point.h"

enum { SELDOM = 8 };

/* The linker's names. NOLINTBEGIN(bugprone-reserved-identifier) */
bool __real_hki_os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);
bool __wrap_hki_os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);
bool __wrap_hki_os_futex_sleep(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);
unsigned __wrap_hki_os_futex_wake(_Atomic(uint32_t) *word, unsigned count);
bool __wrap_hki_os_futex_wait_any(const struct hki_os_wait_word *words, unsigned count,
                                  int64_t deadline_ns);
void __wrap_hki_os_barrier(void);
void __wrap_hki_os_pause(void);
void __wrap_hki_os_yield(void);
unsigned __wrap_hki_os_cpu_count(void);
bool __real_hki_luck_look(bool (*look)(const void *object), const void *object);
bool __wrap_hki_luck_look(bool (*look)(const void *object), const void *object);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

bool __wrap_hki_os_futex_sleep(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    hkt_point("sleep", word, HKT_SITE);
    if (!hkt_is_in_round()) {
        hkt_fail("somebody sleeps where nobody can wake him");
    }
    if (*(volatile uint32_t *)(void *)word != expected && !hkt_has_fault(HKT_SLEEPS_BLINDLY)) {
        return true;
    }
    /* Now and then without a cause. */
    if (hkt_chance(SELDOM * SELDOM) == 0) {
        return true;
    }
    return hkt_machine_wait(HKT_AT_FUTEX, word, deadline_ns);
}

bool __wrap_hki_os_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    return hki_world_self() != NULL ? __real_hki_os_futex_wait(word, expected, deadline_ns)
                                    : __wrap_hki_os_futex_sleep(word, expected, deadline_ns);
}

/* Whoever of them, as far as they are to be woken. */
unsigned __wrap_hki_os_futex_wake(_Atomic(uint32_t) *word, unsigned count)
{
    unsigned woken = 0;

    hkt_point("wake", word, HKT_SITE);
    if (hkt_has_fault(HKT_LOSES_WAKES) && hkt_chance(SELDOM) == 0) {
        return 0;
    }
    while (hkt_is_in_round() && woken < count) {
        unsigned sleepers[HKT_THREADS_MAX];
        unsigned found = 0;

        for (unsigned i = 0; i < hkt_machine_count(); i++) {
            const struct hkt_thread *thread = hkt_machine_thread(i);

            if (thread->wait == HKT_AT_FUTEX && thread->object == word) {
                sleepers[found++] = i;
            }
        }
        if (found == 0) {
            break;
        }
        hkt_machine_thread(sleepers[hkt_chance(found)])->wait = HKT_GOES_ON;
        woken++;
    }
    return woken;
}

/* As where the kernel cannot. */
bool __wrap_hki_os_futex_wait_any(const struct hki_os_wait_word *words, unsigned count,
                                  int64_t deadline_ns)
{
    (void)words;
    (void)count;
    (void)deadline_ns;
    return false;
}

void __wrap_hki_os_barrier(void)
{
    hkt_point("barrier", NULL, HKT_SITE);
}

static void rest(const char *what)
{
    if (hkt_is_in_round()) {
        hkt_chance_rest(hkt_machine_self());
    }
    hkt_point(what, NULL, HKT_SITE);
}

void __wrap_hki_os_pause(void)
{
    rest("pause");
}

void __wrap_hki_os_yield(void)
{
    rest("yield");
}

/* Who looks again and again before it sleeps hardly ever does here; so it often does not. */
bool __wrap_hki_luck_look(bool (*look)(const void *object), const void *object)
{
    return hkt_chance(SELDOM) == 0 && __real_hki_luck_look(look, object);
}

/* Both ways are to be tried: with one processor workers search less. */
unsigned __wrap_hki_os_cpu_count(void)
{
    return hkt_is_in_round() ? 1 + hkt_chance(2) : 2;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (!hkt_is_in_round()) {
        return __real_clock_gettime(clock, now);
    }
    *now = hki_timespec(hkt_machine_now_ns());
    return 0;
}
/* NOLINTEND(bugprone-reserved-identifier) */
