# SPDX-License-Identifier: Apache-2.0
"""kafka-python as one client of the matrix; the same arguments as matrix_confluent.py."""

import json
import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def produce(bootstrap, topic, codec, acks):
    acks = acks if acks == "all" else int(acks)
    p = KafkaProducer(bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec, acks=acks,
                      linger_ms=5, enable_idempotence=acks == "all")
    sent = [p.send(topic, line) for line in sys.stdin.buffer.read().splitlines()]
    p.flush(30)
    for f in sent:
        f.get(timeout=30)
    p.close()


def consume(bootstrap, topic, ends):
    ends = {int(p): end for p, end in json.loads(ends).items()}
    c = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False)
    parts = [TopicPartition(topic, p) for p in ends]
    c.assign(parts)
    c.seek_to_beginning(*parts)
    left = {p for p, end in ends.items() if end > 0}
    while left:
        got = c.poll(timeout_ms=20000, max_records=5000)
        if not got:
            sys.exit(f"nothing more came; partitions not at their end: {left}")
        for tp, records in got.items():
            for r in records:
                sys.stdout.buffer.write(b"%d %d %s\n" % (tp.partition, r.offset, r.value))
            if records[-1].offset + 1 >= ends[tp.partition]:
                left.discard(tp.partition)
    c.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:])
