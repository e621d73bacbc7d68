# SPDX-License-Identifier: Apache-2.0
"""Commands down to devices, and their answers back, with a real mosquitto and its plugin.

1. A command that a Kafka client wrote reaches an MQTT 5 subscriber with what it needs to answer;
   the answer comes back through plugin and mapping, and its correlation data with it. Bad commands
   are counted and stop nobody.
2. While the broker is away commands wait; those that expire meanwhile do not arrive and are counted.
3. kill -9 of sluiced in mid-flow: no command is missing, and repeated are at most those that were
   under way or not committed yet. Kafka clients see the group's offsets.
4. A clean restart repeats nothing.
5. From a device to another, QoS 2: in through the plugin, out through a rule.
"""

import json
import os
import subprocess
import time
from collections import Counter

from sltest import RATE_DIV, SLOW, Checks, Scope, need_root, say, wait_for
from sltest.client import Client
from sltest.daemon import Daemon, topic
from sltest.kafka import VENV_PYTHON, need_venv, venv_argv
from sltest.mosquitto import Mosquitto

GROUP = "sluice.downlink.local.commands"
PARTITIONS, DEVICES = 3, 10
FLOW, KILLS, RATE = 3000 // RATE_DIV, 3, 500 // RATE_DIV

# JSON lines {"key", "value", "headers": {name: text}} to the topic; all acknowledged when it ends.
PRODUCE = """
import json, sys, time
from confluent_kafka import Producer
p = Producer({"bootstrap.servers": sys.argv[1], "enable.idempotence": True, "message.timeout.ms": 120000,
              "reconnect.backoff.max.ms": 200})
failed = []
rate, began, n = float(sys.argv[3]), time.monotonic(), 0
for line in sys.stdin:
    c = json.loads(line)
    headers = [(k, v.encode()) for k, v in c["headers"].items()]
    p.produce(sys.argv[2], key=c["key"], value=c["value"], headers=headers,
              on_delivery=lambda e, m: failed.append(str(e)) if e else None)
    n += 1
    while rate and n > (time.monotonic() - began) * rate:
        p.poll(0.01)
p.flush(120)
sys.exit(str(failed[:3]) if failed else 0)
"""

COMMITTED = """
import json, sys
from confluent_kafka import Consumer, TopicPartition
c = Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[2]})
n = len(c.list_topics(sys.argv[3], timeout=20).topics[sys.argv[3]].partitions)
got = c.committed([TopicPartition(sys.argv[3], i) for i in range(n)], timeout=20)
print(json.dumps({p.partition: p.offset for p in got}))
"""


def command(tag, n, expires_ms=None):
    device = f"dev-{n % DEVICES}"
    headers = {"mqtt.response-topic": f"answers/{device}", "mqtt.correlation": f"{tag}-{n}",
               "mqtt.user.tag": tag, "mqtt.content-type": "text/plain"}
    if expires_ms is not None:
        headers["sluice.expires"] = str(expires_ms)
    return {"key": device, "value": f"{tag} {n}", "headers": headers}


def start_producer(scope, gw, commands, rate=0):
    path = scope.path(f"commands-{time.monotonic_ns()}")
    with open(path, "w") as f:
        f.writelines(json.dumps(c) + "\n" for c in commands)
    with open(path) as f:
        return scope.popen([VENV_PYTHON, "-c", PRODUCE, gw.bootstrap, "commands", str(rate)], stdin=f,
                           stderr=subprocess.PIPE)


def produce(scope, gw, commands):
    p = start_producer(scope, gw, commands)
    if p.wait(60 * SLOW) != 0:
        raise RuntimeError(p.stderr.read().decode())


class Device:
    def __init__(self, scope, broker):
        self.diary = scope.path(f"device-{broker.port}.diary")
        self.process = scope.popen(venv_argv("mqtt_device.py", broker.port, "obedient", "devices/+/cmd", self.diary))
        self.wait_subscribed(1)

    def lines(self):
        if not os.path.exists(self.diary):
            return []
        with open(self.diary) as f:
            text = f.read()
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait_subscribed(self, times):
        wait_for("the device to subscribe", lambda: sum("subscribed" in x for x in self.lines()) >= times)

    def got(self, tag):
        """Commands of that tag, in the order of their coming: [number]."""
        out = []
        for x in self.lines():
            if "payload" in x:
                t, n = bytes.fromhex(x["payload"]).decode().split(" ")
                if t == tag:
                    out.append(int(n))
        return out

    def wait(self, tag, count, timeout=30):
        wait_for(f"{count} commands '{tag}'", lambda: len(set(self.got(tag))) >= count, timeout)


def committed(gw):
    r = subprocess.run([VENV_PYTHON, "-c", COMMITTED, gw.bootstrap, GROUP, "commands"], stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=60 * SLOW)
    if r.returncode != 0:
        raise RuntimeError(r.stderr.decode()[-500:])
    return {int(p): o for p, o in json.loads(r.stdout).items()}


def wait_committed(gw):
    ends = gw.ends("commands")
    wait_for(f"the group to be at {ends}", lambda: committed(gw) == ends, 30, step=0.5)


def down(gw):
    return gw.status()["downlink"]


def answers(gw, scope, tag):
    """[(key, value, correlation)] of the topic that answers come back to."""
    out = []
    for r in Client(scope, gw.bootstrap).show("answers"):
        headers = dict(r["headers"])
        if headers.get("mqtt.correlation", b"").decode().startswith(tag + "-"):
            out.append((r["key"].decode(), r["value"].decode(), headers["mqtt.correlation"].decode()))
    return out


# ---- 1 --------------------------------------------------------------------------------------------

def there_and_back(check, scope, gw, device):
    count = 200
    bad = [{"key": "no+name", "value": "bad 1", "headers": {}},
           {"key": "dev-1", "value": "bad 2", "headers": {"sluice.expires": "tomorrow"}}]
    produce(scope, gw, bad + [command("first", n) for n in range(count)])
    device.wait("first", count)
    check.equal(sorted(device.got("first")), list(range(count)), "each command arrives once")
    for d in range(DEVICES):
        mine = [n for n in device.got("first") if n % DEVICES == d]
        if mine != sorted(mine):
            check.that(False, f"commands of dev-{d} in order")
    one = next(x for x in device.lines() if bytes.fromhex(x.get("payload", "")) == b"first 7")
    check.equal((one["topic"], one["qos"], one["response"], bytes.fromhex(one["correlation"]), one["user"],
                 one["content_type"]),
                ("devices/dev-7/cmd", 1, "answers/dev-7", b"first-7", [["tag", "first"]], "text/plain"),
                "topic, QoS and properties are the command's")
    check.that(50 <= one["expiry"] <= 60, f"it is good for what is left of its time: {one['expiry']} s")
    gw.wait_records("answers", count)
    want = sorted((f"dev-{n % DEVICES}", f"done first {n}", f"first-{n}") for n in range(count))
    check.equal(sorted(answers(gw, scope, "first")), want, "answers come back with their correlation data")
    check.equal((down(gw)["sent"], down(gw)["bad"], down(gw)["expired"]), (count, 2, 0), "sent and bad are counted")
    wait_committed(gw)


# ---- 2 --------------------------------------------------------------------------------------------

def outage(check, scope, gw, broker, device):
    broker.stop()
    now = int(time.time() * 1000)
    late = [command("late", n, now + 1000) for n in range(20)]
    fresh = [command("fresh", n, now + 600000) for n in range(20)]
    produce(scope, gw, [c for pair in zip(late, fresh) for c in pair])
    wait_for("the late ones to expire", lambda: time.time() * 1000 > now + 1500)
    before = down(gw)
    check.equal((before["expired"], [b["connected"] for b in gw.status()["mqtt"]["brokers"] if not b["plugin"]]),
                (0, [False]), "nothing is read while the broker is away")
    broker.start()
    device.wait("fresh", 20, 90)
    wait_committed(gw)
    check.equal(sorted(device.got("fresh")), list(range(20)), "what waited arrives")
    check.equal(device.got("late"), [], "what expired does not")
    check.equal(down(gw)["expired"] - before["expired"], 20, "and is counted")


# ---- 3 --------------------------------------------------------------------------------------------

def killed(check, scope, gw, device):
    producer = start_producer(scope, gw, [command("flow", n) for n in range(FLOW)], RATE)
    for i in range(KILLS):
        floor = len(device.got("flow")) + FLOW // (2 * KILLS)
        wait_for("commands to flow", lambda: len(device.got("flow")) >= floor, 60)
        gw.kill()
        gw.start()
    if producer.wait(120 * SLOW) != 0:
        raise RuntimeError(producer.stderr.read().decode())
    device.wait("flow", FLOW, 90)
    wait_committed(gw)
    seen = Counter(device.got("flow"))
    check.equal(sorted(seen), list(range(FLOW)), f"every command arrived, {KILLS} kills -9 or not")
    again = sum(seen.values()) - FLOW
    # 256 acknowledged ones start a commit, 64 are under way, and some come while it is being synced
    limit = KILLS * 2 * (256 + 64)
    check.that(again <= limit, f"{again} were repeated (at most {limit}: what was not committed)")
    wait_for("the answers", lambda: len({a[2] for a in answers(gw, scope, "flow")}) == FLOW, 60, step=1)
    check.that(True, "every command was answered, with its correlation data")


# ---- 4 --------------------------------------------------------------------------------------------

def clean_restart(check, scope, gw, device):
    produce(scope, gw, [command("before", n) for n in range(50)])
    device.wait("before", 50)
    check.equal(gw.stop()[0], 0, "clean stop")
    gw.start()
    produce(scope, gw, [command("after", n) for n in range(50)])
    device.wait("after", 50)
    wait_committed(gw)
    check.equal(len(device.got("before")), 50, "a clean restart repeats nothing")
    check.equal(len(device.got("after")), 50, "and goes on")


# ---- 5 --------------------------------------------------------------------------------------------

def device_to_device(check, scope):
    """What devices say comes to the log and goes out again, through a stop and a kill -9."""
    sock = scope.path("two.sock")
    broker = Mosquitto(scope, sock, name="two")
    gw = Daemon(scope, "two", ports=[], listeners=[], topics=[topic("commands", 1)], extra={
        "mqtt": {"socket": sock, "map": [{"filter": "in/{device}", "topic": "commands", "key": "{device}"}],
                 "brokers": [{"name": "local", "host": "127.0.0.1", "port": broker.port}]},
        "downlink": [{"topic": "commands", "mqtt": "devices/{key}/cmd", "qos": 2}],
    })
    device = Device(scope, broker)
    gw.start()

    def attached():
        return any(b["plugin"] and b["connected"] for b in gw.status()["mqtt"]["brokers"])

    def say_in(tag):
        wait_for("the plugin to attach", attached)
        scope.run(["mosquitto_pub", "-p", str(broker.port), "-t", "in/7", "-q", "1", "-m", f"{tag} 1"])
        device.wait(tag, 1)
        wait_for("the position to be committed", lambda: gw.records("__consumer_offsets") >= say_in.commits)
        say_in.commits += 1
    say_in.commits = 1
    say_in("one")
    check.equal(gw.stop()[0], 0, "clean stop")
    gw.start()
    say_in("two")
    gw.kill()
    gw.start()
    say_in("three")
    check.equal([device.got(t) for t in ("one", "two", "three")], [[1], [1], [1]], "each command once")
    check.equal(gw.stop()[0], 0, "clean stop")


def main():
    need_root()
    need_venv()
    check = Checks()
    with Scope("commands") as scope:
        sock = scope.path("mqtt.sock")
        os.makedirs(scope.path("db"))
        broker = Mosquitto(scope, sock, lines=["persistence true", f"persistence_location {scope.path('db')}/",
                                               "max_queued_messages 0"])
        gw = Daemon(scope, ports=[], listeners=[], topics=[topic("commands", PARTITIONS), topic("answers", 2)], extra={
            "mqtt": {"socket": sock, "map": [{"filter": "answers/{device}", "topic": "answers", "key": "{device}"}],
                     "brokers": [{"name": "local", "host": "127.0.0.1", "port": broker.port}]},
            "downlink": [{"topic": "commands", "mqtt": "devices/{key}/cmd", "qos": 1, "expiry": "60s"}],
        })
        device = Device(scope, broker)
        gw.start()
        there_and_back(check, scope, gw, device)
        outage(check, scope, gw, broker, device)
        killed(check, scope, gw, device)
        clean_restart(check, scope, gw, device)
        status = gw.status()
        check.equal((status["mqtt"]["difference"], status["ledger"]["difference"]), (0, 0), "the books close")
        check.equal(gw.stop()[0], 0, "clean stop")
        device_to_device(check, scope)
    check.finish()


if __name__ == "__main__":
    main()
