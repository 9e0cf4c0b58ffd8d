# SPDX-License-Identifier: MIT
"""Results as CSV, JSON and Markdown."""
import json

from results import METRICS, TITLES, is_hocket, kind, short


def write_csv(path, results):
    """Medians, and half the range of the rounds behind them."""
    with open(path, "w", encoding="utf-8") as out:
        print("peer,workload,threads,n,metric,value,unit", file=out)
        for key, series in sorted(results.series.items()):
            begin = f"{key.peer},{key.workload},{key.threads},{series.n},{key.metric}"
            print(f"{begin},{series.median:.6g},{series.unit}", file=out)
            print(f"{begin}.half_range,{series.half_range:.6g},{series.unit}", file=out)


def write_json(path, results, machine, options):
    document = {
        "machine": dict(machine),
        "rounds": options.rounds,
        "quick": options.quick,
        "missing_peers": options.missing,
        "failures": results.failures,
        "foreign_cpu_percent": dict(results.foreign),
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
    is_best = series.median == results.best(workload, metric)
    return f"{short(series.median)} ±{short(series.half_range)}", is_best


def write_markdown(path, results, machine, options):
    lines = ["# Hocket and its peers, measured {#bench}", "",
             "Written by scripts/bench. Compare within one table only.", ""]
    lines += [f"- {name}: {text}" for name, text in machine]
    lines += ["", f"Rounds: {options.rounds}, peers in turn; medians ± half the range, the best "
              f"in bold. {foreign_text(results)}"]
    if options.missing:
        lines.append(f"Not here: {', '.join(options.missing)}.")
    for failure in results.failures:
        lines.append(f"**{failure}**")
    for workload in results.workloads():
        metrics = results.metrics(workload)
        lines += ["", f"## {workload}", "", f"{TITLES[workload]}.", ""]
        heads = [f"{metric} ({results.unit(workload, metric)})" for metric in metrics]
        lines.append(f"| peer | gives | threads | n | {' | '.join(heads)} |")
        lines.append("|---" * (4 + len(metrics)) + "|")
        for peer in results.peers(workload):
            texts = [f"**{text}**" if is_best else text
                     for text, is_best in (cell(results, workload, peer, metric)
                                           for metric in metrics)]
            n = results.get(workload, peer, METRICS[workload][0]).n
            name = f"**{peer[0]}**" if is_hocket(peer[0]) else peer[0]
            lines.append(f"| {name} | {kind(peer[0])} | {peer[1]} | {n:,} | {' | '.join(texts)} |")
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(lines) + "\n")
