# SPDX-License-Identifier: Apache-2.0
"""kafka-python behind the driver contract: kafka_python_driver.py BOOTSTRAP."""

import logging
import sys
import time

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError
from kafka.protocol.consumer import OffsetSpec

from driver import Record, Taker, read_records, run_group, serve

BOOTSTRAP = sys.argv[1]
WAIT = 20
logging.disable(logging.WARNING)
admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP, request_timeout_ms=WAIT * 1000)


def hello(_):
    return {"client": "kafka-python", "version": kafka.__version__, "cooperative": True, "static": True,
            "null_headers": False, "headers_only": False}


def produce(req):
    codec, acks = req["codec"], req["acks"]
    p = KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=None if codec == "none" else codec,
                      acks=acks if acks == "all" else int(acks), linger_ms=20, max_request_size=16 << 20,
                      enable_idempotence=req.get("idempotent", False), delivery_timeout_ms=WAIT * 1000,
                      request_timeout_ms=WAIT * 500)
    try:
        sent = [p.send(req["topic"], value, key, headers=headers, timestamp_ms=t)
                for key, value, headers, t in read_records(req["file"])]
        p.flush(WAIT)
        done = [f.get(WAIT) for f in sent]
    finally:
        p.close(5)
    return {"sent": len(sent), "at": [[m.partition, m.offset] for m in done]}


def consume(req):
    taker = Taker(req)
    c = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None, enable_auto_commit=False, auto_offset_reset="none",
                      fetch_max_wait_ms=100)
    try:
        c.assign([TopicPartition(req["topic"], p) for p in taker.left])
        for p in taker.left:
            c.seek(TopicPartition(req["topic"], p), taker.begin[p])
        end = time.monotonic() + req.get("timeout", WAIT)
        while taker.left and time.monotonic() < end:
            for records in c.poll(200, 500).values():
                for r in records:
                    taker.take(Record(r.partition, r.offset, r.timestamp, r.key, r.value, r.headers or []))
    finally:
        c.close(autocommit=False)
    return taker.result()


def offsets(req):
    spec = {"earliest": OffsetSpec.EARLIEST, "latest": OffsetSpec.LATEST, "max": OffsetSpec.MAX_TIMESTAMP}[req["at"]]
    got = admin.list_partition_offsets({TopicPartition(req["topic"], p): spec for p in req["partitions"]})
    return {"offsets": {tp.partition: o.offset for tp, o in got.items()}}


def times(req):
    c = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None)
    try:
        got = c.offsets_for_times({TopicPartition(req["topic"], int(p)): t for p, t in req["ts"].items()})
    finally:
        c.close(autocommit=False)
    return {"offsets": {tp.partition: o.offset if o else -1 for tp, o in got.items()}}


class Member:
    rebalancing = KafkaError

    def __init__(self, req, index):
        self.topic = req["topic"]
        strategy = CooperativeStickyAssignor if req["strategy"] == "cooperative" else RangePartitionAssignor
        more = {"group_instance_id": req["instances"][index]} if req.get("instances") else {}
        self.consumer = KafkaConsumer(req["topic"], bootstrap_servers=BOOTSTRAP, group_id=req["group"],
                                      enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100,
                                      session_timeout_ms=10000, heartbeat_interval_ms=500,
                                      partition_assignment_strategy=[strategy], **more)

    def poll(self):
        # In polls of 100 ms one join in ten never comes to its end, on Apache Kafka too.
        return [(r.partition, r.offset) for records in self.consumer.poll(1000, 200).values() for r in records]

    def assigned(self):
        return {tp.partition for tp in self.consumer.assignment()}

    def commit(self, positions):
        self.consumer.commit({TopicPartition(self.topic, p): OffsetAndMetadata(o, "", -1)
                              for p, o in positions.items()}, timeout_ms=5000)

    def close(self):
        self.consumer.close(autocommit=False)


def group(req):
    return run_group(req, Member)


def committed(req):
    got = admin.list_group_offsets(req["group"])[req["group"]]
    return {"offsets": {tp.partition: o.offset for tp, o in got.items() if tp.topic == req["topic"]}}


def create(req):
    admin.create_topics({req["topic"]: {"num_partitions": req["partitions"], "replication_factor": 1,
                                        "configs": req.get("configs", {})}})


def describe(req):
    (t,) = admin.describe_topics([req["topic"]])
    return {"partitions": len(t["partitions"])}


def grow(req):
    admin.create_partitions({req["topic"]: req["total"]})


def configs(req):
    (per_type,) = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, req["topic"])],
                                         config_filter="all").values()
    return {"configs": {name: entry["value"] for name, entry in per_type[req["topic"]].items()}}


def alter(req):
    got = admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, req["topic"], dict(req["set"]))],
                              incremental=True)
    for results in got.values():
        for result in results.values():
            if isinstance(result, KafkaError) or isinstance(result, type) and issubclass(result, KafkaError):
                raise RuntimeError(str(result))


def delete_records(req):
    got = admin.delete_records({TopicPartition(req["topic"], int(p)): o for p, o in req["before"].items()})
    return {"low": {tp.partition: m["low_watermark"] for tp, m in got.items()}}


def groups(_):
    return {"groups": [g["group_id"] for g in admin.list_groups()]}


def describe_group(req):
    d = admin.describe_groups([req["group"]])[req["group"]]
    return {"state": d["group_state"], "members": len(d["members"])}


def delete_group(req):
    (result,) = admin.delete_groups([req["group"]]).values()
    if result != "OK":
        raise RuntimeError(result)


def delete_topic(req):
    admin.delete_topics([req["topic"]])


if __name__ == "__main__":
    serve({f.__name__: f for f in (hello, produce, consume, offsets, times, group, committed, create, describe, grow,
                                   configs, alter, delete_records, groups, describe_group, delete_group, delete_topic)})
