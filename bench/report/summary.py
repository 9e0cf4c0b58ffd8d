# SPDX-License-Identifier: MIT
"""The table of the README's section on performance: few rows, losing ones included."""
from results import MORE_IS_BETTER, has_futures, short
from targets import OURS, Target, find_series, judge

HEADS = (("hocket-threads", "Hocket"), ("tbb-group", "oneTBB task_group"),
         ("tbb-enqueue", "oneTBB enqueue"), ("glib", "GLib"), ("java-fjp", "Java ForkJoinPool"),
         ("std-packaged_task", "std::packaged_task"))
# These are what they are, not better or worse than others.
ABSOLUTE = ("rss_per_task", "futex_per_million")
ROWS = (
    ("burst", "time_per_task", "a million tasks in a burst, ns each"),
    ("burst_recycled", "time_per_task", "the same in memory used before, ns each"),
    ("burst_futex", "futex_per_million", "futex calls of that burst"),
    ("producers", "time_per_task", "from four threads, ns each"),
    ("roundtrip", "p50", "there and back, median us"),
    ("roundtrip", "p99", "there and back, 99th percentile us"),
    ("roundtrip", "cpu_per_task", "there and back, CPU time us"),
    ("roundtrip_pinned", "p50", "there and back on one CPU, median us"),
    ("roundtrip_idle", "p50", "there and back after 100 us of rest, median us"),
    ("map", "speedup", "map, speed-up (more is better)"),
    ("map_fine", "speedup", "map in small chunks, speed-up (more is better)"),
    ("skew", "efficiency", "tasks of very different lengths, efficiency (more is better)"),
    ("forkjoin", "time_per_task", "fork and join, both halves spawned, ns"),
    ("forkjoin1", "time_per_task", "fork and join, one half spawned, ns"),
    ("forkscope", "time_per_task", "the same with `hk_fork`, ns"),
    ("burst", "rss_per_task", "memory of a task with its future, bytes"),
)


def cell(results, workload, metric, peer):
    series = find_series(results, workload, peer, metric)
    if series is None or (metric == "rss_per_task" and not has_futures(peer, workload)):
        return ""
    text = short(series.median)
    if peer == OURS and metric not in MORE_IS_BETTER and metric not in ABSOLUTE:
        beside = judge(results, Target(workload, metric, "best across threads", "<=1", ""))
        if beside is not None:
            text += f" ({beside.ratio:.2f})"
    return text


def write_summary(path, results):
    """In brackets: by the best peer whose tasks are run by other threads."""
    heads = [(peer, head) for peer, head in HEADS
             if any(cell(results, workload, metric, peer) for workload, metric, _ in ROWS)]
    lines = [f"| | {' | '.join(head for _, head in heads)} |", "|---" + "|--:" * len(heads) + "|"]
    for workload, metric, title in ROWS:
        cells = [cell(results, workload, metric, peer) for peer, _ in heads]
        if any(cells):
            lines.append(f"| {title} | {' | '.join(cells)} |")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
