# SPDX-License-Identifier: MIT
"""What was measured: samples by round, and their summaries."""
import collections
import dataclasses
import statistics

# The main metric of each workload comes first. Quantiles that only the plots need are not
# in tables.
METRICS = {
    "burst": ("time_per_task", "submit_per_task", "peak_rss", "rss_per_task"),
    "burst_recycled": ("time_per_task", "first_per_task"),
    "burst_futex": ("futex_per_million",),
    "producers": ("time_per_task",),
    "roundtrip": ("p50", "p99", "cpu_per_task"),
    "roundtrip_pinned": ("p50", "p99", "cpu_per_task"),
    "roundtrip_idle": ("p50", "p99", "cpu_per_task"),
    "map": ("speedup", "time_per_item", "serial_per_item"),
    "map_fine": ("speedup", "time_per_item", "serial_per_item"),
    "skew": ("efficiency",),
    "forkjoin": ("time_per_task", "scaling"),
    "forkjoin1": ("time_per_task", "scaling"),
    "forkscope": ("time_per_task", "scaling"),
    "range": ("time_per_turn",),
    "proc_roundtrip": ("p50", "p99", "cpu_per_task"),
    "proc_roundtrip_pinned": ("p50", "p99", "cpu_per_task"),
    "proc_throughput": ("tasks_per_s",),
    "proc_echo": ("echo",),
    "timer_lateness": ("p50", "p99"),
    "queue": ("time_per_item",),
    "lock": ("time_per_turn",),
    "completion": ("time_per_future",),
    "callbacks": ("time_per_callback",),
    "timers": ("time_per_timer",),
    "lock_alone": ("time_per_operation",),
    "semaphore_alone": ("time_per_operation",),
    "queue_alone": ("time_per_operation",),
    "ring_alone": ("time_per_operation",),
    "counter": ("time_per_operation",),
    "promise": ("time_per_operation",),
    "then": ("time_per_operation",),
    "inline": ("time_per_operation",),
    "fork_alone": ("time_per_operation",),
}
TITLES = {
    "burst": "One outside thread submits many trivial tasks and waits for all",
    "burst_recycled": "Six such bursts in one process: the first, and the median of the others",
    "burst_futex": "Futex calls of such a burst, by all threads, for a million tasks",
    "producers": "Four outside threads submit and wait for their own",
    "roundtrip": "One trivial task and its result, again and again",
    "roundtrip_pinned": "The same with all threads on one CPU",
    "roundtrip_idle": "The same on all CPUs, after a rest of 100 us each",
    "map": "A function of about 50 ns over doubles, 10,000 to a task",
    "map_fine": "The same, 256 to a task",
    "skew": "Busy loops from 1 us to 1 ms, Pareto",
    "forkjoin": "fib(n), both halves spawned and joined; scaling is the gain over one worker",
    "forkjoin1": "fib(n), one half spawned, the other called",
    "forkscope": "The same with what costs least: hk_fork(), and of the peers what they have",
    "range": "A loop of trivial turns as a parallel for",
    "proc_roundtrip": "One empty task to a worker process and back",
    "proc_roundtrip_pinned": "The same with all processes on one CPU",
    "proc_throughput": "Tiny tasks for worker processes, one to a message",
    "proc_echo": "A payload of 1 MiB to a worker process and back",
    "timer_lateness": "How late time limits come",
    "queue": "A number through a bounded queue, between threads",
    "lock": "A turn with a lock that all threads want",
    "completion": "A future of 100,000, in the order in which they end",
    "callbacks": "A callback of a promise: added and called",
    "timers": "A time limit that is not needed",
    "lock_alone": "A lock taken and given back",
    "semaphore_alone": "A unit of a semaphore taken and given back",
    "queue_alone": "An item put into a queue and got again",
    "ring_alone": "An item put into a ring and got again",
    "counter": "A counter counted up",
    "promise": "A promise made, set, its future read and dropped",
    "then": "A step after a future that has ended, and its result",
    "inline": "A task on the inline executor, and its result",
    "fork_alone": "A fork and its join, of next to nothing",
}
# Single parts of Hocket, which no peer has: one table for all of them.
PARTS = ("queue", "lock", "completion", "callbacks", "timers", "lock_alone", "semaphore_alone",
         "queue_alone", "ring_alone", "counter", "promise", "then", "inline", "fork_alone")
# These run with several numbers of workers, and tell how much the later ones help.
TREES = ("forkjoin", "forkjoin1", "forkscope")
SCALED = ("burst", "map", "skew", *TREES)
MORE_IS_BETTER = {"speedup", "efficiency", "scaling", "tasks_per_s", "echo"}
# Of these nothing is better: they show that all do the same work.
NEUTRAL = {"serial_per_item"}
# These tell nothing of a single task: the workload counts down an atomic itself, or the task
# leaves its answer where its parent looks. Futures are to be compared with futures.
WITHOUT_FUTURES = {"glib", "libuv", "apr", "asio-post", "tbb-enqueue", "tbb-group", "openmp-gnu",
                   "openmp-llvm", "c-pipe"}
# Of those with futures, who gives none in this workload.
WITHOUT_FUTURES_IN = {("hocket-threads", "forkscope"), ("hocket-inline", "forkscope")}
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

    @property
    def quartiles(self):
        return quartiles(self.values)


class Results:
    """All series, and how much of the CPUs others took meanwhile."""

    def __init__(self, main_threads):
        self.main_threads = main_threads
        self.series = {}
        # (workload, peer, metric): Hocket's number by the peer's, pair by pair.
        self.pairs = collections.defaultdict(list)
        self.foreign = collections.defaultdict(list)
        self.failures = []

    def add_lines(self, text):
        """Lines peer,workload,threads,n,metric,value,unit of one run."""
        for line in text.splitlines():
            peer, workload, threads, n, metric, value, unit = line.split(",")
            key = Key(workload, int(threads), peer, metric)
            series = self.series.setdefault(key, Series(unit, int(n)))
            series.values.append(float(value))

    def add_pair(self, workload, peer, ours, theirs):
        """The outputs of two runs that followed each other."""
        numbers = [{metric: float(value) for _, _, _, _, metric, value, _ in
                    (line.split(",") for line in text.splitlines())} for text in (ours, theirs)]
        for metric in (one for one in METRICS[workload] if one not in NEUTRAL):
            if metric in numbers[0] and numbers[1].get(metric, 0) > 0:
                self.pairs[workload, peer, metric].append(numbers[0][metric] / numbers[1][metric])

    def derive_scaling(self):
        """Of the trees: how many times as fast all workers are as one, round by round."""
        for key, one in list(self.series.items()):
            if key.workload in TREES and key.metric == "time_per_task" and key.threads == 1:
                more = self.series.get(key._replace(threads=self.main_threads))
                if more and more is not one:
                    gains = [slow / fast for slow, fast in zip(one.values, more.values)]
                    self.series[Key(key.workload, self.main_threads, key.peer, "scaling")] = \
                        Series("x", more.n, gains)

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
        """The best median of a metric, of at least two."""
        medians = [series.median for peer in self.peers(workload)
                   if (series := self.get(workload, peer, metric))]
        if len(medians) < 2:
            return None
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


def has_futures(peer, workload):
    return peer not in WITHOUT_FUTURES and (peer, workload) not in WITHOUT_FUTURES_IN


def kind(peer, workload):
    """How a peer tells that a task is done."""
    told = "futures" if has_futures(peer, workload) else "no futures"
    return told + (", submitter works" if peer in WITH_SUBMITTER else "")


def quartiles(values):
    """(lower, upper); of few values they lie between them."""
    ordered = sorted(values)

    def at(share):
        place = share * (len(ordered) - 1)
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (place - below) * (ordered[above] - ordered[below])
    return at(0.25), at(0.75)


def digits(value):
    """Decimals that leave three digits, which is more than a shared machine can tell."""
    if value >= 100 or value == 0:
        return 0
    return 3 - len(str(int(value))) if value >= 1 else 3


def short(value, decimals=None):
    return f"{value:,.{digits(value) if decimals is None else decimals}f}"


def short_with_spread(value, spread):
    """Both to the same decimal."""
    decimals = digits(value)
    return f"{short(value, decimals)} ±{short(spread, decimals)}"
