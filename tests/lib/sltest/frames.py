# SPDX-License-Identifier: Apache-2.0
"""An independent opinion on what a frame is: pcap files read, frames named as the ledger names them.

Written from the protocols (IEEE 802.1Q, RFC 791, RFC 8200, RFC 768) and the rules of the manual,
not from the gateway's code. classify() returns (row, datagram): row is "accepted", "other" or
"group[reason]"; datagram is (source, destination, sport, dport, payload) for what is accepted.
"""

import ipaddress
import struct
from collections import Counter

VLAN_TYPES = (0x8100, 0x88a8, 0x9100)
VLAN_TAGS_MAX = 2
IPV6_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options


def read_pcap(path):
    """[(captured bytes, original length)] of a classic pcap file, either byte order."""
    with open(path, "rb") as f:
        data = f.read()
    magic = data[:4]
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">",
             b"\xa1\xb2\x3c\x4d": ">"}[magic]
    if struct.unpack_from(order + "I", data, 20)[0] & 0xffff != 1:
        raise ValueError(f"{path}: not an Ethernet capture")
    at, out = 24, []
    while at + 16 <= len(data):
        _, _, kept, original = struct.unpack_from(order + "IIII", data, at)
        out.append((data[at + 16:at + 16 + kept], original))
        at += 16 + kept
    return out


def write_pcap(path, frames):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i, frame in enumerate(frames):
            f.write(struct.pack("<IIII", 1717243200 + i // 1000, i % 1000 * 1000, len(frame), len(frame)))
            f.write(frame)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return s ^ 0xffff


def _pseudo(src, dst, proto, length):
    if len(src) == 4:
        return src + dst + struct.pack(">BBH", 0, proto, length)
    return src + dst + struct.pack(">II", length, proto)


class Rejected(Exception):
    def __init__(self, row):
        self.row = row


def _link(frame):
    """(ethertype, what follows)"""
    if len(frame) < 14:
        raise Rejected("bad[l2_short]")
    kind, at, tags = int.from_bytes(frame[12:14], "big"), 14, 0
    while kind in VLAN_TYPES:
        tags += 1
        if tags > VLAN_TAGS_MAX:
            raise Rejected("bad[vlan_depth]")
        if len(frame) < at + 4:
            raise Rejected("bad[l2_short]")
        kind = int.from_bytes(frame[at + 2:at + 4], "big")
        at += 4
    if kind < 0x600:
        raise Rejected("bad[l2_length]")
    return kind, frame[at:]


def _bad_source(addr):
    return addr.is_multicast or addr.is_loopback or addr.is_unspecified or addr == ipaddress.ip_address("255.255.255.255")


def _ours(addr):
    """Listeners without an address take everything but multicast groups."""
    if ipaddress.ip_address(addr).is_multicast:
        raise Rejected("other")


def _ipv4(p, ports):
    if len(p) < 20:
        raise Rejected("bad[truncated]")
    if p[0] >> 4 != 4:
        raise Rejected("bad[ip_version]")
    header, total = (p[0] & 15) * 4, int.from_bytes(p[2:4], "big")
    if header < 20 or total < header:
        raise Rejected("bad[ip_header]")
    if p[9] != 17:
        raise Rejected("other")
    _ours(p[16:20])
    sound = len(p) >= header and checksum(p[:header]) == 0
    fragment = int.from_bytes(p[6:8], "big") & 0x3fff
    if fragment or min(total, len(p)) < header + 8:  # no port to go by
        if len(p) < header:
            raise Rejected("bad[truncated]")
        if not sound:
            raise Rejected("bad[ip_checksum]")
        if fragment:
            raise Rejected("fragment[ipv4]")
        raise Rejected("bad[udp_length]" if total < header + 8 else "bad[truncated]")
    _port(p[header:], ports)
    if len(p) < total:
        raise Rejected("bad[truncated]")
    if not sound:
        raise Rejected("bad[ip_checksum]")
    return p[12:16], p[16:20], p[header:total]


def _ipv6(p, ports):
    if len(p) < 40:
        raise Rejected("bad[truncated]")
    if p[0] >> 4 != 6:
        raise Rejected("bad[ip_version]")
    kind, at, end = p[6], 40, 40 + int.from_bytes(p[4:6], "big")
    if kind not in (17, 44) + IPV6_EXTENSIONS:
        raise Rejected("other")
    _ours(p[24:40])
    while kind in IPV6_EXTENSIONS:
        if at + 8 > min(end, len(p)):
            raise Rejected("bad[truncated]" if len(p) < end else "bad[ip_header]")
        kind, at = p[at], at + 8 + p[at + 1] * 8
    if kind == 44 and int.from_bytes(p[at + 2:at + 4], "big") & 0xfff9:
        raise Rejected("fragment[ipv6]" if p[at] == 17 else "other")
    if kind == 44:  # the whole packet in one fragment
        kind, at = p[at], at + 8
    if kind != 17:
        raise Rejected("other")
    if min(end, len(p)) < at + 8:
        raise Rejected("bad[truncated]" if len(p) < end else "bad[udp_length]")
    _port(p[at:], ports)
    if len(p) < end:
        raise Rejected("bad[truncated]")
    return p[8:24], p[24:40], p[at:end]


def _port(udp, ports):
    dport = int.from_bytes(udp[2:4], "big")
    if dport == 0:
        raise Rejected("bad[udp_port]")
    if dport not in ports:
        raise Rejected("other")


def _udp(src, dst, body, trust):
    if src == dst or _bad_source(ipaddress.ip_address(src)):
        raise Rejected("bad[ip_source]")
    sport, dport, length, given = struct.unpack_from(">HHHH", body)
    if length < 8 or length > len(body):
        raise Rejected("bad[udp_length]")
    if sport == 0:
        raise Rejected("bad[udp_port]")
    if trust:
        pass
    elif given == 0:
        if len(src) == 16:
            raise Rejected("bad[udp_checksum]")
    elif checksum(_pseudo(src, dst, 17, length) + body[:length]) != 0:
        raise Rejected("bad[udp_checksum]")
    if length == 8:
        raise Rejected("refused[empty]")
    return str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst)), sport, dport, body[8:length]


def classify(frame, ports, trust=False):
    """What a gateway with syslog listeners on these UDP ports, any address, must make of a frame.

    First whether it is UDP for a listener at all: if not, it is `other`, whatever else is wrong.
    trust: UDP checksums are not looked at (`checksum: trust`).
    """
    try:
        kind, packet = _link(frame)
        if kind not in (0x0800, 0x86dd):
            return "other", None
        src, dst, body = (_ipv4 if kind == 0x0800 else _ipv6)(packet, ports)
        return "accepted", _udp(src, dst, body, trust)
    except Rejected as r:
        return r.row, None


def account(frames, ports, trust=False):
    """(Counter of rows, [datagrams accepted]) over frames."""
    rows, accepted = Counter(), []
    for frame in frames:
        row, datagram = classify(frame, ports, trust)
        rows[row] += 1
        if datagram:
            accepted.append(datagram)
    return rows, accepted


def ledger_rows(led):
    """The frame book of a ledger in the same names, zeros left out."""
    rows = Counter()
    for plain in ("other", "duplicate", "limited", "ring_full", "accepted"):
        rows[plain] = led[plain]
    for group in ("bad", "fragment", "refused", "control"):
        for reason, n in led[group].items():
            rows[f"{group}[{reason}]"] = n
    return +rows


def udp_frame(src, dst, sport, dport, payload, vlan=(), bad=None):
    """A whole Ethernet frame, IPv4 or IPv6; `bad` names one thing to get wrong (see tests)."""
    s, d = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
    length = 8 + len(payload)
    udp = struct.pack(">HHHH", sport, dport, length, 0) + payload
    c = checksum(_pseudo(s, d, 17, length) + udp) or 0xffff
    if bad == "udp_checksum":
        c ^= 0x1111
    udp = struct.pack(">HHHH", sport, dport, 7 if bad == "udp_length" else length, c) + payload
    if len(s) == 4:
        flags = 0x2000 if bad == "fragment" else 0x4000
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 1, flags, 64, 17, 0) + s + d
        c = checksum(head) ^ (0x2222 if bad == "ip_checksum" else 0)
        packet, kind = head[:10] + struct.pack(">H", c) + head[12:] + udp, 0x0800
        if bad == "ip_version":
            packet = b"\x75" + packet[1:]
        elif bad == "ip_header":
            packet = b"\x44" + packet[1:]
    else:
        packet, kind = struct.pack(">IHBB", 6 << 28, length, 17, 64) + s + d + udp, 0x86dd
    frame = b"\x02\0\0\0\0\x01" + b"\x02\0\0\0\0\x02"
    for tag in vlan:
        frame += struct.pack(">HH", 0x8100, tag)
    frame += struct.pack(">H", kind) + packet
    if bad == "truncated":
        frame = frame[:-4]
    elif bad == "l2_short":
        frame = frame[:12]
    elif bad == "l2_length":
        frame = frame[:12] + struct.pack(">H", 0x100) + frame[14:]
    return frame
