# SPDX-License-Identifier: MIT
"""The page about a soak: a table of numbers, and plots where gnuplot is installed."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench" / "report"))

import machine  # noqa: E402  pylint: disable=wrong-import-position
import plots  # noqa: E402  pylint: disable=wrong-import-position

COLUMNS = 72
ROWS = 12


def write(path, folder, command, rows, counts, found, complaints):
    """The page as `path`, and finer plots into a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = [
        "# The soak {#soak}", "",
        f"Written by `{command}`, which builds `tests/soak`, runs it, and\njudges what it "
        "counted. Everything at once: tasks of all kinds on thread pools, worker processes and "
        "serial executors, forks, loops, maps, cancels, limits, crashes, kills, locks with "
        "orders, queues, rings, threads and executors that come and go; each piece of work "
        "checks what comes out.", "",
        *verdict(rows, counts, complaints), "",
        "## What grew", "", *table_of_trends(found), "",
        "Growth is the slope (the median of the slopes between all pairs of points) of the last "
        "two thirds of the run, times their length. Noise is what the slope of the residuals "
        "exceeds once in a hundred times when they are drawn again in blocks, but at least "
        "their spread, and at least 256 KiB, 8 blocks, or 8 mappings.", "",
        "## What was there at rest", "", *table_of_rest(rows), "",
        "Calm: the pools have nothing to do. Empty: they have been destroyed. Children are the "
        "zygote, its workers, and while there is a pool at times one that waits to become a "
        "worker. A moment of rest that differs from the first in any other way is a failure.", "",
        "## Memory over time", "", *picture(rows), "",
        "## What was done", "", *table_of_counts(counts), "",
        "## The machine", "", *(f"- {name}: {value}" for name, value in machine.describe()
                                if name != "Packages"),
    ]
    draw_finer(folder, rows)
    path.write_text("\n".join(text) + "\n", encoding="utf-8")


def verdict(rows, counts, complaints):
    minutes = counts["seconds"] / 60
    cpu = rows[-1]["cpu_seconds"] / max(rows[-1]["seconds"], 1)
    lines = [f"{minutes:.0f} minutes, seed {counts['seed']}, {counts['phases']} phases, "
             f"{cpu:.2f} processors busy on average: **{'FAILED' if complaints else 'passed'}**, "
             f"{counts['wrong']} wrong results."]
    return lines + [""] * bool(complaints) + [f"- {complaint}" for complaint in complaints]


def table_of_trends(found):
    lines = ["| | median | most | growth | noise | points |", "|---|--:|--:|--:|--:|--:|"]
    for name, what, trend in found:
        unit = "" if name in ("blocks", "mappings") else " KiB"
        if trend is None:
            lines.append(f"| {what} | too few points | | | | |")
        else:
            lines.append(f"| {what} | {trend.level:,.0f}{unit} | {trend.most:,.0f}{unit} | "
                         f"{trend.growth:+,.0f}{unit} | {trend.limit:,.0f}{unit} | "
                         f"{trend.count} |")
    return lines


def table_of_rest(rows):
    lines = ["| | moments | descriptors | threads | children | live objects |",
             "|---|--:|--:|--:|--:|--:|"]
    for moment in ("calm", "empty"):
        at_rest = [row for row in rows if row["moment"] == moment]
        cells = [f"{moment} | {len(at_rest)}"]
        for name in ("descriptors", "threads", "children", "objects"):
            values = sorted({int(row[name]) for row in at_rest})
            cells.append(" to ".join(str(value) for value in (values[0], values[-1]))
                         if len(values) > 1 else str(values[0]))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def table_of_counts(counts):
    lines = ["| | |", "|---|--:|"]
    return lines + [f"| {what} | {count:,} |" for what, count in counts.items()
                    if what not in ("seconds", "seed", "phases", "wrong")]


def picture(rows):
    """Drawn in characters: it is the same everywhere."""
    lines = []
    for name, title in (("parent_kib", "the program, MiB"), ("zygote_kib", "the zygote, MiB"),
                        ("worker_kib", "a worker, MiB")):
        points = [(row["seconds"], row[name] / 1024) for row in rows if row["moment"] == "loaded"]
        lines += [f"Resident: {title}, by minutes; the least and the most of each column.", "",
                  "```text", *draw(points), "```", ""]
    return lines[:-1]


def draw(points):
    top = max(value for _, value in points) * 1.05
    end = points[-1][0]
    columns = [[] for _ in range(COLUMNS)]
    for seconds, value in points:
        columns[min(int(seconds / end * COLUMNS), COLUMNS - 1)].append(value)
    grid = []
    for row in range(ROWS, 0, -1):
        low, high = top * (row - 1) / ROWS, top * row / ROWS
        cells = "".join("*" if any(low <= value < high for value in column) else
                        ":" if column and min(column) < low and max(column) >= high else " "
                        for column in columns)
        grid.append(f"{low:6.1f} |{cells}".rstrip())
    grid.append("       +" + "-" * COLUMNS)
    return grid + [f"        0{f'{end / 60:.1f}':>{COLUMNS - 1}}"]


def draw_finer(folder, rows):
    drawing = plots.Plots(folder)
    if drawing.gnuplot is None:
        return
    blocks = [(title, [f"{row['seconds'] / 60} {row[name] / 1024}" for row in rows
                       if row["moment"] == "loaded"])
              for name, title in (("parent_kib", "program"), ("zygote_kib", "zygote"),
                                  ("worker_kib", "worker"))]
    drawing.lines("soak", blocks, ["set xlabel 'minutes'", "set ylabel 'resident (MiB)'",
                                      "set yrange [0:*]"])
