#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bench's own judges, checked: what counts records must see every fault, and a ratio must not
pass by accident. Usage: bench_test.py SEGCOUNT"""

import os
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from slbench import corpus, daemon, host, p2, p14, table  # noqa: E402

SEGCOUNT = None


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c ^= b
        for _ in range(8):
            c = c >> 1 ^ (0x82F63B78 if c & 1 else 0)
    return c ^ 0xFFFFFFFF


def varint(v):
    z = v << 1 ^ v >> 63
    out = b""
    while z >= 0x80:
        out += bytes([z & 0x7F | 0x80])
        z >>= 7
    return out + bytes([z])


def record(delta, key, value):
    body = b"\0" + varint(0) + varint(delta)
    for part in (key, value):
        body += varint(-1) if part is None else varint(len(part)) + part
    body += varint(0)
    return varint(len(body)) + body


def batch(base, values, ts=1769860800000, count=None, key=b"k"):
    recs = b"".join(record(i, key, v) for i, v in enumerate(values))
    n = len(values) if count is None else count
    tail = struct.pack(">hiqqqhii", 0, n - 1, ts, ts, -1, -1, -1, n) + recs
    return struct.pack(">qiibI", base, 9 + len(tail), 0, 2, crc32c(tail)) + tail


class Segcount(unittest.TestCase):
    def count(self, *files):
        """files: (base offset, bytes). Returns exit code, result, what it said."""
        with tempfile.TemporaryDirectory() as d:
            for base, data in files:
                with open(f"{d}/{base:020d}.log", "wb") as f:
                    f.write(data)
            with open(f"{d}/leader-epoch-checkpoint", "w") as f:
                f.write("0\n0\n")
            p = subprocess.run([SEGCOUNT, "-v", "5", d], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, check=False)
            return p.returncode, host.json_of(p.stdout), p.stderr

    def test_good(self):
        a, b = batch(0, [b"12345"] * 3), batch(3, [b"54321"], ts=1769860800150, key=None)
        rc, r, err = self.count((0, a), (3, b))
        self.assertEqual((rc, err), (0, ""))
        self.assertEqual((r["records"], r["batches"], r["bytes"]), (4, 2, len(a) + len(b)))
        self.assertEqual((r["first_ms"], r["last_ms"]), (1769860800000, 1769860800150))
        self.assertEqual(r["buckets"], [[1769860800000, 3], [1769860800100, 1]])

    def test_faults(self):
        good = batch(0, [b"12345"] * 3)
        flipped = bytearray(good)
        flipped[-3] ^= 1
        old = bytearray(good)
        old[16] = 1
        for want, files in (
            ("CRC", [(0, bytes(flipped))]),
            ("magic", [(0, bytes(old))]),
            ("torn batch header", [(0, good + b"\0" * 20)]),
            ("batch length", [(0, good[:-1])]),
            ("gap or overlap", [(0, good + batch(4, [b"12345"]))]),
            ("gap or overlap", [(0, good + batch(2, [b"12345"]))]),
            ("file name", [(0, good), (5, batch(5, [b"12345"]))]),
            ("not of the size", [(0, batch(0, [b"1234"]))]),
            ("record length", [(0, batch(0, [b"12345"], count=2))]),
            ("after the last record", [(0, batch(0, [b"12345", b"12345"], count=1))]),
        ):
            with self.subTest(want):
                rc, _, err = self.count(*files)
                self.assertEqual(rc, 1)
                self.assertIn(want, err)

    def test_nothing(self):
        rc, r, _ = self.count()
        self.assertEqual((rc, r["records"]), (0, 0))


class Table(unittest.TestCase):
    def row(self, goal, values, base, of="ratio"):
        r = table.Row("P0", "x", "u", "b", goal, of)
        r.values, r.base = values, base
        return r

    def test_medians_and_verdict(self):
        got = self.row((">=", 2), [10, 1, 30], [5, 5, 100]).result()
        self.assertEqual((got["value"], got["baseline_value"], got["ratio"], got["pass"]), (10, 5, 2, True))
        self.assertFalse(self.row((">=", 2.1), [10], [5]).result()["pass"])
        self.assertTrue(self.row(("<=", 0.05), [1], [20]).result()["pass"])
        self.assertFalse(self.row(("<=", 8), [9], [1000], of="value").result()["pass"])

    def test_not_measured_is_never_a_pass(self):
        r = self.row((">=", 2), [10], [1])
        r.cannot("no peer")
        got = r.result()
        self.assertIsNone(got["value"])
        self.assertIsNone(got["pass"])
        self.assertIn("no peer", got["note"])
        self.assertIsNone(self.row((">=", 2), [10], []).result()["pass"])
        r = self.row((">=", 2), [10], [1])
        r.noisy = True
        self.assertIsNone(r.result()["pass"])
        self.assertIn("n/a", table.render([got]))


class Window(unittest.TestCase):
    def test_only_whole_buckets_inside(self):
        count = {"bucket_ms": 100, "first_ms": 1000, "last_ms": 2999,
                 "buckets": [[t, 7 if t < 1500 else 10] for t in range(1000, 3000, 100)]}
        rate, seconds = daemon.rate_in_window(count, 0.5, 0.3)
        self.assertAlmostEqual(rate, 100)
        self.assertAlmostEqual(seconds, 1.1)
        with self.assertRaises(host.BenchError):
            daemon.rate_in_window(count, 2.5)


class Losses(unittest.TestCase):
    SNMP = ("Ip: Forwarding DefaultTTL\nIp: 1 64\n"
            "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdp: 900 0 {} 0 {} 0\n"
            "UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors\nUdpLite: 0 0 7 0 7 0\n")
    VETH = "NIC statistics:\n     peer_ifindex: 2\n     rx_queue_0_drops: 9\n     tx_queue_0_xdp_xmit: {}\n" \
           "     tx_queue_0_xdp_xmit_errors: {}\n"

    def test_each_counter_by_its_name(self):
        for want, sent, taken, full in (({}, 1000, 1000, 0), ({"veth_queue": 4}, 1000, 996, 4),
                                        ({"generator": 1}, 1000, 999, 0),
                                        ({"generator": 2, "veth_queue": 3}, 1000, 995, 3)):
            self.assertEqual(p2.lost_before(sent, self.VETH.format(taken, full)), want)
        self.assertEqual(p2.lost_by_socket(self.SNMP.format(0, 0)), {})
        self.assertEqual(p2.lost_by_socket(self.SNMP.format(6, 5)), {"socket_buffer": 5, "udp_errors": 1})

    def test_what_nobody_counted(self):
        self.assertEqual(p2.unnamed(1000, 990, {"veth_queue": 4, "lost_by_device": 6}), 0)
        self.assertEqual(p2.unnamed(1000, 990, {"veth_queue": 4}), 6)
        self.assertEqual(p2.unnamed(1000, 990, {"veth_queue": 4, "lost_by_device": 8}), -2)
        row = table.Row("P2", "x", "u", "rsyslog", ("<=", 0.1))
        row.values, row.base = [1], [20]
        run = {"delivered": 0.99, "lost": {"veth_queue": 4}, "unnamed": 0}
        p2._remember(row, {"sluiced": run, "rsyslog": run}, "rsyslog")
        self.assertTrue(row.result()["pass"])
        p2._remember(row, {"sluiced": {**run, "unnamed": 6}}, "rsyslog")
        self.assertIsNone(row.result()["pass"])


class Slope(unittest.TestCase):
    def test_from_the_first_that_moved_to_the_first_that_has_all(self):
        self.assertAlmostEqual(p14.slope([(1, 0), (2, 0), (3, 100), (4, 300), (5, 500), (6, 500), (9, 500)]), 200)
        self.assertAlmostEqual(p14.slope([[0.5, 1000], [1.5, 3000]]), 2000)

    def test_too_short(self):
        for points in ([(1, 0)], [(1, 0), (2, 50)], [(1, 50), (2, 50)]):
            with self.assertRaises(host.BenchError):
                p14.slope(points)


class Corpus(unittest.TestCase):
    def test_lines_and_frames(self):
        msgs = corpus.lines(1200, 200)
        self.assertEqual({len(m) for m in msgs}, {200})
        self.assertEqual(msgs, corpus.lines(1200, 200))
        self.assertEqual(len(set(msgs)), 1200)
        f = corpus.frame(msgs[0], 999)
        self.assertEqual(len(f), 242)
        self.assertEqual(corpus._sum16(f[14:34]), 0xFFFF)
        pseudo = f[26:34] + struct.pack("!BBH", 0, 17, 208)
        self.assertEqual(corpus._sum16(pseudo + f[34:]), 0xFFFF)


if __name__ == "__main__":
    SEGCOUNT = sys.argv.pop(1)
    unittest.main()
