#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails when SECURITY.md or docs/trust.md cites a test that there is not, or the first leaves
one of its suites' tests out.

Usage: test_claims.py ROOT
"""
import pathlib
import re
import sys

CITATION = re.compile(r"`([a-z_]+)/([a-z_0-9]+)`")
ENTRY = re.compile(r"(?:HKT_TEST|HKT_FAULT_CASE)\((\w+)\)|^HKT_FAULT_CASE\((\w+)\)", re.M)


def tests_of(root, suite):
    """The names of a suite's tests; None: there is no such suite."""
    source = root / "tests" / f"test_{suite}.c"
    if not source.is_file():
        return None
    return {one or other for one, other in ENTRY.findall(source.read_text(encoding="utf-8"))}


def words_of(path):
    """What it says, however it joins the words of a name."""
    return re.sub(r"[-_\s]+", " ", path.read_text(encoding="utf-8", errors="replace")).lower()


def sources_of(root, name):
    """The words of what is called so: a suite, a folder of tests or one of its programs, or a
    corpus or a file of one. None: nothing is."""
    tests = root / "tests"
    folder, _, program = name.partition(".")
    files = [tests / f"test_{name}.c"]
    if program:
        files = [tests / folder / "programs" / f"{program}.txt"]
    elif (tests / name).is_dir():
        files = sorted((tests / name).rglob("*.c"))
    files += list((tests / "fuzz/corpus").glob(f"*/{name}"))
    if (tests / "fuzz/corpus" / name).is_dir():
        files += list((tests / "fuzz/corpus" / name).iterdir())
    return " ".join(words_of(path) for path in files if path.is_file()) or None


def check_guards(root, row):
    """Yields what is wrong with the last column of a row: `NAME`s, each with parts of names of its
    tests behind a colon."""
    for part in row.rsplit("|", 2)[1].split(";"):
        names = re.findall(r"`([\w.]+)`", part)
        phrases = part.partition(":")[2].split(",")
        for name in names:
            words = sources_of(root, name)
            if words is None:
                yield f"docs/trust.md cites {name}, which there is not"
            for phrase in phrases if words is not None else []:
                if re.sub(r"[-_\s]+", " ", phrase).strip().lower() not in words:
                    yield f"docs/trust.md cites {name}: {phrase.strip()}, which is not in it"


def check_trust(root):
    text = (root / "docs/trust.md").read_text(encoding="utf-8")
    table = text.partition("## Faults that were found")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    if not rows:
        yield "docs/trust.md has no table of faults"
    for row in rows:
        yield from check_guards(root, row)


def main():
    root = pathlib.Path(sys.argv[1])
    cited = set(CITATION.findall((root / "SECURITY.md").read_text(encoding="utf-8")))
    faults = []
    for suite, name in sorted(cited):
        tests = tests_of(root, suite)
        if tests is None:
            faults.append(f"SECURITY.md cites the suite {suite}, which there is not")
        elif name not in tests:
            faults.append(f"SECURITY.md cites {suite}/{name}, which is not in that suite")
    # These say what holds against whom; each is somebody's ground to trust.
    for suite in ("security_containment", "security_escape"):
        for name in sorted(tests_of(root, suite) - {name for one, name in cited if one == suite}):
            faults.append(f"SECURITY.md does not say what {suite}/{name} proves")
    faults += check_trust(root)
    for fault in faults:
        print(fault)
    if not cited:
        print("SECURITY.md cites no test at all")
    return 1 if faults or not cited else 0


if __name__ == "__main__":
    sys.exit(main())
