/* SPDX-License-Identifier: MIT */
/*
 * The timed loops of one kind of per-thread object, written once and compiled for each.
 * The file that includes this defines before:
 *
 *     struct local_object *local_get(size_t place)   the calling thread's, built if needed
 *
 * A file of C++ includes it inside an unnamed namespace.
 */

static uint64_t local_count_up(uint64_t times)
{
    uint64_t counter = 0;

    for (uint64_t i = 0; i < times; i++) {
        counter = ++local_get(0)->counter;
        /* Nobody knows what the memory holds: so each turn is an access of its own. */
        __asm__ volatile("" : : : "memory");
    }
    return counter;
}

static void local_touch(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        local_get(i)->counter = 0;
    }
}
