#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves that the harness notices what it must notice.

Runs harness_faults one test at a time and reads its exit status, its output and
its JUnit report. Usage: test_harness.py PATH-TO-harness_faults [--no-handlers]
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

PROGRAM = ""
# Under ThreadSanitizer the watchdog cannot print: see harness_watchdog.c.
WATCHDOG_TALKS = True


class Harness(unittest.TestCase):
    """One method a behaviour."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.report = pathlib.Path(self.folder.name, "report.xml")

    def run_program(self, *options):
        # A leak is only reported after a bounded wait of half the watchdog's limit.
        result = subprocess.run([PROGRAM, *options], stdin=subprocess.DEVNULL, timeout=570,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "HOCKET_TEST_LIMIT": "4", "HOCKET_TEST_SLOW": "1"}, check=False)
        return result.returncode, result.stdout

    def run_test(self, name):
        return self.run_program("--run", name, "--junit", str(self.report))

    def cases(self):
        return xml.etree.ElementTree.parse(self.report).getroot().findall(".//testcase")

    def fails_with(self, name, *texts):
        status, output = self.run_test(name)
        self.assertEqual(status, 1, output)
        for text in texts:
            self.assertIn(text, output)
        return output

    def test_list_names_every_test(self):
        status, output = self.run_program("--list")
        self.assertEqual(status, 0)
        self.assertIn("faults/passes\n", output)
        self.assertIn("init/must_not_run_either\n", output)

    def test_a_passing_test_gives_zero_and_a_summary(self):
        status, output = self.run_test("faults/passes")
        self.assertEqual(status, 0, output)
        self.assertIn("Test: passes ...passed", output)
        self.assertIn("Run Summary:", output)
        (case,) = self.cases()
        self.assertEqual(case.get("name"), "passes")
        self.assertEqual(case.findall("failure"), [])

    def test_what_proves_nothing_says_so(self):
        status, output = self.run_test("faults/proves_nothing")
        self.assertEqual(status, 0, output)
        self.assertIn("not here: there are no workers", output)
        (case,) = self.cases()
        self.assertEqual(case.find("skipped").get("message"), "there are no workers")

    def test_where_nothing_can_run_all_is_skipped(self):
        for name, count in ("faults/hangs", 1), ("init", 1), ("faults", 15):
            with unittest.mock.patch.dict(os.environ, HOCKET_TEST_NONE_HERE="1"):
                status, output = self.run_test(name)
            self.assertEqual(status, 77, output)
            self.assertIn("skipped: there is no machine", output)
            self.assertNotIn("passed", output)
            cases = self.cases()
            self.assertEqual(len(cases), count)
            for case in cases:
                self.assertEqual(case.find("skipped").get("message"), "there is no machine")

    def test_a_failure_is_one_whatever_else_was_said(self):
        self.fails_with("faults/proves_nothing_and_fails", "FAILED")
        (case,) = self.cases()
        self.assertIsNone(case.find("skipped"))
        self.assertIsNotNone(case.find("failure"))

    def test_both_values_are_printed(self):
        self.fails_with("faults/int_differs", "6 * 7 is 42, expected 54", "...FAILED")
        self.fails_with("faults/status_differs", "HK_EINVAL (-22), expected HK_OK (0)")

    def test_the_report_is_valid_xml_whatever_a_test_says(self):
        self.fails_with("faults/text_differs")
        (case,) = self.cases()
        self.assertIn('<a & "b">', case.find("failure").get("message"))

    def test_a_fatal_assertion_ends_the_test(self):
        output = self.fails_with("faults/fatal_ends_the_test", "false is false")
        self.assertNotIn("1 is 1", output)

    def test_a_failure_on_another_thread_counts(self):
        self.fails_with("faults/another_thread_fails", "on another thread: 3 is 3, expected 4",
                        "1 failure(s) on other threads")

    def test_leaks_are_found(self):
        self.fails_with("faults/leaks_a_descriptor", "leak:", "open descriptors", " -> ")
        self.fails_with("faults/leaks_a_thread", "leak: 1 threads before the test, 2 after it"
                        if WATCHDOG_TALKS else "leak: ")
        self.fails_with("faults/leaks_a_child", "leak: 0 child processes before the test, 1 after")

    @unittest.skipUnless(os.environ.get("HOCKET_HAS_LEAK_SANITIZER"), "built without LeakSanitizer")
    def test_leaked_memory_is_found(self):
        status, output = self.run_test("faults/leaks_memory")
        self.assertEqual(status, 1, output)
        self.assertIn("detected memory leaks", output)

    def test_a_hang_is_ended_and_named(self):
        status, output = self.run_test("faults/hangs")
        self.assertLess(status, 0, output)  # Ended by a signal.
        self.assertIn("Test: hangs ...", output)
        (case,) = self.cases()
        self.assertEqual(case.get("name"), "hangs")
        self.assertIsNotNone(case.find("error"))
        if WATCHDOG_TALKS:
            self.assertIn("faults/hangs", output)
            self.assertIn("--- a thread:", output)
            self.assertIn("wait_for_ever", output)

    def test_a_failed_set_up_leaves_the_test_out(self):
        output = self.fails_with("set_up/must_not_run", "is_set_up is false")
        self.assertNotIn("has_set_up_failed", output)

    def test_a_suite_that_cannot_start_is_a_failure(self):
        output = self.fails_with("init", "0 of 1 tests ran")
        self.assertNotIn("has_set_up_failed", output)
        (case,) = self.cases()
        self.assertIsNotNone(case.find("failure"))

    def test_the_helpers_work(self):
        for name in ("faults/child_reports", "faults/gate_opens"):
            status, output = self.run_test(name)
            self.assertEqual(status, 0, output)

    def test_a_wrong_command_line_is_refused(self):
        self.assertEqual(self.run_program("--run", "faults/no_such_test")[0], 2)
        self.assertEqual(self.run_program("--no-such-option")[0], 2)
        self.assertEqual(self.run_program("stray")[0], 2)
        self.assertEqual(self.run_program("--junit", "/nowhere/report.xml")[0], 2)


if __name__ == "__main__":
    if "--no-handlers" in sys.argv:
        WATCHDOG_TALKS = False
        sys.argv.remove("--no-handlers")
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
