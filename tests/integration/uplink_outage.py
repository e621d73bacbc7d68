# SPDX-License-Identifier: Apache-2.0
"""A full outage at 2,000 records/s, then catching up while they keep coming.

uplink_outage.py [SECONDS]: 60 by default; `make soak` runs ten minutes. Nothing is lost, the order is
kept, memory is flat over outage and catch-up, which is at least twice as fast as what comes in.
"""

import sys
import time

from sltest import RATE_DIV, SANITIZED, Checks, Scope, need_root, say, wait_for
from sltest.client import Centre
from sltest.daemon import listener, topic
from sltest.load import Sender
from sltest.netns import Pair
from sltest.uplink import Box, check_book, check_positions, compare
from sltest.wan import Wan

OUTAGE_S = int(sys.argv[1]) if len(sys.argv) > 1 else 60
RATE = 2000 // RATE_DIV
BEFORE_S, SETTLED_S = 8, 10
CATCH_UP_GOAL, CATCH_UP_FLOOR = 2.0, 0.5
MEMORY_SLACK_KB = 8192


class Memory:
    """Resident memory and CPU over a stretch of time."""

    def __init__(self, box):
        self.box, self.samples = box, []
        self.began, self.cpu = time.monotonic(), box.cpu_seconds()

    def look(self):
        self.samples.append(self.box.rss_kb())

    def cpu_share(self):
        return (self.box.cpu_seconds() - self.cpu) / (time.monotonic() - self.began)


def outage(box, wan):
    """Cuts the link for OUTAGE_S; returns memory from SETTLED_S on."""
    wan.cut()
    end, memory = time.monotonic() + OUTAGE_S, None
    told = 0
    while time.monotonic() < end:  # the outage is what is measured
        time.sleep(0.5)
        if end - time.monotonic() > OUTAGE_S - SETTLED_S:
            continue
        memory = memory or Memory(box)
        memory.look()
        if time.monotonic() - told > 30:
            told = time.monotonic()
            up = box.uplink()
            say(f"outage: state {up['state']}, lag {up['lag_records']}, oldest {up['oldest_s']} s, {box.rss_kb()} kB")
    say(f"during the outage the gateway took {memory.cpu_share() * 100:.1f} % of a core, at {RATE} records/s")
    return memory


def catch_up(box, wan, memory):
    """Restores the link; returns how many times as fast as the ingest the backlog went down while both ran."""
    lag = box.book()["backlog"]
    wan.restore()
    cut_end = time.monotonic()
    at = box.forwarded()
    wait_for("the first commit after the outage", lambda: box.forwarded() > at, 90)
    first = time.monotonic() - cut_end
    began, sent, taken = time.monotonic(), box.forwarded(), box.appended()

    def caught():
        memory.look()
        return box.book()["backlog"] <= RATE
    wait_for("the backlog to be a second's worth", caught, 60 + OUTAGE_S * 4, step=0.1)
    took = time.monotonic() - began
    out, into = (box.forwarded() - sent) / took, (box.appended() - taken) / took
    say(f"link back: first commit after {first:.1f} s; backlog of {lag} gone after {took:.1f} s: "
        f"{out:.0f} records/s out, {into:.0f} in, {out / max(into, 1):.1f} times (goal {CATCH_UP_GOAL})")
    return out / max(into, 1)


def check_memory(check, memory):
    first, worst = memory.samples[0], max(memory.samples)
    text = f"resident memory {first} kB {SETTLED_S} s into the outage, highest until it has caught up {worst} kB"
    if SANITIZED:
        say(text + " (a sanitizer keeps freed memory: not judged)")
    else:
        check.that(worst - first <= MEMORY_SLACK_KB, text)


def main():
    need_root()
    check = Checks()
    with Scope("u") as scope:
        pair, wan = Pair(scope, "uo"), Wan(scope, "uw")
        centre = Centre(scope, 3, wan=wan)
        box = Box(scope, centre, [topic("logs", 4)], ports=[pair.port("af_packet")],
                  listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
                  storage={"tail_cache": "16MiB"})
        box.start()
        sender = Sender(scope, pair, 5514, rate=RATE, size=200)
        before = Memory(box)
        box.wait_more(RATE * BEFORE_S, 60)
        say(f"in health the gateway takes {before.cpu_share() * 100:.1f} % of a core")
        memory = outage(box, wan)
        ratio = catch_up(box, wan, memory)
        box.wait_more(RATE * 2)
        sent = sender.stop()
        check.that(ratio >= CATCH_UP_FLOOR, f"caught up at {ratio:.1f} times the ingest's rate (goal {CATCH_UP_GOAL})")
        check_memory(check, memory)
        led = box.wait_settled()
        box.wait_drained(60 + OUTAGE_S)
        lost = led["wire"] - led["appended"]
        check.equal((led["difference"], led["appended"], sent - box.records("logs")), (0, box.records("logs"), lost),
                    f"{sent} sent, {lost} lost by name before the log; the ledger closes")
        check.that(lost <= sent // 100, "nothing to speak of was lost on the way in")
        _, there = compare(check, box, ["logs"])
        check_book(check, box, there.count)
        check_positions(check, box)
        code, seconds = box.stop(20)
        check.equal(code, 0, f"clean stop ({seconds:.1f} s)")
    check.finish()


if __name__ == "__main__":
    main()
