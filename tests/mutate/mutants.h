/* SPDX-License-Identifier: MIT */
/* In front of every source of a build with mutants: see scripts/mutate.py. */
#ifndef HOCKET_TESTS_MUTANTS_H
#define HOCKET_TESTS_MUTANTS_H

/* Whether this is the mutant that HOCKET_MUTANT names: 1 or 0. Notes that somebody asked. */
int hkt_mutant(int number);

#endif
