# SPDX-License-Identifier: Apache-2.0
"""Produce without any client library: what the broker answers to one request, and when.

A client library retries what can be retried; a test that wants to see the error, its moment, and what
a retry of exactly the same batch gets, sends requests itself.
"""

import socket
import struct
import time

from .base import SLOW, Timeout
from .batch import HEADER, crc32c

PRODUCE, VERSION = 0, 8
REQUEST_TIMED_OUT, INVALID_RECORD = 7, 87


def _varint(n):
    n = n << 1 ^ n >> 63
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def batch(values, pid=-1, seq=-1, epoch=0, timestamp=None):
    """A record batch of values without keys, as an idempotent producer (pid >= 0) or another sends it."""
    ts = int(time.time() * 1000) if timestamp is None else timestamp
    records = b""
    for i, value in enumerate(values):
        body = b"\0" + _varint(0) + _varint(i) + _varint(-1) + _varint(len(value)) + value + _varint(0)
        records += _varint(len(body)) + body
    last = len(values) - 1
    head = HEADER.pack(0, 49 + len(records), -1, 2, 0, 0, last, ts, ts, pid, epoch if pid >= 0 else -1, seq, len(values))
    data = head + records
    return data[:17] + struct.pack(">I", crc32c(data[21:])) + data[21:]


class Answer:
    def __init__(self, data, seconds):
        self.seconds = seconds
        topic_len, = struct.unpack_from(">h", data, 8)  # behind correlation id and the count of topics
        at = 10 + topic_len + 4
        _, self.error, self.offset, _, _ = struct.unpack_from(">ihqqq", data, at)
        at += 30
        errors, = struct.unpack_from(">i", data, at)
        at += 4
        for _ in range(errors):
            size, = struct.unpack_from(">h", data, at + 4)
            at += 6 + max(size, 0)
        size, = struct.unpack_from(">h", data, at)
        self.text = data[at + 2:at + 2 + size].decode() if size >= 0 else None

    def __repr__(self):
        return f"error {self.error} offset {self.offset} after {self.seconds:.2f} s ({self.text})"


class RawProducer:
    """One connection; requests may be sent ahead, answers come in their order."""

    def __init__(self, bootstrap):
        host, port = bootstrap.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), timeout=10 * SLOW)
        self.sent = []

    def send(self, topic, partition, data, *, acks=-1, timeout_ms=30000):
        body = struct.pack(">hhi", PRODUCE, VERSION, len(self.sent)) + struct.pack(">h", 6) + b"sltest" + \
            struct.pack(">hhi", -1, acks, timeout_ms) + struct.pack(">ih", 1, len(topic)) + topic.encode() + \
            struct.pack(">iii", 1, partition, len(data)) + data
        self.sent.append(time.monotonic())
        self.sock.sendall(struct.pack(">i", len(body)) + body)

    def _read(self, size):
        out = b""
        while len(out) < size:
            piece = self.sock.recv(size - len(out))
            if not piece:
                raise RuntimeError("the gateway closed the connection")
            out += piece
        return out

    def receive(self, limit=40):
        self.sock.settimeout(limit * SLOW)
        try:
            data = self._read(struct.unpack(">i", self._read(4))[0])
        except socket.timeout:
            raise Timeout(f"no answer to a Produce within {limit * SLOW} s")
        correlation, = struct.unpack_from(">i", data)
        return Answer(data, time.monotonic() - self.sent[correlation])

    def ask(self, topic, partition, data, limit=40, **kw):
        self.send(topic, partition, data, **kw)
        return self.receive(limit)

    def close(self):
        self.sock.close()
