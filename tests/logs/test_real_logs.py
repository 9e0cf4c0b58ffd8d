#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hocket-logs over real logs, counted here by other means: awk, regular expressions.

The logs are those of HOCKET_SHARED_DATA, or of shared/data beside the project; without
them these tests say so and are skipped (77).
"""

import collections
import gzip
import os
import pathlib
import subprocess
import unittest
import zlib

import program
from program import EXECUTORS, OPTIONS, Line, answer, rows, run


def data_folder():
    """Where the real logs are, if they are."""
    beside = pathlib.Path(OPTIONS.root).parent / "shared" / "data"
    return pathlib.Path(os.environ.get("HOCKET_SHARED_DATA", beside)) / "weblogs"


def why_not():
    """Why these tests cannot run, or None."""
    data = data_folder()
    return None if data.is_dir() else f"no real logs at {data}: generated ones only"


class RealLogs(unittest.TestCase):
    """Real logs, counted in another way."""

    @classmethod
    def setUpClass(cls):
        cls.data = data_folder()

    CLEAN = ["elastic-2015.log.gz", "dabeaz-2008.log.gz", "almhuette-2019.log.gz"]

    def clean(self):
        """Files in which blanks alone tell the fields, as awk sees them."""
        return [self.data / "original" / name for name in self.CLEAN] + [self.data / "daily"]

    def text(self, paths):
        files = [f for p in paths for f in (sorted(p.rglob("*.gz")) if p.is_dir() else [p])]
        return b"".join(gzip.decompress(f.read_bytes()) for f in files)

    def test_awk_counts_the_same(self):
        paths = self.clean()
        text = self.text(paths)
        environment = dict(os.environ, LC_ALL="C")

        def awk(program, sort):
            done = subprocess.run(
                f"awk '{program}' | {sort}", shell=True, input=text, env=environment,
                capture_output=True, check=True,
            )
            return done.stdout.splitlines()

        for spec in EXECUTORS:
            self.assertEqual(
                answer("robots", "-e", spec, *paths),
                awk('$7 == "/robots.txt" { print $1 }', "sort -u"),
            )
            self.assertEqual(
                answer("hosts", "-e", spec, *paths),
                awk('{ n[$1]++ } END { for (h in n) print h "," n[h] }', "sort -t, -k2,2nr -k1,1"),
            )
            self.assertEqual(
                answer("status", "-e", spec, *paths),
                awk('{ n[$9]++ } END { for (s in n) print s "," n[s] }', "sort"),
            )
        # Not %d, which some awks end at the largest int.
        total = awk('{ if ($10 != "-") s += $10 } END { printf "%.0f\\n", s }', "cat")
        self.assertEqual(answer("bytes", *paths)[0].split(b",")[2], total[0])

    def test_regular_expressions_count_the_same(self):
        originals = sorted((self.data / "original").iterdir())
        lines = self.data / "odd" / "lines.log.gz"
        for paths in [[p] for p in originals + [lines]] + [self.clean()]:
            found = [Line(line) for line in self.text(paths).split(b"\n")]
            good = [line for line in found if line.is_good]
            self.assertGreater(len(good), 0)
            text = lambda values: collections.Counter(
                v if isinstance(v, str) else v.decode("latin-1") for v in values
            )
            robots = {line.host for line in good if line.path == b"/robots.txt"}
            self.assertEqual(answer("robots", *paths), sorted(robots), paths)
            self.assertEqual(rows(answer("hosts", *paths)), text(x.host for x in good), paths)
            self.assertEqual(rows(answer("status", *paths)), text(x.status for x in good), paths)
            self.assertEqual(rows(answer("hourly", *paths)), text(x.hour for x in good), paths)
            self.assertEqual(
                rows(answer("paths", *paths)), text(x.path or b"-" for x in good), paths
            )
            self.assertEqual(rows(answer("agents", *paths)), text(x.agent for x in good), paths)
            self.assertEqual(
                rows(answer("referrers", *paths)), text(x.referrer for x in good), paths
            )
            sizes = answer("bytes", *paths)[0].split(b",")
            self.assertEqual(int(sizes[2]), sum(x.size for x in good), paths)

    @staticmethod
    def inflate_all(data):
        """All that can be inflated, and whether all is well, a byte at a time."""
        text = b""
        while True:
            member = zlib.decompressobj(31)
            try:
                for i in range(len(data)):
                    text += member.decompress(data[i : i + 1])
                    if member.eof:
                        break
            except zlib.error:
                return text, False
            if not member.eof:
                return text, False
            data = data[i + 1 :]
            if data.strip(b"\0") == b"":
                return text, True

    def test_every_odd_file_gives_its_data_and_its_one_error(self):
        files = sorted((self.data / "odd").iterdir())
        self.assertGreater(len(files), 10)
        for path in files:
            data = path.read_bytes()
            text, is_whole = self.inflate_all(data) if data else (b"", False)
            good = [x for x in map(Line, text.split(b"\n")) if x.is_good]
            for spec in ["inline", "threads:1", "threads:4"]:
                done = run("robots", "-q", "-e", spec, path)
                robots = sorted({x.host for x in good if x.path == b"/robots.txt"})
                self.assertEqual(done.stdout.splitlines(), robots, path)
                self.assertEqual(done.returncode, 0 if is_whole else 1, path)
                self.assertEqual(done.stderr.count(b"\n"), 0 if is_whole else 1, done.stderr)
            counts = collections.Counter(x.status for x in good)
            self.assertEqual(rows(answer("status", path)), counts, path)


if __name__ == "__main__":
    program.main(why_not)
