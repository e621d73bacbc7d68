# SPDX-License-Identifier: Apache-2.0
"""What is produced, seeded, and what must be found of it."""

import base64
import hashlib
import json
import os
import random
import sys
import time
from collections import namedtuple

from .deps import CLIENTS
from .report import expect

sys.path.insert(0, os.path.join(CLIENTS, "py"))
from driver import Record, canonical  # noqa: E402  (standard library only)

Sent = namedtuple("Sent", "key value headers timestamp")
WORDS = "edge gateway burst offset partition batch watermark segment tail commit lag epoch".split()
BIG, TOO_BIG = 900_000, 2_000_000
# What not every client can send; a driver's hello says False of what its client cannot.
PLAIN = {"null_headers": False, "headers_only": False, "binary_keys": False}


def _text(data):
    return None if data is None else base64.b64encode(data).decode()


def _bytes(text):
    return None if text is None else base64.b64decode(text)


class Maker:
    """Makes cells of records. Every timestamp occurs once, so it tells a record's identity."""

    def __init__(self, seed, caps=None):
        self.random, self.caps = random.Random(seed), caps or {}
        self.keys = (b"k0", b"k1", "schlüssel".encode(), b"\x00\xff" if self.can("binary_keys") else b"k3")
        self.clock = int(time.time() * 1000) - 3_600_000

    def can(self, what):
        return self.caps.get(what, True)

    def _value(self):
        r = self.random
        text = " ".join(r.choice(WORDS) for _ in range(r.randrange(1, 200)))
        return text.encode() + r.randbytes(r.randrange(8))

    def _headers(self):
        r = self.random
        out = []
        for name in r.sample(("trace", "host", "größe", "a-b"), r.randrange(4)):
            # A name twice stands side by side: some clients keep headers in a map of lists.
            out += [(name, r.choice(WORDS).encode()) for _ in range(r.choice((1, 1, 2)))]
        return out

    def _stamp(self):
        self.clock += self.random.randrange(1, 5)
        return self.clock

    def cell(self, count=10, big=False):
        r = self.random
        out = [Sent(r.choice(self.keys), self._value(), self._headers(), self._stamp())
               for _ in range(count)]
        mark = ("mark", b"%d" % self.clock)  # what has no content of its own is told apart by it
        special = [mark, ("empty", b"")] + ([("none", None)] if self.can("null_headers") else [])
        out += [Sent(None, self._value(), [], self._stamp()), Sent(b"tomb", None, [mark], self._stamp()),
                Sent(b"", b"", special, self._stamp())]
        if self.can("headers_only"):
            out.append(Sent(None, None, [mark], self._stamp()))
        if big:
            half = r.randbytes(BIG // 2)
            out.append(Sent(b"big", half + half, [], self._stamp()))
        return out

    def alike(self, count=10):
        """Records that differ in their values only."""
        headers = [("same", b"for all")]
        return [Sent(b"k0", b"%d " % i + self._value(), headers, self._stamp()) for i in range(count)]

    def jittered(self, count):
        """Records whose timestamps do not rise, each occurring once."""
        stamps = [self._stamp() for _ in range(count)]
        for i in range(0, count - 4, 3):
            window = stamps[i:i + 4]
            self.random.shuffle(window)
            stamps[i:i + 4] = window
        return [Sent(self.random.choice((b"x", b"y", None)), self._value(), self._headers(), t) for t in stamps]

    def too_big(self):
        return [Sent(b"big", self.random.randbytes(TOO_BIG), [], self._stamp())]


def write(path, cell):
    with open(path, "w") as f:
        for s in cell:
            json.dump({"k": _text(s.key), "v": _text(s.value), "h": [(n, _text(v)) for n, v in s.headers],
                       "t": s.timestamp}, f)
            f.write("\n")
    return path


def read_dump(path):
    """The records of a `consume` with a file, as the reference wrote them."""
    out = []
    with open(path) as f:
        for line in f:
            d = json.loads(line)
            out.append(Record(d["p"], d["o"], d["t"], _bytes(d["k"]), _bytes(d["v"]), [(n, _bytes(v)) for n, v in d["h"]]))
    return out


def digest(records, begin, end):
    """What every driver must say about partition ranges, from records that were read otherwise."""
    out = {}
    for p in begin:
        h, count = hashlib.sha256(), 0
        for r in sorted((r for r in records if r.partition == p and begin[p] <= r.offset < end[p]),
                        key=lambda r: r.offset):
            h.update(canonical(r))
            count += 1
        out[p] = {"count": count, "sha256": h.hexdigest()}
    return out


def _content(r):
    return r.key, r.value, tuple((n, v) for n, v in r.headers)


def find_cell(sent, found):
    """The records of a cell among those found, by timestamp; each must be there once, unchanged."""
    by_time = {}
    for r in found:
        by_time.setdefault(r.timestamp, []).append(r)
    out = []
    for s in sent:
        here = by_time.get(s.timestamp, [])
        expect(len(here) == 1, f"{len(here)} records instead of one with timestamp {s.timestamp}, key {s.key!r}")
        expect(_content(here[0]) == _content(s), f"sent {_shorten(s)}, found {_shorten(here[0])}")
        out.append(here[0])
    return out


def find_by_content(sent, found, window):
    """The same for a client that cannot set timestamps: they must lie in the window it ran in."""
    left = list(found)
    out = []
    for s in sent:
        here = [r for r in left if _content(r) == _content(s)]
        expect(here, f"not found: {_shorten(s)}")
        expect(window[0] <= here[0].timestamp <= window[1], f"timestamp {here[0].timestamp} outside {window}")
        left.remove(here[0])
        out.append(here[0])
    return out


def check_order(sent, found):
    """Records with one key lie in one partition, in the order they were sent."""
    where = {}
    for s, r in zip(sent, found):
        if s.key is None:
            continue
        p, o = where.get(s.key, (r.partition, -1))
        expect(r.partition == p and r.offset > o, f"key {s.key!r}: {r.partition}:{r.offset} after {p}:{o}")
        where[s.key] = (r.partition, r.offset)


def _shorten(r):
    def cut(b):
        return b if b is None or len(b) < 40 else b[:40] + b"..(%d)" % len(b)
    return f"key {cut(r.key)!r} value {cut(r.value)!r} headers {[(n, cut(v)) for n, v in r.headers]} at {r.timestamp}"
