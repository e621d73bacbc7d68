#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab behind `make run`: a virtual LAN of devices, a gateway on it, Kafka clients beside it.

    lab.py [--build DIR]       SLUICE_LAB_SECONDS=N ends it by itself after N seconds

Two network namespaces joined by veth: sluice-dev holds the devices (10.77.0.10-40), sluice-gw only
the gateway's port (10.77.0.1). The Kafka and admin ports are on the host's loopback; nothing of
the host's own network is touched. Ctrl-C ends it and leaves nothing behind; after a kill -9 the
next start cleans up first, by the names and process ids that stand in /run/sluice-lab. The log of the
lab lies in /var/tmp/sluice-lab while it runs.
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
STATE = "/run/sluice-lab"
DEV_NS, GW_NS = "sluice-dev", "sluice-gw"
DEV_IF, GW_IF = "lab0", "lan0"
GATEWAY = "10.77.0.1"
DEVICES = [f"10.77.0.{i}" for i in range(10, 41)]
DATA = "/var/tmp/sluice-lab"  # a disk, where /run often is memory
STRIPES = "/dev/shm/sluice-lab"
CONFIG = os.path.join(ROOT, "configs/lab.yaml")
SIMULATOR = os.path.join(ROOT, "lab/simulator.py")
DPDK = "/run/dpdk"  # a daemon's folder is sluice-PID; one that was killed leaves it
SOCKET = "/run/sluice/control.sock"  # where the operator's tool looks by itself
PORTS = {9092: "Kafka", 9640: "admin"}
READY_S, DRAIN_S = 30, 15
LINE_EVERY_S = 2.0


class Refused(Exception):
    """The lab cannot run; the text is for the person who started it."""


def ip(*args, check=True):
    r = subprocess.run(["ip", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if check and r.returncode != 0:
        raise Refused(f"ip {' '.join(args)}: {r.stderr.strip()}")
    return r.stdout


def alive(pid, start):
    """True if this process still is the one that we started: its start time is the same."""
    return start is not None and start_time(pid) == start


def start_time(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        return None


def strings(pid, name):
    """argv or environment of a process; empty if it has gone."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            return [s for s in f.read().decode(errors="replace").split("\0") if s]
    except OSError:
        return []


def unrecorded():
    """(name, pid, start time) of what a lab of this tree started, by what it was started with.

    A lab that was killed between starting a process and writing it down leaves only this trace.
    """
    for pid in filter(str.isdigit, os.listdir("/proc")):
        argv = strings(pid, "cmdline")
        if SIMULATOR in argv[1:3]:
            yield "simulator", pid, start_time(pid)
        elif argv and os.path.basename(argv[0]) == "sluiced" and CONFIG in argv and \
                f"SLUICE_LAB_NETNS={GW_NS}" in strings(pid, "environ"):
            yield "sluiced", pid, start_time(pid)


class Lab:
    def __init__(self, build):
        self.build = build
        self.sluice = os.path.join(build, "platform/cli/sluice")
        self.data = DATA
        self.log = os.path.join(STATE, "sluiced.log")
        self.socket = SOCKET
        self.children = {}
        self.stopping = False

    # ---- one at a time, and what an earlier one left ----

    def lock(self):
        os.makedirs(STATE, mode=0o755, exist_ok=True)
        self.lock_file = open(os.path.join(STATE, "lock"), "a+")
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock_file.seek(0)
            raise Refused(f"a lab is running already (process {self.lock_file.read().strip() or 'unknown'}); "
                          "end it with Ctrl-C there first")
        self.lock_file.truncate(0)
        self.lock_file.write(f"{os.getpid()}\n")
        self.lock_file.flush()

    def clean_leftovers(self):
        """After a kill -9 of the lab: its processes by id and start time, the rest by name."""
        found = []
        try:
            with open(os.path.join(STATE, "children")) as f:
                rows = [line.split() for line in f if len(line.split()) == 3]
        except OSError:
            rows = []
        for name, pid, start in rows + list(unrecorded()):
            if alive(int(pid), start):
                found.append(f"{name} (process {pid})")
                self.end_pid(int(pid), start)
            self.remove_runtime(pid)
        names = ip("netns", "list").split()
        found += [f"namespace {ns}" for ns in (DEV_NS, GW_NS) if ns in names]
        self.remove_namespaces()
        self.remove_files()
        if found:
            print("lab: an earlier lab did not end cleanly; removed: " + ", ".join(found), flush=True)

    @staticmethod
    def end_pid(pid, start):
        for sig, patience in ((signal.SIGTERM, DRAIN_S), (signal.SIGKILL, 5)):
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                return
            end = time.monotonic() + patience
            while alive(pid, start) and time.monotonic() < end:
                time.sleep(0.05)

    @staticmethod
    def remove_namespaces():
        # Gone with them: the veth pair, and any XDP program that was attached to it.
        for ns in (DEV_NS, GW_NS):
            if os.path.exists(f"/run/netns/{ns}"):
                ip("netns", "del", ns, check=False)

    @staticmethod
    def remove_runtime(pid):
        """DPDK's folder of a daemon of ours that was killed; one that ended has removed it itself."""
        if not os.path.exists(f"/proc/{pid}"):
            shutil.rmtree(f"{DPDK}/sluice-{pid}", ignore_errors=True)
            if os.path.isdir(DPDK) and not os.listdir(DPDK):
                os.rmdir(DPDK)

    def remove_files(self):
        for path in (self.data, STRIPES):
            shutil.rmtree(path, ignore_errors=True)
        for path in (self.socket, self.log, os.path.join(STATE, "children")):
            if os.path.exists(path):
                os.unlink(path)
        if os.path.isdir(os.path.dirname(SOCKET)) and not os.listdir(os.path.dirname(SOCKET)):
            os.rmdir(os.path.dirname(SOCKET))

    # ---- making it ----

    def check_host(self):
        if os.geteuid() != 0:
            raise Refused("needs root: it makes two network namespaces (sudo make run)")
        for tool in ("ip", "kcat", "logger"):
            if not shutil.which(tool):
                raise Refused(f"{tool} is missing: scripts/setup.sh run")
        for program in (self.sluiced(), self.sluice):
            if not os.path.exists(program):
                raise Refused(f"{program} is not built: make build")

    @staticmethod
    def check_ports():
        for port, what in PORTS.items():
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                except OSError as e:
                    raise Refused(f"port {port} of the loopback, which the lab needs for {what}, is taken ({e.strerror})")

    def sluiced(self):
        return os.path.join(self.build, "platform/app/sluiced")

    def make_network(self):
        for ns in (DEV_NS, GW_NS):
            ip("netns", "add", ns)
            ip("-n", ns, "link", "set", "lo", "up")
        ip("link", "add", DEV_IF, "netns", DEV_NS, "type", "veth", "peer", "name", GW_IF, "netns", GW_NS)
        for address in DEVICES:
            ip("-n", DEV_NS, "addr", "add", f"{address}/24", "dev", DEV_IF)
        ip("-n", GW_NS, "addr", "add", f"{GATEWAY}/24", "dev", GW_IF)
        ip("-n", DEV_NS, "link", "set", DEV_IF, "up")
        ip("-n", GW_NS, "link", "set", GW_IF, "up")

    def child(self, name, argv, **kw):
        # Own process group: Ctrl-C reaches the lab alone, which then ends its children in order.
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, **kw)
        self.children[name] = p
        with open(os.path.join(STATE, "children"), "a") as f:
            f.write(f"{name} {p.pid} {start_time(p.pid)}\n")
        return p

    def start_gateway(self):
        os.makedirs(STRIPES, exist_ok=True)
        env = dict(os.environ, SLUICE_LAB_NETNS=GW_NS, SLUICE_LAB_DEVICE=GW_IF, SLUICE_LAB_DATA=self.data,
                   SLUICE_LAB_STRIPES=STRIPES, SLUICE_LAB_SOCKET=self.socket)
        with open(self.log, "w") as log:
            self.child("sluiced", [self.sluiced(), "-c", CONFIG], env=env,
                       stdout=log, stderr=log)
        end = time.monotonic() + READY_S
        while not self.stopping:
            status = self.status()
            if status and status.get("ready"):
                return status
            if self.children["sluiced"].poll() is not None or time.monotonic() > end:
                with open(self.log) as f:
                    raise Refused("the gateway did not start; it said:\n" + "".join(f.readlines()[-20:]))
            time.sleep(0.05)
        return None

    def start_devices(self):
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        self.child("simulator", ["ip", "netns", "exec", DEV_NS, python, SIMULATOR, "--to", GATEWAY])

    # ---- showing it ----

    def status(self):
        """What `sluice status` knows, from the control socket; None if nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(5)
                s.connect(self.socket)
                s.sendall(b'{"cmd":"status"}\n')
                got = b""
                while not got.endswith(b"\n"):
                    piece = s.recv(1 << 16)
                    if not piece:
                        return None
                    got += piece
            return json.loads(got)
        except (OSError, ValueError):
            return None

    def explain(self, status):
        port = status["ports"][0]
        print(f"""
Sluice lab: {len(DEVICES)} device addresses in {DEV_NS} -> {GATEWAY} in {GW_NS}
  path in use   {port["backend"]}: {port["why"]}
  Kafka         127.0.0.1:9092      topics: {", ".join(t["name"] for t in status["topics"])}
  admin         http://127.0.0.1:9640/metrics
  data          {self.data}/log (Kafka's own files)      daemon's log: {self.log}

Try, in another terminal:
  ip netns exec {DEV_NS} logger -n {GATEWAY} -P 5514 -d --rfc5424 -t lab "hello from $(hostname)"
  kcat -q -b 127.0.0.1:9092 -t logs -C -o -5 -c 20
  kcat -q -b 127.0.0.1:9092 -t telemetry -C -o end -c 10
  {self.sluice} status
  {self.sluice} drops

Ctrl-C ends it and leaves nothing behind.
""", flush=True)

    def line(self, status, before, seconds):
        led = status["ledger"]
        lost = led["lost_by_device"] + led["ring_full"] + led["limited"] + led["lost_at_crash"] + \
            sum(led["append_failed"].values()) + sum(led["bad"].values()) + sum(led["refused"].values())
        rate = (led["accepted"] - before) / seconds
        ends = {t["name"]: sum(p["end"] for p in t["partitions"]) for t in status["topics"]}
        unsynced = sum(p["end"] - p["synced"] for t in status["topics"] for p in t["partitions"])
        topics = "  ".join(f"{n} {e}" for n, e in ends.items())
        print(f"{time.strftime('%H:%M:%S')}  {rate:6.0f}/s  accepted {led['accepted']:>9}  lost {lost}  "
              f"not yet synced {unsynced:>5}  |  {topics}", flush=True)
        return led["accepted"]

    def watch(self):
        limit = float(os.environ.get("SLUICE_LAB_SECONDS") or 0)
        began = last = time.monotonic()
        before = self.status()["ledger"]["accepted"]
        while not self.stopping and not (limit and time.monotonic() - began >= limit):
            time.sleep(0.1)
            for name, p in self.children.items():
                if p.poll() is not None:
                    raise Refused(f"{name} ended by itself with {p.returncode}")
            now = time.monotonic()
            if now - last >= LINE_EVERY_S:
                status = self.status()
                if status:
                    before = self.line(status, before, now - last)
                last = now

    # ---- ending it ----

    def stop_children(self):
        for name in ("simulator", "sluiced"):
            p = self.children.get(name)
            if not p or p.poll() is not None:
                continue
            p.terminate()
            try:
                p.wait(DRAIN_S)
            except subprocess.TimeoutExpired:
                print(f"lab: {name} did not end within {DRAIN_S} s: killed", flush=True)
                p.kill()
                p.wait()
            if name == "sluiced" and p.returncode != 0:
                with open(self.log) as f:
                    print(f"lab: sluiced ended with {p.returncode}:\n{''.join(f.readlines()[-10:])}", flush=True)

    def keep_log(self):
        """A name that nobody can have put a link under before: this runs as root."""
        fd, path = tempfile.mkstemp(prefix="sluice-lab-", suffix=".log")
        with open(fd, "wb") as kept, open(self.log, "rb") as log:
            shutil.copyfileobj(log, kept)
        print(f"lab: the daemon's log is kept as {path}", flush=True)

    def clean(self, failed):
        self.stop_children()
        for p in self.children.values():
            self.remove_runtime(p.pid)
        self.remove_namespaces()
        if failed and os.path.exists(self.log):
            self.keep_log()
        self.remove_files()
        os.unlink(os.path.join(STATE, "lock"))
        os.rmdir(STATE)

    def run(self):
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, self.on_signal)
        self.check_host()
        self.lock()
        failed = True
        try:
            self.clean_leftovers()
            self.check_ports()
            self.make_network()
            status = self.start_gateway()
            if status:
                self.start_devices()
                self.explain(status)
                self.watch()
            failed = False
        finally:
            print("\nlab: stopping", flush=True)
            self.clean(failed)
            print("lab: stopped, nothing else left behind" if failed else "lab: stopped, nothing left behind", flush=True)

    def on_signal(self, _sig, _frame):
        self.stopping = True


def main():
    ap = argparse.ArgumentParser(description="the lab behind make run")
    ap.add_argument("--build", default="build")
    args = ap.parse_args()
    try:
        Lab(os.path.join(ROOT, args.build)).run()
    except Refused as e:
        print(f"lab: {e}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
