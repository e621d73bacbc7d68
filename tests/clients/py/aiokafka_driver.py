# SPDX-License-Identifier: Apache-2.0
"""aiokafka behind the driver contract: aiokafka_driver.py BOOTSTRAP."""

import asyncio
import logging
import sys
import time

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError, for_code

from driver import Lacking, Progress, Record, Taker, read_records, serve

BOOTSTRAP = sys.argv[1]
WAIT = 20
logging.disable(logging.WARNING)


def hello(_):
    return {"client": "aiokafka", "version": aiokafka.__version__, "cooperative": False, "static": True,
            "headers_only": False}


async def produce(req):
    codec, acks = req["codec"], req["acks"]
    p = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=None if codec == "none" else codec,
                         acks=acks if acks == "all" else int(acks), linger_ms=20, max_request_size=16 << 20,
                         max_batch_size=1 << 20, enable_idempotence=req.get("idempotent", False),
                         request_timeout_ms=WAIT * 1000)
    await p.start()
    try:
        sent = [await p.send(req["topic"], value, key, timestamp_ms=t, headers=headers)
                for key, value, headers, t in read_records(req["file"])]
        done = await asyncio.wait_for(asyncio.gather(*sent), WAIT)
    finally:
        await p.stop()
    return {"sent": len(sent), "at": [[m.partition, m.offset] for m in done if m]}


async def consume(req):
    taker = Taker(req)
    c = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None, enable_auto_commit=False,
                         auto_offset_reset="none", fetch_max_wait_ms=100)
    await c.start()
    try:
        c.assign([TopicPartition(req["topic"], p) for p in taker.left])
        for p in taker.left:
            c.seek(TopicPartition(req["topic"], p), taker.begin[p])
        end = time.monotonic() + req.get("timeout", WAIT)
        while taker.left and time.monotonic() < end:
            for records in (await c.getmany(timeout_ms=200)).values():
                for r in records:
                    taker.take(Record(r.partition, r.offset, r.timestamp, r.key, r.value, list(r.headers)))
    finally:
        await c.stop()
    return taker.result()


async def bare_consumer():
    c = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None)
    await c.start()
    return c


async def offsets(req):
    if req["at"] == "max":
        raise Lacking("no lookup of the highest timestamp")
    c = await bare_consumer()
    try:
        parts = [TopicPartition(req["topic"], p) for p in req["partitions"]]
        got = await (c.beginning_offsets if req["at"] == "earliest" else c.end_offsets)(parts)
    finally:
        await c.stop()
    return {"offsets": {tp.partition: o for tp, o in got.items()}}


async def times(req):
    c = await bare_consumer()
    try:
        got = await c.offsets_for_times({TopicPartition(req["topic"], int(p)): t for p, t in req["ts"].items()})
    finally:
        await c.stop()
    return {"offsets": {tp.partition: o.offset if o else -1 for tp, o in got.items()}}


async def group(req):
    if req["strategy"] == "cooperative":
        raise Lacking("no cooperative assignor")
    progress = Progress(req)

    async def member(i):
        more = {"group_instance_id": req["instances"][i]} if req.get("instances") else {}
        c = AIOKafkaConsumer(req["topic"], bootstrap_servers=BOOTSTRAP, group_id=req["group"],
                             enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100,
                             session_timeout_ms=10000, heartbeat_interval_ms=500,
                             partition_assignment_strategy=[RangePartitionAssignor], **more)
        await c.start()
        try:
            while not progress.finished():
                got = await c.getmany(timeout_ms=100)
                records = [(r.partition, r.offset) for batch in got.values() for r in batch]
                positions = progress.took(i, records, {tp.partition for tp in c.assignment()})
                if not positions:
                    continue
                try:
                    await c.commit({TopicPartition(req["topic"], p): o for p, o in positions.items()})
                    progress.commit_done(i)
                except KafkaError as e:
                    progress.commit_failed(e)
        finally:
            await c.stop()
    await asyncio.gather(*(member(i) for i in range(req["members"])))
    return progress.result()


def raise_codes(node):
    """Raises the first error code found anywhere in an answer."""
    if isinstance(node, dict):
        if node.get("error_code"):
            raise for_code(node["error_code"])(str(node.get("error_message") or ""))
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for n in node:
            raise_codes(n)


async def with_admin(call):
    a = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP, request_timeout_ms=WAIT * 1000)
    await a.start()
    try:
        answer = await call(a)
        for r in answer if isinstance(answer, list) else [answer]:
            if hasattr(r, "to_object"):
                raise_codes(r.to_object())
        return answer
    finally:
        await a.close()


async def committed(req):
    got = await with_admin(lambda a: a.list_consumer_group_offsets(req["group"]))
    return {"offsets": {tp.partition: o.offset for tp, o in got.items() if tp.topic == req["topic"]}}


async def create(req):
    await with_admin(lambda a: a.create_topics([NewTopic(req["topic"], req["partitions"], 1,
                                                         topic_configs=req.get("configs", {}))]))


async def describe(req):
    (t,) = await with_admin(lambda a: a.describe_topics([req["topic"]]))
    return {"partitions": len(t["partitions"])}


async def grow(req):
    await with_admin(lambda a: a.create_partitions({req["topic"]: NewPartitions(req["total"])}))


async def configs(req):
    got = await with_admin(lambda a: a.describe_configs([ConfigResource(ConfigResourceType.TOPIC, req["topic"])]))
    (res,) = got[0].to_object()["resources"]
    return {"configs": {e["config_names"]: e["config_value"] for e in res["config_entries"]}}


async def alter(req):
    # The only alteration it has replaces the whole set: what shall stay must be given too.
    await with_admin(lambda a: a.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, req["topic"], {**req["keep"], **req["set"]})]))


async def delete_records(req):
    got = await with_admin(lambda a: a.delete_records(
        {TopicPartition(req["topic"], int(p)): RecordsToDelete(o) for p, o in req["before"].items()}))
    return {"low": {tp.partition: low for tp, low in got.items()}}


async def groups(_):
    return {"groups": [g[0] for g in await with_admin(lambda a: a.list_consumer_groups())]}


async def describe_group(req):
    got = await with_admin(lambda a: a.describe_consumer_groups([req["group"]]))
    (d,) = got[0].to_object()["groups"]
    return {"state": d["state"], "members": len(d["members"])}


async def delete_topic(req):
    await with_admin(lambda a: a.delete_topics([req["topic"]]))


def blocking(f):
    return lambda req: asyncio.run(f(req))


if __name__ == "__main__":
    serve({"hello": hello, **{f.__name__: blocking(f) for f in (
        produce, consume, offsets, times, group, committed, create, describe, grow, configs, alter, delete_records,
        groups, describe_group, delete_topic)}})
