# SPDX-License-Identifier: MIT
"""Plots as SVG, drawn by gnuplot where it is installed."""
import pathlib
import re
import shutil
import subprocess

from results import METRICS, MORE_IS_BETTER, QUANTILES, is_hocket

HOCKET, OTHER = "#2a78d6", "#98a2b3"
CURVES = ("#e34948", "#1baf7a", "#eda100", "#8a5cd1", "#e87ba4", "#6b7280")
# More than these in one picture cannot be told apart.
CURVES_MAX = 8


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
        for workload in results.workloads():
            self.bars(results, workload)
            if results.scaling(workload):
                self.curve(results, workload)
            if "roundtrip" in workload or workload == "timer_lateness":
                self.distribution(results, workload)

    def bars(self, results, workload):
        """The main metric, the best at the top; the whiskers are half the range."""
        metric = METRICS[workload][0]
        peers = results.peers(workload)
        series = [results.get(workload, peer, metric) for peer in peers]
        medians = [one.median for one in series]
        is_wide = min(medians) > 0 and max(medians) > 30 * min(medians)
        floor = min(medians) / 2 if is_wide else 0
        rows = []
        for place, (peer, one) in enumerate(zip(peers, series)):
            low = max(one.median - one.half_range, floor)
            color = int((HOCKET if is_hocket(peer[0]) else OTHER)[1:], 16)
            rows.append(f"{floor} {len(peers) - place} {one.median} {low} "
                        f"{one.median + one.half_range} {color}")
        tics = ", ".join(f"'{peer}' {len(peers) - place}"
                         for place, (peer, _) in enumerate(peers))
        better = "more" if metric in MORE_IS_BETTER else "less"
        self.draw(f"bars_{workload}", 90 + 22 * len(peers), [
            "$rows << EOD", *rows, "EOD",
            f"set ytics ({tics})", f"set yrange [0.3:{len(peers)}.7]",
            "set logscale x" if is_wide else "", f"set xrange [{floor if is_wide else 0}:*]",
            f"set xlabel '{metric} ({results.unit(workload, metric)}), {better} is better"
            f"{', logarithmic' if is_wide else ''}'",
            "unset key", "set style fill solid 1 noborder",
            "plot $rows using 3:2:1:3:($2-0.35):($2+0.35):6 with boxxyerror lc rgb variable, "
            "$rows using 3:2:4:5 with xerrorbars pt 7 ps 0.01 lc rgb '#000000'"])

    def lines(self, name, blocks, commands):
        """Curves of (peer, rows), Hocket's in its color and thick."""
        commands = list(commands)
        parts = []
        colors = iter(CURVES)
        # Hocket's first, then others as long as they can be told apart.
        ordered = sorted(blocks, key=lambda block: not is_hocket(block[0]))[:CURVES_MAX]
        is_first = True
        for place, (peer, rows) in enumerate(ordered):
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
        blocks = [(peer, [f"{threads} {series.median}" for threads, series in curve])
                  for peer, curve in self.interesting(results, workload,
                                                      results.scaling(workload))]
        self.lines(f"scaling_{workload}", blocks, [
            "set xlabel 'workers'", "set xtics 1", "set yrange [0:*]",
            f"set ylabel '{metric} ({results.unit(workload, metric)})'"])

    def distribution(self, results, workload):
        curves = {}
        for peer in results.peers(workload):
            points = [(results.get(workload, peer, name), percent) for name, percent in QUANTILES]
            if all(series is not None for series, _ in points):
                curves[peer[0]] = [f"{series.median} {percent}" for series, percent in points]
        blocks = self.interesting(results, workload, curves)
        if blocks:
            self.lines(f"latency_{workload}", blocks, [
                "set logscale x", "set xlabel 'time (us), logarithmic'", "set yrange [0:100]",
                "set ylabel 'percent that took no longer'"])

    @staticmethod
    def interesting(results, workload, curves):
        """Hocket's, then the best of the others."""
        order = [peer for peer, _ in results.peers(workload) if peer in curves]
        return [(peer, curves[peer]) for peer in order]


def follow_text_color(svg):
    """What gnuplot draws black takes the color of the text around it: dark pages too."""
    svg = re.sub(r"rgb\(\s*0,\s*0,\s*0\)", "currentColor", svg)
    return re.sub(r"(stroke|fill|color)(=[\"']|:)\s*black", r"\1\2currentColor", svg)
