#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab behind `make run`: a virtual LAN of devices, a gateway on it, an MQTT broker, Kafka clients beside.

    lab.py [--build DIR] [--central HOST:PORT[,HOST:PORT...]]
    SLUICE_LAB_SECONDS=N ends it by itself after N seconds

Two network namespaces joined by veth: sluice-dev holds the devices (10.77.0.10-45), sluice-gw the
gateway's port (10.77.0.1) and mosquitto with the plugin, where the devices reach it. The Kafka and
admin ports are on the host's loopback; nothing of the host's own network, and no mosquitto that the
host may run, is touched. With --central everything is forwarded to that cluster. Ctrl-C ends it and
leaves nothing behind; after a kill -9 the next start cleans up first, by the names and process ids
that stand in /run/sluice-lab. The log of the lab lies in /var/tmp/sluice-lab while it runs.
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from base import ROOT, Refused, Runner, strings  # noqa: E402

STATE = "/run/sluice-lab"
DEV_NS, GW_NS = "sluice-dev", "sluice-gw"
DEV_IF, GW_IF = "lab0", "lan0"
GATEWAY = "10.77.0.1"
DEVICES = [f"10.77.0.{i}" for i in range(10, 46)]
DATA = "/var/tmp/sluice-lab"  # a disk, where /run often is memory
STRIPES = "/dev/shm/sluice-lab"
CONFIG = os.path.join(ROOT, "configs/lab.yaml")
BROKER_CONFIG = os.path.join(ROOT, "configs/mosquitto-lab.conf")
SIMULATORS = {"simulator": os.path.join(ROOT, "lab/simulator.py"), "mqtt-devices": os.path.join(ROOT, "lab/mqtt_devices.py")}
DPDK = "/run/dpdk"  # a daemon's folder is sluice-PID; one that was killed leaves it
SOCKET = "/run/sluice/control.sock"  # where the operator's tool looks by itself
PORTS = {9092: "Kafka", 9640: "admin"}
READY_S = 30
LINE_EVERY_S = 2.0
HOST_PORT = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?")
_UPLINK = """uplink:
  bootstrap: {central}
  topics: ['*']
  destination: '{{gateway}}.{{topic}}'
  mirror: [commands]
"""


def ip(*args, check=True):
    r = subprocess.run(["ip", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if check and r.returncode != 0:
        raise Refused(f"ip {' '.join(args)}: {r.stderr.strip()}")
    return r.stdout


def in_devices(*argv):
    return ["ip", "netns", "exec", DEV_NS, *argv]


def answers(host, port=None):
    """True if somebody accepts there; without a port, on a Unix socket."""
    family, where = (socket.AF_INET, (host, port)) if port else (socket.AF_UNIX, host)
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        try:
            s.connect(where)
            return True
        except OSError:
            return False


class Lab(Runner):
    def __init__(self, build, central):
        super().__init__(STATE)
        self.build, self.central = build, central
        self.sluice = os.path.join(build, "platform/cli/sluice")
        self.sluiced = os.path.join(build, "platform/app/sluiced")
        self.plugin = os.path.join(build, "bridge/mqtt/mosquitto_sluice.so")
        self.data = DATA
        self.log = self.file("sluiced.log")
        self.config = self.file("sluice.yaml")
        self.socket = SOCKET

    @staticmethod
    def file(name):
        return os.path.join(STATE, name)

    # ---- what an earlier one left ----

    def name_of(self, pid, argv):
        for name, script in SIMULATORS.items():
            if script in argv[1:3]:
                return name
        if argv and os.path.basename(argv[0]) == "mosquitto" and self.file("mosquitto.conf") in argv:
            return "mosquitto"
        if argv and os.path.basename(argv[0]) == "sluiced" and \
                f"SLUICE_LAB_NETNS={GW_NS}" in strings(pid, "environ"):
            return "sluiced"
        return None

    def clean_leftovers(self):
        """After a kill -9 of the lab: its processes by id and start time, the rest by name."""
        found = self.end_leftovers()
        names = ip("netns", "list").split()
        found += [f"namespace {ns}" for ns in (DEV_NS, GW_NS) if ns in names]
        self.remove_namespaces()
        self.remove_files()
        if found:
            print("lab: an earlier lab did not end cleanly; removed: " + ", ".join(found), flush=True)

    @staticmethod
    def remove_namespaces():
        # Gone with them: the veth pair, and any XDP program that was attached to it.
        for ns in (DEV_NS, GW_NS):
            if os.path.exists(f"/run/netns/{ns}"):
                ip("netns", "del", ns, check=False)

    def after_end(self, pid):
        """DPDK's folder of a daemon of ours that was killed; one that ended has removed it itself."""
        if not os.path.exists(f"/proc/{pid}"):
            shutil.rmtree(f"{DPDK}/sluice-{pid}", ignore_errors=True)
            if os.path.isdir(DPDK) and not os.listdir(DPDK):
                os.rmdir(DPDK)

    def remove_files(self):
        for path in (self.data, STRIPES):
            shutil.rmtree(path, ignore_errors=True)
        for name in os.listdir(STATE):
            if name != "lock":
                os.unlink(self.file(name))
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        if os.path.isdir(os.path.dirname(SOCKET)) and not os.listdir(os.path.dirname(SOCKET)):
            os.rmdir(os.path.dirname(SOCKET))

    # ---- making it ----

    def check_host(self):
        if os.geteuid() != 0:
            raise Refused("needs root: it makes two network namespaces (sudo make run)")
        for tool in ("ip", "kcat", "logger", "mosquitto", "mosquitto_pub"):
            if not shutil.which(tool):
                raise Refused(f"{tool} is missing: scripts/setup.sh run")
        for program in (self.sluiced, self.sluice, self.plugin):
            if not os.path.exists(program):
                raise Refused(f"{program} is not built: make build")
        for one in self.central.split(",") if self.central else ():
            if not HOST_PORT.fullmatch(one.strip()):
                raise Refused(f"CENTRAL: '{one}' is not HOST:PORT")

    @staticmethod
    def check_ports():
        for port, what in PORTS.items():
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    s.bind(("127.0.0.1", port))
                except OSError as e:
                    raise Refused(f"port {port} of the loopback, which the lab needs for {what}, is taken ({e.strerror})")

    @staticmethod
    def make_network():
        for ns in (DEV_NS, GW_NS):
            ip("netns", "add", ns)
            ip("-n", ns, "link", "set", "lo", "up")
        ip("link", "add", DEV_IF, "netns", DEV_NS, "type", "veth", "peer", "name", GW_IF, "netns", GW_NS)
        for address in DEVICES:
            ip("-n", DEV_NS, "addr", "add", f"{address}/24", "dev", DEV_IF)
        ip("-n", GW_NS, "addr", "add", f"{GATEWAY}/24", "dev", GW_IF)
        ip("-n", DEV_NS, "link", "set", DEV_IF, "up")
        ip("-n", GW_NS, "link", "set", GW_IF, "up")

    def write_config(self):
        """configs/lab.yaml, and with a centre the uplink behind it."""
        with open(CONFIG) as f, open(self.config, "w") as to:
            to.write(f.read())
            if self.central:
                to.write("\n" + _UPLINK.format(central=self.central))

    def start_gateway(self):
        os.makedirs(STRIPES, exist_ok=True)
        self.write_config()
        env = dict(os.environ, SLUICE_LAB_NETNS=GW_NS, SLUICE_LAB_DEVICE=GW_IF, SLUICE_LAB_DATA=self.data,
                   SLUICE_LAB_STRIPES=STRIPES, SLUICE_LAB_SOCKET=self.socket, SLUICE_LAB_MQTT=self.file("mqtt.sock"),
                   SLUICE_LAB_BROKER=self.file("mosquitto.sock"))
        with open(self.log, "w") as log:
            self.child("sluiced", [self.sluiced, "-c", self.config], env=env, stdout=log, stderr=log)
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

    def start_broker(self):
        """Our own mosquitto in the gateway's namespace: for devices at GATEWAY:1883, for sluiced's commands
        by a Unix socket, since that one lives in the host's namespace."""
        config, log = self.file("mosquitto.conf"), self.file("mosquitto.log")
        with open(BROKER_CONFIG) as f, open(config, "w") as to:
            to.write(f.read().replace("@STATE@", STATE).replace("@PLUGIN@", self.plugin))
        with open(log, "w") as out:
            self.child("mosquitto", ["ip", "netns", "exec", GW_NS, shutil.which("mosquitto"), "-c", config], stdout=out,
                       stderr=out)
        end = time.monotonic() + READY_S
        while not self.stopping and not (answers(self.file("mosquitto.sock")) and self.plugged_in()):
            if self.children["mosquitto"].poll() is not None or time.monotonic() > end:
                with open(log) as f:
                    raise Refused("mosquitto did not start; it said:\n" + "".join(f.readlines()[-20:]))
            time.sleep(0.05)

    def plugged_in(self):
        """True once the plugin is at the gateway and the gateway's commands are at the broker."""
        brokers = (self.status() or {}).get("mqtt", {}).get("brokers", [])
        return len(brokers) == 2 and all(b["connected"] for b in brokers)

    def start_devices(self):
        python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
        for name, script in SIMULATORS.items():
            self.child(name, in_devices(python, script, "--to", GATEWAY))

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
        topics = ", ".join(t["name"] for t in status["topics"] if not t["name"].startswith("__"))
        devices = " ".join(in_devices())
        print(f"""
Sluice lab: {len(DEVICES)} device addresses in {DEV_NS} -> {GATEWAY} in {GW_NS}
  path in use   {port["backend"]}: {port["why"]}
  MQTT          {GATEWAY}:1883, mosquitto with the plugin, for the devices' namespace
  Kafka         127.0.0.1:9092      topics: {topics}
  centre        {self.central or "none: make run CENTRAL=host:port forwards there; make lab-central starts one"}
  admin         http://127.0.0.1:9640/metrics
  data          {self.data}/log (Kafka's own files)      daemon's log: {self.log}

Try, in another terminal:
  {devices} logger -n {GATEWAY} -P 5514 -d --rfc5424 -t lab "hello from $(hostname)"
  kcat -q -b 127.0.0.1:9092 -t logs -C -o -5 -c 20
  kcat -q -b 127.0.0.1:9092 -t telemetry -C -o end -c 10
  {devices} mosquitto_pub -h {GATEWAY} -q 1 -t factory/line-9/door-01/state -m '{{"open":true}}'
  kcat -q -b 127.0.0.1:9092 -t machines -C -o -5 -c 10 -f '%k  %s  %h\\n'
  {devices} mosquitto_sub -h {GATEWAY} -v -t 'devices/#' -C 2 -W 20
  {devices} mosquitto_sub -h {GATEWAY} -v -t 'factory/#' -C 5
a command down to a device, and what it answers (in the topic answers, with the correlation data):
  echo '{{"set":42}}' | kcat -b 127.0.0.1:9092 -t commands -P -k valve-01 {self.reply_to("valve-01")}
  kcat -q -b 127.0.0.1:9092 -t answers -C -o beginning -c 1 -f '%k  %s  %h\\n'
how it is, and what was lost and why:
  {self.sluice} status
  {self.sluice} drops
{self.explain_central()}
Ctrl-C ends it and leaves nothing behind.
""", flush=True)

    @staticmethod
    def reply_to(device):
        """Headers of a command that asks for an answer: what MQTT 5 calls response topic and correlation data."""
        return f"-H mqtt.response-topic=devices/{device}/answer -H mqtt.correlation=job-1"

    def explain_central(self):
        if not self.central:
            return ""
        one = self.central.split(",")[0].strip()
        return f"""at the centre, each record once, with headers that say where it comes from:
  kcat -q -b {one} -t lab.machines -C -o -5 -c 10 -f '%k  %s  %h\\n'
a command from the centre (the topic commands there is copied down):
  echo '{{"set":43}}' | kcat -b {one} -t commands -P -k valve-02 {self.reply_to("valve-02")}
how far it is:
  {self.sluice} uplink status
"""

    def line(self, status, before, seconds):
        led, mqtt, log = status["ledger"], status["mqtt"], status["log"]
        lost = led["lost_by_device"] + led["ring_full"] + led["limited"] + led["lost_at_crash"] + \
            sum(led["append_failed"].values()) + sum(led["bad"].values()) + sum(led["refused"].values())
        rate = (led["accepted"] - before) / seconds
        shown = [t for t in status["topics"] if not t["name"].startswith("__")]
        ends = {t["name"]: sum(p["end"] for p in t["partitions"]) for t in shown}
        unsynced = sum(p["end"] - p["synced"] for t in shown for p in t["partitions"])
        topics = "  ".join(f"{n} {e}" for n, e in ends.items())
        central = f"  |  centre {log['forwarded']} of {log['forwarded'] + log['backlog']}, " \
                  f"{status['uplink']['state']}" if self.central else ""
        print(f"{time.strftime('%H:%M:%S')}  {rate:6.0f}/s  accepted {led['accepted']:>9}  lost {lost}  "
              f"not yet synced {unsynced:>5}  |  mqtt {mqtt['stored']}  lost {mqtt['lost_qos0']}  pushed back "
              f"{mqtt['pushed_back']}  |  {topics}{central}", flush=True)
        return led["accepted"]

    def watch(self):
        limit = float(os.environ.get("SLUICE_LAB_SECONDS") or 0)
        began = last = time.monotonic()
        before = self.status()["ledger"]["accepted"]
        while not self.stopping and not (limit and time.monotonic() - began >= limit):
            time.sleep(0.1)
            self.check_children()
            now = time.monotonic()
            if now - last >= LINE_EVERY_S:
                status = self.status()
                if status:
                    before = self.line(status, before, now - last)
                last = now

    # ---- ending it ----

    def stop_children(self):
        for name in ("mqtt-devices", "simulator", "mosquitto", "sluiced"):
            code = self.stop_child(name)
            if name == "sluiced" and code:
                with open(self.log) as f:
                    print(f"lab: sluiced ended with {code}:\n{''.join(f.readlines()[-10:])}", flush=True)

    def keep_log(self):
        """A name that nobody can have put a link under before: this runs as root."""
        fd, path = tempfile.mkstemp(prefix="sluice-lab-", suffix=".log")
        with open(fd, "wb") as kept, open(self.log, "rb") as log:
            shutil.copyfileobj(log, kept)
        print(f"lab: the daemon's log is kept as {path}", flush=True)

    def clean(self, failed):
        self.stop_children()
        for p in self.children.values():
            self.after_end(p.pid)
        self.remove_namespaces()
        if failed and os.path.exists(self.log):
            self.keep_log()
        self.remove_files()
        self.unlock()

    def run(self):
        self.catch_signals()
        self.check_host()
        self.lock()
        failed = True
        try:
            self.clean_leftovers()
            self.check_ports()
            self.make_network()
            status = self.start_gateway()
            if status:
                self.start_broker()
            if not self.stopping:
                self.start_devices()
                self.explain(self.status() or status)
                self.watch()
            failed = False
        finally:
            print("\nlab: stopping", flush=True)
            self.clean(failed)
            print("lab: stopped, nothing else left behind" if failed else "lab: stopped, nothing left behind", flush=True)


def main():
    ap = argparse.ArgumentParser(description="the lab behind make run")
    ap.add_argument("--build", default="build")
    ap.add_argument("--central", metavar="HOST:PORT", default=os.environ.get("CENTRAL") or None)
    args = ap.parse_args()
    try:
        Lab(os.path.join(ROOT, args.build), args.central).run()
    except Refused as e:
        print(f"lab: {e}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
