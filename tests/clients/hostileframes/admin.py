# SPDX-License-Identifier: Apache-2.0
"""Requests that make, change and describe topics."""

from .cases import Case
from .wire import NO_TAGS, array, compact, compact_array, frame, i8, i16, i32, i64, string

INT_MAX, INT_MIN = 2**31 - 1, -2**31
TOPIC, BROKER = 2, 4


def create_body(*topics, timeout=5000, validate_only=False):
    return array(*topics) + i32(timeout) + i8(validate_only)


def new_topic(name="h-new", partitions=1, replicas=1, assignment=array(), configs=array()):
    return string(name) + i32(partitions) + i16(replicas) + assignment + configs


def create(name, *topics, version=4, **args):
    return Case(f"CreateTopics v{version}: {name}", frame(19, version, create_body(*topics, **args)), 19, version, seconds=6)


def creates():
    for partitions in (0, -1, -2, 10001, INT_MAX, INT_MIN):
        yield create(f"{partitions} partitions", new_topic(partitions=partitions), validate_only=True)
    for replicas in (0, -2, 2, 32767):
        yield create(f"{replicas} replicas", new_topic(replicas=replicas), validate_only=True)
    for name in ("", ".", "..", "a/b", "../x", "n" * 249, "n" * 250, "a b", "é", b"\xff", "__consumer_offsets", "hostile",
                 "host_ile", "h.os-tile"):
        shown = name if len(name) < 20 else f"{name[0]} x {len(name)}"
        yield create(f"name {shown!r}", new_topic(name), validate_only=True)
    yield create("name null", i16(-1) + new_topic()[7:], validate_only=True)
    yield create("one twice", new_topic(), new_topic())
    yield create("timeout 0", new_topic(), timeout=0)
    yield create("timeout -1", new_topic(), timeout=-1)
    yield create("nothing", timeout=5000)
    for count in (-1, INT_MAX, 1000):
        yield Case(f"CreateTopics v4: {count} topics, none there", frame(19, 4, i32(count)), 19, 4)
        yield create(f"{count} assignments, none there", string("h-new") + i32(-1) + i16(-1) + i32(count))
        yield create(f"{count} settings, none there", string("h-new") + i32(1) + i16(1) + array() + i32(count))
    for shown, assignment in (("to nobody", array(i32(0) + array())), ("to broker 99", array(i32(0) + array(i32(99)))),
                              ("to one twice", array(i32(0) + array(i32(1), i32(1)))),
                              ("from partition 5", array(i32(5) + array(i32(1)))),
                              ("of partition -1", array(i32(-1) + array(i32(1)))),
                              ("of a partition twice", array(*[i32(0) + array(i32(1))] * 2)),
                              ("of partition 2147483647", array(i32(INT_MAX) + array(i32(1))))):
        yield create(f"an assignment {shown}", new_topic(partitions=-1, replicas=-1, assignment=assignment), validate_only=True)
    yield create("an assignment and counts", new_topic(partitions=1, assignment=array(i32(0) + array(i32(1)))), validate_only=True)
    for key, value in (("no.such.key", "1"), ("retention.ms", "-2"), ("retention.ms", "x"), ("retention.ms", ""),
                       ("retention.ms", None), ("retention.ms", "9" * 400), ("segment.bytes", "1"),
                       ("segment.bytes", "99999999999999"), ("max.message.bytes", "-1"), ("cleanup.policy", "shred"), ("cleanup.policy", "compact"),
                       ("compression.type", "rar"), ("message.timestamp.type", "Never"), ("", "1"), ("k" * 3000, "1"),
                       ("min.insync.replicas", "0"), ("unclean.leader.election.enable", "maybe")):
        shown = f"{key[:24]}={'null' if value is None else value[:12]}"
        yield create(f"setting {shown}", new_topic(configs=array(string(key) + string(value))), validate_only=True)
    yield create("a setting twice", new_topic(configs=array(*[string("retention.ms") + string("5000")] * 2)), validate_only=True)


def deletes():
    def by_name(*names, timeout=5000):
        return frame(20, 1, array(*map(string, names)) + i32(timeout))

    def by_id(name, topic):
        return Case(f"DeleteTopics v6: {name}", frame(20, 6, compact_array(*topic) + i32(5000) + NO_TAGS, flexible=True), 20, 6)
    for name in ("nobody", "", "a/b", "n" * 300, "__consumer_offsets_"):
        yield Case(f"DeleteTopics v1: '{name[:20]}'", by_name(name), 20, 1)
    yield Case("DeleteTopics v1: one twice", by_name("nobody", "nobody"), 20, 1)
    yield Case("DeleteTopics v1: timeout 0", by_name("nobody", timeout=0), 20, 1)
    for count in (-1, INT_MAX, 1000):
        yield Case(f"DeleteTopics v1: {count} topics, none there", frame(20, 1, i32(count)), 20, 1)
    unknown, none = bytes(15) + b"\7", bytes(16)
    yield by_id("an unknown id", [compact(None) + unknown + NO_TAGS])
    yield by_id("an unknown id twice", [compact(None) + unknown + NO_TAGS] * 2)
    yield by_id("neither name nor id", [compact(None) + none + NO_TAGS])
    yield by_id("name and id", [compact("hostile") + unknown + NO_TAGS])
    for partition, offset in ((0, 1 << 40), (0, -2), (0, -2**63), (9, 0), (-1, 0)):
        body = array(string("hostile") + array(i32(partition) + i64(offset))) + i32(5000)
        yield Case(f"DeleteRecords v0: partition {partition} to {offset}", frame(21, 0, body), 21, 0, seconds=6)
    body = array(string("nobody") + array(i32(0) + i64(0))) + i32(5000)
    yield Case("DeleteRecords v0: an unknown topic", frame(21, 0, body), 21, 0, seconds=6)
    yield Case("DeleteRecords v0: 2147483647 topics", frame(21, 0, i32(INT_MAX)), 21, 0)
    yield Case("DeleteRecords v0: -1 partitions", frame(21, 0, array(string("hostile") + i32(-1)) + i32(5000)), 21, 0)


def grows():
    def grow(name, *topics, timeout=5000, validate=True):
        return Case(f"CreatePartitions v0: {name}", frame(37, 0, array(*topics) + i32(timeout) + i8(validate)), 37, 0, seconds=6)

    def to(count, topic="hostile", assignment=i32(-1)):
        return string(topic) + i32(count) + assignment
    for count in (1, 0, -1, INT_MAX, 10002):
        yield grow(f"to {count}", to(count))
    yield grow("an unknown topic", to(3, "nobody"))
    yield grow("one twice", to(3), to(3))
    yield grow("timeout 0", to(3), timeout=0)
    yield grow("an assignment to broker 99", to(2, assignment=array(array(i32(99)))))
    yield grow("an assignment too few", to(3, assignment=array(array(i32(1)))))
    yield grow("an assignment to nobody", to(2, assignment=array(array())))
    yield grow("2147483647 assignments", to(3, assignment=i32(INT_MAX)))
    yield grow("-2 assignments", to(3, assignment=i32(-2)))


def settings():
    def alter(name, key, *resources, validate=True):
        return Case(f"{'AlterConfigs' if key == 33 else 'IncrementalAlterConfigs'} v0: {name}",
                    frame(key, 0, array(*resources) + i8(validate)), key, 0, seconds=6)

    def resource(*entries, kind=TOPIC, name="hostile", count=None):
        return i8(kind) + string(name) + array(*entries, count=count)

    def change(key, value, op=0):
        return string(key) + i8(op) + string(value)
    for key, entry in ((33, lambda k, v: string(k) + string(v)), (44, change)):
        yield alter("an unknown key", key, resource(entry("no.such.key", "1")))
        yield alter("a bad value", key, resource(entry("retention.ms", "soon")))
        yield alter("a value null", key, resource(entry("retention.ms", None)))
        yield alter("a key twice", key, resource(entry("retention.ms", "5000"), entry("retention.ms", "5000")))
        yield alter("an unknown topic", key, resource(entry("retention.ms", "5000"), name="nobody"))
        yield alter("a bad topic name", key, resource(entry("retention.ms", "5000"), name="a/b"))
        yield alter("no topic name", key, resource(entry("retention.ms", "5000"), name=""))
        yield alter("resource type 77", key, resource(entry("retention.ms", "5000"), kind=77))
        yield alter("broker 99", key, resource(entry("log.retention.ms", "5000"), kind=BROKER, name="99"))
        yield alter("broker 'x'", key, resource(entry("log.retention.ms", "5000"), kind=BROKER, name="x"))
        yield alter("a topic twice", key, resource(entry("retention.ms", "5000")), resource(entry("retention.ms", "5000")))
        yield alter("2147483647 keys", key, resource(count=INT_MAX))
        yield alter("-1 keys", key, resource(count=-1))
    yield alter("operation 9", 44, resource(change("retention.ms", "5000", 9)))
    yield alter("append to what is no list", 44, resource(change("retention.ms", "5000", 2)))
    yield alter("subtract what is not there", 44, resource(change("cleanup.policy", "compact", 3)))
    yield alter("delete an unknown key", 44, resource(change("no.such.key", None, 1)))


def describes():
    def configs(name, *resources):
        return Case(f"DescribeConfigs v1: {name}", frame(32, 1, array(*resources) + i8(0)), 32, 1, seconds=6)

    def resource(kind=TOPIC, name="hostile", keys=i32(0)):
        return i8(kind) + string(name) + keys
    yield configs("an unknown topic", resource(name="nobody"))
    yield configs("a bad topic name", resource(name="a/b"))
    yield configs("no topic name", resource(name=""))
    yield configs("resource type 77", resource(kind=77))
    yield configs("resource type -1", resource(kind=-1))
    yield configs("broker 99", resource(BROKER, "99"))
    yield configs("broker 'x'", resource(BROKER, "x"))
    yield configs("-2 keys", resource(keys=i32(-2)))
    yield configs("2147483647 keys", resource(keys=i32(INT_MAX)))
    yield configs("a key null", resource(keys=array(i16(-1))))
    yield configs("a topic twice", resource(), resource())
    yield Case("DescribeLogDirs v1: -1 topics", frame(35, 1, i32(-1)), 35, 1)
    yield Case("DescribeLogDirs v1: unknown", frame(35, 1, array(string("nobody") + array(i32(0)))), 35, 1)
    yield Case("DescribeLogDirs v1: 2147483647 topics", frame(35, 1, i32(INT_MAX)), 35, 1)
    body = i32(5000) + compact_array(compact("nobody") + compact_array(i32(0)) + NO_TAGS) + NO_TAGS
    yield Case("ListPartitionReassignments v0: unknown", frame(46, 0, body, flexible=True), 46, 0)
    for name, kind, text in (("user", 0, None), ("user", 1, "x"), ("user", 9, None), ("", 0, "x"), ("shoe", 0, "x"), ("ip", 0, "x")):
        body = array(string(name) + i8(kind) + string(text)) + i8(0)
        yield Case(f"DescribeClientQuotas v0: '{name}' match {kind} {text}", frame(48, 0, body), 48, 0)
    yield Case("DescribeClientQuotas v0: 2147483647 components", frame(48, 0, i32(INT_MAX)), 48, 0)
    yield Case("DescribeCluster v0: nothing", frame(60, 0, flexible=True), 60, 0)


def everything():
    for group in (creates(), deletes(), grows(), settings(), describes()):
        yield from group
