# SPDX-License-Identifier: Apache-2.0
"""The round trip over the centre: a command written there reaches a device, its answer comes back there.

1. uplink.mirror copies the topic of commands down, the downlink sends them, the device answers, and
   the answer arrives at the centre with the command's correlation data.
2. The centre is away for a while, and so is the broker: a command that expired meanwhile does not
   reach the device and is counted, the others do, each once, as do their answers.
"""

import os
import time

from mqtt_commands import Device, command, down
from sltest import Checks, Scope, need_root, wait_for
from sltest.client import Centre
from sltest.daemon import topic
from sltest.kafka import need_venv
from sltest.mosquitto import Mosquitto
from sltest.uplink import Box

COUNT = 50


def at_centre(commands):
    """As the centre's client writes them: all of a device to one partition."""
    return [{"partition": int(c["key"][4:]) % 2, "key": c["key"], "value": c["value"],
             "headers": [[n, v] for n, v in c["headers"].items()]} for c in commands]


def answers(centre, tag):
    out = []
    for r in centre.client.show("answers") if "answers" in centre.client.topics() else ():
        correlation = dict(r["headers"]).get("mqtt.correlation", b"").decode()
        if correlation.startswith(tag + "-"):
            out.append((correlation, r["value"].decode()))
    return sorted(out)


def check_round(check, centre, device, tag, count):
    device.wait(tag, count, 90)
    want = sorted((f"{tag}-{n}", f"done {tag} {n}") for n in range(count))
    wait_for("the answers at the centre", lambda: len(answers(centre, tag)) >= count, 90, step=0.5)
    check.equal(sorted(device.got(tag)), list(range(count)), f"each command '{tag}' of the centre reached the device once")
    check.equal(answers(centre, tag), want, "each answer is at the centre once, with its correlation data")


def main():
    need_root()
    need_venv()
    check = Checks()
    with Scope("centre") as scope:
        sock = scope.path("mqtt.sock")
        os.makedirs(scope.path("db"))
        broker = Mosquitto(scope, sock, lines=["persistence true", f"persistence_location {scope.path('db')}/",
                                               "max_queued_messages 0"])
        centre = Centre(scope, 1)
        centre.client.create("commands", 2)
        box = Box(scope, centre, [topic("answers", 2)], uplink={"mirror": ["commands"]}, mqtt={
            "socket": sock, "map": [{"filter": "answers/{device}", "topic": "answers", "key": "{device}"}],
            "brokers": [{"name": "local", "host": "127.0.0.1", "port": broker.port}],
        }, extra={"downlink": [{"topic": "commands", "mqtt": "devices/{key}/cmd", "qos": 1, "expiry": "600s"}]})
        device = Device(scope, broker)
        box.start()
        centre.client.ask("produce", topic="commands", records=at_centre(command("first", n) for n in range(COUNT)))
        check_round(check, centre, device, "first", COUNT)

        node = centre.node(1)
        node.stop()
        node.start()
        centre.wait_whole()
        broker.stop()
        now = int(time.time() * 1000)
        late = [command("late", n, now + 2000) for n in range(10)]
        fresh = [command("fresh", n, now + 600000) for n in range(COUNT)]
        centre.client.ask("produce", topic="commands", records=at_centre(late + fresh))
        box.wait_records("commands", 2 * COUNT + 10, 90)
        wait_for("the late ones to expire", lambda: time.time() * 1000 > now + 2500)
        broker.start()
        check_round(check, centre, device, "fresh", COUNT)
        check.equal((device.got("late"), down(box)["expired"]), ([], 10), "what expired meanwhile does not arrive, and is counted")
        check.equal(box.stop()[0], 0, "clean stop")
    check.finish()


if __name__ == "__main__":
    main()
