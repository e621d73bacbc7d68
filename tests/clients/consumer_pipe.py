# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka reading every partition of a topic from its beginning, until it is ended.

consumer_pipe.py BOOTSTRAP TOPIC: prints "partition offset value" per record. Partitions are
assigned, not subscribed: no consumer group is needed.
"""

import signal
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition


def main():
    bootstrap, topic = sys.argv[1:3]
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    c = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False,
                  "fetch.wait.max.ms": 50, "fetch.min.bytes": 1, "auto.offset.reset": "error"})
    parts = c.list_topics(topic, timeout=20).topics[topic].partitions
    c.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in parts])
    out = sys.stdout.buffer
    while going:
        messages = c.consume(num_messages=10000, timeout=0.2)
        lines = []
        for m in messages:
            if m.error():
                print(m.error(), file=sys.stderr, flush=True)
                continue
            lines.append(b"%d %d %s\n" % (m.partition(), m.offset(), m.value() or b""))
        out.write(b"".join(lines))
        out.flush()
    c.close()


if __name__ == "__main__":
    main()
