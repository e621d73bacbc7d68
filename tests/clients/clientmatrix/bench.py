# SPDX-License-Identifier: Apache-2.0
"""What all clients of the matrix share: the broker, the topics to read, the live group."""

import itertools
import threading

from sltest.base import say, wait_for

from . import records
from .deps import LIBRARIES
from .proc import Answered, Driver
from .report import expect

REF_TOPIC, LIVE_TOPIC, LIVE_GROUP = "m.reference", "m.live", "g.live"


class Bench:
    def __init__(self, scope, report, bootstrap, seed, udp_topic, udp_partitions):
        self.scope, self.report, self.bootstrap, self.seed = scope, report, bootstrap, seed
        self.udp_topic, self.udp_partitions = udp_topic, udp_partitions
        self.ref_topic, self.live_group = REF_TOPIC, LIVE_GROUP
        self.counter, self.watcher = itertools.count(), None
        self.beside_udp, self.lock = 0, threading.Lock()

    def path(self, name):
        return self.scope.path(name)

    def produced_beside_udp(self, count):
        with self.lock:
            self.beside_udp += count

    def driver(self, client, label=None):
        _, argv, env = LIBRARIES[client]
        d = Driver(self.scope, f"{label or client}-{next(self.counter)}", argv, env, self.bootstrap)
        d.name = client
        return d

    def dump(self, reader, topic, begin, end):
        path = self.path(f"dump-{next(self.counter)}")
        reader.do("consume", topic=topic, file=path, **{"from": begin, "to": end})
        return records.read_dump(path)

    def create(self, client, topic, partitions, **configs):
        """A topic by a client, ready: a fresh topic of Apache Kafka is in the metadata before it has its leaders."""
        client.do("create", topic=topic, partitions=partitions, configs=configs)
        self.wait_ready(client, topic, partitions)

    def wait_ready(self, client, topic, partitions):
        def ready():
            try:
                got = client.offsets("offsets", topic=topic, partitions=list(range(partitions)), at="latest")
                return len(got) == partitions
            except Answered:
                return False
        wait_for(f"{topic} with {partitions} partitions", ready, 20)

    def describe_group(self, group):
        return self.watcher.do("describe_group", group=group)

    def prepare(self):
        """The reference topic, written by one client and read back by another; the live group."""
        writer, reader = self.driver("confluent-kafka", "writer"), self.driver("kafka-python", "reader")
        self.watcher = writer
        self.create(writer, REF_TOPIC, 3)
        make, sent = records.Maker(f"{self.seed}/reference"), []
        for i, codec in enumerate(("none", "gzip", "snappy", "lz4", "zstd") * 2):
            cell = make.cell(20, big=i == 3) + make.jittered(60)
            path = records.write(self.path(f"reference-{i}"), cell)
            writer.do("produce", topic=REF_TOPIC, codec=codec, acks="all", file=path)
            sent += cell
        self.ref_ends = reader.offsets("offsets", topic=REF_TOPIC, partitions=[0, 1, 2], at="latest")
        self.ref_records = self.dump(reader, REF_TOPIC, dict.fromkeys(self.ref_ends, 0), self.ref_ends)
        expect(len(self.ref_records) == len(sent), f"{len(self.ref_records)} records read, {len(sent)} sent")
        records.find_cell(sent, self.ref_records)
        reader.end()
        say(f"reference topic: {len(sent)} records, {self.ref_ends}")
        self.start_live_group()

    def start_live_group(self):
        """Two members that stay until the end: the ends they wait for never come."""
        self.create(self.watcher, LIVE_TOPIC, 4)
        holder = self.driver("confluent-kafka", "live")
        holder.send({"do": "group", "group": LIVE_GROUP, "topic": LIVE_TOPIC, "members": 2, "strategy": "range",
                     "ends": {0: 1 << 40}, "timeout": 3600})

        def stable():
            try:
                d = self.watcher.do("describe_group", group=LIVE_GROUP)
            except Answered:  # a fresh Apache Kafka is not its coordinator at once
                return False
            return d["state"] == "STABLE" and d["members"] == 2
        wait_for("the live group", stable, 30)
