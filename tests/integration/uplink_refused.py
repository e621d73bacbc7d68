# SPDX-License-Identifier: Apache-2.0
"""Records that the centre refuses for good: one dead letter each, with the reason; all others arrive.

2 MB where the centre takes 1 MB, and one dated a day ahead where it allows an hour, in the midst of
others of the same partitions and keys.
"""

import time

from sltest import Checks, Scope, say
from sltest.client import Centre
from sltest.daemon import topic
from sltest.uplink import Box, check_book, check_positions, compare

DAY_MS = 86400000
LARGE = 2000000
TOO_LARGE, BAD_TIMESTAMP = 10, 32  # Kafka's error codes
BEFORE, AFTER = 500, 500


def ordinary(first, count):
    return [{"partition": n % 7 % 2, "key": f"k{n % 7}", "value": f"value {n} " * 20, "headers": [["n", str(n)]]}
            for n in range(first, first + count)]


def fill(box):
    """{(topic, partition, offset): Kafka's error code} of what the centre will refuse."""
    c = box.client
    c.ask("produce", topic="logs", records=ordinary(0, BEFORE))
    ahead = {"partition": 1, "key": "k1", "value": "from tomorrow", "timestamp": int(time.time() * 1000) + DAY_MS}
    # Beside it in one batch: a refusal refuses the whole batch.
    got = c.ask("produce", topic="logs", records=[*ordinary(BEFORE, 50), ahead, *ordinary(BEFORE + 50, 50)])
    bad = {("logs", 1, got[50]): BAD_TIMESTAMP}
    c.ask("bulk", topic="big", sizes=[100, 900000, LARGE, 300, 900000], key="one")
    bad["big", 0, 2] = TOO_LARGE
    c.ask("produce", topic="logs", records=ordinary(BEFORE + 100, AFTER))
    return bad


def check_letters(check, box, bad):
    letters = box.centre.dead_letters()
    for x in letters:
        say(f"dead letter: {x['length']} bytes, {x['headers']}")
    places = {}
    for x in letters:
        h = x["headers"]
        places[h.get("sluice.topic"), int(h.get("sluice.partition", -1)), int(h.get("sluice.offset", -1))] = h
    check.equal((len(letters), set(places)), (len(bad), set(bad)), "one dead letter for each refused record, by its place")
    for place, code in bad.items():
        h = places.get(place, {})
        check.equal(h.get("sluice.gateway"), box.gateway, f"{place}: the gateway in a header")
        check.that(h.get("sluice.error.code") == str(code) and h.get("sluice.error"),
                   f"{place}: the reason in headers: {h.get('sluice.error')!r}")


def main():
    check = Checks()
    with Scope("u") as scope:
        centre = Centre(scope, 1, settings={"log.message.timestamp.after.max.ms": 3600000})
        box = Box(scope, centre, [topic("logs", 2), topic("big", 1, max_message_bytes=(2 << 20) - 4096)])
        box.start()
        bad = fill(box)
        box.wait_drained()
        check_letters(check, box, bad)
        _, there = compare(check, box, ["logs", "big"], but=bad)
        check_book(check, box, there.count, dead_letter=len(bad))
        check_positions(check, box)
        check.equal(box.uplink()["state"], "running", "and it goes on")
        check.equal(box.stop()[0], 0, "clean stop")
        box.start()
        box.client.ask("produce", topic="logs", records=ordinary(5000, 10))
        box.wait_drained()
        check.equal(len(centre.dead_letters()), len(bad), "nothing twice after a restart")
        check_book(check, box, there.count + 10, dead_letter=len(bad))
        box.stop()
    check.finish()


if __name__ == "__main__":
    main()
