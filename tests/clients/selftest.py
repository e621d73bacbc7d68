# SPDX-License-Identifier: Apache-2.0
"""What the client matrix compares with, held against known answers. No root, no broker, no client."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from clientmatrix import records  # noqa: E402
from clientmatrix.kcat import parse  # noqa: E402
from clientmatrix.records import Maker, Record, Sent, canonical  # noqa: E402
from clientmatrix.report import FAIL, LACKING, PASS, Lacking, Mismatch, Report, expect  # noqa: E402
from driver import Progress, Taker, read_records  # noqa: E402


def stored(cell, partition=0, offset=0):
    """A cell as a broker has it."""
    return [Record(partition, offset + i, s.timestamp, s.key, s.value, s.headers) for i, s in enumerate(cell)]


class Cells(unittest.TestCase):
    def setUp(self):
        self.cell = Maker("seed").cell(20)
        self.found = stored(self.cell)

    def changed(self, at, **fields):
        self.found[at] = self.found[at]._replace(**fields)
        return self.found

    def test_what_was_sent_is_found(self):
        self.assertEqual(records.find_cell(self.cell, self.found), self.found)
        records.check_order(self.cell, self.found)

    def test_loss_change_and_repeat_are_seen(self):
        for bad in (self.found[1:], self.found + self.found[:1], self.changed(0, value=b"other")):
            with self.assertRaises(Mismatch):
                records.find_cell(self.cell, bad)
        empty = next(i for i, r in enumerate(self.found) if r.key == b"" and r.value == b"")
        for fields in ({"key": None}, {"value": None}, {"headers": []}):
            self.found = stored(self.cell)
            with self.assertRaises(Mismatch):
                records.find_cell(self.cell, self.changed(empty, **fields))

    def test_content_needs_its_window(self):
        now = self.found[0].timestamp
        self.assertEqual(len(records.find_by_content(self.cell[:1], self.found, (now, now))), 1)
        with self.assertRaises(Mismatch):
            records.find_by_content(self.cell[:1], self.found, (now + 1, now + 2))

    def test_order_per_key(self):
        pair = [Sent(b"k", b"1", [], 1), Sent(b"k", b"2", [], 2)]
        with self.assertRaises(Mismatch):
            records.check_order(pair, list(reversed(stored(pair))))
        with self.assertRaises(Mismatch):
            records.check_order(pair, [stored(pair)[0], stored(pair, 1)[1]])

    def test_every_timestamp_once(self):
        make = Maker("seed")
        cells = make.cell(50) + make.jittered(90) + make.alike()
        self.assertEqual(len({s.timestamp for s in cells}), len(cells))

    def test_null_and_empty_differ(self):
        a, b = (Record(0, 0, 0, k, b"v", []) for k in (None, b""))
        self.assertNotEqual(canonical(a), canonical(b))

    def test_files(self):
        with tempfile.TemporaryDirectory() as d:
            path = records.write(os.path.join(d, "cell"), self.cell)
            self.assertEqual([Sent(*r) for r in read_records(path)], self.cell)


class Readers(unittest.TestCase):
    def test_taker_and_digest_agree(self):
        found = stored(Maker(1).cell(30))
        req = {"from": {"0": 3}, "to": {"0": 20}}
        taker = Taker(req)
        for r in found:
            taker.take(r)
        got = taker.result()["partitions"]
        self.assertEqual(got, records.digest(found, {0: 3}, {0: 20}))
        self.assertNotEqual(got, records.digest(found, {0: 4}, {0: 20}))

    def test_taker_tells_what_is_missing(self):
        taker = Taker({"from": {"0": 0}, "to": {"0": 2}})
        taker.take(stored(Maker(1).cell(1))[0])
        with self.assertRaises(TimeoutError):
            taker.result()

    def test_kcat_frame(self):
        text = b"1 7 99 -1 3 a=b,n=NULL,e=\nv\n1\n0 8 99 1 -1 \nk\n"
        self.assertEqual(parse(text), [Record(1, 7, 99, None, b"v\n1", [("a", b"b"), ("n", None), ("e", b"")]),
                                       Record(0, 8, 99, b"k", None, [])])


class Groups(unittest.TestCase):
    def test_ends_when_shared_and_committed(self):
        p = Progress({"ends": {"0": 1, "1": 1}, "members": 2})
        p.took(0, [(0, 0), (1, 0)], {0, 1})
        p.commit_done(0)
        self.assertFalse(p.complete())  # the other has nothing
        p.took(1, [], {1})
        self.assertFalse(p.complete())  # both think that 1 is theirs
        p.took(0, [], {0})
        self.assertTrue(p.complete())
        p.took(1, [], {0, 1})  # the first has left
        self.assertEqual(p.result()["members"], [[0], [1]])

    def test_what_was_not_committed_counts_not(self):
        p = Progress({"ends": {"0": 2}, "members": 1, "timeout": 0})
        p.took(0, [(0, 0), (0, 1)], {0})
        with self.assertRaises(TimeoutError):
            p.result()


class Rows(unittest.TestCase):
    def test_status(self):
        report = Report()

        def lacking():
            raise Lacking("no such thing")
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertTrue(report.run("c", "works", lambda: "fine"))
            self.assertFalse(report.run("c", "differs", lambda: expect(False, "why")))
            self.assertFalse(report.run("c", "lacks", lacking))
        self.assertEqual([r[2] for r in report.rows], [PASS, FAIL, LACKING])
        self.assertIn("| differs | **FAIL** |", report.digest())
        with tempfile.TemporaryDirectory() as d:
            report.save(os.path.join(d, "m.json"))
            with open(os.path.join(d, "m.json")) as f:
                self.assertEqual(len(json.load(f)["rows"]), 3)


if __name__ == "__main__":
    unittest.main()
