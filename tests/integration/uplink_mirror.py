#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""uplink.mirror: topics of the centre copied down, each record once and whole, through kill -9 of both sides.

Then what is not daily: partitions added there, the local log emptied, the local topic deleted, the
centre's topic made again, a record that no local log takes.
"""

import random
import os
import time

from sltest import Checks, Scope, say, wait_for
from sltest.client import Centre
from sltest.daemon import topic
from sltest.uplink import Box

SEED = int(os.environ.get("SLT_SEED") or random.SystemRandom().randrange(1 << 32))
CENTRAL = ("sluice.central.partition", "sluice.central.offset")
PARTITIONS = 3
KILLS = 5


def produce(centre, name, first, count, **kw):
    records = [{"partition": n % PARTITIONS, "key": f"device-{n % 7}", "value": f"command {n}", "timestamp": 1700000000000 + n,
                "headers": [["n", str(n)], ["n", "twice"]]} for n in range(first, first + count)]
    centre.client.ask("produce", topic=name, records=records, **kw)


def own(r):
    """The record as it was at the centre: without the headers that say where."""
    return (r["partition"], r["key"], r["value"], r["timestamp"], tuple(h for h in r["headers"] if h[0] not in CENTRAL))


def place(r):
    h = dict(r["headers"])
    return int(h[CENTRAL[0]]), int(h[CENTRAL[1]])


def in_order(rows):
    return sorted(rows, key=lambda r: (r["partition"], r["offset"]))


def ends(box, name):
    """Log ends of the local topic's partitions, by its Kafka port; [] if there is none."""
    if name not in box.client.topics():
        return []
    return [end for _, end in box.client.ask("ends", topic=name).values()]


def wait_local(box, name, count, timeout=60.0):
    wait_for(f"{count} records in {name}", lambda: sum(ends(box, name)) >= count, timeout)


def compare(c, centre, box, name, text):
    """Everything of the centre's topic is here, once, in its partition's order, with its place."""
    there, here = in_order(centre.client.show(name)), in_order(box.client.show(name))
    c.equal(len(here), len(there), f"{text}: records of {name}")
    c.that([own(r) for r in here] == [own(r) for r in there], f"{text}: byte for byte, in order")
    c.that([place(r) for r in here] == [(r["partition"], r["offset"]) for r in there], f"{text}: each says where it was")
    return len(here)


def daily(c, centre, box, rng):
    """What was there before; transactions; both sides killed."""
    wait_local(box, "commands", 300)
    compare(c, centre, box, "commands", "what was there before the box")
    produce(centre, "commands", 300, 50, transactional_id="t", abort=True)
    produce(centre, "commands", 350, 50, transactional_id="t")
    wait_local(box, "commands", 350)
    compare(c, centre, box, "commands", "an aborted transaction is not copied")
    sent = 400
    for kill in range(KILLS):
        produce(centre, "commands", sent, 200)
        sent += 200
        time.sleep(rng.uniform(0.0, 0.3))  # a random moment
        if kill == 2:
            centre.node(1).kill()
            centre.node(1).start()
        else:
            box.kill()
            box.start()
    wait_local(box, "commands", sent - 50, 120)
    compare(c, centre, box, "commands", f"{KILLS - 1} kills here and one there")
    wait_for("the lag to be known, and 0", lambda: box.uplink()["mirror"]["lag_records"] == 0, 60)
    return sent


def grown(c, centre, box):
    centre.client.ask("grow", topic="other", partitions=2)
    centre.client.ask("produce", topic="other", records=[{"partition": 1, "value": "new partition"}])
    wait_for("the local topic to grow", lambda: len(ends(box, "other")) == 2, 60)  # looked at every 20 s
    wait_local(box, "other", 11)
    compare(c, centre, box, "other", "a partition added at the centre")


def emptied(c, box, centre, sent):
    """The local log forgets everything: the file knows."""
    path = os.path.join(box.data, "state/mirror")
    wait_for("the file to be written", lambda: os.path.exists(path) and
             sum(int(l.split()[5]) for l in open(path) if l.startswith("part commands")) >= sent, 30)
    box.client.ask("empty", topic="commands")
    box.kill()
    box.start()
    produce(centre, "commands", sent, 30)
    before = sum(ends(box, "commands"))
    wait_local(box, "commands", before + 30 if before < sent - 20 else before)
    wait_for("the new ones", lambda: len(box.client.show("commands")) >= 30, 30)
    values = sorted(int(r["value"].split()[1]) for r in box.client.show("commands"))
    c.equal(values, list(range(sent, sent + 30)), "the local log was emptied: only what is new is copied")


def made_again(c, centre, box):
    box.client.ask("delete", topic="other")
    wait_for("the local topic to be copied again", lambda: sum(ends(box, "other")) >= 11, 60)
    compare(c, centre, box, "other", "deleted here")
    before = sum(ends(box, "other"))
    centre.client.ask("delete", topic="other")
    wait_for("it to be gone", lambda: "other" not in centre.client.topics())
    centre.client.create("other", 2)
    centre.client.ask("produce", topic="other", records=[{"value": "again 1"}, {"value": "again 2"}])
    wait_local(box, "other", before + 2, 90)
    values = [r["value"] for r in in_order(box.client.show("other")) if r["partition"] == 0]
    c.equal(values[-2:], [b"again 1", b"again 2"], "made again at the centre: copied from its start")
    c.that(values.count(b"again 1") == 1, "once")


def too_large(c, centre, box):
    before = sum(ends(box, "large"))
    centre.client.ask("bulk", topic="large", sizes=[1000, 1500000, 2500000, 1000], key="k")
    wait_local(box, "large", before + 3)
    wait_for("the refusal to be counted", lambda: box.uplink()["mirror"]["refused"] == 1)
    c.equal(sorted(r["length"] for r in box.client.show("large", values=False)), [1000, 1000, 1500000],
            "a record that no local log takes is left out, said and counted; the rest is here")


def main():
    c = Checks()
    say(f"seed {SEED} (SLT_SEED repeats it)")
    rng = random.Random(SEED)
    with Scope("m") as scope:
        centre = Centre(scope, settings={"message.max.bytes": 4 << 20})
        centre.client.create("commands", PARTITIONS)
        centre.client.create("other", 1)
        centre.client.create("large", 1)
        produce(centre, "commands", 0, 300)
        centre.client.ask("produce", topic="other", records=[{"value": f"{n}"} for n in range(10)])
        box = Box(scope, centre, [topic("logs", 1)], uplink={"topics": ["*"], "mirror": ["commands", "other", "large"]})
        box.start()
        sent = daily(c, centre, box, rng)
        grown(c, centre, box)
        too_large(c, centre, box)
        emptied(c, box, centre, sent)
        made_again(c, centre, box)
        box.client.ask("produce", topic="logs", records=[{"value": "up"}])
        box.wait_drained()
        carried = [t for t in centre.client.topics() if t.startswith("gw.") or t.endswith(".commands")]
        c.equal(carried, [], "nothing that was mirrored is carried up again")
        c.equal([r["value"] for r in centre.client.show("logs")], [b"up"], "what is not mirrored is")
        box.stop()
        c.finish()


if __name__ == "__main__":
    main()
