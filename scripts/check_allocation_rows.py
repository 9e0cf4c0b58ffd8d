#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails when a public function is in no table of allocations, or a table names one that is gone.

Two kinds of rows count, in tests/test_*allocation*.c:
  {"hk_queue_put ...", prepare, call, ...}              each of its allocations fails in turn
  {"hk_zygote_start ...", test}                         the same in a test of its own
  HKT_NEEDS_NO_MEMORY(hk_queue_get, HKT_OK(hk_queue_get(...)))   it is counted that there is none
A function that ends in _at has its row under the name of its macro.

Usage: check_allocation_rows.py [SOURCE_FOLDER]
"""
import pathlib
import re
import sys

from check_symbols import declarations

FAILING = re.compile(r'\{"(hk_\w+)[^"]*",\s*\w+[,}]')
NEEDS_NONE = re.compile(r"HKT_NEEDS_NO_MEMORY\(\s*(hk_\w+),(.*?)\);\n", re.S)


def rows(tests):
    """(file, function) of each row, and what is wrong with rows."""
    found, wrong = {}, []
    for path in sorted(tests.glob("test_*allocation*.c")):
        text = path.read_text()
        for match in FAILING.finditer(text):
            # A row that calls something else proves nothing of this one.
            if not re.search(rf"\b{match[1]}(_at)?\s*\(", text):
                wrong.append(f"{path.name}: the row of {match[1]} calls it nowhere")
            found.setdefault(match[1], path.name)
        for match in NEEDS_NONE.finditer(text):
            if not re.search(rf"\b{match[1]}\b", match[2]):
                wrong.append(f"{path.name}: the row of {match[1]} does not use it")
            found.setdefault(match[1], path.name)
    return found, wrong


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                        pathlib.Path(__file__).resolve().parent.parent)
    exported, _ = declarations(root / "include/hocket")
    public = {re.sub(r"_at$", "", name): header for name, header in exported.items()}
    found, findings = rows(root / "tests")
    for name in sorted(set(public) - set(found)):
        findings.append(f"{public[name]}: {name} is in no table of allocations: say in "
                        "tests/test_*allocation*.c what becomes of it without memory")
    for name in sorted(set(found) - set(public)):
        findings.append(f"{found[name]}: {name} is no public function")
    print("\n".join([*findings, f"check_allocation_rows: {len(public)} public functions, "
                                f"{len(findings)} finding(s)"]))
    return 1 if findings or not public else 0


if __name__ == "__main__":
    sys.exit(main())
