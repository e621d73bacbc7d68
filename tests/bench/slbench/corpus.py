# SPDX-License-Identifier: Apache-2.0
"""The bench's datagrams: RFC 5424 lines of a fixed length, as text and as a capture file."""

import os
import random
import struct

SEED = 20260131
DEVICES = 1000
DST = "10.99.0.1"
PORT = 5514
_APPS = ("spindle", "press", "oven", "conveyor", "pump", "robot", "scale", "washer")
_WORDS = ("state", "ok", "temperature", "within", "limits", "cycle", "finished", "tool", "changed",
          "operator", "confirmed", "pressure", "warning", "below", "setpoint", "door", "closed")


def lines(count, size, seed=SEED):
    """`count` RFC 5424 messages of exactly `size` bytes, from DEVICES hosts in turn."""
    rnd = random.Random(seed)
    out = []
    for i in range(count):
        host = i % DEVICES
        head = (f"<{rnd.choice((134, 133, 132, 131))}>1 2026-01-31T12:{i // 60 % 60:02d}:{i % 60:02d}."
                f"{rnd.randrange(1000):03d}Z dev-{host:04d} {rnd.choice(_APPS)} {rnd.randrange(30000)} - "
                f'[m@32473 seq="{i}" t="{rnd.uniform(15, 90):.1f}"] ')
        text = head
        while len(text) < size:
            text += rnd.choice(_WORDS) + " "
        out.append(text[:size].encode())
    return out


def _sum16(data):
    if len(data) & 1:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def frame(payload, device, dst=DST, port=PORT):
    """Ethernet, IPv4, UDP with both checksums; the source is 10.98.0.1 + device."""
    src = struct.pack("!I", 0x0A620001 + device)
    to = bytes(int(x) for x in dst.split("."))
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", 40000, port, length, 0)
    csum = 0xFFFF & ~_sum16(src + to + struct.pack("!BBH", 0, 17, length) + udp + payload)
    udp = udp[:6] + struct.pack("!H", csum or 0xFFFF)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, 17, 0) + src + to
    ip = ip[:10] + struct.pack("!H", 0xFFFF & ~_sum16(ip)) + ip[12:]
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x62\x08\0" + ip + udp + payload


def write_capture(path, msgs):
    """A pcap file (microseconds, Ethernet) with one frame per message, 1 ms apart."""
    tmp = path + ".tmp"
    with open(tmp, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for i, m in enumerate(msgs):
            fr = frame(m, i % DEVICES)
            f.write(struct.pack("<IIII", 1769860800 + i // 1000, i % 1000 * 1000, len(fr), len(fr)) + fr)
    os.replace(tmp, path)


def write_lines(path, msgs):
    tmp = path + ".tmp"
    with open(tmp, "wb") as f:
        f.write(b"\n".join(msgs) + b"\n")
    os.replace(tmp, path)
