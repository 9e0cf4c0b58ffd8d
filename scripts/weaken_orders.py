#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Weakens every explicit memory order one step and looks whether a test notices.

An order that can be weakened without a failing test is either needless or untested.
One ThreadSanitizer build (gcc) serves for all: in it each order can be weakened by an
environment variable, see tests/weaken/. Which suites come by which place is recorded once
and kept in the build folder; a mutant is then given to those that do, until one fails:
those that found another one of its file first, then the quickest.

What ThreadSanitizer cannot judge (seq_cst against acquire and release) is relacy's
(tests/relacy) and spin's (models); --all lists which of it they cover.

Exits with 1 when a mutant survives that tests/weaken/argued.txt says nothing of.
"""
import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import contained  # pylint: disable=wrong-import-position
import ctest_entries  # pylint: disable=wrong-import-position
import orders_source  # pylint: disable=wrong-import-position

ROOT = pathlib.Path(__file__).resolve().parent.parent
ARGUED = ROOT / "tests/weaken/argued.txt"
LIKELY = 3
SLOW = "10"  # Machines are shared, and ThreadSanitizer takes its time.


def say(*words):
    print(*words, flush=True)


@dataclasses.dataclass
class Suite:
    """One entry of ctest: a test program, and its executor."""

    name: str
    command: list
    environment: dict
    seconds: float = None
    hits: dict = None  # By key of the place; None: not recorded yet.
    recorded: float = 0.0  # When: the time of the program then.

    def built(self):
        return os.stat(self.command[0]).st_mtime

    def is_known(self):
        return self.hits is not None and self.recorded == self.built()

    def about(self, words):
        """How many of them are in its name."""
        return len(words & set(self.name.split(".")[0].split("_")))


@dataclasses.dataclass
class Verdict:
    word: str  # killed, argued, survived, not reached, left out
    about: str = ""
    seconds: float = 0.0


class Clock:
    """The time that may be spent."""

    def __init__(self, budget_seconds):
        self.end = None if budget_seconds is None else time.monotonic() + budget_seconds

    def left(self):
        return float("inf") if self.end is None else self.end - time.monotonic()


def words_of(file):
    return set(pathlib.Path(file).stem.split("_"))


def must(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nweaken_orders: {' '.join(command)} failed")
    return done.stdout


class Build:
    """The ThreadSanitizer build, its suites, and what is known of them."""

    def __init__(self, folder, jobs):
        self.folder = folder
        self.table_path = folder / "suites.json"
        self.lock = threading.Lock()
        if not (folder / "CMakeCache.txt").exists():
            generator = ["-G", "Ninja"] if shutil.which("ninja") else []
            must("cmake", "-S", str(ROOT), "-B", str(folder), *generator,
                 "-DCMAKE_C_COMPILER=gcc", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
                 "-DHOCKET_SANITIZE=thread", "-DHOCKET_EXAMPLES=OFF", "-DHOCKET_BENCH=OFF",
                 "-DHOCKET_INSTALL=OFF", "-DCMAKE_C_FLAGS_RELWITHDEBINFO=-O1 -g -DNDEBUG",
                 f"-DCMAKE_PROJECT_hocket_INCLUDE={ROOT / 'tests/weaken/build.cmake'}")
        must("cmake", "--build", str(folder), "--parallel", str(jobs))
        self.prefix = []
        # ThreadSanitizer of gcc 12 cannot live with much address randomisation.
        fixed = ["setarch", platform.machine(), "-R"]
        if shutil.which("setarch") and subprocess.run([*fixed, "true"], check=False).returncode == 0:
            self.prefix = fixed
        self.suites = self.find_suites()
        self.read_table()

    def find_suites(self):
        return [Suite(entry.name, entry.command_without_report(), entry.environment)
                for entry in ctest_entries.entries(self.folder) if "suite" in entry.labels]

    def read_table(self):
        if not self.table_path.exists():
            return
        table = json.loads(self.table_path.read_text(encoding="utf-8"))
        for suite in self.suites:
            if suite.name in table:
                suite.seconds = table[suite.name]["seconds"]
                suite.hits = table[suite.name]["hits"]
                suite.recorded = table[suite.name].get("recorded", 0.0)

    def write_table(self):
        table = {suite.name: {"seconds": suite.seconds, "recorded": suite.recorded,
                              "hits": suite.hits}
                 for suite in self.suites if suite.hits is not None}
        self.table_path.write_text(json.dumps(table, indent=1), encoding="utf-8")

    def run(self, suite, seconds, **more):
        """(passed, what was seen)"""
        environment = {**os.environ, **suite.environment, "HOCKET_TEST_SLOW": SLOW, **more}
        with tempfile.TemporaryDirectory(prefix="hocket-weaken-") as folder:
            with open(pathlib.Path(folder, "output"), "w+", encoding="utf-8",
                      errors="replace") as output:
                status = contained.run([*self.prefix, *suite.command], seconds, cwd=folder,
                                       stdout=output, stderr=subprocess.STDOUT, env=environment)
                output.seek(0)
                text = output.read()
        if "ThreadSanitizer: data race" in text:
            return False, "race"
        if status is None:
            return False, "hangs"
        is_good = status in (0, ctest_entries.SKIPPED)
        return is_good, "" if is_good else f"fails ({status})"

    def record(self, suite):
        """Which places it comes by. False: it fails."""
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="hocket-places-") as folder:
            passed, seen = self.run(suite, 900, HOCKET_WEAKEN_RECORD=folder)
            hits = read_hits(pathlib.Path(folder))
        with self.lock:
            suite.seconds = time.monotonic() - started
            suite.hits = hits if passed else {}
            suite.recorded = suite.built()
            self.write_table()
        if not passed:
            say(f"  {suite.name}: not used, for it {seen} as it is")
        return passed


def read_hits(folder):
    """{key of a place: how often}, of all programs that a suite ran."""
    hits = collections.Counter()
    for path in folder.glob("*.places"):
        lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        counts = path.with_suffix(".hits").read_bytes()
        places = collections.defaultdict(lambda: collections.defaultdict(int))
        for (file, line, function, operation, word, order), (count,) in zip(
                lines, struct.iter_unpack("I", counts)):
            if order.replace("memory_order_", "") in orders_source.WEAKER:
                file = os.path.relpath(file, ROOT)
                places[(file, function, operation, word)][int(line)] += count
        for what, by_line in places.items():
            for number, line in enumerate(sorted(by_line), 1):
                if by_line[line]:
                    hits[";".join([*what, str(number)])] += by_line[line]
    return dict(hits)


class Campaign:
    """The mutants of some files, and what became of them."""

    def __init__(self, build, mutants, options):
        self.build, self.mutants, self.options = build, mutants, options
        self.clock = Clock(options.budget)
        self.argued = orders_source.read_argued(ARGUED)
        self.killers = collections.defaultdict(collections.Counter)  # By file, by suite.
        self.verdicts = {}
        self.unknown = 0  # Suites of which is not known where they come by.

    def record(self):
        """Which suites come by which places, as far as it is not known; with a budget, in half
        of it, the likeliest first."""
        words = set().union(*(words_of(mutant.place.file) for mutant in self.mutants))
        places = {mutant.place.key for mutant in self.mutants
                  if mutant.key not in self.argued
                  and not orders_source.relacy_proof(ROOT, mutant)}
        places -= set().union(*(suite.hits or () for suite in self.build.suites))
        # What was recorded of an older build is good enough unless a place is new.
        is_old = self.options.record or bool(places)
        missing = [suite for suite in self.build.suites
                   if suite.hits is None or (is_old and not suite.is_known())]
        missing.sort(key=lambda suite: -suite.about(words))
        if missing:
            say(f"Recording which places {len(missing)} suites come by")
        share = 0 if self.options.budget is None else self.options.budget / 2

        def one(suite):
            if self.clock.left() > share:
                self.build.record(suite)

        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            list(pool.map(one, missing))
        self.unknown = sum(not suite.is_known() for suite in missing)
        if self.unknown:
            say(f"Left out for want of time: {self.unknown} of {len(self.build.suites)} suites")

    def suites_for(self, mutant):
        killers = self.killers[mutant.place.file]
        words = words_of(mutant.place.file)
        suites = [suite for suite in self.build.suites if suite.hits and
                  suite.hits.get(mutant.place.key)]
        return sorted(suites, key=lambda suite: (-killers[suite.name], -suite.about(words),
                                                 suite.seconds))

    def judge(self, mutant):
        if not self.options.argued and mutant.key in self.argued:
            return Verdict("argued", self.argued[mutant.key])
        suites = self.suites_for(mutant)
        proof = orders_source.relacy_proof(ROOT, mutant)
        if proof:
            suites = suites[:LIKELY]
        if not suites and proof:
            return Verdict("killed", proof)
        if not suites:
            return Verdict("left out" if self.unknown else "not reached")
        started = time.monotonic()
        wish = f"{mutant.place.key};{mutant.choice}"
        tried = 0
        # A race is a matter of luck: the likeliest get more than one chance.
        for suite in suites + suites[:LIKELY] * (self.options.runs - 1):
            if (self.clock.left() <= suite.seconds or
                    time.monotonic() - started > self.options.patience):
                break
            passed, seen = self.build.run(suite, 30 + 8 * suite.seconds, HOCKET_WEAKEN=wish)
            if not passed and (seen == "race" or self.build.run(suite, 900)[0]):
                self.killers[mutant.place.file][suite.name] += 1
                return Verdict("killed", f"{suite.name}: {seen}", time.monotonic() - started)
            tried = min(tried + 1, len(suites))
        if proof:
            return Verdict("killed", proof, time.monotonic() - started)
        has_had_time = self.options.budget is None or tried == len(suites)
        word = "survived" if self.unknown == 0 and has_had_time else "left out"
        return Verdict(word, f"{tried} of {len(suites)} suites", time.monotonic() - started)

    def judge_and_say(self, mutant):
        if self.clock.left() <= 0:
            self.verdicts[mutant.key] = Verdict("left out")
            return
        verdict = self.judge(mutant)
        self.verdicts[mutant.key] = verdict
        say(f"{mutant.place.file}:{mutant.place.line}: {mutant.title}: {verdict.word.upper()}"
            f" {verdict.about} ({verdict.seconds:.0f} s)")

    def run(self):
        self.record()
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            list(pool.map(self.judge_and_say, self.mutants))
        return self.report()

    def report(self):
        counts = collections.Counter(verdict.word for verdict in self.verdicts.values())
        places = len({mutant.place.key for mutant in self.mutants})
        say(f"\n{'order -> weaker':20} {'place':78} verdict")
        for mutant in self.mutants:
            verdict = self.verdicts[mutant.key]
            say(f"{mutant.step:20} {mutant.place.title:78} {verdict.word.upper()} {verdict.about}")
        say(f"\n{places} places, {len(self.mutants)} mutants: " +
            ", ".join(f"{count} {word}" for word, count in sorted(counts.items())))
        bad = [mutant for mutant in self.mutants
               if self.verdicts[mutant.key].word in ("survived", "not reached")
               and mutant.key not in self.argued]
        for mutant in bad:
            say(f"weaken_orders: no test notices {mutant.key}")
        for mutant in self.mutants:
            if mutant.key in self.argued and self.verdicts[mutant.key].word == "killed":
                say(f"weaken_orders: argued, and yet noticed: {mutant.key}")
        return 1 if bad else 0


def base_commit(wish):
    """What the changes are against: the merge base with origin/main, or the commit before. Of a
    history that is not there nothing can be said, which is no success."""
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False)

    def must_git(*words):
        done = git(*words)
        if done.returncode != 0:
            sys.exit(f"weaken_orders: git {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    base = wish
    if not base:
        base = git("merge-base", "HEAD", "origin/main").stdout.strip()
    if not base or base == must_git("rev-parse", "HEAD"):
        base = must_git("rev-parse", "--verify", "HEAD~1")
    return base, must_git("diff", "--name-only", base)


def files_of(options):
    every = orders_source.library_files(ROOT)
    if options.changed is not None:
        base, names = base_commit(options.changed)
        files = [file for file in every if file in names.splitlines()]
        say(f"Changed since {base[:12]}: {' '.join(files) or 'nothing of the library'}")
        return files
    if options.files and not options.all:
        return [str(path.resolve().relative_to(ROOT)) for path in options.files]
    return every


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--all", action="store_true", help="all files of the library (the default)")
    parser.add_argument("--changed", nargs="?", const="", metavar="BASE",
                        help="those changed since BASE (default: since the branch left "
                             "origin/main, or the last commit)")
    parser.add_argument("--budget", type=float, metavar="SECONDS",
                        help="for all, without the build; what is left out is said")
    parser.add_argument("--patience", type=float, metavar="SECONDS", default=float("inf"),
                        help="for one mutant (default: until every suite has passed)")
    parser.add_argument("--runs", type=int, default=4, metavar="N",
                        help=f"of the {LIKELY} likeliest suites (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1),
                        help="at once (default %(default)s)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/weaken",
                        metavar="FOLDER", help="of the build (default build/weaken)")
    parser.add_argument("--record", action="store_true",
                        help="record again which suite comes by which place")
    parser.add_argument("--argued", action="store_true", help="try the argued ones, too")
    parser.add_argument("--only", metavar="TEXT", help="mutants with this in their name")
    parser.add_argument("--list", action="store_true", help="print the mutants and exit")
    return parser.parse_args()


def main():
    options = parse_arguments()
    contained.end_all_when_stopped()
    files = files_of(options)
    mutants = [mutant for file in files for mutant in orders_source.mutants_of(ROOT, file)
               if options.only is None or options.only in mutant.key]
    stale = orders_source.stale_arguments(ROOT, ARGUED)
    for key in stale:
        say(f"weaken_orders: {ARGUED.name} speaks of what there is not: {key}")
    if options.list:
        for mutant in mutants:
            say(f"{mutant.place.file}:{mutant.place.line}: {mutant.title}")
        return 0
    status = 0
    if mutants:
        started = time.monotonic()
        status = Campaign(Build(options.build.resolve(), options.jobs), mutants, options).run()
        say(f"after {time.monotonic() - started:.0f} s")
    if options.changed is None and not options.files:
        say("\nClaimed to need seq_cst:")
        for line in orders_source.claims(ROOT, files):
            say(line)
    return 1 if stale else status


if __name__ == "__main__":
    sys.exit(main())
