# SPDX-License-Identifier: Apache-2.0
"""The rows of one client library (or kcat), each checked by another client or from the wire.

A check raises what it finds wrong; what it returns stands in its row. `bench` is what all clients
share (bench.py): the reference topic and its records, the topic that UDP feeds, the live group.
"""

import random
import time

from sltest.base import Timeout, wait_for
from sltest.batch import CODECS
from sltest.wire import fetch_batches

from . import records
from .proc import Answered
from .report import Lacking, expect

ACKS = ("0", "1", "all")
DAY_MS = "86400000"
TOO_LARGE = ("too large", "too_large", "toolarge")
NOT_EMPTY = ("not empty", "non_empty", "nonempty", "not_empty", "has active members", "no longer empty")


def said(error, words):
    text = str(error).lower().replace("-", " ")
    return any(w in text for w in words)


class Library:
    def __init__(self, bench, driver, reference):
        self.bench, self.client, self.ref = bench, driver, reference
        self.name, self.report = driver.name, bench.report
        self.topic, self.groups_topic = f"m.{self.name}", f"m.{self.name}.groups"
        self.group = f"g.{self.name}"
        self.random = random.Random(f"{bench.seed}/{self.name}")
        self.sent, self.windows = {}, {}

    def row(self, feature, check, *args):
        return self.report.run(self.name, feature, check, *args)

    def run(self):
        caps = self.client.do("hello")
        self.caps, self.report.versions[self.name] = caps, caps["version"]
        self.make = records.Maker(f"{self.bench.seed}/{self.name}", caps)
        self.plain = records.Maker(f"{self.bench.seed}/{self.name}/groups", records.PLAIN)
        self.where = {}
        if not self.row("admin: create topic", self.create):
            self.bench.create(self.ref, self.topic, 2, **{"retention.ms": DAY_MS})
        self.row("admin: describe topic", self.describe)
        self.row("admin: create partitions", self.grow)
        self.row("admin: describe configs", self.configs)
        self.row("admin: alter configs", self.alter)
        self.row("list offsets of an empty topic", self.empty_offsets)
        for codec in CODECS:
            self.row(f"produce {codec}, acks 0, 1, all", self.produce, codec)
        self.row("produce idempotent", self.produce, "lz4", ("all",), True)
        self.row("produce: what was sent is there", self.all_there)
        self.row("produce: batches on the wire", self.wire)
        self.row("produce: oversized refused", self.too_large)
        self.row("consume by assignment", self.consume)
        self.row("produce into what UDP feeds", self.produce_udp)
        self.row("consume what UDP feeds", self.consume_udp)
        self.row("consume by time", self.times)
        self.row("list offsets", self.offsets)
        self.row("group: two members share", self.group_shared)
        self.row("group: restart from the commit", self.group_restart)
        self.row("group: cooperative-sticky", self.group_cooperative)
        self.row("group: static members", self.group_static)
        self.row("admin: list groups", self.list_groups)
        self.row("admin: describe group", self.describe_group)
        self.row("admin: delete a live group refused", self.delete_live_group)
        self.row("admin: delete group", self.delete_group)
        self.row("admin: delete records", self.delete_records)
        self.row("admin: delete topic", self.delete_topic)

    # ---- admin of topics ----

    def create(self):
        self.client.do("create", topic=self.topic, partitions=2, configs={"retention.ms": DAY_MS})
        self.bench.wait_ready(self.ref, self.topic, 2)
        self._config_is("retention.ms", DAY_MS)

    def _config_is(self, name, value):
        got = []

        def same():
            got[:] = [self.ref.do("configs", topic=self.topic)["configs"].get(name)]
            return got == [value]
        wait_for(f"{name}={value} of {self.topic}", same, 5)

    def describe(self):
        got = self.client.do("describe", topic=self.topic)["partitions"]
        expect(got == 2, f"{got} partitions, not 2")

    def grow(self):
        try:
            self.client.do("grow", topic=self.topic, total=3)
        except Lacking:
            self.ref.do("grow", topic=self.topic, total=3)
            self.bench.wait_ready(self.ref, self.topic, 3)
            raise
        self.bench.wait_ready(self.ref, self.topic, 3)

    def configs(self):
        got = self.client.do("configs", topic=self.topic)["configs"]
        expect(got.get("retention.ms") == DAY_MS, f"retention.ms is {got.get('retention.ms')}")
        for name in ("cleanup.policy", "segment.bytes", "max.message.bytes", "message.timestamp.type", "compression.type"):
            expect(got.get(name), f"no {name} among {len(got)}")
        return f"{len(got)} settings"

    def alter(self):
        self.client.do("alter", topic=self.topic, set={"segment.bytes": "33554432"}, keep={"retention.ms": DAY_MS})
        self._config_is("segment.bytes", "33554432")
        self._config_is("retention.ms", DAY_MS)

    # ---- produce ----

    def produce(self, codec, levels=ACKS, idempotent=False):
        refused = []
        for acks in levels:
            if acks == "0" and not self.make.can("records_without_acks"):
                cell = self.make.alike()
            else:
                cell = self.make.cell(big=acks == "all" and not idempotent)
            path = records.write(self.bench.path(f"{self.name}-{codec}-{acks}-{idempotent}"), cell)
            began = int(time.time() * 1000)
            try:
                a = self.client.do("produce", topic=self.topic, codec=codec, acks=acks, file=path, idempotent=idempotent)
                expect(a["sent"] == len(cell), f"acks={acks}: {a['sent']} of {len(cell)} sent")
                self.sent[codec, acks, idempotent] = cell
                self.windows[codec, acks, idempotent] = began, int(time.time() * 1000) + 1
            except (Answered, TimeoutError) as e:
                refused.append(f"acks={acks}: {e}")
        expect(not refused, "; ".join(refused))

    def _ends(self, topic, partitions=3, at="latest"):
        return self.ref.offsets("offsets", topic=topic, partitions=list(range(partitions)), at=at)

    def all_there(self):
        want = sum(len(c) for c in self.sent.values())
        expect(want, "nothing was sent")
        # Without acks nothing but the log itself tells when the records are in.
        try:
            wait_for(f"{want} records in {self.topic}", lambda: sum(self._ends(self.topic).values()) >= want, 10)
        except Timeout:
            pass
        ends = self._ends(self.topic)
        expect(sum(ends.values()) == want, f"{sum(ends.values())} records in the log, {want} sent")
        self.found = self.bench.dump(self.ref, self.topic, dict.fromkeys(ends, 0), ends)
        for cell, sent in self.sent.items():
            if self.make.can("timestamps"):
                found = records.find_cell(sent, self.found)
            else:
                found = records.find_by_content(sent, self.found, self.windows[cell])
            records.check_order(sent, found)
            self.where[cell] = found
        return f"{want} records by {self.ref.name}: key, value, headers, timestamp, order per key"

    def wire(self):
        expect(self.where, "no record to look for")
        batches = {p: fetch_batches(self.bench.bootstrap, self.topic, p) for p in range(3)}
        for (codec, acks, idempotent), found in self.where.items():
            mine = [b for p, bs in batches.items() for b in bs
                    if any(r.partition == p and b.base_offset <= r.offset <= b.base_offset + b.last_delta for r in found)]
            codecs = {CODECS[b.attributes & 7] for b in mine}
            # A batch that would grow is sent as it is by some clients.
            expect(codec in codecs and codecs <= {codec, "none"}, f"{codec} acks={acks}: batches are {codecs}")
            ids = {b.producer_id >= 0 for b in mine}
            expect(ids == {idempotent}, f"{codec} acks={acks}: idempotent {idempotent}, producer ids {ids}")
            if idempotent:
                expect(all(b.base_sequence >= 0 for b in mine), "an idempotent batch without a sequence")
        return f"{sum(map(len, batches.values()))} batches: codec and producer id"

    def too_large(self):
        before = self._ends(self.topic)
        path = records.write(self.bench.path(f"{self.name}-big"), self.make.too_big())
        try:
            self.client.do("produce", topic=self.topic, codec="none", acks="all", file=path)
        except Answered as e:
            expect(said(e, TOO_LARGE), f"refused, but with: {e}")
            expect(self._ends(self.topic) == before, "the log grew")
            return str(e)[:80]
        expect(False, "it was taken")

    # ---- consume ----

    def _range(self, ends):
        begin = {p: self.random.randrange(max(o // 2, 1)) for p, o in ends.items()}
        return begin, {p: self.random.randrange(begin[p], o + 1) for p, o in ends.items()}

    def consume(self):
        begin, end = self._range(self.bench.ref_ends)
        got = self.client.do("consume", topic=self.bench.ref_topic, **{"from": begin, "to": end})["partitions"]
        self._same(got, records.digest(self.bench.ref_records, begin, end))
        return f"from {list(begin.values())} to {list(end.values())}, every codec"

    def _same(self, got, want):
        got = {int(p): v for p, v in got.items()}
        for p, w in want.items():
            expect(got[p]["count"] == w["count"], f"partition {p}: {got[p]['count']} records of {w['count']}")
            expect(got[p]["sha256"] == w["sha256"], f"partition {p}: not the same bytes")

    def produce_udp(self):
        cell = self.make.alike()
        path = records.write(self.bench.path(f"{self.name}-udp"), cell)
        parts = self.bench.udp_partitions
        before, began = self._ends(self.bench.udp_topic, parts), int(time.time() * 1000)
        self.client.do("produce", topic=self.bench.udp_topic, codec="lz4", acks="all", file=path)
        window = began, int(time.time() * 1000) + 1
        found = self.bench.dump(self.ref, self.bench.udp_topic, before, self._ends(self.bench.udp_topic, parts))
        if self.make.can("timestamps"):
            records.find_cell(cell, found)
        else:
            records.find_by_content(cell, found, window)
        self.bench.produced_beside_udp(len(cell))
        return f"{len(cell)} among {len(found)}"

    def consume_udp(self):
        ends = self._ends(self.bench.udp_topic, self.bench.udp_partitions)
        begin = dict.fromkeys(ends, 0)
        got = self.client.do("consume", topic=self.bench.udp_topic, **{"from": begin, "to": ends})["partitions"]
        self._same(got, records.digest(self.bench.dump(self.ref, self.bench.udp_topic, begin, ends), begin, ends))
        return f"{sum(ends.values())} records"

    def times(self):
        asked = {p: {} for p in self.bench.ref_ends}
        stamps = {p: [r.timestamp for r in self.bench.ref_records if r.partition == p] for p in asked}
        for p, all_of in stamps.items():
            for t in (0, min(all_of), max(all_of), max(all_of) + 1, *self.random.sample(all_of, 3)):
                asked[p][t + self.random.randrange(2)] = None
        for i in range(7):
            ts = {p: sorted(a)[min(i, len(a) - 1)] for p, a in asked.items()}
            a = self.client.do("times", topic=self.bench.ref_topic, ts=ts)
            got = {int(p): o for p, o in a["offsets"].items()}
            for p, t in ts.items():
                want = min((r.offset for r in self.bench.ref_records if r.partition == p and r.timestamp >= t), default=-1)
                if want < 0 and a.get("none_is_end"):
                    expect(got[p] in (-1, self.bench.ref_ends[p]), f"partition {p} at {t}: {got[p]}, not its end")
                else:
                    expect(got[p] == want, f"partition {p} at {t}: {got[p]}, not {want}")

    def empty_offsets(self):
        for at in ("earliest", "latest"):
            got = self.client.offsets("offsets", topic=self.topic, partitions=[0, 1, 2], at=at)
            expect(got == {0: 0, 1: 0, 2: 0}, f"{at}: {got}")

    def offsets(self):
        topic, ends = self.bench.ref_topic, self.bench.ref_ends
        for at, want in (("earliest", dict.fromkeys(ends, 0)), ("latest", ends)):
            got = self.client.offsets("offsets", topic=topic, partitions=list(ends), at=at)
            expect(got == want, f"{at}: {got}, not {want}")
        try:
            got = self.client.offsets("offsets", topic=topic, partitions=list(ends), at="max")
        except Lacking:
            return "earliest, latest"
        for p in ends:
            want = max((r for r in self.bench.ref_records if r.partition == p), key=lambda r: r.timestamp).offset
            expect(got[p] == want, f"max timestamp of partition {p}: {got[p]}, not {want}")
        return "earliest, latest, max timestamp"

    # ---- groups ----

    def _feed(self, count):
        """Produces more into the groups' topic; returns (ends before, ends after)."""
        before = self._ends(self.groups_topic, 4)
        cell = [s._replace(key=b"%d" % i) for i, s in enumerate(self.plain.cell(count))]
        path = records.write(self.bench.path(f"{self.name}-feed"), cell)
        self.ref.do("produce", topic=self.groups_topic, codec="none", acks="all", file=path)
        return before, self._ends(self.groups_topic, 4)

    def _check_group(self, group, a, members, begin, ends):
        parts = [p for m in a["members"] for p in m]
        expect(len(a["members"]) == members and all(a["members"]), f"members have {a['members']}")
        expect(sorted(parts) == [0, 1, 2, 3], f"partitions are not shared out: {a['members']}")
        want = {(p, o) for p in ends for o in range(begin[p], ends[p])}
        got = {tuple(r) for r in a["records"]}
        expect(got == want, f"{len(want - got)} records missing, {len(got - want)} too many of {len(want)}")
        committed = self.ref.offsets("committed", group=group, topic=self.groups_topic)
        for p, o in ends.items():
            if o:
                expect(committed.get(p) == o, f"committed {committed}, ends {ends}")

    def _join(self, suffix, members, begin, ends, **kw):
        group = self.group + suffix
        a = self.client.do("group", group=group, topic=self.groups_topic, members=members, ends=ends,
                           **{"from": begin, "strategy": "range", **kw}, timeout=50)
        self._check_group(group, a, members, begin, ends)
        return a

    def group_shared(self):
        self.bench.create(self.ref, self.groups_topic, 4)
        _, ends = self._feed(200)
        a = self._join("", 2, dict.fromkeys(ends, 0), ends)
        return f"{a['members']}, {len(a['records'])} records"

    def group_restart(self):
        begin, ends = self._feed(50)
        a = self._join("", 1, begin, ends)
        return f"{len(a['records'])} new records, none again"

    def group_cooperative(self):
        ends = self._ends(self.groups_topic, 4)
        a = self._join(".coop", 2, dict.fromkeys(ends, 0), ends, strategy="cooperative")
        return str(a["members"])

    def group_static(self):
        ends, names = self._ends(self.groups_topic, 4), ["first", "second"]
        a = self._join(".static", 2, dict.fromkeys(ends, 0), ends, instances=names)
        d = self.bench.describe_group(self.group + ".static")
        expect(d["members"] == 2 and d["instances"] == names, f"after they closed: {d}")
        begin, ends = self._feed(20)
        b = self._join(".static", 2, begin, ends, instances=names)
        expect(a["members"] == b["members"], f"partitions {a['members']}, after the restart {b['members']}")
        return f"{a['members']} before and after"

    def list_groups(self):
        got = self.client.do("groups")["groups"]
        expect(self.bench.live_group in got, f"{self.bench.live_group} is not among {len(got)}")
        expect(self.group in got, f"{self.group} is not among {len(got)}")
        return f"{len(got)} groups"

    def describe_group(self):
        a = self.client.do("describe_group", group=self.bench.live_group)
        expect(a["state"].lower() == "stable" and a["members"] == 2, f"live group: {a}")
        b = self.client.do("describe_group", group=self.group)
        expect(b["state"].lower() == "empty" and b["members"] == 0, f"own group: {b}")

    def delete_live_group(self):
        try:
            self.client.do("delete_group", group=self.bench.live_group)
        except Answered as e:
            expect(said(e, NOT_EMPTY), f"refused, but with: {e}")
            return str(e)[:80]
        expect(False, "it was deleted")

    def delete_group(self):
        self.client.do("delete_group", group=self.group)
        wait_for("the group to go", lambda: self.group not in self.ref.do("groups")["groups"], 5)

    # ---- what deletes ----

    def delete_records(self):
        ends = self._ends(self.topic)
        before = {p: o // 2 for p, o in ends.items() if o > 1}
        a = self.client.do("delete_records", topic=self.topic, before=before)
        if "low" in a:
            low = {int(p): o for p, o in a["low"].items()}
            expect(low == before, f"low watermarks {low}, not {before}")
        got = self._ends(self.topic, at="earliest")
        expect({p: got[p] for p in before} == before, f"the log starts at {got}, not {before}")
        left = self.bench.dump(self.ref, self.topic, before, {p: ends[p] for p in before})
        expect(len(left) == sum(ends[p] - o for p, o in before.items()), f"{len(left)} records left")
        return f"from {list(before.values())}"

    def delete_topic(self):
        self.client.do("delete_topic", topic=self.topic)

        def gone():
            try:
                return self.ref.do("describe", topic=self.topic)["partitions"] == 0
            except Answered as e:
                return "unknown" in str(e).lower()
        wait_for(f"{self.topic} to go", gone, 10)
