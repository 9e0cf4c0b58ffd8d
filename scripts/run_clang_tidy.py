#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs clang-tidy over every C source of a build folder; fails on any finding.

Usage: run_clang_tidy.py BUILD-FOLDER [PATTERN]
PATTERN (a regular expression) selects among the paths.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def sources(build, pattern):
    """The project's own sources, each once; what is generated is not ours to mend."""
    commands = json.loads((build / "compile_commands.json").read_text())
    paths = {pathlib.Path(command["directory"], command["file"]).resolve()
             for command in commands}
    for path in sorted(paths):
        if path.suffix == ".c" and path.is_relative_to(ROOT) and not path.is_relative_to(build):
            if re.search(pattern, str(path.relative_to(ROOT))):
                yield path


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if len(sys.argv) >= 2 else 2)
    tool = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")
    if tool is None:
        sys.exit("run_clang_tidy: clang-tidy is not installed (Debian: clang-tidy-14)")
    build = pathlib.Path(sys.argv[1]).resolve()
    paths = list(sources(build, sys.argv[2] if len(sys.argv) > 2 else ""))
    if not paths:
        sys.exit(f"run_clang_tidy: {build} has no source of this project")

    def check(path):
        # A build by gcc may carry warnings' names that clang does not know.
        return path, subprocess.run(
            [tool, "-p", str(build), "--quiet", "--extra-arg=-Wno-unknown-warning-option",
             str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, result in pool.map(check, paths):
            if result.returncode != 0 or "warning:" in result.stdout:
                failed += 1
                print(result.stdout or result.stderr)
                print(f"clang-tidy: {path.relative_to(ROOT)}")
    print(f"clang-tidy: {len(paths)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
