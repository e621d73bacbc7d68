# SPDX-License-Identifier: Apache-2.0
"""Produce requests whose records are wrong, in one place each."""

import gzip
import struct

from . import wire
from .cases import Case
from .wire import array, batch, data, frame, i16, i32, record, string, varint

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
TRANSACTIONAL, CONTROL, APPEND_TIME = 0x10, 0x20, 0x08
INT_MAX = 2**31 - 1
JUNK = bytes(range(1, 200)) * 2


def body(*record_sets, topic="hostile", partition=0, acks=1, transactional_id=None, timeout=5000):
    parts = [i32(partition) + data(r) for r in record_sets]
    return string(transactional_id) + i16(acks) + i32(timeout) + array(string(topic) + array(*parts))


def produce(name, *record_sets, version=7, seconds=3.0, **args):
    return Case(f"Produce v{version}: {name}", frame(0, version, body(*record_sets, **args)), 0, version, seconds=seconds)


# ---- bombs: little on the wire, much behind it ----------------------------------------------------

BOMB = 256 << 20


def gzip_bomb():
    import zlib
    squeeze, zeros = zlib.compressobj(9, zlib.DEFLATED, 31), bytes(1 << 20)
    return b"".join([squeeze.compress(zeros) for _ in range(BOMB >> 20)] + [squeeze.flush()])


def snappy_bomb():
    """Raw snappy: a length, one literal byte, copies of 64 bytes each."""
    copies = 16000
    return wire.uvarint(1 + 64 * copies) + b"\0\0" + b"\xfe\x01\0" * copies


def zstd_bomb():
    """A frame of a window of 8 MiB and blocks that repeat one byte 128 KiB at a time."""
    blocks = BOMB >> 17
    run = lambda last: struct.pack("<I", last | 1 << 1 | (1 << 17) << 3)[:3] + b"\0"  # noqa: E731
    return bytes.fromhex("28b52ffd") + b"\0" + b"\x68" + run(0) * (blocks - 1) + run(1)


def lz4_bomb():
    """A frame of 4 MiB blocks, each one a literal and one long match."""
    size = 4 << 20
    match = size - 1 - 4 - 15 - 5
    block = b"\x1f\0\1\0" + b"\xff" * (match // 255) + bytes((match % 255,)) + b"\x50" + bytes(5)
    head = b"\x60\x70"
    return struct.pack("<I", 0x184D2204) + head + bytes((lz4_check(head),)) + \
        (struct.pack("<I", len(block)) + block) * 50 + i32(0)


def lz4_check(raw):
    """The second byte of xxh32, for the short input that a frame's descriptor is."""
    prime2, prime3, prime4, prime5, mask = 2246822519, 3266489917, 668265263, 374761393, 0xffffffff
    prime1 = 2654435761
    h = (prime5 + len(raw)) & mask
    for b in raw:
        h = (h + b * prime5) & mask
        h = ((h << 11 | h >> 21) & mask) * prime1 & mask
    h = (h ^ h >> 15) * prime2 & mask
    h = (h ^ h >> 13) * prime3 & mask
    return (h ^ h >> 16) >> 8 & 0xff


# ---- cases ----------------------------------------------------------------------------------------

def requests():
    for acks in (2, -2, 32767):
        yield produce(f"acks {acks}", batch(), acks=acks)
    yield Case("Produce v7: acks 0, good", frame(0, 7, body(batch(), acks=0)) + frame(18, 0), 18, 0)
    yield Case("Produce v7: acks 0, bad CRC", frame(0, 7, body(batch(crc=1), acks=0)), seconds=1.0)
    yield Case("Produce v7: acks 0, unknown topic", frame(0, 7, body(batch(), acks=0, topic="nobody")), seconds=1.0)
    for topic in ("nobody", "a/b", "", ".", "n" * 300, "é"):
        yield produce(f"topic '{topic[:8]}'", batch(), topic=topic)
    yield produce("topic __consumer_offsets", batch(), topic="__consumer_offsets")
    for partition in (-1, 7, INT_MAX):
        yield produce(f"partition {partition}", batch(), partition=partition)
    yield produce("a partition twice", batch(), batch())
    yield produce("a good and a bad batch", batch(), batch(crc=1))
    yield produce("timeout -1", batch(), timeout=-1)
    yield produce("transactional id, plain batch", batch(), transactional_id="t")
    for count in (-1, -2, INT_MAX, 50):
        head = string(None) + i16(1) + i32(1000)
        yield Case(f"Produce v7: {count} topics, none there", frame(0, 7, head + i32(count)), 0, 7)
        yield Case(f"Produce v7: {count} partitions, none there", frame(0, 7, head + i32(1) + string("hostile") + i32(count)), 0, 7)
    for size in (-2, INT_MAX, 5000):
        parts = i32(1) + string("hostile") + i32(1) + i32(0) + i32(size)
        yield Case(f"Produce v7: records of size {size}, none there", frame(0, 7, string(None) + i16(1) + i32(1000) + parts), 0, 7)
    yield Case("Produce v7: no topics", frame(0, 7, string(None) + i16(1) + i32(1000) + i32(0)), 0, 7)
    yield Case("Produce v2: the old format", frame(0, 2, i16(1) + i32(1000) + array()), 0, 2)


def batches():
    good = batch()
    yield produce("null records", None)
    yield produce("empty records", b"")
    yield produce("cut in the header", good[:40])
    yield produce("header only", good[:61])
    yield produce("cut in the records", good[:-3])
    yield produce("bytes behind the batch", good + b"tail")
    yield produce("two batches", good + good)
    yield produce("bad CRC", batch(crc=12345))
    for magic in (0, 1, 3, -1):
        yield produce(f"magic {magic}", batch(magic=magic))
    for length in (-1, 0, 48, INT_MAX, len(good) - 13, len(good) - 11):
        yield produce(f"batch length {length}", batch(length=length))
    yield produce("base offset 5", batch(base=5))
    yield produce("base offset -1", batch(base=-1))
    yield produce("count 0", batch(b"", count=0, last_delta=0))
    yield produce("count 0, last delta -1", batch(b"", count=0, last_delta=-1))
    for count in (-1, 2, 1000, INT_MAX):
        yield produce(f"count {count} of 1", batch(count=count, last_delta=0))
    for delta in (-1, 1, INT_MAX):
        yield produce(f"last delta {delta}", batch(last_delta=delta))
    yield produce("count and last delta 2 of 1", batch(count=2))
    yield produce("two records, count 1", batch(record() + record(1), count=1))
    yield produce("control bit", batch(attributes=CONTROL))
    yield produce("transactional bit", batch(attributes=TRANSACTIONAL))
    yield produce("transactional bit and a producer", batch(attributes=TRANSACTIONAL, producer=(5, 0, 0)))
    yield produce("transactional bit and id", batch(attributes=TRANSACTIONAL, producer=(5, 0, 0)), transactional_id="t")
    yield produce("LogAppendTime bit", batch(attributes=APPEND_TIME))
    yield produce("LogAppendTime bit, LogAppendTime topic", batch(attributes=APPEND_TIME), topic="hostile-append-time")
    yield produce("unknown attribute bits", batch(attributes=0x7f80 - 0x8000))
    yield produce("delete horizon bit", batch(attributes=0x40))
    yield produce("producer without epoch", batch(producer=(5, -1, 0)))
    yield produce("producer without sequence", batch(producer=(5, 0, -1)))
    yield produce("unknown producer, sequence 7", batch(producer=(1 << 40, 0, 7)))
    yield produce("larger than max.message.bytes", batch(record(value=b"v" * 5000)), topic="hostile-small")
    yield produce("timestamp -1", batch(timestamp=-1))
    yield produce("timestamp -7", batch(timestamp=-7))
    yield produce("timestamp of 2^63 - 1", batch(timestamp=2**63 - 1))
    yield produce("max timestamp is not the records'", batch(max_timestamp=5))


def records():
    yield produce("record length -1", batch(record(length=-1)))
    yield produce("record length 0", batch(varint(0)))
    yield produce("record length 2147483647", batch(record(length=INT_MAX)))
    yield produce("record length one short", batch(record(length=6)))
    yield produce("record length of six bytes", batch(b"\x80\x80\x80\x80\x80\x01"))
    yield produce("key longer than the record", batch(varint(9) + b"\0\0\0" + varint(500) + b"k" + varint(1) + b"v"))
    yield produce("value of length -2", batch(varint(7) + b"\0\0\0" + varint(1) + b"k" + varint(-2) + varint(0)))
    yield produce("-1 headers", batch(varint(8) + b"\0\0\0" + varint(1) + b"k" + varint(1) + b"v" + varint(-1)))
    yield produce("2147483647 headers", batch(varint(12) + b"\0\0\0" + varint(1) + b"k" + varint(1) + b"v" + varint(INT_MAX)))
    yield produce("a header without a name", batch(record(headers=((None, b"x"),))))
    yield produce("bytes behind the records", batch(record() + b"tail"))
    yield produce("bytes behind a record's fields", batch(varint(9) + b"\0\0\0" + varint(1) + b"k" + varint(1) + b"v" + varint(0) + b"x"))
    yield produce("offset delta 5 of the first", batch(record(5)))
    yield produce("the same offset delta twice", batch(record() + record(), count=2))
    yield produce("timestamp delta -2^62", batch(record(timestamp=-2**62)))
    yield produce("record attributes 0xff", batch(record(attributes=-1)))


def codecs():
    packed = gzip.compress(record())
    yield produce("gzip, good", batch(packed, attributes=GZIP))
    yield produce("gzip, cut", batch(packed[:-6], attributes=GZIP))
    yield produce("gzip, bytes behind it", batch(packed + b"tail", attributes=GZIP))
    yield produce("gzip of two records, count 1", batch(gzip.compress(record() + record(1)), attributes=GZIP))
    yield produce("gzip of one record, count 2", batch(packed, count=2, attributes=GZIP))
    for codec, name in ((GZIP, "gzip"), (SNAPPY, "snappy"), (LZ4, "lz4"), (ZSTD, "zstd")):
        yield produce(f"{name}: junk", batch(JUNK, attributes=codec))
        yield produce(f"{name}: nothing", batch(b"", attributes=codec))
    yield produce("xerial snappy: a block of -1", batch(b"\x82SNAPPY\0" + i32(1) + i32(1) + i32(-1), attributes=SNAPPY))
    yield produce("snappy: says 4 GiB", batch(b"\xff\xff\xff\xff\x0f\0\0", attributes=SNAPPY))
    yield produce("zstd at version 6", batch(JUNK, attributes=ZSTD), version=6)
    yield produce("codec 5", batch(JUNK, attributes=5))
    yield produce("codec 7", batch(JUNK, attributes=7))
    yield produce("codec 7, bad CRC", batch(JUNK, attributes=7, crc=1))
    for codec, name, bomb in ((GZIP, "gzip", gzip_bomb), (SNAPPY, "snappy", snappy_bomb), (LZ4, "lz4", lz4_bomb),
                              (ZSTD, "zstd", zstd_bomb)):
        yield produce(f"{name}: a bomb", batch(bomb(), attributes=codec), seconds=20.0)


def everything():
    for group in (requests(), batches(), records(), codecs()):
        yield from group
