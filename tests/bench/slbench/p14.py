# SPDX-License-Identifier: Apache-2.0
"""P14: how fast the uplink catches up, records per second of a backlog to one Apache Kafka, beside a bare
librdkafka transactional producer that sends such records from memory.

The backlog is made once, by replaying a capture; each round is another gateway to the centre (another
id, no state of the uplink), so it starts at the log's begin. Both senders have the source's core to
themselves, the centre the other."""

import glob
import os
import subprocess
import time

from . import host, kafka
from .daemon import TOPIC, Sluiced
from .table import Row

BYTES, PARTS = 200, kafka.PARTITIONS
GOAL = 0.8
RECORDS = (2000000, 800000)  # full, quick; the backlog has a little more
COMMIT_MS, COMMIT_BYTES, WINDOW = 250, 8 << 20, 2000
# The uplink's own settings of the library, to both.
SETTINGS = ("enable.idempotence=true", "acks=all", "linger.ms=1", "max.in.flight.requests.per.connection=2",
            "transaction.timeout.ms=60000", "socket.timeout.ms=10000", "queue.buffering.max.messages=2000")
SEND_S = 60

_UPLINK = """uplink:
  bootstrap: 127.0.0.1:{port}
  topics: [{topic}]
  destination: '{{gateway}}.{{topic}}'
  commit: {{interval: {ms}ms, bytes: {mib}MiB}}
  window: {window}
"""


class Backlog(Sluiced):
    """The data directory with the records, taken in once."""

    def __init__(self, ctx, **kw):
        super().__init__(ctx, "p14", kw.pop("port", ""), kw.pop("cpus"), partitions=PARTS, hugepages="off", keep=True,
                         **kw)


class Gateway(Backlog):
    """sluiced with that directory and an uplink, as a gateway that the centre has never seen."""

    def __init__(self, ctx, centre, name):
        super().__init__(ctx, cpus=[host.SOURCE_CPU])
        self.text = self.text[:self.text.index("ports:")].replace("id: bench", f"id: {name}")
        self.text += (f"topics:\n  - {{name: {TOPIC}, partitions: {PARTS}, config: {{compression.type: producer}}}}\n"
                      f"admin:\n  listen: off\n  socket: {self.socket}\n")
        self.text += _UPLINK.format(port=centre.port, topic=TOPIC, ms=COMMIT_MS, mib=COMMIT_BYTES >> 20, window=WINDOW)
        for path in glob.glob(f"{self.data}/state/uplink*"):
            os.unlink(path)
        self.there = f"{name}.{TOPIC}"


def run(ctx):
    row = Row("P14", f"uplink catch-up of a backlog, {BYTES} B, keys, headers", "records/s",
              "bare librdkafka, transactional, from memory", (">=", GOAL))
    data = os.path.join(ctx.work, "p14.data")
    try:
        host.drop_dir(data)
        n = _fill(ctx)
        with kafka.Apache(ctx, [host.SUT_CPU]) as centre:
            _measure(ctx, centre, n, row)
    except (host.BenchError, OSError) as e:
        row.cannot(str(e))
    finally:
        host.drop_dir(data)
    row.note(f"{PARTS} partitions, transactions of {COMMIT_MS} ms or {COMMIT_BYTES >> 20} MiB, {' '.join(SETTINGS)}; "
             f"{kafka.NAME} of one node; from the first commit to the last")
    return [row]


def _fill(ctx):
    """Takes the backlog in; returns how many records it has."""
    want = RECORDS[ctx.quick]
    with Backlog(ctx, cpus=[host.SOURCE_CPU, host.SUT_CPU],
                 port=f"backend: pcap, file: {ctx.capture(16384, BYTES)}, replay: forever") as d:
        end = time.monotonic() + 30
        while d.status()["ledger"]["appended"] < want:
            if time.monotonic() > end:
                raise host.BenchError("the backlog was not taken in within 30 s")
            time.sleep(0.005)
        d.stop()
        return d.verify(BYTES)["records"]


def _measure(ctx, centre, n, row):
    for i in range(2):  # discarded
        _theirs(ctx, centre, n // 4, f"warm-{i}")
    for i in ctx.rounds():
        got = _ours(ctx, centre, n, f"gw-{i}"), _theirs(ctx, centre, n, f"bare-{i}")
        row.add(*(g["rate"] for g in got))
        for key, g in zip(("", "baseline_"), got):
            row.extra.setdefault(f"{key}cpu_s_per_million", []).append(round(g["cpu"] * 1e6 / n, 2))
        text = [f"{g['rate'] / 1e3:.0f} k/s, {g['cpu'] * 1e6 / n:.2f} s CPU per million" for g in got]
        ctx.say(f"P14 {i + 1}/{ctx.runs}: sluiced {text[0]}; bare {text[1]}")


def slope(points):
    """Records/s from the first point at which there are some to the first that has them all."""
    moved = [p for p in points if p[1] > 0]
    last = next((p for p in moved if p[1] == moved[-1][1]), None)
    if last is None or last is moved[0]:
        raise host.BenchError("it was over too soon to be measured")
    return (last[1] - moved[0][1]) / (last[0] - moved[0][0])


def _ours(ctx, centre, n, name):
    with Gateway(ctx, centre, name) as d:
        points, end = [], time.monotonic() + SEND_S
        while not points or points[-1][1] < n:
            st = d.status()
            points.append((time.monotonic(), st["log"]["forwarded"]))
            if time.monotonic() > end or st["uplink"]["state"] == "alarm":
                raise host.BenchError(f"{points[-1][1]} of {n} forwarded; {st['uplink']}; {d.proc.tail()}")
            time.sleep(0.05)
        cpu = kafka.process_cpu(d.proc.pid)
        book = d.status()["log"]
        if book["forwarded"] != n or book["dead_letter"] or book["difference"]:
            raise host.BenchError(f"{n} records were to be forwarded: {book}")
        d.stop()
        there = kafka.committed(centre, d.there)
        if there != n:
            raise host.BenchError(f"{there} of {n} records are at the centre")
        kafka.delete(centre, d.there)  # what was measured needs no room on the disk
    return {"rate": slope(points), "cpu": cpu}


def _theirs(ctx, centre, n, topic):
    argv = [ctx.tools["rdkafka_txn"], f"127.0.0.1:{centre.port}", topic, PARTS, n, COMMIT_MS, COMMIT_BYTES, WINDOW,
            ctx.lines_file, *SETTINGS]
    before = os.times()
    try:
        out = host.json_of(host.run(*host.placed(argv, cpus=[host.SOURCE_CPU]), timeout=SEND_S))
    except subprocess.TimeoutExpired:
        raise host.BenchError(f"rdkafka_txn did not end within {SEND_S} s") from None
    after = os.times()
    kafka.delete(centre, topic)
    cpu = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return {"rate": slope(out["commits"]), "cpu": cpu}
