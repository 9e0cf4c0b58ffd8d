# SPDX-License-Identifier: MIT
"""What is wanted of Hocket beside its peers, and whether it was measured so.

targets.csv names a workload, a metric, beside whom, a limit, and whether the margin is so
small that --pairs should measure it. A peer may be given by name or as "best", "best with
futures", or "best across threads": who does not let the submitter run the task. Without a
peer the limit is for Hocket's own number.
"""
import collections
import csv
import pathlib
import statistics

from results import (MORE_IS_BETTER, WITH_SUBMITTER, has_futures, is_hocket, quartiles)

OURS = "hocket-threads"

Target = collections.namedtuple("Target", "workload metric beside limit pairs")
# low and high are the quartiles; basis says of what; ours and theirs are medians.
Verdict = collections.namedtuple(
    "Verdict", "target peer ours theirs unit ratio low high basis is_met is_close")


def read_targets():
    path = pathlib.Path(__file__).with_name("targets.csv")
    with open(path, encoding="utf-8", newline="") as lines:
        return [Target(**row) for row in csv.DictReader(lines)]


def is_within(value, limit):
    bound = float(limit[2:])
    return value <= bound if limit.startswith("<=") else value >= bound


def is_chosen(peer, workload, beside):
    if beside == "best with futures":
        return has_futures(peer, workload)
    if beside == "best across threads":
        return peer not in WITH_SUBMITTER
    return beside in ("best", peer)


def find_peer(results, target):
    """The peer that a target means, by the medians of the rounds; None: it is not here."""
    medians = {}
    for peer in results.peers(target.workload):
        series = results.get(target.workload, peer, target.metric)
        if (series and not is_hocket(peer[0])
                and is_chosen(peer[0], target.workload, target.beside)):
            medians[peer[0]] = series.median
    if not medians:
        return None
    return (max if target.metric in MORE_IS_BETTER else min)(medians, key=medians.get)


def find_series(results, workload, name, metric):
    for peer in results.peers(workload):
        if peer[0] == name:
            return results.get(workload, peer, metric)
    return None


def judge(results, target):
    """A Verdict, or None if it was not measured."""
    ours = find_series(results, target.workload, OURS, target.metric)
    peer, theirs = "", None
    if ours is None:
        return None
    values, basis = ours.values, f"{len(ours.values)} rounds"
    if target.beside:
        peer = find_peer(results, target)
        if peer is None:
            return None
        theirs = find_series(results, target.workload, peer, target.metric)
        values = [one / other for one, other in zip(ours.values, theirs.values) if other > 0]
        pairs = results.pairs.get((target.workload, peer, target.metric))
        if pairs:
            values, basis = pairs, f"{len(pairs)} pairs"
        if not values:
            return None
    low, high = quartiles(values)
    ratio = statistics.median(values)
    return Verdict(target, peer, ours.median, theirs.median if theirs else None, ours.unit,
                   ratio, low, high, basis, is_within(ratio, target.limit),
                   is_within(low, target.limit) != is_within(high, target.limit))


def judge_all(results):
    verdicts = [judge(results, target) for target in read_targets()]
    return [verdict for verdict in verdicts if verdict is not None]


def verdict_text(verdict):
    """In brackets if the quartiles lie on both sides of the limit."""
    text = "met" if verdict.is_met else "missed"
    return f"({text})" if verdict.is_close else text


def pairs_wanted(results, workloads, against):
    """[(workload, peer)] for --pairs: targets with a small margin, and who is named."""
    wanted = []
    for target in read_targets():
        if target.pairs and target.workload in workloads:
            wanted.append((target.workload, find_peer(results, target)))
    wanted += [(workload, peer) for workload in workloads for peer in against
               if any(name == peer for name, _ in results.peers(workload))]
    return [pair for pair in dict.fromkeys(wanted) if pair[1] is not None]
