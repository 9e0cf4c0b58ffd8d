# SPDX-License-Identifier: MIT
"""What ctest knows of a build's tests; imported by other scripts, not run."""
import json
import pathlib
import subprocess
import tempfile


# The exit status of a test that cannot run on this machine, and so of one that does not fail.
SKIPPED = 77


class Entry:
    """One test: name, command, properties, labels, and what its environment sets."""

    def __init__(self, listed):
        self.name = listed["name"]
        self.command = listed.get("command", [])  # None: its program is not built.
        self.properties = {one["name"]: one["value"] for one in listed["properties"]}
        self.labels = self.properties.get("LABELS", [])
        self.environment = dict(one.split("=", 1)
                                for one in self.properties.get("ENVIRONMENT", []))

    def report(self):
        """Where it writes its JUnit report, or None."""
        if "--junit" not in self.command:
            return None
        return pathlib.Path(self.command[self.command.index("--junit") + 1])

    def command_without_report(self):
        command = list(self.command)
        if "--junit" in command:
            at = command.index("--junit")
            del command[at:at + 2]
        return command


def entries(build):
    """All tests of a build folder.

    ctest writes to the folder that it is asked in, even to list: the log of the last run would
    be lost, or that of the very run that this is a part of. So it is asked from elsewhere.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(build).resolve()
        pathlib.Path(folder, "CTestTestfile.cmake").write_text(f'subdirs("{place}")\n')
        shown = subprocess.run(["ctest", "--test-dir", folder, "--show-only=json-v1"],
                               stdout=subprocess.PIPE, text=True, check=True,
                               stdin=subprocess.DEVNULL)
    return [Entry(listed) for listed in json.loads(shown.stdout)["tests"]]
