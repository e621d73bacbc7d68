# SPDX-License-Identifier: Apache-2.0
"""P3: datagram in memory to framed, checksummed batch, thrown away; one core, 200 B.

Twice ours, beside dpdk-testpmd rxonly on the same core, driver, burst and kind of memory: the ingest
loop alone, its batches given back at once (dataplane/ingest_bench), and the product's data plane as
it runs, ingest and writer thread on the one core, before a store that only counts (ingest_null)."""

from . import host, pmd
from .table import Row

DATAGRAMS, BYTES, POOL, SLICES = 4096, 200, 16384, 9


def _loop(ctx, capture):
    argv = [ctx.ingest_bench, "-f", capture, "-n", SLICES, "-j", "-C", host.SUT_CPU]
    argv += ["-H"] if ctx.hugepages != "off" else []
    return host.json_of(host.run(*argv, timeout=60))


def _threads(ctx, capture):
    argv = [ctx.tools["ingest_null"], capture, host.SUT_CPU, host.SUT_CPU, 1.0, ctx.pmd_s]
    argv += ["huge"] if ctx.hugepages != "off" else []
    out = host.json_of(host.run(*host.placed(argv, cpus=[host.SOURCE_CPU, host.SUT_CPU]), timeout=60))
    if out["refused"]:
        raise host.BenchError(f"{out['refused']} frames were refused")
    return out


def run(ctx):
    goal = (">=", 0.45)
    loop = Row("P3", "datagram to checksummed batch, null sink, one core, 200 B", "records/s", "testpmd rxonly", goal)
    both = Row("P3", "the same with the writer's thread on the same core", "records/s", "testpmd rxonly", goal)
    rows, failed = {loop: lambda c: _loop(c, capture), both: lambda c: _threads(c, capture)}, {}
    capture = ctx.capture(DATAGRAMS, BYTES)
    for i in ctx.rounds():
        got = {}
        for row, measure in rows.items():
            try:
                got[row] = measure(ctx)
            except host.BenchError as e:
                failed[row] = str(e)
        try:
            pps = pmd.rxonly(ctx, capture, POOL, ctx.pmd_s)
        except host.BenchError as e:
            failed = dict.fromkeys(rows, str(e))
            break
        if loop in got:
            loop.add(got[loop]["ingest_rps"], pps)
            loop.extra.setdefault("bare_receive_loop", []).append(got[loop]["rxonly_pps"])
        if both in got:
            both.add(got[both]["rate"], pps)
            both.extra.setdefault("cpu_ns_per_record", []).append(got[both]["cpu_ns_per_record"])
        ctx.say(f"P3 {i + 1}/{ctx.runs}: " + ", ".join(f"{r.values[-1] / 1e6:.2f} M/s" for r in got)
                + f" of {pps / 1e6:.1f} M/s")
    for row, why in failed.items():
        row.cannot(why)
    return [loop, both]
