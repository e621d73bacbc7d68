# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka as one client of the matrix (tests/integration/t3_clients.py).

produce BOOTSTRAP TOPIC CODEC ACKS: a message per line of stdin. Fails if one is not acknowledged.
consume BOOTSTRAP TOPIC ENDS: reads each partition to the end given in JSON; a line per record.
"""

import json
import sys

from confluent_kafka import Consumer, Producer, TopicPartition


def produce(bootstrap, topic, codec, acks):
    errors, answered = [], [0]

    def answer(err, _msg):
        answered[0] += 1
        if err:
            errors.append(str(err))
    p = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "acks": acks, "linger.ms": 5})
    lines = sys.stdin.buffer.read().splitlines()
    for line in lines:
        p.produce(topic, line, on_delivery=answer)
        p.poll(0)
    p.flush(30)
    if errors or answered[0] != len(lines):
        sys.exit(f"{answered[0]} of {len(lines)} answered, errors: {errors[:3]}")


def consume(bootstrap, topic, ends):
    ends = {int(p): end for p, end in json.loads(ends).items()}
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    c.assign([TopicPartition(topic, p, 0) for p in ends])
    left = {p for p, end in ends.items() if end > 0}
    quiet = 0
    while left:
        messages = c.consume(num_messages=5000, timeout=0.5)
        quiet = 0 if messages else quiet + 1
        if quiet > 40:
            sys.exit(f"nothing more came; partitions not at their end: {left}")
        for m in messages:
            if m.error():
                sys.exit(str(m.error()))
            sys.stdout.buffer.write(b"%d %d %s\n" % (m.partition(), m.offset(), m.value()))
            if m.offset() + 1 >= ends[m.partition()]:
                left.discard(m.partition())
    c.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:])
