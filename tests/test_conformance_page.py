#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves that scripts/conformance notices what it must notice. Usage: test_conformance_page.py"""
import importlib.machinery
import importlib.util
import pathlib
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "scripts/conformance"
sys.path.insert(0, str(SCRIPT.parent))
import ctest_entries  # noqa: E402

LOADER = importlib.machinery.SourceFileLoader("conformance", str(SCRIPT))
conformance = importlib.util.module_from_spec(importlib.util.spec_from_loader("conformance", LOADER))
LOADER.exec_module(conformance)

CONTRACT = """# Contract

## AA: first

- **AA01** One thing.
- **AA02** Another thing, told
  on two lines.

## BB: second

- **BB01** A third thing.
"""


class Report:
    """A suite with a report that was written by hand."""

    def __init__(self, spec, *cases):
        self.name = f"suite.{spec}"
        self.spec = spec
        self.report = SCRIPT  # It is there.
        self.list = cases

    def cases(self):
        return iter(self.list)


def passed(name, *made):
    return name, "passed", None, list(made)


class Page(unittest.TestCase):
    """One method a behaviour."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name, "file")
        self.path.write_text(CONTRACT)
        self.contract = list(conformance.read_contract(self.path))
        self.errors = []

    def make(self, reasons, *reports):
        table = conformance.fill(self.contract, reports, self.errors)
        self.path.write_text(reasons)
        conformance.explain(table, conformance.read_reasons(self.path, list(table)), self.errors,
                            "reasons")
        conformance.judge(table, self.errors)
        return conformance.page(self.contract, table)

    def everything(self, spec="inline"):
        return Report(spec, passed("AA01 BB01 two at once"), passed("AA02 the other"))

    def test_the_contract_is_read(self):
        self.assertEqual([number for _, number, _ in self.contract], ["AA01", "AA02", "BB01"])
        self.assertEqual(self.contract[1], ("AA: first", "AA02", "Another thing, told on two lines."))

    def test_all_is_well(self):
        others = " ".join(c for c in conformance.COLUMNS if c != "inline")
        page = self.make(f"AA* BB01 | {others} | not here", self.everything())
        self.assertEqual(self.errors, [])
        self.assertIn("| AA01 | One thing. | pass | (1) |", page)
        self.assertIn("1. not here\n", page)
        self.assertIn("3 cases; 3 cells pass, 0 more", page)

    def test_a_cell_with_neither_is_an_error(self):
        self.make("", self.everything())
        self.assertIn("AA01 on processes:4: neither a test nor a reason", self.errors)
        self.assertNotIn("AA01 on inline: neither a test nor a reason", self.errors)

    def test_a_reason_beside_a_passing_test_is_an_error(self):
        self.make("AA01 | inline | never mind", self.everything())
        self.assertIn("reasons:1: AA01 has a passing test on inline", self.errors)
        self.assertIn("reasons:1: explains nothing", self.errors)

    def test_a_reason_beside_that_of_a_test_is_an_error(self):
        self.make("AA01 | inline | never mind",
                  Report("inline", ("AA01 one", "skipped", "no workers", [])))
        self.assertIn("reasons:1: AA01 on inline: a test gives a reason", self.errors)

    def test_two_reasons_are_an_error(self):
        self.make("AA01 | serial | one\nAA* | serial | two", self.everything())
        self.assertIn("reasons:2: AA01 on serial has two reasons", self.errors)

    def test_a_case_that_passes_nowhere_is_an_error(self):
        self.make("BB01 | all | nobody can", Report("inline", passed("AA01 AA02 both")))
        self.assertIn("BB01: no test passes anywhere", self.errors)

    def test_a_failing_test_is_an_error_and_proves_nothing(self):
        self.make("", Report("inline", ("AA01 one", "failed", None, [])))
        self.assertIn("suite.inline: failed: AA01 one", self.errors)
        self.assertIn("AA01 on inline: neither a test nor a reason", self.errors)

    def test_what_a_test_makes_counts_as_its_own(self):
        page = self.make("", Report(None, passed("AA01 one", "threads:1", "processes")))
        self.assertIn("| AA01 | One thing. | (1) | own | (1) | (1) | (1) | (1) | own | (1) |", page)

    def test_the_base_of_a_serial_executor_does_not_count(self):
        page = self.make("", Report(None, passed("AA01 one", "threads", "serial")))
        self.assertIn("| AA01 | One thing. | (1) | (1) | (1) | own | (1) | (1) | (1) | (1) |", page)

    def test_without_an_executor_it_is_a_promise(self):
        page = self.make("", Report(None, passed("AA01 one")))
        self.assertIn("| AA01 | One thing. | (1) | (1) | (1) | (1) | (1) | (1) | (1) | pass |", page)

    def test_every_seed_is_replay(self):
        self.make("", Report("replay:17", passed("AA01 one")))
        self.assertNotIn("AA01 on replay: neither a test nor a reason", self.errors)

    def test_names_that_do_not_exist_are_told(self):
        for reasons in ("CC01 | all | what", "AA01 | elsewhere | what"):
            with self.assertRaises(SystemExit):
                self.make(reasons, self.everything())

    def test_patterns_may_be_taken_back(self):
        self.path.write_text("AA* !AA02 | serial | so it is")
        ((_, numbers, columns, reason),) = conformance.read_reasons(self.path, ["AA01", "AA02"])
        self.assertEqual((numbers, columns, reason), (["AA01"], ["serial"], "so it is"))


class Entries(unittest.TestCase):
    def test_to_be_asked_for_its_tests_changes_nothing_in_a_build(self):
        with tempfile.TemporaryDirectory() as folder:
            build = pathlib.Path(folder)
            log = build / "Testing/Temporary/LastTest.log"
            log.parent.mkdir(parents=True)
            log.write_text("what was tested")
            (build / "CTestTestfile.cmake").write_text(
                'add_test(one "/bin/true" "--junit" "/a/report" "more")\n'
                'set_tests_properties(one PROPERTIES LABELS "a;b" ENVIRONMENT "X=1;Y=2=3")\n')
            (entry,) = ctest_entries.entries(build)
            self.assertEqual(log.read_text(), "what was tested")
            self.assertEqual([path.name for path in build.rglob("*.log")], ["LastTest.log"])
        self.assertEqual((entry.name, entry.labels), ("one", ["a", "b"]))
        self.assertEqual(entry.environment, {"X": "1", "Y": "2=3"})
        self.assertEqual(entry.report(), pathlib.Path("/a/report"))
        self.assertEqual(entry.command_without_report(), ["/bin/true", "more"])


if __name__ == "__main__":
    unittest.main()
