# SPDX-License-Identifier: Apache-2.0
"""P5: server CPU per million records through the Kafka port, beside Apache Kafka, and what native UDP
takes in beside it.

Both servers are up for the whole row and take turns; Apache Kafka's own ProducerPerformance is the
client. Counted is the server process from before the client starts until every record can be read
and, for sluiced, is on stable storage; what it uses when idle is taken off."""

from . import host, kafka, p1
from .capacity import sluiced_run
from .table import Row

GOAL, UDP_GOAL = 1 / 5, 10
CASES = ((0, 100), (1, 100), (0, 1024), (1, 1024))  # acks, bytes
_RECORDS = {100: (2000000, 1000000), 1024: (400000, 250000)}  # full, quick
_WARM = 3  # runs that a JVM gets before the round that is discarded: its first ones cost twice as much


def records(ctx, size):
    return _RECORDS[size][ctx.quick]


def _topic(acks, size):
    return f"p5-{acks}-{size}"


def _size(size):
    return "1 KB" if size == 1024 else f"{size} B"


def run(ctx):
    rows = {c: Row("P5", f"server CPU per million records, acks={c[0]}, {_size(c[1])}", "s", kafka.NAME, ("<=", GOAL))
            for c in CASES}
    udp = Row("P5", f"native UDP syslog, one core, {p1.BYTES} B, beside the same producer's best rate", "records/s",
              f"{kafka.NAME}, 100 B", (">=", UDP_GOAL))
    try:
        with kafka.Apache(ctx, [host.SUT_CPU]) as theirs, kafka.Gateway(ctx, "p5", [host.SUT_CPU]) as ours:
            _measure(ctx, ours, theirs, rows, udp)
    except (host.BenchError, OSError) as e:
        for row in (*rows.values(), udp):
            row.cannot(str(e))
        return [*rows.values(), udp]
    _udp(ctx, udp)
    for row in rows.values():
        row.note(f"ProducerPerformance {' '.join(kafka.PRODUCER)}, {kafka.PARTITIONS} partitions, client on one "
                 "core, server on the other; acks=1: sluiced says `logged` and syncs within a second, Apache Kafka "
                 "at its defaults never does")
    return [*rows.values(), udp]


def _measure(ctx, ours, theirs, rows, udp):
    for i in range(_WARM):
        kafka.fill(ctx, theirs, _topic(i % 2, 100), records(ctx, 100), 100, i % 2)
    for server in (theirs, ours):
        for acks, size in CASES:
            kafka.produce(ctx, server, _topic(acks, size), records(ctx, size), size, acks)
    kafka.note_idle(ours, theirs)
    for row in rows.values():
        row.extra["idle"], row.extra["baseline_idle"] = round(ours.idle, 4), round(theirs.idle, 4)
    for i in ctx.rounds():
        best = 0
        for case, row in rows.items():
            acks, size = case
            n = records(ctx, size)
            got = [kafka.produce(ctx, s, _topic(acks, size), n, size, acks) for s in (ours, theirs)]
            cost = [g["cpu"] * 1e6 / n for g in got]
            row.add(*cost)
            for key, g in zip(("", "baseline_"), got):
                row.extra.setdefault(f"{key}rate", []).append(round(g["rate"]))
                row.extra.setdefault(f"{key}cpu", []).append(round(g["busy"], 3))
            best = max(best, got[1]["rate"])
            ctx.say(f"P5 {i + 1}/{ctx.runs} acks={acks} {size} B: sluiced {cost[0]:.3f} s/M at "
                    f"{got[0]['rate'] / 1e6:.3f} M/s, Kafka {cost[1]:.3f} s/M at {got[1]['rate'] / 1e6:.3f} M/s")
        udp.base.append(best)


def _udp(ctx, row):
    """P1's figure of this run, or the same measurement in short."""
    runs = ctx.shared.get("one_core")
    if runs:
        row.note("sluiced's figure is P1's")
    else:
        try:
            runs = [sluiced_run(ctx, ctx.capture(16384, p1.BYTES), p1.BYTES, [host.SUT_CPU]) for _ in range(ctx.runs)]
        except host.BenchError as e:
            row.cannot(f"sluiced: {e}")
            return
    row.values += [r["rate"] for r in runs]
    row.note("Apache Kafka's records are half as long here, in its favour; its client has a core to itself")
