#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves that scripts/check_allocation_rows.py finds what it looks for, on small trees."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = """
#define HK_API
HK_API int hk_make_at(int a);
HK_API int hk_look(int a);
"""
TABLE = '{"hk_make and more", prepare, call, NULL};\nint call(void) { return hk_make(1); }\n'
NEEDS_NONE = "HKT_NEEDS_NO_MEMORY(hk_look, HKT_OK(hk_look(1)));\n"


class CheckAllocationRows(unittest.TestCase):
    """One method a finding."""

    def check(self, header=HEADER, rows=TABLE + NEEDS_NONE):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "include/hocket").mkdir(parents=True)
            (folder / "tests").mkdir()
            (folder / "include/hocket/one.h").write_text(header)
            (folder / "tests/test_allocation.c").write_text(rows)
            result = subprocess.run(
                [sys.executable, ROOT / "scripts/check_allocation_rows.py", folder],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return result.returncode, result.stdout

    def finds(self, text, **changes):
        status, output = self.check(**changes)
        self.assertEqual(status, 1, output)
        self.assertIn(text, output)

    def test_a_good_tree_passes(self):
        status, output = self.check()
        self.assertEqual(status, 0, output)
        self.assertIn("2 public functions, 0 finding(s)", output)

    def test_a_new_function_needs_a_row(self):
        self.finds("one.h: hk_new is in no table",
                   header=HEADER + "HK_API int hk_new(void);\n")

    def test_a_row_needs_a_function(self):
        self.finds("hk_gone is no public function", rows=TABLE + NEEDS_NONE + NEEDS_NONE.replace(
            "hk_look", "hk_gone"))

    def test_a_row_uses_what_it_names(self):
        self.finds("the row of hk_look does not use it", rows=TABLE + NEEDS_NONE.replace(
            "hk_look(1)", "hk_make(1)"))

    def test_a_row_calls_what_it_names(self):
        self.finds("the row of hk_make calls it nowhere", rows=TABLE.replace(
            "hk_make(1)", "0") + NEEDS_NONE)

    def test_no_functions_at_all_is_a_finding(self):
        status, _ = self.check(header="", rows="")
        self.assertEqual(status, 1)


if __name__ == "__main__":
    unittest.main()
