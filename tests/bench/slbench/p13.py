# SPDX-License-Identifier: Apache-2.0
"""P13: server CPU per GB that a consumer reads, beside Apache Kafka; and what one reader at full speed
costs ingest.

Fetch: Apache Kafka's own ConsumerPerformance reads 1 KB records of both servers in turn; from memory
(sluiced's tail cache, the page cache) and from the disk (the page cache was told to forget the files,
and sluiced's tail cache holds another topic). Ingest: a capture replayed for ever, ingest and writer
on one core, with and without one consumer on the other, which Kafka's threads share with it."""

import contextlib
import time

from . import host, kafka
from .daemon import TOPIC, refused
from .table import Row

BYTES, GB = 1024, 1e9
RECORDS = (600000, 300000)  # full, quick
GOAL, LOST = 1 / 2, 0.10
LINE = 200
PARTS = 8
_WARM = 3  # reads of each topic that a JVM gets before it is measured
MOVING = 32 << 20  # bytes read: the reader is up


def run(ctx):
    return _fetch(ctx) + _along(ctx)


# ---- fetching -----------------------------------------------------------------------------------------


def _fetch(ctx):
    rows = {k: Row("P13", f"fetch, server CPU per GB, 1 KB records, {text}", "s/GB", kafka.NAME, ("<=", GOAL))
            for k, text in (("warm", "from memory"), ("cold", "from the disk"))}
    try:
        with kafka.Apache(ctx, [host.SUT_CPU]) as theirs, \
                kafka.Gateway(ctx, "p13", [host.SUT_CPU], tail_cache=_cache(ctx)) as ours:
            _measure(ctx, ours, theirs, rows)
    except (host.BenchError, OSError) as e:
        for row in rows.values():
            row.cannot(str(e))
    for row in rows.values():
        row.note("ConsumerPerformance at its defaults on one core, the server on the other; sluiced checks the "
                 "checksum of what it reads from the disk, Apache Kafka hands it to sendfile")
    return list(rows.values())


def _cache(ctx):
    """A tail cache that holds one topic and not two."""
    return f"{RECORDS[ctx.quick] * BYTES * 5 // 4 >> 20}MiB"


def _read(ctx, server, topic, n):
    """consume(), and that sluiced took it from where the row says."""
    on_disk = (lambda: server.status()["kafka"]["fetch_from_disk"]) if hasattr(server, "status") else lambda: 0
    before = on_disk()
    got = kafka.consume(ctx, server, topic, n)
    share = (on_disk() - before) / (got["records"] * BYTES)
    if hasattr(server, "status") and (share > 0.05 if topic == "warm" else share < 0.9):
        raise host.BenchError(f"{share * 100:.0f} % of {topic} came from the disk")
    return got


def _measure(ctx, ours, theirs, rows):
    n = RECORDS[ctx.quick]
    for topic in ("cold", "between", "warm"):  # in this order: the last one has the tail cache
        for server in (theirs, ours):
            kafka.fill(ctx, server, topic, n, BYTES)
    for server in (*[theirs] * _WARM, ours):  # discarded
        for topic in rows:
            kafka.consume(ctx, server, topic, n)
    kafka.note_idle(ours, theirs)
    for row in rows.values():
        row.extra["idle"], row.extra["baseline_idle"] = round(ours.idle, 4), round(theirs.idle, 4)
    for i in ctx.rounds():
        for topic, row in rows.items():
            got = []
            for server in (ours, theirs):
                if topic == "cold":
                    kafka.forget(server, topic)
                got.append(_read(ctx, server, topic, n))
            cost = [g["cpu"] / (g["records"] * BYTES / GB) for g in got]
            row.add(*cost)
            for key, g in zip(("", "baseline_"), got):
                row.extra.setdefault(f"{key}mb_s", []).append(round(g["mb_s"]))
            ctx.say(f"P13 {i + 1}/{ctx.runs} {topic}: sluiced {cost[0]:.3f} s/GB at {got[0]['mb_s']:.0f} MB/s, "
                    f"Kafka {cost[1]:.3f} s/GB at {got[1]['mb_s']:.0f} MB/s")


# ---- ingest beside a reader ---------------------------------------------------------------------------


def _along(ctx):
    row = Row("P13", f"UDP ingest with one reader at full speed, {LINE} B", "records/s", "without a reader",
              (">=", 1 - LOST))
    try:
        capture = ctx.capture(16384, LINE)
        for i in ctx.rounds():
            with_reader, alone = _ingest(ctx, capture, True), _ingest(ctx, capture, False)
            row.add(with_reader["rate"], alone["rate"])
            row.extra.setdefault("read_mb_s", []).append(round(with_reader["read"] / 1e6))
            ctx.say(f"P13 {i + 1}/{ctx.runs} along: {with_reader['rate'] / 1e6:.2f} M/s beside a reader of "
                    f"{with_reader['read'] / 1e6:.0f} MB/s, {alone['rate'] / 1e6:.2f} M/s alone")
            row.extra["refused"] = with_reader["refused"]
    except (host.BenchError, OSError) as e:
        row.cannot(str(e))
    row.note("ingest and writer on one core; the reader and, as the scheduler sees fit, Kafka's threads on the other")
    return [row]


def _ingest(ctx, capture, reader):
    """Records/s that become readable in the window, and those that the reader took meanwhile."""
    ctx.need_disk()
    with kafka.Ingest(ctx, "along", f"backend: pcap, file: {capture}, replay: forever",
                      [host.SOURCE_CPU, host.SUT_CPU], ingest=[host.SUT_CPU], writers=[host.SUT_CPU],
                      partitions=PARTS, hugepages=ctx.hugepages) as d:
        with kafka.reading(ctx, d.port, TOPIC) if reader else contextlib.nullcontext() as client:
            if client:  # a JVM's start; while it fetches nothing, nothing is measured
                client.wait_for(lambda: d.status()["kafka"]["fetch_bytes"] > MOVING, 15, "reading")
            time.sleep(ctx.warm)
            before = _now(d)
            time.sleep(ctx.window)
            after = _now(d)
            if client:
                client.need_alive()
        st = d.drained()
        if not refused(st):
            d.stop()
    t = after["t"] - before["t"]
    return {"rate": (after["end"] - before["end"]) / t, "read": (after["read"] - before["read"]) / t,
            "refused": refused(st)}


def _now(d):
    """Taken together: records that can be read, bytes that were."""
    end = sum(kafka.ends(d.port, TOPIC, PARTS))
    return {"end": end, "read": d.status()["kafka"]["fetch_bytes"], "t": time.monotonic()}
