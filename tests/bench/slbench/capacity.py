# SPDX-License-Identifier: Apache-2.0
"""What sluiced stores when its source never pauses, and what fio reaches on the same file system:
the measurements behind P1 and P4."""

import os
import time

from . import host, peers
from .daemon import Sluiced, rate_in_window, refused


def sluiced_run(ctx, capture, value_bytes, cpus, ingest=None, writers=None, partitions=8):
    """One run; the default is one core for everything. A dict of rates and costs, or BenchError."""
    ctx.need_disk()
    seconds, skip = ctx.window, ctx.warm
    port = f"backend: pcap, file: {capture}, replay: forever"
    with Sluiced(ctx, "capacity", port, cpus, ingest=ingest, writers=writers, partitions=partitions,
                 hugepages=ctx.hugepages) as d:
        time.sleep(skip)
        cpu0, st0, t0 = d.cpu(), d.status(), time.monotonic()
        cost = host.json_of(host.run(*peers.sys_cost(ctx, d.proc.pid, seconds)))
        cpu1, st1, t1 = d.cpu(), d.status(), time.monotonic()
        d.stop()
        count = d.verify(value_bytes)
    if st1["store"]["evicted_records"]:
        raise host.BenchError("the disk budget was reached: segments were evicted, nothing to count")
    rate, window = rate_in_window(count, skip)
    written = (st1["store"]["write_bytes"] - st0["store"]["write_bytes"]) / (1 << 20)
    log_mib = count["bytes"] / count["records"] * rate / (1 << 20)
    return {
        "rate": rate, "window_s": window, "records": count["records"], "appended": st1["ledger"]["appended"],
        "mib_s": log_mib, "written_mib_s": written / (t1 - t0),
        "write_us_per_mib": cost["total_ns"] / 1e3 / (log_mib * cost["seconds"]), "write_calls": cost["calls"],
        "cpu": (cpu1["total"] - cpu0["total"]) / (t1 - t0), "refused": refused(st1),
        "received": st1["ledger"]["rx"], "hugepages": ctx.hugepages,
    }


def fio_file(ctx):
    return os.path.join(ctx.work, "fio.dat")


def fio_run(ctx):
    """(MiB/s, CPU us per MiB) of fio overwriting a file that was laid out before."""
    size = f"{min(8 << 30, ctx.disk_budget // 2) >> 20}M"
    if not os.path.exists(fio_file(ctx)):
        peers.fio(ctx, fio_file(ctx), size, 1, host.SUT_CPU)
    return peers.fio(ctx, fio_file(ctx), size, ctx.fio_s, host.SUT_CPU)
