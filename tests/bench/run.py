#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: Sluice beside its peers, on this machine, in one run.

    tests/bench/run.py --build build [--only P2,P10] [--quick] [--hugepages off]

Prints a table and writes BUILD/bench/results.json. Method and conditions: docs/performance.md.
Needs root (namespaces, XDP) and two CPUs; touches no network but namespaces of its own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from slbench import corpus, host, kafka, mqtt, p1, p2, p3, p4, p5, p10, p12, p13, p14, peers, table  # noqa: E402

ROWS = {"P1": p1, "P2": p2, "P3": p3, "P4": p4, "P5": p5, "P10": p10, "P12": p12, "P13": p13, "P14": p14}
TARGETS = ("live_gen", "live_gen.bpf.o", "udp_gso_send", "stamp_send", "recvmmsg_append", "wake_recvmmsg",
           "wake_port", "ingest_null", "segcount", "sys_cost", "sys_cost.bpf.o", "mqtt_pub", "mqtt_bridge",
           "rdkafka_txn")
WEIGHTS = {"P1": 4, "P2": 4, "P3": 1.5, "P4": 2, "P5": 5, "P10": 3, "P12": 4, "P13": 4,
           "P14": 5}  # of the time, if it gets short
NOISY = 0.25  # share of a core that others use: what is measured beside it is not judged
HUGE_MIB = 1024
DISK_MIN, DISK_MAX = 6 << 30, 40 << 30


class Context:
    """What the rows share: places, lengths, the corpus, and who else is asked for."""

    def __init__(self, args, build):
        quick = args.quick
        self.build, self.quick, self.only = build, quick, args.only
        self.dir = os.path.join(build, "bench")
        self.work = os.path.join(self.dir, "work")
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)
        self.tools = {t: os.path.join(build, "tests", "bench", t) for t in TARGETS}
        self.sluiced = os.path.join(build, "platform", "app", "sluiced")
        self.ingest_bench = os.path.join(build, "dataplane", "ingest_bench")
        self.peers = peers.Peers(build, self.work, self.tools)
        self.runs = 3 if quick else 5
        self.warm, self.window = (0.8, 1.6) if quick else (1.5, 3.0)
        self.fio_s, self.veth_s, self.pmd_s = (2, 1.2, 3) if quick else (4, 2.5, 5)
        self.idle_s, self.idle_runs = 10, 1 if quick else self.runs
        self.until = self.row_until = time.monotonic() + (540 if quick else 2000)
        self.hugepages, self.stripes = "off", host.STRIPES
        self.shared = {}
        free = shutil.disk_usage(self.work).free
        self.disk_budget = min(free // 2, DISK_MAX)
        self.lines_file = os.path.join(self.work, "lines")
        corpus.write_lines(self.lines_file, corpus.lines(16384, p1.BYTES))

    def wants(self, row):
        return row in self.only

    def rounds(self, runs=None):
        """Round numbers, cut short when this row's share of the time is over."""
        for i in range(runs or self.runs):
            if i and time.monotonic() > self.row_until:
                self.say(f"out of time after {i} rounds")
                return
            yield i

    def share_time(self, left):
        """Called before each row: gives the first of `left` its part of what remains."""
        now = time.monotonic()
        part = WEIGHTS[left[0]] / sum(WEIGHTS[r] for r in left)
        self.row_until = now + (self.until - now) * part

    def capture(self, count, size):
        path = os.path.join(self.work, f"{count}x{size}.pcap")
        if not os.path.exists(path):
            corpus.write_capture(path, corpus.lines(count, size))
        return path

    def need_disk(self):
        if self.disk_budget < DISK_MIN:
            raise host.BenchError(f"{2 * DISK_MIN >> 30} GiB of free disk are needed under {self.work}")

    @staticmethod
    def say(text):
        print(f"  {time.strftime('%H:%M:%S')} {text}", flush=True)


def parse():
    ap = argparse.ArgumentParser(description="Sluice beside its peers; see docs/performance.md.")
    ap.add_argument("--build", default="build", help="meson's build folder")
    ap.add_argument("--only", default=",".join(ROWS), help="rows, e.g. P2,P10")
    ap.add_argument("--quick", action="store_true", help="3 short rounds, within 9 minutes")
    ap.add_argument("--hugepages", choices=("auto", "off"), default="auto",
                    help="auto: 1 GiB of them is reserved while the bench runs, if memory allows")
    ap.add_argument("--wait", type=float, default=10, metavar="SECONDS",
                    help="how long to wait, before each row, for other work on the machine to end")
    args = ap.parse_args()
    args.only = [r for r in args.only.upper().split(",") if r]
    unknown = set(args.only) - set(ROWS)
    if unknown:
        ap.error(f"no such row: {', '.join(sorted(unknown))} (there are {', '.join(ROWS)})")
    return args


def build_tools(build):
    """Brings the bench's programs and the daemon up to date. Says what went wrong and goes on: rows
    whose programs are there can be measured."""
    targets = [f"tests/bench/{t}" for t in TARGETS] + ["platform/app/sluiced", "dataplane/ingest_bench",
                                                      "bridge/mqtt/mosquitto_sluice.so"]
    p = subprocess.run(["ninja", "-C", build, "-k", "0", *targets], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, check=False)
    if p.returncode:
        lines = [x for x in p.stdout.splitlines() if "error" in x or "FAILED" in x or "undefined" in x]
        print("bench: not everything could be built; rows that need it will say so:\n"
              + "\n".join(lines[:8] or p.stdout.splitlines()[-5:]), file=sys.stderr)


def reserve_hugepages(ctx, settings, mode):
    if mode == "off":
        return
    with open("/proc/meminfo") as f:
        available = next(int(x.split()[1]) for x in f if x.startswith("MemAvailable")) >> 10
    if available < 4 * HUGE_MIB:
        return
    try:
        settings.raise_to("/proc/sys/vm/nr_hugepages", HUGE_MIB // 2)
    except OSError:
        return
    if host.hugepages_free() >= HUGE_MIB // 2:
        ctx.hugepages, ctx.stripes = "required", host.huge_stripes()


def conditions(ctx):
    def first(path, start):
        with open(path) as f:
            return next((x.split(":", 1)[1].strip() for x in f if x.startswith(start)), "?")

    def version(argv, env=None):
        try:
            out = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                                 env=dict(os.environ, **(env or {}))).stdout
            return out.strip().splitlines()[0].split("(")[0].strip()
        except (OSError, IndexError):
            return "missing"

    libs = {"LD_LIBRARY_PATH": ctx.peers.libs}
    fs = host.run("stat", "-f", "-c", "%T", ctx.work).strip()
    return {
        "cpu": first("/proc/cpuinfo", "model name"), "cpus": os.cpu_count(), "kernel": os.uname().release,
        "memory_mib": int(first("/proc/meminfo", "MemTotal").split()[0]) >> 10, "file_system": fs,
        "hugepages": ctx.hugepages != "off", "others_busy": round(host.others_busy(1.0), 2),
        "source_cpu": host.SOURCE_CPU, "measured_cpu": host.SUT_CPU, "runs": ctx.runs, "quick": ctx.quick,
        "sluiced": version([ctx.sluiced, "--version"]), "fio": version(["fio", "--version"]),
        "rsyslog": version([f"{ctx.peers.root}/usr/sbin/rsyslogd", "-v"], libs),
        "syslog_ng": version([f"{ctx.peers.root}/usr/sbin/syslog-ng", "--version"], libs),
        "kafka": kafka.VERSION, "java": version(["java", "-version"]), "mosquitto": mqtt.version(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def wait_for_quiet(seconds):
    """Waits for others on the machine to finish."""
    end = time.monotonic() + seconds
    while host.others_busy(1.0) > NOISY / 2 and time.monotonic() < end:
        pass


def measure(ctx, wait_s):
    results = []
    todo = [r for r in ROWS if ctx.wants(r)]
    for n, name in enumerate(todo):
        waited = time.monotonic()
        wait_for_quiet(wait_s)
        ctx.until += time.monotonic() - waited
        print(f"{name}:", flush=True)
        ctx.share_time(todo[n:])
        others = host.Others()
        rows = ROWS[name].run(ctx)
        busy = others.used()
        for row in rows:
            if busy > NOISY:
                row.noisy = True
                row.note(f"others used {busy * 100:.0f} % of a core meanwhile: not judged")
            if ctx.quick:
                row.note("quick: short runs, 3 rounds")
            results.append(row.result())
        table.write(os.path.join(ctx.dir, "results.json"), results)
    return results


def main():
    args = parse()
    build = os.path.abspath(args.build)
    if os.geteuid() != 0:
        print("bench: needs root: it makes network namespaces and attaches XDP programs", file=sys.stderr)
        return 1
    if (os.cpu_count() or 1) < 2:
        print("bench: needs two CPUs: one for the source, one for what is measured", file=sys.stderr)
        return 1
    held = host.lock()
    if not held:
        print("bench: another one is running on this host", file=sys.stderr)
        return 1
    build_tools(build)
    ctx = Context(args, build)
    settings = host.Settings(os.path.join(ctx.dir, "settings.json"))
    settings.restore()
    host.delete_leftovers()
    try:
        settings.raise_to("/proc/sys/net/core/rmem_max", peers.RCVBUF)  # as both peers' documents advise
        reserve_hugepages(ctx, settings, args.hugepages)
        where = conditions(ctx)
        with open(os.path.join(ctx.dir, "conditions.json"), "w") as f:
            json.dump(where, f, indent=1)
        print("bench: " + ", ".join(f"{k} {v}" for k, v in where.items()), flush=True)
        results = measure(ctx, args.wait)
    finally:
        host.delete_leftovers()  # before the hugepages are given back: stripe files hold some
        settings.restore()
        shutil.rmtree(ctx.work, ignore_errors=True)
    print("\n" + table.render(results) + f"\n\nresults: {ctx.dir}/results.json")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
