#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The program hocket-logs as a whole: its answers, its errors, its limits.

Answers are compared with those of the generator, which counts while it writes.
"""

import codecs
import csv
import gzip
import io
import json
import os
import pathlib
import pty
import re
import resource
import shutil
import signal
import subprocess
import unittest

import program
from program import EXECUTORS, OPTIONS, REPORTS, Line, Samples, answer
from program import knows_inflate, rows, run


def latin1_one_by_one(error):
    """How the program writes bytes as JSON that are not UTF-8."""
    return error.object[error.start : error.start + 1].decode("latin-1"), error.start + 1


codecs.register_error("latin1_one_by_one", latin1_one_by_one)


class Answers(Samples):
    def test_every_report_has_the_generators_answer(self):
        for name in self.samples:
            for report in REPORTS:
                self.check(name, report)

    def test_every_executor_gives_the_same_output(self):
        paths = [self.logs("odd"), self.samples["odd"] / "odd", self.logs("plain")]
        for report in REPORTS:
            for style in [["--json"], ["--csv"], []]:
                seen = set()
                for spec in EXECUTORS:
                    done = run(*REPORTS[report], *style, "-e", spec, *paths)
                    self.assertEqual(done.returncode, 1, (spec, done.stderr))
                    seen.add((done.stdout, done.stderr))
                self.assertEqual(len(seen), 1, (report, style))

    def test_every_inflate_library_gives_the_same_output(self):
        names = [n for n in ["auto", "zlib", "isal", "libdeflate"] if knows_inflate(n)]
        self.assertIn("zlib", names)
        seen = {
            run("status", "--inflate", n, self.logs("odd"), self.samples["odd"] / "odd").stdout
            for n in names
        }
        self.assertEqual(len(seen), 1)

    def test_a_plain_file_may_be_cut_anywhere(self):
        for size in ["1", "97"]:
            path = self.folder / "short.log"
            path.write_bytes((self.logs("common") / "0000.log.gz").read_bytes()[:0])
            text = gzip.decompress((self.logs("common") / "0000.log.gz").read_bytes())[:5000]
            path.write_bytes(text)
            whole = run("status", "--csv", path)
            cut = run("status", "--csv", "--slice-bytes", size, "-e", "threads:4", path)
            self.assertEqual(whole.stdout, cut.stdout)
            self.assertEqual(whole.stderr, cut.stderr)
        for size in ["4096", "65537", "1000003"]:
            for report in REPORTS:
                self.check("plain", report, "--slice-bytes", size, "-e", "threads:4")
                self.check("plain", report, "--slice-bytes", size, "-e", "processes:4")

    def test_top_has_as_many_rows_as_asked_for(self):
        whole = answer("hosts", self.logs("odd"))
        self.assertGreater(len(whole), 100)
        for count in [1, 10, 100]:
            self.assertEqual(answer("hosts", "-n", count, self.logs("odd")), whole[:count])
        default = run("top", "hosts", "--csv", self.logs("odd"))
        self.assertEqual(default.stdout.count(b"\n"), 11)

    def test_json_tells_what_csv_tells(self):
        for report in REPORTS:
            done = run(*REPORTS[report], "--json", self.logs("odd"))
            answer_json = json.loads(done.stdout)
            lines, requests, malformed = (
                int(n) for n in self.expected("odd", "lines").split()[1].split(b",")
            )
            self.assertTrue(answer_json["complete"])
            self.assertEqual(answer_json["files"], 7)
            self.assertEqual(answer_json["files_failed"], 0)
            self.assertEqual(answer_json["lines"], lines)
            self.assertEqual(answer_json["requests"], requests)
            self.assertEqual(sum(k["count"] for k in answer_json["malformed"]), malformed)
            text = self.expected("odd", report).decode("utf-8", "latin1_one_by_one")
            if report == "robots":
                self.assertEqual(answer_json["hosts"], text.splitlines())
            elif report == "bytes":
                values = dict(zip(*csv.reader(io.StringIO(text))))
                self.assertEqual(answer_json["bytes"], int(values["bytes"]))
                self.assertEqual(answer_json["largest"], int(values["largest"]))
                self.assertEqual(answer_json["with_size"], int(values["with_size"]))
            else:
                key = {"status": "status", "hourly": "hour"}.get(report, "name")
                expected = list(csv.reader(io.StringIO(text, newline="")))[1:]
                got = [[str(row[key]), str(row["count"])] for row in answer_json["rows"]]
                self.assertEqual(got, expected)

    def test_text_has_all_rows_and_no_control_characters(self):
        for report in REPORTS:
            done = run(*REPORTS[report], self.logs("odd"))
            self.assertIsNone(re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", done.stdout), report)
        status = run("status", self.logs("odd")).stdout.split()
        for name, count in rows(answer("status", self.logs("odd"))).items():
            self.assertIn(name.encode(), status)
            self.assertIn(str(count).encode(), status)

    def test_malformed_lines_are_told_by_kind(self):
        done = run("status", self.logs("odd"))
        malformed = self.expected("odd", "lines").split()[1].split(b",")[2]
        self.assertIn(malformed + b" of ", done.stderr)
        self.assertIn(b"fields missing before the time, such as: ", done.stderr)
        self.assertIn(b"line longer than 1 MiB, such as: ", done.stderr)
        self.assertEqual(run("status", "-q", self.logs("odd")).stderr, b"")


class Filters(Samples):
    def lines(self, *filters):
        """Good lines of the common sample that pass all filters, which are functions."""
        text = b"".join(
            gzip.decompress(p.read_bytes()) for p in sorted(self.logs("common").iterdir())
        )
        found = [Line(line) for line in text.splitlines()]
        return sum(all(f(line) for f in filters) for line in found)

    def count(self, *arguments):
        done = run("status", "--csv", *arguments, self.logs("common"))
        self.assertEqual(done.returncode, 0)
        return sum(rows(done.stdout.splitlines()[1:]).values())

    def test_each_kind_and_all_together(self):
        day = "2024-02-29"
        in_day = lambda line: line.hour.startswith(day)
        in_four = lambda line: line.status.startswith("4")
        in_section = lambda line: (line.path or b"").startswith(b"/section-3/")
        for arguments, filters in [
            (["-f", "time=" + day], [in_day]),
            (["-f", f"time={day}T00:00:00..2024-03-01"], [in_day]),
            (["-f", "status=4xx"], [in_four]),
            (["-f", "status=404", "-f", "status=206"], [lambda x: x.status in ("404", "206")]),
            (["-f", "path=/section-3/"], [in_section]),
            (
                ["-f", "time=" + day, "-f", "status=4xx", "-f", "path=/section-3/"],
                [in_day, in_four, in_section],
            ),
            (["-f", "time=2023-01-01"], [lambda line: False]),
        ]:
            self.assertEqual(self.count(*arguments), self.lines(*filters), arguments)

    def test_they_travel_with_the_work(self):
        seen = {
            run("top", "paths", "-e", spec, "-f", "status=4xx", self.logs("odd")).stdout
            for spec in EXECUTORS
        }
        self.assertEqual(len(seen), 1)


class OddFiles(Samples):
    def test_each_gives_its_lines_and_its_one_error(self):
        with open(self.samples["odd"] / "expected-odd.csv", newline="") as file:
            expected = list(csv.DictReader(file))
        self.assertGreater(len(expected), 12)
        for case in expected:
            path = self.samples["odd"] / "odd" / case["file"]
            for spec in ["inline", "threads:4"]:
                done = run("status", "--csv", "-e", spec, path)
                lines = sum(rows(done.stdout.splitlines()[1:]).values())
                self.assertEqual(lines, int(case["lines"]), case)
                self.assertEqual(done.stderr.count(b"\n"), int(case["error"]), done.stderr)
                self.assertEqual(done.stderr.count(bytes(path)), int(case["error"]))
                self.assertEqual(done.returncode, int(case["error"]), case)

    def test_errors_come_in_the_order_of_the_input(self):
        paths = [self.folder / f"missing-{i}" for i in range(30)]
        done = run("status", "-e", "threads:4", *paths)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(
            done.stderr.decode().splitlines(),
            [f"hocket-logs: {p}: cannot look at it: No such file or directory" for p in paths],
        )

    def test_what_cannot_be_read_does_not_stop_the_rest(self):
        # Of a size that is not 0, and yet no byte of it can be read.
        whole = run("status", "--csv", self.logs("common"))
        for bad in ["/dev/null", "/proc/self/mem", self.folder / "nowhere"]:
            done = run("status", "--csv", bad, self.logs("common"))
            self.assertEqual(done.returncode, 1, bad)
            self.assertEqual(done.stdout, whole.stdout)
            self.assertEqual(done.stderr.count(b"\n"), 1)
            self.assertIn(str(bad).encode(), done.stderr)

    def test_small_oddities(self):
        good = b'h - - [29/Feb/2024:10:00:00 +0100] "GET /robots.txt HTTP/1.1" 200 5'
        for text, hosts in [
            (b"", b""),
            (b"\n\n", b""),
            (good, b"h\n"),
            (good + b"\n", b"h\n"),
            (good + b"\r\n", b"h\n"),
            (b"\r\n" + good + b"\r", b"h\n"),
            (b"\0" * 3000 + b"\n" + good, b"h\n"),
            (good + b" " + b"x" * (1 << 16), b"h\n"),
            (b"x" * (3 << 20) + b"\n" + good, b"h\n"),
            (good + b' "-" "' + b"\\" * 100001 + b'"\n', b"h\n"),
        ]:
            for name, data in [("a.log", text), ("a.log.gz", gzip.compress(text))]:
                path = self.folder / name
                path.write_bytes(data)
                done = run("robots", "--slice-bytes", "1000000", path)
                self.assertEqual((done.returncode, done.stdout), (0, hosts), text[:80])


class Folders(Samples):
    def test_descriptors_stay_bounded(self):
        folder = self.folder / "many"
        deep = folder
        deep.mkdir()
        text = b'h - - [29/Feb/2024:10:00:00 +0100] "GET / HTTP/1.1" 200 5\n'
        count = 0
        # Deeper than the folders that may be open, with files on the way back up.
        for level in range(40):
            for i in range(8):
                (deep / f"{i}.log").write_bytes(text)
                (deep / f"{i}.log.gz").write_bytes(gzip.compress(text))
                count += 2
            deep = deep / f"level-{level}"
            deep.mkdir()
        for spec in ["inline", "threads:4"]:
            done = run(
                "status",
                "--csv",
                "-e",
                spec,
                folder,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)),
            )
            self.assertEqual(done.stderr, b"")
            self.assertEqual(done.stdout, b"status,count\n200,%d\n" % count)

    def test_links_are_followed_only_where_given(self):
        folder = self.folder / "links"
        folder.mkdir()
        shutil.copy(self.logs("common") / "0000.log.gz", folder)
        whole = run("status", "--csv", folder)
        (folder / "loop").symlink_to(folder)
        (folder / "again.log.gz").symlink_to("0000.log.gz")
        (folder / "dangling").symlink_to("nowhere")
        os.mkfifo(folder / "fifo")
        self.assertEqual(run("status", "--csv", folder).stdout, whole.stdout)
        link = self.folder / "link"
        link.symlink_to(folder)
        done = run("status", "--csv", link)
        self.assertEqual((done.returncode, done.stdout), (0, whole.stdout))
        done = run("status", folder / "dangling", folder / "fifo")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.count(b"\n"), 2)

    def test_memory_stays_bounded(self):
        if int(os.environ.get("HOCKET_TEST_SLOW", "1")) > 1:
            self.skipTest("a sanitizer takes memory of its own")
        line = (
            b'192.0.2.%d - - [29/Feb/2024:10:00:00 +0100] "GET /%d HTTP/1.1" 200 5 "-" "%b"\n'
        )
        text = b"".join(line % (i % 200, i % 1000, b"x" * (i % 90)) for i in range(10000))
        path = self.folder / "large.log.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            for _ in range(150):
                file.write(text)
        names = [n for n in ["auto", "zlib", "isal", "libdeflate"] if knows_inflate(n)]
        for name in names:
            command = ["status", "--inflate", name, "-e", "threads:2", path, path, path, path]
            process = subprocess.Popen(
                [OPTIONS.program, *map(str, command)], stdout=subprocess.DEVNULL
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            self.assertLess(usage.ru_maxrss, 64 << 10, name)


class Processes(Samples):
    def test_standard_input_is_not_theirs_and_that_is_said(self):
        with open(self.logs("common") / "0000.log.gz", "rb") as log:
            done = run("status", "-e", "processes:2", "/dev/stdin", stdin=log)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"/dev/stdin: no file in the process that is to read it", done.stderr)

    def lost(self, done):
        match = re.search(rb"hocket-logs: chaos: (\d+) worker processes were lost on the way\n\Z", done.stderr)
        self.assertIsNotNone(match, done.stderr)
        return int(match[1]), done.stderr[: match.start()]

    def test_chaos_changes_nothing_but_the_time(self):
        paths = [self.logs("odd"), self.samples["odd"] / "odd", self.logs("plain")]
        rounds = [("processes:2", "--chaos=3"), ("processes:4", "--chaos")] * 5
        for report in ["robots", "paths"]:
            arguments = [*REPORTS[report], "--json", "--slice-bytes", "65537"]
            whole = run(*arguments, "-e", "inline", *paths)
            for spec, chaos in rounds + [("processes:2", "--chaos=1")]:
                done = run(*arguments, "-e", spec, chaos, *paths)
                lost, rest = self.lost(done)
                self.assertEqual(done.returncode, whole.returncode)
                self.assertEqual(done.stdout, whole.stdout, (report, spec, chaos))
                self.assertEqual(rest, whole.stderr)
                # Cut so, the plain sample alone makes over 80 units.
                self.assertGreaterEqual(lost, {"--chaos=1": 80, "--chaos=3": 26}.get(chaos, 8))

    def test_chaos_that_hits_nothing_loses_nothing(self):
        done = run("status", "-e", "processes:2", f"--chaos={2**32 - 1}", self.logs("common"))
        self.assertEqual(self.lost(done)[0], 0)

    def test_chaos_brings_enough_retries_of_its_own(self):
        for spec in ["processes:2?retries=0", "processes:2?name=odd&retries=1"]:
            done = run("status", "--csv", "-e", spec, "--chaos=1", self.logs("common"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(self.lost(done)[0], 0)


class CommandLine(Samples):
    def check_usage(self, needle, *arguments):
        done = run(*arguments)
        self.assertEqual(done.returncode, 2, arguments)
        self.assertEqual(done.stdout, b"")
        self.assertIn(needle.encode(), done.stderr)

    def test_wrong_usage_is_explained(self):
        log = self.logs("common")
        self.check_usage("no report given")
        self.check_usage("no files or folders given", "status")
        self.check_usage("unknown report 'foo'; reports are robots, top hosts", "foo", log)
        self.check_usage("unknown report 'top foo'", "top", "foo", log)
        self.check_usage("top of what?", "top")
        self.check_usage("executor 'nonsense:4'", "status", "-e", "nonsense:4", log)
        self.check_usage("executor 'threads:x'", "status", "-e", "threads:x", log)
        self.check_usage("filter 'color=red'", "status", "-f", "color=red", log)
        self.check_usage("filter 'time=yesterday'", "status", "-f", "time=yesterday", log)
        self.check_usage("cannot inflate with 'rar'", "status", "--inflate", "rar", log)
        self.check_usage("not 'many'", "top", "hosts", "-n", "many", log)
        self.check_usage("not '-1'", "top", "hosts", "-n", "-1", log)
        self.check_usage("unrecognized option", "status", "--colour", log)
        self.check_usage("--chaos kills worker processes", "status", "--chaos", log)
        self.check_usage(
            "executor 'threads:2' has none", "status", "--chaos=5", "-e", "threads:2", log
        )
        self.check_usage("not '0'", "status", "--chaos=0", "-e", "processes", log)

    def test_help_and_version(self):
        for arguments in [["--help"], ["--version"], ["--usage"]]:
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, b""))
        text = run("--help").stdout.decode()
        for word in ["robots", "top referrers", "hourly", "status=4xx", "130", "--executor"]:
            self.assertIn(word, text)
        for line in text.splitlines():
            self.assertLess(len(line), 81)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            for style in [[], ["--csv"], ["--json"]]:
                done = subprocess.run(
                    [OPTIONS.program, "status", *style, self.logs("common")],
                    stdout=full,
                    stderr=subprocess.PIPE,
                )
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"cannot write the report: No space left", done.stderr)


class Interrupt(Samples):
    """Ctrl-C in the middle of a file that never ends: 1 TiB of zero bytes, without a
    single block on the disk."""

    def setUp(self):
        self.endless = self.folder / "endless.log"
        with open(self.endless, "wb") as file:
            file.truncate(1 << 40)

    def start(self, *arguments, **keywords):
        return subprocess.Popen(
            [OPTIONS.program, *map(str, arguments)], stdout=subprocess.PIPE, **keywords
        )

    @classmethod
    def bytes_read(cls, pid):
        """By a process and all its descendants, as the kernel counts them."""
        try:
            text = pathlib.Path(f"/proc/{pid}/io").read_text()
            total = int(re.search(r"rchar: (\d+)", text)[1])
            for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                total += sum(cls.bytes_read(child) for child in path.read_text().split())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return 0  # It has just ended.
        return total

    @classmethod
    def wait_until_read(cls, process, size):
        while process.poll() is None and cls.bytes_read(process.pid) < size:
            os.sched_yield()

    def test_what_was_done_is_printed(self):
        whole = answer("status", self.logs("common"))
        for spec, number in [("inline", signal.SIGINT), ("inline", signal.SIGTERM)]:
            process = self.start(
                "status", "--csv", "-e", spec, self.logs("common"), self.endless,
                stderr=subprocess.PIPE,
            )
            self.wait_until_read(process, 64 << 20)
            process.send_signal(number)
            out, err = process.communicate(timeout=300)
            self.assertEqual(process.returncode, 130, err)
            self.assertEqual(out.splitlines()[1:], whole)
            self.assertIn(b"interrupted: the report covers", err)
            self.assertNotIn(b"missing", err)

    def check_stops(self, *arguments):
        process = self.start(
            "status", "--json", *arguments, self.logs("common"), self.endless,
            stderr=subprocess.PIPE, start_new_session=True,
        )
        self.wait_until_read(process, 64 << 20)
        # As a terminal does it: to all of the foreground.
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 130, err)
        self.assertFalse(json.loads(out)["complete"])
        self.assertGreater(json.loads(out)["requests"], 0)
        self.assertNotIn(b"missing", err)
        return err

    def test_workers_stop_too(self):
        for spec in ["threads:4", "processes:1", "processes:4"]:
            for size in [1 << 20, 1 << 41]:
                self.check_stops("-e", spec, "--slice-bytes", size)

    def test_chaos_is_stopped_too(self):
        for size in [1 << 20, 1 << 41]:
            err = self.check_stops("-e", "processes:2", "--chaos=2", "--slice-bytes", size)
            self.assertIn(b"worker processes were lost", err)

    def test_a_terminal_sees_the_progress(self):
        for spec in ["threads:2", "processes:2"]:
            # Also within a unit.
            self.check_progress("-e", spec, "--slice-bytes", 8 << 20)
            self.check_progress("-e", spec, "--slice-bytes", 1 << 41)

    def check_progress(self, *arguments):
        ours, theirs = pty.openpty()
        process = self.start("status", *arguments, self.endless, stderr=theirs)
        os.close(theirs)
        shown = b""
        while not re.search(rb"% \[.*\] .* of 1\.1 TB, .*/s, .* left", shown):
            shown += os.read(ours, 4096)
        process.send_signal(signal.SIGINT)
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:
            pass  # The terminal is closed at the other end.
        process.communicate(timeout=300)
        os.close(ours)
        self.assertEqual(process.returncode, 130)
        self.assertIn(b"interrupted", shown)

    def test_no_terminal_sees_none(self):
        done = run("status", "-q", self.logs("common"))
        self.assertEqual(done.stderr, b"")


if __name__ == "__main__":
    program.main()
