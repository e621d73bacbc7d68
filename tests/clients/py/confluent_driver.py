# SPDX-License-Identifier: Apache-2.0
"""confluent-kafka (librdkafka) behind the driver contract: confluent_driver.py BOOTSTRAP."""

import sys
import time

import confluent_kafka
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

from driver import Record, Taker, read_records, run_group, serve

BOOTSTRAP = sys.argv[1]
BASE = {"bootstrap.servers": BOOTSTRAP, "log_level": 3}
WAIT = 20


ADMIN = AdminClient(BASE)


def admin_that_knows():
    """It looks partitions up in what it knows of them: made to ask again."""
    ADMIN.list_topics(timeout=WAIT)
    return ADMIN


def one(futures):
    """The result of a call about a single thing."""
    (future,) = futures.values()
    return future.result(WAIT)


def hello(_):
    return {"client": "confluent-kafka", "version": f"{confluent_kafka.__version__} (librdkafka "
            f"{confluent_kafka.libversion()[0]})", "cooperative": True, "static": True}


def produce(req):
    errors, at = [], []

    def answer(err, m):
        if err:
            errors.append(str(err))
        else:
            at.append([m.partition(), m.offset()])
    conf = {**BASE, "compression.type": req["codec"], "acks": req["acks"], "linger.ms": 20,
            "enable.idempotence": req.get("idempotent", False), "message.max.bytes": 16 << 20,
            "message.timeout.ms": WAIT * 1000}
    p, sent = Producer(conf), 0
    for key, value, headers, t in read_records(req["file"]):
        p.produce(req["topic"], value, key, headers=headers, timestamp=t, on_delivery=answer)
        sent += 1
    p.flush(WAIT + 5)
    if errors:
        raise RuntimeError(errors[0])
    if len(at) != sent:
        raise RuntimeError(f"{len(at)} of {sent} answered")
    return {"sent": sent, "at": at}


def record_of(m):
    return Record(m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers() or [])


def consume(req):
    taker = Taker(req)
    c = Consumer({**BASE, "group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": "error",
                  "fetch.wait.max.ms": 100})
    try:
        c.assign([TopicPartition(req["topic"], p, taker.begin[p]) for p in taker.left])
        end = time.monotonic() + req.get("timeout", WAIT)
        while taker.left and time.monotonic() < end:
            for m in c.consume(500, 0.2):
                if m.error():
                    raise KafkaException(m.error())
                taker.take(record_of(m))
    finally:
        c.close()
    return taker.result()


def offsets(req):
    spec = {"earliest": OffsetSpec.earliest, "latest": OffsetSpec.latest, "max": OffsetSpec.max_timestamp}[req["at"]]()
    got = admin_that_knows().list_offsets({TopicPartition(req["topic"], p): spec for p in req["partitions"]}, request_timeout=WAIT)
    return {"offsets": {tp.partition: f.result(WAIT).offset for tp, f in got.items()}}


def times(req):
    c = Consumer({**BASE, "group.id": "unused"})
    try:
        got = c.offsets_for_times([TopicPartition(req["topic"], int(p), t) for p, t in req["ts"].items()], timeout=WAIT)
    finally:
        c.close()
    return {"offsets": {tp.partition: max(tp.offset, -1) for tp in got}}


class Member:
    """One member of a group, as run_group drives it."""
    rebalancing = KafkaException

    def __init__(self, req, index):
        conf = {**BASE, "group.id": req["group"], "enable.auto.commit": False, "auto.offset.reset": "earliest",
                "session.timeout.ms": 10000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 100,
                "partition.assignment.strategy": "cooperative-sticky" if req["strategy"] == "cooperative" else "range"}
        if req.get("instances"):
            conf["group.instance.id"] = req["instances"][index]
        self.topic, self.consumer = req["topic"], Consumer(conf)
        self.consumer.subscribe([req["topic"]])

    def poll(self):
        messages = self.consumer.consume(200, 0.1)
        for m in messages:
            if m.error():
                raise KafkaException(m.error())
        return [(m.partition(), m.offset()) for m in messages]

    def assigned(self):
        return {tp.partition for tp in self.consumer.assignment()}

    def commit(self, positions):
        got = self.consumer.commit(offsets=[TopicPartition(self.topic, p, o) for p, o in positions.items()],
                                   asynchronous=False)
        for tp in got:
            if tp.error:
                raise KafkaException(tp.error)

    def close(self):
        self.consumer.close()


def group(req):
    return run_group(req, Member)


def committed(req):
    spec = ConsumerGroupTopicPartitions(req["group"])
    got = one(ADMIN.list_consumer_group_offsets([spec], request_timeout=WAIT))
    return {"offsets": {tp.partition: tp.offset for tp in got.topic_partitions if tp.topic == req["topic"]}}


def create(req):
    one(ADMIN.create_topics([NewTopic(req["topic"], req["partitions"], 1, config=req.get("configs", {}))],
                            request_timeout=WAIT))


def describe(req):
    # All topics: asking for one would create it.
    t = ADMIN.list_topics(timeout=WAIT).topics.get(req["topic"])
    if t is None or t.error:
        return {"partitions": 0}
    return {"partitions": len(t.partitions)}


def grow(req):
    one(ADMIN.create_partitions([NewPartitions(req["topic"], req["total"])], request_timeout=WAIT))


def resource(req, **kw):
    return ConfigResource(ResourceType.TOPIC, req["topic"], **kw)


def configs(req):
    got = one(ADMIN.describe_configs([resource(req)], request_timeout=WAIT))
    return {"configs": {name: entry.value for name, entry in got.items()}}


def alter(req):
    entries = [ConfigEntry(n, v, incremental_operation=AlterConfigOpType.SET) for n, v in req["set"].items()]
    one(ADMIN.incremental_alter_configs([resource(req, incremental_configs=entries)], request_timeout=WAIT))


def delete_records(req):
    got = admin_that_knows().delete_records([TopicPartition(req["topic"], int(p), o) for p, o in req["before"].items()],
                               request_timeout=WAIT)
    return {"low": {tp.partition: f.result(WAIT).low_watermark for tp, f in got.items()}}


def groups(_):
    got = ADMIN.list_consumer_groups(request_timeout=WAIT).result(WAIT)
    return {"groups": [g.group_id for g in got.valid]}


def describe_group(req):
    d = one(ADMIN.describe_consumer_groups([req["group"]], request_timeout=WAIT))
    return {"state": d.state.name, "members": len(d.members),
            "instances": sorted(m.group_instance_id for m in d.members if m.group_instance_id)}


def delete_group(req):
    one(ADMIN.delete_consumer_groups([req["group"]], request_timeout=WAIT))


def delete_topic(req):
    one(ADMIN.delete_topics([req["topic"]], request_timeout=WAIT))


if __name__ == "__main__":
    serve({f.__name__: f for f in (hello, produce, consume, offsets, times, group, committed, create, describe, grow,
                                   configs, alter, delete_records, groups, describe_group, delete_group, delete_topic)})
