# SPDX-License-Identifier: MIT
"""Plots as SVG, drawn by gnuplot where it is installed."""
import math
import pathlib
import re
import shutil
import subprocess

from results import METRICS, MORE_IS_BETTER, PARTS, QUANTILES, is_hocket
from tables import compared_workloads

HOCKET, OTHER = "#2a78d6", "#98a2b3"
CURVES = ("#e34948", "#1baf7a", "#eda100", "#8a5cd1", "#e87ba4", "#6b7280")
# More than these in one picture cannot be told apart.
CURVES_MAX = 8
# Numbers that differ more than so many times are on a logarithmic scale.
WIDE = 30


class Plots:
    """Writes into a folder; {name of the plot: path}."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.gnuplot = shutil.which("gnuplot")
        self.paths = {}

    def draw(self, name, height, commands):
        path = self.folder / f"{name}.svg"
        script = [f"set terminal svg size 760,{height} font 'sans-serif,13' dynamic noenhanced",
                  f"set output '{path}'", "set border 3", "set tics nomirror out", *commands]
        done = subprocess.run([self.gnuplot], input="\n".join(script) + "\n", text=True,
                              capture_output=True, check=False)
        if done.returncode == 0 and path.exists():
            path.write_text(follow_text_color(path.read_text(encoding="utf-8")),
                            encoding="utf-8")
            self.paths[name] = path

    def draw_all(self, results):
        if self.gnuplot is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for workload in compared_workloads(results):
            metric = METRICS[workload][0]
            peers = results.peers(workload)
            better = "more" if metric in MORE_IS_BETTER else "less"
            self.bars(f"bars_{workload}",
                      f"{metric} ({results.unit(workload, metric)}), {better} is better",
                      [(peer[0], results.get(workload, peer, metric)) for peer in peers])
            if results.scaling(workload):
                self.curve(results, workload)
            if "roundtrip" in workload or workload == "timer_lateness":
                self.distribution(results, workload)
        parts = [(workload, results.get(workload, peer, METRICS[workload][0]))
                 for workload in results.workloads() if workload in PARTS
                 for peer in results.peers(workload) if is_hocket(peer[0])]
        if parts:
            self.bars("bars_parts", "time of an operation (ns), less is better",
                      sorted(parts, key=lambda part: part[1].median))

    def bars(self, name, label, rows):
        """Bars of (name, series), the first at the top; the whiskers are half the range."""
        medians = [series.median for _, series in rows]
        positive = [median for median in medians if median > 0] or [1]
        is_wide = max(positive) > WIDE * min(positive)
        floor = min(positive) / 2 if is_wide else 0
        lines = []
        for place, (row, series) in enumerate(rows):
            color = HOCKET if is_hocket(row) or name == "bars_parts" else OTHER
            end = max(series.median, floor)
            lines.append(f"{floor} {len(rows) - place} {end} "
                         f"{max(series.median - series.half_range, floor)} "
                         f"{max(series.median + series.half_range, floor)} {int(color[1:], 16)}")
        tics = ", ".join(f"'{row}' {len(rows) - place}" for place, (row, _) in enumerate(rows))
        self.draw(name, 90 + 22 * len(rows), [
            "$rows << EOD", *lines, "EOD",
            f"set ytics ({tics})", f"set yrange [0.3:{len(rows)}.7]",
            "set logscale x" if is_wide else "", f"set xrange [{floor}:*]",
            f"set format x '{number_format(medians)}'",
            f"set xlabel '{label}{', logarithmic' if is_wide else ''}'",
            "unset key", "set style fill solid 1 noborder",
            "plot $rows using 3:2:1:3:($2-0.35):($2+0.35):6 with boxxyerror lc rgb variable, "
            "$rows using 3:2:4:5 with xerrorbars pt 7 ps 0.01 lc rgb '#000000'"])

    def lines(self, name, blocks, commands):
        """Curves of (peer, rows), Hocket's in its color and thick."""
        commands = list(commands)
        parts = []
        colors = iter(CURVES)
        is_first = True
        # As many as can be told apart.
        for place, (peer, rows) in enumerate(blocks[:CURVES_MAX]):
            commands += [f"$block{place} << EOD", *rows, "EOD"]
            is_main = is_hocket(peer) and is_first
            color = HOCKET if is_main else next(colors, OTHER)
            is_first = is_first and not is_main
            parts.append(f"$block{place} using 1:2 with linespoints pt 7 ps 0.5 "
                         f"lw {3 if is_main else 1.5} lc rgb '{color}' title '{peer}'")
        commands += ["set key outside right top", "plot " + ", ".join(parts)]
        self.draw(name, 340, commands)

    def curve(self, results, workload):
        metric = METRICS[workload][0]
        curves = self.interesting(results, workload, results.scaling(workload))[:CURVES_MAX]
        blocks = [(peer, [f"{threads} {series.median}" for threads, series in curve])
                  for peer, curve in curves]
        medians = [series.median for _, curve in curves for _, series in curve]
        counts = sorted({threads for _, curve in curves for threads, _ in curve})
        is_wide = min(medians) > 0 and max(medians) > WIDE * min(medians)
        better = "more" if metric in MORE_IS_BETTER else "less"
        self.lines(f"scaling_{workload}", blocks, [
            "set xlabel 'workers'", f"set xtics ({', '.join(map(str, counts))})",
            f"set xrange [{counts[0] - 0.1}:{counts[-1] + 0.1}]",
            "set logscale y" if is_wide else "set yrange [0:*]",
            f"set format y '{number_format(medians)}'",
            f"set ylabel '{metric} ({results.unit(workload, metric)}), {better} is better"
            f"{', logarithmic' if is_wide else ''}'"])

    def distribution(self, results, workload):
        """Times by percentile; the tail is stretched: as far from 90 to 99 as from 99 to 99.9."""
        curves = {}
        for peer in results.peers(workload):
            points = [(results.get(workload, peer, name), percent) for name, percent in QUANTILES]
            if all(series is not None for series, _ in points):
                curves[peer[0]] = [f"{-math.log10(1 - percent / 100)} {series.median}"
                                   for series, percent in points]
        blocks = self.interesting(results, workload, curves)
        tics = ", ".join(f"'{percent:g}' {-math.log10(1 - percent / 100)}"
                         for _, percent in QUANTILES if percent not in (1, 10))
        if blocks:
            self.lines(f"latency_{workload}", blocks, [
                "set logscale y", "set ylabel 'time (us), logarithmic'", "set format y '%g'",
                f"set xtics ({tics})", "set xrange [0:3.05]", "set grid",
                "set xlabel 'percentile'"])

    @staticmethod
    def interesting(results, workload, curves):
        """Hocket's, then the best of the others."""
        order = [peer for peer, _ in results.peers(workload) if peer in curves]
        order.sort(key=lambda peer: not is_hocket(peer))
        return [(peer, curves[peer]) for peer in order]


def number_format(values):
    """gnuplot's, for the numbers of an axis."""
    return "%.0s%c" if max(values) >= 10000 else "%g"


def follow_text_color(svg):
    """What gnuplot draws black takes the color of the text around it: dark pages too."""
    svg = re.sub(r"rgb\(\s*0,\s*0,\s*0\)", "currentColor", svg)
    return re.sub(r"(stroke|fill|color)(=[\"']|:)\s*black", r"\1\2currentColor", svg)
