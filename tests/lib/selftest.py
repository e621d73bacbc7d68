# SPDX-License-Identifier: Apache-2.0
"""The harness checked against known answers: a test of the tests. No root, no network."""

import json
import os
import struct
import subprocess
import tempfile
import unittest
import zlib

from sltest import base, batch, carried, corpus, daemon, frames, kafka, metrics
from sltest.murmur2 import murmur2, partition


def varint(n):
    n = n << 1 ^ n >> 63
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def make_batch(base_offset, values, codec=0, ts=1700000000000):
    records = b""
    for i, v in enumerate(values):
        body = b"\0" + varint(i) + varint(i) + varint(3) + b"key" + varint(len(v)) + v + varint(1) + \
            varint(1) + b"h" + varint(-1)
        records += varint(len(body)) + body
    if codec == 1:
        c = zlib.compressobj(wbits=31)
        records = c.compress(records) + c.flush()
    tail = struct.pack(">hiqqqhii", codec, len(values) - 1, ts, ts + len(values) - 1, -1, -1, -1, len(values)) + records
    return struct.pack(">qiib", base_offset, len(tail) + 9, 0, 2) + struct.pack(">I", batch.crc32c(tail)) + tail


class Murmur2(unittest.TestCase):
    def test_kafkas_own_values(self):
        for key, want in ((b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
                          (b"a-little-bit-longer-string", -1486304829), (b"abc", 479470107),
                          (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971)):
            self.assertEqual(struct.unpack(">i", struct.pack(">I", murmur2(key)))[0], want)
        self.assertEqual(partition(b"21", 4), (-973932308 & 0x7fffffff) % 4)


class Batches(unittest.TestCase):
    def part(self, *chunks, names=(0,)):
        d = self.dir.name
        for n, chunk in zip(names, chunks):
            with open(os.path.join(d, f"{n:020d}.log"), "wb") as f:
                f.write(chunk)
        return d

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)

    def test_crc(self):
        self.assertEqual(batch.crc32c(b"123456789"), 0xe3069283)
        self.assertEqual(batch.crc32c(b""), 0)

    def test_reads(self):
        got = batch.read_partition(self.part(make_batch(0, [b"a", b""]) + make_batch(2, [b"c" * 300], codec=1),
                                             make_batch(3, [b"d"]), names=(0, 3)))
        self.assertEqual([(r.offset, r.value) for r in got], [(0, b"a"), (1, b""), (2, b"c" * 300), (3, b"d")])
        self.assertEqual(got[1].headers, [("h", None)])

    def test_damage_is_seen(self):
        good = make_batch(0, [b"abc", b"def"])
        flipped = bytearray(good)
        flipped[-3] ^= 1
        for bad in (bytes(flipped), good[:-1], good + b"\0", good + make_batch(3, [b"gap"]),
                    good + make_batch(1, [b"again"]), good + b"\0" * 100):
            with self.assertRaises(batch.Damaged):
                batch.read_partition(self.part(bad))

    def test_gap_between_segments(self):
        with self.assertRaises(batch.Damaged):
            batch.read_partition(self.part(make_batch(0, [b"a"]), make_batch(2, [b"b"]), names=(0, 2)))


class Frames(unittest.TestCase):
    def test_named_faults(self):
        for bad in ("udp_checksum", "udp_length", "ip_checksum", "ip_version", "ip_header", "truncated",
                    "l2_short", "l2_length"):
            frame = frames.udp_frame("10.0.0.1", "10.0.0.2", 5, 514, b"abc", bad=bad)
            self.assertEqual(frames.classify(frame, {514})[0], f"bad[{bad}]")

    def test_good_ones(self):
        for src, dst in (("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")):
            for tags in ((), (1,), (1, 2)):
                row, got = frames.classify(frames.udp_frame(src, dst, 5, 514, b"abc", vlan=tags) + b"pad", {514})
                self.assertEqual((row, got[0], got[4]), ("accepted", src, b"abc"))
        self.assertEqual(frames.classify(frames.udp_frame("10.0.0.1", "10.0.0.2", 5, 514, b"x", vlan=(1, 2, 3)),
                                         {514})[0], "bad[vlan_depth]")
        self.assertEqual(frames.classify(frames.udp_frame("10.0.0.1", "10.0.0.2", 5, 99, b"x"), {514})[0], "other")


class Corpus(unittest.TestCase):
    def test_same_seed_same_lines_and_they_survive_a_file(self):
        lines = corpus.generated(5, 400)
        self.assertEqual(lines, corpus.generated(5, 400))
        self.assertNotEqual(lines, corpus.generated(6, 400))
        with tempfile.TemporaryDirectory() as d:
            self.assertEqual(corpus.read_lines(corpus.write(os.path.join(d, "c"), lines)), lines)
        self.assertTrue(all(lines))


class Yaml(unittest.TestCase):
    def test_shape(self):
        self.assertEqual(daemon.to_yaml({"a": {"b.c": 1}, "l": [{"x": "5ms", "y": ["[::1]:9"]}], "t": True}),
                         "a:\n  b.c: 1\nl:\n  - x: 5ms\n    y:\n      - '[::1]:9'\nt: true")


class Metrics(unittest.TestCase):
    GOOD = ('# HELP a_total Help.\n# TYPE a_total counter\na_total{x="1",y="q\\"\\\\"} 5\na_total{x="2",y=""} 0\n'
            '# HELP b Help.\n# TYPE b gauge\nb -1.5\n')

    def test_what_is_right(self):
        got = metrics.parse(self.GOOD)
        self.assertEqual(metrics.value(got, "a_total", x="1", y='q"\\'), 5)
        self.assertEqual(metrics.value(got, "b"), -1.5)

    def test_what_is_wrong(self):
        for bad in ("b 1\n", "# TYPE b gauge\nb 1\n", "# HELP b Help.\nb 1\n", self.GOOD + self.GOOD, self.GOOD + "b 2\n",
                    self.GOOD + "a_total 1\n", self.GOOD[:-1], "# HELP b Help.\n# TYPE b counter\nb 1\n",
                    "# HELP b_total Help.\n# TYPE b_total gauge\nb_total 1\n", "# HELP b Help.\n# TYPE b gauge\nb x\n",
                    "# HELP b_total Help.\n# TYPE b_total counter\nb_total -1\n", "# HELP b Help.\n", "\n",
                    '# HELP b Help.\n# TYPE b gauge\nb{x="1",} 1\n', '# HELP b Help.\n# TYPE b gauge\nb{x="1",x="2"} 1\n'):
            with self.assertRaises(metrics.Malformed, msg=bad):
                metrics.parse(bad)


class Dump(unittest.TestCase):
    def test_every_complaint_is_seen(self):
        for line in ("Mismatches in :/x.index", "Found timestamp mismatch in :/x", "... isvalid: false",
                     "Found out of order timestamp in :/x", "The following indexed offsets are not found in the log.",
                     "Found 12 invalid bytes at the end of 0.log", "java.lang.IllegalStateException: x"):
            r = kafka.DumpResult()
            r.take("x", line)
            self.assertTrue(r.complaints, line)
        r = kafka.DumpResult()
        r.take("x", "baseOffset: 0 lastOffset: 1 count: 2 isvalid: true\n| offset: 0 x\n| offset: 1 y\n")
        self.assertEqual((r.complaints, r.batches, r.records), ([], 1, 2))


class CarriedRows(unittest.TestCase):
    """Every fault that a centre can show is found, and only it."""

    @staticmethod
    def here(n, partition=0, key="k"):
        return carried.Row("logs", partition, n, key, f"v{n}", f"{n + 100:016x}", "-", "-", "-", "-")

    def there(self, n, at=None, **kw):
        r = self.here(n)
        return r._replace(**{"topic": "logs", "offset": at or 2 * n, "gateway": "gw", "from_topic": "logs",
                             "from_partition": str(r.partition), "from_offset": str(n), **kw})

    def faults(self, rows, but=()):
        e = carried.Expected()
        for n in range(5, 9):
            e.add(self.here(n))
        c = carried.Carried(e, "gw")
        for r in rows:
            c.take(r)
        return c.finish(but)

    def test_all_is_well(self):
        self.assertEqual(self.faults(map(self.there, range(5, 9))), {})
        self.assertEqual(self.faults([self.there(1, gateway="another"), *map(self.there, range(5, 9))]), {})

    def test_every_fault(self):
        good = [self.there(n) for n in range(5, 9)]
        for want, bad in (({"missing": 1}, good[:2] + good[3:]), ({"missing": 4}, []),
                          ({"twice": 1, "reordered": 1}, good + [good[3]]), ({"reordered": 1}, [good[1], good[0], *good[2:]]),
                          ({"changed": 1}, [good[0]._replace(digest="0" * 16), *good[1:]]),
                          ({"foreign": 1}, [*good, self.there(9)]), ({"foreign": 1}, [*good, self.there(6, from_topic="x")]),
                          ({"unnamed": 1}, [*good, self.there(6, from_offset="-")]),
                          ({"unnamed": 1}, [*good, self.there(6, gateway="-")]),
                          ({"moved": 1}, [*good[:3], good[3]._replace(topic="else")]),
                          ({"moved": 1, "split": 1}, [*good[:3], good[3]._replace(partition=1)])):
            self.assertEqual(self.faults(bad), want)
        self.assertEqual(self.faults(good[:3], but={("logs", 0, 8)}), {})

    def test_a_gap_in_the_box_itself(self):
        e = carried.Expected()
        e.add(self.here(0))
        with self.assertRaises(ValueError):
            e.add(self.here(2))

    def test_rows_of_a_file(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "rows")
            with open(path, "w", encoding="utf-8") as f:
                f.write("logs 0 5 k v5 0000000000000069 gw logs 0 5\n")
            self.assertEqual(list(carried.rows(path)), [carried.Row("logs", 0, 5, "k", "v5", "0000000000000069",
                                                                    "gw", "logs", "0", "5")])


class SendAndVerify(unittest.TestCase):
    """slt_send over the loopback into slt_verify: both agree on what a message is."""

    def test_round_trip_and_every_fault(self):
        import socket
        with tempfile.TemporaryDirectory() as d, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            s.bind(("127.0.0.1", 0))
            s.settimeout(20)
            sender = subprocess.run([os.path.join(base.BUILD, "tests/lib/slt_send"), "--to", "127.0.0.1", "--port",
                                     str(s.getsockname()[1]), "--src", "127.0.0.1", "--count", "50", "--size", "150"],
                                    stdout=subprocess.PIPE, check=True)
            self.assertEqual(json.loads(sender.stdout)["sent"], 50)
            got = [s.recv(2048) for _ in range(50)]
            lines = [b"0 %d %s\n" % (i, v) for i, v in enumerate(got)]
            lines += [b"0 50 " + got[3] + b"\n", b"0 60 " + got[4][:-1] + b"!\n", b"0 61 foreign\n"]
            state = os.path.join(d, "state")
            subprocess.run([os.path.join(base.BUILD, "tests/lib/slt_verify"), state, "1000"], input=b"".join(lines),
                           check=True)
            with open(state, "rb") as f:
                records, unique, duplicates, bad, gaps, beyond, highest, done = struct.unpack("8Q", f.read(64))
        self.assertEqual((records, unique, duplicates, bad, gaps, beyond, highest, done), (53, 50, 1, 2, 1, 0, 50, 1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
