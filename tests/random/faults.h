/* SPDX-License-Identifier: MIT */
/*
 * Ways in which the library can be made to go wrong, to see whether it is noticed. The linker
 * turns its functions to ours (--wrap, see CMakeLists.txt).
 */
#ifndef HKT_RANDOM_FAULTS_H
#define HKT_RANDOM_FAULTS_H

enum hkt_fault {
    HKT_FAULTLESS,
    HKT_CANCELS_NOTHING,
    HKT_FORGETS_DROPS,
    HKT_DROPS_EARLY,
    HKT_LOSES_CALLBACKS,
    HKT_CALLS_TWICE,
    HKT_GIVES_WRONG_BYTES,
    HKT_LEAKS_FUTURES,
    HKT_LOSES_DELIVERIES,
    HKT_ENDS_WAITS_EARLY,
    HKT_RUNS_TWICE,
    HKT_LOSES_WAKES,
    HKT_SKIPS_ITEMS,
    HKT_ALARMS_FALSELY,
    HKT_SHUTS_DOWN_EARLY,
    HKT_LOSES_VALUES,
    HKT_LOSES_STEPS,
    HKT_CUTS_INPUTS,
    HKT_CUTS_VALUES,
    HKT_PASSES_OVER_FUTURES,
    HKT_FAULTS
};

extern const char *const hkt_fault_names[HKT_FAULTS];

#endif
