# SPDX-License-Identifier: Apache-2.0
"""What should be at the centre and what is: rows of records, compared. Pure; fed by client.read().

A row is a line of words: where the record lies (topic, partition, offset), hashes of its key, its
value and of all of it (key, value, timestamp, its own headers), and the four words of the headers
that the uplink adds (gateway, topic, partition, offset), "-" where there are none.
"""

from array import array
from collections import Counter, namedtuple

Row = namedtuple("Row", "topic partition offset key value digest gateway from_topic from_partition from_offset")
# missing, twice: by the place that its headers name; changed: other bytes than on the box; foreign: from
# a place that the box does not have; unnamed: headers that say nothing; moved: in another topic or
# partition than it belongs; reordered: behind a later one of its partition or key; split: a key in two.
FAULTS = ("missing", "twice", "changed", "foreign", "unnamed", "moved", "reordered", "split")
EXAMPLES = 5


def rows(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            w = line.split(" ")
            yield Row(w[0], int(w[1]), int(w[2]), w[3], w[4], w[5], w[6], w[7], w[8], w[9].rstrip("\n"))


class Expected:
    """The records of a gateway's log, by (topic, partition) and offset."""

    def __init__(self):
        self.first, self.digests, self.count = {}, {}, 0
        self.values = Counter()  # how often each value is there

    @classmethod
    def read(cls, path, keep_values=False):
        """Rows of a gateway's own topics: the record's place is its name."""
        e = cls()
        for r in rows(path):
            e.add(r, keep_values)
        return e

    def add(self, r, keep_values=False):
        at = (r.topic, r.partition)
        if at not in self.first:
            self.first[at], self.digests[at] = r.offset, array("Q")
        have = self.digests[at]
        if r.offset != self.first[at] + len(have):
            raise ValueError(f"{at}: offset {r.offset} after {self.first[at] + len(have) - 1}")
        have.append(int(r.digest, 16))
        self.count += 1
        if keep_values:
            self.values[r.value] += 1

    def digest(self, at, offset):
        have = self.digests.get(at)
        i = offset - self.first[at] if have is not None else -1
        return have[i] if 0 <= i < len(have or ()) else None


class Carried:
    """Takes the centre's rows one after another; each partition's in its order."""

    def __init__(self, expected, gateway, destination=lambda topic: topic):
        self.expected, self.gateway, self.destination = expected, gateway, destination
        self.count, self.faults = 0, Counter()
        self.examples, self.values = [], Counter()
        self._seen = {at: bytearray(len(d)) for at, d in expected.digests.items()}
        self._last, self._key_home, self._key_last = {}, {}, {}

    def _fault(self, kind, what):
        self.faults[kind] += 1
        if self.faults[kind] <= EXAMPLES:
            self.examples.append(f"{kind}: {what}")

    def take(self, r):
        """True if the row is of this gateway; others' are passed over."""
        if r.gateway != self.gateway:
            if r.gateway == "-":
                self._fault("unnamed", r)
            return False
        self.count += 1
        try:
            at, offset = (r.from_topic, int(r.from_partition)), int(r.from_offset)
        except ValueError:
            self._fault("unnamed", r)
            return True
        self.values[r.value] += 1
        want = self.expected.digest(at, offset)
        if want is None:
            self._fault("foreign", r)
            return True
        self._once(r, at, offset)
        if int(r.digest, 16) != want:
            self._fault("changed", r)
        if (r.topic, r.partition) != (self.destination(at[0]), at[1]):
            self._fault("moved", r)
        self._order(r, at, offset)
        return True

    def _once(self, r, at, offset):
        seen, i = self._seen[at], offset - self.expected.first[at]
        if seen[i]:
            self._fault("twice", r)
        seen[i] = 1

    def _order(self, r, at, offset):
        """Of the partition, and, looked at by itself, of the key."""
        fell = offset <= self._last.get(at, -1)
        self._last[at] = offset
        if r.key != "-":
            key = (r.from_topic, r.key)
            if self._key_home.setdefault(key, r.partition) != r.partition:
                self._fault("split", r)
            elif offset <= self._key_last.get(key, -1):
                fell = True
            self._key_last[key] = offset
        if fell:
            self._fault("reordered", r)

    def take_all(self, path):
        for r in rows(path):
            self.take(r)
        return self

    def missing(self, but=()):
        """Places that did not arrive, without those in `but` ((topic, partition, offset), ...)."""
        gone = []
        for at, seen in self._seen.items():
            first = self.expected.first[at]
            gone += [(*at, first + i) for i, s in enumerate(seen) if not s and (*at, first + i) not in but]
        return gone

    def finish(self, but=()):
        """{fault: count}, empty if all is well; `but`: places that are elsewhere by name."""
        for place in self.missing(but):
            self._fault("missing", place)
        return {k: n for k, n in self.faults.items() if n}


def judge(check, expected, path, gateway, text="at the centre", but=(), destination=lambda topic: topic):
    """The usual verdict on a file of rows; returns the Carried."""
    c = Carried(expected, gateway, destination).take_all(path)
    faults = c.finish(set(but))
    check.equal(faults, {}, f"{text}: {c.count} of {expected.count} records, each once, unchanged, in order")
    for e in c.examples:
        print(f"          {e}", flush=True)
    return c
