#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The original of futures_port.c, line by line: both print the same."""

import concurrent.futures as cf
import os
import signal
import threading
from concurrent.futures.process import BrokenProcessPool

TEXTS = ["a futures port", "side by side", "", "in C and in Python", "42"]


def letters(text):
    if not text:
        raise ValueError("there is nothing to count in")
    return sum(c.isalpha() for c in text)


def primes_below(limit):
    return sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, limit))


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def hold(started, gate):
    started.set()
    gate.wait()
    return "let go"


def in_processes():
    with cf.ProcessPoolExecutor(2) as pool:
        counts = pool.map(primes_below, range(500, 3500, 500), chunksize=4)
        print("primes:", *counts)
        print("a failure in a process:", pool.submit(letters, "").exception())
        try:
            pool.submit(die).result()
        except BrokenProcessPool:
            print("a worker died")
    with cf.ProcessPoolExecutor(2) as pool:  # the old pool is broken, and all it held is lost
        print("after the crash:", pool.submit(primes_below, 100).result())


def in_order(pool):
    print("map in order:", *pool.map(letters, [text for text in TEXTS if text]))


def as_they_end(pool):
    places = {pool.submit(letters, text): place for place, text in enumerate(TEXTS)}
    lines = {}
    for future in cf.as_completed(places, timeout=30):
        error = future.exception()
        lines[places[future]] = f"failed: {error}" if error else f"{future.result()} letters"
    for place in sorted(lines):
        print(f"text {place}: {lines[place]}")


def waiting(pool):
    started, gate = threading.Event(), threading.Event()
    both = [pool.submit(letters, "quick"), pool.submit(hold, started, gate)]
    done, pending = cf.wait(both, timeout=30, return_when=cf.FIRST_COMPLETED)
    print(f"first completed: {len(done)} ended, {len(pending)} not")
    try:
        both[1].result(timeout=0.01)
    except cf.TimeoutError:
        print("the result: not in time")
    gate.set()
    done, pending = cf.wait(both, timeout=30)
    print(f"all completed: {len(done)} ended, {len(pending)} not; {both[1].result()}")


def map_out_of_time(pool):
    gate = threading.Event()
    try:
        for _ in pool.map(lambda _: gate.wait(), range(2), timeout=0.01):
            pass
    except cf.TimeoutError:
        print("the map: not in time")
    gate.set()


def callbacks():
    ended = []
    with cf.ThreadPoolExecutor(2) as pool:
        for text in TEXTS:
            future = pool.submit(letters, text)
            future.add_done_callback(lambda future: ended.append(future.exception() is None))
    print(f"callbacks: {len(ended)}, of these for values {sum(ended)}")


def cancelling():
    started, gate = threading.Event(), threading.Event()
    pool = cf.ThreadPoolExecutor(1)
    running = pool.submit(hold, started, gate)
    queued = [pool.submit(letters, text) for text in TEXTS]
    started.wait()
    print("cancel what is queued:", "yes" if queued[0].cancel() else "no")
    print("cancel what runs:", "yes" if running.cancel() else "no")
    pool.shutdown(wait=False, cancel_futures=True)
    try:
        pool.submit(letters, "late")
    except RuntimeError:
        print("a late submit: refused")
    gate.set()
    pool.shutdown()
    cancelled = sum(future.cancelled() for future in queued)
    print(f"shut down: {cancelled} of {len(queued)} cancelled; {running.result()}")


if __name__ == "__main__":
    in_processes()
    with cf.ThreadPoolExecutor(4) as threads:
        in_order(threads)
        as_they_end(threads)
        waiting(threads)
        map_out_of_time(threads)
    callbacks()
    cancelling()
