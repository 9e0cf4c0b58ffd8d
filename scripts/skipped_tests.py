#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints what the last ctest run left out, and why: whole tests, and single ones of a suite.

Usage: skipped_tests.py BUILD-FOLDER [LABEL]

Not those that prove nothing on the executor that their suite ran on: docs/conformance.md lists
them. Prints nothing when all ran; exit status 0 either way.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree

TEST = re.compile(r"^\d+/\d+ Testing: (\S+)$", re.M)
SINGLE = "  Test: "
NOT_HERE = "not here: "


def why(said):
    """The line that gives the reason, as far as there is one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith("skipped")]
    return (marked or lines or ["it said nothing"])[-1].removeprefix("skipped: ")


def whole(build):
    """Yields (test, reason). ctest's log calls them passed; its report does not."""
    report = build / "ctest.xml"
    root = xml.etree.ElementTree.parse(report).getroot() if report.exists() else ()
    for case in root:
        if case.find("skipped") is not None:
            yield case.get("name"), why(case.findtext("system-out", ""))


def single(build):
    """Yields (suite/test, reason)."""
    log = build / "Testing/Temporary/LastTest.log"
    parts = TEST.split(log.read_text(errors="replace")) if log.exists() else []
    # [before, name, output, name, output, ...]
    for suite, output in zip(parts[1::2], parts[2::2]):
        test = ""
        for line in output.splitlines() if '"--executor"' not in output else ():
            if line.startswith(SINGLE):
                test = line[len(SINGLE):].partition(" ...")[0]
            if NOT_HERE in line:
                yield f"{suite}/{test}", line.partition(NOT_HERE)[2]


def main():
    build = pathlib.Path(sys.argv[1])
    label = sys.argv[2] + " " if len(sys.argv) > 2 else ""
    for name, reason in [*whole(build), *single(build)]:
        print(f"--- skipped: {label}{name}: {reason}")


if __name__ == "__main__":
    main()
