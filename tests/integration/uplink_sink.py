#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The uplink's sink (bridge/uplink/sink_rdkafka*.c) against a real Apache Kafka, driven line by line.

sink_drive does what it is told; what came of it is read at the centre by another client. The faults:
a transaction aborted, left open, fenced; records refused; topics that are missing or get deleted; a
node frozen, killed and started; closing in the middle of each.
"""

import os
import subprocess
import threading
import time

from sltest import Checks, Scope, say
from sltest.base import BUILD, SLOW, Timeout, wait_for
from sltest.client import Centre
from sltest.murmur2 import murmur2

DAY_MS = 86400000
POSITIONS = "sluice.positions"
TOKEN = "0123456789abcdef" * 2


class Drive:
    """A sink_drive: commands with their return codes, events as they come."""

    def __init__(self, scope, centre, gateway, window=2000, *properties):
        argv = [os.path.join(BUILD, "bridge/uplink/sink_drive"), gateway, centre.bootstrap, str(window), *properties]
        self.gateway, self.process = gateway, scope.popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.codes, self.events, self.seen = [], [], 0
        self.news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            with self.news:
                if line.startswith("= "):
                    self.codes.append(int(line[2:]))
                elif line.startswith("! "):
                    self.events.append(line[2:].strip())
                self.news.notify_all()

    def do(self, command, timeout=30.0):
        with self.news:
            count = len(self.codes)
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            if not self.news.wait_for(lambda: len(self.codes) > count, timeout * SLOW):
                raise Timeout(f"{self.gateway}: no answer to '{command}'; events: {self.events[self.seen:]}")
            return self.codes[count]

    def wait(self, *kinds, timeout=30.0):
        """The next event of one of these kinds, and over all before it."""
        def find():
            return next((i + 1 for i in range(self.seen, len(self.events)) if self.events[i].split()[0] in kinds), 0)
        with self.news:
            if not self.news.wait_for(find, timeout * SLOW):
                raise Timeout(f"{self.gateway}: no {kinds} within {timeout * SLOW} s; events: {self.events[self.seen:]}")
            self.seen = find()
            return self.events[self.seen - 1]

    def unseen(self, kind):
        with self.news:
            return [e for e in self.events[self.seen:] if e.split()[0] == kind]

    def skip_all(self):
        with self.news:
            self.seen = len(self.events)

    # ---- what the engine does ----

    def open(self, *topics):
        """Until it is ready and these topics are known; what the positions topic said."""
        start = self.seen
        if self.do("open"):
            raise RuntimeError("open refused")
        self.wait("READY", timeout=60)
        found = [e for e in self.events[start:self.seen] if e.split()[0] in ("POSITION", "CLAIM", "BAD_POSITION")]
        for t in topics:
            if self.do(f"parts {t}") == 0:
                self.wait("TOPIC_READY")
        return found

    def make(self, topic, partitions):
        self.do(f"make {topic} {partitions} -1 0")
        return self.wait("TOPIC_READY", "TOPIC_FAILED")

    def commit(self):
        self.do("commit")
        return self.wait("COMMITTED", "FAILED", timeout=90)

    def abort(self):
        self.do("abort")
        return self.wait("ABORTED", "FAILED", timeout=90)

    def send_and_commit(self, topic, count, tag, partition=0, offset=None):
        self.do("begin")
        self.do(f"send {topic} {partition} {count} 200 0 {tag}")
        if offset is not None:
            self.do(f"position {offset} 999999")
        return self.commit()


def took(step, *args):
    start = time.monotonic()
    result = step(*args)
    return result, time.monotonic() - start


def tags(centre, topic):
    """The tags of all committed records that `send` made, in order."""
    found = sorted(centre.client.show(topic), key=lambda r: (r["partition"], r["offset"]))
    return [int(r["value"].split(b":")[0]) for r in found if r["value"] and b":" in r["value"]]


def life(c, centre, d):
    """Opened for the first time; committed, aborted, left open; opened again."""
    c.equal(d.open(), [], "the first opening finds no positions")
    settings = centre.client.ask("settings", topic=POSITIONS)
    c.equal((len(centre.client.leaders(POSITIONS)), settings["cleanup.policy"]), (25, "compact"),
            "it makes the positions topic: 25 partitions, compacted")
    d.do("parts logs")
    c.that(d.wait("TOPIC_GONE", "TOPIC_READY").startswith("TOPIC_GONE logs"), "a topic that is missing is said so")
    c.that(d.make("logs", 3).startswith("TOPIC_READY"), "it is made")
    c.equal(len(centre.client.leaders("logs")), 3, "with the partitions that were asked for")
    c.equal(d.do("begin"), 0, "a transaction begins")
    d.do(f"claim {TOKEN} - 1")
    d.do("send logs 0 5000 200 0 1")  # more than the window takes
    d.do("position 5000 999999")
    c.that(d.commit().startswith("COMMITTED"), "5,000 records, more than the window, are committed")
    d.do("begin")
    d.do("send logs 0 500 200 0 90000")
    d.do("position 5500 999999")
    said = d.abort()
    c.that(said.startswith("ABORTED"), f"500 more are aborted: {said}")
    d.send_and_commit("logs", 10, 5001, offset=5010)
    d.do("begin")
    d.do("send logs 0 100 200 0 95000")
    d.do("position 5110 999999")
    d.wait("DELIVERED")
    c.equal(d.do("close"), 0, "closed amid a transaction")
    found, seconds = took(d.open, "logs")
    c.equal(sorted(e.split()[0] for e in found), ["CLAIM", "POSITION"], "the next opening finds claim and position")
    c.that(any(e.startswith("POSITION logs 0 5010 ") for e in found), f"the last committed one: {found}")
    c.that(f"CLAIM {TOKEN}" in found, "the claim as it was written")
    c.that(seconds < 3 * SLOW, f"within {seconds:.2f} s")
    c.equal(tags(centre, "logs"), list(range(1, 5011)), "at the centre lies what was committed, once and in order")


def record(c, centre, d):
    """Null, empty, headers and time."""
    d.do("begin")
    d.do('record logs 1 1 1 - "" a 1 b - a "" sluice.offset 7')
    d.do("record logs 1 1700000000123 2 key -")
    d.commit()
    got = [r for r in centre.client.show("logs") if r["partition"] == 1]
    c.equal([(r["key"], r["value"], r["timestamp"]) for r in got],
            [(None, b"", 1), (b"key", None, 1700000000123)], "null and empty are kept apart, timestamps kept")
    c.equal(got[0]["headers"], [("a", b"1"), ("b", None), ("a", b""), ("sluice.offset", b"7")], "headers are kept")
    c.equal(d.do("begin"), 0, "an empty transaction begins")
    c.that(d.commit().startswith("COMMITTED"), "and is committed")


def refusals(c, centre, d):
    """A record too large, one a day ahead: refused with their batch, and nothing hangs for it."""
    before = tags(centre, "logs")
    d.do("begin")
    d.do("send logs 2 5 200 0 10")
    d.do("send logs 0 1 2000000 0 77")
    d.do("send logs 0 5 200 0 20")
    said, seconds = took(d.commit)
    c.that(said.startswith("FAILED ABORT"), f"2 MB at a centre that takes 1 MB: {said}")
    c.that(seconds < 5 * SLOW, f"said after {seconds:.2f} s, not after a timeout")
    c.that("REFUSED 77 10" in d.events, "the record is named, with Kafka's code")
    said, seconds = took(d.abort)
    c.that(said.startswith("ABORTED") and seconds < 10 * SLOW, f"aborted after {seconds:.2f} s: {said}")
    d.do("begin")
    d.do("send logs 1 50 200 0 100")
    d.do(f"send logs 1 1 200 {int(time.time() * 1000) + DAY_MS} 500")
    d.do("send logs 1 50 200 0 600")
    said, seconds = took(d.commit)
    c.that(said.startswith("FAILED ABORT") and seconds < 5 * SLOW, f"a day ahead: after {seconds:.2f} s: {said}")
    refused = {int(e.split()[1]) for e in d.events if e.startswith("REFUSED") and e.endswith(" 32")}
    c.that(500 in refused and len(refused) > 1, f"{len(refused)} records of the batch are named, the culprit too")
    d.abort()
    for turn in range(5):  # with batches on their way behind the refused one
        d.do("begin")
        d.do("send logs 0 1 2000000 0 77")
        d.do("send logs 0 50 200 0 20")
        d.commit()
        _, seconds = took(d.abort)
        if not c.that(seconds < 10 * SLOW, f"refused and aborted once more ({turn + 1}): {seconds:.2f} s"):
            break
    d.skip_all()
    c.that(d.send_and_commit("logs", 10, 5011, offset=5020).startswith("COMMITTED"), "and on it goes")
    c.equal(len(tags(centre, "logs")) - len(before), 10, "nothing of the aborted ones is there")


def fence(c, scope, centre, d):
    other = Drive(scope, centre, d.gateway)
    found = other.open("logs")
    c.that(any(e.startswith("POSITION logs 0 5020") for e in found), "a second producer with the same id finds the position")
    d.do("begin")
    d.do("send logs 0 10 200 0 80000")
    said, seconds = took(d.commit)
    c.that(said.startswith("FAILED FENCED") and seconds < 5 * SLOW, f"the first is fenced after {seconds:.2f} s: {said}")
    c.that(d.do("begin") < 0 and d.do("commit") < 0, "and does nothing more")
    _, seconds = took(d.do, "close")
    c.that(seconds < 2 * SLOW, f"closed after {seconds:.2f} s")
    d.open("logs")
    c.that(d.send_and_commit("logs", 10, 5021, offset=5030).startswith("COMMITTED"), "opened again it goes on")
    other.do("quit")


def crowd(c, scope, centre, d):
    """Somebody else's open transaction hides what lies behind it: the opening waits for its end."""
    home = (murmur2(d.gateway.encode()) & 0x7fffffff) % 25
    name = next(n for n in (f"gw-{i}" for i in range(2, 10000)) if (murmur2(n.encode()) & 0x7fffffff) % 25 == home)
    other = Drive(scope, centre, name)
    other.open("logs")
    other.do("begin")
    other.do("position 1 1")
    other.wait("DELIVERED")
    c.that(d.send_and_commit("logs", 10, 5031, offset=5040).startswith("COMMITTED"),
           f"{name} holds a transaction open in the same partition of the positions topic")
    d.do("close")
    d.skip_all()
    start = d.seen
    d.do("open")
    time.sleep(2)  # what is measured: that nothing is said
    c.equal(d.unseen("READY"), [], "as long as that is open, the position is not known")
    other.commit()
    d.wait("READY")
    c.that(any(e.startswith("POSITION logs 0 5040") for e in d.events[start:d.seen]), "then it is, and the last one")
    d.do("parts logs")
    d.wait("TOPIC_READY")
    other.do("quit")


def deleted(c, centre, d):
    centre.client.ask("delete", topic="logs")
    d.do("begin")
    d.do("send logs 0 10 200 0 70000")
    d.do("commit")
    said, seconds = took(d.wait, "TOPIC_GONE")
    c.that(said.startswith("TOPIC_GONE logs") and seconds < 15 * SLOW, f"a deleted topic is found after {seconds:.2f} s")
    c.that(d.wait("FAILED").startswith("FAILED REBUILD"), "the producer is to be replaced")
    d.do("close")
    d.open()
    d.do("parts logs")
    c.that(d.wait("TOPIC_GONE", "TOPIC_READY").startswith("TOPIC_GONE"), "it is not made by being asked for")
    d.make("logs", 4)
    c.that(d.send_and_commit("logs", 10, 1, partition=3, offset=5050).startswith("COMMITTED"), "made again, it takes records")
    c.equal(tags(centre, "logs"), list(range(1, 11)), "and has them")


def outages(c, centre, d):
    node = centre.node(1)
    d.do("begin")
    d.do("send logs 0 100 200 0 11")
    d.do("position 5150 999999")
    node.freeze()
    d.do("commit")
    d.wait("LINK_DOWN")
    say("frozen: the link is said to be down")
    node.thaw()
    c.that(d.wait("COMMITTED", "FAILED").startswith("COMMITTED"), "a frozen node: the commit ends when it is back")
    c.that("LINK_UP" in d.events, "and the link is up")
    d.do("begin")
    d.do("send logs 0 100 200 0 111")
    d.do("position 5250 999999")
    node.kill()
    d.do("commit")
    d.wait("LINK_DOWN")
    node.start()
    c.that(d.wait("COMMITTED", "FAILED", timeout=60).startswith("COMMITTED"), "a killed node: the same")
    c.equal(len(tags(centre, "logs")), 210, "each record is there once")


def closing(c, centre, d):
    """Whatever is under way, close returns; and no transaction that was given up shows up."""
    node = centre.node(1)
    for what, steps in (("a commit", ["begin", "send logs 0 10 200 0 60000", "commit"]),
                        ("an abort", ["begin", "send logs 0 10 200 0 60000", "abort"]),
                        ("records out", ["begin", "send logs 0 10 200 0 60000"])):
        node.freeze()
        for s in steps:
            d.do(s)
        time.sleep(0.5)  # so that it is under way
        _, seconds = took(d.do, "close")
        c.that(seconds < 2 * SLOW, f"closed after {seconds:.2f} s with {what} under way in an outage")
        d.do("open")
        _, seconds = took(d.do, "close")
        c.that(seconds < 2 * SLOW, f"and after {seconds:.2f} s while opening")
        node.thaw()
        d.skip_all()
        found = d.open("logs")
        c.that(any(e.startswith("POSITION logs 0 5250") for e in found), "opened again, the position is the last one committed")
    c.equal(len([t for t in tags(centre, "logs") if t >= 60000]), 0, "nothing that was given up is there")


def strange(c, scope, centre):
    """Positions that are not understood; a topic that would forget them; settings that are wrong."""
    centre.client.ask("produce", topic=POSITIONS, records=[{"partition": 3, "key": "gw-junk/x", "value": "{}"}])
    junk = Drive(scope, centre, "gw-junk")
    found = junk.open()
    c.that(len(found) == 1 and found[0].startswith("BAD_POSITION") and "gw-junk/x" in found[0],
           f"a record under our key that is not understood, in another partition than ours: {found}")
    junk.do("quit")
    centre.client.ask("delete", topic=POSITIONS)
    wait_for("the topic to be gone", lambda: POSITIONS not in centre.client.topics())
    centre.client.create(POSITIONS, 3, cleanup_policy="delete")
    d = Drive(scope, centre, "gw-3")
    d.do("open")
    said = d.wait("FAILED", "READY")
    c.that(said.startswith("FAILED DENIED") and "cleanup.policy" in said, f"positions that would expire: {said}")
    d.do("quit")
    for props, word in ((["no.such=1"], "no.such"), (["linger.ms=soon"], "linger.ms"), (["acks=1"], "uplink's own")):
        r = subprocess.run([os.path.join(BUILD, "bridge/uplink/sink_drive"), "gw", centre.bootstrap, "100", *props],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
        c.that(r.returncode == 2 and word in r.stderr, f"{props[0]}: {r.stderr.strip()}")


def main():
    c = Checks()
    with Scope("sink") as scope:
        centre = Centre(scope, settings={"log.message.timestamp.after.max.ms": 3600000, "message.max.bytes": 1000000})
        d = Drive(scope, centre, "gw-01")
        life(c, centre, d)
        record(c, centre, d)
        refusals(c, centre, d)
        fence(c, scope, centre, d)
        crowd(c, scope, centre, d)
        deleted(c, centre, d)
        outages(c, centre, d)
        closing(c, centre, d)
        strange(c, scope, centre)
        d.do("quit")
        c.equal(d.process.wait(20 * SLOW), 0, "the driver ends")
        c.finish()


if __name__ == "__main__":
    main()
