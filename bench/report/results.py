# SPDX-License-Identifier: MIT
"""What was measured: samples by round, and their summaries."""
import collections
import dataclasses
import statistics

# The main metric of each workload comes first. Quantiles that only the plots need are not
# in tables.
METRICS = {
    "burst": ("time_per_task", "submit_per_task", "peak_rss", "rss_per_task"),
    "producers": ("time_per_task",),
    "roundtrip": ("p50", "p99", "cpu_per_task"),
    "roundtrip_pinned": ("p50", "p99", "cpu_per_task"),
    "map": ("speedup", "time_per_item", "serial_per_item"),
    "skew": ("efficiency",),
    "forkjoin": ("time_per_task",),
    "forkjoin1": ("time_per_task",),
    "forkscope": ("time_per_task",),
    "range": ("time_per_turn",),
    "proc_roundtrip": ("p50", "p99", "cpu_per_task"),
    "proc_roundtrip_pinned": ("p50", "p99", "cpu_per_task"),
    "proc_throughput": ("tasks_per_s",),
    "proc_echo": ("echo",),
    "queue": ("time_per_item",),
    "lock": ("time_per_turn",),
    "completion": ("time_per_future",),
    "callbacks": ("time_per_callback",),
    "timers": ("time_per_timer",),
    "timer_lateness": ("p50", "p99"),
}
TITLES = {
    "burst": "One outside thread submits many trivial tasks and waits for all",
    "producers": "Four outside threads submit and wait for their own",
    "roundtrip": "One trivial task and its result, again and again",
    "roundtrip_pinned": "The same with all threads on one CPU",
    "map": "A function of about 50 ns over doubles, 10,000 to a task",
    "skew": "Busy loops from 1 us to 1 ms, Pareto",
    "forkjoin": "fib(n), both halves spawned and joined",
    "forkjoin1": "fib(n), one half spawned, the other called",
    "forkscope": "The same with records on the stack",
    "range": "A loop of trivial turns as a parallel for",
    "proc_roundtrip": "One empty task to a worker process and back",
    "proc_roundtrip_pinned": "The same with all processes on one CPU",
    "proc_throughput": "Tiny tasks for worker processes, one to a message",
    "proc_echo": "A payload of 1 MiB to a worker process and back",
    "queue": "Numbers through a bounded queue",
    "lock": "A lock that all threads want",
    "completion": "Futures in the order in which they end",
    "callbacks": "Callbacks of promises: added and called",
    "timers": "Time limits that are not needed",
    "timer_lateness": "How late time limits come",
}
MORE_IS_BETTER = {"speedup", "efficiency", "tasks_per_s", "echo"}
# These tell nothing of a single task: the workload counts down an atomic itself. Futures are
# to be compared with futures.
WITHOUT_FUTURES = {"glib", "libuv", "apr", "asio-post", "tbb-enqueue", "tbb-group", "openmp-gnu",
                   "openmp-llvm", "c-pipe"}
# Here the submitter is one of the threads and works while it waits.
WITH_SUBMITTER = {"tbb-group", "openmp-gnu", "openmp-llvm", "hocket-inline"}
QUANTILES = (("p1", 1), ("p10", 10), ("p25", 25), ("p50", 50), ("p75", 75), ("p90", 90),
             ("p99", 99), ("p99.9", 99.9))

Key = collections.namedtuple("Key", "workload threads peer metric")


@dataclasses.dataclass
class Series:
    """One metric of one peer in all rounds."""

    unit: str
    n: int
    values: list = dataclasses.field(default_factory=list)

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def half_range(self):
        return (max(self.values) - min(self.values)) / 2


class Results:
    """All series, and how much of the CPUs others took meanwhile."""

    def __init__(self, main_threads):
        self.main_threads = main_threads
        self.series = {}
        self.foreign = collections.defaultdict(list)
        self.failures = []

    def add_lines(self, text):
        """Lines peer,workload,threads,n,metric,value,unit of one run."""
        for line in text.splitlines():
            peer, workload, threads, n, metric, value, unit = line.split(",")
            key = Key(workload, int(threads), peer, metric)
            series = self.series.setdefault(key, Series(unit, int(n)))
            series.values.append(float(value))

    def threads_of(self, workload, peer):
        """The numbers of threads that a peer has told."""
        return {key.threads for key in self.series
                if key.workload == workload and key.peer == peer}

    def workloads(self):
        """Those that were measured, in the order of the table above."""
        there = {key.workload for key in self.series}
        return [workload for workload in METRICS if workload in there]

    def peers(self, workload):
        """Peers with the wanted number of threads, or the only number they have, best first."""
        metric = METRICS[workload][0]
        found = {}
        for key in self.series:
            if key.workload == workload and key.metric == metric:
                found.setdefault(key.peer, set()).add(key.threads)
        chosen = [(peer, self.main_threads if self.main_threads in threads else min(threads))
                  for peer, threads in found.items()]
        chosen.sort(key=lambda one: self.get(workload, one, metric).median,
                    reverse=metric in MORE_IS_BETTER)
        return chosen

    def get(self, workload, peer_and_threads, metric):
        """The series, or None."""
        peer, threads = peer_and_threads
        return self.series.get(Key(workload, threads, peer, metric))

    def metrics(self, workload):
        """Names of the metrics that some peer has told, for tables."""
        told = {key.metric for key in self.series if key.workload == workload}
        return [metric for metric in METRICS[workload] if metric in told]

    def unit(self, workload, metric):
        for key, series in self.series.items():
            if key.workload == workload and key.metric == metric:
                return series.unit
        return ""

    def best(self, workload, metric):
        """The best median of a metric."""
        medians = [series.median for peer in self.peers(workload)
                   if (series := self.get(workload, peer, metric))]
        return (max if metric in MORE_IS_BETTER else min)(medians)

    def scaling(self, workload):
        """{peer: [(threads, series)]} of peers that ran with several numbers of threads."""
        curves = collections.defaultdict(list)
        for key, series in sorted(self.series.items()):
            if key.workload == workload and key.metric == METRICS[workload][0]:
                curves[key.peer].append((key.threads, series))
        return {peer: curve for peer, curve in curves.items() if len(curve) > 1}


def is_hocket(peer):
    return peer.startswith("hocket-")


def kind(peer):
    """How a peer tells that a task is done."""
    told = "no futures" if peer in WITHOUT_FUTURES else "futures"
    return told + (", submitter works" if peer in WITH_SUBMITTER else "")


def short(value):
    """Three digits, which is more than a shared machine can tell."""
    if value >= 1000 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.3g}"
