#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The classic script: a process pool over a folder of compressed logs.

    classic_robots.py WORKERS FOLDER

Prints the hosts that fetched /robots.txt. What most people would write first.
"""

import concurrent.futures
import gzip
import pathlib
import sys


def find_robots(path):
    """The hosts in one file that asked for /robots.txt."""
    robots = set()
    with gzip.open(path, "rt", encoding="latin-1") as file:
        for line in file:
            fields = line.split()
            if fields[6] == "/robots.txt":
                robots.add(fields[0])
    return robots


def find_all_robots(folder, workers):
    """The hosts in all files of a folder."""
    robots = set()
    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        for found in pool.map(find_robots, sorted(pathlib.Path(folder).glob("*.gz"))):
            robots |= found
    return robots


if __name__ == "__main__":
    for host in sorted(find_all_robots(sys.argv[2], int(sys.argv[1]))):
        print(host)
