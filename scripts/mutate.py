#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes small faults in the library, drawn from a seed, and looks whether a test notices.

A mutant is a condition that is negated, a call that is left out, a bound that is one too high, a
status or truth value that is another one. All mutants of a run are in one build (of a copy of
the sources), where an environment variable makes one alive; which suites come by which one is
recorded first. A mutant is given to those that do, those about its file first, then the
quickest, until one fails or hangs.

Survivors are listed. One either is no fault (a hint that only costs time), or wants a test.
Exits with 1 if more survive than --survivors allows.
"""
import argparse
import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import contained  # noqa: E402
import ctest_entries  # noqa: E402
from weaken_orders import Suite, must, words_of  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("base", "sync", "futures", "executors")
SLOW = "3"
# No statement before it is open at its end.
CLOSED = re.compile(r"(^|[;{}:]|\*/)\s*$")
CONDITION = re.compile(r"^(\s+(?:\} else )?if \()(.*)(\) \{)$")
CALL = re.compile(r"^(\s+)((?:\(void\))?(?!return\b|if\b|while\b|for\b|switch\b|do\b|sizeof\b|"
                  r"HKI_ASSERT\b|pthread_mutex_\w+|va_\w+|hki_free\b)[a-z_]\w*\(.*\);)$")
BOUND = re.compile(r"^(\s+(?:for|if|while) \(.*[\w\])] )(<|<=)( [A-Za-z_(].*)$")
STATUS = re.compile(r"^(\s+return )(HK_OK|HK_E[A-Z]+);$")
TRUTH = re.compile(r"^(\s+return )(true|false);$")


@dataclasses.dataclass
class Mutant:
    file: str
    line: int  # From 1.
    kind: str
    before: str
    after: str  # With %d for its number.
    number: int = 0
    verdict: str = ""
    about: str = ""


def is_balanced(text):
    depth = 0
    for letter in re.sub(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', "", text):
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            return False
    return depth == 0


def mutations(before, above):
    """(kind, text with %d for the number) of one line."""
    if before.endswith("\\") or "%" in before:
        return
    if (match := CONDITION.match(before)) and is_balanced(match[2]):
        yield "negated", f"{match[1]}hkt_mutant(%d) != !!({match[2]}){match[3]}"
    if (match := CALL.match(before)) and is_balanced(match[2]) and CLOSED.search(above):
        yield "left out", f"{match[1]}if (!hkt_mutant(%d)) {{ {match[2]} }}"
    if match := BOUND.match(before):
        yield "one more", f"{match[1]}{match[2]} hkt_mutant(%d) +{match[3]}"
    if match := STATUS.match(before):
        other = "HK_EINVAL" if match[2] in ("HK_OK", "HK_ESTATE") else "HK_OK"
        yield "other status", f"{match[1]}hkt_mutant(%d) ? {other} : {match[2]};"
    if match := TRUTH.match(before):
        yield "other truth", f"{match[1]}{match[2]} != (hkt_mutant(%d) != 0);"


def mutants_of(file):
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    is_comment = False
    for number, line in enumerate(lines, 1):
        is_comment = is_comment or line.lstrip().startswith("/*")
        if is_comment:
            is_comment = "*/" not in line
            continue
        for kind, after in mutations(line, lines[number - 2] if number > 1 else ""):
            yield Mutant(file, number, kind, line, after)


def draw(options):
    files = [str(path.resolve().relative_to(ROOT)) for path in options.files] or sorted(
        path.relative_to(ROOT).as_posix() for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.c"))
    by_line = collections.defaultdict(list)
    for file in files:
        for mutant in mutants_of(file):
            by_line[mutant.file, mutant.line].append(mutant)
    rng = random.Random(options.seed)
    places = sorted(by_line)
    drawn = sorted(rng.sample(places, min(options.count, len(places))))
    mutants = [rng.choice(by_line[place]) for place in drawn]
    for number, mutant in enumerate(mutants):
        mutant.number = number
    return mutants, len(places)


class Build:
    """The copy of the sources with all mutants in it, and its suites."""

    def __init__(self, folder, mutants, jobs, only):
        self.source = folder / "source"
        self.folder = folder / "build"
        self.count = len(mutants)
        self.copy_sources()
        self.plant(mutants)
        if not (self.folder / "CMakeCache.txt").exists():
            must("cmake", "-S", str(self.source), "-B", str(self.folder),
                 *(["-G", "Ninja"] if shutil.which("ninja") else []),
                 "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DHOCKET_EXAMPLES=OFF",
                 "-DHOCKET_BENCH=OFF", "-DHOCKET_INSTALL=OFF", "-DHOCKET_SHARED=OFF",
                 "-DHOCKET_WERROR=OFF",
                 f"-DCMAKE_PROJECT_hocket_INCLUDE={self.source / 'tests/mutate/build.cmake'}")
        names = self.suite_names(only)
        programs = sorted({"test_" + name.split(".")[0] for name in names})
        must("cmake", "--build", str(self.folder), "--parallel", str(jobs), "--target", *programs)
        self.suites = self.find_suites(names)

    def copy_sources(self):
        """What has not changed keeps its time, and is not built again."""
        listed = must("git", "-C", str(ROOT), "ls-files", "--cached", "--others",
                      "--exclude-standard")
        for name in listed.splitlines():
            source, copy = ROOT / name, self.source / name
            if source.is_file() and not (copy.exists()
                                         and copy.read_bytes() == source.read_bytes()):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)

    def plant(self, mutants):
        by_file = collections.defaultdict(list)
        for mutant in mutants:
            by_file[mutant.file].append(mutant)
        for file, group in by_file.items():
            lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
            for mutant in group:
                lines[mutant.line - 1] = mutant.after % mutant.number
            (self.source / file).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def suite_names(self, only):
        return {entry.name for entry in ctest_entries.entries(self.folder)
                if "suite" in entry.labels and re.search(only, entry.name)}

    def find_suites(self, names):
        return [Suite(entry.name, entry.command_without_report(), entry.environment)
                for entry in ctest_entries.entries(self.folder) if entry.name in names]

    @staticmethod
    def run(suite, seconds, **more):
        """"" if it passed, else how it did not."""
        environment = {**os.environ, **suite.environment, "HOCKET_TEST_SLOW": SLOW, **more}
        with tempfile.TemporaryDirectory(prefix="hocket-mutate-") as folder:
            status = contained.run(suite.command, seconds, cwd=folder, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=environment)
        if status is None:
            return "hangs"
        return "" if status in (0, ctest_entries.SKIPPED) else f"fails ({status})"

    def record(self, suite):
        """Which mutants it comes by; none, if it fails by itself."""
        with tempfile.NamedTemporaryFile(prefix="hocket-mutants-") as file:
            file.write(bytes(self.count))
            file.flush()
            started = time.monotonic()
            failure = self.run(suite, 600, HOCKET_MUTANT_REACHED=file.name)
            suite.seconds = time.monotonic() - started
            file.seek(0)
            reached = pathlib.Path(file.name).read_bytes()
        suite.hits = {} if failure else {number: 1 for number, byte in enumerate(reached) if byte}
        if failure:
            print(f"  {suite.name}: not used, for it {failure} as it is", flush=True)


def judge(build, mutant, patience):
    words = words_of(mutant.file)
    suites = [suite for suite in build.suites if suite.hits and mutant.number in suite.hits]
    suites.sort(key=lambda suite: (-suite.about(words), suite.seconds))
    if not suites:
        return "not reached", ""
    started = time.monotonic()
    tried = 0
    for suite in suites:
        if time.monotonic() - started > patience:
            break
        limit = 15 + 5 * suite.seconds
        failure = build.run(suite, limit, HOCKET_MUTANT=str(mutant.number))
        tried += 1
        # Only if it passes without: the machine may be busy, or the suite at fault.
        if failure and not build.run(suite, limit):
            return "killed", f"{suite.name} {failure}"
    return "survived", f"{tried} of {len(suites)} suites"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=pathlib.Path, metavar="FILE",
                        help="of the library (default: all)")
    parser.add_argument("--count", type=int, default=60, help="mutants (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(default %(default)s)")
    parser.add_argument("--patience", type=float, default=60, metavar="SECONDS",
                        help="for one mutant (default %(default)s)")
    parser.add_argument("--only", default="", metavar="REGEX",
                        help="judge those whose FILE:LINE matches (default: all)")
    parser.add_argument("--suites", default="", metavar="REGEX",
                        help="only those with such names (default: all)")
    parser.add_argument("--survivors", type=int, default=0, metavar="N",
                        help="so many may survive (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1),
                        help="at once (default %(default)s)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mutate",
                        metavar="FOLDER", help="(default build/mutate)")
    parser.add_argument("--list", action="store_true", help="print the mutants and exit")
    return parser.parse_args()


def main():
    options = parse_arguments()
    contained.end_all_when_stopped()
    mutants, places = draw(options)
    if options.list:
        for mutant in mutants:
            print(f"{mutant.file}:{mutant.line}: {mutant.kind}: {mutant.before.strip()}")
        return 0
    print(f"{len(mutants)} mutants of {places} lines, seed {options.seed}", flush=True)
    build = Build(options.build.resolve(), mutants, options.jobs, options.suites)
    print(f"Recording what {len(build.suites)} suites come by", flush=True)

    def judge_and_say(mutant):
        mutant.verdict, mutant.about = judge(build, mutant, options.patience)
        print(f"{mutant.file}:{mutant.line}: {mutant.kind}: {mutant.verdict.upper()} "
              f"{mutant.about}", flush=True)

    mutants = [mutant for mutant in mutants
               if re.search(options.only, f"{mutant.file}:{mutant.line}")]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(build.record, build.suites))
        list(pool.map(judge_and_say, mutants))
    alive = [mutant for mutant in mutants if mutant.verdict != "killed"]
    killed = len(mutants) - len(alive)
    print(f"\n{killed} of {len(mutants)} killed ({100 * killed / max(len(mutants), 1):.0f} %)")
    for mutant in alive:
        print(f"{mutant.verdict}: {mutant.file}:{mutant.line}: {mutant.kind}: "
              f"{mutant.before.strip()}  [{mutant.about}]")
    return 1 if len(alive) > options.survivors else 0


if __name__ == "__main__":
    sys.exit(main())
