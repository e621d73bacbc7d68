# SPDX-License-Identifier: Apache-2.0
"""Where things are, waiting for conditions, results, and cleaning up by id and name."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get("SLT_SOURCE") or os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.environ.get("SLT_BUILD") or os.path.join(SOURCE, "build")
SHARED = os.environ.get("SLT_SHARED") or os.path.join(SOURCE, "../shared/data")
# What setup.sh fetched; builds beside build/ (asan, clang) share it.
DEPS = os.environ.get("SLT_DEPS") or os.path.join(SOURCE, "build/deps")
RATE_DIV = int(os.environ.get("SLT_RATE_DIV") or "1")
SANITIZED = os.environ.get("SLT_SANITIZED") == "1"
SLOW = 4 if SANITIZED else 1  # factor on every time limit
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable

PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_started = time.monotonic()


def say(text):
    """One line of progress, with the seconds since the test began."""
    print(f"[{time.monotonic() - _started:7.2f}] {text}", flush=True)


def skip(reason):
    print(f"skipped: {reason}", flush=True)
    sys.exit(77)


def need_root():
    if os.geteuid() != 0:
        skip("needs root (network namespaces, raw sockets)")


def free_port():
    """A TCP port of the loopback that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Timeout(Exception):
    pass


def wait_for(what, condition, timeout=20.0, step=0.05):
    """Polls condition() until it is true and returns its value; the limit is for failure only."""
    end = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"gave up after {timeout * SLOW:.0f} s waiting for {what}")
        time.sleep(step)


class Checks:
    """Collects what a test found; finish() prints the verdict and ends with its exit code."""

    def __init__(self):
        self.failed = 0
        self.passed = 0

    def that(self, ok, text):
        if ok:
            self.passed += 1
            say(f"ok    {text}")
        else:
            self.failed += 1
            say(f"FAIL  {text}")
        return bool(ok)

    def equal(self, got, want, text):
        return self.that(got == want, text if got == want else f"{text}: got {got!r}, want {want!r}")

    def finish(self):
        say(f"{self.passed} checks passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)


def enter(ns):
    """Moves this process into a network namespace, for good."""
    with open(f"/run/netns/{ns}") as f:
        if _libc.setns(f.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {ns}")


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _child_in(ns):
    """What a child does before it becomes its program."""
    def prepare():
        _die_with_parent()
        enter(ns)
    return prepare if ns else _die_with_parent


class Scope:
    """Owns what a test starts: processes (by pid), temporary folders, and undo steps by name."""

    def __init__(self, name):
        self.name = name
        self._undo = []
        self._tell = []
        self._signals = {}
        self.failed = False

    def __enter__(self):
        for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._signals[sig] = signal.signal(sig, self._on_signal)
        sweep()
        # Short, since socket paths in it have a limit of 107 bytes.
        self.dir = tempfile.mkdtemp(prefix=f"slt-{os.getpid()}-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.undo(self._remove_dir)
        return self

    def _on_signal(self, sig, _frame):
        raise SystemExit(128 + sig)

    def _remove_dir(self):
        if self.failed and os.environ.get("SLT_KEEP"):
            say(f"kept: {self.dir}")
            return
        shutil.rmtree(self.dir, ignore_errors=True)

    def __exit__(self, kind, value, _tb):
        for sig in self._signals:
            signal.signal(sig, signal.SIG_IGN)
        failed = kind is not None and not (kind is SystemExit and value.code in (0, 77))
        self.failed = failed
        if isinstance(value, Timeout):
            say(f"FAIL  {value}")
        for tell in self._tell if failed else ():
            say(tell())
        while self._undo:
            step, args = self._undo.pop()
            try:
                step(*args)
            except Exception as e:  # the other steps must still run
                say(f"cleaning up: {step.__name__}: {e}")
        for sig, handler in self._signals.items():
            signal.signal(sig, handler)
        if isinstance(value, Timeout):
            sys.exit(1)
        return False

    def undo(self, step, *args):
        self._undo.append((step, args))

    def tell_if_failed(self, text):
        """text() is printed if the test ends with an exception: what one would ask for first."""
        self._tell.append(text)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def popen(self, argv, ns=None, **kw):
        """Starts a process that dies with this one and is ended, by its id, with the scope.

        Main thread only: the kernel ends it when the thread ends that started it.
        """
        kw.setdefault("stdin", subprocess.DEVNULL)
        p = subprocess.Popen(argv, preexec_fn=_child_in(ns), **kw)
        self.undo(end_process, p)
        return p

    def run(self, argv, timeout=120, check=True, **kw):
        """Runs to the end; raises with the output if it failed and check is set."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=timeout * SLOW, preexec_fn=_die_with_parent, **kw)
        if check and r.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, argv))}: exit {r.returncode}\n{r.stdout}\n{r.stderr}")
        return r


def end_process(p, patience=10):
    """SIGTERM, then SIGKILL, to this very process; returns its exit code."""
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(patience * SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
    for stream in (p.stdin, p.stdout, p.stderr):
        if stream:
            stream.close()
    return p.wait()


def ip(*args, ns=None, check=True):
    argv = ["ip"] + (["-n", ns] if ns else []) + [str(a) for a in args]
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30)
    if check and r.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {r.stderr.strip()}")
    return r.stdout


def _owner_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def dead_runtime_folders():
    """DPDK's folders in /run/dpdk of daemons that do not live any more (sluice-PID)."""
    found = set()
    for name in os.listdir("/run/dpdk") if os.path.isdir("/run/dpdk") else []:
        pid = name.rsplit("-", 1)[-1]
        if not (pid.isdigit() and _owner_alive(int(pid))):
            found.add(f"/run/dpdk/{name}")
    return found


def sweep():
    """Removes what tests left that were killed before they could clean up: known by their names."""
    if os.geteuid() != 0:
        return
    for entry in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        if entry.startswith("slt-") and entry.rsplit("-", 1)[-1].isdigit():
            if not _owner_alive(int(entry.rsplit("-", 1)[-1])):
                ip("netns", "del", entry, check=False)
    for top in ("/tmp", "/dev/shm"):
        for entry in os.listdir(top):
            parts = entry.split("-")
            if parts[0] == "slt" and len(parts) > 1 and parts[1].isdigit() and not _owner_alive(int(parts[1])):
                mounts = [line.split()[1] for line in open("/proc/mounts")]
                for m in mounts:
                    if m.startswith(f"{top}/{entry}/"):
                        subprocess.run(["umount", "-l", m], check=False)
                shutil.rmtree(os.path.join(top, entry), ignore_errors=True)
