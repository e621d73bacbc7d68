# SPDX-License-Identifier: Apache-2.0
"""The life of a daemon: drains on SIGTERM, says the same everywhere, sleeps when idle, has neighbours,
takes hugepages and gives them back. What it refuses: refusals.py."""

import json
import os
import time

from sltest import RATE_DIV, SANITIZED, SLOW, Checks, Scope, metrics, need_root, say, wait_for
from sltest.base import dead_runtime_folders
from sltest.batch import read_topic
from sltest.daemon import Daemon, listener, topic
from sltest.load import Sender
from sltest.netns import Pair

DRAIN_BOUND_S = 10
IDLE_LIMIT = 0.05  # of a core; the goal is 0.005
CLOCKS = ("uptime_s", "rates")  # of the status document: what moves without traffic
NR_HUGEPAGES = "/proc/sys/vm/nr_hugepages"
HUGE_MIB = 128


def make(scope, pair, name="gw", backend="af_packet", **kw):
    return Daemon(scope, name, ports=[pair.port(backend)],
                  listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                  topics=[topic("logs", 2, compression_type="uncompressed")], **kw)


def rates(check, gw, sent_per_s):
    """What goes on now, in the document and in the text for people."""
    def per_s(key):
        return gw.status().get("rates", {}).get(key, 0)

    wait_for("a rate", lambda: per_s("appended") > sent_per_s / 4)
    check.that(per_s("rx") <= sent_per_s * 2, f"{per_s('rx'):.0f} frames/s of {sent_per_s} sent")
    check.equal(gw.status()["rates"]["kafka"], 0, "no producer, no rate")
    text = gw.cli("status", "--socket", gw.socket).stdout
    check.that("per second, over the last" in text and "records appended" in text, "sluice status shows rates")


def drain(scope, check, pair):
    """SIGTERM in the middle of a stream: everything counted as appended is in the files."""
    gw = make(scope, pair, "drain")
    gw.start()
    sender = Sender(scope, pair, 5514, rate=20000 // RATE_DIV, size=200)
    wait_for("records", lambda: gw.records("logs") > 2000 // RATE_DIV)
    rates(check, gw, 20000 // RATE_DIV)
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


def metrics_agree(check, gw):
    """What a scraper reads, strictly parsed, beside what the operator's tool says."""
    code, text = gw.http("/metrics")
    check.equal(code, 200, "GET /metrics")
    try:
        m = metrics.parse(text)
    except metrics.Malformed as e:
        check.that(False, f"/metrics: {e}")
        return
    check.that(len(m) > 20, f"/metrics is well-formed: {len(m)} families, each once, HELP and TYPE first")
    r = gw.cli("status", "--json", "--socket", gw.socket)
    check.equal((r.returncode, r.stderr), (0, ""), "sluice status --json")
    status = json.loads(r.stdout)
    led = status["ledger"]
    got = {"wire": metrics.value(m, "sluice_frames_wire_total"),
           "lost_by_device": metrics.value(m, "sluice_frames_lost_by_device_total"),
           "rx": metrics.value(m, "sluice_frames_received_total"),
           "in_flight": metrics.value(m, "sluice_records_in_flight"),
           "lost_at_crash": metrics.value(m, "sluice_records_lost_at_crash_total"),
           "difference": metrics.value(m, "sluice_ledger_difference"),
           "appended": metrics.value(m, "sluice_records_appended_total", origin="ingest"),
           "append_failed": {r: metrics.value(m, "sluice_records_append_failed_total", origin="ingest", reason=r)
                             for r in led["append_failed"]}}
    check.equal(got, {k: led[k] for k in got}, "the ledger's books are the same")
    rows = {}
    for labels, n in m["sluice_frames_total"].items():
        row = dict(labels)
        rows[row["bucket"], row["reason"]] = n
    want = {}
    for k, v in led.items():
        if k in ("bad", "fragment", "refused", "control"):
            want.update({(k, reason): n for reason, n in v.items()})
        elif k in ("other", "duplicate", "limited", "ring_full", "accepted"):
            want[k, k] = v
    check.equal(rows, want, f"and every of {len(rows)} frame rows")
    ends = {(t["name"], str(p["id"])): p["end"] for t in status["topics"] for p in t["partitions"]}
    check.equal({(dict(k)["topic"], dict(k)["partition"]): v
                 for k, v in m["kafka_topic_partition_current_offset"].items()}, ends, "and the ends of the partitions")


def says(scope, check, pair):
    """The admin port and the control socket say the same, once traffic has stopped."""
    gw = make(scope, pair, "says")
    gw.start()
    count = 3000 // RATE_DIV
    Sender(scope, pair, 5514, rate=3000, count=count).wait()
    Sender(scope, pair, 5999, rate=1000, count=30).wait()  # a port without listener: other
    gw.wait_records("logs", count)
    wait_for("the ledger to take the rest", lambda: gw.ledger()["other"] >= 30)
    gw.wait_settled()
    wait_for("rates to fall to nothing", lambda: gw.status().get("rates", {}).get("rx") == 0)
    check.equal(gw.status()["notes"]["clock_steps"], 0, "no step of the clock")
    check.equal(gw.http("/readyz")[0], 200, "GET /readyz")
    metrics_agree(check, gw)

    def without_clocks(status):
        status["store"].pop("fs_free_bytes")  # everybody's
        return {k: v for k, v in status.items() if k not in CLOCKS}

    code, body = gw.http("/api/v1/status")
    check.equal(code, 200, "GET /api/v1/status")
    check.equal(without_clocks(json.loads(body)), without_clocks(gw.status()), "it is the control socket's document")
    check.equal(gw.http("/api/v1/nothing")[0], 404, "a path that is not there: 404")
    check.equal(gw.stop()[0], 0, "says: clean stop")


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


def pages():
    """(hugepages, free ones) of the default size, and that size in KiB."""
    with open("/proc/meminfo") as f:
        rows = dict(line.split(":", 1) for line in f)
    return int(rows["HugePages_Total"]), int(rows["HugePages_Free"]), int(rows["Hugepagesize"].split()[0])


def used_pages():
    total, free, _ = pages()
    return total - free


def hugetlb_files():
    with open("/proc/mounts") as f:
        mounts = [line.split()[1] for line in f if line.split()[2] == "hugetlbfs"]
    return {os.path.join(m, name) for m in mounts for name in os.listdir(m)}


def set_pages(n):
    with open(NR_HUGEPAGES, "w") as f:
        f.write(str(n))


def need_pages(scope, count):
    """Sees to it that so many are free, for the time of the test; False and why if that cannot be."""
    total, free, _ = pages()
    if free >= count:
        return True
    try:
        scope.undo(set_pages, total)
        set_pages(total + count - free)
    except OSError as e:
        say(f"skipped part: hugepages: {NR_HUGEPAGES}: {e.strerror}")
        return False
    if pages()[1] < count:
        say(f"skipped part: hugepages: the kernel finds only {pages()[1]} of {count}")
        return False
    return True


def hugepages(scope, check, pair):
    """`required` without enough of them is an error; with them it runs beside a daemon without any."""
    _, free, size_kb = pages()
    too_much = f"{free * size_kb // 1024 + HUGE_MIB}MiB"
    gw = make(scope, pair, "wants", dataplane={"hugepages": "required", "memory": too_much})
    gw.launch()
    check.equal(gw.process.wait(30 * SLOW), 1, "hugepages: required, and too few: exit 1")
    last = gw.log_text().strip().splitlines()[-1]
    check.that("hugepages is required" in last and "vm.nr_hugepages" in last, f"and says so: {last}")
    if not need_pages(scope, HUGE_MIB * 1024 // size_kb):
        return
    before, folders = hugetlb_files(), dead_runtime_folders()
    used_before = used_pages()
    other = Pair(scope, "huge")
    has, hasnt = (make(scope, p, f"huge-{h}", dataplane={"hugepages": h, "memory": f"{HUGE_MIB}MiB"})
                  for p, h in ((pair, "required"), (other, "off")))
    has.start()
    in_use = used_pages() - used_before
    check.that(in_use * size_kb >= HUGE_MIB * 1024, f"hugepages: required: {in_use} in use")
    hasnt.start()
    check.equal(used_pages() - used_before, in_use, "a daemon with `off` beside it takes none")
    count = 1000 // RATE_DIV
    for gw, p in ((has, pair), (hasnt, other)):
        Sender(scope, p, 5514, rate=2000, count=count).wait()
        gw.wait_records("logs", count)
    for gw in (has, hasnt):
        check.equal((gw.wait_settled()["accepted"], gw.stop()[0]), (count, 0), f"{gw.name}: {count} accepted, clean stop")
    wait_for("the kernel to take the hugepages back", lambda: used_pages() <= used_before)
    check.equal(hugetlb_files() - before, set(), "nothing in hugetlbfs")
    check.equal(dead_runtime_folders() - folders, set(), "nothing in /run/dpdk")


def main():
    need_root()
    check = Checks()
    with Scope("life") as scope:
        pair = Pair(scope, "life")
        drain(scope, check, pair)
        says(scope, check, pair)
        idle(scope, check, pair)
        neighbours(scope, check)
        hugepages(scope, check, pair)
    check.finish()


if __name__ == "__main__":
    main()
