# SPDX-License-Identifier: Apache-2.0
"""P4: datagram in memory to an O_DIRECT file, beside fio (io_uring, 1 MiB x 8) on the same file
system. Bytes are those of the segments as read back; the CPU of writing is what all threads spend
inside the system calls that write (sys_cost.h), per MiB of log, for both."""

import os

from . import host
from .capacity import fio_file, fio_run, sluiced_run
from .table import Row


def run(ctx):
    one = Row("P4", "pcap to O_DIRECT segments, one core, 200 B", "MiB/s", "fio io_uring 1 MiB x 8", (">=", 0.65))
    two = Row("P4", "the same, two cores, 1 KB", "MiB/s", "fio io_uring 1 MiB x 8", (">=", 0.85))
    cpu = Row("P4", "CPU of writing, one core, 200 B", "us/MiB", "fio", ("<=", 8), of="value")
    cpu.note("CPU inside io_uring_enter, pwrite, fallocate, fdatasync and the like, per MiB of log")
    try:
        for i in ctx.rounds():
            _one(ctx, one, cpu, i)
            _two(ctx, two)
            ctx.say(f"P4 {i + 1}/{ctx.runs}: one core {_last(one.values)} of fio's {_last(one.base)} MiB/s, "
                    f"two {_last(two.values)} of {_last(two.base)}, {_last(cpu.values)} us/MiB")
    except host.BenchError as e:
        for row in (one, two, cpu):
            if not row.values:
                row.cannot(str(e))
    finally:
        if os.path.exists(fio_file(ctx)):
            os.unlink(fio_file(ctx))
    return [one, two, cpu]


def _last(values):
    return f"{values[-1]:.0f}" if values else "-"


def _one(ctx, row, cpu, i):
    runs = ctx.shared.get("one_core", [])
    if i < len(runs):  # measured with P1, fio beside it
        s = runs[i]
    else:
        s = sluiced_run(ctx, ctx.capture(16384, 200), 200, [host.SUT_CPU])
        s["fio"] = fio_run(ctx)
    row.add(s["mib_s"], s["fio"][0])
    cpu.add(s["write_us_per_mib"], s["fio"][1])
    row.extra["written_mib_s"] = round(s["written_mib_s"])
    cpu.extra["write_calls"] = s["write_calls"]


def _two(ctx, row):
    s = sluiced_run(ctx, ctx.capture(8192, 1000), 1000, [host.SOURCE_CPU, host.SUT_CPU],
                    ingest=[host.SOURCE_CPU], writers=[host.SUT_CPU])
    row.add(s["mib_s"], fio_run(ctx)[0])
