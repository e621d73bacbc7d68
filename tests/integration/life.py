# SPDX-License-Identifier: Apache-2.0
"""The life of a daemon: drains on SIGTERM, refuses what it must, sleeps when idle, has neighbours."""

import os
import time

from sltest import RATE_DIV, SANITIZED, SLOW, Checks, Scope, need_root, wait_for
from sltest.base import dead_runtime_folders
from sltest.batch import read_topic
from sltest.daemon import SLUICED, Daemon, listener, topic
from sltest.load import Sender
from sltest.netns import Pair

DRAIN_BOUND_S = 10
IDLE_LIMIT = 0.05  # of a core; the goal is 0.005


def make(scope, pair, name="gw", backend="af_packet", **kw):
    return Daemon(scope, name, ports=[pair.port(backend)],
                  listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                  topics=[topic("logs", 2, compression_type="uncompressed")], **kw)


def drain(scope, check, pair):
    """SIGTERM in the middle of a stream: everything counted as appended is in the files."""
    gw = make(scope, pair, "drain")
    gw.start()
    sender = Sender(scope, pair, 5514, rate=20000 // RATE_DIV, size=200)
    wait_for("records", lambda: gw.records("logs") > 2000 // RATE_DIV)
    code, seconds = gw.stop()
    sender.stop()
    check.equal(code, 0, f"SIGTERM under load: exit 0 after {seconds:.2f} s")
    check.that(seconds < (DRAIN_BOUND_S + 2) * SLOW, "within its bound")
    stored = sum(len(p) for p in read_topic(gw.log_dir, "logs").values())
    gw.start()
    led = gw.wait_settled()
    check.equal((led["appended"], led["lost_at_crash"]), (stored, 0), f"{stored} appended, all of them in the files")
    check.equal(gw.stop()[0], 0, "started again and stopped")
    sigint = make(scope, pair, "sigint")
    sigint.start()
    sigint.process.send_signal(2)
    check.equal(sigint.process.wait(15 * SLOW), 0, "SIGINT stops it cleanly too")


def refusals(scope, check, pair):
    first = make(scope, pair, "first")
    first.start()
    second = make(scope, pair, "second", data=first.data)
    second.launch()
    code = second.process.wait(30 * SLOW)
    check.equal(code, 1, "a second daemon on the same data directory ends with 1")
    check.that(first.data in second.log_text() and "lock" in second.log_text().lower(), "and names the directory and the lock")
    check.that(first.ready(), "the first one does not notice")
    check.equal(first.stop()[0], 0, "first one stopped")

    version_file = os.path.join(first.data, "state", "format")
    with open(version_file) as f:
        version = f.read()
    with open(version_file, "w") as f:
        f.write(version.replace("1", "999", 1))
    first.launch()
    check.equal(first.process.wait(30 * SLOW), 1, "a data directory of a newer format version is refused")
    check.that("999" in first.log_text().splitlines()[-1] or "newer" in first.log_text().lower(), "and says so")
    with open(version_file, "w") as f:
        f.write(version)
    first.start()
    check.equal(first.stop()[0], 0, "the right version starts again: nothing was changed")

    bad = scope.path("bad.yaml")
    with open(bad, "w") as f:
        f.write("gateway: {id: x, colour: blue}\n")
    r = scope.run([SLUICED, "-c", bad], check=False)
    check.equal(r.returncode, 2, "a mistake in the config: exit 2")
    check.that(f"{bad}:1" in r.stderr and "colour" in r.stderr, "with file, line and key")
    r = scope.run([SLUICED, "--version"])
    check.that(r.stdout.startswith("sluiced "), f"--version: {r.stdout.strip()}")


def idle(scope, check, pair):
    gw = make(scope, pair, "idle", backend="af_xdp")
    gw.start()
    wait_for("a quiet start", lambda: gw.status()["uptime_s"] >= 3)
    cpu, began = gw.cpu_seconds(), time.monotonic()
    time.sleep(5)  # the measurement itself
    share = (gw.cpu_seconds() - cpu) / (time.monotonic() - began)
    check.that(SANITIZED or share <= IDLE_LIMIT, f"idle CPU {share * 100:.2f} % of a core over 5 s (goal 0.5 %)")
    check.equal(gw.stop()[0], 0, "idle: clean stop")


def neighbours(scope, check):
    """Two daemons side by side, one of them killed: neither disturbs the other, nothing is left."""
    before = dead_runtime_folders()
    pairs = [Pair(scope, f"nb{i}") for i in range(2)]
    gws = [make(scope, p, f"side{i}", backend="af_xdp") for i, p in enumerate(pairs)]
    for gw in gws:
        gw.start()
    count = 2000 // RATE_DIV
    for s in [Sender(scope, p, 5514, rate=2000, count=count) for p in pairs]:
        s.wait()
    for i, gw in enumerate(gws):
        gw.wait_records("logs", count)
        check.equal(gw.records("logs"), count, f"side by side: daemon {i} has its own {count} records")
    gws[0].kill()
    Sender(scope, pairs[1], 5514, rate=2000, count=count).wait()
    gws[1].wait_records("logs", 2 * count)
    check.that(True, "one killed, the other goes on")
    gws[0].start()
    check.equal(gws[0].wait_settled()["difference"], 0, "the killed one starts again over its own leftovers")
    for i, gw in enumerate(gws):
        check.equal(gw.stop()[0], 0, f"daemon {i} stopped")
        check.that(not pairs[i].xdp_attached(), f"daemon {i}: no XDP program stays attached")
        check.equal(os.listdir(gw.stripes), [], f"daemon {i}: no stripe file stays")
    check.equal(dead_runtime_folders() - before, set(), "no folder stays in /run/dpdk")


def main():
    need_root()
    check = Checks()
    with Scope("life") as scope:
        pair = Pair(scope, "life")
        drain(scope, check, pair)
        refusals(scope, check, pair)
        idle(scope, check, pair)
        neighbours(scope, check)
    check.finish()


if __name__ == "__main__":
    main()
