# SPDX-License-Identifier: Apache-2.0
"""P3: datagram in memory to framed, checksummed batch, thrown away; one core, 200 B.

The product's data plane in front of a store that only counts (ingest_null), ingest and writer
thread on the measured core, beside dpdk-testpmd rxonly: same capture, driver, burst, memory."""

from . import host, pmd
from .table import Row

DATAGRAMS, BYTES, POOL = 4096, 200, 16384


def ours(ctx, capture, writer_cpu):
    argv = [ctx.tools["ingest_null"], capture, host.SUT_CPU, writer_cpu, 1.0, ctx.pmd_s]
    argv += ["huge"] if ctx.hugepages != "off" else []
    out = host.json_of(host.run(*host.placed(argv, cpus=[host.SOURCE_CPU, host.SUT_CPU]), timeout=60))
    if out["refused"]:
        raise host.BenchError(f"{out['refused']} frames were refused")
    return out


def run(ctx):
    one = Row("P3", "datagram to checksummed batch, null sink, one core, 200 B", "records/s", "testpmd rxonly",
              (">=", 0.45))
    try:
        capture = ctx.capture(DATAGRAMS, BYTES)
        for i in ctx.rounds():
            o = ours(ctx, capture, host.SUT_CPU)
            two = ours(ctx, capture, host.SOURCE_CPU)
            pps = pmd.rxonly(ctx, capture, POOL, ctx.pmd_s)
            one.add(o["rate"], pps)
            one.extra.setdefault("cpu_ns_per_record", []).append(o["cpu_ns_per_record"])
            one.extra.setdefault("writer_on_other_core", []).append(round(two["rate"]))
            ctx.say(f"P3 {i + 1}/{ctx.runs}: {o['rate'] / 1e6:.2f} M/s (null writer on the other core: "
                    f"{two['rate'] / 1e6:.2f}) of {pps / 1e6:.1f} M/s")
    except host.BenchError as e:
        one.cannot(str(e))
    return [one]
