# SPDX-License-Identifier: Apache-2.0
"""dpdk-testpmd in rxonly mode on a capture that net_pcap holds in memory and replays for ever."""

import os
import re
import shutil
import signal
import subprocess
import time
from statistics import median

from . import host

_PPS = re.compile(rb"Rx-pps:\s+(\d+)")


def memory_args(huge, mib):
    return ["--in-memory", "-m", mib] if huge else ["--no-huge", "--no-shconf", "-m", mib]


def rxonly(ctx, capture, mbufs, seconds):
    """Packets per second of one forwarding lcore on the measured CPU."""
    exe = shutil.which("dpdk-testpmd")
    if not exe:
        raise host.BenchError("dpdk-testpmd is missing (Debian package dpdk)")
    prefix = f"slb-{os.getpid()}"
    argv = ["stdbuf", "-oL", exe, "--lcores", f"0@{host.SOURCE_CPU},1@{host.SUT_CPU}", "--main-lcore", 0, "--no-pci",
            "--no-telemetry", "--file-prefix", prefix, *memory_args(ctx.hugepages != "off", 512),
            "--vdev", f"net_pcap0,rx_pcap={capture},infinite_rx=1", "--", "--forward-mode=rxonly",
            "--burst=32", "--stats-period=1", f"--total-num-mbufs={mbufs}", "--no-flush-rx"]
    # It runs until its standard input says so.
    with host.Proc(argv, f"{ctx.work}/testpmd.log", stdin=subprocess.PIPE) as p:
        # One display a second; the first two cover the start and do not count.
        p.wait_for(lambda: len(_displays(p)) >= seconds + 2, seconds + 20, "forwarding")
        seen = _displays(p)
        p.stop(signal.SIGINT, 10, must=False)
        p.p.stdin.close()
    shutil.rmtree(f"/run/dpdk/{prefix}", ignore_errors=True)
    steady = seen[2:]
    if len(steady) < 2 or not median(steady):
        raise host.BenchError(f"testpmd received nothing: {p.tail()}")
    return median(steady)


def _displays(p):
    with open(p.log, "rb") as f:
        return [int(x) for x in _PPS.findall(f.read())]
