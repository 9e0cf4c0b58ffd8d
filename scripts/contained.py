# SPDX-License-Identifier: MIT
"""Runs programs that may leave processes behind, and leaves none; imported, not run."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys

live = set()  # Those that run now, each the first of a session.


def end_session(child):
    """Whatever it has left behind, and itself if it hangs. A zygote and its workers have process
    groups of their own, but the session is the same."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):  # It has gone.
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == child.pid:
                os.kill(int(path.parent.name), signal.SIGKILL)


def run(command, seconds, **settings):
    """Its exit status; None: it had not ended by then."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **settings)
    live.add(child)
    try:
        status = child.wait(seconds)
    except subprocess.TimeoutExpired:
        status = None
    end_session(child)
    child.wait()
    live.discard(child)
    return status


def _stop(number, _frame):
    for child in list(live):
        end_session(child)
    print(f"stopped by {signal.Signals(number).name}", file=sys.stderr, flush=True)
    os._exit(128 + number)  # No thread may start another.


def end_all_when_stopped():
    """A signal to this program reaches no other session: so it ends them before itself."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
