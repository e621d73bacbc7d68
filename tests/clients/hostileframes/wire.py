# SPDX-License-Identifier: Apache-2.0
"""Bytes of requests, as wrong as one likes, and of answers: no client library in between.

An answer's shape is a string, one letter per field:
    b h i l     signed, of 1, 2, 4, 8 bytes        e    an error code (i16)
    s           a nullable string                  x    nullable bytes
    u           a UUID                             [ ]  an array of structures; ( ) of plain fields
A leading ~ is a flexible version: compact lengths, tags behind each structure.
"""

import socket
import struct

from sltest.batch import HEADER, crc32c

WIDTH = {"b": ">b", "h": ">h", "e": ">h", "i": ">i", "l": ">q"}


class Undecodable(Exception):
    pass


# ---- requests -------------------------------------------------------------------------------------

def i8(v):
    return struct.pack(">b", v)


def i16(v):
    return struct.pack(">h", v)


def i32(v):
    return struct.pack(">i", v)


def i64(v):
    return struct.pack(">q", v)


def string(text):
    if text is None:
        return i16(-1)
    raw = text if isinstance(text, bytes) else text.encode()
    return i16(len(raw)) + raw


def data(raw):
    return i32(-1) if raw is None else i32(len(raw)) + raw


def array(*items, count=None):
    """Its items, with the right count or another one."""
    return i32(len(items) if count is None else count) + b"".join(items)


def uvarint(n):
    out = b""
    while n >= 128:
        out += bytes((n & 127 | 128,))
        n >>= 7
    return out + bytes((n,))


def compact(text):
    if text is None:
        return b"\0"
    raw = text if isinstance(text, bytes) else text.encode()
    return uvarint(len(raw) + 1) + raw


def compact_array(*items, count=None):
    return uvarint((len(items) if count is None else count) + 1) + b"".join(items)


NO_TAGS = b"\0"


def frame(key, version, body=b"", *, flexible=False, correlation=7, client="hostile", tags=NO_TAGS, size=None):
    out = struct.pack(">hhi", key, version, correlation) + string(client) + (tags if flexible else b"") + body
    return i32(len(out) if size is None else size) + out


# ---- record batches -------------------------------------------------------------------------------

def varint(v):
    v = v << 1 ^ v >> 63
    return uvarint(v & (1 << 64) - 1)


def record(delta=0, key=b"k", value=b"v", headers=(), timestamp=0, length=None, attributes=0):
    def field(raw):
        return varint(-1) if raw is None else varint(len(raw)) + raw
    body = i8(attributes) + varint(timestamp) + varint(delta) + field(key) + field(value) + varint(len(headers))
    body += b"".join(field(k) + field(v) for k, v in headers)
    return varint(len(body) if length is None else length) + body


def batch(body=None, *, count=1, last_delta=None, base=0, magic=2, attributes=0, crc=None, length=None, epoch=-1,
          producer=(-1, -1, -1), timestamp=1_700_000_000_000, max_timestamp=None):
    """A record batch whose fields are right unless named; body is what follows the header."""
    body = record() if body is None else body
    last_delta = count - 1 if last_delta is None else last_delta
    pid, producer_epoch, sequence = producer
    max_timestamp = timestamp if max_timestamp is None else max_timestamp
    tail = struct.pack(">hiqqqhii", attributes, last_delta, timestamp, max_timestamp, pid, producer_epoch, sequence,
                       count) + body
    total = HEADER.size + len(body)
    return struct.pack(">qiibI", base, total - 12 if length is None else length, epoch, magic,
                       crc32c(tail) if crc is None else crc) + tail


# ---- answers --------------------------------------------------------------------------------------

class Reader:
    def __init__(self, raw, flexible):
        self.raw, self.at, self.flexible = raw, 0, flexible

    def take(self, n):
        if n < 0 or self.at + n > len(self.raw):
            raise Undecodable(f"{n} bytes wanted at {self.at} of {len(self.raw)}")
        self.at += n
        return self.raw[self.at - n:self.at]

    def number(self, letter):
        return struct.unpack(WIDTH[letter], self.take(struct.calcsize(WIDTH[letter])))[0]

    def uvarint(self):
        n = shift = 0
        while True:
            b, = self.take(1)
            n |= (b & 127) << shift
            shift += 7
            if b < 128:
                return n

    def length(self, wide):
        return self.uvarint() - 1 if self.flexible else self.number("i" if wide else "h")

    def tags(self):
        for _ in range(self.uvarint() if self.flexible else 0):
            self.uvarint()
            self.take(self.uvarint())


def _structure(reader, shape, errors, tags=True):
    at, out = 0, []
    while at < len(shape):
        letter = shape[at]
        at += 1
        if letter in WIDTH:
            out.append(reader.number(letter))
            if letter == "e":
                errors.append(out[-1])
        elif letter == "s":
            n = reader.length(False)
            out.append(None if n < 0 else reader.take(n).decode(errors="replace"))
        elif letter == "x":
            n = reader.length(True)
            out.append(None if n < 0 else reader.take(n))
        elif letter == "u":
            out.append(reader.take(16))
        elif letter in "[(":
            end, depth = at, 1
            while depth:
                depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(shape[end], 0)
                end += 1
            n, inner = reader.length(True), shape[at:end - 1]
            out.append(None if n < 0 else [_structure(reader, inner, errors, letter == "[") for _ in range(n)])
            at = end
        else:
            raise ValueError(shape)
    if tags:
        reader.tags()
    return out


def decode(raw, shape, *, header_tags=True):
    """(fields, error codes in their order) of an answer without its size."""
    reader, errors = Reader(raw, shape.startswith("~")), []
    reader.number("i")
    if header_tags:
        reader.tags()
    fields = _structure(reader, shape.lstrip("~"), errors)
    if reader.at != len(raw):
        raise Undecodable(f"{len(raw) - reader.at} bytes left")
    return fields, errors


# ---- connections ----------------------------------------------------------------------------------

class Closed(Exception):
    pass


class Connection:
    def __init__(self, bootstrap, timeout):
        host, port = bootstrap.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), timeout=timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, raw):
        try:
            self.sock.sendall(raw)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed from e

    def _read(self, size):
        out = b""
        while len(out) < size:
            try:
                piece = self.sock.recv(min(size - len(out), 1 << 20))
            except ConnectionResetError as e:
                raise Closed from e
            if not piece:
                raise Closed
            out += piece
        return out

    def answer(self):
        """One answer without its size; Closed; or TimeoutError."""
        return self._read(struct.unpack(">i", self._read(4))[0])

    def ask(self, raw, shape):
        self.send(raw)
        return decode(self.answer(), shape)
