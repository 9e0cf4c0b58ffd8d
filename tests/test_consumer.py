#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Uses Hocket from outside: installed, built and as a subdirectory; by CMake and
by pkg-config. The install tree is moved before it is used, so that an absolute
path in a package file shows.

Usage: test_consumer.py BUILD-FOLDER C-COMPILER
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE / "consumer" / "consumer.c"
EXPECTED = "12 squared is 144"


def run(*command, **environment):
    """Runs a command; its output, or an exception that shows it."""
    result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            env={**os.environ, **environment}, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{result.stdout}")
    return result.stdout


class Consumer(unittest.TestCase):
    """One method a way to the library."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        top = pathlib.Path(cls.folder.name)
        run("cmake", "--install", BUILD, "--prefix", top / "first")
        cls.prefix = top / "moved"
        (top / "first").rename(cls.prefix)
        (pc_file,) = cls.prefix.rglob("hocket.pc")
        cls.pkg_config_path = str(pc_file.parent)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def scratch(self):
        path = pathlib.Path(tempfile.mkdtemp(dir=self.folder.name))
        self.addCleanup(shutil.rmtree, path)
        return path

    def configure(self, build, *options):
        return run("cmake", "-S", HERE / "consumer", "-B", build, f"-DCMAKE_C_COMPILER={COMPILER}",
                   *options)

    def use_by_cmake(self, *options):
        build = self.scratch()
        self.configure(build, *options)
        run("cmake", "--build", build, "--parallel", "2")
        programs = sorted((build / "bin").iterdir())
        self.assertGreaterEqual(len(programs), 2)
        for program in programs:
            for executor in ("inline", "threads:2"):
                self.assertIn(EXPECTED, run(program, executor), program)

    def test_find_package_in_an_install_tree(self):
        self.use_by_cmake(f"-DCMAKE_PREFIX_PATH={self.prefix}")

    def test_find_package_in_the_build_tree(self):
        self.use_by_cmake(f"-Dhocket_DIR={BUILD}")

    def test_add_subdirectory(self):
        self.use_by_cmake(f"-DHOCKET_TREE={HERE.parent}")

    def test_versions_and_components_are_checked(self):
        where = f"-DCMAKE_PREFIX_PATH={self.prefix}"
        version = self.pkg_config("--modversion").strip()
        self.configure(self.scratch(), where, f"-DWANTED={version}", "-DCOMPONENTS=static;shared")
        for wrong in ("-DWANTED=99.0", "-DCOMPONENTS=no_such_component"):
            with self.assertRaises(AssertionError):
                self.configure(self.scratch(), where, wrong)

    def pkg_config(self, *options):
        return run("pkg-config", *options, "hocket", PKG_CONFIG_PATH=self.pkg_config_path)

    def test_pkg_config_shared(self):
        program = self.scratch() / "consumer"
        flags = self.pkg_config("--cflags", "--libs").split()
        run(COMPILER, "-o", program, SOURCE, *flags)
        (library,) = self.prefix.rglob("libhocket.so")
        self.assertIn(EXPECTED, run(program, LD_LIBRARY_PATH=str(library.parent)))
        self.assertIn("libhocket.so.", run("readelf", "-d", program))

    def test_pkg_config_static(self):
        program = self.scratch() / "consumer"
        flags = self.pkg_config("--static", "--cflags", "--libs").split()
        self.assertIn("-pthread", flags)
        run(COMPILER, "-static", "-o", program, SOURCE, *flags)
        self.assertIn(EXPECTED, run(program))

    def test_tasks_survive_link_time_optimisation_and_collection(self):
        program = self.scratch() / "consumer"
        flags = self.pkg_config("--static", "--cflags", "--libs").split()
        run(COMPILER, "-static", "-O2", "-flto", "-ffunction-sections", "-fdata-sections",
            "-Wl,--gc-sections", "-o", program, SOURCE, *flags)
        self.assertIn(EXPECTED, run(program))

    def test_the_install_tree_holds_what_it_should(self):
        names = {p.relative_to(self.prefix).as_posix() for p in self.prefix.rglob("*.h")}
        wanted = {f"include/hocket/{p.name}" for p in (HERE.parent / "include/hocket").iterdir()}
        self.assertEqual(names, wanted)
        for text in self.prefix.rglob("*.cmake"):
            self.assertNotIn(str(HERE.parent), text.read_text(), text)


if __name__ == "__main__":
    BUILD, COMPILER = sys.argv.pop(1), sys.argv.pop(1)
    unittest.main(verbosity=2)
