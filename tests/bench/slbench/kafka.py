# SPDX-License-Identifier: Apache-2.0
"""Kafka clients against sluiced and against Apache Kafka: the same client, the same command line,
the same bytes. The client runs on the source's CPU, the server on the measured one.

Apache Kafka: one node, KRaft, the JVM settings of its own start script, everything else at its
defaults: it never calls fsync for the log, and the kernel's write-back is not held against it.
"""

import glob
import os
import re
import shutil
import socket
import struct
import subprocess
import time

from . import corpus, host
from .daemon import Sluiced

VERSION = "3.9.1"
NAME = f"Apache Kafka {VERSION}"
PARTITIONS = 4
PRODUCER = ("linger.ms=5", "batch.size=65536")
CLIENT_S = 40  # no client runs longer
_PERF = "org.apache.kafka.tools."
_BROKER_JVM = ("-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
               "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent")

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={dir}/log
num.partitions={partitions}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def process_cpu(pid):
    """CPU seconds of a whole process by the scheduler's clock, threads that have ended included (a
    JVM's compiler threads come and go): what utime + stime add up to, without the rounding."""
    return time.clock_gettime((~pid << 3) | 2)


def classpath(ctx):
    jars = os.path.join(ctx.build, "deps", f"kafka-{VERSION}")
    if not shutil.which("java") or not glob.glob(f"{jars}/kafka_*.jar"):
        raise host.BenchError(f"Java or {NAME} in {jars} is missing (scripts/setup.sh test fetches it)")
    return f"{jars}/*"


def _ask(port, api, version, body):
    """One request with a classic header; the answer from its length on."""
    req = struct.pack(">hhih", api, version, 7, -1) + body
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(struct.pack(">i", len(req)) + req)
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
            part = s.recv(1 << 16)
            if not part:
                raise host.BenchError(f"the server closed the connection of API {api}")
            data += part
    return data


def delete(server, topic):
    """DeleteTopics."""
    name = topic.encode()
    data = _ask(server.port, 20, 1, struct.pack(">ih", 1, len(name)) + name + struct.pack(">i", 10000))
    code = struct.unpack(">h", data[-2:])[0]
    if code:
        raise host.BenchError(f"{server.name}: {topic} could not be deleted: error {code}")


def committed(server, topic):
    """Records of a topic that a read_committed consumer gets, from its begin to its end."""
    out = host.run("kcat", "-q", "-b", f"127.0.0.1:{server.port}", "-X", "isolation.level=read_committed", "-C",
                   "-t", topic, "-o", "beginning", "-e", "-f", ".", stdin=subprocess.DEVNULL)
    return len(out)


def ends(port, topic, partitions=PARTITIONS):
    """Log ends of a topic by ListOffsets, [] while it is unknown: what a consumer could read."""
    name = topic.encode()
    body = struct.pack(">iih", -1, 1, len(name)) + name + struct.pack(">i", partitions)
    body += b"".join(struct.pack(">iq", i, -1) for i in range(partitions))
    data = _ask(port, 2, 1, body)
    at = 4 + 4 + 4 + 2 + len(name) + 4  # size, correlation id, one topic, its name, partitions
    got = [struct.unpack_from(">ihqq", data, at + 22 * i) for i in range(partitions)]
    return [g[3] for g in sorted(got)] if all(g[1] == 0 for g in got) else []


class Apache:
    """`with Apache(...) as b`: one node, answering."""

    name = NAME
    idle = 0.0  # of a core; note_idle()

    def __init__(self, ctx, cpus):
        self.dir, self.port = os.path.join(ctx.work, "kafka"), free_port()
        self.cpus, self.classpath = cpus, classpath(ctx)
        self.proc = None

    def __enter__(self):
        host.drop_dir(self.dir)
        os.makedirs(self.dir)
        conf = f"{self.dir}/server.properties"
        with open(conf, "w") as f:
            f.write(_PROPERTIES.format(port=self.port, controller=free_port(), dir=self.dir, partitions=PARTITIONS))
        tool = ["java", "-cp", self.classpath, "kafka.tools.StorageTool"]
        ident = host.run(*tool, "random-uuid", stdin=subprocess.DEVNULL).split()[-1]
        host.run(*tool, "format", "-t", ident, "-c", conf)
        self.proc = host.Proc(["java", *_BROKER_JVM, "-cp", self.classpath, "kafka.Kafka", conf],
                              f"{self.dir}/kafka.out", cpus=self.cpus)
        try:
            self.proc.wait_for(self._answers, 60, "answering")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.proc.__exit__(*exc)
        host.drop_dir(self.dir)

    def _answers(self):
        try:
            ends(self.port, "none")
            return True
        except (OSError, host.BenchError, struct.error):
            return False

    def settled(self, topic):
        """Nothing is owed: Apache Kafka leaves the disk to the kernel."""

    def files(self, topic):
        return glob.glob(f"{self.dir}/log/{topic}-*/*.log")


class Gateway(Sluiced):
    """sluiced as a broker: no port, only Kafka clients write."""

    name = "sluiced"
    idle = 0.0

    def __init__(self, ctx, name, cpus, tail_cache="64MiB"):
        super().__init__(ctx, name, "", cpus, hugepages=ctx.hugepages)
        self.port = free_port()
        keep = self.text[:self.text.index("ports:")]
        self.text = (keep.replace("storage:\n", f"storage:\n  tail_cache: {tail_cache}\n")
                     + f"kafka:\n  listen: [127.0.0.1:{self.port}]\n  config: {{num.partitions: {PARTITIONS}}}\n"
                     + f"admin:\n  listen: off\n  socket: {self.socket}\n")

    def settled(self, topic, seconds=5):
        """Waits until the topic is on stable storage: what acks=1 left to do is counted, too."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            parts = [p for t in self.status()["topics"] if t["name"] == topic for p in t["partitions"]]
            if parts and all(p["synced"] == p["end"] for p in parts):
                return
            time.sleep(0.05)
        raise host.BenchError(f"{topic} was not synced within {seconds} s")

    def files(self, topic):
        return glob.glob(f"{self.data}/log/{topic}-*/*.log")


class Ingest(Sluiced):
    """sluiced as P1 runs it, and Kafka clients find it."""

    def __init__(self, ctx, name, port, cpus, **kw):
        super().__init__(ctx, name, port, cpus, **kw)
        self.port = free_port()
        self.text = self.text.replace("listen: [127.0.0.1:0]", f"listen: [127.0.0.1:{self.port}]")


def note_idle(*servers, windows=4):
    """What each uses when nobody asks for anything, in the quietest of a few seconds: a JVM is never
    quite still, and a slow client must not be charged to it. Taken off every measurement from now on."""
    seen = {s: [] for s in servers}
    for _ in range(windows):
        before, t0 = {s: process_cpu(s.proc.pid) for s in servers}, time.monotonic()
        time.sleep(1.0)
        for s in servers:
            seen[s].append((process_cpu(s.proc.pid) - before[s]) / (time.monotonic() - t0))
    for s in servers:
        s.idle = min(seen[s])


def _argv(ctx, tool, args):
    return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", classpath(ctx), _PERF + tool, *args]


def _client(ctx, tool, *args, cpus=(host.SOURCE_CPU,)):
    try:
        return host.run(*host.placed(_argv(ctx, tool, args), cpus=cpus), timeout=CLIENT_S)
    except subprocess.TimeoutExpired:
        raise host.BenchError(f"{tool} did not end within {CLIENT_S} s") from None


def reading(ctx, port, topic):
    """ConsumerPerformance in the background, from the log's end on, until it is ended."""
    args = ("--bootstrap-server", f"127.0.0.1:{port}", "--topic", topic, "--messages", 1 << 40, "--from-latest")
    return host.Proc(_argv(ctx, "ConsumerPerformance", args), f"{ctx.work}/reader.log", cpus=[host.SOURCE_CPU])


def _payload(ctx, size):
    """A file of lines of that size: what ProducerPerformance would make itself costs more than to send."""
    path = os.path.join(ctx.work, f"payload-{size}")
    if not os.path.exists(path):
        corpus.write_lines(path, corpus.lines(2000, size))
    return path


def _produce(ctx, server, topic, records, size, acks, cpus):
    return _client(ctx, "ProducerPerformance", "--topic", topic, "--num-records", records, "--throughput", -1,
                   "--payload-file", _payload(ctx, size), "--producer-props",
                   f"bootstrap.servers=127.0.0.1:{server.port}", f"acks={acks}", *PRODUCER, cpus=cpus)


def fill(ctx, server, topic, records, size, acks=1):
    """Writes a topic to read, or to warm a JVM up; not measured, so the client may use both cores."""
    _produce(ctx, server, topic, records, size, acks, (host.SOURCE_CPU, host.SUT_CPU))
    server.settled(topic)


def produce(ctx, server, topic, records, size, acks):
    """One ProducerPerformance run to its end. Server CPU seconds, less what it uses when idle, and
    records/s as the client says. BenchError unless every record is in the log afterwards."""
    before = sum(ends(server.port, topic))
    cpu0, t0 = process_cpu(server.proc.pid), time.monotonic()
    out = _produce(ctx, server, topic, records, size, acks, (host.SOURCE_CPU,))
    stored, end = 0, time.monotonic() + 10
    while stored < records and time.monotonic() < end:  # acks=0: the client does not wait for them
        stored = sum(ends(server.port, topic)) - before
        time.sleep(0.02)
    server.settled(topic)
    seconds = time.monotonic() - t0
    cpu = process_cpu(server.proc.pid) - cpu0 - server.idle * seconds
    if stored != records:
        raise host.BenchError(f"{server.name}: {stored} of {records} records are in the log")
    rates = re.findall(r"records sent, ([\d.]+) records/sec", out)
    if not rates:
        raise host.BenchError(f"ProducerPerformance: {out.strip()[-300:]}")
    return {"cpu": cpu, "rate": float(rates[-1]), "busy": cpu / seconds}


def consume(ctx, server, topic, records):
    """One ConsumerPerformance run over `records` records of a topic from its start. Server CPU seconds,
    less what it uses when idle, and MB/s as the client says."""
    cpu0, t0 = process_cpu(server.proc.pid), time.monotonic()
    out = _client(ctx, "ConsumerPerformance", "--bootstrap-server", f"127.0.0.1:{server.port}", "--topic", topic,
                  "--messages", records, "--timeout", 10000, "--hide-header")
    cpu = process_cpu(server.proc.pid) - cpu0 - server.idle * (time.monotonic() - t0)
    fields = [x.split(", ") for x in out.splitlines() if x.count(", ") >= 9]
    if not fields or int(float(fields[-1][4])) < records:
        raise host.BenchError(f"ConsumerPerformance read too little: {out.strip()[-300:]}")
    return {"cpu": cpu, "mb_s": float(fields[-1][8]), "records": int(float(fields[-1][4]))}


def forget(server, topic):
    """Takes a topic's files out of the page cache, so that the next read comes from the disk."""
    for path in server.files(topic):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
