#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the CUnit summary of every suite of the last ctest run.

Usage: cunit_summary.py BUILD-FOLDER [LABEL]

Exit status 1 when there is none: then no suite has run to its end.
"""
import pathlib
import re
import sys

TEST = re.compile(r"^\d+/\d+ Testing: (\S+)$", re.M)
SUMMARY = re.compile(r"^Run Summary:.*?\n(?=\s*\n|Elapsed|\Z)", re.M | re.S)
ROW = re.compile(r"^\s*(?:Run Summary:\s+Type.*|suites .*|tests .*|asserts .*)$", re.M)


def main():
    build = pathlib.Path(sys.argv[1])
    label = sys.argv[2] + " " if len(sys.argv) > 2 else ""
    path = build / "Testing/Temporary/LastTest.log"
    log = path.read_text(errors="replace") if path.exists() else ""  # The build failed.
    found = 0
    # [before, name, output, name, output, ...]
    parts = TEST.split(log)
    for name, output in zip(parts[1::2], parts[2::2]):
        summary = SUMMARY.search(output)
        if summary:
            found += 1
            print(f"--- CUnit: {label}{name}")
            print("\n".join(row.rstrip() for row in ROW.findall(summary[0])))
    if not found:
        print(f"cunit_summary: no suite of {build} has printed a summary", file=sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
