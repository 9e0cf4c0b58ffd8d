#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Judges what a soak counted, and writes the page about it.

Usage: soak_judge.py [OPTION]... PREFIX
       soak_judge.py [OPTION]... --run PROGRAM [OPTION OF PROGRAM]...

PREFIX.csv and PREFIX_counts.csv are what tests/soak wrote; with --run they are made first.

Descriptors, threads, children, and live objects have to be the same at every moment of rest, and
nothing may be left when the pools are gone. (While there is a pool, the zygote may have one child
more or less: the one that waits to become a worker.)

Memory moves up and down by itself, so that one number says nothing. Judged is the slope, as the
median of the slopes between all pairs of points (Theil and Sen), of what came after the warm-up,
the first third. What the slope would be if nothing grew is seen from the noise: the residuals
about the fitted line, drawn again in blocks as long as the cube root of their number or a tenth
of it (so that neighbours, which resemble each other, stay together), 400 times, each time with a
slope of its own. It grows when its slope is above all but one percent of those, and its growth
is also above the tolerance, and above the spread of the residuals.
"""
import argparse
import csv
import pathlib
import random
import statistics
import subprocess
import sys

# What is judged by its slope: name, moments, what it is. All in KiB, but the last two.
SERIES = (
    ("parent_kib", ("loaded",), "the program, under load"),
    ("parent_kib", ("empty",), "the program, pools destroyed"),
    ("allocated_kib", ("empty",), "of that, what its allocator has handed out"),
    ("zygote_kib", ("loaded",), "the zygote"),
    ("worker_kib", ("loaded",), "a worker, the mean of all"),
    ("blocks", ("empty",), "blocks that the library holds, pools destroyed"),
    ("mappings", ("empty",), "mappings, pools destroyed"),
)
UNITS = {"blocks": "", "mappings": ""}
# Below so much of growth nothing is judged; in the unit of the series.
TOLERANCES = {"blocks": 8, "mappings": 8}
EXACT = ("descriptors", "threads", "children", "objects")
SPARE_AT_CALM = {"children": 1}
WARM_UP = 1 / 3
DRAWS = 400
QUANTILE = 0.99
POINTS_LEAST = 8
POINTS_MOST = 250  # Pairs grow with the square.


def read_table(path):
    with open(path, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for name in row:
            if name != "moment":
                row[name] = float(row[name])
    return rows


def read_counts(path):
    with open(path, encoding="utf-8") as file:
        return {row["what"]: int(row["count"]) for row in csv.DictReader(file)}


def theil_sen(times, values):
    slopes = [(values[j] - values[i]) / (times[j] - times[i])
              for i in range(len(times)) for j in range(i + 1, len(times))
              if times[j] > times[i]]
    return statistics.median(slopes)


def thin_out(points):
    """At most POINTS_MOST: the medians of neighbours."""
    size = -(-len(points) // POINTS_MOST)
    return [(statistics.median(time for time, _ in points[i:i + size]),
             statistics.median(value for _, value in points[i:i + size]))
            for i in range(0, len(points), size)]


class Trend:
    """The slope of a series after the warm-up, and what slopes its noise alone would make."""

    def __init__(self, points, tolerance, seed=1):
        end = points[-1][0]
        begin = points[0][0]
        points = thin_out([point for point in points
                           if point[0] >= begin + WARM_UP * (end - begin)])
        times = [time for time, _ in points]
        values = [value for _, value in points]
        self.count = len(points)
        self.level = statistics.median(values)
        self.most = max(values)
        self.seconds = times[-1] - times[0]
        self.slope = theil_sen(times, values)
        residuals = [value - self.slope * time for time, value in points]
        middle = statistics.median(residuals)
        residuals = [residual - middle for residual in residuals]
        self.spread = 1.4826 * statistics.median(map(abs, residuals))
        self.noise = self.noise_slope(times, residuals, random.Random(seed))
        self.growth = self.slope * self.seconds
        self.limit = max(self.noise * self.seconds, self.spread, tolerance)
        self.grows = self.growth > self.limit

    @staticmethod
    def noise_slope(times, residuals, rng):
        count = len(residuals)
        block = max(round(count ** (1 / 3)), count // 10, 1)
        slopes = []
        for _ in range(DRAWS):
            drawn = []
            while len(drawn) < count:
                at = rng.randrange(count - block + 1)
                drawn += residuals[at:at + block]
            slopes.append(theil_sen(times, drawn[:count]))
        return sorted(slopes)[int(QUANTILE * DRAWS)]


def trends(rows, tolerance_kib):
    """[(name, what, Trend or None)]: None where there are too few points."""
    found = []
    for name, moments, what in SERIES:
        points = [(row["seconds"], row[name]) for row in rows if row["moment"] in moments]
        enough = len(points) * (1 - WARM_UP) >= POINTS_LEAST
        tolerance = TOLERANCES.get(name, tolerance_kib)
        found.append((name, what, Trend(points, tolerance) if enough else None))
    return found


def judge_exact(rows):
    """Sentences about what was not back where it was."""
    complaints = []
    for moment in ("calm", "empty"):
        at_rest = [row for row in rows if row["moment"] == moment]
        if not at_rest:
            complaints.append(f"there was no moment of rest ({moment})")
            continue
        for name in EXACT:
            spare = SPARE_AT_CALM.get(name, 0) if moment == "calm" else 0
            odd = [row for row in at_rest if abs(row[name] - at_rest[0][name]) > spare]
            if odd:
                complaints.append(
                    f"{name}, {moment}: {at_rest[0][name]:.0f} at first, {odd[0][name]:.0f} after "
                    f"{odd[0]['seconds']:.0f} s, {odd[-1][name]:.0f} after "
                    f"{odd[-1]['seconds']:.0f} s")
        if moment == "empty" and at_rest[0]["objects"] != 0:
            complaints.append(f"{at_rest[0]['objects']:.0f} objects are left without any pool")
    return complaints


def judge(rows, counts, found):
    complaints = judge_exact(rows)
    for name, what, trend in found:
        if trend is not None and trend.grows:
            complaints.append(
                f"{name} ({what}) grows: by {trend.growth:.0f}{unit(name)} in "
                f"{trend.seconds:.0f} s, where noise alone makes less than {trend.limit:.0f}")
    if counts["wrong"] != 0:
        complaints.append(f"{counts['wrong']} results were wrong")
    return complaints


def unit(name):
    return UNITS.get(name, " KiB")


def run_program(command, prefix):
    """False: it failed."""
    command = [*command, "--output", str(prefix)]
    for old in (".csv", "_counts.csv"):
        pathlib.Path(f"{prefix}{old}").unlink(missing_ok=True)
    return subprocess.run(command, check=False).returncode


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix", nargs="?", default="soak", help="default: soak")
    parser.add_argument("--page", type=pathlib.Path, help="write the page about it")
    parser.add_argument("--command", default="scripts/soak", help="what the page says made it")
    parser.add_argument("--tolerance", type=float, default=256, metavar="KIB",
                        help="growth below that is none (default: 256)")
    parser.add_argument("--expect", metavar="WORD",
                        help="succeed only if something with this word is wrong")
    parser.add_argument("--run", nargs=argparse.REMAINDER, help="make the files first")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    status = run_program(arguments.run, arguments.prefix) if arguments.run else 0
    if status not in (0, 1):
        print(f"soak: the program ended with {status}", file=sys.stderr)
        return 1
    rows = read_table(f"{arguments.prefix}.csv")
    counts = read_counts(f"{arguments.prefix}_counts.csv")
    found = trends(rows, arguments.tolerance)
    complaints = judge(rows, counts, found)
    for name, what, trend in found:
        if trend is not None:
            print(f"{name} ({what}): {trend.level:.0f}{unit(name)}, growth {trend.growth:+.0f} in "
                  f"{trend.seconds:.0f} s, noise up to {trend.limit:.0f}, {trend.count} points")
    for complaint in complaints:
        print(f"soak: {complaint}", file=sys.stderr)
    if arguments.page is not None:
        import soak_page  # pylint: disable=import-outside-toplevel
        soak_page.write(arguments.page, pathlib.Path(arguments.prefix).parent, arguments.command,
                        rows, counts, found, complaints)
    if arguments.expect is not None:
        return 0 if any(arguments.expect in complaint for complaint in complaints) else 1
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
