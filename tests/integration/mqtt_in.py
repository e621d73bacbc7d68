# SPDX-License-Identifier: Apache-2.0
"""MQTT into topics through mosquitto and the plugin: 20 publishers, 50,000 messages, kill -9.

First everything is well: mosquitto_pub and paho, MQTT 3.1.1 and 5, QoS 0, 1 and 2; each message is in
the log once, in order, as its rule says. Then sluiced is killed ten times in mid-flow and mosquitto
three times: whatever was acknowledged (PUBACK, PUBCOMP) is in the log, and every publisher gets all
its messages acknowledged with nothing but its library's own reconnecting.
"""

import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../clients"))

from messages import check_value, value_of  # noqa: E402
from sltest import RATE_DIV, SANITIZED, Checks, Scope, say, wait_for  # noqa: E402
from sltest.batch import read_topic  # noqa: E402
from sltest.daemon import Daemon  # noqa: E402
from sltest.kafka import JARS, dump_check, need_venv, venv_argv  # noqa: E402
from sltest.mosquitto import Mosquitto  # noqa: E402
from sltest.murmur2 import partition  # noqa: E402

PARTITIONS = 4
PLAIN, UNDER_FIRE = 21000 // RATE_DIV, 32000 // RATE_DIV
RATE = 1000 // (5 if SANITIZED else 1)
KILLS = ["sluiced"] * 10 + ["mosquitto"] * 3
RULES = [
    {"filter": "plant/{dev}/state", "topic": "telemetry", "key": "{dev}"},
    {"filter": "site/{dev}/+", "topic": "site.{dev}", "key": "", "partitions": 1, "headers": {"device": "dev {dev}"}},
    {"filter": "sync/{dev}", "topic": "orders", "key": "{client}", "ack": "synced"},
    {"filter": "cmd/#", "topic": "commands", "retained": "skip"},
]
TOPICS = ["plant/{}/state", "site/{}/x"]


class Sent:
    """What one publisher sends, and where it must be."""

    def __init__(self, name, topic, qos, version, count):
        self.name, self.topic, self.qos, self.version, self.count = name, topic, qos, version, count
        kind, dev = topic.split("/")[:2]
        self.kafka = {"plant": "telemetry", "site": f"site.{dev}", "sync": "orders"}[kind]
        self.key = {"plant": dev.encode(), "site": None, "sync": name.encode()}[kind]

    def spec(self):
        return f"{self.name}:{self.topic}:{self.qos}:{self.version}:{self.count}"


def paho(prefix, publishers, count):
    """Publishers of every QoS and version, one of them with a rule that waits for the disk."""
    out = [Sent(f"{prefix}{i}", TOPICS[i % 2].format(f"{prefix}{i}"), (1, 2, 0)[i % 3], (4, 5)[i // 3 % 2],
                count // publishers) for i in range(publishers - 1)]
    return out + [Sent(f"{prefix}s", f"sync/{prefix}s", 1, 4, max(count // publishers // 10, 20))]


def read_log(gw, sent):
    """{publisher: [(n, partition, record)]} in the order of the log, checked against `sent`; faults."""
    got, faults, by_name = {s.name: [] for s in sent}, [], {s.name: s for s in sent}
    for topic in sorted({s.kafka for s in sent}):
        for part, records in read_topic(gw.log_dir, topic).items():
            for r in records:
                found = check_value(r.value)
                s = by_name.get(found and found[0])
                if s is None:
                    continue
                headers = {h[0] if isinstance(h[0], str) else h[0].decode(): h[1] for h in r.headers}
                want = {"mqtt.topic": s.topic.encode(), "mqtt.qos": b"%d" % s.qos, "mqtt.retain": b"0"}
                if s.kafka.startswith("site."):
                    want["device"] = b"dev " + s.topic.split("/")[1].encode()
                if not s.name.startswith("pub"):
                    want["mqtt.client"] = s.name.encode()
                wrong = {k: headers.get(k) for k in want if headers.get(k) != want[k]}
                if topic != s.kafka or r.key != s.key or wrong:
                    faults.append((s.name, found[1], topic, r.key, wrong))
                if s.key and part != partition(s.key, PARTITIONS):
                    faults.append((s.name, found[1], "partition", part))
                got[s.name].append((found[1], part, r))
    return got, faults


def start_paho(scope, broker, answers, rate, sent):
    need_venv()
    return scope.popen(venv_argv("mqtt_publish.py", broker.port, answers, rate, 20, *[s.spec() for s in sent]))


def acked(path):
    """{publisher: set of n}, {publisher: reconnects} of an answers file, also while it grows."""
    ok, ends = {}, {}
    with open(path) as f:
        for line in f:
            word, name, n = (line.split() + ["", "", ""])[:3]
            if word == "ok" and line.endswith("\n"):
                ok.setdefault(name, set()).add(int(n))
            elif word == "end":
                ends[name] = int(n)
    return ok, ends


def lines_of(path):
    try:
        with open(path, "rb") as f:
            return f.read().count(b"\n")
    except OSError:
        return 0


def mosquitto_pub(scope, broker, s):
    """All its messages as lines of one mosquitto_pub."""
    path = scope.path(f"{s.name}.lines")
    with open(path, "wb") as f:
        f.writelines(value_of(s.name, n) + b"\n" for n in range(s.count))
    with open(path, "rb") as f:
        return scope.popen(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-V",
                            {4: "311", 5: "5"}[s.version], "-q", str(s.qos), "-t", s.topic, "-l"],
                           stdin=f, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def all_is_well(check, scope, gw, broker):
    pubs = [Sent(f"pub{i}", TOPICS[i % 2].format(f"pub{i}"), i % 3, (4, 5)[i // 3], PLAIN // 20) for i in range(6)]
    sent = pubs + paho("dev", 14, PLAIN * 14 // 20)
    answers = scope.path("plain.answers")
    processes = [mosquitto_pub(scope, broker, s) for s in pubs]
    processes.append(start_paho(scope, broker, answers, 0, sent[6:]))
    codes = [p.wait(120) for p in processes]
    check.equal(codes, [0] * 7, f"{len(sent)} publishers, {sum(s.count for s in sent)} messages: all acknowledged")
    mqtt = gw.status()["mqtt"]
    check.equal((mqtt["lost_qos0"], mqtt["pushed_back"], mqtt["duplicate"]), (0, 0, 0), "nothing lost or pushed back")
    wait_for("QoS 0 to arrive", lambda: gw.status()["mqtt"]["stored"] >= sum(s.count for s in sent))
    return sent


def judge_plain(check, gw, sent):
    got, faults = read_log(gw, sent)
    check.equal(faults[:3], [], "topic, key, partition and headers as the rules say")
    wrong = [s.name for s in sent if [n for n, _, _ in got[s.name]] != list(range(s.count)) and s.key]
    check.equal(wrong, [], "each message once, in order per key")
    wrong = [s.name for s in sent if sorted(n for n, _, _ in got[s.name]) != list(range(s.count))]
    check.equal(wrong, [], "each message once, without a key")


def under_fire(check, scope, gw, broker, r):
    """Kills in mid-flow; returns what was sent and the answers' file."""
    sent, answers = paho("fire", 20, UNDER_FIRE), scope.path("fire.answers")
    process = start_paho(scope, broker, answers, RATE, sent)
    total = sum(s.count for s in sent)
    order = KILLS[:]
    r.shuffle(order)
    for i, what in enumerate(order):
        at = total * (i + 1) // (len(order) + 2)  # acknowledgements, so that all kills are in mid-flow
        wait_for(f"{at} acknowledgements before kill {i + 1}", lambda: lines_of(answers) >= at, 60, step=0.005)
        check.that(process.poll() is None, f"kill {i + 1} ({what}) in mid-flow, after {lines_of(answers)} acknowledgements")
        if what == "sluiced":
            gw.kill()
            gw.start()
        else:
            broker.kill()
            broker.start()
    check.equal(process.wait(120), 0, f"{len(sent)} publishers, {total} messages: all acknowledged in the end")
    return sent, answers


def judge_fire(check, gw, sent, answers):
    got, faults = read_log(gw, sent)
    ok, ends = acked(answers)
    check.equal(faults[:3], [], "topic, key, partition and headers as the rules say")
    missing = {s.name: sorted(ok.get(s.name, set()) - {n for n, _, _ in got[s.name]})[:5] for s in sent if s.qos}
    check.equal({k: v for k, v in missing.items() if v}, {}, "no message that was acknowledged is missing")
    stored = sum(len(got[s.name]) for s in sent if s.qos)
    once = sum(len({n for n, _, _ in got[s.name]}) for s in sent if s.qos)
    say(f"      QoS 1 and 2: {once} messages, {stored - once} stored again by a client's retry; "
        f"reconnects {min(ends.values())} to {max(ends.values())} per publisher")
    check.that(max(ends.values()) <= 10 * len(KILLS), "no publisher needed more than its normal retry")
    q0 = [s for s in sent if not s.qos]
    kept = sum(len({n for n, _, _ in got[s.name]}) for s in q0)
    say(f"      QoS 0: {kept} of {sum(s.count for s in q0)} stored")


def main():
    check, seed = Checks(), int(os.environ.get("SLT_SEED", "51"))
    say(f"seed {seed}")
    with Scope("mqttin") as scope:
        path = scope.path("mqtt.sock")
        gw = Daemon(scope, "mqtt", ports=[], listeners=[], topics=[],
                    storage={"sync": {"interval": "1ms"}}, kafka_config={"num.partitions": PARTITIONS},
                    extra={"mqtt": {"socket": path, "map": RULES}})
        gw.start()
        broker = Mosquitto(scope, path)
        wait_for("the plugin to attach", lambda: any(b["connected"] for b in gw.status()["mqtt"]["brokers"]))
        plain = all_is_well(check, scope, gw, broker)
        fire, answers = under_fire(check, scope, gw, broker, random.Random(seed))
        mqtt = wait_for("the plugin's figures", lambda: gw.status()["mqtt"])
        say(f"      duplicates found in the log: {mqtt['duplicate']}, pushed back {mqtt['pushed_back']}, "
            f"waits expired {mqtt['waits_expired']}, QoS 0 lost {mqtt['lost_qos0']}")
        check.equal(mqtt["difference"], 0, "the books of MQTT close")
        check.equal(gw.stop()[0], 0, "sluiced stops cleanly")
        judge_plain(check, gw, plain)
        judge_fire(check, gw, fire, answers)
        if os.path.isdir(JARS):
            dump = dump_check(gw.log_dir)
            check.equal(dump.complaints[:3], [], f"kafka-dump-log reads {dump.batches} batches that bear the ring's mark")
        check.that("sluice: attached" in broker.log_text(), "mosquitto's log says when it attaches")
    check.finish()


if __name__ == "__main__":
    main()
