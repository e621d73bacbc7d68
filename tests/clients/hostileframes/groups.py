# SPDX-License-Identifier: Apache-2.0
"""Requests of groups and committed offsets."""

from .cases import Case
from .wire import NO_TAGS, array, compact, compact_array, data, frame, i8, i16, i32, i64, string

INT_MAX, INT_MIN = 2**31 - 1, -2**31
SUBSCRIPTION = i16(0) + array(string("hostile")) + data(None)


def join(name, *, version=2, group="h-join", session=10000, rebalance=10000, member="", kind="consumer", instance=None,
         protocols=None, **case):
    protocols = array(string("range") + data(SUBSCRIPTION)) if protocols is None else protocols
    body = string(group) + i32(session) + (i32(rebalance) if version >= 1 else b"") + string(member)
    body += (string(instance) if version >= 5 else b"") + string(kind) + protocols
    return Case(f"JoinGroup v{version}: {name}", frame(11, version, body), 11, version, **case)


def joins():
    yield join("no group id", group="")
    yield join("unknown member", member="nobody")
    for session in (-1, 0, 5999, 1800001, INT_MAX):
        yield join(f"session timeout {session}", session=session)
    yield join("rebalance timeout -1", group="h-join-1", rebalance=-1, version=5)
    yield join("no protocols", protocols=array())
    yield join("no protocol type", kind="")
    yield join("a protocol without a name", group="h-join-2", version=5, protocols=array(string("") + data(b"x")))
    yield join("metadata null", protocols=array(string("range") + data(None)))
    yield join("metadata of length -2", protocols=array(string("range") + i32(-2)))
    yield join("metadata of 2147483647", protocols=array(string("range") + i32(INT_MAX) + b"x"))
    for count in (-1, -2, INT_MAX, 1000):
        yield join(f"{count} protocols, none there", protocols=i32(count))
    yield join("65 protocols", group="h-join-3", version=5, protocols=array(*[string(f"p{i}") + data(b"") for i in range(65)]))
    yield join("metadata of 2 MB", group="h-join-4", version=5, protocols=array(string("range") + data(b"m" * (2 << 20))))
    yield join("group id of 32767", group="g" * 32767, version=5)
    yield join("a group id that is no name", group="../a b\0", version=5)
    yield join("static", group="h-join-5", version=5, instance="", member="nobody")
    body = compact("h-join-6") + i32(10000) * 2 + compact("") + compact(None) + compact("consumer") + b"\xff\xff\xff\xff\x0f"
    yield Case("JoinGroup v9: 4294967295 protocols", frame(11, 9, body, flexible=True), 11, 9)
    yield Case("JoinGroup v2: nothing", frame(11, 2), 11, 2)


def members():
    def sync(name, group="h-none", generation=1, member="m", assignments=array(), kind=0):
        return Case(f"SyncGroup v{kind}: {name}", frame(14, kind, string(group) + i32(generation) + string(member) +
                                                        (string(None) if kind >= 3 else b"") + assignments), 14, kind)
    yield sync("unknown group")
    yield sync("no group id", group="")
    yield sync("a generation of -2147483648", generation=INT_MIN)
    for count in (-1, INT_MAX, 1000):
        yield sync(f"{count} assignments, none there", assignments=i32(count))
    yield sync("an assignment null", assignments=array(string("m") + data(None)))
    yield Case("Heartbeat v0: unknown group", frame(12, 0, string("h-none") + i32(1) + string("m")), 12, 0)
    yield Case("Heartbeat v0: no group id", frame(12, 0, string("") + i32(1) + string("m")), 12, 0)
    yield Case("Heartbeat v0: a member null", frame(12, 0, string("h-none") + i32(1) + i16(-1)), 12, 0)
    yield Case("Heartbeat v3: cut", frame(12, 3, string("h-none") + i32(1)), 12, 3)
    yield Case("LeaveGroup v0: unknown group", frame(13, 0, string("h-none") + string("m")), 13, 0)
    yield Case("LeaveGroup v0: no group id", frame(13, 0, string("") + string("m")), 13, 0)
    yield Case("LeaveGroup v3: unknown members", frame(13, 3, string("h-none") + array(string("a") + string(None),
                                                                                       string("") + string("i"))), 13, 3)
    for count in (-1, INT_MAX, 20000):
        yield Case(f"LeaveGroup v3: {count} members, none there", frame(13, 3, string("h-none") + i32(count)), 13, 3)


def commit(name, *, version=2, group="h-commit", generation=-1, member="", topic="hostile", partition=0, offset=5,
           metadata="note", retention=-1, parts=None, epoch=-1):
    body = string(group) + i32(generation) + string(member) + (string(None) if version >= 7 else b"")
    body += i64(retention) if version <= 4 else b""
    part = i32(partition) + i64(offset) + (i32(epoch) if version >= 6 else b"") + string(metadata)
    body += array(string(topic) + (array(part) if parts is None else parts))
    return Case(f"OffsetCommit v{version}: {name}", frame(8, version, body), 8, version)


def offsets():
    yield commit("good")
    yield commit("no group id", group="")
    yield commit("generation 3 of no group", generation=3, group="h-new")
    yield commit("a member of no group", member="nobody", group="h-new")
    yield commit("unknown topic", topic="nobody")
    yield commit("a bad topic name", topic="a/b")
    yield commit("no topic name", topic="")
    for partition in (-1, 9, INT_MAX):
        yield commit(f"partition {partition}", partition=partition)
    yield commit("offset -1", offset=-1)
    yield commit("offset of -2^63", offset=-2**63)
    yield commit("offset of 2^63 - 1", offset=2**63 - 1)
    yield commit("metadata null", metadata=None)
    yield commit("metadata of 4096", metadata="m" * 4096)
    yield commit("metadata of 4097", metadata="m" * 4097)
    yield commit("retention -5", retention=-5)
    yield commit("retention of 2^63 - 1", retention=2**63 - 1, group="h-forever")
    yield commit("leader epoch 99", version=7, epoch=99)
    yield commit("a partition twice", parts=array(*[i32(0) + i64(5) + string("x")] * 2))
    yield commit("no partitions", parts=array())
    for count in (-1, -2, INT_MAX, 1000):
        yield commit(f"{count} partitions, none there", parts=i32(count))
    yield commit("metadata longer than the frame", parts=array(i32(0) + i64(5) + i16(3000) + b"x"))
    yield Case("OffsetFetch v1: -1 topics", frame(9, 1, string("h-commit") + i32(-1)), 9, 1)
    yield Case("OffsetFetch v5: -1 topics", frame(9, 5, string("h-nobody") + i32(-1)), 9, 5)
    yield Case("OffsetFetch v5: -2 topics", frame(9, 5, string("h-nobody") + i32(-2)), 9, 5)
    yield Case("OffsetFetch v5: no group id", frame(9, 5, string("") + i32(-1)), 9, 5)
    yield Case("OffsetFetch v5: 2147483647 topics", frame(9, 5, string("h-commit") + i32(INT_MAX)), 9, 5)
    yield Case("OffsetFetch v5: unknown topic", frame(9, 5, string("h-commit") + array(string("nobody") + array(i32(0)))), 9, 5)
    yield Case("OffsetFetch v8: 4294967295 groups", frame(9, 8, b"\xff\xff\xff\xff\x0f", flexible=True), 9, 8)
    group = compact("h-nobody") + b"\0" + NO_TAGS
    yield Case("OffsetFetch v8: a group twice", frame(9, 8, compact_array(group, group) + b"\0" + NO_TAGS, flexible=True), 9, 8)
    yield Case("OffsetFetch v8: no groups", frame(9, 8, compact_array() + b"\0" + NO_TAGS, flexible=True), 9, 8)


def of_groups():
    for kind in (0, 1, 2, -1):
        yield Case(f"FindCoordinator v1: key type {kind}", frame(10, 1, string("h-any") + i8(kind)), 10, 1)
    yield Case("FindCoordinator v0: no key", frame(10, 0, string("")), 10, 0)
    yield Case("FindCoordinator v0: key null", frame(10, 0, i16(-1)), 10, 0)
    yield Case("FindCoordinator v4: no keys", frame(10, 4, i8(0) + compact_array() + NO_TAGS, flexible=True), 10, 4)
    yield Case("FindCoordinator v4: 4294967295 keys", frame(10, 4, i8(0) + b"\xff\xff\xff\xff\x0f", flexible=True), 10, 4)
    yield Case("DescribeGroups v0: unknown and empty", frame(15, 0, array(string("h-none"), string(""))), 15, 0)
    yield Case("DescribeGroups v0: a group null", frame(15, 0, array(i16(-1))), 15, 0)
    yield Case("DescribeGroups v0: 2147483647 groups", frame(15, 0, i32(INT_MAX)), 15, 0)
    yield Case("ListGroups v4: an unknown state", frame(16, 4, compact_array(compact("Sleeping")) + NO_TAGS, flexible=True), 16, 4)
    yield Case("ListGroups v4: 4294967295 states", frame(16, 4, b"\xff\xff\xff\xff\x0f", flexible=True), 16, 4)
    yield Case("DeleteGroups v0: unknown", frame(42, 0, array(string("h-none"))), 42, 0)
    yield Case("DeleteGroups v0: the empty name", frame(42, 0, array(string(""))), 42, 0)
    yield Case("DeleteGroups v0: one twice", frame(42, 0, array(string("h-none"), string("h-none"))), 42, 0)
    yield Case("DeleteGroups v0: -1 groups", frame(42, 0, i32(-1)), 42, 0)
    yield Case("OffsetDelete v0: unknown group", frame(47, 0, string("h-none") + array(string("hostile") + array(i32(0)))), 47, 0)
    yield Case("OffsetDelete v0: no group id", frame(47, 0, string("") + array()), 47, 0)
    yield Case("OffsetDelete v0: unknown partition", frame(47, 0, string("h-commit") + array(string("hostile") + array(i32(9)))), 47, 0)
    yield Case("OffsetDelete v0: 2147483647 topics", frame(47, 0, string("h-commit") + i32(INT_MAX)), 47, 0)


def everything():
    for group in (joins(), members(), offsets(), of_groups()):
        yield from group
