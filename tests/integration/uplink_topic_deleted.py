# SPDX-License-Identifier: Apache-2.0
"""A topic is deleted at the centre while records go there: said, made again as configured, and on.

What had been in it is gone with it; behind that, every record is there once and in order.
"""

import os

from sltest import RATE_DIV, Checks, Scope, say, wait_for
from sltest.carried import rows
from sltest.client import Centre, Refused
from sltest.daemon import topic
from sltest.kafka import venv_argv
from sltest.uplink import Box, check_positions

RATE = max(50, 500 // RATE_DIV)
PARTITIONS = 3


def suffixes(check, box, there, ends):
    """Each partition there is an unbroken run up to the log's end; returns how many records that is."""
    last, first, faults = {}, {}, []
    for r in rows(there):
        p, o = int(r.from_partition), int(r.from_offset)
        if r.partition != p or o != last.get(p, o - 1) + 1:
            faults.append(r)
        first.setdefault(p, o)
        last[p] = o
    check.equal(faults[:3], [], "no gap, no repeat, no other order in what came after")
    check.equal({p: o + 1 for p, o in last.items()}, ends, "up to the log's end")
    say(f"the new topic begins at {first}")
    return sum(last[p] - first[p] + 1 for p in last)


def id_and_partitions(centre):
    try:
        return len(centre.client.leaders("logs"))
    except Refused:
        return 0


def main():
    check = Checks()
    with Scope("u") as scope:
        centre = Centre(scope, 1)
        box = Box(scope, centre, [topic("logs", PARTITIONS)])
        box.start()
        load = scope.popen(venv_argv("producer.py", box.bootstrap, "logs", "one", "1", "0", RATE, scope.path("answers")))
        box.wait_more(RATE)
        check.equal(id_and_partitions(centre), PARTITIONS, "the topic was made with as many partitions as here")
        before = box.forwarded()
        centre.client.ask("delete", topic="logs")
        say(f"deleted at the centre after {before} records")
        wait_for("the topic to be made again", lambda: box.uplink().get("topics_remade", 0) >= 1, 60)
        box.wait_more(RATE)
        check.equal(id_and_partitions(centre), PARTITIONS, "made again with the same")
        check.that("logs" in box.log_text() and "deleted" in box.log_text().lower(), "an alarm in the log names it")
        load.terminate()
        check.equal(load.wait(60), 0, "the producer ended well")
        book = box.wait_drained()
        check.equal((book["forwarded"], book["difference"]), (box.records("logs"), 0), "the book closes")
        path = scope.path("there.rows")
        centre.client.read(["logs"], path)
        kept = suffixes(check, box, path, {p: e for p, e in box.ends("logs").items() if e})
        check.that(kept >= RATE and os.path.getsize(path), f"{kept} records in the new topic")
        check_positions(check, box)
        check.equal(box.stop()[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()
