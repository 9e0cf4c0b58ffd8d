/* SPDX-License-Identifier: MIT */
/* Leaks on purpose: what a soak must find. */
#ifndef HOCKET_TESTS_SOAK_LEAK_H
#define HOCKET_TESTS_SOAK_LEAK_H

#include <stdbool.h>

/* False: there is no such kind. */
bool soak_leak_choose(const char *kind);

/* At each census under load. */
void soak_leak_a_little(void);

/* At the end of each phase. */
void soak_leak_once(void);

#endif
