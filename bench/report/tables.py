# SPDX-License-Identifier: MIT
"""Results as CSV, JSON and Markdown."""
import json
import statistics

from results import (METRICS, NEUTRAL, PARTS, TITLES, is_hocket, kind, quartiles, short,
                     short_with_spread)
from targets import judge_all, verdict_text

TARGET_HEADS = ("workload", "metric", "Hocket", "beside", "ratio", "quartiles", "of", "target",
                "verdict")
PAIR_HEADS = ("workload", "metric", "peer", "ratio", "quartiles", "pairs")
PART_HEADS = ("workload", "what", "time (ns)", "quartiles (ns)", "n")
TARGETS_TEXT = ("Hocket's number by the peer's in each round, or in each pair of runs: the median "
                "of these ratios, and their quartiles; the numbers themselves are medians of the "
                "rounds. In brackets where the quartiles lie on both sides of the limit.")
PAIRS_TEXT = ("Hocket's number by the peer's in runs that follow each other, first the one and then "
              "the other first: the median of these ratios, and their quartiles.")
PARTS_TEXT = ("Operations are done so often that it takes long enough, 11 times: the median and the "
              "quartiles of one.")


def write_csv(path, results):
    """Medians, and half the range of the rounds behind them."""
    with open(path, "w", encoding="utf-8") as out:
        print("peer,workload,threads,n,metric,value,unit", file=out)
        for key, series in sorted(results.series.items()):
            begin = f"{key.peer},{key.workload},{key.threads},{series.n},{key.metric}"
            print(f"{begin},{series.median:.6g},{series.unit}", file=out)
            print(f"{begin}.half_range,{series.half_range:.6g},{series.unit}", file=out)


def verdict_record(verdict):
    record = verdict._asdict()
    target = record.pop("target")
    return {"workload": target.workload, "metric": target.metric, "beside": target.beside,
            "limit": target.limit, **record}


def write_json(path, results, machine, options):
    document = {
        "machine": dict(machine),
        "rounds": options.rounds,
        "quick": options.quick,
        "missing_peers": options.missing,
        "failures": results.failures,
        "foreign_cpu_percent": dict(results.foreign),
        "targets": [verdict_record(verdict) for verdict in judge_all(results)],
        "pairs": [{"workload": workload, "peer": peer, "metric": metric, "ratios": ratios}
                  for (workload, peer, metric), ratios in results.pairs.items()],
        "results": [
            {**key._asdict(), "n": series.n, "unit": series.unit, "median": series.median,
             "half_range": series.half_range, "values": series.values}
            for key, series in sorted(results.series.items())],
    }
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out, indent=1)
        out.write("\n")


def foreign_text(results):
    shares = [share for rounds in results.foreign.values() for share in rounds]
    if not shares:
        return ""
    shares.sort()
    return (f"Other work took {shares[len(shares) // 2]:.0f} % of the CPUs during the median run "
            f"and {shares[-1]:.0f} % during the worst.")


def cell(results, workload, peer, metric):
    """(text, whether it is the best)"""
    series = results.get(workload, peer, metric)
    if series is None:
        return "-", False
    is_best = metric not in NEUTRAL and series.median == results.best(workload, metric)
    return short_with_spread(series.median, series.half_range), is_best


def target_rows(results):
    """One row of texts for each target that was measured, and whether it was met."""
    rows = []
    for one in judge_all(results):
        limit = one.target.limit.replace("<=", "≤ ").replace(">=", "≥ ")
        beside, ratio, spread = "", "", f"{short(one.low)} to {short(one.high)}"
        if one.peer:
            beside = f"{one.peer} {short(one.theirs)}"
            ratio, spread = f"{one.ratio:.3f}", f"{one.low:.3f} to {one.high:.3f}"
        rows.append(((one.target.workload, one.target.metric, f"{short(one.ours)} {one.unit}",
                      beside, ratio, spread, one.basis, limit, verdict_text(one)), one.is_met))
    return rows


def pair_rows(results):
    """Of all that was measured in pairs."""
    rows = []
    for (workload, peer, metric), ratios in results.pairs.items():
        low, high = quartiles(ratios)
        rows.append((workload, metric, peer, f"{statistics.median(ratios):.3f}",
                     f"{low:.3f} to {high:.3f}", str(len(ratios))))
    return rows


def part_rows(results):
    rows = []
    for workload in results.workloads():
        if workload in PARTS:
            metric = METRICS[workload][0]
            for peer in results.peers(workload):
                middle, low, high = (results.get(workload, peer, metric + end)
                                     for end in ("", ".q1", ".q3"))
                rows.append((workload, TITLES[workload], short(middle.median),
                             f"{short(low.median)} to {short(high.median)}", f"{middle.n:,}"))
    return rows


def compared_workloads(results):
    return [workload for workload in results.workloads() if workload not in PARTS]


def markdown_table(heads, rows):
    return [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|",
            *(f"| {' | '.join(row)} |" for row in rows)]


def workload_table(results, workload):
    metrics = results.metrics(workload)
    heads = [f"{metric} ({results.unit(workload, metric)})" for metric in metrics]
    rows = []
    for peer in results.peers(workload):
        texts = [f"**{text}**" if is_best else text
                 for text, is_best in (cell(results, workload, peer, metric)
                                       for metric in metrics)]
        n = results.get(workload, peer, METRICS[workload][0]).n
        name = f"**{peer[0]}**" if is_hocket(peer[0]) else peer[0]
        rows.append((name, kind(peer[0], workload), str(peer[1]), f"{n:,}", *texts))
    return markdown_table(("peer", "gives", "threads", "n", *heads), rows)


def write_markdown(path, results, machine, options):
    lines = ["# Hocket and its peers, measured {#bench}", "",
             f"Written by `{options.command}`. Compare within one table only.", ""]
    lines += [f"- {name}: {text}" for name, text in machine]
    lines += ["", f"Rounds: {options.rounds}, peers in turn; medians ± half the range, the best "
              f"in bold. {foreign_text(results)}"]
    if options.missing:
        lines.append(f"Not here: {', '.join(options.missing)}.")
    for failure in results.failures:
        lines.append(f"**{failure}**")
    targets, pairs, parts = target_rows(results), pair_rows(results), part_rows(results)
    if targets:
        lines += ["", "## Targets", "", TARGETS_TEXT, ""]
        lines += markdown_table(TARGET_HEADS, [row for row, _ in targets])
    if pairs:
        lines += ["", "## Pairs", "", PAIRS_TEXT, ""]
        lines += markdown_table(PAIR_HEADS, pairs)
    for workload in compared_workloads(results):
        lines += ["", f"## {workload}", "", f"{TITLES[workload]}.", ""]
        lines += workload_table(results, workload)
    if parts:
        lines += ["", "## Parts of Hocket", "", PARTS_TEXT, ""]
        lines += markdown_table(PART_HEADS, parts)
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
