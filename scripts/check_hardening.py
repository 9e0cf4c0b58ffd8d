#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads in what was built whether it is hardened; fails with a line for each thing that is not.

  archives (.a)      checked stacks and copies; no object asks for a stack with code
  the rest           tables of addresses bound at the start and then read only, no stack or
                     segment that is both written and run, no text to be relocated

Usage: check_hardening.py FILE...
"""
import re
import subprocess
import sys


def read(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def of_archive(path):
    symbols = set(re.findall(r" U (\S+)", read("nm", path)))
    if "__stack_chk_fail" not in symbols:
        yield "no stack is checked (-fstack-protector-strong)"
    if not any(re.fullmatch(r"__\w+_chk", name) for name in symbols):
        yield "no copy is checked (-D_FORTIFY_SOURCE=2)"
    sections = read("readelf", "--section-headers", "--wide", path)
    for part in re.split(r"^File: ", sections, flags=re.M)[1:]:
        name = part.split("\n", 1)[0]
        note = re.search(r"\.note\.GNU-stack\s+\S+\s+\S+\s+\S+\s+\S+\s+\S+\s+(\w*)", part)
        if note is None or "X" in note[1]:
            yield f"{name} asks for a stack with code"


def of_program(path):
    segments = read("readelf", "--program-headers", "--wide", path)
    dynamic = read("readelf", "--dynamic", "--wide", path)
    flags = {kind: field for kind, field in re.findall(
        r"^\s+(\w+)\s+0x\S+\s+0x\S+\s+0x\S+\s+0x\S+\s+0x\S+\s+([RWE ]{3})\s", segments, flags=re.M)}
    loads = re.findall(r"^\s+LOAD\s.*?\s([RWE ]{3})\s+0x", segments, flags=re.M)
    if not loads:
        yield "readelf shows no segment"
    if any("W" in field and "E" in field for field in loads):
        yield "a segment can be written and run"
    if "E" in flags.get("GNU_STACK", "E"):
        yield "its stack can be run (-z noexecstack)"
    if "GNU_RELRO" not in flags:
        yield "its tables of addresses stay writable (-z relro)"
    if not re.search(r"\((FLAGS)\).*BIND_NOW|\(FLAGS_1\).*\bNOW\b|\(BIND_NOW\)", dynamic):
        yield "its calls are bound late (-z now)"
    if "TEXTREL" in dynamic:
        yield "its text is relocated"
    if "__stack_chk_fail" not in read("nm", "--dynamic", "--undefined-only", path):
        yield "no stack is checked (-fstack-protector-strong)"


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if len(sys.argv) >= 2 else 2
    bad = 0
    for path in sys.argv[1:]:
        for finding in of_archive(path) if path.endswith(".a") else of_program(path):
            print(f"{path}: {finding}")
            bad += 1
    print(f"check_hardening: {len(sys.argv) - 1} files, {bad} finding(s)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
