#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A central cluster for the lab, behind `make lab-central`: one Apache Kafka of one node in the foreground.

    central.py [--port N]       SLUICE_LAB_SECONDS=N ends it by itself after N seconds

It listens on the host's loopback. Its data lies in /var/tmp/sluice-lab-central and goes with it: Ctrl-C
leaves nothing behind; after a kill -9 the next start cleans up first, by the process ids in
/run/sluice-lab-central.
"""

import argparse
import glob
import os
import shutil
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from base import ROOT, Refused, Runner  # noqa: E402

STATE = "/run/sluice-lab-central"
DATA = "/var/tmp/sluice-lab-central"
JARS = os.path.join(os.environ.get("SLT_DEPS") or os.path.join(ROOT, "build/deps"), "kafka-*")
PORT = 19092
READY_S = 90

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}/log
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
log.retention.bytes=268435456
"""


def version_of(folder):
    return [int(n) for n in os.path.basename(folder)[len("kafka-"):].split(".")]


class Central(Runner):
    what = "lab-central"

    def __init__(self, port):
        super().__init__(STATE)
        self.port, self.config = port, os.path.join(STATE, "server.properties")
        self.log = os.path.join(STATE, "kafka.log")

    def name_of(self, pid, argv):
        return "kafka" if "kafka.Kafka" in argv and self.config in argv else None

    def check_host(self):
        if os.geteuid() != 0:
            raise Refused("needs root, as make run does")
        folders = sorted(glob.glob(JARS), key=version_of)
        if not folders or not shutil.which("java"):
            raise Refused("Java or Apache Kafka is missing: scripts/setup.sh central")
        self.jars = folders[-1]

    def check_port(self):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", self.port))
            except OSError as e:
                raise Refused(f"port {self.port} of the loopback is taken ({e.strerror}): --port N")

    def clean_leftovers(self):
        found = self.end_leftovers()
        self.remove_files()
        if found:
            print("lab-central: an earlier one did not end cleanly; removed: " + ", ".join(found), flush=True)

    def remove_files(self):
        shutil.rmtree(DATA, ignore_errors=True)
        for name in os.listdir(STATE):
            if name != "lock":
                os.unlink(os.path.join(STATE, name))

    def java(self, *args):
        return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{self.jars}/*", *args]

    def tool(self, *args):
        r = subprocess.run(self.java("kafka.tools.StorageTool", *args), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
        if r.returncode:
            raise Refused(f"Kafka's storage tool: {(r.stderr or r.stdout).strip()[-500:]}")
        return r.stdout.split()[-1]

    def start(self):
        os.mkdir(DATA)  # not one that somebody else has put there
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            controller = s.getsockname()[1]
        with open(self.config, "w") as f:
            f.write(_PROPERTIES.format(port=self.port, controller=controller, data=DATA))
        self.tool("format", "-t", self.tool("random-uuid"), "-c", self.config)
        with open(self.log, "w") as log:
            self.child("kafka", self.java("kafka.Kafka", self.config), stdout=log, stderr=log)
        end = time.monotonic() + READY_S
        while not self.stopping and not self.answers():
            if self.children["kafka"].poll() is not None or time.monotonic() > end:
                with open(self.log, errors="replace") as f:
                    raise Refused("Apache Kafka did not start; it said:\n" + "".join(f.readlines()[-20:]))
            time.sleep(0.1)

    def answers(self):
        with socket.socket() as s:
            s.settimeout(1)
            try:
                s.connect(("127.0.0.1", self.port))
                return True
            except OSError:
                return False

    def explain(self):
        me = f"127.0.0.1:{self.port}"
        print(f"""
A central Apache Kafka {os.path.basename(self.jars)[len("kafka-"):]} of one node, {me}, data in {DATA}

In another terminal:
  make run CENTRAL={me}
Then, in a third one:
  kcat -b {me} -L
  kcat -q -b {me} -t lab.logs -C -o -5 -c 10 -f '%k  %s  %h\\n'

Ctrl-C ends it and leaves nothing behind.
""", flush=True)

    def watch(self):
        limit, began = float(os.environ.get("SLUICE_LAB_SECONDS") or 0), time.monotonic()
        while not self.stopping and not (limit and time.monotonic() - began >= limit):
            time.sleep(0.1)
            self.check_children()

    def run(self):
        self.catch_signals()
        self.check_host()
        self.lock()
        try:
            self.clean_leftovers()
            self.check_port()
            print("lab-central: starting Apache Kafka, some seconds ...", flush=True)
            self.start()
            if not self.stopping:
                self.explain()
                self.watch()
        finally:
            print("\nlab-central: stopping", flush=True)
            self.stop_child("kafka")
            self.remove_files()
            self.unlock()
            print("lab-central: stopped, nothing left behind", flush=True)


def main():
    ap = argparse.ArgumentParser(description="the central cluster behind make lab-central")
    ap.add_argument("--port", type=int, default=PORT)
    try:
        Central(ap.parse_args().port).run()
    except Refused as e:
        print(f"lab-central: {e}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
