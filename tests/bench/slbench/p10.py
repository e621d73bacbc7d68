# SPDX-License-Identifier: Apache-2.0
"""P10: what waiting costs, and how long waking takes.

Idle: sluiced on a silent veth, all its threads' CPU over at least ten seconds, by the scheduler's
nanoseconds. Latency: stamped datagrams at a steady rate from the other core; the product's port and
idle policy in a small program (wake_port), beside a blocking recvmmsg on the same veth."""

import contextlib
import time

from . import host
from .daemon import Sluiced
from .table import Row

BYTES = 200
SLOW, FAST = 1000, 20000  # datagrams per second
COUNT = {SLOW: 2000, FAST: 30000}


def run(ctx):
    return _idle(ctx) + _latency(ctx)


def _idle(ctx):
    rows = {b: Row("P10", f"idle CPU of sluiced, {b}", "% of a core", "one core", ("<=", 0.5), of="value")
            for b in ("af_xdp", "af_packet")}
    failed = {}
    for i in ctx.rounds(ctx.idle_runs):
        with contextlib.ExitStack() as stack:
            up = {}
            for n, backend in enumerate(rows):
                if backend in failed:
                    continue
                try:  # both at once: each is silent
                    link = stack.enter_context(host.Link(n))
                    port = f"backend: {backend}, device: {link.rx}, netns: {link.rx_ns}"
                    up[backend] = stack.enter_context(Sluiced(
                        ctx, f"idle{n}", port, [host.SOURCE_CPU, host.SUT_CPU], ingest=[host.SUT_CPU],
                        writers=[host.SUT_CPU], memory="64MiB", hugepages="off", partitions=1))
                except host.BenchError as e:
                    failed[backend] = str(e)
            if not up:
                break
            time.sleep(1.5)
            before = {b: d.cpu()["total"] for b, d in up.items()}
            t0 = time.monotonic()
            time.sleep(ctx.idle_s)
            for b, d in up.items():
                rows[b].add((d.cpu()["total"] - before[b]) / (time.monotonic() - t0) * 100, 100)
        ctx.say(f"P10 idle {i + 1}: " + ", ".join(f"{b} {r.values[-1]:.3f} %" for b, r in rows.items() if r.values))
    for b, why in failed.items():
        rows[b].cannot(why)
    return list(rows.values())


def _one(ctx, who, idle, rate):
    """p50 and p99 in µs, and the receive thread's share of a core."""
    count = COUNT[rate]
    skip = count // 10
    with host.Link() as link:
        if who == "recvmmsg":
            argv, ns = [ctx.tools["wake_recvmmsg"], link.address, 5514, count, skip], link.rx_ns
        else:
            argv, ns = [ctx.tools["wake_port"], who, link.rx_ns, link.rx, 5514, idle, host.SUT_CPU, count, skip], None
        with host.Proc(argv, f"{ctx.work}/wake.log", cpus=[host.SUT_CPU], netns=ns) as p:
            p.wait_for(lambda: "ready" in p.tail(4000), 15, "ready")
            host.run(*host.placed([ctx.tools["stamp_send"], link.address, 5514, BYTES, count, rate],
                                  cpus=[host.SOURCE_CPU], netns=link.tx_ns))
            p.wait(10)
            out = host.json_of(p.tail())
    if out["samples"] < 0.9 * (count - skip):
        raise host.BenchError(f"{who}: only {out['samples']} of {count - skip} datagrams arrived")
    return out["p50_us"], out["p99_us"], out["cpu_s"] / out["seconds"]


def _latency(ctx):
    cases = [("af_xdp", "sleep", SLOW, 1.2), ("af_packet", "sleep", SLOW, 1.2), ("af_xdp", "spin", FAST, 1 / 8)]
    rows = {c: Row("P10", f"p50 at {c[2] // 1000} k/s, {c[0]}, {'sleeping' if c[1] == 'sleep' else 'busy'}", "us",
                   "blocking recvmmsg", ("<=", c[3])) for c in cases}
    for c, row in rows.items():
        row.note("the product's port and idle code up to the received burst (wake_port), p99 beside it as extra")
    failed = {}
    for i in ctx.rounds():
        base = {}
        for rate in (SLOW, FAST):
            try:
                base[rate] = _one(ctx, "recvmmsg", "", rate)
            except host.BenchError as e:
                failed.setdefault(rate, str(e))
        for c, row in rows.items():
            who, idle, rate, _ = c
            if c in failed or rate not in base:
                continue
            try:
                p50, p99, cpu = _one(ctx, who, idle, rate)
            except host.BenchError as e:
                failed[c] = str(e)
                continue
            row.add(p50, base[rate][0])
            for key, v in (("p99_us", p99), ("baseline_p99_us", base[rate][1]), ("cpu", round(cpu, 4)),
                           ("baseline_cpu", round(base[rate][2], 4))):
                row.extra.setdefault(key, []).append(v)
        ctx.say(f"P10 latency {i + 1}: " + ", ".join(
            f"{c[0]} {c[1]} {r.values[-1]:.1f} beside {r.base[-1]:.1f} us" for c, r in rows.items() if r.values))
    for c, row in rows.items():
        if not row.values:
            row.cannot(failed.get(c) or failed.get(c[2]) or "no run")
    return list(rows.values())
