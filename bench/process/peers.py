#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The peers of Python: peers.py Executor | Forkserver | Pool.

harness_process.c says what it is asked and answers; every metric is told, the
first one too.
"""
import concurrent.futures
import multiprocessing
import os
import pathlib
import signal
import statistics
import sys
import threading
import time
from collections import deque
from concurrent.futures.process import BrokenProcessPool

FREE, APART, STACKED = range(3)
DEPTH = 64
CHUNK = 64
ECHO_SIZE = 1 << 20
ALL_CPUS = os.sched_getaffinity(0)


# --- Tasks -----------------------------------------------------------------------------

def answer(number):
    return 2 * number + 1


def echo(payload):
    return payload


def add_up(item):
    return sum(memoryview(item).cast("Q"))


def take_place(cpus):
    os.sched_setaffinity(0, cpus)


# --- Pools -----------------------------------------------------------------------------

class Executor:
    """concurrent.futures.ProcessPoolExecutor"""

    start_method = "fork"

    def __init__(self, workers, cpus=ALL_CPUS):
        context = multiprocessing.get_context(self.start_method)
        self.pool = concurrent.futures.ProcessPoolExecutor(workers, context, take_place, [cpus])

    def submit(self, task, argument):
        return self.pool.submit(task, argument).result

    def map(self, task, items):
        return self.pool.map(task, items, chunksize=CHUNK)

    def end(self):
        self.pool.shutdown()

    def kill_worker(self):
        """(seconds until the error, seconds until a new pool has done a task)"""
        receiver, sender = multiprocessing.Pipe(False)
        # The pipe goes to the workers by the fork.
        executor = concurrent.futures.ProcessPoolExecutor(
            1, multiprocessing.get_context("fork"), set_sender, [sender])
        victim = executor.submit(announce)
        worker = receiver.recv()
        began = time.perf_counter()
        os.kill(worker, signal.SIGKILL)
        try:
            victim.result()
            raise RuntimeError("the victim lives")
        except BrokenProcessPool:
            to_error = time.perf_counter() - began
        healed = type(self)(1)
        assert healed.submit(answer, 1)() == 3
        to_heal = time.perf_counter() - began
        healed.end()
        executor.shutdown()
        return to_error, to_heal


class Forkserver(Executor):
    """The same with workers from a server"""

    start_method = "forkserver"


class Pool:
    """multiprocessing.Pool"""

    kill_worker = None

    def __init__(self, workers, cpus=ALL_CPUS):
        self.pool = multiprocessing.get_context("fork").Pool(workers, take_place, [cpus])

    def submit(self, task, argument):
        return self.pool.apply_async(task, [argument]).get

    def map(self, task, items):
        return self.pool.map(task, items, chunksize=CHUNK)

    def end(self):
        self.pool.close()
        self.pool.join()


sender_of_worker = None


def set_sender(sender):
    global sender_of_worker
    sender_of_worker = sender


def announce():
    """Tells who it is, and waits for the end."""
    sender_of_worker.send(os.getpid())
    signal.pause()


class Peer:
    """One kind of pool; keeps one between requests as long as it is the right one."""

    def __init__(self, kind):
        self.kind = kind
        self.pool = None
        self.wish = None

    def pool_for(self, workers, place):
        if self.wish != (workers, place):
            self.drop()
            self.wish = (workers, place)
            here = ALL_CPUS if place == FREE else {0}
            there = {1} if place == APART else here
            # Its threads, which it starts now, stay where this one is.
            take_place(here)
            self.pool = self.kind(workers, there)
            assert self.pool.submit(answer, 1)() == 3
        return self.pool

    def drop(self):
        if self.pool is not None:
            self.pool.end()
        self.pool, self.wish = None, None
        take_place(ALL_CPUS)


# --- Workloads -------------------------------------------------------------------------

def quantiles(times):
    """Median and 99th percentile, of seconds, in microseconds."""
    times = sorted(1e6 * value for value in times)
    return statistics.median(times), times[min(len(times) - 1, len(times) * 99 // 100)]


def told(elapsed, n, *values):
    return " ".join(["ok", str(int(1e9 * elapsed) + 1), str(n), *map(str, values)])


def timed(turn):
    began = time.perf_counter()
    turn()
    return time.perf_counter() - began


def repeat(duration_ns, turn):
    """Calls turn() for ten lengths of a run, at least once; gives what it gave."""
    end = time.perf_counter_ns() + 10 * duration_ns
    results = [turn()]
    while time.perf_counter_ns() < end:
        results.append(turn())
    return results


def round_trip(pool):
    if pool.submit(answer, 1)() != 3:
        raise RuntimeError("wrong answer")


def roundtrip_hot(peer, workers, place, n, _duration_ns):
    pool = peer.pool_for(workers, place)
    times = [timed(lambda: round_trip(pool)) for _ in range(n)]
    return told(sum(times), n, *quantiles(times))


def roundtrip_cold(peer, workers, place, _n, duration_ns):
    pool = peer.pool_for(workers, place)

    def turn():
        time.sleep(0.001)
        return timed(lambda: round_trip(pool))

    times = repeat(duration_ns, turn)
    return told(sum(times), len(times), *quantiles(times))


def throughput(peer, workers, place, n, _duration_ns):
    pool = peer.pool_for(workers, place)
    under_way = deque()
    total = 0
    began = time.perf_counter()
    for number in range(n):
        if len(under_way) == DEPTH:
            total += under_way.popleft()()
        under_way.append(pool.submit(answer, number))
    total += sum(get() for get in under_way)
    elapsed = time.perf_counter() - began
    return told(elapsed, n, n / elapsed / 1e6) if total == n * n else "wrong sum"


def map64(peer, workers, place, n, _duration_ns):
    pool = peer.pool_for(workers, place)
    item = b"".join(number.to_bytes(8, sys.byteorder) for number in (1, 2, 3, 4))
    items = [item] * n
    began = time.perf_counter()
    total = sum(pool.map(add_up, items))
    elapsed = time.perf_counter() - began
    return told(elapsed, n, n / elapsed / 1e6) if total == 10 * n else "wrong sum"


def echo1m(peer, workers, _how, n, _duration_ns):
    pool = peer.pool_for(workers, FREE)
    payload = bytes(ECHO_SIZE)
    began = time.perf_counter()
    for _ in range(n):
        if len(pool.submit(echo, payload)()) != ECHO_SIZE:
            return "wrong size"
    elapsed = time.perf_counter() - began
    return told(elapsed, n, 1e6 * elapsed / n)


def births(peer, workers, duration_ns, is_pool_timed):
    def turn():
        created = time.perf_counter()
        pool = peer.kind(workers)
        made = time.perf_counter()
        round_trip(pool)
        began = created if is_pool_timed else made
        took = time.perf_counter() - began
        pool.end()
        return took

    peer.drop()
    times = repeat(duration_ns, turn)
    return told(sum(times), len(times), quantiles(times)[0])


def create(peer, workers, _parameter, _n, duration_ns):
    return births(peer, workers, duration_ns, True)


def spawn(peer, workers, _parameter, _n, duration_ns):
    # A Pool starts its workers when it is made, an executor with the first task.
    return births(peer, workers, duration_ns, peer.kind is Pool)


def kill(peer, workers, _parameter, _n, duration_ns):
    peer.drop()
    if peer.kind.kill_worker is None or peer.kind is Forkserver:
        return "cannot"
    pool = peer.pool_for(workers, FREE)
    errors, heals = zip(*repeat(duration_ns, pool.kill_worker))
    return told(sum(heals), len(heals), *quantiles(errors), quantiles(heals)[0])


def activity():
    """What all threads of this process and its children have done, but for this thread:
    (times they went to sleep, nanoseconds on a CPU)"""
    sleeps, cpu_ns = 0, 0
    pids = [os.getpid()] + [child.pid for child in multiprocessing.active_children()]
    for pid in pids:
        for task in pathlib.Path("/proc", str(pid), "task").iterdir():
            if task.name == str(threading.get_native_id()):
                continue
            for line in (task / "status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    sleeps += int(line.split()[1])
            cpu_ns += int((task / "schedstat").read_text().split()[0])
    return sleeps, cpu_ns


def idle(peer, workers, _parameter, _n, duration_ns):
    pool = peer.pool_for(workers, FREE)
    round_trip(pool)
    time.sleep(0.1)
    before = activity()
    began = time.perf_counter()
    time.sleep(2 if duration_ns > 1e6 else 0.02)
    after = activity()
    elapsed = time.perf_counter() - began
    return told(elapsed, 1, (after[0] - before[0]) / elapsed,
                (after[1] - before[1]) / 1e7 / elapsed)


FAMILIES = {family.__name__: family for family in (
    roundtrip_hot, roundtrip_cold, throughput, map64, echo1m, create, spawn, kill, idle)}
# How workers are started matters to their birth alone.
OF_FORKSERVER = {"create", "spawn"}


def answer_line(peer, family, *numbers):
    if family not in FAMILIES or (peer.kind is Forkserver and family not in OF_FORKSERVER):
        return "cannot"
    return FAMILIES[family](peer, *numbers)


def main():
    kinds = {kind.__name__: kind for kind in (Executor, Forkserver, Pool)}
    if len(sys.argv) != 2 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    peer = Peer(kinds[sys.argv[1]])
    for line in sys.stdin:
        family, *numbers = line.split()
        print(answer_line(peer, family, *map(int, numbers)), flush=True)
    peer.drop()


if __name__ == "__main__":
    main()
