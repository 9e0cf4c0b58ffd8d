#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves that scripts/check_symbols.py finds what it looks for, on small libraries.

Usage: test_check_symbols.py C-COMPILER
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = """
#define HK_API __attribute__((visibility("default")))
typedef int hk_fn(int hk_argument);
HK_API int hk_one(hk_fn *fn, int (*other)(int));
typedef struct hk_ops { hk_fn *(*get)(int a, int (*b)(int)); hk_fn *field; } hk_ops;
HK_API extern const int hk_table[2];
static inline int hk_inline(int a) { if (a) { hk_one(0, 0); } return hk_one(0, 0) + a; }
"""
SOURCE = """
#include "one.h"
const int hk_table[2] = {1, 2};
int hki_private(void);
int hki_private(void) { return 1; }
int hk_one(hk_fn *fn, int (*other)(int)) { return fn ? fn(1) : other(hki_private()); }
"""


class CheckSymbols(unittest.TestCase):
    """One method a finding."""

    def check(self, header=HEADER, source=SOURCE, soname="libhocket.so.0"):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "one.h").write_text(header)
            (folder / "one.c").write_text(source)
            steps = [
                [COMPILER, "-fPIC", "-fvisibility=hidden", "-c", "one.c"],
                ["ar", "rc", "libhocket.a", "one.o"],
                [COMPILER, "-shared", f"-Wl,-soname,{soname}", "-o", "libhocket.so", "one.o"],
            ]
            for step in steps:
                subprocess.run(step, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            result = subprocess.run(
                [sys.executable, ROOT / "scripts/check_symbols.py", "--static",
                 folder / "libhocket.a", "--shared", folder / "libhocket.so", "--include", folder],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return result.returncode, result.stdout

    def finds(self, text, **changes):
        status, output = self.check(**changes)
        self.assertEqual(status, 1, output)
        self.assertIn(text, output)

    def test_a_clock_that_can_be_set_is_found(self):
        self.finds("calls gettimeofday, whose clock can be set",
                   source=SOURCE + "int gettimeofday(void *, void *);\nint hki_now(void);\n"
                   "int hki_now(void) { return gettimeofday(0, 0); }\n")
        self.finds("calls pthread_cond_timedwait, whose clock",
                   source=SOURCE + "int pthread_cond_timedwait(void *, void *, void *);\n"
                   "int hki_now(void);\n"
                   "int hki_now(void) { return pthread_cond_timedwait(0, 0, 0); }\n")

    def test_a_good_library_passes(self):
        status, output = self.check()
        self.assertEqual(status, 0, output)
        self.assertIn("2 public symbols, 0 finding(s)", output)

    def test_a_stray_global(self):
        self.finds("the global symbol helper", source=SOURCE + "int helper(void) { return 2; }")

    def test_an_export_that_nobody_declared(self):
        more = "HK_API int hk_two(void); int hk_two(void) { return 2; }"
        self.finds("exports hk_two", source=SOURCE + more)

    def test_a_declaration_that_nobody_defined(self):
        self.finds("hk_three is declared in one.h", header=HEADER + "HK_API void hk_three(void);")

    def test_a_declaration_without_its_mark(self):
        self.finds("hk_four is declared without HK_API", header=HEADER + "int hk_four(int a);")

    def test_a_strong_reference_to_jemalloc(self):
        use = "void *mallocx(unsigned long, int); HK_API void *hk_five(void);" \
              "void *hk_five(void) { return mallocx(8, 0); }"
        self.finds("needs mallocx of jemalloc", source=SOURCE + use)

    def test_a_weak_reference_is_fine(self):
        use = "int mallctl(void) __attribute__((weak)); int hki_six(void);" \
              "int hki_six(void) { return mallctl ? mallctl() : 0; }"
        status, output = self.check(source=SOURCE + use)
        self.assertEqual(status, 0, output)

    def test_a_wrong_soname(self):
        self.finds("no soname", soname="libother.so")


if __name__ == "__main__":
    COMPILER = sys.argv.pop(1)
    unittest.main(verbosity=2)
