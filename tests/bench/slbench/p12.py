# SPDX-License-Identifier: Apache-2.0
"""P12: MQTT messages per second into the log through the plugin, beside what the same mosquitto takes
from the same clients without it, and beside a bridge that subscribes and produces to Kafka.

All brokers, sluiced and the bridge are up for the whole row and take turns; what is not measured
sleeps. Every process may use both CPUs: a broker has one thread, and who feeds it, sluiced and the
bridge share what is left, as they do on a gateway."""

import contextlib
import glob

from . import host, kafka, mqtt
from .table import Row

BYTES, PARTS = 200, kafka.PARTITIONS
GOAL, BRIDGE_GOAL = 0.85, 2
MESSAGES = {0: (300000, 150000), 1: (200000, 100000)}  # by QoS: full, quick
FILTER = "factory/{line}/{device}/state"
CPUS = [host.SOURCE_CPU, host.SUT_CPU]
TOPICS = {"plugin": "mqtt", "bridge": "bridged"}

_SECTION = """mqtt:
  socket: {socket}
  map:
    - {{filter: '{filter}', topic: {topic}, key: '{{device}}'}}
topics:
  - {{name: {topic}, partitions: {parts}, config: {{compression.type: producer}}}}
  - {{name: {bridged}, partitions: {parts}, config: {{compression.type: producer}}}}
"""


class Gateway(kafka.Gateway):
    """sluiced with a Kafka port and an MQTT section, and nothing else."""

    def __init__(self, ctx):
        super().__init__(ctx, "p12", CPUS)
        self.ring = self.socket.replace(".sock", ".mqtt")
        self.text += _SECTION.format(socket=self.ring, filter=FILTER, topic=TOPICS["plugin"],
                                     bridged=TOPICS["bridge"], parts=PARTS)


def run(ctx):
    name = f"mosquitto {mqtt.version()}"
    bare = {q: Row("P12", f"MQTT QoS {q} into the log through the plugin, {mqtt.CLIENTS} clients, {BYTES} B",
                   "messages/s", f"{name} alone, nothing stored", (">=", GOAL)) for q in MESSAGES}
    sub = {q: Row("P12", f"the same, QoS {q}", "messages/s", "a subscriber that produces to Kafka",
                  (">=", BRIDGE_GOAL)) for q in MESSAGES}
    rows = [*bare.values(), *sub.values()]
    try:
        with contextlib.ExitStack() as up:
            ours = up.enter_context(Gateway(ctx))
            sent = _measure(ctx, up, ours, bare, sub)
            ours.stop()
            _verify(ctx, ours, sent)
    except (host.BenchError, OSError) as e:
        for row in rows:
            row.cannot(str(e))
    for row in rows:
        row.note(f"{mqtt.CLIENTS} clients on one thread, {mqtt.WINDOW} unacknowledged each; all processes share both "
                 "CPUs; until every message can be read (alone: until it is acknowledged)")
    for row in sub.values():
        row.note("the bridge: libmosquitto and librdkafka in C, acks=1, linger 5 ms, into the same sluiced's Kafka "
                 "port; its acknowledgements say nothing about Kafka")
    return rows


def _measure(ctx, up, ours, bare, sub):
    """Fills the rows; returns {topic: messages} that were sent."""
    brokers = {
        "alone": up.enter_context(mqtt.Mosquitto(ctx, "alone", CPUS)),
        "plugin": up.enter_context(mqtt.Mosquitto(
            ctx, "plugin", CPUS, f"plugin {mqtt.plugin(ctx)}\nplugin_opt_socket {ours.ring}\n")),
        "bridge": up.enter_context(mqtt.Mosquitto(ctx, "bridge", CPUS)),
    }
    argv = [ctx.tools["mqtt_bridge"], "127.0.0.1", brokers["bridge"].port, "factory/#", 1,
            f"127.0.0.1:{ours.port}", TOPICS["bridge"]]
    bridge = up.enter_context(host.Proc(argv, f"{ctx.work}/bridge.out", cpus=CPUS))
    bridge.wait_for(lambda: "ready" in bridge.tail(), 10, "subscribed")
    sent = {t: 0 for t in TOPICS.values()}

    def one(kind, qos, n):
        if kind == "alone":
            return n / mqtt.publish(ctx, brokers[kind], n, qos, BYTES, CPUS)["seconds"]
        rate = mqtt.into_log(ctx, brokers[kind], ours, TOPICS[kind], n, qos, BYTES, CPUS)
        sent[TOPICS[kind]] += n
        return rate

    for kind in brokers:  # discarded
        for qos in MESSAGES:
            one(kind, qos, MESSAGES[qos][1] // 4)
    for i in ctx.rounds():
        for qos, counts in MESSAGES.items():
            got = {kind: one(kind, qos, counts[ctx.quick]) for kind in brokers}
            bare[qos].add(got["plugin"], got["alone"])
            sub[qos].add(got["plugin"], got["bridge"])
            ctx.say(f"P12 {i + 1}/{ctx.runs} QoS {qos}: plugin {got['plugin'] / 1e3:.1f} k/s, alone "
                    f"{got['alone'] / 1e3:.1f} k/s, subscriber {got['bridge'] / 1e3:.1f} k/s")
    book = ours.status()["mqtt"]
    if book["difference"] or book["lost_qos0"] or book["pushed_back"]:
        raise host.BenchError(f"messages were lost or pushed back: {book}")
    return sent


def _verify(ctx, ours, sent):
    """After the stop: what lies in the segments, every CRC checked."""
    for topic, want in sent.items():
        parts = sorted(glob.glob(f"{ours.data}/log/{topic}-*"))
        got = host.json_of(host.run(ctx.tools["segcount"], "-v", BYTES, *parts, timeout=120))["records"]
        if got != want:
            raise host.BenchError(f"{got} records of {want} messages lie in the segments of {topic}")
