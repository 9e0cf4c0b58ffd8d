#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Python's pools: the workloads of hocket-bench on threads and in processes.

Python cannot share work.c: map and skew have functions of their own, in steps of the
interpreter, and fewer items.
"""
import argparse
import concurrent.futures
import math
import multiprocessing
import os
import pathlib
import statistics
import sys
import threading
import time

CHUNK, CHUNK_FINE = 10000, 256
RECYCLED = 5
IDLE_SECONDS = 100e-6
PRODUCERS = 4
ECHO_SIZE = 1 << 20
EXIT_WRONG, EXIT_USAGE = 1, 2
MASK = (1 << 64) - 1


# --- Tasks -----------------------------------------------------------------------------

def trivial(number):
    return 2 * number + 1


def transform_chunk(bounds):
    total = 0.0
    for item in range(*bounds):
        total += math.sqrt(item % 1000 * 1.5 + 1.0)
    return total


def mix(number):
    number = (number + 0x9e3779b97f4a7c15) & MASK
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9 & MASK
    number = (number ^ (number >> 27)) * 0x94d049bb133111eb & MASK
    return number ^ (number >> 31)


def skewed(number):
    """A step of the interpreter takes as long as about 50 steps of work.c."""
    uniform = (mix(number) >> 11) / 9007199254740992.0
    x = number
    for _ in range(int(14 / (1 - uniform * 0.999))):
        x = (x * 5 + 3) & 0xffffffff
    return x


def echo(payload):
    return payload


# --- Pools -----------------------------------------------------------------------------

class Threads:
    name = "py-threads"
    workloads = ("burst", "burst_recycled", "producers", "roundtrip", "roundtrip_pinned",
                 "roundtrip_idle", "map", "map_fine", "skew")

    def __init__(self, workers):
        self.pool = concurrent.futures.ThreadPoolExecutor(workers)

    def submit(self, task, argument):
        """A function that waits for the result."""
        return self.pool.submit(task, argument).result

    def end(self):
        self.pool.shutdown()


class Processes(Threads):
    name = "py-procs"
    workloads = ("map", "map_fine", "skew", "proc_roundtrip", "proc_roundtrip_pinned", "proc_throughput",
                 "proc_echo")

    def __init__(self, workers):
        context = multiprocessing.get_context("fork")
        self.pool = concurrent.futures.ProcessPoolExecutor(workers, context)


class Pool(Processes):
    name = "py-mp"

    def __init__(self, workers):
        self.pool = multiprocessing.get_context("fork").Pool(workers)

    def submit(self, task, argument):
        return self.pool.apply_async(task, [argument]).get

    def end(self):
        self.pool.close()
        self.pool.join()


# --- Workloads -------------------------------------------------------------------------

class Wrong(Exception):
    """A result that is not what it should be."""


class Trial:
    def __init__(self, kind, workload, threads, n):
        self.kind, self.workload, self.threads, self.n = kind, workload, threads, n
        self.pool = kind(threads)
        self.batch(trivial, range(min(n, 200)))

    def tell(self, metric, value, unit):
        print(f"{self.kind.name},{self.workload},{self.threads},{self.n},{metric},{value:.6g},"
              f"{unit}", flush=True)

    def batch(self, task, arguments):
        """(results, seconds for submitting)"""
        began = time.perf_counter()
        waits = [self.pool.submit(task, argument) for argument in arguments]
        submitted = time.perf_counter()
        return [wait() for wait in waits], submitted - began

    def run(self):
        getattr(self, "run_" + self.workload.removesuffix("_pinned"))()
        self.pool.end()

    def run_burst(self):
        resident = status_bytes("VmRSS:")
        began = time.perf_counter()
        results, submitting = self.batch(trivial, range(self.n))
        elapsed = time.perf_counter() - began
        expect(sum(results), self.n ** 2)
        self.tell("time_per_task", 1e9 * elapsed / self.n, "ns")
        self.tell("submit_per_task", 1e9 * submitting / self.n, "ns")
        self.tell("peak_rss", status_bytes("VmHWM:") / 2 ** 20, "MiB")
        self.tell("rss_per_task", (status_bytes("VmHWM:") - resident) / self.n, "B")

    def run_burst_recycled(self):
        times = []
        for _ in range(1 + RECYCLED):
            began = time.perf_counter()
            expect(sum(self.batch(trivial, range(self.n))[0]), self.n ** 2)
            times.append(1e9 * (time.perf_counter() - began) / self.n)
        self.tell("first_per_task", times[0], "ns")
        self.tell("time_per_task", statistics.median(times[1:]), "ns")

    def run_producers(self):
        share = max(1, self.n // PRODUCERS)
        sums = []
        producers = [threading.Thread(
            target=lambda: sums.append(sum(self.batch(trivial, range(share))[0])))
            for _ in range(PRODUCERS)]
        began = time.perf_counter()
        for producer in producers:
            producer.start()
        for producer in producers:
            producer.join()
        elapsed = time.perf_counter() - began
        expect(sum(sums), PRODUCERS * share ** 2)
        self.tell("time_per_task", 1e9 * elapsed / (PRODUCERS * share), "ns")

    def run_roundtrip(self, idle=0):
        times = []
        cpu = time.process_time()
        for number in range(self.n):
            if idle > 0:
                time.sleep(idle)
            began = time.perf_counter()
            answer = self.pool.submit(trivial, number)()
            times.append(1e6 * (time.perf_counter() - began))
            expect(answer, trivial(number))
        if not self.workload.startswith("proc_"):
            self.tell("cpu_per_task", 1e6 * (time.process_time() - cpu) / self.n, "us")
        times.sort()
        for percent in (50, 99, 1, 10, 25, 75, 90, 99.9):
            self.tell(f"p{percent}", times[int(percent / 100 * (len(times) - 1))], "us")

    run_proc_roundtrip = run_roundtrip

    def run_roundtrip_idle(self):
        self.run_roundtrip(IDLE_SECONDS)

    def spread(self, task, arguments):
        """(seconds for one after the other, seconds in the pool)"""
        began = time.perf_counter()
        expected = [task(argument) for argument in arguments]
        serial = time.perf_counter() - began
        began = time.perf_counter()
        results, _ = self.batch(task, arguments)
        expect(results, expected)
        return serial, time.perf_counter() - began

    def run_map(self, chunk=CHUNK):
        bounds = [(first, min(self.n, first + chunk)) for first in range(0, self.n, chunk)]
        serial, parallel = self.spread(transform_chunk, bounds)
        self.tell("speedup", serial / parallel, "x")
        self.tell("time_per_item", 1e9 * parallel / self.n, "ns")
        self.tell("serial_per_item", 1e9 * serial / self.n, "ns")

    def run_map_fine(self):
        self.run_map(CHUNK_FINE)

    def run_skew(self):
        serial, parallel = self.spread(skewed, range(self.n))
        self.tell("efficiency", serial / (self.threads * parallel), "ratio")

    def run_proc_throughput(self):
        began = time.perf_counter()
        results, _ = self.batch(trivial, range(self.n))
        expect(sum(results), self.n ** 2)
        self.tell("tasks_per_s", self.n / (time.perf_counter() - began), "1/s")

    def run_proc_echo(self):
        payload, echoes = bytearray(ECHO_SIZE), 0
        began = time.perf_counter()
        while echoes < self.n:
            sent = []
            for worker in range(self.threads):
                payload[:8] = (echoes + worker).to_bytes(8, "little")
                sent.append(bytes(payload))
            waits = [self.pool.submit(echo, one) for one in sent]
            for one, wait in zip(sent, waits):
                expect(wait(), one)
            echoes += self.threads
        self.tell("echo", echoes * ECHO_SIZE / (time.perf_counter() - began) / 1e6, "MB/s")


def expect(found, wanted):
    if found != wanted:
        raise Wrong


def status_bytes(field):
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    return 0


# --- The program -----------------------------------------------------------------------

KINDS = (Threads, Processes, Pool)
SIZES = {"burst": 100000, "burst_recycled": 100000, "producers": 100000, "roundtrip": 20000,
         "roundtrip_pinned": 20000, "roundtrip_idle": 10000, "map": 1000000,
         "map_fine": 1000000, "skew": 20000, "proc_roundtrip": 20000,
         "proc_roundtrip_pinned": 20000, "proc_throughput": 100000, "proc_echo": 200}


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", nargs="?")
    parser.add_argument("--peer", choices=[kind.name for kind in KINDS])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--n", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="list the workloads and end")
    return parser.parse_args()


def main():
    options = parse()
    if options.list:
        for workload in SIZES:
            print(workload)
        return 0
    kinds = [kind for kind in KINDS if options.workload in kind.workloads
             and options.peer in (None, kind.name)]
    if not kinds:
        print(f"no such workload here: {options.workload}", file=sys.stderr)
        return EXIT_USAGE
    if options.workload.endswith("_pinned"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    n_max = SIZES[options.workload]
    try:
        for _ in range(options.rounds):
            for kind in kinds:
                Trial(kind, options.workload, options.threads,
                      min(options.n or n_max, n_max)).run()
    except Wrong:
        print(f"{options.workload}: WRONG RESULT", file=sys.stderr)
        return EXIT_WRONG
    return 0


if __name__ == "__main__":
    sys.exit(main())
