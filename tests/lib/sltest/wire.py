# SPDX-License-Identifier: Apache-2.0
"""The batches of a partition as they go over the wire: Fetch v4, without any client library."""

import socket
import struct

from .batch import HEADER, Batch, Damaged

FETCH, VERSION, MAX_BYTES = 1, 4, 16 << 20


def _string(text):
    return struct.pack(">h", len(text)) + text.encode()


def _read(sock, size):
    out = b""
    while len(out) < size:
        piece = sock.recv(min(size - len(out), 1 << 20))
        if not piece:
            raise Damaged(f"the broker closed after {len(out)} of {size} bytes")
        out += piece
    return out


def _fetch(sock, topic, partition, offset):
    """(error code, high watermark, record bytes)"""
    body = struct.pack(">hhi", FETCH, VERSION, 7) + _string("sltest") + \
        struct.pack(">iiiib", -1, 100, 1, MAX_BYTES, 0) + struct.pack(">i", 1) + _string(topic) + \
        struct.pack(">iiqi", 1, partition, offset, MAX_BYTES)
    sock.sendall(struct.pack(">i", len(body)) + body)
    answer = _read(sock, struct.unpack(">i", _read(sock, 4))[0])
    at = 4 + 4 + 4 + 2 + len(topic) + 4  # correlation, throttle, topics, name, partitions
    _, error, high, _, aborted = struct.unpack_from(">ihqqi", answer, at)
    at += 26 + max(aborted, 0) * 16
    size, = struct.unpack_from(">i", answer, at)
    return error, high, answer[at + 4:at + 4 + size]


def _whole(data):
    """Yields the headers of the batches that are whole."""
    at = 0
    while at + 61 <= len(data):
        base, length, epoch, magic, _, attributes, last, first_ts, max_ts, pid, pepoch, seq, count = \
            HEADER.unpack_from(data, at)
        if magic != 2 or at + 12 + length > len(data):
            return
        yield Batch(at, base, length + 12, epoch, attributes, last, first_ts, max_ts, pid, pepoch, seq, count)
        at += 12 + length


def fetch_batches(bootstrap, topic, partition, offset=0, timeout=20):
    """The header of every batch from an offset to the high watermark."""
    host, port = bootstrap.rsplit(":", 1)
    out = []
    with socket.create_connection((host, int(port)), timeout=timeout) as sock:
        while True:
            error, high, data = _fetch(sock, topic, partition, offset)
            if error:
                raise Damaged(f"{topic}-{partition}: error {error} at offset {offset}")
            if offset >= high:
                return out
            batches = list(_whole(data))
            if not batches:
                raise Damaged(f"{topic}-{partition}: no whole batch at offset {offset}, end {high}")
            out += batches
            offset = batches[-1].base_offset + batches[-1].last_delta + 1
