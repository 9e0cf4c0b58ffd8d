#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fails unless an example does, prints and ends as it says.

Each example has a class below; its tests run the program with arguments, and with signals,
clients and files where it is about these. Nothing here depends on how fast the machine is.

Usage: test_examples.py PROGRAM EXAMPLES_FOLDER [TEST...]
The name of the class is that of PROGRAM: crawler has class Crawler.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path()
EXAMPLES = pathlib.Path()
WATCHDOG = 120 * int(os.environ.get("HOCKET_TEST_SLOW", "1"))


class Example(unittest.TestCase):
    """What all of them have in common. Sanitizers speak on standard error, so it is read too."""

    def start(self, *arguments):
        process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def finish(self, process, code):
        out, err = process.communicate(timeout=WATCHDOG)
        self.assertEqual(process.returncode, code, f"{out}\n{err}")
        self.assertNotIn("Sanitizer", err)
        self.assertNotIn("runtime error", err)
        return out, err

    def run_with(self, *arguments, code=0):
        return self.finish(self.start(*arguments), code)

    def assert_lines(self, out, *patterns):
        """Each pattern fits a whole line, in this order."""
        lines = iter(out.splitlines())
        for pattern in patterns:
            self.assertTrue(any(re.fullmatch(pattern, line) for line in lines),
                            f"no line {pattern!r} in its place in:\n{out}")

    def check_help(self, *options):
        out, err = self.run_with("--help")
        self.assertTrue(out.startswith(f"usage: {PROGRAM.name}"), out)
        self.assertEqual(err, "")
        for option in options:
            self.assertIn(option, out)
        out, err = self.run_with("--no-such-option", code=2)
        self.assertEqual(out, "")
        self.assertIn("usage: ", err)


class FuturesPort(Example):
    def test_help(self):
        self.check_help()

    def test_prints_what_the_script_prints(self):
        out, _ = self.run_with()
        script = subprocess.run([sys.executable, EXAMPLES / "futures_port.py"], check=True,
                                stdout=subprocess.PIPE, text=True, timeout=WATCHDOG)
        self.assertEqual(out, script.stdout)
        self.assert_lines(out, "primes: 95 168 .*", "a worker died", "after the crash: 25",
                          "shut down: 5 of 5 cancelled; let go")


class Primes(Example):
    # In the order of the program's list.
    VERDICTS = (("1999999973", "prime", "-"), ("1998999983", "prime", "-"),
                ("1998000601", "composite", "44699"), ("1981993063", "composite", "991"),
                ("1979293039", "composite", "43997"), ("1799310011", "composite", "29989"),
                ("1499999957", "prime", "-"), ("49", "composite", "7"), ("2", "prime", "-"),
                ("1", "neither", "-"))

    def test_help(self):
        out, err = self.run_with("--help")
        self.assertIn("--quick", out)
        self.assertEqual(err, "")
        _, err = self.run_with("--workers", "0", code=64)
        self.assertIn("workers must be a number from 1", err)

    def test_all_ways_find_the_same_factors(self):
        for workers in "1", "2":
            out, err = self.run_with("--quick", "--workers", workers)
            self.assertEqual(err, "")
            self.assert_lines(out, *(rf" *{' +'.join(row)}( +[0-9.]+){{3}}"
                                     for row in self.VERDICTS), r"All agree\.")
            self.assertEqual(len(out.splitlines()), len(self.VERDICTS) + 4)


class BuildTool(Example):
    def build(self, text, *arguments, code=0):
        with tempfile.NamedTemporaryFile("w", suffix=".build") as file:
            file.write(text)
            file.flush()
            return self.run_with("-f", file.name, *arguments, code=code)

    def test_help(self):
        self.check_help("--jobs", "--keep-going", "--file", "--break")

    def test_a_target_is_built_after_what_it_needs(self):
        for jobs in "1", "2", "8":
            out, err = self.run_with("-j", jobs)
            self.assertEqual(err, "")
            for name in "list.c", "hash.c":
                self.assert_lines(out, "writing config.h", f"compiling {name}", "packing lib.a",
                                  "linking app", "testing app")
            self.assert_lines(out, "compiling main.c", "linking app")
            self.assert_lines(out, "10 built, 0 failed, 0 skipped, 0 cancelled")

    def test_the_first_failure_cancels_the_rest(self):
        out, _ = self.build("bad:\n\texit 7\nlong:\n\tsleep 3600\nall: bad long\n", "-j", "2",
                            code=1)
        self.assert_lines(out, "failed bad: the command ended with 7",
                          "0 built, 1 failed, 0 skipped, 2 cancelled")

    def test_keeping_going_builds_what_does_not_need_the_failed_one(self):
        out, _ = self.run_with("-k", "--break", "lib.a", code=1)
        self.assert_lines(out, "failed lib.a: the command ended with 3",
                          'skipped app: "lib.a" was not built',
                          "6 built, 1 failed, 3 skipped, 0 cancelled")
        self.assertIn("compiling parse.c", out)
        self.assertIn("writing the manual", out)
        self.assertNotIn("linking app", out)

    def test_an_interrupt_stops_commands_and_cancels_the_rest(self):
        with tempfile.TemporaryDirectory() as folder:
            begun = f"{folder}/begun"
            os.mkfifo(begun)
            rules = pathlib.Path(f"{folder}/rules")
            rules.write_text(f"long:\n\techo begun > {begun}; sleep 3600\nlast: long\n")
            process = self.start("-f", str(rules))
            pathlib.Path(begun).read_text()  # until the command writes
            process.send_signal(signal.SIGINT)
            out, _ = self.finish(process, 130)
        self.assert_lines(out, "0 built, 0 failed, 0 skipped, 2 cancelled",
                          "stopped: interrupted")

    def test_bad_graphs_are_refused_before_anything_runs(self):
        for text, why in (("a: b\nb: a\n", '"b" and "a" need each other'),
                          ("a: b\n", 'no rule for "b", which "a" needs'),
                          ("\techo\n", "line 1: a command without a target"),
                          ("a:\na:\n", 'line 2: a second rule for "a"'),
                          ("a\n", 'line 1: expected "target: needs", got "a"')):
            out, err = self.build(text, code=2)
            self.assertEqual(out, "")
            self.assertIn(why, err)
        for jobs in "0", "x", "-1", "257":
            self.run_with("-j", jobs, code=2)


class WorkerService(Example):
    def ask(self, port, line):
        with socket.create_connection(("127.0.0.1", port), timeout=WATCHDOG) as client:
            client.sendall(line.encode() + b"\n")
            with client.makefile() as answers:
                return answers.read()

    def start_to_stay(self, *arguments):
        process = self.start("--stay", *arguments)
        return process, int(re.fullmatch(r"listening on port (\d+)\n",
                                         process.stdout.readline())[1])

    def test_help(self):
        self.check_help("--workers", "--port", "--stay")
        self.run_with("--workers", "x", code=2)

    def test_a_crash_and_a_hang_cost_one_connection_each(self):
        out, err = self.run_with()
        self.assert_lines(out, r"listening on port \d+",
                          r"25 connections: 23 served, 1 crashed, 1 overran, 0 failed, 0 refused",
                          "clients: 25 as expected, 0 not")
        self.assertRegex(out, r'connection \d+: serve_connection "connection" failed .*signal 6')
        self.assertRegex(out, r"connection \d+: .*HK_EDEADLINE")
        self.assertEqual(err, "")

    def test_it_serves_after_a_crash_of_its_only_worker(self):
        process, port = self.start_to_stay("--workers", "1")
        self.assertEqual(self.ask(port, "sum 1 2 3"), "6\n")
        self.assertEqual(self.ask(port, "crash"), "")
        self.assertEqual(self.ask(port, "sum 4 x"), 'error: " x" cannot be added\n')
        self.assertTrue(self.ask(port, "what").startswith("error: sum NUMBER"))
        process.send_signal(signal.SIGTERM)
        out, _ = self.finish(process, 0)
        self.assert_lines(out, "4 connections: 3 served, 1 crashed, .*")

    def test_a_signal_lets_it_finish_what_it_accepted(self):
        process, port = self.start_to_stay("--workers", "1")
        with socket.create_connection(("127.0.0.1", port), timeout=WATCHDOG) as client:
            client.sendall(b"slow\n")
            with client.makefile() as answers:
                self.assertEqual(answers.readline(), "begun\n")
                process.send_signal(signal.SIGTERM)
                self.assertEqual(answers.readline(), "late but here\n")
        out, _ = self.finish(process, 0)
        self.assert_lines(out, "1 connections: 1 served, .*")

    def test_a_port_in_use_is_refused(self):
        process, port = self.start_to_stay("--workers", "1")
        _, err = self.run_with("--port", str(port), code=1)
        self.assertIn("listen: Address already in use", err)
        process.send_signal(signal.SIGINT)
        self.finish(process, 0)


class ImagePipeline(Example):
    def test_help(self):
        self.check_help("--images", "--filters", "--queue", "--memory", "--out", "--break")
        self.run_with("--queue", "0", code=2)
        _, err = self.run_with("--memory", "449", code=2)
        self.assertIn("too little for one image", err)

    def test_memory_stays_within_its_bound_and_the_result_is_right(self):
        for images, filters, queue, memory in (("16", "2", "4", "1024"), ("16", "1", "1", "452"),
                                               ("16", "8", "100", "600")):
            out, err = self.run_with("--images", images, "--filters", filters, "--queue", queue,
                                     "--memory", memory)
            self.assertEqual(err, "")
            self.assert_lines(out, f"{images} images through {filters} filters, .*",
                              rf"memory: at most \d+ of {memory} KiB at a time: bounded",
                              r"back pressure: the decoder waited \d+ times for memory",
                              "result: right")
            peak, bound = map(int, re.search(r"at most (\d+) of (\d+)", out).groups())
            self.assertLessEqual(peak, bound)
            self.assertGreater(int(re.search(r", (\d+) KiB of images in all", out)[1]), bound)

    def test_a_failing_stage_ends_the_others(self):
        for place in "1", "16":
            out, err = self.run_with("--images", "16", "--queue", "1", "--memory", "452",
                                     "--break", place, code=1)
            self.assertEqual(out, "")
            self.assertIn(f"image {place} was told to fail", err)
        _, err = self.run_with("--images", "16", "--out", "/dev/null", code=1)
        self.assertIn("Not a directory", err)

    @staticmethod
    def blurred(number, width, height, channels):
        """What image.c makes up, and the mean of each pixel and its neighbours."""
        bits, pixels, means = number * 2654435761 + 1, [], []
        for _ in range(width * height * channels):
            bits = (bits * 1664525 + 1013904223) % 2**32
            pixels.append(bits >> 24)
        for y in range(height):
            for x in range(width):
                near = [(row * width + column) * channels
                        for row in range(max(y - 1, 0), min(y + 2, height))
                        for column in range(max(x - 1, 0), min(x + 2, width))]
                for channel in range(channels):
                    means.append(sum(pixels[at + channel] for at in near) // len(near))
        return bytes(means)

    def test_files_are_the_blurred_images(self):
        with tempfile.TemporaryDirectory() as folder:
            self.run_with("--images", "3", "--out", folder)
            files = sorted(pathlib.Path(folder).iterdir())
            self.assertEqual([file.name for file in files],
                             ["image-00001.ppm", "image-00002.pgm", "image-00003.ppm"])
            for file in files:
                kind, width, height, most, pixels = re.fullmatch(
                    rb"P([56])\n(\d+) (\d+)\n(\d+)\n(.*)", file.read_bytes(), re.S).groups()
                self.assertEqual(most, b"255")
                self.assertEqual(pixels, self.blurred(int(file.stem.split("-")[1]), int(width),
                                                      int(height), 1 if kind == b"5" else 3))


class Crawler(Example):
    RIGHT = ("fetched 469 pages, 25 broken, 4 given up, 15 tries ran too long, 0 unfinished",
             "expected 469 pages: right")

    def test_help(self):
        self.check_help("--executor", "--depth", "--attempts", "--page-limit", "--limit")
        _, err = self.run_with("--executor", "elsewhere", code=2)
        self.assertIn('unknown executor "elsewhere"', err)
        self.run_with("--depth", "x", code=2)

    def test_it_finds_all_pages_on_every_executor(self):
        for executor in "threads:8", "processes:4":
            out, err = self.run_with("--executor", executor, "--page-limit", "250",
                                     "--limit", "1000000")
            self.assertEqual(err, "")
            self.assert_lines(out, self.RIGHT[0].replace("15", r"\d+"), self.RIGHT[1])

    def test_in_virtual_time_all_is_exact(self):
        for seed in range(20):
            out, _ = self.run_with("--executor", f"replay:{seed}")
            self.assert_lines(out, *self.RIGHT)
        once, again = (self.run_with("--executor", "replay:3", "--verbose") for _ in range(2))
        self.assertEqual(once, again)
        self.assertNotEqual(once, self.run_with("--executor", "replay:4", "--verbose"))

    def test_the_whole_limit_cancels_the_rest(self):
        out, _ = self.run_with("--executor", "replay:7", "--limit", "20")
        self.assert_lines(out, r"fetched [1-9]\d* pages, .* [1-9]\d* unfinished",
                          "stopped: the whole limit ran out")

    def test_fewer_tries_give_up_more_pages(self):
        out, _ = self.run_with("--executor", "replay:1", "--attempts", "1", "--depth", "9")
        self.assert_lines(out, r".* 0 unfinished", r"expected \d+ pages: right")


def main():
    global PROGRAM, EXAMPLES
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    PROGRAM, EXAMPLES = (pathlib.Path(name).resolve() for name in sys.argv[1:3])
    name = "".join(part.capitalize() for part in PROGRAM.name.split("_"))
    tests = [f"{name}.{test}" for test in sys.argv[3:]] or [name]
    unittest.main(argv=[sys.argv[0], "-v", *tests])


if __name__ == "__main__":
    main()
