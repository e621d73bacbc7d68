# SPDX-License-Identifier: Apache-2.0
"""Frames and headers, and the reading APIs: sizes, lengths, counts, versions, names."""

from . import wire
from .cases import Case
from .wire import NO_TAGS, array, compact, compact_array, frame, i8, i16, i32, i64, string

# key: the highest version that we serve
SERVED = {0: 9, 1: 12, 2: 7, 3: 12, 8: 8, 9: 8, 10: 4, 11: 9, 12: 4, 13: 5, 14: 5, 15: 5, 16: 5, 18: 4, 19: 7, 20: 6,
          21: 2, 22: 4, 23: 4, 29: 3, 32: 4, 33: 2, 35: 4, 37: 3, 42: 2, 44: 1, 46: 0, 47: 0, 48: 1, 60: 1}
VERSIONS_0 = frame(18, 0, correlation=99)
INT_MAX, INT_MIN = 2**31 - 1, -2**31


def framing(request_max):
    filler = frame(0, 7, size=request_max)
    yield Case("frame: size -1", i32(-1))
    yield Case("frame: size -2147483648", i32(INT_MIN))
    yield Case("frame: size 0", i32(0) + VERSIONS_0)
    yield Case("frame: size 4", i32(4) + i16(18) + i16(0))
    yield Case("frame: size 2147483647", i32(INT_MAX) + b"x" * 100)
    yield Case("frame: one byte too large", i32(request_max + 1) + b"x" * 100, before=VERSIONS_0)
    yield Case("frame: as large as may be", filler + oversize_produce(request_max, len(filler)), 0, 7, before=VERSIONS_0,
               seconds=10)
    yield Case("frame: first of a connection, 5 MB", frame(0, 7, oversize_produce(5_000_000, 21)), 0, 7, seconds=10)
    yield Case("frame: cut, and the client closes", frame(3, 1, array(string("hostile")), size=1000), shut=True)
    yield Case("frame: cut, and the client waits", frame(3, 1, array(string("hostile")), size=1000), seconds=0.4)
    yield Case("frame: nothing but a close", b"", shut=True)
    yield Case("frame: HTTP", b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n")
    yield Case("frame: TLS", bytes.fromhex("160301020001000001fc0303") + b"\x5a" * 500)
    yield Case("header: none behind the correlation id", i32(8) + i16(3) + i16(1) + i32(7))
    yield Case("header: client id null", frame(18, 0, client=None), 18, 0)
    yield Case("header: client id of length -2", i32(10) + i16(18) + i16(0) + i32(7) + i16(-2), 18, 0)
    yield Case("header: client id longer than the frame", i32(14) + i16(18) + i16(0) + i32(7) + i16(500) + b"abcd")
    yield Case("header: client id is no UTF-8", frame(18, 0, client=b"\xff\xfe"), 18, 0)
    yield Case("header: an unknown tag", frame(3, 12, METADATA_12, flexible=True, tags=b"\1\x2a\3abc"), 3, 12)
    yield Case("header: 4294967295 tags", frame(3, 12, METADATA_12, flexible=True, tags=b"\xff\xff\xff\xff\x0f"))
    yield Case("header: a tag longer than the frame", frame(3, 12, METADATA_12, flexible=True, tags=b"\1\x2a\xff\xff\x03"))
    yield Case("header: the same tag twice", frame(3, 12, METADATA_12, flexible=True, tags=b"\2\5\1a\5\1a"), 3, 12)
    yield Case("header: tags in falling order", frame(3, 12, METADATA_12, flexible=True, tags=b"\2\6\1a\5\1a"), 3, 12)
    yield Case("body: bytes behind it", frame(3, 1, array(string("hostile")) + b"tail"), 3, 1)
    for key, name in ((9999, "9999"), (-1, "-1"), (4, "4, between brokers"), (55, "55, of controllers"), (71, "71, telemetry")):
        yield Case(f"API key {name}", frame(key, 0), after=VERSIONS_0)


METADATA_12 = compact_array(b"\0" * 16 + compact("hostile") + NO_TAGS) + b"\0\0" + NO_TAGS


def oversize_produce(size, header):
    """The body of a Produce v7 with one record set that fills a frame of `size` bytes."""
    head = string(None) + i16(1) + i32(1000) + i32(1) + string("hostile") + i32(1) + i32(0)
    room = size - (header - 4) - len(head) - 4
    return head + i32(room) + wire.batch(b"\0" * (room - 61))


def versions():
    for key, top in SERVED.items():
        if key != 18:
            yield Case(f"version 100 of API {key}", frame(key, 100, flexible=True))
    yield Case("version -1 of Metadata", frame(3, -1))
    yield Case("version -1 of ApiVersions", frame(18, -1), 18, 0, after=VERSIONS_0)
    yield Case("version 100 of ApiVersions", frame(18, 100, compact("a") + compact("1") + NO_TAGS, flexible=True), 18, 0,
               after=VERSIONS_0)
    yield Case("version 100 of ApiVersions, no body", frame(18, 100), 18, 0, after=VERSIONS_0)
    yield Case("version 10 of Produce", frame(0, 10, compact(None) + i16(1) + i32(1000) + compact_array() + NO_TAGS,
                                              flexible=True), 0, 10)
    for name in ("kcat-1.7", "", " x", "-x", "x-", "a b", "a" * 300, "é", None):
        body = compact(name) + compact("1.0") + NO_TAGS
        shown = "null" if name is None else f"'{name[:12]}'"
        yield Case(f"ApiVersions v3: client software name {shown}", frame(18, 3, body, flexible=True), 18, 3, after=VERSIONS_0)
    yield Case("ApiVersions v3: client software version '-'", frame(18, 3, compact("a") + compact("-") + NO_TAGS,
                                                                   flexible=True), 18, 3, after=VERSIONS_0)
    yield Case("ApiVersions v3: no body", frame(18, 3, flexible=True), 18, 3)
    yield Case("ApiVersions v3: name longer than the frame", frame(18, 3, b"\xff\x7f", flexible=True), 18, 3)


def metadata():
    def by_name(name, version=4):
        return frame(3, version, array(string(name)) + (i8(0) if version >= 4 else b""))
    for count in (-1, -2, INT_MIN):
        yield Case(f"Metadata v1: {count} topics", frame(3, 1, i32(count)), 3, 1)
    yield Case("Metadata v0: -1 topics", frame(3, 0, i32(-1)), 3, 0)
    for count in (INT_MAX, 1000):
        yield Case(f"Metadata v1: {count} topics, none there", frame(3, 1, i32(count)))
    yield Case("Metadata v1: a topic named null", frame(3, 1, array(i16(-1))))
    yield Case("Metadata v1: a name of length -2", frame(3, 1, array(i16(-2))))
    yield Case("Metadata v1: a name longer than the frame", frame(3, 1, array(i16(1000) + b"abc")))
    for name in ("", ".", "..", "a/b", "../../etc/passwd", "a b", "a\0b", "é", "n" * 249, "n" * 250, b"\xff\xff", "nobody"):
        shown = name if len(name) < 20 else f"{name[0]} x {len(name)}"
        yield Case(f"Metadata v4: topic {shown!r}", by_name(name), 3, 4)
    yield Case("Metadata v4: a topic twice", frame(3, 4, array(string("hostile"), string("hostile")) + i8(0)), 3, 4)
    yield Case("Metadata v4: no flag behind the topics", frame(3, 4, array(string("hostile"))))
    unknown = bytes(15) + b"\7"
    for what, topic in (("by an unknown id", unknown + compact(None)), ("neither name nor id", bytes(16) + compact(None)),
                        ("name and id", unknown + compact("hostile"))):
        yield Case(f"Metadata v12: {what}", frame(3, 12, compact_array(topic + NO_TAGS) + b"\0\0" + NO_TAGS, flexible=True),
                   3, 12)
    yield Case("Metadata v12: 4294967295 topics", frame(3, 12, b"\xff\xff\xff\xff\x0f", flexible=True))
    yield Case("Metadata v12: a length of six bytes", frame(3, 12, b"\x80\x80\x80\x80\x80\x01", flexible=True))


def fetch_body(*, topic="hostile", partition=0, offset=0, max_bytes=1 << 20, wait=0, minimum=0, total=1 << 20, replica=-1,
               isolation=0, version=4, session=(0, -1), epoch=-1):
    part = i32(partition) + (i32(epoch) if version >= 9 else b"") + i64(offset) + (i64(-1) if version >= 5 else b"") + \
        i32(max_bytes)
    head = i32(replica) + i32(wait) + i32(minimum) + i32(total) + i8(isolation)
    head += i32(session[0]) + i32(session[1]) if version >= 7 else b""
    return head + array(string(topic) + array(part)) + (array() if version >= 7 else b"")


def fetches():
    for name, args in (("an unknown topic", {"topic": "nobody"}), ("partition -1", {"partition": -1}),
                       ("partition 99", {"partition": 99}), ("partition 2147483647", {"partition": INT_MAX}),
                       ("offset -1", {"offset": -1}), ("offset beyond the end", {"offset": 1 << 40}),
                       ("offset of 2^63 - 1", {"offset": 2**63 - 1}), ("max_bytes -1", {"max_bytes": -1, "total": -1}),
                       ("min_bytes -1", {"minimum": -1}), ("max_wait -1", {"wait": -1}),
                       ("as replica 5", {"replica": 5}), ("isolation level 7", {"isolation": 7}),
                       ("a bad topic name", {"topic": "a/b"})):
        yield Case(f"Fetch v4: {name}", frame(1, 4, fetch_body(**args)), 1, 4)
    for session in ((0, 0), (77, 3), (0, 5), (-9, -1)):
        yield Case(f"Fetch v7: session {session[0]} epoch {session[1]}", frame(1, 7, fetch_body(version=7, session=session)), 1, 7)
    for epoch in (99, -2):
        yield Case(f"Fetch v9: leader epoch {epoch}", frame(1, 9, fetch_body(version=9, epoch=epoch)), 1, 9)
    head = i32(-1) + i32(0) + i32(0) + i32(1 << 20) + i8(0)
    for count in (-1, INT_MAX, 100):
        yield Case(f"Fetch v4: {count} topics, none there", frame(1, 4, head + i32(count)))
        yield Case(f"Fetch v4: {count} partitions, none there", frame(1, 4, head + i32(1) + string("hostile") + i32(count)))
    yield Case("Fetch v7: 2147483647 forgotten topics", frame(1, 7, fetch_body(version=7)[:-4] + i32(INT_MAX)))


def others():
    def offsets(timestamp, partition=0, version=1, repeat=1, epoch=-1):
        part = i32(partition) + (i32(epoch) if version >= 4 else b"") + i64(timestamp)
        return frame(2, version, i32(-1) + (i8(0) if version >= 2 else b"") + array(string("hostile") + array(*[part] * repeat)))
    for timestamp in (-99, -4, -3, INT_MIN):
        yield Case(f"ListOffsets v1: timestamp {timestamp}", offsets(timestamp), 2, 1)
    yield Case("ListOffsets v5: timestamp -4", offsets(-4, version=5), 2, 5)
    yield Case("ListOffsets v1: partition -7", offsets(-1, -7), 2, 1)
    yield Case("ListOffsets v1: a partition twice", offsets(-1, repeat=2), 2, 1)
    yield Case("ListOffsets v5: leader epoch 99", offsets(-1, version=5, epoch=99), 2, 5)
    yield Case("ListOffsets v1: -1 topics", frame(2, 1, i32(-1) + i32(-1)))
    yield Case("ListOffsets v1: 2147483647 topics", frame(2, 1, i32(-1) + i32(INT_MAX)))
    for epoch in (99, -5, INT_MAX):
        body = i32(-1) + array(string("hostile") + array(i32(0) + i32(-1) + i32(epoch)))
        yield Case(f"OffsetForLeaderEpoch v3: of epoch {epoch}", frame(23, 3, body), 23, 2)
    body = i32(-1) + array(string("nobody") + array(i32(0) + i32(-1) + i32(0)))
    yield Case("OffsetForLeaderEpoch v3: an unknown topic", frame(23, 3, body), 23, 2)
    for name, args in (("transactional id", (string("t"),)), ("empty transactional id", (string(""),))):
        yield Case(f"InitProducerId v0: {name}", frame(22, 0, args[0] + i32(60000)), 22, 0)
    yield Case("InitProducerId v0: nothing", frame(22, 0))
    for pid, epoch in ((5, -1), (-1, 5), (-5, -5), (1 << 40, 3)):
        body = compact(None) + i32(60000) + i64(pid) + i16(epoch) + NO_TAGS
        yield Case(f"InitProducerId v4: id {pid} epoch {epoch}", frame(22, 4, body, flexible=True), 22, 4)
    yield Case("DescribeAcls v1", frame(29, 1, i8(2) + string(None) + i8(3) + string(None) * 2 + i8(2) + i8(1)), 29, 1)
    yield Case("DescribeAcls v1: nothing", frame(29, 1))


def everything(request_max):
    for group in (framing(request_max), versions(), metadata(), fetches(), others()):
        yield from group
