/* SPDX-License-Identifier: MIT */
/*
 * One round: a scenario and a seed, in a process of its own, which begins each time as this one
 * is. So no round knows of those before it, and one that breaks harms nobody.
 */
#ifndef HKT_SCHEDULE_ROUND_H
#define HKT_SCHEDULE_ROUND_H

#include "tests/schedule/scenario.h"

/* Once, as the first thing in main(): begins the program anew, at the same addresses as
 * always. */
void hkt_rounds_prepare(char **argv);

/* The report is good until the next round. */
const struct hkt_report *hkt_round(const struct hkt_scenario *scenario, struct hkt_setup setup);

#endif
