# SPDX-License-Identifier: Apache-2.0
"""One member of a consumer group, which writes down what it does.

group_member.py CLIENT BOOTSTRAP TOPIC GROUP INSTANCE DIARY: CLIENT is confluent or kafka-python,
INSTANCE a group.instance.id or "-". The diary gets one line per event, each stamped with the
machine's monotonic clock in ns:

  assigned T PARTITION ...      before the position is looked up
  record T PARTITION OFFSET     it has been processed
  commit T PARTITION OFFSET     the gateway has acknowledged this position
  error T TEXT                  a commit or a poll failed; the member goes on

SIGTERM: commits, leaves, ends.
"""

import signal
import sys
import time

BATCH = 500
COMMIT_S = 0.5


class Diary:
    def __init__(self, path):
        self.file = open(path, "a", buffering=1 << 16)

    def write(self, what, *rest):
        self.file.write(" ".join(map(str, (what, time.monotonic_ns(), *rest))) + "\n")

    def flush(self):
        self.file.flush()


class Work:
    """What has been processed and not committed; committed twice a second, and when asked."""

    def __init__(self, diary, commit):
        self.diary, self.commit = diary, commit
        self.done, self.due = {}, time.monotonic() + COMMIT_S

    def process(self, partition, offset):
        self.diary.write("record", partition, offset)
        self.done[partition] = offset + 1

    def maybe_commit(self):
        self.diary.flush()
        if self.done and time.monotonic() >= self.due:
            self.commit_now()

    def commit_now(self):
        done, self.done = self.done, {}
        self.due = time.monotonic() + COMMIT_S
        if not done:
            return
        try:
            self.commit(done)
        except Exception as e:  # a rebalance, or the gateway is away: again, unless others have it then
            self.done = {**done, **self.done}
            self.diary.write("error", repr(e).replace("\n", " ")[:200])
        else:
            for p, offset in done.items():
                self.diary.write("commit", p, offset)
        self.diary.flush()


def run_confluent(bootstrap, topic, group, instance, diary, going):
    from confluent_kafka import Consumer, TopicPartition
    conf = {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
            "fetch.wait.max.ms": 50, "partition.assignment.strategy": "range", "log_level": 0}
    if instance:
        conf["group.instance.id"] = instance
    c = Consumer(conf)

    def commit(done):
        for p in c.commit(offsets=[TopicPartition(topic, p, o) for p, o in done.items()], asynchronous=False):
            if p.error:
                raise RuntimeError(str(p.error))
    work = Work(diary, commit)

    def assigned(_, parts):
        work.done.clear()
        diary.write("assigned", *(p.partition for p in parts))
        diary.flush()
    c.subscribe([topic], on_assign=assigned, on_revoke=lambda *_: work.commit_now(),
                on_lost=lambda *_: work.done.clear())
    while going:
        for m in c.consume(num_messages=BATCH, timeout=0.2):
            if not m.error():
                work.process(m.partition(), m.offset())
        work.maybe_commit()
    work.commit_now()
    c.close()


def run_kafka_python(bootstrap, topic, group, instance, diary, going):
    from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
    from kafka.coordinator.assignors.range import RangePartitionAssignor
    from kafka.structs import OffsetAndMetadata
    c = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False,
                      auto_offset_reset="earliest", session_timeout_ms=6000, heartbeat_interval_ms=500,
                      fetch_max_wait_ms=50, max_poll_records=BATCH, group_instance_id=instance or None,
                      partition_assignment_strategy=[RangePartitionAssignor])
    work = Work(diary, lambda done: c.commit({TopicPartition(topic, p): OffsetAndMetadata(o, "", -1)
                                              for p, o in done.items()}))

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            pass  # this client cannot commit from here: others do it again

        def on_partitions_assigned(self, parts):
            work.done.clear()
            diary.write("assigned", *(p.partition for p in parts))
            diary.flush()
    c.subscribe([topic], listener=Listener())
    while going:
        try:
            for tp, messages in c.poll(200).items():
                for m in messages:
                    work.process(tp.partition, m.offset)
        except Exception as e:  # the gateway is away: the client finds it again
            diary.write("error", repr(e).replace("\n", " ")[:200])
        work.maybe_commit()
    work.commit_now()
    c.close()


def main():
    client, bootstrap, topic, group, instance, path = sys.argv[1:7]
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    diary = Diary(path)
    run = {"confluent": run_confluent, "kafka-python": run_kafka_python}[client]
    run(bootstrap, topic, group, "" if instance == "-" else instance, diary, going)
    diary.write("left")
    diary.flush()


if __name__ == "__main__":
    main()
