#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A soak must be able to fail: what is leaked on purpose is found, and named.

Usage: test_soak.py PROGRAM PREFIX
"""
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

from soak_judge import Trend  # noqa: E402  pylint: disable=wrong-import-position

LEAKS = {
    "memory": "parent_kib (the program, under load) grows",
    "descriptor": "descriptors, calm",
    "thread": "threads, calm",
    "object": "objects, calm",
    "result": "results were wrong",
}


def check_trends():
    """What wanders without growing is no growth; what grows by less than it wanders is."""
    saw = [(float(i), 10000 + 700 * (i % 7)) for i in range(300)]
    step = [(time, 20000.0 if time < 60 else 30000.0) for time, _ in saw]
    leak = [(time, value + 20 * time) for time, value in saw]
    return [name for name, points, expected in
            (("a saw", saw, False), ("a step while it warms up", step, False),
             ("a leak", leak, True))
            if Trend(points, 256).grows != expected]


def main():
    program, prefix = sys.argv[1:]
    bad = check_trends()
    for kind, complaint in LEAKS.items():
        done = subprocess.run(
            [sys.executable, str(FOLDER / "soak_judge.py"), "--tolerance", "32768", "--expect",
             complaint, f"{prefix}_{kind}", "--run", program, "--seconds", "6" if kind == "memory" else "2",
             "--leak", kind],
            capture_output=True, text=True, check=False)
        print(f"{kind}: {'found' if done.returncode == 0 else 'NOT FOUND'}")
        if done.returncode != 0:
            print(done.stdout + done.stderr)
            bad.append(kind)
    if bad:
        print(f"not as expected: {', '.join(bad)}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
