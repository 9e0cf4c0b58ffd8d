# SPDX-License-Identifier: MIT
"""What machine this is, what is installed, and how busy others keep it."""
import os
import pathlib
import platform
import re
import resource
import subprocess
import time

PACKAGES = ("libapr1", "libboost-dev", "libglib2.0-0", "libgomp1", "libomp5-14", "libtbb12",
            "libuv1", "gcc", "clang", "default-jdk-headless", "python3")


def describe():
    """[(name, text)] for the reader."""
    model = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return [
        ("CPU", model[1] if model else platform.machine()),
        ("CPUs that may be used", str(len(os.sched_getaffinity(0)))),
        ("Memory", f"{int(memory[1]) / 2 ** 20:.1f} GiB" if memory else "unknown"),
        ("System", f"{distribution()}, {platform.system()} {platform.release()}"),
        ("C library", " ".join(platform.libc_ver())),
        ("Packages", versions()),
        ("Date", time.strftime("%Y-%m-%d", time.gmtime())),
    ]


def distribution():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"


def versions():
    try:
        text = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES],
                              capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return "unknown"
    return ", ".join(line for line in text.splitlines() if not line.endswith(" ")) or "unknown"


class Load:
    """How much of the CPUs others take from now on."""

    def __init__(self):
        self.busy, self.total = self.all_time()
        self.own = self.own_time()

    @staticmethod
    def all_time():
        fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split()[1:9]]
        # The fourth is idle, the fifth is idle with a disk at work.
        tick = os.sysconf("SC_CLK_TCK")
        return (sum(fields) - fields[3] - fields[4]) / tick, sum(fields) / tick

    @staticmethod
    def own_time():
        """Of this process and of those that have ended."""
        used = 0.0
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            used += usage.ru_utime + usage.ru_stime
        return used

    def foreign_percent(self):
        busy, total = self.all_time()
        foreign = busy - self.busy - (self.own_time() - self.own)
        return max(0.0, 100 * foreign / (total - self.total)) if total > self.total else 0.0
