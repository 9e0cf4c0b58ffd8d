/* SPDX-License-Identifier: MIT */
/*
 * Every call to the system fails in turn: the first of its kind, the second, and so on until a
 * round no longer comes so far; each once, and each for ever after. A round is a child.
 */
#ifndef HOCKET_TESTS_OS_ROUNDS_FIXTURE_H
#define HOCKET_TESTS_OS_ROUNDS_FIXTURE_H

#include "tests/os_fixture.h"

struct hkt_os_fault {
    enum hkt_os_call call;
    int error;
};

/* what() is called in the child: it makes its preparations, calls hkt_os_arm(), does what is
 * tested, and calls hkt_os_relent() before it proves that everything works again. What it
 * leaves alive is a failure, and so is a child that lasts too long. */
void hkt_os_fail_each(const struct hkt_os_fault *faults, size_t count, void (*what)(void));

/* Each once, but none for ever: for what the system has again in a moment. */
void hkt_os_fail_each_once(const struct hkt_os_fault *faults, size_t count, void (*what)(void));

/* From here on calls are counted, and fail. */
void hkt_os_arm(void);

#endif
