#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Weakens every explicit memory order one step and looks whether a test notices.

An order that can be weakened without a failing test is either needless or
untested. Works on a copy of the tree, under ThreadSanitizer, one order at a
time: minutes for a file, so this is run by hand for files that changed.

Usage: weaken_orders.py [--suites REGEX [--targets NAME...]] [--runs N] [--jobs N] [--list] FILE...
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
ORDER = re.compile(r"\bmemory_order_(acquire|release|acq_rel|seq_cst)\b")
WEAKER = {
    "seq_cst": ("acq_rel",),
    "acq_rel": ("acquire", "release"),
    "acquire": ("relaxed",),
    "release": ("relaxed",),
}


def mutants(text):
    """(line, old order, new order, mutated text) for each step down."""
    for match in ORDER.finditer(text):
        line_start = text.rfind("\n", 0, match.start()) + 1
        if text[line_start:match.start()].lstrip().startswith(("/*", "*")):
            continue
        for weaker in WEAKER[match[1]]:
            # A plain load or store knows no acq_rel; try what it does know.
            around = text[max(0, match.start() - 200):match.start()]
            call = re.findall(r"atomic_(load|store|exchange|fetch|compare|flag)", around)
            if weaker == "acq_rel" and call and call[-1] in ("load", "store"):
                weaker = {"load": "acquire", "store": "release"}[call[-1]]
            mutated = text[:match.start()] + "memory_order_" + weaker + text[match.end():]
            yield text.count("\n", 0, match.start()) + 1, match[1], weaker, mutated


def run(*command):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    return result.returncode == 0, result.stdout


class Copy:
    """A copy of the project with a ThreadSanitizer build in it."""

    def __init__(self, folder, options):
        self.tree = pathlib.Path(folder, "tree")
        self.build = pathlib.Path(folder, "build")
        self.suites, self.runs, self.jobs = options.suites, options.runs, str(options.jobs)
        self.targets = ["--target", *options.targets] if options.targets else []
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(".git", "build*"))
        self.must("cmake", "-S", str(self.tree), "-B", str(self.build), "-DHOCKET_SANITIZE=thread",
                  "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DHOCKET_EXAMPLES=OFF", "-DHOCKET_BENCH=OFF")
        self.must(*self.build_command())
        if not self.tests_pass():
            sys.exit("weaken_orders: the tests fail before anything was weakened")

    def must(self, *command):
        is_good, text = run(*command)
        if not is_good:
            sys.exit(f"{text}\nweaken_orders: {' '.join(command)} failed")

    def build_command(self):
        return ["cmake", "--build", str(self.build), "--parallel", self.jobs, *self.targets]

    def builds(self):
        return run(*self.build_command())[0]

    def tests_pass(self):
        return run("ctest", "--test-dir", str(self.build), "--parallel", self.jobs, "--no-tests=error",
                   "-L", "suite", "-R", self.suites, "--repeat", f"until-fail:{self.runs}",
                   "--stop-on-failure")[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suites", default=".", help="suites to run, a ctest pattern (default all)")
    parser.add_argument("--targets", nargs="+", default=[], metavar="NAME",
                        help="build no more than these, which have the suites (default all)")
    parser.add_argument("--jobs", type=int, default=2, help="at once (default 2)")
    parser.add_argument("--runs", type=int, default=20, help="repetitions a mutant (default 20)")
    parser.add_argument("--list", action="store_true", help="print the mutants and exit")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    paths = [path.resolve().relative_to(ROOT) for path in options.files]

    if options.list:
        for path in paths:
            for line, old, new, _ in mutants((ROOT / path).read_text()):
                print(f"{path}:{line}: {old} -> {new}")
        return 0

    survivors = total = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(folder, options)
        for path in paths:
            original = (copy.tree / path).read_text()
            for line, old, new, mutated in mutants(original):
                (copy.tree / path).write_text(mutated)
                total += 1
                if not copy.builds():
                    verdict = "does not compile"
                elif copy.tests_pass():
                    verdict = "SURVIVED"
                    survivors += 1
                else:
                    verdict = "noticed"
                print(f"{path}:{line}: {old} -> {new}: {verdict}", flush=True)
            (copy.tree / path).write_text(original)
    print(f"weaken_orders: {total} mutants, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
