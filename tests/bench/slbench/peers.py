# SPDX-License-Identifier: Apache-2.0
"""The peers, set up as their own documents advise for UDP into a file on one core.

rsyslog: "Receiving massive amounts of messages with high performance" of its manual (imudp with
batches of 128 and few clock calls, fixedArray queue, 64 KiB file buffer, no flush per
transaction), cut down to one core: one receiving thread, no asynchronous writer. Of its two queue
kinds the faster one here is taken. syslog-ng: "Handling large message load" and the axoflow
article on UDP reception (no DNS, large socket buffer, window and fetch limit, flush-lines,
no-parse). Neither is asked to parse more than it must: the lines go to the file as received.
"""

import glob
import json
import os
import signal
import time

from . import host

RCVBUF = 32 << 20

_RSYSLOG = """
global(workDirectory="{dir}" maxMessageSize="2k")
module(load="imudp" threads="1" timeRequery="8" batchSize="128")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="bench" parser="rsyslog.rfc5424" {queue}) {{
  action(type="omfile" file="{file}" template="raw" ioBufferSize="64k" flushOnTXEnd="off" asyncWriting="off")
}}
input(type="imudp" address="{address}" port="{port}" ruleset="bench" rcvbufSize="{rcvbuf}")
"""
_QUEUES = {
    "fixedArray": 'queue.type="fixedArray" queue.size="250000" queue.dequeueBatchSize="4096" queue.workerThreads="1"',
    "direct": 'queue.type="direct"',
}

_SYSLOG_NG = """@version: 3.38
options {{ threaded(yes); use-dns(no); dns-cache(no); keep-hostname(yes); stats-freq(0); mark-freq(0);
  log-fifo-size(500000); flush-lines(10000); time-reopen(1); }};
source s {{ network(ip("{address}") port({port}) transport("udp") flags(no-parse) so-rcvbuf({rcvbuf})
  log-iw-size(250000) log-fetch-limit(10000)); }};
destination d {{ file("{file}" template("${{MSG}}\\n") perm(0644)); }};
log {{ source(s); destination(d); }};
"""


class Receiver:
    """One peer for one run: `with peer.start(...) as r`, r.file grows by one line per datagram."""

    def __init__(self, name, proc, file):
        self.name, self.proc, self.file = name, proc, file
        self.closing = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.__exit__(*exc)
        try:
            os.unlink(self.file)
        except FileNotFoundError:
            pass

    def size(self):
        try:
            return os.stat(self.file).st_size
        except FileNotFoundError:
            return 0

    def settle(self, seconds=8):
        """Until the file has stopped growing for half a second."""
        end, last, since = time.monotonic() + seconds, -1, time.monotonic()
        while time.monotonic() < end:
            now = self.size()
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 0.5:
                return
            time.sleep(0.05)

    def finish(self):
        """Clean stop; the lines that are in the file."""
        self.settle()
        self.proc.stop(signal.SIGTERM, 20)
        return int(host.run("wc", "-l", self.file).split()[0])


class Peers:
    def __init__(self, build, work, tools):
        self.work, self.tools = work, tools
        root = os.path.join(build, "deps", "peers")
        self.root = root
        libs = [p for p in glob.glob(f"{root}/usr/lib/*-linux-gnu") + glob.glob(f"{root}/lib/*-linux-gnu")]
        self.libs = ":".join(libs + [f"{root}/usr/lib/syslog-ng"])
        self.modules = ":".join(glob.glob(f"{root}/usr/lib/syslog-ng/3.*"))
        self.rsyslog_modules = (glob.glob(f"{root}/usr/lib/*-linux-gnu/rsyslog") + [""])[0]

    def _need(self, path):
        if not os.path.exists(path):
            raise host.BenchError(f"{path} is missing (tests/bench/setup.sh unpacks it)")
        return path

    def _start(self, name, argv, netns, env, port, file):
        proc = host.Proc(argv, os.path.join(self.work, f"{name}.log"), cpus=[host.SUT_CPU], netns=netns, env=env)
        try:
            proc.wait_for(lambda: host.udp_bound(proc.pid, port), 10, "bound")
        except BaseException:
            proc.__exit__()
            raise
        return Receiver(name, proc, file)

    def rsyslog(self, netns, address, port, queue="direct"):
        exe = self._need(f"{self.root}/usr/sbin/rsyslogd")
        file, conf = f"{self.work}/rsyslog.out", f"{self.work}/rsyslog.conf"
        with open(conf, "w") as f:
            f.write(_RSYSLOG.format(dir=self.work, file=file, address=address, port=port, rcvbuf=RCVBUF,
                                    queue=_QUEUES[queue]))
        return self._start("rsyslog", [exe, "-n", "-f", conf, "-i", f"{self.work}/rsyslog.pid",
                                       "-M", self.rsyslog_modules],
                           netns, {"LD_LIBRARY_PATH": self.libs}, port, file)

    def syslog_ng(self, netns, address, port):
        exe = self._need(f"{self.root}/usr/sbin/syslog-ng")
        file, conf = f"{self.work}/syslog-ng.out", f"{self.work}/syslog-ng.conf"
        with open(conf, "w") as f:
            f.write(_SYSLOG_NG.format(file=file, address=address, port=port, rcvbuf=RCVBUF))
        w = self.work
        return self._start("syslog-ng", [exe, "-F", "--no-caps", "-f", conf, "-p", f"{w}/syslog-ng.pid",
                                         "-c", f"{w}/syslog-ng.ctl", "-R", f"{w}/syslog-ng.persist",
                                         f"--module-path={self.modules}"],
                           netns, {"LD_LIBRARY_PATH": self.libs}, port, file)

    def recvmmsg(self, netns, address, port):
        file = f"{self.work}/recvmmsg.out"
        return self._start("recvmmsg", [self.tools["recvmmsg_append"], address, port, file], netns, {}, port, file)


def fio(ctx, file, size, seconds, cpu):
    """fio, io_uring, 1 MiB x 8, fixed buffers and files, O_DIRECT, overwriting `file`.
    Returns MiB/s and, if it runs long enough, the CPU us per MiB of its writing system calls."""
    argv = ["fio", "--name=sluice-bench", f"--filename={file}", f"--size={size}", "--rw=write", "--bs=1M",
            "--iodepth=8", "--ioengine=io_uring", "--direct=1", "--fixedbufs=1", "--registerfiles=1",
            f"--iomem={'mmaphuge' if ctx.hugepages != 'off' else 'malloc'}", "--overwrite=1", "--time_based=1", f"--runtime={seconds}", "--thread=1", "--output-format=json"]
    log, cost = f"{ctx.work}/fio.json", None
    with host.Proc(argv, log, cpus=[cpu]) as p:
        if seconds >= 2:
            time.sleep(0.5)
            cost = host.json_of(host.run(*sys_cost(ctx, p.pid, seconds - 1)))
        if p.wait(120):
            raise host.BenchError(f"fio: {p.tail()}")
    with open(log) as f:
        out = f.read()
    mib_s = json.loads(out[out.index("{"):])["jobs"][0]["write"]["bw_bytes"] / (1 << 20)
    return mib_s, cost["total_ns"] / 1e3 / (mib_s * cost["seconds"]) if cost else None


def sys_cost(ctx, pid, seconds):
    return [ctx.tools["sys_cost"], ctx.tools["sys_cost.bpf.o"], pid, seconds]
