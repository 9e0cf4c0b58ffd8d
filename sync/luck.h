/* SPDX-License-Identifier: MIT */
/*
 * Whether it pays to look again for a moment before one sleeps.
 *
 * To be woken takes some 20 us on another processor, and costs who wakes 7 us (measured); so a
 * thread that is answered within a few microseconds does well not to sleep. One that is not
 * loses that time, and takes it from others. So each thread remembers how it went the last
 * times, and, when it went badly, tries only now and then.
 */
#ifndef HOCKET_SYNC_LUCK_H
#define HOCKET_SYNC_LUCK_H

#include <stdbool.h>

/* One more, or one less, of the process's worker threads is at work. Where they have all
 * processors busy, who looks again leaves his to them between the looks. */
void hki_luck_crowd(int change);

/* Looks until true or for as long as pays; what the last look said. */
bool hki_luck_look(bool (*look)(const void *object), const void *object);

#endif
