#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The peers of Python: sync_peers.py Lock | Queue | SimpleQueue.

harness_process.c says what it is asked and answers.
"""
import queue
import random
import sys
import threading
import time

CAPACITY = 1024


def crew(count, work):
    """Runs work(index) in new threads that start together; gives nanoseconds."""
    start = threading.Barrier(count)
    began, ended = [0] * count, [0] * count

    def run(index):
        start.wait()
        began[index] = time.perf_counter_ns()
        work(index)
        ended[index] = time.perf_counter_ns()

    threads = [threading.Thread(target=run, args=[i]) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(ended) - min(began)


def nested(_threads, depth, n, _duration_ns):
    locks = [threading.Lock() for _ in range(depth)]
    pairs = list(zip([lock.acquire for lock in locks], [lock.release for lock in locks]))
    turns = n // depth + 1
    began = time.perf_counter_ns()
    if depth == 1:
        acquire, release = pairs[0]
        for _ in range(turns):
            acquire()
            release()
    else:
        for _ in range(turns):
            for acquire, _unused in pairs:
                acquire()
            for _unused, release in reversed(pairs):
                release()
    return f"ok {time.perf_counter_ns() - began} {turns * depth}"


def child(_threads, children, n, _duration_ns):
    parent = threading.Lock()
    locks = [threading.Lock() for _ in range(children)]
    turns = n // 2 + 1
    picks = [locks[random.randrange(children)] for _ in range(turns)]
    began = time.perf_counter_ns()
    for lock in picks:
        parent.acquire()
        lock.acquire()
        lock.release()
        parent.release()
    return f"ok {time.perf_counter_ns() - began} {turns * 2}"


def contended(threads, _parameter, _n, duration_ns):
    lock = threading.Lock()
    turns = [0] * threads
    counter = 0
    limit = time.perf_counter_ns() + 4 * duration_ns

    def work(index):
        nonlocal counter
        mine = 0
        while mine % 64 != 1 or time.perf_counter_ns() < limit:
            lock.acquire()
            counter += 1
            lock.release()
            mine += 1
        turns[index] = mine

    elapsed_ns = crew(threads, work)
    if sum(turns) != counter:
        return "wrong count"
    return f"ok {elapsed_ns} {counter} {min(turns) * threads / counter}"


def stream(kind, threads, n):
    items = queue.SimpleQueue() if kind == "SimpleQueue" else queue.Queue(CAPACITY)
    pairs = threads // 2
    share = n // pairs + 1
    n = share * pairs
    sums = [0] * threads

    def work(index):
        if index % 2 == 0:
            first = 1 + index // 2 * share
            for i in range(share):
                items.put(first + i)
        else:
            total = 0
            for _ in range(share):
                total += items.get()
            sums[index] = total

    elapsed_ns = crew(threads, work)
    return f"ok {elapsed_ns} {n}" if sum(sums) == n * (n + 1) // 2 else "wrong sum"


LOCK_FAMILIES = {"nested": nested, "child": child, "contended": contended}


def answer(kind, family, *numbers):
    if kind == "Lock":
        return LOCK_FAMILIES[family](*numbers) if family in LOCK_FAMILIES else "cannot"
    return stream(kind, numbers[0], numbers[2]) if family == "stream" else "cannot"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for line in sys.stdin:
        family, *numbers = line.split()
        print(answer(sys.argv[1], family, *map(int, numbers)), flush=True)


if __name__ == "__main__":
    main()
