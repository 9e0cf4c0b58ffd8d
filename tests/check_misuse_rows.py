#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails when a public function has an argument that no row of the misuse tables gives badly.

The functions are read from include/hocket/*.h: what HK_API declares, and what is defined inline.
Every pointer of theirs wants a row (NULL), every duration and every size, count and enumeration
too. The rows are what the programs named on the command line print with --rows, one
"FUNCTION ARGUMENT" a line. A row for what is not declared any more fails as well.

Usage: check_misuse_rows.py [--list] HEADER_FOLDER [PROGRAM...]
"""
import pathlib
import re
import subprocess
import sys

# What a macro gives, and nobody else: it is always there.
BY_MACRO = {"site"}
# Handed to a function of the caller's as it is, so that nothing can be bad about it.
HANDED_ON = {"arg", "state", "context", "user", "accumulator", "self"}
# Numbers of which none is absurd.
PLAIN = {"uint64_t", "int64_t", "uintptr_t", "int", "bool", "char"}

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)
DECLARED = re.compile(r"HK_API\b([^;{}]*?)\b(hk_\w+)\s*\(([^;{}]*)\)\s*;")
INLINE = re.compile(r"static inline\b([^;{}]*?)\b(hk_\w+)\s*\(([^;{}]*)\)\s*\{")


def arguments(text):
    """The arguments of a declaration that want a row."""
    for piece in " ".join(text.split()).split(","):
        piece = piece.strip()
        if piece in ("void", "..."):
            continue
        kind, name = re.match(r"(.*?)(\w+)$", piece).groups()
        if name in BY_MACRO | HANDED_ON:
            continue
        if "*" in kind or kind.strip() not in PLAIN:
            yield name


def declared(folder):
    """{function: [argument]} of all headers."""
    found = {}
    for header in sorted(pathlib.Path(folder).glob("*.h")):
        text = DIRECTIVE.sub("", COMMENT.sub(" ", header.read_text(encoding="utf-8")))
        for pattern in (DECLARED, INLINE):
            for _, name, inside in pattern.findall(text):
                if not name.endswith("_"):
                    found[name] = list(arguments(inside))
    return found


def main():
    """Compares both."""
    listing = "--list" in sys.argv
    folder, *programs = [word for word in sys.argv[1:] if word != "--list"]
    wanted = {(name, argument) for name, names in declared(folder).items() for argument in names}
    if listing:
        for row in sorted(wanted):
            print(*row)
        return 0
    rows = set()
    for program in programs:
        output = subprocess.run([program, "--rows"], check=True, capture_output=True, text=True)
        rows |= {tuple(line.split()) for line in output.stdout.splitlines()}
    for name, argument in sorted(wanted - rows):
        print(f"{name}(): no row of the misuse tables gives a bad {argument}")
    for name, argument in sorted(rows - wanted):
        print(f"{name}(): a row for {argument}, which is not declared")
    print(f"{len(rows & wanted)} of {len(wanted)} arguments have their row")
    return 0 if rows == wanted and wanted else 1


if __name__ == "__main__":
    sys.exit(main())
