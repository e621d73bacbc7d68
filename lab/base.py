# SPDX-License-Identifier: Apache-2.0
"""What the lab's programs share: one at a time, children by id and start time, and what an earlier
one left."""

import fcntl
import os
import signal
import subprocess
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
DRAIN_S = 15


class Refused(Exception):
    """It cannot run; the text is for the person who started it."""


def start_time(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        return None


def alive(pid, start):
    """True if this process still is the one that we started: its start time is the same."""
    return start is not None and start_time(pid) == start


def strings(pid, name):
    """argv or environment of a process; empty if it has gone."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            return [s for s in f.read().decode(errors="replace").split("\0") if s]
    except OSError:
        return []


def end_pid(pid, start):
    for sig, patience in ((signal.SIGTERM, DRAIN_S), (signal.SIGKILL, 5)):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return
        end = time.monotonic() + patience
        while alive(pid, start) and time.monotonic() < end:
            time.sleep(0.05)


class Runner:
    """A program that runs others until Ctrl-C. `state`: its folder below /run, which holds its lock and
    the list of its children."""

    what = "lab"

    def __init__(self, state):
        self.state = state
        self.list = os.path.join(state, "children")
        self.children = {}
        self.stopping = False

    # ---- one at a time, and what an earlier one left ----

    def lock(self):
        os.makedirs(self.state, mode=0o755, exist_ok=True)
        self.lock_file = open(os.path.join(self.state, "lock"), "a+")
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock_file.seek(0)
            raise Refused(f"a {self.what} is running already (process {self.lock_file.read().strip() or 'unknown'}); "
                          "end it with Ctrl-C there first")
        self.lock_file.truncate(0)
        self.lock_file.write(f"{os.getpid()}\n")
        self.lock_file.flush()

    def unlock(self):
        os.unlink(os.path.join(self.state, "lock"))
        os.rmdir(self.state)

    def recorded(self):
        """(name, pid, start time) of each child that an earlier one wrote down."""
        try:
            with open(self.list) as f:
                return [line.split() for line in f if len(line.split()) == 3]
        except OSError:
            return []

    def unrecorded(self):
        """The same, of what was started and not written down: by what it was started with."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            name = self.name_of(pid, strings(pid, "cmdline"))
            if name:
                yield name, pid, start_time(pid)

    def name_of(self, pid, argv):
        """What this process is if one of ours started it, else None."""
        raise NotImplementedError

    def end_leftovers(self):
        """Ends the processes of one that was killed; returns what there was."""
        found = []
        for name, pid, start in [*self.recorded(), *self.unrecorded()]:
            if alive(int(pid), start):
                found.append(f"{name} (process {pid})")
                end_pid(int(pid), start)
            self.after_end(pid)
        return found

    def after_end(self, pid):
        """Hook: a process of ours has ended, perhaps killed."""

    # ---- children ----

    def child(self, name, argv, **kw):
        # Own process group: Ctrl-C reaches the lab alone, which then ends its children in order.
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, **kw)
        self.children[name] = p
        with open(self.list, "a") as f:
            f.write(f"{name} {p.pid} {start_time(p.pid)}\n")
        return p

    def check_children(self):
        for name, p in self.children.items():
            if p.poll() is not None:
                raise Refused(f"{name} ended by itself with {p.returncode}")

    def stop_child(self, name):
        """SIGTERM, at last SIGKILL; its exit code, None if there was none to stop."""
        p = self.children.get(name)
        if not p or p.poll() is not None:
            return None
        p.terminate()
        try:
            p.wait(DRAIN_S)
        except subprocess.TimeoutExpired:
            print(f"{self.what}: {name} did not end within {DRAIN_S} s: killed", flush=True)
            p.kill()
            p.wait()
        return p.returncode

    def catch_signals(self):
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, self.on_signal)

    def on_signal(self, _sig, _frame):
        self.stopping = True
