# SPDX-License-Identifier: MIT
"""What the tests of hocket-logs share: running it, reading its answers, and another
way of reading a log line."""

import argparse
import csv
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

OPTIONS = argparse.Namespace()
csv.field_size_limit(1 << 24)
REPORTS = {
    "robots": ["robots"],
    "hosts": ["top", "hosts", "-n", "0"],
    "paths": ["top", "paths", "-n", "0"],
    "agents": ["top", "agents", "-n", "0"],
    "referrers": ["top", "referrers", "-n", "0"],
    "status": ["status"],
    "hourly": ["hourly"],
    "bytes": ["bytes"],
}
EXECUTORS = [
    "inline",
    "threads",
    "threads:1",
    "threads:2",
    "threads:4",
    "threads:2?roundtrip=1",
    "processes:1",
    "processes:4",
]


def run(*arguments, **keywords):
    return subprocess.run(
        [OPTIONS.program, *map(str, arguments)], capture_output=True, timeout=300, **keywords
    )


def knows_inflate(name):
    return run("status", "--inflate", name, os.devnull).returncode != 2


def answer(report, *arguments):
    """The lines of an answer in CSV, without its header; robots as plain text."""
    style = [] if report == "robots" else ["--csv"]
    done = run(*REPORTS[report], *style, *arguments)
    lines = done.stdout.split(b"\n")
    assert lines.pop() == b""
    return lines if report == "robots" else lines[1:]


def rows(lines):
    """Rows of CSV as a dictionary from name to count; bytes are kept by Latin-1."""
    text = b"\n".join(lines).decode("latin-1")
    return {name: int(count) for name, count in csv.reader(io.StringIO(text, newline=""))}


class Samples(unittest.TestCase):
    """A folder with generated logs, made once for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="hocket_logs_"))
        cls.samples = {}
        for name, arguments in {
            "odd": ["--odd", "--gzip", "--seed", "7", "--lines", "20000", "--files", "7"],
            "plain": ["--odd", "--seed", "8", "--lines", "20000", "--files", "3"],
            "common": ["--format", "common", "--lines", "5000", "--gzip"],
        }.items():
            cls.samples[name] = cls.folder / name
            subprocess.run([OPTIONS.sample, *arguments, cls.samples[name]], check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def logs(self, name):
        return self.samples[name] / "logs"

    def expected(self, name, report):
        suffix = "txt" if report == "robots" else "csv"
        return (self.samples[name] / f"expected-{report}.{suffix}").read_bytes()

    def check(self, name, report, *arguments):
        style = [] if report == "robots" else ["--csv"]
        done = run(*REPORTS[report], *style, *arguments, self.logs(name))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, self.expected(name, report), (name, report, arguments))


class Line:
    """One line, taken apart by a regular expression."""

    PATTERN = re.compile(
        rb"[ \t]*(\S+)[ \t]+(\S+)[ \t]+([^\s\"][^\"]*?)[ \t]+"
        rb"\[([0-2]\d|3[01])/(\w\w\w)/(\d{4}):([01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)"
        rb"[ \t][+-]\d{4}\][ \t]*"
        rb'"((?:[^"\\]|\\.)*)"[ \t]+(\d\d\d)[ \t]+(\d+|-)(?:[ \t](.*))?\Z',
        re.DOTALL,
    )
    MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    # A line may be cut off inside its last field.
    QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)(?:"|\Z)', re.DOTALL)

    def __init__(self, text):
        text = text[:-1] if text.endswith(b"\r") else text
        match = self.PATTERN.match(text)
        self.is_good = match is not None and match[5].decode() in self.MONTHS
        if not self.is_good:
            return
        host, ident, user, day, month, year, hour, request, status, size, tail = match.groups()
        has_virtual_host = ident != b"-" and user.startswith(b"- ")
        self.host = ident if has_virtual_host else host
        number = self.MONTHS.index(month.decode()) + 1
        self.hour = f"{year.decode()}-{number:02}-{day.decode()}T{hour.decode()}"
        self.status = status.decode()
        self.size = 0 if size == b"-" else int(size)
        words = re.match(
            rb"[A-Za-z_-]+[ \t]+(\S.*?)[ \t]+HTTP/\S*\Z|[A-Z]+[ \t]+(/.*)\Z", request, re.DOTALL
        )
        self.path = (words[1] or words[2]) if words else None
        fields = self.QUOTED.findall(tail or b"") + [b"-", b"-"]
        self.referrer, self.agent = fields[:2]


def main(why_not=lambda: None):
    """Runs the tests of the calling script; none if why_not() gives a reason: then the status
    is 77, by which ctest knows."""
    parser = argparse.ArgumentParser(description="Tests hocket-logs.")
    parser.add_argument("--program", required=True, help="hocket-logs")
    parser.add_argument("--sample", required=True, help="hocket-logs-sample")
    parser.add_argument("--root", required=True, help="root of the project")
    _, rest = parser.parse_known_args(namespace=OPTIONS)
    reason = why_not()
    if reason is not None:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
