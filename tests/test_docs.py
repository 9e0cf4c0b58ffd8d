#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves that scripts/docs fails on what a reader would miss: a parameter without
a word, a function without any, a link to nowhere."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = """/* SPDX-License-Identifier: MIT */
/**
 * @defgroup hk_one One
 * @brief One thing.
 * @{
 */
/**
 * Does it.
 *
 * @param argument  Any number.
 * @return that number.
 */
int hk_one(int argument);
/** @} */
"""


class Docs(unittest.TestCase):
    """One method a fault."""

    def make(self, header=HEADER, page="# Page\n\nSee hk_one().\n"):
        with tempfile.TemporaryDirectory() as name:
            top = pathlib.Path(name)
            for folder in ("scripts", "docs", "include/hocket", "examples", "tests"):
                (top / folder).mkdir(parents=True)
            for file in ("Doxyfile", "scripts/docs", "docs/style.css", "include/hocket/version.h"):
                shutil.copy(ROOT / file, top / file)
            for file in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md",
                         "CHANGELOG.md"):
                (top / file).write_text(page)
            (top / "include/hocket/one.h").write_text(header)
            result = subprocess.run([top / "scripts/docs", top / "out"], check=False, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            return result.returncode, result.stdout, (top / "out/html/index.html").exists()

    def test_good_pages_pass(self):
        status, output, is_made = self.make()
        self.assertEqual(status, 0, output)
        self.assertTrue(is_made)

    def test_a_parameter_without_a_word(self):
        status, output, _ = self.make(header=HEADER.replace(" * @param argument  Any number.\n", ""))
        self.assertNotEqual(status, 0)
        self.assertIn("parameters of member hk_one", output)

    def test_a_function_without_a_word(self):
        header = HEADER.replace("/** @} */", "int hk_two(void);\n/** @} */")
        status, output, _ = self.make(header=header)
        self.assertNotEqual(status, 0)
        self.assertIn("hk_two", output)

    def test_a_link_to_nowhere(self):
        status, output, _ = self.make(page="# Page\n\n\\ref hk_three\n")
        self.assertNotEqual(status, 0)
        self.assertIn("hk_three", output)


if __name__ == "__main__":
    unittest.main(verbosity=2)
