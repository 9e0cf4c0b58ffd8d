# SPDX-License-Identifier: MIT
"""One page that shows everything and needs nothing else."""
import html
import re

from results import METRICS, MORE_IS_BETTER, TITLES, is_hocket, kind
from tables import (PAIR_HEADS, PAIRS_TEXT, PART_HEADS, PARTS_TEXT, TARGET_HEADS, TARGETS_TEXT,
                    cell, compared_workloads, foreign_text, pair_rows, part_rows, target_rows)

STYLE = """
:root { color-scheme: light dark; --back: #fcfcfb; --text: #1c1d1f; --soft: #5c6169;
  --line: #dcdee2; --card: #ffffff; --bar: #c9ced6; --hocket: #2a78d6; }
@media (prefers-color-scheme: dark) { :root { --back: #17181a; --text: #ececea;
  --soft: #a5a9b0; --line: #36393e; --card: #1f2124; --bar: #4b5058; --hocket: #5a9be8; } }
body { background: var(--back); color: var(--text); max-width: 72rem; margin: 0 auto;
  padding: 1.5rem 1rem 4rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { margin: 2.5rem 0 .2rem; font-size: 1.2rem; }
p, dd { color: var(--soft); } a { color: var(--hocket); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .9rem; }
dt { font-weight: 600; } dd { margin: 0; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .9rem; margin: 1.5rem 0; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card); margin: .8rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .88rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .55rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; } th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child { text-align: left; } td.bar { width: 22%; min-width: 6rem; }
td.bar i { display: block; height: .8rem; border-radius: 0 3px 3px 0; background: var(--bar); }
tr.hocket td.bar i { background: var(--hocket); } tr.hocket td:first-child { font-weight: 700; }
table.texts td, table.texts th { text-align: left; }
td.best, td.missed { font-weight: 700; } td.missed { color: #d03b3b; } svg { display: block; width: 100%; height: auto; }
.failure { color: #d03b3b; font-weight: 600; }
"""


def bar(results, workload, peer):
    """Its length is the median of the main metric, beside the greatest."""
    metric = METRICS[workload][0]
    greatest = max(results.get(workload, one, metric).median for one in results.peers(workload))
    share = results.get(workload, peer, metric).median / greatest if greatest > 0 else 0
    return f'<td class="bar"><i style="width:{max(0.5, 100 * share):.1f}%"></i></td>'


def table(results, plots, workload):
    # Where a plot shows the bars, the table needs none.
    has_bars = f"bars_{workload}" not in plots.paths
    metrics = results.metrics(workload)
    heads = "".join(f"<th>{metric} ({html.escape(results.unit(workload, metric))})</th>"
                    for metric in metrics)
    rows = []
    for peer in results.peers(workload):
        cells = []
        for metric in metrics:
            text, is_best = cell(results, workload, peer, metric)
            cells.append(f'<td{" class=best" if is_best else ""}>{text}</td>')
        row_class = ' class="hocket"' if is_hocket(peer[0]) else ""
        n = results.get(workload, peer, METRICS[workload][0]).n
        shown = bar(results, workload, peer) if has_bars else ""
        rows.append(f"<tr{row_class}><td>{html.escape(peer[0])}</td>{shown}{''.join(cells)}"
                    f"<td>{kind(peer[0], workload)}</td><td>{peer[1]}</td><td>{n:,}</td></tr>")
    return (f'<div class="wide"><table><tr><th>peer</th>{"<th></th>" if has_bars else ""}{heads}'
            f"<th>gives</th><th>threads</th><th>n</th></tr>{''.join(rows)}</table></div>")


def text_table(heads, rows):
    """A row is (texts, class of its last cell)."""
    lines = []
    for texts, end in rows:
        cells = [html.escape(text) for text in texts]
        last = f"<td{f' class={end}' if end else ''}>{cells[-1]}</td>"
        lines.append("<tr>" + "".join(f"<td>{one}</td>" for one in cells[:-1]) + last + "</tr>")
    head = "".join(f"<th>{html.escape(one)}</th>" for one in heads)
    return (f'<div class="wide"><table class="texts"><tr>{head}</tr>{"".join(lines)}</table></div>')


def extra_sections(results, plots):
    """{name: HTML} of targets, pairs and parts, those that there are."""
    found = {}
    targets, pairs, parts = target_rows(results), pair_rows(results), part_rows(results)
    if targets:
        rows = [(row, "" if is_met else "missed") for row, is_met in targets]
        found["targets"] = f"<p>{TARGETS_TEXT}</p>{text_table(TARGET_HEADS, rows)}"
    if pairs:
        found["pairs"] = f"<p>{PAIRS_TEXT}</p>{text_table(PAIR_HEADS, [(row, '') for row in pairs])}"
    if parts:
        found["parts"] = (f"<p>{PARTS_TEXT}</p>{text_table(PART_HEADS, [(row, '') for row in parts])}"
                          f"{picture(plots, 'bars_parts')}")
    return {name: f'<section id="{name}"><h2>{name}</h2>{text}</section>'
            for name, text in found.items()}


def picture(plots, name):
    """The SVG itself; its names are made unique, as all pictures share one page."""
    if name not in plots.paths:
        return ""
    svg = plots.paths[name].read_text(encoding="utf-8")
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"(id=[\"']|href=[\"']#|url\(#)([\w.-]+)", rf"\g<1>{name}_\g<2>", svg)
    return f'<div class="wide" style="padding:.6rem">{svg}</div>'


def section(results, plots, workload):
    metric = METRICS[workload][0]
    better = "more" if metric in MORE_IS_BETTER else "less"
    pictures = "".join(picture(plots, f"{kind}_{workload}")
                       for kind in ("bars", "scaling", "latency"))
    return (f'<section id="{workload}"><h2>{workload}</h2><p>{html.escape(TITLES[workload])}. '
            f"Of {metric}, {better} is better.</p>{table(results, plots, workload)}{pictures}</section>")


def write_page(path, results, plots, machine, options):
    facts = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>"
                    for name, text in machine)
    extra = extra_sections(results, plots)
    names = [name for name in ("targets", "pairs") if name in extra]
    names += compared_workloads(results) + [name for name in ("parts",) if name in extra]
    links = "".join(f'<a href="#{name}">{name}</a>' for name in names)
    failures = "".join(f'<p class="failure">{html.escape(text)}</p>' for text in results.failures)
    missing = f"<p>Not here: {', '.join(options.missing)}.</p>" if options.missing else ""
    quick = " Very little work (--quick): this shows that it works, not how fast." \
        if options.quick else ""
    sections = "\n".join(extra.get(name) or section(results, plots, name) for name in names)
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hocket and its peers, measured</title><style>{STYLE}</style></head><body>
<h1>Hocket and its peers, measured</h1>
<p>Rounds: {options.rounds}, peers in turn. Medians ± half the range; the best is bold.{quick}
{html.escape(foreign_text(results))} Compare within one table only. Repeat it with
<code>{html.escape(options.command)}</code>.</p>
{failures}{missing}<dl>{facts}</dl><nav>{links}</nav>
{sections}
</body></html>
""")
