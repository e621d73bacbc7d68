# SPDX-License-Identifier: Apache-2.0
"""Processes on named CPUs, their CPU time, network namespaces and settings that are put back."""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time

SOURCE_CPU, SUT_CPU = 0, 1          # who sends; who is measured
LOCK = "/run/lock/sluice-bench.lock"
NS_PREFIX = "slb-"
STRIPES = "/dev/shm/slb-stripes"    # sluiced's stripe files: on tmpfs, and found again after a kill
HUGE_STRIPES = "/run/slb-stripes"   # the same on hugetlbfs, while the bench has hugepages
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """A row cannot be measured; the text says why."""


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def run(*argv, check=True, timeout=120, **kw):
    """Runs to the end and returns its stdout."""
    p = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                       timeout=timeout, preexec_fn=_die_with_parent, **kw)
    if check and p.returncode:
        raise BenchError(f"{os.path.basename(str(argv[0]))} exited {p.returncode}: "
                         f"{(p.stderr or p.stdout).strip()[-400:]}")
    return p.stdout


def placed(argv, cpus=None, netns=None):
    """The command line that runs argv on these CPUs in this namespace. Both helpers exec: same pid."""
    out = []
    if netns:
        out += ["ip", "netns", "exec", netns]
    if cpus is not None:
        out += ["taskset", "-c", ",".join(str(c) for c in cpus)]
    return out + [str(a) for a in argv]


class Proc:
    """A process in the background. Use as a context: it is ended and waited for by pid."""

    def __init__(self, argv, log, cpus=None, netns=None, env=None, stdin=subprocess.DEVNULL):
        self.name = os.path.basename(str(argv[0]))
        self.log = log
        self.out = open(log, "wb")
        full_env = dict(os.environ, **(env or {}))
        self.p = subprocess.Popen(placed(argv, cpus, netns), stdout=self.out, stderr=subprocess.STDOUT,
                                  stdin=stdin, env=full_env, preexec_fn=_die_with_parent)
        self.pid = self.p.pid

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop(signal.SIGTERM, 5, must=False)
        self.out.close()

    def alive(self):
        return self.p.poll() is None

    def tail(self, n=600):
        with open(self.log, "rb") as f:
            return f.read().decode("utf-8", "replace").strip()[-n:]

    def need_alive(self):
        if not self.alive():
            raise BenchError(f"{self.name} ended with {self.p.returncode}: {self.tail()}")

    def wait_for(self, cond, seconds, what):
        end = time.monotonic() + seconds
        while not cond():
            self.need_alive()
            if time.monotonic() > end:
                raise BenchError(f"{self.name}: not {what} within {seconds} s: {self.tail()}")
            time.sleep(0.02)

    def wait(self, seconds):
        try:
            return self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{self.name} did not end within {seconds} s") from None

    def stop(self, sig=signal.SIGTERM, seconds=15, must=True):
        """Signal, wait, at last SIGKILL. Returns the exit code."""
        if self.alive():
            self.p.send_signal(sig)
            try:
                self.p.wait(seconds)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait(5)
                if must:
                    raise BenchError(f"{self.name} had to be killed: {self.tail()}") from None
        return self.p.returncode

    def cpu(self):
        return cpu_of(self.pid)


def cpu_of(pid):
    """CPU seconds of all threads (io_uring's workers are among them): total by the scheduler's own
    nanoseconds, and user/system split by ticks."""
    total, user, system, threads = 0.0, 0, 0, {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        base = f"/proc/{pid}/task/{tid}"
        try:
            with open(f"{base}/schedstat") as f:
                ns = int(f.read().split()[0])
            with open(f"{base}/stat") as f:
                text = f.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = text.rsplit(")", 1)[1].split()
        total += ns / 1e9
        user += int(fields[11])
        system += int(fields[12])
        threads[f"{text.split('(', 1)[1].rsplit(')', 1)[0]}/{tid}"] = ns / 1e9
    hz = os.sysconf("SC_CLK_TCK")
    return {"total": total, "user": user / hz, "system": system / hz, "threads": threads}


def udp_bound(pid, port):
    """Whether some socket of the process's network namespace is bound to the UDP port."""
    try:
        with open(f"/proc/{pid}/net/udp") as f:
            return any(int(x.split()[1].split(":")[1], 16) == port for x in f.readlines()[1:])
    except OSError:
        return False


def drop_dir(path):
    shutil.rmtree(path, ignore_errors=True)


def json_of(text):
    """The last line that is a JSON object."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    raise BenchError(f"no result in: {text.strip()[-300:]}")


class Link:
    """Two namespaces joined by a veth pair, the receiving end with GRO (NAPI), so that live frames
    arrive. slb-tx/slbt<n> sends, slb-rx/slbr<n> receives as 10.99.<n>.1."""

    def __init__(self, n=0):
        self.n = n
        self.tx_ns, self.rx_ns = f"{NS_PREFIX}tx{n}", f"{NS_PREFIX}rx{n}"
        self.tx, self.rx = f"slbt{n}", f"slbr{n}"
        self.address = f"10.99.{n}.1"

    def __enter__(self):
        delete_ns(self.tx_ns)
        delete_ns(self.rx_ns)
        run("ip", "netns", "add", self.tx_ns)
        run("ip", "netns", "add", self.rx_ns)
        run("ip", "link", "add", self.tx, "netns", self.tx_ns, "type", "veth", "peer", "name", self.rx,
            "netns", self.rx_ns)
        for ns, dev, addr in ((self.tx_ns, self.tx, f"10.99.{self.n}.2/24"),
                              (self.rx_ns, self.rx, f"{self.address}/24")):
            # IPv6 would send frames of its own (neighbour discovery) into an idle measurement.
            run("ip", "netns", "exec", ns, "sysctl", "-qw", f"net.ipv6.conf.{dev}.disable_ipv6=1")
            run("ip", "-n", ns, "addr", "add", addr, "dev", dev)
            run("ip", "-n", ns, "link", "set", dev, "up")
            run("ip", "-n", ns, "link", "set", "lo", "up")
        run("ip", "-n", self.rx_ns, "route", "add", "10.98.0.0/16", "dev", self.rx)
        run("ip", "netns", "exec", self.rx_ns, "ethtool", "-K", self.rx, "gro", "on")
        show = json.loads(run("ip", "-n", self.rx_ns, "-j", "link", "show", self.rx))
        self.mac = show[0]["address"]
        tx = json.loads(run("ip", "-n", self.tx_ns, "-j", "link", "show", self.tx))[0]["address"]
        run("ip", "-n", self.tx_ns, "neigh", "add", self.address, "lladdr", self.mac, "dev", self.tx)
        run("ip", "-n", self.rx_ns, "neigh", "add", f"10.99.{self.n}.2", "lladdr", tx, "dev", self.rx)
        return self

    def __exit__(self, *exc):
        delete_ns(self.tx_ns)
        delete_ns(self.rx_ns)


class Loopback:
    """A namespace with nothing but its loopback."""

    name = f"{NS_PREFIX}lo"

    def __enter__(self):
        delete_ns(self.name)
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *exc):
        delete_ns(self.name)


def delete_ns(name):
    if os.path.exists(f"/run/netns/{name}"):
        run("ip", "netns", "del", name, check=False)


def huge_stripes():
    """Mounts a hugetlbfs for stripe files and returns its place."""
    os.makedirs(HUGE_STRIPES, exist_ok=True)
    run("mount", "-t", "hugetlbfs", "slb-stripes", HUGE_STRIPES)
    return HUGE_STRIPES


def delete_leftovers():
    """What a run that was killed left, by name. Its processes died with it."""
    drop_dir(STRIPES)
    if os.path.ismount(HUGE_STRIPES):
        for name in os.listdir(HUGE_STRIPES):
            os.unlink(os.path.join(HUGE_STRIPES, name))
        run("umount", HUGE_STRIPES, check=False)
    drop_dir(HUGE_STRIPES)
    if os.path.isdir("/run/netns"):
        for name in os.listdir("/run/netns"):
            if name.startswith(NS_PREFIX):
                delete_ns(name)


def lock():
    """One bench at a time on a host: its names are fixed. Returns the open file, or None."""
    os.makedirs(os.path.dirname(LOCK), exist_ok=True)
    f = open(LOCK, "w")
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return None
    return f


class Settings:
    """Kernel settings for the length of the bench. The old values lie in a file until they are put
    back, so that the next run can do it for one that was killed."""

    def __init__(self, state_file):
        self.state_file = state_file
        self.old = {}

    def restore(self):
        try:
            with open(self.state_file) as f:
                old = json.load(f)
        except (FileNotFoundError, ValueError):
            return
        for path, value in old.items():
            with open(path, "w") as f:
                f.write(value)
        os.unlink(self.state_file)

    def set(self, path, value):
        with open(path) as f:
            self.old.setdefault(path, f.read().strip())
        with open(self.state_file, "w") as f:
            json.dump(self.old, f)
        with open(path, "w") as f:
            f.write(str(value))

    def raise_to(self, path, value):
        with open(path) as f:
            if int(f.read()) < value:
                self.set(path, value)


def hugepages_free():
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("HugePages_Free"):
                return int(line.split()[1])
    return 0


def others_busy(seconds=0.5):
    """Share of one core that everybody together used while this process slept."""

    def busy():
        with open("/proc/stat") as f:
            v = [int(x) for x in f.readline().split()[1:]]
        return sum(v) - v[3] - v[4]

    a, t = busy(), time.monotonic()
    time.sleep(seconds)
    return (busy() - a) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - t)


class Others:
    """How much of a core everybody else used, by user time: from here until used() is called, when all
    children of this process have ended."""

    def __init__(self):
        self.t0, self.all0, self.own0 = time.monotonic(), *self._now()

    @staticmethod
    def _now():
        with open("/proc/stat") as f:
            v = f.readline().split()
        own = os.times()
        return (int(v[1]) + int(v[2])) / os.sysconf("SC_CLK_TCK"), own.user + own.children_user

    def used(self):
        total, own = self._now()
        return max(0.0, (total - self.all0) - (own - self.own0)) / (time.monotonic() - self.t0)
