#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints which tests of the last ctest run failed, and the end of what each of them said.

Usage: failed_tests.py BUILD-FOLDER [LABEL]

Prints nothing when none failed; exit status 0 either way.
"""
import pathlib
import re
import sys

LINES = 40
TESTS_MOST = 8
SECONDS_APART = 5
TEST = re.compile(r"^\d+/\d+ Testing: (\S+)$", re.M)


def outputs(build):
    log = build / "Testing/Temporary/LastTest.log"
    parts = TEST.split(log.read_text(errors="replace")) if log.exists() else []
    # [before, name, output, name, output, ...]
    return dict(zip(parts[1::2], parts[2::2]))


def main():
    build = pathlib.Path(sys.argv[1])
    label = sys.argv[2] + " " if len(sys.argv) > 2 else ""
    failed = build / "Testing/Temporary/LastTestsFailed.log"
    log = build / "Testing/Temporary/LastTest.log"
    names = []
    # ctest leaves the list of an earlier run where it is.
    if failed.exists() and failed.stat().st_mtime > log.stat().st_mtime - SECONDS_APART:
        # NUMBER:NAME
        names = [line.partition(":")[2] for line in failed.read_text().split()]
    said = outputs(build)
    for name in names[:TESTS_MOST]:
        print(f"--- failed: {label}{name}")
        print("\n".join(said.get(name, "it said nothing").rstrip().splitlines()[-LINES:]))
    for name in names[TESTS_MOST:]:
        print(f"--- failed: {label}{name}")


if __name__ == "__main__":
    main()
