#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs hocket-bench and its peers in rounds and writes what was found.

In each round every peer runs once, in an order that rotates, so that a machine that is now
fast and now slow is so for all. What differs by little is measured again in pairs: Hocket
and one peer, the peer and Hocket, and so on. scripts/bench builds everything and calls this.
"""
import argparse
import os
import pathlib
import subprocess
import sys

import machine
import peer_table
from page import write_page
from plots import Plots
from results import METRICS, SCALED, TREES, Results
from summary import write_summary
from tables import write_csv, write_json, write_markdown
from targets import OURS, pairs_wanted

EXIT_NO_SUCH_WORKLOAD = 2
CALM_TRIES = 3
RUN_SECONDS_MAX = 600


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", required=True, help="with the programs")
    parser.add_argument("--output", required=True, help="folder for the results")
    parser.add_argument("--rounds", type=int, help="how often each peer runs (5; --quick: 2)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--calm", type=float, default=100,
                        help="repeat runs during which others took more percent of the CPUs")
    parser.add_argument("--quick", action="store_true", help="very little work")
    parser.add_argument("--only", action="append", default=[], metavar="WORD",
                        help="only this workload or peer; may be repeated")
    parser.add_argument("--key", action="store_true",
                        help="only the peers that targets and README name")
    parser.add_argument("--pairs", type=int, default=0, metavar="N",
                        help="then N pairs, A B B A, for each target with a small margin")
    parser.add_argument("--against", action="append", default=[], metavar="PEER",
                        help="with --pairs: pairs with this peer for all workloads, too")
    parser.add_argument("--command", default="scripts/bench", help="for the reader of the page")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    return options


def execute(command):
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=RUN_SECONDS_MAX, check=False)


class Session:
    """All runs."""

    def __init__(self, options, peers):
        self.options, self.peers = options, peers
        self.results = Results(options.threads)
        # (peer, workload) that the peer does not have, or that went wrong.
        self.left_out = set()

    def wanted_peers(self):
        names = [word for word in self.options.only if word not in METRICS]
        if self.options.key:
            names += peer_table.KEY_PEERS
        return [peer for peer in self.peers if not names or peer.name in names]

    def wanted_workloads(self):
        words = [word for word in self.options.only if word in METRICS]
        return [workload for workload in METRICS if not words or workload in words]

    def command(self, peer, workload, threads):
        command = [*peer.command, f"--peer={peer.name}", f"--threads={threads}"]
        if peer.name.startswith("java") and workload.endswith("_pinned"):
            # The virtual machine cannot pin itself.
            command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), *command]
        if self.options.quick:
            command.append(f"--n={peer_table.QUICK[workload]}")
        return [*command, workload]

    def start(self, peer, workload, threads):
        """The run of a peer's program."""
        if workload == "burst_futex" and peer.passes:
            return self.count_futex(peer, threads)
        return execute(self.command(peer, workload, threads))

    def count_futex(self, peer, threads):
        """Of a burst, what it needs more than a burst of one task, to start for example."""
        counter = pathlib.Path(self.options.build_dir) / "bench/hocket_bench/futex-count"
        counts, n = [], 0
        for size in (["--n=1"], []):
            done = execute([str(counter), *self.command(peer, "burst", threads), *size])
            if done.returncode != 0:
                return done
            line, counts = done.stdout.splitlines()[0], [*counts, done.stdout.splitlines()[-1]]
            n = int(line.split(",")[3])
        share = 1e6 * max(0, int(counts[1]) - int(counts[0])) / (peer.passes * n)
        done.stdout = f"{peer.name},burst_futex,{threads},{n},futex_per_million,{share:.6g},calls\n"
        return done

    def run_once(self, peer, workload, threads):
        """What it prints; None if there is nothing to be had."""
        if (peer.name, workload) in self.left_out:
            return None
        for attempt in range(CALM_TRIES):
            load = machine.Load()
            try:
                done = self.start(peer, workload, threads)
            except subprocess.TimeoutExpired:
                self.fail(peer, workload, "takes too long")
                return None
            foreign = load.foreign_percent()
            if foreign <= self.options.calm or attempt + 1 == CALM_TRIES:
                break
        if done.returncode == EXIT_NO_SUCH_WORKLOAD:
            self.left_out.add((peer.name, workload))
            return None
        if done.returncode != 0:
            self.fail(peer, workload, done.stderr.strip() or f"ended with {done.returncode}")
            return None
        self.results.foreign[workload].append(round(foreign, 1))
        return done.stdout

    def run(self, peer, workload, threads):
        main = self.options.threads
        told = self.results.threads_of(workload, peer.name)
        # A peer that has one number of threads only has told everything with the first.
        if threads != main and main not in told:
            return
        output = self.run_once(peer, workload, threads)
        if output is not None:
            self.results.add_lines(output)

    def fail(self, peer, workload, why):
        self.left_out.add((peer.name, workload))
        self.results.failures.append(f"{peer.name}, {workload}: {why}")
        print(f"    {self.results.failures[-1]}", file=sys.stderr)

    def thread_counts(self, workload):
        main = self.options.threads
        if workload not in SCALED:
            return [main]
        others = {1, main} if workload in TREES else {1, 2, main, 2 * main}
        return [main, *sorted(others - {main})]

    def run_rounds(self, workload):
        peers, counts = self.wanted_peers(), self.thread_counts(workload)
        print(f"{workload}, {'/'.join(map(str, counts))} threads: {self.options.rounds} rounds",
              file=sys.stderr)
        for turn in range(self.options.rounds):
            first = turn % len(peers) if peers else 0
            for peer in peers[first:] + peers[:first]:
                # One after the other: their ratio is of interest too.
                for threads in counts:
                    self.run(peer, workload, threads)

    def run_pairs(self, workload, name):
        """A B, B A, A B: whatever gets faster or slower does so for both."""
        pair = {peer.name: peer for peer in self.peers if peer.name in (OURS, name)}
        print(f"{workload}, {OURS} and {name}: {self.options.pairs} pairs", file=sys.stderr)
        for turn in range(self.options.pairs):
            order = (OURS, name) if turn % 2 == 0 else (name, OURS)
            told = {one: self.run_once(pair[one], workload, self.options.threads)
                    for one in order}
            if None in told.values():
                return
            self.results.add_pair(workload, name, told[OURS], told[name])

    def run_all(self):
        workloads = self.wanted_workloads()
        for workload in workloads:
            self.run_rounds(workload)
        self.results.derive_scaling()
        if self.options.pairs > 0:
            for workload, name in pairs_wanted(self.results, workloads, self.options.against):
                self.run_pairs(workload, name)


def main():
    options = parse()
    peers, options.missing = peer_table.find(options.build_dir, sys.executable)
    unknown = set(options.only + options.against) - set(METRICS) - {peer.name for peer in peers}
    if unknown:
        sys.exit(f"no such workload or peer: {', '.join(sorted(unknown))}")
    session = Session(options, peers)
    session.run_all()
    output = pathlib.Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    facts = machine.describe()
    plots = Plots(output / "plots")
    plots.draw_all(session.results)
    write_csv(output / "bench.csv", session.results)
    write_json(output / "bench.json", session.results, facts, options)
    write_markdown(output / "bench.md", session.results, facts, options)
    write_summary(output / "summary.md", session.results)
    write_page(output / "bench.html", session.results, plots, facts, options)
    return 1 if session.results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
