# SPDX-License-Identifier: Apache-2.0
"""sluiced for one measurement: its config, start, status, clean stop, and its log read back."""

import glob
import json
import os
import signal
import socket
import time

from . import host

TOPIC = "bench"

_CONFIG = """gateway: {{id: bench, data: {data}}}
dataplane:
  memory: {memory}
  hugepages: {hugepages}
  ingest: [{ingest}]
  writers: [{writers}]
  idle: {idle}
storage:
  budget: {budget}
  retention_check: 1h
  stripes: {stripes}
ports:
  - {port}
listeners:
  - {{name: syslog, port: lan0, udp: {udp}, protocol: syslog, topic: {topic}, key: source}}
topics:
  - {{name: {topic}, partitions: {partitions}, config: {{compression.type: producer}}}}
kafka:
  listen: [127.0.0.1:0]
admin:
  listen: off
  socket: {socket}
"""


class Sluiced:
    """`with Sluiced(...) as d`: running and ready; d.stop() drains; d.verify() reads the log back."""

    def __init__(self, ctx, name, port, cpus, ingest=None, writers=None, idle="sleep", memory="256MiB",
                 hugepages="auto", partitions=8, udp=5514, keep=False):
        """keep: the data directory that is there is used, and stays."""
        self.exe, self.segcount = ctx.sluiced, ctx.tools["segcount"]
        self.work, self.stripes = ctx.work, ctx.stripes
        self.data = os.path.join(ctx.work, f"{name}.data")
        self.conf = os.path.join(ctx.work, f"{name}.yaml")
        self.socket = os.path.join(ctx.work, f"{name}.sock")
        if len(self.socket) > 100:  # a unix socket's path is short
            self.socket = f"/tmp/slb-{os.getpid()}-{name}.sock"
        self.cpus, self.keep = cpus, keep
        self.text = _CONFIG.format(data=self.data, memory=memory, hugepages=hugepages, idle=idle,
                                   ingest=",".join(map(str, ingest or [cpus[-1]])),
                                   writers=",".join(map(str, writers or [cpus[-1]])),
                                   budget=f"{ctx.disk_budget >> 20}MiB", port="{name: lan0, " + port + "}",
                                   udp=udp, topic=TOPIC, partitions=partitions, socket=self.socket,
                                   stripes=ctx.stripes)
        self.log = os.path.join(ctx.work, f"{name}.log")
        self.proc = None

    def __enter__(self):
        if not self.keep:
            host.drop_dir(self.data)
        os.makedirs(self.data, exist_ok=True)
        os.makedirs(self.stripes, exist_ok=True)
        with open(self.conf, "w") as f:
            f.write(self.text)
        self.proc = host.Proc([self.exe, "-c", self.conf], self.log, cpus=self.cpus)
        try:
            self.proc.wait_for(lambda: (self.status() or {}).get("ready"), 20, "ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.proc.__exit__(*exc)
        if not self.keep:
            host.drop_dir(self.data)
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def status(self):
        """The status document, or None while nobody answers."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(5)
        try:
            s.connect(self.socket)
            s.sendall(b'{"cmd":"status"}\n')
            data = b""
            while not data.endswith(b"\n"):
                part = s.recv(1 << 16)
                if not part:
                    break
                data += part
            return json.loads(data) if data else None
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        finally:
            s.close()

    def cpu(self):
        return self.proc.cpu()

    def drained(self, seconds=5):
        """Waits until nothing is on its way any more and returns the status then."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            st = self.status()
            ledger = st["ledger"]
            if ledger["in_flight"] == 0 and ledger["rx"] == last:
                return st
            last = ledger["rx"]
            time.sleep(0.1)
        return self.status()

    def stop(self):
        rc = self.proc.stop(signal.SIGTERM, 20)
        if rc:
            raise host.BenchError(f"sluiced exited {rc}: {self.proc.tail()}")

    def verify(self, value_bytes):
        """After stop(): counts what lies in the segments, every CRC checked."""
        parts = sorted(glob.glob(f"{self.data}/log/{TOPIC}-*"))
        if not parts:
            raise host.BenchError(f"no partition folder in {self.data}/log: {self.proc.tail()}")
        return host.json_of(host.run(self.segcount, "-v", value_bytes, *parts, timeout=120))


def refused(st):
    """Records that sluiced received and did not store, by the ledger's names."""
    ledger = st["ledger"]
    out = {k: ledger[k] for k in ("lost_by_device", "other", "limited", "ring_full") if ledger.get(k)}
    for group in ("bad", "fragment", "refused", "append_failed"):
        out.update({f"{group}[{k}]": v for k, v in (ledger.get(group) or {}).items() if v})
    return out


def rate_in_window(count, skip_s, tail_s=0.3):
    """Records per second by the stored records' own timestamps, without the first `skip_s` and the
    last `tail_s` seconds. `count` is what verify() returned. Returns (rate, seconds)."""
    width = count["bucket_ms"]
    first = count["first_ms"] + skip_s * 1000
    last = count["last_ms"] - tail_s * 1000
    inside = [(t, n) for t, n in count["buckets"] if t >= first and t + width <= last]
    if len(inside) < 3:
        raise host.BenchError("the run was too short to measure")
    seconds = (inside[-1][0] + width - inside[0][0]) / 1000
    return sum(n for _, n in inside) / seconds, seconds
