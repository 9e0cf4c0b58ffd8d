#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Programs that write files, on a disk that is full: they say so, and do not end with 0.

A file system of a few pages is mounted in a private mount namespace, and there is /dev/full.
Skipped (77) where neither root nor user namespaces are to be had.

Usage: test_full_disk.py --program hocket-logs --sample hocket-logs-sample [--root FOLDER]
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import unittest

SIZE = "64k"
UNSHARE = ["unshare", "--mount", "--map-root-user", "--propagation", "private"]
OPTIONS = argparse.Namespace()


def on_tiny_disk(folder, script, *arguments):
    """Runs a shell script with the folder as a small file system; arguments are its $1, $2, ..."""
    mount = f'mount -t tmpfs -o size={SIZE} tmpfs "$0" && {script}'
    return subprocess.run([*UNSHARE, "sh", "-c", mount, str(folder), *map(str, arguments)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def test_samples_that_do_not_fit_are_told(self):
        done = on_tiny_disk(self.folder.name, '"$1" "$0"/logs', OPTIONS.sample)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("No space left", done.stderr)

    def test_a_report_that_does_not_fit_is_told(self):
        script = ('"$1" --help > /dev/null && mkdir "$0"/in && '
                  'echo \'1.2.3.4 - - [01/Jan/2024:00:00:00 +0000] "GET / HTTP/1.1" 200 5\' '
                  '> "$0"/in/log && { cat /dev/zero > "$0"/rest 2> /dev/null; '
                  '"$1" status "$0"/in > "$0"/in/report; }')
        done = on_tiny_disk(self.folder.name, script, OPTIONS.program)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("No space left", done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=pathlib.Path, required=True)
    parser.add_argument("--sample", type=pathlib.Path, required=True)
    parser.add_argument("--root", type=pathlib.Path)
    parser.parse_args(namespace=OPTIONS)
    if subprocess.run([*UNSHARE, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("no mount namespace is to be had here")
        return 77
    result = unittest.main(argv=sys.argv[:1], exit=False).result
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
