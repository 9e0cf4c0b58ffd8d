#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails when the libraries show more, or less, than the public headers declare.

  libhocket.a   every global symbol begins with hk_ or hki_; jemalloc is never
                needed, only asked for weakly
  libhocket.so  exports exactly the functions of the headers; needs libc alone

Usage: check_symbols.py --static libhocket.a [--shared libhocket.so] [--include FOLDER]
"""
import argparse
import pathlib
import re
import subprocess
import sys

# What jemalloc has and libc has not: needing one of these would force jemalloc
# on every program.
JEMALLOC = re.compile(r"(je_\w+|(m|r|x|s|d|sd|n)allocx|mallctl\w*|malloc_(stats_print|message))$")

# Calls that read a clock which can be set, or sleep by one: a jump of the time would reach us.
SETTABLE_CLOCK = re.compile(
    r"(__)?(time|gettimeofday|ftime|timespec_get|nanosleep|usleep|sleep|alarm|setitimer|"
    r"timer_create|pthread_(cond|mutex|rwlock_rd|rwlock_wr)_?timed(wait|lock)|"
    r"pthread_(rwlock_timed(rd|wr)lock|timedjoin_np)|sem_timedwait|mq_timed\w+|"
    r"select|pselect|cnd_timedwait|mtx_timedlock|thrd_sleep)(64)?(@.*)?$")

# Libraries that every Linux program has anyway.
NEEDED = re.compile(r"(libc\.so\.|libpthread\.so\.|ld-linux)")


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def symbols(path, *options):
    """(name, type) of each symbol that nm prints."""
    for line in output("nm", *options, str(path)).splitlines():
        match = re.match(r"(?:[0-9a-f]+)?\s*([A-Za-z?]) (\S+)$", line)
        if match:
            yield match[2], match[1]


def declarations_only(text):
    """A header without comments, directives, and the bodies of its functions."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"^\s*#[^\n]*", "", text, flags=re.M)
    previous = None
    while text != previous:  # From the innermost block outwards.
        previous, text = text, re.sub(r"\)\s*\{[^{}]*\}", ");", text)
    return text


def declarations(include):
    """Names declared with HK_API, and function declarations that lack it."""
    exported, unmarked = {}, []
    for header in sorted(include.glob("*.h")):
        text = declarations_only(header.read_text())
        for match in re.finditer(r"\bHK_API\b([^;{]*);", text):
            name = re.search(r"\b(hk_\w+)\s*(?=\()", match[1]) or re.search(
                r"\b(hk_\w+)(\[[^]]*\])?\s*$", match[1])
            if name:
                exported[name[1]] = header.name
        for match in re.finditer(r"(?:^|(?<=[;{}]))([^;{}]*?\b(hk_\w+)\s*\((?!\s*\*)[^;{}]*\)\s*);", text):
            if not re.search(r"\b(HK_API|typedef|static|return)\b|=|^\s*\(", match[1]):
                unmarked.append((header.name, match[2]))
    return exported, unmarked


def check_static(path, exported):
    defined = set()
    for name, kind in symbols(path, "-g", "--defined-only"):
        defined.add(name)
        if not re.match(r"hki?_", name):
            yield f"{path.name}: the global symbol {name} must begin with hk_ or hki_, or be static"
    for name, kind in symbols(path, "-u"):
        if kind == "U" and JEMALLOC.match(name):
            yield f"{path.name}: needs {name} of jemalloc; refer to it weakly"
        if SETTABLE_CLOCK.match(name):
            yield f"{path.name}: calls {name}, whose clock can be set or is not known to be monotonic"
    for name in sorted(set(exported) - defined):
        yield f"{path.name}: {name} is declared in {exported[name]} but not defined"


def check_shared(path, exported):
    shown = {re.sub(r"@.*", "", name) for name, kind in symbols(path, "-D", "--defined-only")
             if kind != "A"}  # A: the version node itself.
    for name in sorted(shown - set(exported)):
        yield f"{path.name}: exports {name}, which no public header declares"
    for name in sorted(set(exported) - shown):
        yield f"{path.name}: {name} is declared in {exported[name]} but not exported"
    dynamic = output("readelf", "-d", str(path))
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
        if not NEEDED.match(name):
            yield f"{path.name}: needs {name}; libc and pthread are all it may need"
    if not re.search(r"\(SONAME\).*\[libhocket\.so\.\d+\]", dynamic):
        yield f"{path.name}: has no soname libhocket.so.MAJOR"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--static", type=pathlib.Path, required=True)
    parser.add_argument("--shared", type=pathlib.Path)
    parser.add_argument("--include", type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent / "include/hocket")
    options = parser.parse_args()

    exported, unmarked = declarations(options.include)
    findings = [f"{header}: {name} is declared without HK_API" for header, name in unmarked]
    findings += check_static(options.static, exported)
    if options.shared:
        findings += check_shared(options.shared, exported)
    if not exported:
        findings.append(f"{options.include}: no header declares anything with HK_API")
    print("\n".join([*findings, f"check_symbols: {len(exported)} public symbols, "
                                f"{len(findings)} finding(s)"]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
