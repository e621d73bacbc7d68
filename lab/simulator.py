#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab's devices: a small plant whose machines log and measure, over UDP from their own addresses.

    simulator.py --to ADDRESS [--rate N] [--seed N]

Started inside the namespace of the devices. Hosts send syslog (some RFC 5424, some RFC 3164),
sensors send JSON telemetry that drifts as real values do. Sends in small steps and sleeps between
them; catches up by at most one step if it was held up. Ends with SIGTERM, SIGINT or its parent.
"""

import argparse
import ctypes
import json
import math
import random
import signal
import socket
import sys
import time
from datetime import datetime, timezone

STEP_S = 0.02
SYSLOG_PORT, TELEMETRY_PORT = 5514, 5600
SYSLOG_SHARE = 0.4
PR_SET_PDEATHSIG = 1

# address, name, what runs there, RFC
HOSTS = (
    ("10.77.0.10", "plc-press-01", "plc", 3164), ("10.77.0.11", "plc-press-02", "plc", 3164),
    ("10.77.0.12", "plc-weld-01", "plc", 3164), ("10.77.0.13", "robot-weld-01", "robot", 5424),
    ("10.77.0.14", "robot-weld-02", "robot", 5424), ("10.77.0.15", "cam-dock-01", "camera", 5424),
    ("10.77.0.16", "fw-edge", "firewall", 3164), ("10.77.0.17", "sw-hall-a", "switch", 3164),
    ("10.77.0.18", "sw-hall-b", "switch", 3164), ("10.77.0.19", "hmi-line-1", "linux", 5424),
    ("10.77.0.20", "hmi-line-2", "linux", 5424), ("10.77.0.21", "ups-server-room", "ups", 3164),
)
# first address, how many, name, kind, unit, mean, daily swing, noise
SENSORS = (
    ("10.77.0.24", 6, "oven", "temperature", "C", 184.0, 6.0, 0.35),
    ("10.77.0.30", 4, "hall", "humidity", "%", 47.0, 9.0, 0.4),
    ("10.77.0.34", 4, "motor", "vibration", "mm/s", 2.1, 0.4, 0.15),
    ("10.77.0.38", 3, "meter", "power", "kW", 61.0, 22.0, 1.1),
)


def plc(r):
    return "cycle", r.choice((
        f"cycle {r.randint(10000, 99999)} done in {r.uniform(3.8, 4.6):.2f} s, force {r.uniform(412, 431):.1f} kN",
        f"part {r.getrandbits(28):07x} accepted", f"part {r.getrandbits(28):07x} accepted",
        f"hydraulic oil {r.uniform(41, 58):.1f} C", "light curtain interrupted, hold")), 6


def robot(r):
    return "rc9", r.choice((
        f"program WELD_{r.randint(1, 9):02d} step {r.randint(1, 240)} ok",
        f"wire feed {r.uniform(7.8, 9.1):.2f} m/min, current {r.uniform(180, 214):.0f} A",
        f"joint {r.randint(1, 6)} torque {r.uniform(12, 88):.1f} Nm")), 6


def camera(r):
    return "vision", f"frame {r.randint(10 ** 6, 10 ** 7)} plate {'OK' if r.random() < .97 else 'UNREADABLE'} " \
                     f"score {r.uniform(.81, .99):.3f}", 6


def firewall(r):
    return "kernel", (f"DROP IN=wan0 OUT= SRC=198.51.100.{r.randint(1, 254)} DST=192.0.2.17 LEN={r.randint(40, 60)} "
                      f"TTL={r.randint(44, 61)} PROTO=TCP SPT={r.randint(1024, 65535)} "
                      f"DPT={r.choice((22, 23, 445, 3389, 5900))} SYN"), 4


def switch(r):
    return "link", f"port {r.randint(1, 24)} " + r.choice((
        "rx errors 0, utilisation {:.1f} %".format(r.uniform(2, 44)), "lldp neighbour refreshed",
        "link up 1000 Mb/s full duplex")), 6


def linux(r):
    return r.choice(("sshd", "systemd", "hmi")), r.choice((
        f"Accepted publickey for operator from 10.77.0.{r.randint(10, 40)} port {r.randint(30000, 60000)} ssh2",
        "Started hmi-refresh.service.", f"screen LINE{r.randint(1, 2)} rendered in {r.randint(8, 31)} ms",
        f"operator {r.choice(('amira', 'jens', 'lu', 'petra'))} acknowledged alarm {r.randint(100, 999)}")), 6


def ups(r):
    return "upsmon", f"load {r.uniform(31, 39):.0f} %, battery {r.uniform(97, 100):.0f} %, " \
                     f"input {r.uniform(228, 233):.1f} V", 5


MESSAGES = {"plc": plc, "robot": robot, "camera": camera, "firewall": firewall, "switch": switch, "linux": linux,
            "ups": ups}


class Host:
    def __init__(self, r, address, name, kind, rfc):
        self.r, self.name, self.make, self.rfc = r, name, MESSAGES[kind], rfc
        self.pid = r.randint(300, 4000)
        self.socket = bound(address)
        self.port = SYSLOG_PORT

    def message(self, now):
        app, text, severity = self.make(self.r)
        pri = 16 * 8 + severity  # local0
        if self.rfc == 5424:
            stamp = datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="milliseconds")
            return f"<{pri}>1 {stamp} {self.name} {app} {self.pid} - - {text}".encode()
        t = time.localtime(now)
        return f"<{pri}>{time.strftime('%b', t)} {t.tm_mday:2d} {time.strftime('%H:%M:%S', t)} " \
               f"{self.name} {app}[{self.pid}]: {text}".encode()


class Sensor:
    def __init__(self, r, address, name, kind, unit, mean, swing, noise):
        self.r, self.name, self.kind, self.unit = r, name, kind, unit
        self.mean, self.swing, self.noise, self.drift, self.n = mean, swing, noise, 0.0, 0
        self.socket = bound(address)
        self.port = TELEMETRY_PORT

    def message(self, now):
        self.n += 1
        self.drift = 0.98 * self.drift + self.r.gauss(0, self.noise * 0.2)
        value = self.mean + self.swing * math.sin(2 * math.pi * now / 86400) + self.drift + self.r.gauss(0, self.noise)
        return json.dumps({"device": self.name, "n": self.n, "ts": int(now * 1000), self.kind: round(value, 3),
                           "unit": self.unit}, separators=(",", ":")).encode()


def bound(address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 0))
    return s


def devices(r):
    hosts = [Host(r, *row) for row in HOSTS]
    sensors = []
    for first, count, name, *rest in SENSORS:
        head, last = first.rsplit(".", 1)
        sensors += [Sensor(r, f"{head}.{int(last) + i}", f"{name}-{i + 1:02d}", *rest) for i in range(count)]
    return hosts, sensors


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--to", required=True)
    ap.add_argument("--rate", type=int, default=2000)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    for sig in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, lambda *_: sys.exit(0))
    r = random.Random(args.seed)
    hosts, sensors = devices(r)
    sent, due, last = 0, 0.0, time.monotonic()
    while True:
        time.sleep(STEP_S)
        now = time.monotonic()
        due = min(due + (now - last) * args.rate, 2 * STEP_S * args.rate)
        last, wall = now, time.time()
        while due >= 1:
            who = r.choice(hosts if r.random() < SYSLOG_SHARE else sensors)
            try:
                who.socket.sendto(who.message(wall), (args.to, who.port))
                sent += 1
            except OSError:
                pass  # the link is going away: the lab is being cleaned up
            due -= 1


if __name__ == "__main__":
    main()
