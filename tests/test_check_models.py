#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves that scripts/check_models notices what it is for.

Each test writes a folder of small models with one fault in it. Exits with 77, as the
script does, where there is no spin.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "scripts" / "check_models"
EXIT_SKIPPED = 77

HEAD = """/* SPDX-License-Identifier: MIT */
/*
 * CHECK one COUNT=2 CYCLES
 *
 * MUTANT BAD one: it fails
 */
"""

# Two threads that hand over one token; BAD forgets to.
MODEL = HEAD + """
byte token = 1;

active [COUNT] proctype thread()
{
    atomic { token == 1 -> token = 0 };
#ifndef MUTANT_BAD
    token = 1
#endif
}
"""
PAGE = "model.pml and its mutant BAD\n"


class CheckModels(unittest.TestCase):
    """One method for each thing that must be noticed."""

    def run_on(self, text, *options, page=PAGE, **environment):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "model.pml").write_text(text)
            (folder / "README.md").write_text(page)
            result = subprocess.run(
                [sys.executable, str(SCRIPT), "--models", str(folder), *options], check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env={**os.environ, **environment})
        return result.returncode, result.stdout

    def fails(self, words, text, *options, **more):
        status, output = self.run_on(text, *options, **more)
        self.assertEqual(status, 1, output)
        self.assertIn(words, output)

    def test_what_holds_passes(self):
        status, output = self.run_on(MODEL)
        self.assertEqual(status, 0, output)
        self.assertIn("1 checks, 1 mutants, 0 fault(s)", output)

    def test_a_check_that_waits_for_ever(self):
        self.fails("waits for ever", MODEL.replace("#ifndef", "#ifdef"))

    def test_a_check_with_a_wrong_assertion(self):
        self.fails("FAILS: assertion", MODEL.replace("token = 1\n", "token = 1; assert(false)\n"))

    def test_a_check_that_goes_in_circles(self):
        self.fails("goes in circles",
                   MODEL.replace("token = 1\n", "do :: token = 1 :: token = 0 od\n"))

    def test_a_mutant_that_passes(self):
        self.fails("PASSES", MODEL.replace("#ifndef MUTANT_BAD", "#if 1 || defined(MUTANT_BAD)"))

    def test_a_search_that_was_cut_short(self):
        many = MODEL.replace("COUNT=2", "COUNT=9").replace(
            "token = 1\n", "token = 1; byte i; do :: i < 200 -> i++ :: else -> break od\n")
        self.fails("cut short", many, "--megabytes", "64")

    def test_a_model_that_is_not_understood(self):
        self.fails("no answer", MODEL.replace("atomic {", "atomically {"))

    def test_a_mutant_that_nothing_depends_on(self):
        self.fails("nothing depends on MUTANT_BAD", MODEL.replace("MUTANT_BAD", "MUTANT_BAT"))

    def test_a_mutant_that_is_not_declared(self):
        self.fails("no model declares MUTANT_WORSE", MODEL + "#ifdef MUTANT_WORSE\n#endif\n")

    def test_a_mutant_of_an_unknown_check(self):
        self.fails("unknown check", MODEL.replace("BAD one", "BAD two"))

    def test_a_page_that_leaves_out_a_mutant(self):
        self.fails("does not mention BAD", MODEL, page="model.pml\n")

    def test_an_unknown_name(self):
        status, output = self.run_on(MODEL, "lode")
        self.assertEqual(status, 1, output)
        self.assertIn("no model lode", output)

    def test_the_list_needs_no_spin(self):
        status, output = self.run_on(MODEL, "--list", PATH="")
        self.assertEqual(status, 0, output)
        self.assertIn("it fails", output)

    def test_no_spin_is_a_skip(self):
        status, output = self.run_on(MODEL, PATH="")
        self.assertEqual(status, EXIT_SKIPPED, output)
        self.assertIn("apt-get install spin", output)


if __name__ == "__main__":
    if shutil.which("spin") is None:
        print("skipped, there is no spin; apt-get install spin")
        sys.exit(EXIT_SKIPPED)
    unittest.main(verbosity=2)
