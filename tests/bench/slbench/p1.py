# SPDX-License-Identifier: Apache-2.0
"""P1: UDP syslog to what can be read back, records per second on one core, 200 B.

sluiced: a pcap port replaying for ever, ingest, writer and everything else of the process on one
core; counted in the segments after a clean stop, every CRC checked, by the records' own times.
rsyslog, syslog-ng: one core, loopback, fed by UDP segmentation offload from the other core at
several rates; their best rate of lines that arrive in the file, however much they lose.
"""

import time

from . import host
from .capacity import fio_run, sluiced_run
from .table import Row

BYTES = 200
OFFERED = (0, 700000, 1200000)  # datagrams/s; 0: as fast as the source goes
LINE = BYTES + 1


def peer_run(ctx, start, seconds, skip, rate):
    """One run of a peer on loopback. Returns lines/s while the source sends, and the loss."""
    with host.Loopback() as lo, start(lo.name) as r:
        argv = [ctx.tools["udp_gso_send"], "127.0.0.1", 5514, ctx.lines_file, BYTES, skip + seconds + 0.4, rate]
        with host.Proc(argv, f"{ctx.work}/gso.log", cpus=[host.SOURCE_CPU], netns=lo.name) as g:
            time.sleep(skip)
            s0, c0, t0 = r.size(), r.proc.cpu()["total"], time.monotonic()
            time.sleep(seconds)
            s1, c1, t1 = r.size(), r.proc.cpu()["total"], time.monotonic()
            g.wait(10)
            sent = host.json_of(g.tail())
        lines = r.finish()
    if lines == 0:
        raise host.BenchError(f"{r.name} wrote nothing: {r.proc.tail()}")
    return {"rate": (s1 - s0) / LINE / (t1 - t0), "cpu": (c1 - c0) / (t1 - t0), "sent": sent["sent"], "lines": lines,
            "lost": 1 - lines / sent["sent"], "offered": sent["sent"] / sent["seconds"]}


def _peers(ctx):
    return {"rsyslog": lambda ns: ctx.peers.rsyslog(ns, "127.0.0.1", 5514),
            "syslog-ng": lambda ns: ctx.peers.syslog_ng(ns, "127.0.0.1", 5514)}


def zero_loss(ctx, start, top):
    """The highest of a few rates at which not one line is missing, in a run of its own; or 0."""
    for share in (1.0, 0.92, 0.84, 0.76, 0.66, 0.55, 0.42, 0.3):
        if peer_run(ctx, start, 1.2, 0.3, int(top * share))["lost"] == 0:
            return top * share
    return 0


def rows():
    return {name: Row("P1", "UDP syslog to verified segment, one core, 200 B", "records/s",
                      f"{name}, UDP to file, one core", (">=", goal))
            for name, goal in (("rsyslog", 25), ("syslog-ng", 15))}


def run(ctx):
    table = rows()
    _measure(ctx, table)
    return list(table.values())


def _measure(ctx, table):
    peers, offered = _peers(ctx), {}
    for name, start in peers.items():
        try:  # which rate suits it best: full speed, or one that spares it the dropping
            tries = {r: peer_run(ctx, start, 1.0, 0.8, r)["rate"] for r in OFFERED[:2 if ctx.quick else 3]}
            offered[name] = max(tries, key=tries.get)
            table[name].note(f"source: GSO, {'full speed' if not offered[name] else f'{offered[name]}/s offered'}, "
                             f"the best of {len(tries)}")
        except host.BenchError as e:
            table[name].cannot(str(e))
    for i in ctx.rounds():
        try:
            s = sluiced_run(ctx, ctx.capture(16384, BYTES), BYTES, [host.SUT_CPU])
            if ctx.wants("P4"):  # the same measurement: fio stands beside it here, interleaved
                s["fio"] = fio_run(ctx)
            ctx.shared.setdefault("one_core", []).append(s)
        except host.BenchError as e:
            for row in table.values():
                row.cannot(f"sluiced: {e}")
            s = None
        for name, start in peers.items():
            row = table[name]
            if name not in offered:
                continue
            p = peer_run(ctx, start, ctx.window, 1.0, offered[name])
            row.base.append(p["rate"])
            row.extra.setdefault("baseline_cpu", []).append(round(p["cpu"], 3))
            if s:
                row.values.append(s["rate"])
                row.extra.setdefault("cpu", []).append(round(s["cpu"], 3))
                row.extra["refused"] = s["refused"]
            ctx.say(f"P1 {i + 1}/{ctx.runs}: sluiced {s['rate'] / 1e6 if s else 0:.2f} M/s, "
                    f"{name} {p['rate'] / 1e6:.3f} M/s ({p['lost'] * 100:.0f} % of what was offered lost)")
    for name in offered if not ctx.quick else ():
        top = max(table[name].base)
        table[name].extra["baseline_zero_loss"] = round(zero_loss(ctx, peers[name], top))
        table[name].note("the baseline's value is what it delivers with loss allowed; without any loss: "
                         f"{table[name].extra['baseline_zero_loss']} lines/s")
    runs = ctx.shared.get("one_core", [])
    if runs:
        _judge_loss(table, runs)


def _judge_loss(table, runs):
    lost = {k: v for s in runs for k, v in s["refused"].items()}
    mismatch = [s for s in runs if s["records"] < s["appended"]]
    for row in table.values():
        if mismatch:
            row.cannot("the segments hold fewer records than the ledger says were appended")
        if lost:
            total = sum(sum(s["refused"].values()) for s in runs) / max(1, sum(s["received"] for s in runs))
            row.also = False
            row.note(f"not zero loss: {total * 100:.1f} % of the frames were refused ({', '.join(sorted(lost))})")
        else:
            row.note("no frame was lost or refused in any run")
