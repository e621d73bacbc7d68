# SPDX-License-Identifier: Apache-2.0
"""The centre of the uplink's tests, tested: a cluster of three that can be cut off, frozen and killed.

A transactional producer plays an uplink that makes every mistake there is, and the reader finds
each of them; aborted and open transactions stay unseen; the link is silent when it is cut.
"""

import socket
import time

from sltest import Checks, Scope, need_root, say, wait_for
from sltest.base import SLOW
from sltest.carried import Carried, Expected
from sltest.client import Centre, Client, Refused
from sltest.wan import CENTRE_IP, Wan

GATEWAY = "test-gw"
RECORDS = 40


def record(n, **changes):
    """The n-th record as an uplink would send it: key, value, timestamp, a header of its own, ours."""
    own = [["severity", str(n % 8)], ["note", None]]
    place = {"gateway": GATEWAY, "topic": "logs", "partition": "0", "offset": str(n), **changes.pop("place", {})}
    r = {"partition": 0, "key": f"k{n % 3}", "value": f"value {n}", "timestamp": 1700000000000 + n,
         "headers": own + [[f"sluice.{k}", v] for k, v in place.items()], **changes}
    return r


def plain(n):
    r = record(n)
    return {**r, "headers": r["headers"][:2]}


def expected(scope, centre):
    """What the box would hold: the same records without the headers, in a topic of another name."""
    path = scope.path("box.rows")
    with open(path, encoding="utf-8") as f:
        lines = [line.replace("box.logs ", "logs ", 1) for line in f]
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(lines)
    return Expected.read(path)


def faults_of(scope, centre, want, topic):
    path = scope.path(f"{topic}.rows")
    centre.client.read([topic], path)
    return Carried(want, GATEWAY, lambda _: topic).take_all(path).finish()


def check_reader(check, scope, centre):
    c = centre.client
    for topic in ("box.logs", "good", "bad"):
        c.create(topic, 2, 3)
    c.ask("produce", topic="box.logs", records=[plain(n) for n in range(RECORDS)])
    c.read(["box.logs"], scope.path("box.rows"))
    want = expected(scope, centre)
    check.equal(want.count, RECORDS, "the reader finds what was produced")

    def send(topic, records, **kw):
        c.ask("produce", topic=topic, records=records, transactional_id=f"sluice.{GATEWAY}", **kw)
    send("good", [record(n) for n in range(20)])
    send("good", [record(n) for n in range(20, RECORDS)], abort=True)
    check.equal(faults_of(scope, centre, want, "good"), {"missing": 20}, "an aborted transaction is not read")
    send("good", [record(n) for n in range(20, RECORDS)])
    check.equal(faults_of(scope, centre, want, "good"), {}, "each record once, in order, over three transactions")
    planted = [record(n) for n in range(RECORDS) if n != 7]                 # 7 is missing
    planted[20] = record(21, value="other")                                 # changed
    planted[10], planted[11] = planted[11], planted[10]                     # reordered
    planted.append(record(30))                                              # twice, behind later ones
    planted.append(record(RECORDS + 5))                                     # foreign
    planted.append(record(39, partition=1, place={"offset": "x"}))          # unnamed
    send("bad", planted)
    got = faults_of(scope, centre, want, "bad")
    check.equal(got, {"missing": 1, "changed": 1, "reordered": 2, "twice": 1, "foreign": 1, "unnamed": 1},
                "a gap, a changed one, a swapped pair, one twice, a foreign and an unnamed one are found")


def check_link(check, wan, centre):
    before = wan.frames_to_centre()
    near = Client(centre.scope, centre.bootstrap)
    check.equal(near.ask("brokers"), [1, 2, 3], "the box reaches all nodes over the link")
    check.that(wan.frames_to_centre() > before, "frames to the centre are counted")
    wan.cut()
    began = time.monotonic()
    try:
        socket.create_connection((CENTRE_IP, centre.port_of(1)), timeout=2)
        fault = "connected"
    except socket.timeout:
        fault = "silence"
    except OSError as e:
        fault = repr(e)
    check.that(fault == "silence" and time.monotonic() - began >= 1.9, f"a cut link says nothing ({fault})")
    check.equal(centre.client.ask("brokers"), [1, 2, 3], "those at the centre do not notice")
    wan.restore()
    wait_for("the box to reach the centre again", lambda: near.ask("brokers") == [1, 2, 3])
    check.that(True, "and back")


def produces(client, what):
    """One acknowledged record (acks=all); the seconds it took."""
    began = time.monotonic()
    client.ask("produce", topic="good", records=[{"partition": 1, "value": what}])
    return time.monotonic() - began


def check_nodes(check, centre):
    c = centre.client
    leader = centre.node(c.leaders("good")[1])
    leader.stop()
    say(f"node {leader.number} stopped; acknowledged after {produces(c, 'stopped'):.1f} s")
    leader.start()
    centre.wait_whole()
    check.that(True, "a stopped leader comes back")
    node = centre.coordinator(GATEWAY)
    node.kill()
    say(f"node {node.number} killed; acknowledged after {produces(c, 'killed'):.1f} s")
    node.start()
    centre.wait_whole()
    frozen = centre.node(c.leaders("good")[1])
    frozen.freeze()
    seconds = produces(c, "frozen")
    check.that(0.2 < seconds < 29 * SLOW, f"a frozen leader is replaced ({seconds:.1f} s)")
    frozen.thaw()
    centre.wait_whole()
    values = [r["value"] for r in c.show("good") if r["partition"] == 1]
    check.equal(values, [b"stopped", b"killed", b"frozen"], "nothing lost over the three")


def main():
    need_root()
    check = Checks()
    with Scope("u0") as scope:
        wan = Wan(scope, "u0")
        began = time.monotonic()
        centre = Centre(scope, 3, wan=wan)
        say(f"up after {time.monotonic() - began:.1f} s")
        check_reader(check, scope, centre)
        check_link(check, wan, centre)
        check_nodes(check, centre)
        try:
            centre.client.ask("delete", topic="no-such-topic")
            check.that(False, "a refusal is told")
        except Refused as e:
            check.that("UNKNOWN_TOPIC_OR_PART" in str(e), "a refusal is told")
    check.finish()


if __name__ == "__main__":
    main()
