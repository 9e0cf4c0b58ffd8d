# SPDX-License-Identifier: MIT
"""Which peers there are, and how they are called."""
import collections
import pathlib
import shutil

# passes: how often a run of burst does it, for peers that cannot count their futex calls
# themselves; 0: it can.
Peer = collections.namedtuple("Peer", "name command passes", defaults=[0])

PROGRAMS = (
    ("hocket_bench/hocket-bench", ("hocket-threads", "hocket-inline", "hocket-processes")),
    ("peers/peer-tbb", ("tbb-group", "tbb-enqueue")),
    ("peers/peer-openmp-gnu", ("openmp-gnu",)),
    ("peers/peer-openmp-llvm", ("openmp-llvm",)),
    ("peers/peer-glib", ("glib",)),
    ("peers/peer-uv", ("libuv",)),
    ("peers/peer-apr", ("apr",)),
    ("peers/peer-asio", ("asio-post", "asio-future")),
    ("peers/peer-std", ("std-packaged_task", "std-async")),
    ("peers/peer-pipe", ("c-pipe",)),
)
JAVA_PEERS = ("java-fjp", "java-tpe")
PYTHON_PEERS = ("py-threads", "py-procs", "py-mp")

# Those that targets and the README name: a comparison in minutes.
KEY_PEERS = ("hocket-threads", "hocket-processes", "tbb-group", "tbb-enqueue", "glib",
             "std-packaged_task", "java-fjp", "c-pipe")

# --n with --quick.
QUICK = {
    "burst": 20000, "burst_recycled": 20000, "burst_futex": 20000, "producers": 20000,
    "roundtrip": 2000, "roundtrip_pinned": 2000, "roundtrip_idle": 200, "map": 500000,
    "map_fine": 500000, "skew": 1000, "forkjoin": 16, "forkjoin1": 16, "forkscope": 16, "range": 50000,
    "proc_roundtrip": 500, "proc_roundtrip_pinned": 500, "proc_throughput": 5000,
    "proc_echo": 40, "queue": 20000, "lock": 20000, "completion": 5000, "callbacks": 5000,
    "timers": 1000, "timer_lateness": 100, "lock_alone": 20000, "semaphore_alone": 20000,
    "queue_alone": 20000, "ring_alone": 20000, "counter": 20000, "promise": 5000, "then": 5000,
    "inline": 5000, "fork_alone": 20000,
}


def find(build_folder, python):
    """(peers that are here, names of those that are not)"""
    bench = pathlib.Path(build_folder) / "bench"
    here, missing = [], []
    for program, names in PROGRAMS:
        path = bench / program
        if path.exists():
            here += [Peer(name, [str(path)]) for name in names]
        else:
            missing += names
    java = shutil.which("java")
    if java and (bench / "peers/java/PoolPeers.class").exists():
        here += [Peer(name, [java, "-cp", str(bench / "peers/java"), "PoolPeers"], 2)
                 for name in JAVA_PEERS]
    else:
        missing += JAVA_PEERS
    script = pathlib.Path(__file__).parent.parent / "peers/pool_peers.py"
    here += [Peer(name, [python, str(script)], 1) for name in PYTHON_PEERS]
    return here, missing
