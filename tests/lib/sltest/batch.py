# SPDX-License-Identifier: Apache-2.0
"""A second opinion on Kafka's log files: an independent reader of record batches, magic 2.

Reads uncompressed and gzip batches itself; of other codecs it checks the frame (length, CRC,
offsets) and leaves the records to Apache Kafka's own dump tool. Raises Damaged at the first thing
that is not as it should be.
"""

import os
import re
import struct
import zlib
from collections import namedtuple

HEADER = struct.Struct(">qiibIhiqqqhii")
Batch = namedtuple("Batch", "position base_offset size epoch attributes last_delta base_ts max_ts "
                            "producer_id producer_epoch base_sequence count")
Record = namedtuple("Record", "offset timestamp key value headers")
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


class Damaged(Exception):
    pass


def _crc_tables():
    first = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ 0x82f63b78 if n & 1 else n >> 1
        first.append(n)
    tables = [first]
    for _ in range(7):
        tables.append([tables[-1][i] >> 8 ^ first[tables[-1][i] & 255] for i in range(256)])
    return tables


_T = _crc_tables()


def crc32c(data):
    """CRC-32C, eight bytes at a time."""
    t0, t1, t2, t3, t4, t5, t6, t7 = _T
    crc, n = 0xffffffff, len(data)
    for lo, hi in struct.iter_unpack("<II", data[:n - n % 8]):
        lo ^= crc
        crc = (t7[lo & 255] ^ t6[lo >> 8 & 255] ^ t5[lo >> 16 & 255] ^ t4[lo >> 24] ^
               t3[hi & 255] ^ t2[hi >> 8 & 255] ^ t1[hi >> 16 & 255] ^ t0[hi >> 24])
    for b in data[n - n % 8:]:
        crc = crc >> 8 ^ t0[(crc ^ b) & 255]
    return crc ^ 0xffffffff


def _varint(buf, at):
    value = shift = 0
    while True:
        if at >= len(buf) or shift > 63:
            raise Damaged("varint runs out of its batch")
        b = buf[at]
        at += 1
        value |= (b & 127) << shift
        if b < 128:
            return value >> 1 ^ -(value & 1), at
        shift += 7


def _sized(buf, at):
    n, at = _varint(buf, at)
    if n < 0:
        return None, at
    if at + n > len(buf):
        raise Damaged("a field runs out of its batch")
    return buf[at:at + n], at + n


def parse_records(batch, body):
    """The records of one batch; body is what follows its header, already decompressed."""
    at, out = 0, []
    for i in range(batch.count):
        length, at = _varint(body, at)
        end = at + length
        if length < 0 or end > len(body):
            raise Damaged("record length beyond its batch")
        at += 1  # attributes
        ts_delta, at = _varint(body, at)
        delta, at = _varint(body, at)
        if delta != i:
            raise Damaged(f"offset delta {delta} of record {i}")
        key, at = _sized(body, at)
        value, at = _sized(body, at)
        count, at = _varint(body, at)
        headers = []
        for _ in range(count):
            name, at = _sized(body, at)
            content, at = _sized(body, at)
            headers.append((name.decode(), content))
        if at != end:
            raise Damaged(f"record {i} ends at {at}, its length says {end}")
        ts = batch.max_ts if batch.attributes & 8 else batch.base_ts + ts_delta
        out.append(Record(batch.base_offset + delta, ts, key, value, headers))
    if at != len(body):
        raise Damaged(f"{len(body) - at} bytes left in a batch")
    if out and not batch.attributes & 8 and max(r.timestamp for r in out) != batch.max_ts:
        raise Damaged("maxTimestamp is not that of the records")
    return out


def read_batches(path, check_crc=True):
    """Yields (Batch, bytes) of a whole, closed segment file: nothing may be left over."""
    with open(path, "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        if at + 61 > len(data):
            raise Damaged(f"{path}: {len(data) - at} bytes left at {at}")
        (base, length, epoch, magic, crc, attributes, last, base_ts, max_ts, pid, pepoch, seq,
         count) = HEADER.unpack_from(data, at)
        end = at + 12 + length
        if magic != 2 or length < 49 or end > len(data):
            raise Damaged(f"{path}: no batch at {at} (magic {magic}, length {length})")
        if check_crc and crc32c(data[at + 21:end]) != crc:
            raise Damaged(f"{path}: CRC of the batch at {at}")
        if count != last + 1:
            raise Damaged(f"{path}: {count} records, last delta {last} at {at}")
        yield Batch(at, base, end - at, epoch, attributes, last, base_ts, max_ts, pid, pepoch, seq,
                    count), data[at + 61:end]
        at = end


def segments(part_dir):
    return sorted(os.path.join(part_dir, f) for f in os.listdir(part_dir) if re.fullmatch(r"\d{20}\.log", f))


def read_partition(part_dir, check_crc=True):
    """Every record of a partition, in order; offsets must run without gap or repeat."""
    out, next_offset = [], None
    for path in segments(part_dir):
        base = int(os.path.basename(path)[:20])
        if next_offset is not None and base != next_offset:
            raise Damaged(f"{path}: expected to begin at {next_offset}")
        next_offset = base
        for batch, body in read_batches(path, check_crc):
            if batch.base_offset != next_offset:
                raise Damaged(f"{path}: batch at {batch.position} has offset {batch.base_offset}, "
                              f"expected {next_offset}")
            codec = batch.attributes & 7
            if codec == 1:
                body = zlib.decompress(body, 31)
            elif codec:
                raise Damaged(f"{path}: codec {CODECS[codec]} is for the dump tool")
            out.extend(parse_records(batch, body))
            next_offset += batch.count
    return out


def partition_dirs(log_dir, topic):
    """{partition number: folder} of a topic."""
    found = {}
    for name in os.listdir(log_dir):
        head, _, tail = name.rpartition("-")
        if head == topic and tail.isdigit():
            found[int(tail)] = os.path.join(log_dir, name)
    return found


def read_topic(log_dir, topic, check_crc=True):
    return {n: read_partition(d, check_crc) for n, d in sorted(partition_dirs(log_dir, topic).items())}
