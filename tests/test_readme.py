#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails unless README.md shows examples/readme.c as it is compiled and run.

The first block of C in README.md must equal the file, without its licence line.
Usage: test_readme.py README.md readme.c
"""
import difflib
import pathlib
import re
import sys


def main():
    readme, source = (pathlib.Path(name) for name in sys.argv[1:3])
    block = re.search(r"^```c\n(.*?)^```", readme.read_text(), re.M | re.S)
    if not block:
        sys.exit(f"{readme} has no block of C (```c)")
    code = re.sub(r"\A/\* SPDX[^\n]*\n+", "", source.read_text())
    difference = list(difflib.unified_diff(block[1].splitlines(), code.splitlines(),
                                           str(readme), str(source), lineterm=""))
    print("\n".join(difference) or f"{readme.name} shows {source.name} as it is")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
