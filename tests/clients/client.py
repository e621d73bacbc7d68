# SPDX-License-Identifier: Apache-2.0
"""A confluent-kafka client that does what it is told: a JSON line in, a JSON line out.

client.py BOOTSTRAP [NAME=VALUE librdkafka settings]; sltest/client.py is the other end. A request is
{"do": NAME, ...}; the answer {"ok": ...} or {"error": TEXT}. Ends with its stdin.
"""

import base64
import hashlib
import json
import struct
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic

from messages import h64

# Headers that the uplink adds: not of the record itself.
ADDED = {"sluice.gateway", "sluice.topic", "sluice.partition", "sluice.offset"}
STAMP = "sluice.timestamp"  # what the record's timestamp was, where librdkafka cannot carry it


def digest(key, value, ts, headers):
    """Of all that must arrive unchanged. A header's value may be null; so may key and value."""
    h = hashlib.blake2b(struct.pack("<qii", ts, -1 if key is None else len(key), -1 if value is None else len(value)),
                        digest_size=8)
    h.update(key or b"")
    h.update(value or b"")
    for name, content in headers:
        h.update(struct.pack("<ii", len(name), -1 if content is None else len(content)))
        h.update(name.encode())
        h.update(content or b"")
    return h.hexdigest()


def split(headers):
    """(those of the record, those that the uplink added)."""
    own, added = [], {}
    for name, content in headers or ():
        if name in ADDED or name == STAMP:
            added[name] = (content or b"").decode(errors="replace")
        else:
            own.append((name, content))
    return own, added


def row(m):
    """A line of carried.py's: where it lies, what it is, where it says that it comes from."""
    own, added = split(m.headers())
    _, ts = m.timestamp()
    if STAMP in added:
        ts = int(added[STAMP])
    word = [added.get(name) or "-" for name in ("sluice.gateway", "sluice.topic", "sluice.partition", "sluice.offset")]
    return f"{m.topic()} {m.partition()} {m.offset()} {h64(m.key())} {h64(m.value())} " \
           f"{digest(m.key(), m.value(), ts, own)} {' '.join(word)}\n"


class Client:
    def __init__(self, conf):
        self.conf = {"reconnect.backoff.max.ms": 500, "socket.timeout.ms": 10000, "log_level": 0, **conf}
        self.admin = AdminClient(self.conf)
        self._looker = None

    def consumer(self, **kw):
        # Large fetches: a test reads hundreds of thousands of records to their end.
        return Consumer({**self.conf, "group.id": "slt-unused", "enable.auto.commit": False, "enable.partition.eof": True,
                         "auto.offset.reset": "earliest", "fetch.wait.max.ms": 50, "queued.min.messages": 50000, **kw})

    @property
    def looker(self):
        if not self._looker:
            self._looker = self.consumer()
        return self._looker

    def parts(self, topic):
        found = self.looker.list_topics(topic, timeout=10).topics[topic]
        if found.error:
            raise RuntimeError(str(found.error))
        return found.partitions

    # ---- administration ----

    def brokers(self):
        return sorted(self.admin.list_topics(timeout=5).brokers)

    def topics(self):
        return sorted(self.admin.list_topics(timeout=10).topics)

    def create(self, topic, partitions, replication=-1, config=None):
        new = NewTopic(topic, num_partitions=partitions, replication_factor=replication, config=config or {})
        self.admin.create_topics([new], request_timeout=20)[topic].result()
        return True

    def delete(self, topic):
        self.admin.delete_topics([topic], request_timeout=20)[topic].result()
        return True

    def grow(self, topic, partitions):
        self.admin.create_partitions([NewPartitions(topic, partitions)], request_timeout=20)[topic].result()
        return True

    def empty(self, topic):
        """DeleteRecords of all there is."""
        ends = [TopicPartition(topic, p, OFFSET_END) for p in self.parts(topic)]
        for f in self.admin.delete_records(ends).values():
            f.result()
        return True

    def configure(self, topic, config):
        to = [ConfigEntry(k, str(v), incremental_operation=AlterConfigOpType.SET) for k, v in config.items()]
        r = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=to)
        self.admin.incremental_alter_configs([r])[r].result()
        return True

    def settings(self, topic):
        r = ConfigResource(ConfigResource.Type.TOPIC, topic)
        return {k: e.value for k, e in self.admin.describe_configs([r])[r].result().items()}

    def leaders(self, topic):
        return {p: m.leader for p, m in self.parts(topic).items()}

    def coordinator(self, transactional_id):
        """The node that coordinates a transactional id: leader of its partition of __transaction_state."""
        h = 0
        for c in transactional_id:
            h = (31 * h + ord(c)) & 0xffffffff
        parts = self.parts("__transaction_state")
        return parts[(h & 0x7fffffff) % len(parts)].leader

    def ends(self, topic):
        """{partition: [first offset, end]}; transaction markers have offsets too."""
        return {p: self.looker.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in self.parts(topic)}

    # ---- reading ----

    def every(self, topics, isolation, limit_s):
        """Yields the messages of all partitions up to the end that each has when it is reached."""
        c = self.consumer(**{"isolation.level": isolation})
        try:
            todo = {(t, p) for t in topics for p in self.parts(t)}
            c.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t, p in todo])
            limit = time.monotonic() + limit_s
            while todo:
                if time.monotonic() > limit:
                    raise RuntimeError(f"not at the end after {limit_s} s: {sorted(todo)}")
                for m in c.consume(10000, 0.2):
                    if not m.error():
                        yield m
                    elif m.error().code() == KafkaError._PARTITION_EOF:
                        todo.discard((m.topic(), m.partition()))
                    elif m.error().fatal():
                        raise RuntimeError(str(m.error()))
        finally:
            c.close()

    def read(self, topics, out, isolation="read_committed", limit_s=60):
        """Rows of all records into a file; their number."""
        count, lines = 0, []
        with open(out, "w", encoding="utf-8") as f:
            for m in self.every(topics, isolation, limit_s):
                lines.append(row(m))
                count += 1
                if len(lines) == 10000:
                    f.write("".join(lines))
                    lines.clear()
            f.write("".join(lines))
        return count

    def show(self, topic, isolation="read_committed", limit_s=30, values=True):
        """All records of a small topic, in full; bytes as base64. values=False: their lengths only."""
        def b64(b):
            return None if b is None else base64.b64encode(b).decode()
        return [{"partition": m.partition(), "offset": m.offset(), "timestamp": m.timestamp()[1], "key": b64(m.key()),
                 "value": b64(m.value()) if values else None, "length": len(m.value() or b""), "hash": h64(m.value()),
                 "headers": [[n, b64(v)] for n, v in m.headers() or ()]} for m in self.every([topic], isolation, limit_s)]

    # ---- writing ----

    def produce(self, topic, records, transactional_id=None, abort=False, limit_s=30):
        """records: [{partition, key, value, timestamp, headers}] as text; {partition: [offsets]} or an error each."""
        conf = {**self.conf, "linger.ms": 5}
        if transactional_id:
            conf["transactional.id"] = transactional_id
        p, got = Producer(conf), []
        if transactional_id:
            p.init_transactions(limit_s)
            p.begin_transaction()
        for i, r in enumerate(records):
            extra = {"timestamp": r["timestamp"]} if r.get("timestamp") else {}
            p.produce(topic, partition=r.get("partition", 0), key=r.get("key"), value=r.get("value", ""),
                      headers=[tuple(h) for h in r.get("headers", ())],
                      on_delivery=lambda e, m, i=i: got.append((i, e.name() if e else m.offset())), **extra)
        if p.flush(limit_s):
            raise RuntimeError("not all delivered")
        if transactional_id:
            (p.abort_transaction if abort else p.commit_transaction)(limit_s)
        return [what for _, what in sorted(got)]

    def bulk(self, topic, sizes, key, limit_s=30):
        """One record per size, each of other bytes, all of one key; the hash of each value."""
        p, out = Producer({**self.conf, "linger.ms": 5, "message.max.bytes": 16 << 20, "acks": "all"}), []
        failed = []
        for n, size in enumerate(sizes):
            value = (f"{n} {size} ".encode() * (size // 4 + 1))[:size]
            out.append(h64(value))
            p.produce(topic, value=value, key=key, on_delivery=lambda e, m: e and failed.append(str(e)))
        if p.flush(limit_s) or failed:
            raise RuntimeError(f"not all delivered: {failed[:3]}")
        return out

    def fence(self, transactional_id, limit_s=60):
        """What a second producer of the same name does to the first one."""
        Producer({**self.conf, "transactional.id": transactional_id}).init_transactions(limit_s)
        return True


def main():
    conf = {"bootstrap.servers": sys.argv[1]}
    conf.update(a.split("=", 1) for a in sys.argv[2:])
    client = Client(conf)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": getattr(client, request.pop("do"))(**request)}
        except Exception as e:  # whoever asked decides what it means
            answer = {"error": f"{type(e).__name__}: {e}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
