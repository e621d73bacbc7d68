# SPDX-License-Identifier: Apache-2.0
"""acks=all that means the centre: answered when it is there, refused while it is out of reach.

Raw requests see the error, its moment, and what a repetition gets; idempotent producers of a client
library go on through a centre that freezes, one that dies, and a gateway that is killed.
"""

import itertools
import json
import os
import time

from sltest import Checks, Scope, say, wait_for
from sltest.base import RATE_DIV, SLOW
from sltest.client import Centre, Client, Refused
from sltest.daemon import topic
from sltest.kafka import venv_argv
from sltest.rawproduce import INVALID_RECORD, REQUEST_TIMED_OUT, RawProducer, batch
from sltest.uplink import Box, check_book, compare

SETTING = "sluice.acks.all"
TIMEOUT_MS = 3000 * SLOW  # of the request that waits in vain
SOON = 1.0 * SLOW         # at once, for a machine that has other things to do
PID = 991000
RATE = 300 // RATE_DIV


def end(box, name, partition=0):
    return box.ends(name)[partition]


def first_answer(box, raw):
    """The uplink needs a moment: until then every request is refused, and nothing is appended."""
    refused = 0
    while True:
        a = raw.ask("orders", 0, batch([b"first"]))
        if a.error != REQUEST_TIMED_OUT:
            return a, refused
        refused += 1
        if end(box, "orders") != 0:
            raise RuntimeError("a refused record was appended")
        if refused > 600:
            raise RuntimeError(f"refused for too long: {a}")
        time.sleep(0.1 * SLOW)


def at_centre(box, name):
    return [r["value"] for r in box.centre.client.show(name)]


def check_settings(check, box):
    c = box.client

    def value(name):
        return c.ask("settings", topic=name)[SETTING]

    def configure(name, word):
        return c.ask("configure", topic=name, config={SETTING: word})
    check.equal((value("orders"), value("plain")), ("central", "synced"), "the setting as the file has it, and by default")
    configure("plain", "central")
    check.equal(value("plain"), "central", "set by an admin")
    configure("plain", "synced")
    for what, do in (("set for", lambda: configure("here", "central")),
                     ("made with it", lambda: c.create("new", 1, 1, **{SETTING: "central"}))):
        try:
            do()
            check.that(False, f"{what} a topic that the uplink does not carry: refused")
        except Refused as e:
            check.that("INVALID_CONFIG" in str(e), f"{what} a topic that the uplink does not carry: {e}")


def check_arrival(check, box):
    raw = RawProducer(box.bootstrap)
    a, refused = first_answer(box, raw)
    say(f"{refused} refused before the uplink ran; then: {a}")
    check.equal((a.error, a.offset), (0, 0), "answered with the offset here")
    check.equal(at_centre(box, "orders"), [b"first"], "and it is there when the answer comes")
    for n in range(5):
        value = b"one %d" % n
        a = raw.ask("orders", 1, batch([value]))
        there = at_centre(box, "orders")
        if not check.that(a.error == 0 and value in there, f"again ({a.seconds:.2f} s)"):
            break
    raw.close()


def check_frozen(check, box):
    """The link goes silent while a record waits."""
    raw, other = RawProducer(box.bootstrap), RawProducer(box.bootstrap)
    one = batch([b"waits", b"waits too"], PID, 0)
    before = end(box, "orders")
    box.centre.node(1).freeze()
    a = raw.ask("orders", 0, one, timeout_ms=TIMEOUT_MS)
    check.equal(a.error, REQUEST_TIMED_OUT, f"the link goes while it waits: {a}")
    check.that(TIMEOUT_MS / 1000 <= a.seconds < TIMEOUT_MS / 1000 + SOON, "at the request's own timeout")
    check.equal(end(box, "orders"), before + 2, "its records were appended")

    numbers = itertools.count()

    def refused_at_once():
        b = other.ask("orders", 1, batch([b"not now %d" % next(numbers)]), timeout_ms=TIMEOUT_MS)
        return b if b.seconds < SOON and b.error else None
    b = wait_for("the link to be known as down", refused_at_once, 60)
    check.equal(b.error, REQUEST_TIMED_OUT, f"a new one is refused at once: {b}")
    at = end(box, "orders", 1)
    for acks, error in ((-1, REQUEST_TIMED_OUT), (1, 0)):
        b = other.ask("orders", 1, batch([b"acks %d" % acks]), acks=acks)
        check.that(b.error == error and b.seconds < SOON, f"acks={acks} during the outage: {b}")
    check.equal(end(box, "orders", 1), at + 1, "of the two one was appended")
    b = other.ask("plain", 0, batch([b"synced is enough"]))
    check.equal(b.error, 0, f"other topics are as ever: {b}")
    b = raw.ask("orders", 0, one)
    check.that(b.error == REQUEST_TIMED_OUT and b.seconds < SOON, f"a repetition is refused, too: {b}")
    box.centre.node(1).thaw()
    return raw, one, before


def check_repetition(check, box, raw, one, offset):
    def accepted():
        a = raw.ask("orders", 0, one)
        return a if a.error != REQUEST_TIMED_OUT else None
    a = wait_for("the repetition to be answered", accepted, 90, step=0.2)
    check.equal((a.error, a.offset), (0, offset), "the repetition gets the first one's offset")
    check.equal(end(box, "orders"), offset + 2, "and was not appended again")
    check.equal(at_centre(box, "orders").count(b"waits"), 1, "it is at the centre once")
    a = raw.ask("orders", 0, batch([b"next"], PID, 2))
    check.equal((a.error, a.offset), (0, offset + 2), "the producer goes on")
    raw.close()


def check_dead_letter(check, box):
    raw = RawProducer(box.bootstrap)
    raw.send("orders", 0, batch([b"small"], PID + 1, 0))
    raw.send("orders", 0, batch([b"x" * 1500000], PID + 1, 1))
    raw.send("orders", 0, batch([b"small too"], PID + 1, 2))
    answers = [raw.receive(60) for _ in range(3)]
    say(f"{answers}")
    check.equal([a.error for a in answers], [0, INVALID_RECORD, 0], "too large for the centre: error 87, others arrive")
    check.that(answers[1].text, "with a sentence")
    check.equal(len(box.centre.dead_letters()), 1, "it is in the dead-letter topic")
    a = raw.ask("orders", 0, batch([b"x" * 1500000], PID + 1, 1))
    check.equal(a.error, INVALID_RECORD, f"a repetition hears the same: {a}")
    raw.close()


class Load:
    """Idempotent acks=all producers at a rate, each answer written down."""

    def __init__(self, scope, box, count):
        self.paths = [scope.path(f"answers-{n}") for n in range(count)]
        self.processes = [scope.popen(venv_argv("producer.py", box.bootstrap, "orders", f"p{n}", "all", "1", str(RATE), path,
                                                "request.timeout.ms=5000"))
                          for n, path in enumerate(self.paths)]

    def answered(self, word="ok"):
        count = 0
        for path in self.paths:
            if os.path.exists(path):
                with open(path, encoding="ascii") as f:
                    count += sum(line.startswith(word + " ") for line in f)
        return count

    def wait_more(self, count, limit=90):
        want = self.answered() + count
        wait_for(f"{count} more acknowledged records", lambda: self.answered() >= want, limit, step=0.2)

    def stop(self):
        for p in self.processes:
            p.terminate()
        return [p.wait(150 * SLOW) for p in self.processes]


def refused_count(box):
    for line in box.http("/metrics")[1].splitlines():
        if line.startswith("sluice_kafka_central_refused_total "):
            return int(float(line.split()[1]))
    return None


def check_producers(check, scope, box):
    before = refused_count(box)
    load = Load(scope, box, 3)
    load.wait_more(3 * RATE)
    node = box.centre.node(1)
    node.kill()
    wait_for("requests to be refused", lambda: refused_count(box) > before, 60)
    held = load.answered()
    time.sleep(3 * SLOW)
    check.equal(load.answered(), held, "nothing is acknowledged while the centre is down")
    node.start()
    load.wait_more(3 * RATE)
    say("the centre died and is back")
    box.kill()
    box.start()
    load.wait_more(3 * RATE)
    say("the gateway was killed and is back")
    codes = load.stop()
    ok, no = load.answered("ok"), load.answered("no")
    check.equal((codes, no), ([0, 0, 0], 0), f"{ok} acknowledged, none failed, no producer died")
    offsets = set()
    for path in load.paths:
        with open(path, encoding="ascii") as f:
            offsets |= {tuple(line.split()[2:4]) for line in f if line.startswith("ok ")}
    check.equal(len(offsets), ok, "each with an offset of its own")
    return ok


def check_stop(check, box):
    """Who waits when the daemon stops is told so, and the record is sent after the next start."""
    raw = RawProducer(box.bootstrap)
    at = end(box, "orders")
    box.centre.node(1).freeze()
    raw.send("orders", 0, batch([b"at the end"]))
    wait_for("its record to be appended", lambda: end(box, "orders") == at + 1)
    time.sleep(SLOW)  # the uplink has it in a transaction that cannot end
    box.process.terminate()
    a = raw.receive()
    check.equal(a.error, REQUEST_TIMED_OUT, f"a stop ends the wait: {a}")
    check.equal(box.process.wait(15 * SLOW), 0, "and is clean")
    box.centre.node(1).thaw()
    box.start()
    wait_for("the record at the centre", lambda: b"at the end" in at_centre(box, "orders"), 60)
    check.that(True, "the record goes on after the next start")


def main():
    check = Checks()
    with Scope("u") as scope:
        centre = Centre(scope, 1)
        box = Box(scope, centre, [topic("orders", 2, max_message_bytes=(2 << 20) - 4096, sluice_acks_all="central"),
                                  topic("plain", 1), topic("here", 1)], uplink={"topics": ["orders", "plain"]})
        box.start()
        check_arrival(check, box)
        check_settings(check, box)
        check_repetition(check, box, *check_frozen(check, box))
        check_dead_letter(check, box)
        check_stop(check, box)
        acknowledged = check_producers(check, scope, box)
        box.wait_drained()
        dead = [(x["headers"].get("sluice.topic"), int(x["headers"].get("sluice.partition", -1)),
                 int(x["headers"].get("sluice.offset", -1))) for x in centre.dead_letters()]
        expected, there = compare(check, box, ["orders", "plain"], but=dead, keep_values=True)
        check_book(check, box, there.count, dead_letter=len(dead))
        twice = [v for v, n in expected.values.items() if n > 1]
        check.equal(len(twice), 0, "no record is in the log here twice")
        say(json.dumps({"acknowledged": acknowledged, "at_centre": there.count}))
        check.equal(box.stop()[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()
