# SPDX-License-Identifier: Apache-2.0
"""Exactly once into three nodes of Apache Kafka, whatever happens on the way.

200,000 records from UDP, Kafka and MQTT together; the daemon killed with -9 five times, the leader
stopped and started, the link cut for 60 s, a broker frozen for 30 s, the uplink's transaction fenced by
a second producer. A read_committed consumer then finds each record of the log once, byte for byte, in
order per key; what was acknowledged to a sender is among them; both books close.
"""

import os
import random
import signal
import sys
import time

from sltest import RATE_DIV, SLOW, Checks, Scope, need_root, say, wait_for
from sltest.client import Centre
from sltest.daemon import listener, show_ledger, topic
from sltest.kafka import CLIENTS, need_venv, venv_argv
from sltest.load import Sender
from sltest.mosquitto import Mosquitto, start_publishers
from sltest.netns import Pair
from sltest.uplink import Box, check_book, check_positions, compare
from sltest.wan import Wan

sys.path.insert(0, CLIENTS)

RECORDS = 200000 // RATE_DIV
UDP_RATE, KAFKA_RATE, MQTT_RATE = (max(20, r // RATE_DIV) for r in (700, 350, 200))
CUT_S, FROZEN_S = 60, 30
TOPICS = ("logs", "events", "telemetry")
PUBLISHERS = 10


class Load:
    """All three kinds of senders, and what each was told."""

    def __init__(self, scope, pair, box, broker):
        self.udp = Sender(scope, pair, 5514, rate=UDP_RATE, size=200)
        self.kafka = {}
        for tag, acks, idempotent in (("one", "1", "0"), ("all", "all", "1")):
            path = scope.path(f"{tag}.answers")
            self.kafka[tag] = path, scope.popen(venv_argv("producer.py", box.bootstrap, "events", tag, acks, idempotent,
                                                          KAFKA_RATE, path))
        self.mqtt_path = scope.path("mqtt.answers")
        self.mqtt = start_publishers(scope, broker, self.mqtt_path, publishers=PUBLISHERS, rate=MQTT_RATE)
        self.sent_udp = 0

    def stop(self, check):
        self.sent_udp = self.udp.stop()
        waiting = [*((f"Kafka producer {t}", p, path) for t, (path, p) in self.kafka.items()),
                   ("MQTT publishers", self.mqtt, self.mqtt_path)]
        for _, p, _ in waiting:
            p.send_signal(signal.SIGTERM)
        for name, p, path in waiting:
            check.equal(p.wait(120 * SLOW), 0, f"{name} ended well")
            say(f"{name}: {lines(path)[-1]}")

    def acknowledged(self):
        """Yields (kind, tag, number) of every acknowledged message."""
        for tag, (path, _) in self.kafka.items():
            yield from (("Kafka " + tag, tag, int(w[1])) for w in map(str.split, lines(path)) if w[0] == "ok")
        yield from (("MQTT", f"m{w[1]}", int(w[2])) for w in map(str.split, lines(self.mqtt_path)) if w[0] == "ok")


def lines(path):
    with open(path) as f:
        return f.read().splitlines()


class Faults:
    """What befalls the way, one after the other; the daemon is killed in the midst of each."""

    def __init__(self, check, wan, centre, box, dice):
        self.check, self.wan, self.centre, self.box, self.dice = check, wan, centre, box, dice
        self.kills = 0

    def kill(self, wait=True):
        time.sleep(self.dice.uniform(0, 1.5))  # the moment is what varies
        self.box.kill()
        self.kills += 1
        say(f"kill {self.kills}: ready again after {self.box.start(60):.2f} s")
        if wait:
            self.flows("after the kill")

    def flows(self, text):
        began = time.monotonic()
        self.box.wait_more(max(50, 500 // RATE_DIV), 90)
        say(f"{text}: forwarding after {time.monotonic() - began:.1f} s; {self.box.forwarded()} of {self.box.appended()}")

    def leader_stopped(self):
        node = self.centre.node(self.centre.client.leaders("events")[0])
        say(f"stopping node {node.number}, leader of events-0")
        node.stop()
        self.kill()
        node.start()
        self.centre.wait_whole()
        self.flows("leader back")

    def link_cut(self):
        self.wan.cut()
        end = time.monotonic() + CUT_S
        time.sleep(CUT_S / 3)
        self.kill(wait=False)
        time.sleep(max(0, end - time.monotonic()))
        lag = self.box.book()["backlog"]
        self.wan.restore()
        say(f"link back, {lag} records behind")
        self.check.that(lag > 0, "a backlog grew behind the cut")
        self.flows("link back")

    def frozen(self):
        node = self.centre.coordinator(self.box.gateway)
        say(f"freezing node {node.number}, coordinator of the uplink's transactions")
        node.freeze()
        end = time.monotonic() + FROZEN_S
        self.kill(wait=False)
        time.sleep(max(0, end - time.monotonic()))
        node.thaw()
        self.centre.wait_whole()
        self.flows("thawed")

    def fenced(self):
        before = self.box.uplink()
        self.centre.fence(self.box.gateway)
        say("fenced by a second producer of the same name")
        self.flows("after the fence")
        after = self.box.uplink()
        self.check.that(after["fences"] > before["fences"], f"the fence was noticed ({before['fences']}, {after['fences']})")
        self.check.equal(after["state"], "running", "and recovered from")

    def all(self):
        self.kill()
        self.leader_stopped()
        self.link_cut()
        self.frozen()
        self.fenced()
        self.kill()


def check_acknowledged(check, load, there):
    from messages import h64, value_of
    told, missing = {}, {}
    for kind, tag, n in load.acknowledged():
        told[kind] = told.get(kind, 0) + 1
        if h64(value_of(tag, n)) not in there.values:
            missing[kind] = missing.get(kind, 0) + 1
    check.that(min(told.values()) > 0 and len(told) == 3, f"acknowledged: {told}")
    check.equal(missing, {}, "every acknowledged message is at the centre")


def check_ledger(check, box, load):
    led = box.wait_settled()
    show_ledger(led)
    check.equal((led["difference"], led["appended"]), (0, box.records("logs")), "the book of frames closes on the log's end")
    lost = led["lost_by_device"] + led["lost_at_crash"] + led["ring_full"] + sum(led["append_failed"].values())
    say(f"UDP: {load.sent_udp} sent, {led['appended']} stored, {lost} counted as lost, "
        f"{load.sent_udp - led['appended'] - lost} sent while no gateway ran")
    check.that(led["appended"] + lost <= load.sent_udp, "no more than was sent")


def make_box(scope, pair, centre):
    return Box(scope, centre, [topic("logs", 4), topic("events", 4), topic("telemetry", 2)], ports=[pair.port("af_xdp")],
               listeners=[listener("syslog", "lan0", "syslog", "logs", 5514, key="source")],
               mqtt={"socket": scope.path("mqtt.sock"),
                     "map": [{"filter": "factory/{line}/state", "topic": "telemetry", "key": "{line}"}]})


def main():
    need_root()
    need_venv()
    seed = os.environ.get("SLT_SEED") or "5"
    say(f"seed {seed}")
    check = Checks()
    with Scope("u") as scope:
        pair, wan = Pair(scope, "uf"), Wan(scope, "uf")
        centre = Centre(scope, 3, wan=wan)
        box = make_box(scope, pair, centre)
        box.start()
        broker = Mosquitto(scope, scope.path("mqtt.sock"))
        load = Load(scope, pair, box, broker)
        faults = Faults(check, wan, centre, box, random.Random(seed))
        faults.flows("at first")
        faults.all()
        wait_for(f"{RECORDS} records", lambda: box.appended() >= RECORDS, 240)
        load.stop(check)
        check.equal(faults.kills, 5, "five kills")
        box.wait_drained(240)
        expected, there = compare(check, box, TOPICS)
        check.that(expected.count >= RECORDS, f"{expected.count} records in the log, of {RECORDS} wanted")
        check_book(check, box, there.count)
        check_ledger(check, box, load)
        check_acknowledged(check, load, there)
        check_positions(check, box)
        say("uplink: " + str(box.uplink()))
        code, seconds = box.stop(20)
        check.equal(code, 0, f"clean stop ({seconds:.1f} s)")
    check.finish()


if __name__ == "__main__":
    main()
